//! What the one router machine of a service needs.

use cloud::InstanceState;

/// The router machine, as the cloud has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterObserved {
    /// What it is doing.
    pub state: InstanceState,
}

/// One thing to do for a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterStep {
    /// Launch one at the reserved address.
    Launch,
    /// Start the one that is stopped: same address, same disk, same leases.
    Start,
    /// Reboot the one that does not work: same address, same disk.
    Reboot,
}

/// What brings the router back; nothing when it is up.
pub fn plan_router(observed: Option<RouterObserved>) -> Vec<RouterStep> {
    let Some(RouterObserved { state }) = observed else { return vec![RouterStep::Launch] };
    match state {
        InstanceState::Pending | InstanceState::Running | InstanceState::Unreachable => Vec::new(),
        InstanceState::Impaired => vec![RouterStep::Reboot],
        InstanceState::Stopping | InstanceState::Stopped => vec![RouterStep::Start],
        InstanceState::Terminating => vec![RouterStep::Launch],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        use InstanceState::*;
        for (state, steps) in [
            (None, vec![RouterStep::Launch]),
            (Some(Pending), vec![]),
            (Some(Running), vec![]),
            (Some(Impaired), vec![RouterStep::Reboot]),
            (Some(Unreachable), vec![]),
            (Some(Stopping), vec![RouterStep::Start]),
            (Some(Stopped), vec![RouterStep::Start]),
            (Some(Terminating), vec![RouterStep::Launch]),
        ] {
            assert_eq!(
                plan_router(state.map(|state| RouterObserved { state })),
                steps,
                "{state:?}"
            );
        }
    }
}
