//! Fleets: claimed once, put back, removed.

use crate::conformance::examination::{
    Examination, Outcome, equal, expect, fails, not_examined, violation,
};
use crate::{
    ErrorKind, Feature, FleetKey, FleetRequest, LabelFilter, ObjectId, Phase, PlacementStrategy,
    Site, SiteFilter,
};
use std::collections::BTreeSet;

pub(super) async fn absence(of: &Examination<'_>) -> Outcome {
    let cloud = of.cloud();
    let (instance, address) = &of.subject.absent;
    let ids = std::slice::from_ref(instance);
    let all = LabelFilter::all();
    for is_made in [false, true] {
        if is_made {
            of.fleet().await?;
        } else {
            equal("fleet", &cloud.get_fleet(&of.key).await?, &None)?;
            cloud.delete_fleet(&of.key).await?;
        }
        let key: &FleetKey = &of.key;
        equal("instances", &cloud.list_instances(key, &all).await?, &Vec::new())?;
        equal("instances", &cloud.find_instances(key, ids).await?, &Vec::new())?;
        equal("addresses", &cloud.list_addresses(key, &all).await?, &Vec::new())?;
        equal("boot document", &cloud.boot_document(key, instance).await?, &None)?;
        equal("console", &cloud.console(key, instance).await?.text.as_str(), &"")?;
        expect(cloud.why_ended(key, ids).await?.is_empty(), "why nothing has ended")?;
        cloud.terminate_instances(key, ids).await?;
        cloud.release_address(key, address).await?;
    }
    Ok(())
}

pub(super) async fn sites(of: &Examination<'_>) -> Outcome {
    let find = async |filter: SiteFilter| of.cloud().find_sites(&of.key.region, &filter).await;
    let all = find(SiteFilter::default()).await?;
    let set: BTreeSet<&Site> = all.iter().collect();
    equal("sites", &set.len(), &all.len())?;
    let offered = SiteFilter {
        instance_types: vec![of.subject.offer.instance_type.clone()],
        ..SiteFilter::default()
    };
    let with_offer = find(offered.clone()).await?;
    expect(!with_offer.is_empty(), "no site has the offer")?;
    expect(with_offer.iter().all(|site| set.contains(site)), format!("{with_offer:?} of {all:?}"))?;
    for zone in with_offer.iter().filter_map(|site| site.zone.clone()) {
        let there = find(SiteFilter { zone: Some(zone.clone()), ..offered.clone() }).await?;
        let is_there = there.iter().all(|site| site.zone.as_ref() == Some(&zone));
        expect(is_there && !there.is_empty(), format!("{there:?} in {zone}"))?;
    }
    let nowhere = SiteFilter { zone: Some(NONE.to_owned()), ..SiteFilter::default() };
    equal("sites of a zone that there is not", &find(nowhere).await?, &Vec::new())
}

pub(super) async fn subnet(of: &Examination<'_>) -> Outcome {
    let (cloud, region) = (of.cloud(), &of.key.region);
    let request = of.fleet_request().await?;
    let of_subnet = |subnet: &str, zone: Option<&str>| SiteFilter {
        zone: zone.map(str::to_owned),
        subnet: Some(subnet.to_owned()),
        ..SiteFilter::default()
    };
    if !of.has(Feature::Subnet) {
        fails(ErrorKind::Unsupported, cloud.find_sites(region, &of_subnet(NONE, None)).await)?;
        let inside = FleetRequest { subnet: Some(NONE.to_owned()), ..request };
        fails(ErrorKind::Unsupported, cloud.create_fleet(&inside).await)?;
        return Err(not_examined("this cloud has no subnets, and says so"));
    }
    fails(ErrorKind::InvalidRequest, cloud.find_sites(region, &of_subnet(NONE, None)).await)?;
    let Some((subnet, zone)) = of.subject.account.subnet.clone() else {
        return Err(not_examined("the test's account has no subnet of its own"));
    };
    let site = Site { zone: Some(zone.clone()), subnet: Some(subnet.clone()) };
    for zone in [None, Some(zone.as_str())] {
        let found = cloud.find_sites(region, &of_subnet(&subnet, zone)).await?;
        equal("sites", &found, &vec![site.clone()])?;
    }
    let elsewhere = cloud.find_sites(region, &of_subnet(&subnet, Some(NONE))).await?;
    equal("sites of another zone", &elsewhere, &Vec::new())?;
    let zone = site.zone;
    let inside = FleetRequest { subnet: Some(subnet.clone()), zone, ..request };
    let fleet = cloud.create_fleet(&inside).await?;
    equal("subnet", &fleet.subnet, &Some(subnet))
}

pub(super) async fn same_request(of: &Examination<'_>) -> Outcome {
    let request = of.fleet_request().await?;
    let fleet = of.cloud().create_fleet(&request).await?;
    equal("tags", &fleet.tags, &request.tags)?;
    equal("zone", &fleet.zone, &request.zone)?;
    equal("placement", &fleet.placement, &request.placement)?;
    equal("the same again", &of.cloud().create_fleet(&request).await?, &fleet)?;
    equal("the fleet", &of.cloud().get_fleet(&of.key).await?, &Some(fleet))
}

/// Others may be making fleets in this region meanwhile.
pub(super) async fn listed(of: &Examination<'_>) -> Outcome {
    let (cloud, region) = (of.cloud(), of.key.region.as_str());
    let is_there = |listed: &[FleetKey]| listed.contains(&of.key);
    let before = cloud.list_fleets(region).await?;
    expect(!is_there(&before), format!("{before:?} before it is made"))?;
    of.fleet().await?;
    let made = of.until("the fleet is listed", async || {
        let listed = cloud.list_fleets(region).await?;
        Ok(if is_there(&listed) { Ok(listed) } else { Err(listed) })
    });
    let made = made.await?;
    expect(made.is_sorted_by_key(|key| &key.name), format!("{made:?} are not in order"))?;
    expect(made.iter().all(|key| key.region == region), format!("{made:?} of {region}"))?;
    cloud.delete_fleet(&of.key).await?;
    let gone = of.until("the fleet is listed no longer", async || {
        let listed = cloud.list_fleets(region).await?;
        Ok(if is_there(&listed) { Err(listed) } else { Ok(()) })
    });
    gone.await
}

pub(super) async fn claim(of: &Examination<'_>) -> Outcome {
    let (cloud, request) = (of.cloud(), of.fleet_request().await?);
    cloud.create_fleet(&request).await?;
    let other = FleetRequest { placement: PlacementStrategy::Cluster, ..request.clone() };
    fails(ErrorKind::Conflict, cloud.create_fleet(&other).await)?;
    cloud.tag(&of.key, &[ObjectId::Fleet], &Phase::Ready.tag()).await?;
    fails(ErrorKind::Conflict, cloud.create_fleet(&request).await)?;
    let fleet = cloud.get_fleet(&of.key).await?;
    equal("phase", &fleet.map(|fleet| fleet.phase()), &Some(Phase::Ready))
}

pub(super) async fn claimed_at_once(of: &Examination<'_>) -> Outcome {
    let (cloud, request) = (of.cloud(), of.fleet_request().await?);
    let (one, same) = tokio::join!(cloud.create_fleet(&request), cloud.create_fleet(&request));
    equal("the same request at once", &one?, &same?)?;
    cloud.delete_fleet(&of.key).await?;

    let other = FleetRequest { placement: PlacementStrategy::Cluster, ..request.clone() };
    let (one, two) = tokio::join!(cloud.create_fleet(&request), cloud.create_fleet(&other));
    let winner = match (one, two) {
        (Ok(fleet), Err(error)) | (Err(error), Ok(fleet)) => {
            fails(ErrorKind::Conflict, Err::<(), _>(error))?;
            fleet
        }
        both => return Err(violation(format!("{both:?}"))),
    };
    equal("the winner", &cloud.get_fleet(&of.key).await?, &Some(winner))
}

pub(super) async fn repair_of_nothing(of: &Examination<'_>) -> Outcome {
    let fleet = of.fleet().await?;
    expect(fleet.findings.is_empty(), format!("{:?}", fleet.findings))?;
    equal("repaired", &of.cloud().repair_fleet(&of.key).await?, &fleet)
}

pub(super) async fn repair(of: &Examination<'_>) -> Outcome {
    let (cloud, fleet) = (of.cloud(), of.fleet().await?);
    match of.sabotage()?.alter_fleet(&of.key).await {
        Err(error) if error.kind == ErrorKind::Unsupported => {
            return Err(not_examined(error.message));
        }
        altered => altered?,
    }
    let found = cloud.get_fleet(&of.key).await?.map(|fleet| fleet.findings.len());
    expect(found > Some(0), "the change is not found")?;
    equal("repaired", &cloud.repair_fleet(&of.key).await?, &fleet)
}

pub(super) async fn deletion(of: &Examination<'_>) -> Outcome {
    let cloud = of.cloud();
    of.fleet().await?;
    let address = of.address("address-1").await?;
    let mut request = of.launch_request("router", 1);
    request.address = Some(address.id.clone());
    let router = of.one_running(&request).await?;

    fails(ErrorKind::InUse, cloud.release_address(&of.key, &address.id).await)?;
    fails(ErrorKind::InUse, cloud.delete_fleet(&of.key).await)?;
    let mut second = of.launch_request("second", 1);
    second.address = Some(address.id.clone());
    fails(ErrorKind::InUse, cloud.launch(&second).await)?;

    of.terminate(std::slice::from_ref(&router)).await?;
    fails(ErrorKind::InUse, cloud.delete_fleet(&of.key).await)?;
    for _ in 0..2 {
        cloud.release_address(&of.key, &address.id).await?;
    }
    for _ in 0..2 {
        cloud.delete_fleet(&of.key).await?;
    }
    equal("fleet", &cloud.get_fleet(&of.key).await?, &None)
}

/// The name of nothing.
const NONE: &str = "conformance-none";
