//! What can end an operation beyond what its cloud and its machines do: values of configurations and states.
//! The words for the user are in `diagnose/`.

use orchestration::failure::Failure as Ended;
use plugin::{AttributePath, ConvertError};

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why an operation of a resource ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// As an operation on fleets, services and groups ends.
    Ended(Ended),
    /// What it needs does not exist.
    Missing { what: String, attribute: Option<AttributePath>, hint: String },
    /// This run removes it at one address in Terraform, and makes it or has it at another.
    TwoAddresses { what: String, kind: &'static str },
    /// A value that only now turns out to be wrong.
    Invalid { summary: String, detail: String, attribute: Option<AttributePath> },
    /// A state that no release of ours has written.
    Unreadable { what: String, detail: String },
    /// What the provider itself must never do.
    Bug(String),
}

impl Failure {
    /// An import id that is none.
    pub(crate) fn import_id(detail: String) -> Self {
        Self::Invalid {
            summary: "Invalid import id".to_owned(),
            detail,
            attribute: Some(AttributePath::root("id")),
        }
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<ConvertError> for Failure {
    fn from(error: ConvertError) -> Self {
        Self::Bug(error.to_string())
    }
}
