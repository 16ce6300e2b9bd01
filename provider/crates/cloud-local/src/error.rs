//! From what can go wrong on this machine to what the contract calls it.

use cloud::{CloudError, ErrorKind, SshKey};
use machine::files::FileError;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The state directory could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "the state directory {} was written by a newer version of the provider (format {found}; \
         this one knows {known})",
        path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error(
        "{} has had the lock {} for {} seconds and more; if it hangs, end it",
        holder.as_deref().unwrap_or("another process"),
        path.display(),
        waited.as_secs()
    )]
    Locked { path: PathBuf, holder: Option<String>, waited: Duration },
}

impl StateError {
    /// For `map_err`: what was being done, to which file.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let of_file = FileError::io(doing, path);
        move |source| Self::File(of_file(source))
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::File(FileError::Io { source, .. }) => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::PermissionDenied
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    ErrorKind::QuotaExceeded
                }
                _ => ErrorKind::Other,
            },
            Self::File(FileError::Malformed { .. }) | Self::Newer { .. } => {
                ErrorKind::InvalidRequest
            }
            Self::Locked { .. } => ErrorKind::Unavailable,
        }
    }
}

/// Names the call of the contract that an error ended.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str) -> cloud::Result<T>;
}

impl<T, E: Into<StateError>> During<T> for Result<T, E> {
    fn during(self, operation: &'static str) -> cloud::Result<T> {
        self.map_err(|error| {
            let error: StateError = error.into();
            let kind = error.kind();
            let message = error.to_string();
            let cloud_error = CloudError::new(kind, operation, message);
            // The sentence is the message already; only what is below it is news.
            match error {
                StateError::File(FileError::Io { source, .. }) => cloud_error.source(source),
                StateError::File(FileError::Malformed { source, .. }) => cloud_error.source(source),
                StateError::Newer { .. } | StateError::Locked { .. } => cloud_error,
            }
        })
    }
}

/// A request that names something that is not there.
pub(crate) fn absent(operation: &'static str, what: &str, name: &str) -> CloudError {
    CloudError::new(ErrorKind::InvalidRequest, operation, format!("there is no such {what}"))
        .object(name)
        .code("NotFound")
}

/// A request that is wrong in itself.
pub(crate) fn invalid(operation: &'static str, message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::InvalidRequest, operation, message).code("InvalidRequest")
}

/// Who may use this computer has its machines.
pub(crate) fn no_ssh(key: &SshKey) -> CloudError {
    let message = "machines of the local cloud are processes of this computer";
    CloudError::new(ErrorKind::Unsupported, "SetSsh", message).object(key.to_string()).code("NoSsh")
}

/// The local cloud has no networks to choose from.
pub(crate) fn no_subnets(subnet: &str) -> CloudError {
    CloudError::new(ErrorKind::Unsupported, "ListSubnets", "the local cloud has no subnets")
        .object(subnet)
        .code("NoSubnets")
}
