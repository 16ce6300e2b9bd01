//! Instances that run: found, tagged, rebooted, put back, removed.

use crate::conformance::examination::{
    Examination, Outcome, equal, expect, ids, not_examined, violation,
};
use crate::{ErrorKind, LabelFilter, ObjectId, Phase, tag};

pub(super) async fn found(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let running = of.running(&of.launch_request("workers", 2)).await?;
    let (one, other) = (&running[0], &running[1]);
    let wanted = [one.id.clone(), of.subject.absent.0.clone(), other.id.clone()];
    let found = of.cloud().find_instances(&of.key, &wanted).await?;
    equal("found", &ids(&found), &ids(&running))?;
    of.terminate(std::slice::from_ref(one)).await?;
    let found = of.cloud().find_instances(&of.key, &wanted).await?;
    equal("found later", &ids(&found), &ids(std::slice::from_ref(other)))
}

pub(super) async fn tags(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let request = of.launch_request("workers", 2);
    let workers = of.running(&request).await?;
    let others = of.running(&of.launch_request("others", 1)).await?;
    equal("of one group", &of.listed(&of.filter("workers")).await?, &ids(&workers))?;
    equal("of the other", &of.listed(&of.filter("others")).await?, &ids(&others))?;
    equal("of all", &of.listed(&LabelFilter::all()).await?.len(), &3)?;

    let objects = workers.iter().map(|worker| ObjectId::Instance(worker.id.clone()));
    of.cloud().tag(&of.key, &objects.collect::<Vec<_>>(), &Phase::Ready.tag()).await?;
    let mut expected = request.tags.clone();
    expected.extend(Phase::Ready.tag());
    let ready = LabelFilter::all().and(tag::PHASE, Phase::Ready.as_str());
    let tagged = of.cloud().list_instances(&of.key, &ready).await?;
    equal("tagged", &ids(&tagged), &ids(&workers))?;
    expect(tagged.iter().all(|worker| worker.tags == expected), format!("{:?}", tagged[0].tags))
}

pub(super) async fn reboot(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let before = of.one_running(&of.launch_request("workers", 1)).await?;
    of.cloud().reboot_instance(&of.key, &before.id).await?;
    let after = of.reach_running(&before.id).await?;
    equal("address", &after.ip, &before.ip)
}

pub(super) async fn termination(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let others = of.running(&of.launch_request("others", 1)).await?;
    let workers = of.running(&of.launch_request("workers", 2)).await?;
    for _ in 0..2 {
        of.terminate(&workers).await?;
    }
    equal("left", &of.listed(&LabelFilter::all()).await?, &ids(&others))
}

pub(super) async fn repair_of_nothing(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let before = of.one_running(&of.launch_request("workers", 1)).await?;
    equal("findings", &before.findings, &Vec::new())?;
    of.cloud().repair_instance(&of.key, &before.id).await?;
    equal("repaired", &of.reach_running(&before.id).await?, &before)
}

pub(super) async fn repair(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let before = of.one_running(&of.launch_request("workers", 1)).await?;
    match of.sabotage()?.alter(&of.key, &before.id).await {
        Err(error) if error.kind == ErrorKind::Unsupported => {
            return Err(not_examined(error.message));
        }
        altered => altered?,
    }
    let altered = of.reach_running(&before.id).await?;
    if altered.findings.is_empty() || altered.findings.iter().any(|finding| !finding.repairable) {
        return Err(violation(format!("found: {:?}", altered.findings)));
    }
    of.cloud().repair_instance(&of.key, &before.id).await?;
    equal("repaired", &of.reach_running(&before.id).await?, &before)
}
