//! A service of a machine, and where it is defined. How its file is read is in `unit_file`.

use std::{path::PathBuf, time::Duration};

/// A service, with its instance name filled in. Paths are those on a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) name: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) environment_files: Vec<EnvironmentFile>,
    pub(crate) working_directory: Option<PathBuf>,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// The pause before it is started again, however it ended.
    pub(crate) restart_delay: Duration,
    /// From SIGTERM to SIGKILL.
    pub(crate) stop_timeout: Duration,
    pub(crate) kill_mode: KillMode,
    /// How many files each of its processes may have open; what the provider itself may, when it says nothing.
    pub(crate) open_files: Option<u64>,
    /// Whether its output goes to the console as well as to the journal.
    pub(crate) console: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvironmentFile {
    pub(crate) path: PathBuf,
    pub(crate) optional: bool,
}

/// Who gets SIGTERM; SIGKILL is for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KillMode {
    /// Every process of the unit.
    ControlGroup,
    /// The main process.
    Mixed,
}

/// The file that defines a unit: its own, or its template's.
pub(crate) fn file_names(name: &str) -> impl Iterator<Item = String> {
    let template = name.split_once('@').map(|(prefix, _)| format!("{prefix}@.service"));
    std::iter::once(name.to_owned()).chain(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_defined_by_its_own_file_or_its_template() {
        let names = |name| file_names(name).collect::<Vec<_>>();
        assert_eq!(names("a.service"), ["a.service"]);
        assert_eq!(names("a@1.service"), ["a@1.service", "a@.service"]);
    }
}
