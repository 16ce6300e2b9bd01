//! Where the GPUs of the local cloud's machines come from: they are pretended, or they are those of this
//! computer. Pure: what is in the computer is found by the local cloud and handed in.
//!
//! Deliberately not here: which of them are free. That is known only when machines are launched.

use crate::catalogue::{self, NoOffer, Resources};
use crate::gpu::GpuRequest;
use crate::host_machine;
use cloud::{CloudName, Offer};
use std::collections::BTreeMap;

/// The GPUs of the local cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LocalGpus {
    /// Pretended, for trials without any: as many of each model as are asked for.
    #[default]
    Simulated,
    /// Those of this computer.
    Detected(ThisComputer),
    /// Those of this computer were to be looked for, and could not be: why, as a sentence's end.
    Unknown(String),
}

/// This computer, as far as machines are made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThisComputer {
    /// GPUs that machines can have: how many there are of each of [`MODELS`](crate::gpu::MODELS).
    pub usable: BTreeMap<String, u32>,
    /// Every GPU in words, also those that no machine can have.
    pub gpus: Vec<String>,
    /// The version of its driver: `580.159.04`.
    pub driver: String,
    /// Its CPUs, which all machines share.
    pub cpu: u32,
    /// Its main memory in GB, which all machines share.
    pub memory_gb: u32,
}

impl LocalGpus {
    /// A computer that has these GPUs and whatever else it takes.
    pub fn as_asked_for(gpu: &GpuRequest) -> Self {
        Self::Detected(ThisComputer {
            usable: BTreeMap::from([(gpu.model.clone(), gpu.count.min)]),
            cpu: u32::MAX,
            memory_gb: u32::MAX,
            ..ThisComputer::default()
        })
    }

    /// As [`catalogue::offers`], with what is in this computer.
    ///
    /// # Errors
    /// When no machine fits: with what there is instead.
    pub fn offers(&self, cloud: CloudName, wanted: &Resources) -> Result<Vec<Offer>, NoOffer> {
        match (self, cloud.profile().is_this_computer, &wanted.gpu) {
            (Self::Detected(computer), true, Some(gpu)) => computer.offers(cloud, wanted, gpu),
            (Self::Unknown(why), true, Some(gpu)) => {
                Err(NoOffer::ThisComputer { wanted: gpu.clone(), there: why.clone() })
            }
            _ => catalogue::offers(cloud, wanted),
        }
    }

    /// As [`catalogue::all`], with what is in this computer.
    pub fn all(&self, cloud: CloudName, wanted: &Resources) -> Vec<Offer> {
        let listed = catalogue::all(cloud, wanted);
        let without_gpus = |offers: Vec<Offer>| {
            offers.into_iter().filter(|offer| offer.gpu.is_none()).collect::<Vec<_>>()
        };
        match (self, cloud.profile().is_this_computer) {
            (Self::Detected(computer), true) => {
                let mut offers = without_gpus(listed);
                offers.extend(computer.machines(cloud).filter(|offer| wanted.fits(offer)));
                offers
            }
            (Self::Unknown(_), true) => without_gpus(listed),
            _ => listed,
        }
    }

    /// Why no machines of `count` with these GPUs each can ever be there at once, if so.
    pub fn never_enough(&self, cloud: CloudName, offer: &Offer, count: u32) -> Option<String> {
        let (Self::Detected(computer), true) = (self, cloud.profile().is_this_computer) else {
            return None;
        };
        let model = offer.gpu.as_ref()?;
        let there = computer.usable.get(model).copied().unwrap_or_default();
        let wanted = u64::from(count) * u64::from(offer.gpu_count);
        (wanted > u64::from(there)).then(|| {
            format!(
                "{count} machines with {} {model} each need {wanted} of them, and {}",
                offer.gpu_count,
                computer.inventory()
            )
        })
    }

    /// The version of this computer's driver, when it is older than `minimum`.
    pub fn driver_before(&self, minimum: &str) -> Option<&str> {
        let Self::Detected(computer) = self else { return None };
        (parts(&computer.driver) < parts(minimum)).then_some(computer.driver.as_str())
    }
}

impl ThisComputer {
    /// A machine may have any number of GPUs of one model, so what is asked for is had exactly.
    fn offers(
        &self,
        cloud: CloudName,
        wanted: &Resources,
        gpu: &GpuRequest,
    ) -> Result<Vec<Offer>, NoOffer> {
        let enough: Vec<Offer> = self
            .machines(cloud)
            .filter(|offer| offer.gpu.as_ref() == Some(&gpu.model))
            .filter(|offer| gpu.count.contains(offer.gpu_count))
            .collect();
        if enough.is_empty() {
            return Err(NoOffer::ThisComputer { wanted: gpu.clone(), there: self.inventory() });
        }
        let fitting: Vec<Offer> =
            enough.iter().filter(|offer| wanted.fits(offer)).cloned().collect();
        if fitting.is_empty() {
            return Err(NoOffer::shape(wanted, &enough.iter().collect::<Vec<_>>()));
        }
        Ok(fitting)
    }

    fn machines(&self, cloud: CloudName) -> impl Iterator<Item = Offer> {
        self.usable.iter().flat_map(move |(model, most)| {
            (1..=*most).map(move |count| Offer {
                cpu: self.cpu,
                memory_gb: self.memory_gb,
                ..host_machine::offer(model, count, catalogue::priced_on(cloud))
            })
        })
    }

    fn inventory(&self) -> String {
        match self.gpus.as_slice() {
            [] => "this computer has no NVIDIA GPU".to_owned(),
            gpus => format!("this computer has {}", gpus.join(", ")),
        }
    }
}

/// `580.159.04` as the numbers that it is compared by.
fn parts(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.trim().parse().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn two_l4s() -> LocalGpus {
        LocalGpus::Detected(ThisComputer {
            usable: BTreeMap::from([("L4".to_owned(), 2)]),
            gpus: vec!["GPU 0: L4".to_owned(), "GPU 1: L4".to_owned()],
            driver: "580.159.04".to_owned(),
            cpu: 32,
            memory_gb: 128,
        })
    }

    fn wanted(gpu: &str) -> Resources {
        Resources { gpu: Some(gpu.parse().unwrap()), ..Resources::default() }
    }

    fn check(gpus: &LocalGpus, wanted: &Resources, expected: Expect) {
        let text = match gpus.offers(CloudName::Local, wanted) {
            Ok(offers) => {
                let names = offers.iter().map(|offer| offer.instance_type.as_str());
                names.collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn machines_are_made_of_what_is_there() {
        check(&two_l4s(), &wanted("L4"), expect!["host-l4-1"]);
        check(&two_l4s(), &wanted("L4:2"), expect!["host-l4-2"]);
        check(&two_l4s(), &wanted("L4:1..8"), expect!["host-l4-1 host-l4-2"]);
        check(
            &two_l4s(),
            &wanted("L4:3"),
            expect!["no machine has `L4:3`: this computer has GPU 0: L4, GPU 1: L4"],
        );
        check(
            &two_l4s(),
            &wanted("H200:2"),
            expect!["no machine has `H200:2`: this computer has GPU 0: L4, GPU 1: L4"],
        );
        check(
            &two_l4s(),
            &Resources { cpu: Some(64), ..wanted("L4") },
            expect!["no such machine has 64 CPUs; the greatest has 32 CPUs and 128 GB of memory"],
        );
        check(
            &LocalGpus::Detected(ThisComputer::default()),
            &wanted("L4"),
            expect!["no machine has `L4`: this computer has no NVIDIA GPU"],
        );
        check(
            &LocalGpus::Unknown("nvidia-smi is missing".to_owned()),
            &wanted("L4"),
            expect!["no machine has `L4`: nvidia-smi is missing"],
        );
        check(&LocalGpus::Simulated, &wanted("L4:2"), expect!["l4-2"]);
        check(&LocalGpus::Unknown(String::new()), &Resources::default(), expect!["cpu-2-4"]);
    }

    #[test]
    fn other_clouds_are_what_they_are() {
        let wanted = wanted("H200:8");
        assert_eq!(
            two_l4s().offers(CloudName::Aws, &wanted),
            catalogue::offers(CloudName::Aws, &wanted)
        );
    }

    #[test]
    fn names_lead_back_to_their_machines() {
        for offer in two_l4s().all(CloudName::Local, &Resources::default()) {
            let found = catalogue::find(CloudName::Local, &offer.instance_type).unwrap();
            assert_eq!(
                (found.gpu, found.gpu_count, found.interconnect, found.simulated),
                (offer.gpu, offer.gpu_count, offer.interconnect, false)
            );
        }
        assert!(catalogue::find(CloudName::Local, "host-a100-80gb-3").is_some());
        for other in ["host-", "host-x-1", "host-l4-0", "host-l4"] {
            assert_eq!(host_machine::find(other, "2026-07-20"), None, "{other}");
        }
    }

    #[test]
    fn what_can_never_be_there_is_said() {
        let offer = host_machine::offer("L4", 1, "2026-07-20");
        assert_eq!(two_l4s().never_enough(CloudName::Local, &offer, 2), None);
        assert_eq!(two_l4s().never_enough(CloudName::Aws, &offer, 3), None);
        expect![
            "3 machines with 1 L4 each need 3 of them, and this computer has GPU 0: L4, GPU 1: L4"
        ]
        .assert_eq(&two_l4s().never_enough(CloudName::Local, &offer, 3).unwrap());
    }

    #[test]
    fn drivers_are_compared_by_their_numbers() {
        for (minimum, old) in [
            ("580.00.03", false),
            ("580.159.04", false),
            ("580.159.05", true),
            ("575.999.99", false),
            ("1000.1", true),
        ] {
            assert_eq!(two_l4s().driver_before(minimum).is_some(), old, "{minimum}");
        }
    }
}
