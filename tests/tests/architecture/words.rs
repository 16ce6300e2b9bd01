//! What runs applies for any program has no words of one of them.

use crate::clouds::sources;
use std::fs;
use std::path::Path;

/// Terraform has a state and applies; what is here has records and operations.
#[test]
fn the_crate_of_applies_does_not_name_terraform() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    sources(&root.join("provider/crates/orchestration/src"), &mut files);
    assert!(files.len() > 40, "{} files", files.len());
    for path in files {
        let text = fs::read_to_string(&path).expect("a source").to_lowercase();
        for word in ["terraform", "taint", "in no state", "the next apply"] {
            assert!(!text.contains(word), "{} says `{word}`", path.display());
        }
    }
}
