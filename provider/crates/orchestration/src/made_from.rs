//! What a machine was made from, by its own word: whatever has become of its tags, its boot document still says
//! so.

use crate::failure::{Doing, Result};
use cloud::{BootDocument, Cloud, ErrorKind, FleetKey, InstanceId};
use domain::made_from::ForeignSpec;

/// The answer of a machine.
#[derive(Debug)]
pub enum MadeFrom<S> {
    /// This.
    Spec(S),
    /// It is there, and what it carries is nothing of ours: why, as in `it is that of a router, …`.
    Unreadable(String),
    /// It is not there any more.
    Gone,
}

impl<S> MadeFrom<S> {
    /// The spec, for those who make no difference between machines that do not say what they are.
    pub fn spec(self) -> Option<S> {
        match self {
            Self::Spec(spec) => Some(spec),
            Self::Unreadable(_) | Self::Gone => None,
        }
    }
}

/// Asks a machine; `read` is [`domain::made_from::router`] or [`domain::made_from::worker`].
///
/// # Errors
/// When the cloud does not answer.
pub async fn made_from<S>(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &InstanceId,
    read: impl FnOnce(&BootDocument) -> Result<S, ForeignSpec>,
) -> Result<MadeFrom<S>> {
    match cloud.boot_document(fleet, id).await {
        Err(error) if error.kind == ErrorKind::Unreadable => {
            Ok(MadeFrom::Unreadable(error.message))
        }
        document => {
            let document =
                document.doing(cloud.name(), || format!("read the user data of {id}"))?;
            let Some(document) = document else { return Ok(MadeFrom::Gone) };
            Ok(match read(&document) {
                Ok(spec) => MadeFrom::Spec(spec),
                Err(error) => MadeFrom::Unreadable(error.to_string()),
            })
        }
    }
}
