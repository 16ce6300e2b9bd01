//! Gzip for user data, of which the clouds take little.
//!
//! The same bytes for the same text, and no digest of anything is taken of them: a release may compress otherwise
//! without a machine being made again.

use flate2::{Compression, GzBuilder};
use std::io::Write;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use zopfli::{Format, Options};

/// What is worth a second attempt, in bytes after the first: what comes near the smallest limit of the clouds, EC2's
/// 16,384, or may yet get below it. That attempt saves 600 to 1,000 of them, and takes some 60 ms instead of 3.
const NEAR_A_LIMIT: RangeInclusive<usize> = 14_336..=18_432;

/// Compresses, so well as there is need.
pub(crate) fn compress(plain: &[u8]) -> Vec<u8> {
    let quick = quick(plain);
    if !NEAR_A_LIMIT.contains(&quick.len()) {
        return quick;
    }
    search(plain).filter(|small| small.len() < quick.len()).unwrap_or(quick)
}

/// Compresses in no time, to no less than [`compress`] does.
pub(crate) fn quick(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

/// Looks for the fewest bits. More blocks and rounds than these take four times as long for 2 % of the document.
fn search(plain: &[u8]) -> Option<Vec<u8>> {
    let options = Options {
        iteration_count: const { NonZeroU64::new(5).unwrap() },
        maximum_block_splits: 3,
        ..Options::default()
    };
    let mut bytes = Vec::new();
    zopfli::compress(options, Format::Gzip, plain, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::fmt::Write as _;
    use std::io::Read;

    /// Lines of which some repeat and some do not, as scripts and digests.
    fn text(lines: u64) -> String {
        let mut text = String::new();
        for line in 0..lines {
            let noise = line.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            writeln!(text, "export NAME_{line}=\"{noise:016x}\"").unwrap();
        }
        text
    }

    #[test]
    fn what_comes_near_a_limit_is_smaller_and_the_same() {
        for (lines, is_searched) in [(0, false), (100, false), (1_200, true), (3_000, false)] {
            let text = text(lines);
            let (quick, bytes) = (quick(text.as_bytes()), compress(text.as_bytes()));
            assert_eq!(bytes.len() < quick.len(), is_searched, "{lines}: {} bytes", quick.len());
            assert_eq!(compress(text.as_bytes()), bytes);
            let mut plain = String::new();
            GzDecoder::new(&bytes[..]).read_to_string(&mut plain).unwrap();
            assert_eq!(plain, text);
            // No time, no name: only the text counts.
            assert_eq!(bytes[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "{lines}");
        }
    }
}
