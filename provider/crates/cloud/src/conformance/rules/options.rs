//! What a launch may ask for where the cloud has it; a cloud that has no such thing refuses it.

use crate::conformance::examination::{
    Examination, Outcome, equal, expect, fails, not_examined, violation,
};
use crate::{Egress, ErrorKind, Feature, LaunchRequest, Purchase};

pub(super) async fn identity(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let with = |identity: &str| LaunchRequest {
        identity: Some(identity.to_owned()),
        ..of.launch_request("workers", 1)
    };
    if !of.has(Feature::Identity) {
        return refused(of, &with(NONE), "identities of machines").await;
    }
    // Where a cloud lags behind, one that there is not reads as one that is too new.
    let unknown = match of.cloud().profile().propagation.is_eventual() {
        true => ErrorKind::NotVisibleYet,
        false => ErrorKind::InvalidRequest,
    };
    fails(unknown, of.cloud().check_launch(&with(NONE)).await)?;
    let Some(identity) = &of.subject.account.identity else {
        return Err(not_examined("the test's account has no identity for machines"));
    };
    launches(of, &with(identity)).await
}

pub(super) async fn reservation(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let with = |id: &str| LaunchRequest {
        purchase: Purchase::Reserved { id: id.to_owned(), prepaid: false },
        ..of.launch_request("workers", 1)
    };
    if !of.has(Feature::Reservation) {
        return refused(of, &with(NONE), "reservations").await;
    }
    fails(ErrorKind::InvalidRequest, of.cloud().check_launch(&with(NONE)).await)?;
    let Some(reservation) = &of.subject.account.reservation else {
        return Err(not_examined("the test's account has no reservation"));
    };
    launches(of, &with(reservation)).await
}

pub(super) async fn image(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let with = |image: &str, group: &str| LaunchRequest {
        image: Some(image.to_owned()),
        ..of.launch_request(group, 1)
    };
    if !of.has(Feature::Image) {
        return refused(of, &with(NONE, "workers"), "images").await;
    }
    fails(ErrorKind::InvalidRequest, of.cloud().check_launch(&with(NONE, "workers")).await)?;
    let newest = of.one_running(&of.launch_request("newest", 1)).await?;
    let image = newest.image.ok_or_else(|| violation("an instance does not tell its image"))?;
    let asked_for = of.one_running(&with(&image, "workers")).await?;
    equal("image", &asked_for.image, &Some(image))
}

pub(super) async fn spot(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let spot = LaunchRequest { purchase: Purchase::Spot, ..of.launch_request("workers", 1) };
    if !of.has(Feature::Spot) {
        return refused(of, &spot, "spot market").await;
    }
    launches(of, &spot).await
}

pub(super) async fn egress(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let own = LaunchRequest { egress: Egress::PublicIp, ..of.launch_request("workers", 1) };
    if !of.has(Feature::PublicAddress) {
        return refused(of, &own, "public addresses of instances").await;
    }
    let before = of.one_running(&own).await?;
    let is_repairable = before.findings.iter().all(|finding| finding.repairable);
    expect(!before.findings.is_empty() && is_repairable, format!("{:?}", before.findings))?;
    for _ in 0..2 {
        of.cloud().repair_instance(&of.key, &before.id).await?;
        let after = of.reach_running(&before.id).await?;
        equal("findings", &after.findings, &Vec::new())?;
    }
    Ok(())
}

/// Checked, and made.
async fn launches(of: &Examination<'_>, request: &LaunchRequest) -> Outcome {
    of.cloud().check_launch(request).await?;
    of.one_running(request).await.map(drop)
}

/// A cloud that has no such thing makes nothing, and says so.
async fn refused(of: &Examination<'_>, request: &LaunchRequest, what: &str) -> Outcome {
    fails(ErrorKind::Unsupported, of.cloud().check_launch(request).await)?;
    fails(ErrorKind::Unsupported, of.cloud().launch(request).await)?;
    Err(not_examined(format!("this cloud has no {what}, and says so")))
}

/// The name of nothing.
const NONE: &str = "conformance-none";
