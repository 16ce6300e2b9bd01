//! EC2's token buckets. The figures are those that AWS documents; what it does not name counts as a mutating
//! call. Calls of one kind share a bucket. Not here: the smaller one for describing without filters and pages.

use super::refusal::Refusal;
use super::region::Region;
use crate::datacentre::Size;

const DESCRIBE: Size = Size { name: "describe", most: 100.0, per_second: 20.0 };
const MUTATE: Size = Size { name: "mutate", most: 50.0, per_second: 5.0 };
const LAUNCH: Size = Size { name: "launch", most: 5.0, per_second: 2.0 };
const LAUNCHED: Size = Size { name: "launched", most: 1000.0, per_second: 2.0 };
const STOPPED: Size = Size { name: "stopped", most: 1000.0, per_second: 20.0 };
const TERMINATE: Size = Size { name: "terminate", most: 100.0, per_second: 5.0 };
const TERMINATED: Size = Size { name: "terminated", most: 1000.0, per_second: 20.0 };
const TAG: Size = Size { name: "tag", most: 100.0, per_second: 10.0 };
const INTERFACE: Size = Size { name: "interface", most: 100.0, per_second: 5.0 };

impl Region {
    /// Takes what a call costs out of the account's buckets, unless one of them has too little.
    pub(super) fn admit(&mut self, operation: &str, instances: u32) -> Result<(), Refusal> {
        let instances = f64::from(instances);
        let costs: &[(Size, f64)] = match operation {
            "RunInstances" | "StartInstances" => &[(LAUNCH, 1.0), (LAUNCHED, instances)],
            "StopInstances" => &[(MUTATE, 1.0), (STOPPED, instances)],
            "TerminateInstances" => &[(TERMINATE, 1.0), (TERMINATED, instances)],
            "CreateTags" | "DeleteTags" => &[(TAG, 1.0)],
            "CreateNetworkInterface" | "DeleteNetworkInterface" => &[(INTERFACE, 1.0)],
            _ if operation.starts_with("Describe") || operation.starts_with("Get") => {
                &[(DESCRIBE, 1.0)]
            }
            _ => &[(MUTATE, 1.0)],
        };
        match self.charge(costs) {
            true => Ok(()),
            false => Err(Refusal::server(503, "RequestLimitExceeded", "Request limit exceeded.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datacentre::Settings;
    use std::time::Duration;

    fn throttled() -> Region {
        Region::new(Settings { throttles: true, ..Settings::default() }.into())
    }

    #[test]
    fn a_bucket_is_emptied_and_fills_up_again() {
        let mut region = throttled();
        let admitted = |region: &mut Region, calls: u32, instances: u32| {
            (0..calls).filter(|_| region.admit("RunInstances", instances).is_ok()).count()
        };
        assert_eq!(admitted(&mut region, 10, 1), 5);
        region.advance(Duration::from_secs(1));
        assert_eq!(admitted(&mut region, 10, 1), 2);
        region.advance(Duration::from_secs(10));
        assert_eq!(admitted(&mut region, 1, 999), 1);
        assert_eq!(admitted(&mut region, 1, 999), 0);
        assert!(region.admit("DescribeInstances", 0).is_ok(), "it has a bucket of its own");
    }

    #[test]
    fn each_kind_of_call_has_its_figures() {
        for (operation, together_with, at_once, in_a_second) in [
            ("StartInstances", "RunInstances", 5, 2),
            ("TerminateInstances", "TerminateInstances", 100, 5),
            ("CreateTags", "DeleteTags", 100, 10),
            ("DeleteNetworkInterface", "CreateNetworkInterface", 100, 5),
            ("DescribeInstances", "GetConsoleOutput", 100, 20),
            ("AssociateAddress", "CreateSecurityGroup", 50, 5),
        ] {
            let mut region = throttled();
            let mut admitted =
                |operation: &str| (0..1000).filter(|_| region.admit(operation, 1).is_ok()).count();
            // The clock goes on while this runs.
            let about = |most: usize| most..=most + 1;
            assert!(about(at_once).contains(&admitted(operation)), "{operation}");
            assert!(about(0).contains(&admitted(together_with)), "{together_with}");
            region.advance(Duration::from_secs(1));
            let later = (0..1000).filter(|_| region.admit(operation, 1).is_ok()).count();
            assert!(about(in_a_second).contains(&later), "{operation} a second later: {later}");
        }
    }
}
