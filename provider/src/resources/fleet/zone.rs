//! In which zone a fleet is made.

use crate::error::{Doing, Failure, Result};
use cloud::Cloud;
use domain::{catalogue, gpu::GpuRequest, id::FleetId, local_gpus::LocalGpus};
use plugin::AttributePath;
use schemas::Fleet;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The zone that is given, by itself or by a subnet, else the best of all; of each requested GPU it
/// offers at least one machine.
pub(super) async fn choose(
    cloud: &dyn Cloud,
    gpus: &LocalGpus,
    id: &FleetId,
    fleet: &Fleet,
) -> Result<String> {
    let doing = || format!("choose a zone for fleet {id}");
    let zones = |types: Vec<String>| async move {
        cloud.list_zones(&id.region, &types).await.doing(id.cloud, doing)
    };
    let of_subnet = match fleet.subnet.known() {
        Some(subnet) => {
            let zone = cloud.subnet_zone(&id.region, subnet).await;
            Some(zone.doing(id.cloud, || format!("find the zone of subnet {subnet}"))?)
        }
        None => None,
    };
    let given = match (fleet.zone.known(), of_subnet) {
        (Some(zone), Some(other)) if *zone != other => {
            return Err(Failure::Invalid {
                summary: "Subnet of another zone".to_owned(),
                detail: format!(
                    "The subnet is in zone `{other}`, and the fleet is to be in `{zone}`. Give a \
                     subnet of that zone, or leave one of them out."
                ),
                attribute: Some(AttributePath::root("subnet")),
            });
        }
        (Some(zone), _) => Some(zone.clone()),
        (None, of_subnet) => of_subnet,
    };
    let mut candidates = match &given {
        Some(zone) => vec![zone.clone()],
        None => zones(Vec::new()).await?,
    };
    // Of how many types machines can be had in each zone: where one is sold out, there are the others.
    let mut choices: BTreeMap<String, usize> = BTreeMap::new();
    for (index, gpu) in fleet.gpus.known().into_iter().flatten().enumerate() {
        let Some(gpu) = gpu.known() else { continue };
        let attribute = AttributePath::root("gpus").index(index);
        let invalid = |detail: String| Failure::Invalid {
            summary: format!("No machine with {}", gpu.0),
            detail,
            attribute: Some(attribute.clone()),
        };
        let request: GpuRequest = gpu.0.parse().map_err(|error| invalid(format!("{error}.")))?;
        let wanted = catalogue::Resources { gpu: Some(request), ..Default::default() };
        let offers =
            gpus.offers(id.cloud, &wanted).map_err(|error| invalid(format!("{error}.")))?;
        let mut offered = BTreeSet::new();
        for offer in offers {
            for zone in zones(vec![offer.instance_type]).await? {
                *choices.entry(zone.clone()).or_default() += 1;
                offered.insert(zone);
            }
        }
        candidates.retain(|zone| offered.contains(zone));
        if candidates.is_empty() {
            let others: Vec<_> = offered.iter().map(|zone| format!("`{zone}`")).collect();
            return Err(invalid(match (&given, others.is_empty()) {
                (_, true) => format!("No zone of region `{}` offers {}.", id.region, gpu.0),
                (Some(zone), false) => {
                    format!("Zone `{zone}` does not offer {}; {} do.", gpu.0, others.join(", "))
                }
                (None, false) => format!(
                    "No zone of region `{}` offers {} together with the ones before it; it alone is \
                     in {}.",
                    id.region,
                    gpu.0,
                    others.join(", ")
                ),
            }));
        }
    }
    best(candidates, &choices, id)
        .ok_or_else(|| Failure::Bug(format!("region {} has no zone", id.region)))
}

/// Where there is most to choose from. Of zones that are alike each fleet has its own order, and always the
/// same: else every fleet would be in zone `a`.
fn best(
    candidates: Vec<String>,
    choices: &BTreeMap<String, usize>,
    id: &FleetId,
) -> Option<String> {
    let order = |zone: &str| {
        let mut hasher = DefaultHasher::new();
        (id.to_string(), zone).hash(&mut hasher);
        hasher.finish()
    };
    let choice = |zone: &str| choices.get(zone).copied().unwrap_or_default();
    candidates.into_iter().min_by_key(|zone| (Reverse(choice(zone)), order(zone)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn chosen(fleet: &str, choices: &[(&str, usize)]) -> String {
        let candidates = choices.iter().map(|(zone, _)| (*zone).to_owned()).collect();
        let choices = choices.iter().map(|(zone, count)| ((*zone).to_owned(), *count)).collect();
        let id = format!("aws/us-east-2/{fleet}").parse().expect("an id");
        best(candidates, &choices, &id).expect("one of them")
    }

    #[test]
    fn most_choice_comes_first_and_fleets_spread_over_the_rest() {
        let choices = [("a", 1), ("b", 3), ("c", 3), ("d", 0)];
        let fleets: Vec<String> = (0..20).map(|number| format!("fleet-{number}")).collect();
        let all: BTreeSet<String> = fleets.iter().map(|fleet| chosen(fleet, &choices)).collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), ["b", "c"]);
        let alike = [("a", 0), ("b", 0), ("c", 0)];
        let turned = [("c", 0), ("a", 0), ("b", 0)];
        for fleet in &fleets {
            assert_eq!(chosen(fleet, &alike), chosen(fleet, &turned), "{fleet}");
        }
    }
}
