//! Who may know whom in here: the core knows no cloud.

use std::fs;
use std::path::Path;

/// Words of one cloud, or of what stands above the core.
const NOT_THE_CORE_S: &[&str] = &[
    "crate::ec2",
    "crate::server",
    "security group",
    "securitygroup",
    "elastic",
    "vpc",
    "xml",
    "placement group",
    "amazon",
    "aws",
    "us-east",
];

#[test]
fn the_core_knows_no_cloud() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/datacentre");
    let files = fs::read_dir(&core).unwrap().map(|entry| entry.unwrap().path());
    let mut read = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap().to_lowercase();
        for word in NOT_THE_CORE_S {
            assert!(!text.contains(word), "{} says `{word}`", file.display());
        }
        read += 1;
    }
    assert!(read > 5, "{}", core.display());
}
