//! Why machines end, as EC2 tells it, and machines that end before they run.

use super::machine::Order;
use super::{Datacentre, Machine, MachineState, Tags};

/// Somebody has told it to.
pub(crate) const BY_USER: &str = "Client.UserInitiatedShutdown";
/// A spot machine was taken back.
pub(crate) const TAKEN_BACK: &str = "Server.SpotInstanceTermination";
/// It is the cloud's fault.
pub(crate) const LOST: &str = "Server.InternalError";

/// Why a machine is in its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateReason {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Machines that are going to end before they run.
#[derive(Debug)]
pub(crate) struct Ending {
    key: String,
    value: String,
    left: u32,
    code: String,
}

impl Datacentre {
    /// Makes the next machines that are launched with a tag end by themselves, as many as `count`: they are
    /// pending for as long as others boot, and then terminated, for a reason such as
    /// `Client.VolumeLimitExceeded`.
    pub fn end_after_pending(&mut self, key: &str, value: &str, count: u32, code: &str) {
        self.endings.push(Ending {
            key: key.to_owned(),
            value: value.to_owned(),
            left: count,
            code: code.to_owned(),
        });
    }

    /// What a machine with these tags is told to do at its launch, and the reason if it is going to end.
    pub(crate) fn first_order(&mut self, tags: &Tags) -> (Order, Option<String>) {
        let now = self.now();
        let is_meant =
            |ending: &&mut Ending| ending.left > 0 && tags.get(&ending.key) == Some(&ending.value);
        match self.endings.iter_mut().find(is_meant) {
            Some(ending) => {
                ending.left -= 1;
                (Order::Fail(now), Some(ending.code.clone()))
            }
            None => (Order::Run(now), None),
        }
    }
}

impl Machine {
    /// Why it is in a state: none while it is to run, also when it is known how that will end.
    pub(crate) fn reason_in(&self, state: MachineState) -> Option<StateReason> {
        if matches!(state, MachineState::Pending | MachineState::Running) {
            return None;
        }
        let code = self.reason.clone()?;
        let message = format!("{code}: {}", explained(&code));
        Some(StateReason { code, message })
    }
}

/// EC2's words for a code, near enough.
fn explained(code: &str) -> &'static str {
    match code {
        BY_USER => "User initiated shutdown",
        TAKEN_BACK => "Spot instance termination",
        LOST => "Internal error",
        "Client.InternalError" => "Client error on launch",
        "Client.VolumeLimitExceeded" => "Volume limit exceeded",
        _ => "The instance was terminated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datacentre::{Launch, Settings};
    use std::time::Duration;

    const BOOT: Duration = Duration::from_secs(100);

    fn place() -> Datacentre {
        Datacentre::new(Settings {
            boot_seconds: BOOT.as_secs_f64(),
            images: vec!["ami-0".to_owned()],
            ..Settings::default()
        })
    }

    fn launch(datacentre: &mut Datacentre, count: u32, spot: bool) -> Vec<String> {
        let market = spot.then(|| ("InstanceMarketOptions.MarketType".into(), "spot".into()));
        let launch = Launch {
            count,
            instance_type: "m7i.large".to_owned(),
            image: "ami-0".to_owned(),
            tags: [("group".to_owned(), "decode".to_owned())].into(),
            more: market.into_iter().collect(),
            ..Launch::default()
        };
        let machines = datacentre.run(&launch, "", false).unwrap();
        machines.into_iter().map(|machine| machine.id).collect()
    }

    fn shown(datacentre: &Datacentre, id: &str) -> (MachineState, Option<String>) {
        let machine = &datacentre.machines[id];
        let state = datacentre.state(machine);
        (state, machine.reason_in(state).map(|reason| reason.message))
    }

    #[test]
    fn who_ends_it_shows() {
        let mut datacentre = place();
        let ids = launch(&mut datacentre, 3, true);
        datacentre.terminate(&ids[..1]).unwrap();
        assert!(datacentre.take_back(&ids[1]));
        assert!(datacentre.lose(&ids[2]));
        // To repeat it changes nothing.
        datacentre.terminate(&ids).unwrap();
        let reasons = ids.iter().map(|id| shown(&datacentre, id).1.unwrap());
        assert_eq!(
            reasons.collect::<Vec<_>>(),
            [
                "Client.UserInitiatedShutdown: User initiated shutdown",
                "Server.SpotInstanceTermination: Spot instance termination",
                "Server.InternalError: Internal error",
            ]
        );
    }

    #[test]
    fn some_end_before_they_run() {
        let mut datacentre = place();
        datacentre.end_after_pending("group", "prefill", 5, "Client.InternalError");
        datacentre.end_after_pending("group", "decode", 2, "Client.VolumeLimitExceeded");
        let ids = launch(&mut datacentre, 3, false);
        for id in &ids {
            assert_eq!(shown(&datacentre, id), (MachineState::Pending, None));
        }
        datacentre.advance(BOOT);
        let ended = "Client.VolumeLimitExceeded: Volume limit exceeded".to_owned();
        for id in &ids[..2] {
            assert_eq!(shown(&datacentre, id), (MachineState::Terminated, Some(ended.clone())));
        }
        assert_eq!(shown(&datacentre, &ids[2]), (MachineState::Running, None));
        datacentre.terminate(&ids).unwrap();
        assert_eq!(shown(&datacentre, &ids[0]).1, Some(ended), "it has ended before");
    }
}
