//! What an operation on a service waits for.

use crate::failure::{Failure, Fate, Result};
use crate::readiness::{self, RouterAccess, is_running};
use cloud::Deadline;
use domain::id::ServiceId;

/// What an operation waits for before it says that there is a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// It is healthy.
    Ready,
    /// The cloud says that it runs.
    Running,
    /// The cloud knows it. Whoever comes next waits for it: groups for their workers, which watch it too.
    Listed,
}

pub(crate) async fn wait(
    deadline: &Deadline,
    wait_for: WaitFor,
    id: &ServiceId,
    access: &RouterAccess,
) -> Result<()> {
    let machines = std::slice::from_ref(&access.instance);
    let what = format!("the router of service {id}");
    let gone = match wait_for {
        WaitFor::Ready => return readiness::router(deadline, access).await,
        WaitFor::Running => {
            readiness::running(deadline, access, &what, machines, is_running).await?
        }
        WaitFor::Listed => readiness::running(deadline, access, &what, machines, |_| true).await?,
    };
    match gone.is_empty() {
        true => Ok(()),
        false => Err(Failure::Boot { what, machines: gone, fate: Fate::Untouched }),
    }
}
