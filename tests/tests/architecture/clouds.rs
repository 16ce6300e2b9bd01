//! Who may know which cloud it is: its own crate, its profile, and what the provider does for it. Everybody
//! else asks the profile, so that another cloud is another profile and no search through the program.

use crate::source;
use std::fs;
use std::path::{Path, PathBuf};

/// The clouds in code, and in configuration.
const CLOUDS: [(&str, &str); 4] =
    [("Local", "local"), ("Aws", "aws"), ("Gcp", "gcp"), ("Azure", "azure")];

/// Where clouds are told apart.
const AT_HOME: [&str; 2] = ["provider/crates/cloud/src/profile/", "provider/src/clouds/"];

/// Words that are no cloud's name where they stand.
const OTHERS: &[(&str, &str)] = &[
    // The command that breaks machines of this computer.
    ("provider/src/main.rs", "local"),
    // The partition of an ARN.
    ("schemas/src/format.rs", "aws"),
];

#[test]
fn no_cloud_is_told_from_another_outside_its_own_files() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    for folder in ["provider/src", "schemas/src", "provider/crates"] {
        sources(&root.join(folder), &mut files);
    }
    let mut found = Vec::new();
    let (mut read, mut at_home) = (0, 0);
    for path in files {
        let name = path.strip_prefix(root).expect("it is below").display().to_string();
        let text = fs::read_to_string(&path).expect("a source");
        let names = names_of_clouds(&name, &text);
        let is_own = CLOUDS
            .iter()
            .any(|(_, word)| name.starts_with(&format!("provider/crates/cloud-{word}/")));
        if is_own || AT_HOME.iter().any(|home| name.starts_with(home)) {
            at_home += names.len();
        } else {
            read += 1;
            found.extend(names.into_iter().map(|said| format!("{name} says {said}")));
        }
    }
    assert!(read > 100 && at_home > 10, "{read} files, {at_home} names at home");
    assert!(found.is_empty(), "ask `CloudName::profile` instead:\n{}", found.join("\n"));
}

/// What the program itself says of single clouds, without its comments and its tests.
fn names_of_clouds(file: &str, text: &str) -> Vec<String> {
    let bare = source::bare(text);
    let paths = source::paths(&bare).into_iter().filter_map(|path| {
        let at = path.iter().position(|segment| segment == "CloudName")?;
        let cloud = path.get(at + 1)?;
        CLOUDS.iter().any(|(name, _)| name == cloud).then(|| format!("CloudName::{cloud}"))
    });
    let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String = program
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let words = CLOUDS.iter().filter(|(_, word)| !OTHERS.contains(&(file, *word)));
    let words = words.flat_map(|(_, word)| {
        let said = [format!("\"{word}\""), format!("starts_with(\"{word}/")];
        said.into_iter().filter(|said| code.contains(said.as_str())).collect::<Vec<_>>()
    });
    paths.chain(words).collect()
}

/// Every file of the program below; what is only for tests is not.
pub(crate) fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for found in fs::read_dir(folder).expect("a folder of sources") {
        let path = found.expect("a file").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let is_test = matches!(name, "tests" | "examples" | "scripted" | "sample")
            || name.ends_with("_tests");
        if is_test {
            continue;
        }
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
