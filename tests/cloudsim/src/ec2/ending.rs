//! Why machines end, as EC2 tells it.

use crate::datacentre::{End, Machine, MachineState};

/// Why a machine is in its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateReason {
    pub(super) code: String,
    pub(super) message: String,
}

impl StateReason {
    /// Of a machine in a state: none while it is to run.
    pub(super) fn of(machine: &Machine, state: MachineState) -> Option<Self> {
        let code = code_of(machine.end_in(state)?).to_owned();
        let message = format!("{code}: {}", explained(&code));
        Some(Self { code, message })
    }
}

fn code_of(end: &End) -> &str {
    match end {
        End::ByUser => "Client.UserInitiatedShutdown",
        End::TakenBack => "Server.SpotInstanceTermination",
        End::Lost => "Server.InternalError",
        End::Own(code) => code,
    }
}

/// EC2's words for a code, near enough.
fn explained(code: &str) -> &'static str {
    match code {
        "Client.UserInitiatedShutdown" => "User initiated shutdown",
        "Server.SpotInstanceTermination" => "Spot instance termination",
        "Server.InternalError" => "Internal error",
        "Client.InternalError" => "Client error on launch",
        "Client.VolumeLimitExceeded" => "Volume limit exceeded",
        _ => "The instance was terminated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datacentre::Settings;
    use crate::ec2::launch::Launch;
    use crate::ec2::{Account, Region};
    use std::time::Duration;

    const BOOT: Duration = Duration::from_secs(100);

    fn place() -> Region {
        let datacentre = Settings { boot_seconds: BOOT.as_secs_f64(), ..Settings::default() };
        let account = Account { images: vec!["ami-0".to_owned()], ..Account::default() };
        Region::new(crate::ec2::Settings { datacentre, account })
    }

    fn launch(region: &mut Region, count: u32, spot: bool) -> Vec<String> {
        let market = spot.then(|| ("InstanceMarketOptions.MarketType".into(), "spot".into()));
        let launch = Launch {
            count,
            instance_type: "m7i.large".to_owned(),
            image: "ami-0".to_owned(),
            tags: [("group".to_owned(), "decode".to_owned())].into(),
            more: market.into_iter().collect(),
            ..Launch::default()
        };
        region.run(&launch, "", false).unwrap()
    }

    fn shown(region: &Region, id: &str) -> (MachineState, Option<String>) {
        let machine = &region.machines[id];
        let state = region.state(machine);
        (state, StateReason::of(machine, state).map(|reason| reason.message))
    }

    #[test]
    fn who_ends_it_shows() {
        let mut region = place();
        let ids = launch(&mut region, 3, true);
        region.terminate(&ids[..1]).unwrap();
        assert!(region.take_back(&ids[1]));
        assert!(region.lose(&ids[2]));
        // To repeat it changes nothing.
        region.terminate(&ids).unwrap();
        let reasons = ids.iter().map(|id| shown(&region, id).1.unwrap());
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
        let mut region = place();
        region.end_after_pending("group", "prefill", 5, "Client.InternalError");
        region.end_after_pending("group", "decode", 2, "Client.VolumeLimitExceeded");
        let ids = launch(&mut region, 3, false);
        for id in &ids {
            assert_eq!(shown(&region, id), (MachineState::Pending, None));
        }
        region.advance(BOOT);
        let ended = "Client.VolumeLimitExceeded: Volume limit exceeded".to_owned();
        for id in &ids[..2] {
            assert_eq!(shown(&region, id), (MachineState::Ended, Some(ended.clone())));
        }
        assert_eq!(shown(&region, &ids[2]), (MachineState::Running, None));
        region.terminate(&ids).unwrap();
        assert_eq!(shown(&region, &ids[0]).1, Some(ended), "it has ended before");
    }
}
