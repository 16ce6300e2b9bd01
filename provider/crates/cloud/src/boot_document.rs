//! What a machine boots from, whatever form its cloud hands it over in.

use std::fmt;

/// Where the spec stands on a machine.
pub const SPEC_PATH: &str = "/etc/disagg/spec.json";

/// Where everything stands that differs between machines.
const SETTINGS: &str = "/etc/disagg/";

/// Files and units of a machine, and what it was made from.
///
/// It holds no secret, and nothing that differs between the machines of one launch. A cloud hands it over
/// in a rendering of its own and gives it back from there, or from a copy that it keeps: not every cloud
/// shows what a machine was launched with.
///
/// [`BootDocument::to_cloud_config`] is the rendering for images that run cloud-init. Where none runs there
/// will be others of the same files and units: a script that installs them on a host over SSH, or a volume
/// with the files from which a pod's supervisor starts the units. Each writes [`BootDocument::all_files`] and
/// then enables `units`, and nothing else.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BootDocument {
    /// Files, in the order in which they are written; the spec is not among them.
    pub files: Vec<BootFile>,
    /// Units to enable and start, in this order, by their full names: `disagg-ready.service`. Their files
    /// are among the files.
    pub units: Vec<String>,
    /// What the machine was made from, as JSON: whoever finds the machine learns it from there. No cloud
    /// looks into it.
    pub spec: String,
}

/// A file of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFile {
    /// Its absolute path.
    pub path: String,
    /// Its permissions: `0o600`.
    pub mode: u32,
    /// Its content.
    pub content: String,
}

impl BootFile {
    /// A file that is the machine's own business.
    pub fn private(path: &str, content: String) -> Self {
        Self { path: path.to_owned(), mode: 0o600, content }
    }

    fn is_setting(&self) -> bool {
        self.path.starts_with(SETTINGS)
    }
}

impl BootDocument {
    /// Every file, in the order in which they are written. The spec is one of them, after the others of its
    /// directory: what is alike stands together, where it compresses better.
    pub fn all_files(&self) -> Vec<BootFile> {
        let mut files = self.files.clone();
        let place = files.iter().rposition(BootFile::is_setting).map_or(0, |last| last + 1);
        files.insert(place, BootFile::private(SPEC_PATH, self.spec.clone()));
        files
    }

    /// The content of a file.
    pub fn file(&self, path: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == path);
        file.map(|file| file.content.as_str())
    }

    /// The largest file that comes from the user's own input, and its size in bytes.
    pub(crate) fn largest_setting(&self) -> (String, usize) {
        let files = self.all_files().into_iter().filter(BootFile::is_setting);
        let largest = files.max_by_key(|file| file.content.len());
        largest.map(|file| (file.path, file.content.len())).unwrap_or_default()
    }
}

/// Without contents: they are long, and no log's business.
impl fmt::Debug for BootDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.iter().map(|file| (&file.path, file.content.len()));
        f.debug_struct("BootDocument")
            .field("files", &files.collect::<Vec<_>>())
            .field("units", &self.units)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_stands_behind_the_files_of_its_directory() {
        let file = |path: &str| BootFile::private(path, String::new());
        for (paths, place) in [
            (&[][..], 0),
            (&["/opt/a"], 0),
            (&["/etc/disagg/env", "/opt/a"], 1),
            (&["/etc/disagg/env", "/opt/a", "/etc/disagg/secrets", "/opt/b"], 3),
        ] {
            let files = paths.iter().map(|path| file(path)).collect();
            let document = BootDocument { files, ..BootDocument::default() };
            let all = document.all_files();
            assert_eq!(all[place].path, SPEC_PATH);
            assert_eq!(all.len(), paths.len() + 1);
        }
    }

    #[test]
    fn no_log_shows_a_content() {
        let files = vec![BootFile::private("/etc/disagg/env", "private".to_owned())];
        let spec = "private".to_owned();
        let document = BootDocument { files, units: vec!["a.service".to_owned()], spec };
        let shown = format!("{document:?}");
        assert!(shown.contains("a.service") && !shown.contains("private"), "{shown}");
    }
}
