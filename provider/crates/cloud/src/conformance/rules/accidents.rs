//! What happens to machines and zones by itself.

use crate::conformance::examination::{
    Examination, Outcome, equal, expect, fails, ids, not_examined,
};
use crate::{ErrorKind, InstanceState, LabelFilter};

pub(super) async fn stopped(of: &Examination<'_>) -> Outcome {
    let sabotage = of.sabotage()?;
    of.fleet().await?;
    let before = of.one_running(&of.launch_request("workers", 1)).await?;
    sabotage.stop(&of.key, &before.id).await?;
    of.reach(&before.id, Some(InstanceState::Stopped)).await?;
    for _ in 0..2 {
        of.cloud().start_instance(&of.key, &before.id).await?;
    }
    equal("address", &of.reach_running(&before.id).await?.ip, &before.ip)
}

pub(super) async fn impaired(of: &Examination<'_>) -> Outcome {
    let sabotage = of.sabotage()?;
    of.fleet().await?;
    let before = of.one_running(&of.launch_request("workers", 1)).await?;
    match sabotage.impair(&of.key, &before.id).await {
        Err(error) if error.kind == ErrorKind::Unsupported => {
            return Err(not_examined(error.message));
        }
        impaired => impaired?,
    }
    of.reach(&before.id, Some(InstanceState::Impaired)).await?;
    of.cloud().reboot_instance(&of.key, &before.id).await?;
    equal("address", &of.reach_running(&before.id).await?.ip, &before.ip)
}

pub(super) async fn lost(of: &Examination<'_>) -> Outcome {
    let sabotage = of.sabotage()?;
    of.fleet().await?;
    let mut request = of.launch_request("workers", 1);
    let lost = of.running(&request).await?;
    sabotage.lose(&of.key, &lost[0].id).await?;
    of.reach(&lost[0].id, None).await?;
    let again = match of.cloud().launch(&request).await {
        // The token is used up for good.
        Err(error) if error.kind == ErrorKind::TokenSpent => {
            request.token = of.token("workers-2");
            of.cloud().launch(&request).await?
        }
        again => again?,
    };
    expect(ids(&again).is_disjoint(&ids(&lost)), "the same instance")?;
    equal("listed", &of.listed(&of.filter("workers")).await?, &ids(&again))
}

pub(super) async fn ended(of: &Examination<'_>) -> Outcome {
    let sabotage = of.sabotage()?;
    of.fleet().await?;
    let both = of.running(&of.launch_request("workers", 2)).await?;
    let (lost, runs) = (both[0].id.clone(), both[1].id.clone());
    sabotage.lose(&of.key, &lost).await?;
    of.reach(&lost, None).await?;
    let told = of.cloud().why_ended(&of.key, &[lost.clone(), runs]).await?;
    let Some(why) = told.get(&lost) else {
        expect(told.is_empty(), format!("{told:?}"))?;
        return Err(not_examined("this cloud forgets what has ended"));
    };
    expect(told.len() == 1 && !why.is_empty(), format!("{told:?}"))
}

pub(super) async fn full(of: &Examination<'_>) -> Outcome {
    let sabotage = of.sabotage()?;
    of.fleet().await?;
    let first = of.running(&of.launch_request("first", 1)).await?;
    // The first is one of them.
    sabotage.limit(Some(2)).await?;
    let request = of.launch_request("full", 2);
    fails(ErrorKind::InsufficientCapacity, of.cloud().launch(&request).await)?;
    of.until("what a failed launch made is removed", async || {
        let left = of.cloud().list_instances(&of.key, &of.filter("full")).await?;
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })
    .await?;
    equal("left", &of.listed(&LabelFilter::all()).await?, &ids(&first))
}
