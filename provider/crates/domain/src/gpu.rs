//! Requests for GPUs: `H200` is exactly one per machine, `H200:8` exactly eight, `H200:4..8` a range.

use crate::text::{listed, nearest, serde_as_text, shown};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// The GPU models that requests and offers speak of: NVIDIA, Ampere or newer, because that is what
/// Dynamo's images run on. Models of two memory sizes are two names.
pub const MODELS: &[&str] = &[
    "A10",
    "A10G",
    "A100-40GB",
    "A100-80GB",
    "L4",
    "L40S",
    "RTX-3090",
    "RTX-4090",
    "RTX-5090",
    "RTX-A6000",
    "RTX-6000-ADA",
    "RTX-PRO-4500",
    "RTX-PRO-6000",
    "H100",
    "H100-NVL",
    "H200",
    "B200",
    "B300",
    "GB200",
    "GB300",
];

/// GPUs that each machine must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GpuRequest {
    /// One of [`MODELS`].
    pub model: String,
    /// How many per machine.
    pub count: CountRange,
}

/// At least `min` and at most `max`; `min` is at least 1 and no more than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CountRange {
    /// The smallest count that will do.
    pub min: u32,
    /// The greatest count that is wanted.
    pub max: u32,
}

impl CountRange {
    /// Whether this many will do.
    pub fn contains(self, count: u32) -> bool {
        (self.min..=self.max).contains(&count)
    }
}

impl fmt::Display for CountRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{}..{}", self.min, self.max)
        }
    }
}

/// A text that asks for no GPUs.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidGpuRequest {
    /// No GPU has this name.
    #[error(
        "`{model}` is not a known GPU model{}; known are {}",
        .nearest.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default(),
        listed(MODELS)
    )]
    UnknownModel {
        /// What was given.
        model: String,
        /// The known model that is most like it.
        nearest: Option<&'static str>,
    },
    /// What stands after the colon is no count.
    #[error(
        "`{0}` is not a count of GPUs; right would be `H200` (exactly one), `H200:8` (exactly \
         eight) or `H200:4..8`"
    )]
    Count(String),
}

/// Greatest count of GPUs in one machine that is believed.
const MOST_GPUS: u32 = 1024;

impl FromStr for GpuRequest {
    type Err = InvalidGpuRequest;

    fn from_str(text: &str) -> Result<Self, InvalidGpuRequest> {
        let (model, count) = match text.split_once(':') {
            Some((model, count)) => (model, Some(count)),
            None => (text, None),
        };
        if !MODELS.contains(&model) {
            return Err(InvalidGpuRequest::UnknownModel {
                model: shown(model),
                nearest: nearest(model, MODELS.iter().copied()),
            });
        }
        let count = match count {
            None => CountRange { min: 1, max: 1 },
            Some(count) => range(count).ok_or_else(|| InvalidGpuRequest::Count(shown(count)))?,
        };
        Ok(Self { model: model.to_owned(), count })
    }
}

fn range(text: &str) -> Option<CountRange> {
    let number = |text: &str| -> Option<u32> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|count| plain && (1..=MOST_GPUS).contains(count))
    };
    let (min, max) = match text.split_once("..") {
        Some((min, max)) => (number(min)?, number(max)?),
        None => (number(text)?, number(text)?),
    };
    (min <= max).then_some(CountRange { min, max })
}

impl fmt::Display for GpuRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.model)?;
        match self.count {
            CountRange { min: 1, max: 1 } => Ok(()),
            count => write!(f, ":{count}"),
        }
    }
}

serde_as_text!(GpuRequest);

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn requests() {
        for (text, min, max) in
            [("H200", 1, 1), ("H200:8", 8, 8), ("H200:4..8", 4, 8), ("A100-80GB:1..2", 1, 2)]
        {
            let request: GpuRequest = text.parse().unwrap();
            assert_eq!(request.count, CountRange { min, max }, "{text}");
            assert_eq!(request.to_string(), text);
        }
        assert_eq!("H200:1".parse::<GpuRequest>().unwrap().to_string(), "H200");
    }

    #[test]
    fn refusals() {
        for text in [
            "",
            ":8",
            "H200:",
            "H200:0",
            "H200:+8",
            "H200:8..4",
            "H200:..8",
            "H200:4..",
            "H200:99999",
            "H200: 8",
        ] {
            assert!(text.parse::<GpuRequest>().is_err(), "{text}");
        }
        let error = |text: &str| text.parse::<GpuRequest>().unwrap_err().to_string();
        expect!["`h200` is not a known GPU model (did you mean `H200`?); known are `A10`, `A10G`, `A100-40GB`, `A100-80GB`, `L4`, `L40S`, `RTX-3090`, `RTX-4090`, `RTX-5090`, `RTX-A6000`, `RTX-6000-ADA`, `RTX-PRO-4500`, `RTX-PRO-6000`, `H100`, `H100-NVL`, `H200`, `B200`, `B300`, `GB200` and `GB300`"]
            .assert_eq(&error("h200:8"));
        expect!["`8..4` is not a count of GPUs; right would be `H200` (exactly one), `H200:8` (exactly eight) or `H200:4..8`"]
            .assert_eq(&error("H200:8..4"));
    }
}
