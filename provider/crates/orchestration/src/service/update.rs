//! A service is brought to what is declared, without another router: its rule, its way from outside, and whatever
//! is not as it was made.

use super::address::{change_endpoint, set_ingress};
use super::find::find_by_id;
use super::recovery::recover;
use super::{DesiredService, findings};
use crate::failure::Result;
use crate::journal::Journal;
use crate::orchestrator::Orchestrator;
use crate::snapshot::Freshness;
use cloud::{Address, Deadline, Instance};
use domain::finding::Subject;
use domain::id::ServiceId;

/// What of a service is to be brought to what is declared.
#[derive(Clone, Copy, Debug)]
pub struct ServiceChange {
    /// Who may reach it from outside.
    pub ingress: bool,
    /// Where clients reach it.
    pub endpoint: bool,
    /// Something was seen not to be as it was made: what it is, is looked at again, and put back.
    pub has_drift: bool,
}

/// What is done, as soon as it is.
#[derive(Clone, Debug)]
pub enum ServiceProgress {
    /// Those may reach it who are to.
    Opened,
    /// Clients reach it there.
    Reachable(Address),
    /// Its router is up, and all else as it was made.
    Recovered(Box<Instance>),
}

/// Brings a service to what it is to be.
///
/// # Errors
/// When something of it cannot be put back without another router, when the router does not boot, and when the
/// cloud refuses it.
pub async fn update(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &ServiceId,
    desired: &DesiredService,
    change: ServiceChange,
    journal: &mut dyn Journal<ServiceProgress>,
) -> Result<()> {
    let drifted = match change.has_drift {
        true => Some(orchestrator.snapshot(deadline, &id.fleet, Freshness::New).await?),
        false => None,
    };
    let is_rule_another = drifted.as_ref().is_some_and(|snapshot| {
        let findings = findings(&find_by_id(snapshot, id), snapshot, &desired.spec);
        findings.iter().any(|finding| finding.object == Subject::Rule)
    });
    if change.ingress || is_rule_another {
        set_ingress(orchestrator, deadline, id, desired).await?;
        journal.saved(&ServiceProgress::Opened);
    }
    if change.endpoint {
        let address = change_endpoint(orchestrator, deadline, id, desired).await?;
        journal.saved(&ServiceProgress::Reachable(address));
    }
    if let Some(snapshot) = drifted {
        let router = recover(orchestrator, deadline, id, desired, &snapshot).await?;
        journal.saved(&ServiceProgress::Recovered(Box::new(router)));
    }
    Ok(())
}
