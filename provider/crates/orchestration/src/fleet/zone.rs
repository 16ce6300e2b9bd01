//! In which zone a fleet is made.

use super::DesiredFleet;
use crate::failure::{Doing, Failure, NoZone, Result};
use crate::orchestrator::Orchestrator;
use cloud::{Cloud, Offer, SiteFilter};
use domain::{catalogue, gpu::GpuRequest, id::FleetId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The zone that is given, by itself or by a subnet, else the best of all; of each requested GPU it
/// offers at least one machine. None in a cloud that has no zones.
pub(crate) async fn choose(
    orchestrator: &Orchestrator,
    cloud: &dyn Cloud,
    fleet: &DesiredFleet,
) -> Result<Option<String>> {
    let id = &fleet.id;
    let doing = || format!("choose a zone for fleet {id}");
    let sites = |filter: SiteFilter| async move {
        cloud.find_sites(&id.region, &filter).await.doing(id.cloud, doing)
    };
    let of_subnet = match &fleet.subnet {
        Some(subnet) => {
            let filter = SiteFilter { subnet: Some(subnet.clone()), ..SiteFilter::default() };
            let found = cloud.find_sites(&id.region, &filter).await;
            let found = found.doing(id.cloud, || format!("find the zone of subnet {subnet}"))?;
            found.into_iter().find_map(|site| site.zone)
        }
        None => None,
    };
    let given = match (fleet.zone.clone(), of_subnet) {
        (Some(wanted), Some(found)) if wanted != found => {
            return Err(Failure::NoZone(NoZone::SubnetOfAnother { found, wanted }));
        }
        (Some(zone), _) => Some(zone),
        (None, of_subnet) => of_subnet,
    };
    let mut candidates = match &given {
        Some(zone) => vec![Some(zone.clone())],
        None => {
            let all = sites(SiteFilter::default()).await?;
            all.into_iter().map(|site| site.zone).collect::<BTreeSet<_>>().into_iter().collect()
        }
    };
    // Of how many types machines can be had in each zone: where one is sold out, there are the others.
    let mut choices: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for (index, (gpu, offers)) in fleet.gpus.iter().zip(offers(orchestrator, fleet)?).enumerate() {
        let mut offered = BTreeSet::new();
        for offer in offers {
            let filter =
                SiteFilter { instance_types: vec![offer.instance_type], ..SiteFilter::default() };
            let zones = sites(filter).await?.into_iter().map(|site| site.zone);
            for zone in zones.collect::<BTreeSet<_>>() {
                *choices.entry(zone.clone()).or_default() += 1;
                offered.insert(zone);
            }
        }
        candidates.retain(|zone| offered.contains(zone));
        if candidates.is_empty() {
            return Err(Failure::NoZone(NoZone::NotOffered {
                index,
                gpu: gpu.clone(),
                region: id.region.clone(),
                wanted: given,
                others: offered.into_iter().flatten().collect(),
            }));
        }
    }
    best(candidates, &choices, id)
        .ok_or_else(|| Failure::Bug(format!("region {} has no site for a fleet", id.region)))
}

/// The machines with each of the fleet's GPUs, in their order.
pub(crate) fn offers(orchestrator: &Orchestrator, fleet: &DesiredFleet) -> Result<Vec<Vec<Offer>>> {
    let of_gpu = |(index, gpu): (usize, &GpuRequest)| {
        let wanted = catalogue::Resources { gpu: Some(gpu.clone()), ..Default::default() };
        orchestrator
            .offers(fleet.id.cloud, &wanted)
            .map_err(|error| Failure::NoZone(NoZone::NoOffer { index, gpu: gpu.clone(), error }))
    };
    fleet.gpus.iter().enumerate().map(of_gpu).collect()
}

/// Where there is most to choose from. Of zones that are alike each fleet has its own order, and always the
/// same: else every fleet would be in zone `a`.
fn best(
    candidates: Vec<Option<String>>,
    choices: &BTreeMap<Option<String>, usize>,
    id: &FleetId,
) -> Option<Option<String>> {
    let order = |zone: &Option<String>| {
        let mut hasher = DefaultHasher::new();
        (id.to_string(), zone.as_deref().unwrap_or_default()).hash(&mut hasher);
        hasher.finish()
    };
    let choice = |zone: &Option<String>| choices.get(zone).copied().unwrap_or_default();
    candidates.into_iter().min_by_key(|zone| (Reverse(choice(zone)), order(zone)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn chosen(fleet: &str, choices: &[(&str, usize)]) -> String {
        let candidates = choices.iter().map(|(zone, _)| Some((*zone).to_owned())).collect();
        let choices =
            choices.iter().map(|(zone, count)| (Some((*zone).to_owned()), *count)).collect();
        let id = format!("aws/us-east-2/{fleet}").parse().expect("an id");
        best(candidates, &choices, &id).flatten().expect("one of them")
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
