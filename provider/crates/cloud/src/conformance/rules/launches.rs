//! Launches: checked, made once, all that was asked for.

use crate::conformance::examination::{Examination, Outcome, equal, expect, fails, ids};
use crate::{ErrorKind, LabelFilter};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) async fn check(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let request = of.launch_request("router", 1);
    of.cloud().check_launch(&request).await?;
    expect(of.listed(&LabelFilter::all()).await?.is_empty(), "it was made")?;
    let mut too_large = request.clone();
    too_large.document.spec = incompressible(of.cloud().profile().user_data_bytes + 1);
    let none = of.launch_request("none", 0);
    for wrong in [&too_large, &none] {
        fails(ErrorKind::InvalidRequest, of.cloud().check_launch(wrong).await)?;
        fails(ErrorKind::InvalidRequest, of.cloud().launch(wrong).await)?;
    }
    expect(of.listed(&LabelFilter::all()).await?.is_empty(), "something was made")
}

pub(super) async fn same_token(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let request = of.launch_request("workers", 1);
    let launched = of.cloud().launch(&request).await?;
    equal("launched", &launched.len(), &1)?;
    expect(launched[0].state.is_up(), launched[0].state)?;
    equal("the same again", &ids(&of.cloud().launch(&request).await?), &ids(&launched))?;
    let mut other = request.clone();
    other.document.spec.push(' ');
    fails(ErrorKind::Conflict, of.cloud().launch(&other).await)?;
    of.reach_running(&launched[0].id).await?;
    equal("and later", &ids(&of.cloud().launch(&request).await?), &ids(&launched))?;
    equal("listed", &of.listed(&LabelFilter::all()).await?, &ids(&launched))
}

pub(super) async fn clock(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let launched = of.cloud().launch(&of.launch_request("workers", 1)).await?;
    let now = of.cloud().now();
    let age = now.abs_diff(launched[0].launched_at);
    expect(age < 60, format!("launched at {} and asked at {now}", launched[0].launched_at))
}

pub(super) async fn at_once(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let request = of.launch_request("workers", 2);
    let launch = || of.cloud().launch(&request);
    let (one, two, three) = tokio::join!(launch(), launch(), launch());
    let one = ids(&one?);
    equal("of the second", &ids(&two?), &one)?;
    equal("of the third", &ids(&three?), &one)?;
    equal("listed", &of.listed(&LabelFilter::all()).await?, &one)
}

/// At every moment a run may be stopped or its time be over.
pub(super) async fn dropped(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let request = of.launch_request("workers", 2);
    for milliseconds in [0, 1, 2, 5, 10, 20, 50, 100] {
        let moment = Duration::from_millis(milliseconds);
        // Whether it was fast enough does not matter.
        let _ = tokio::time::timeout(moment, of.cloud().launch(&request)).await;
    }
    let launched = of.cloud().launch(&request).await?;
    equal("launched", &launched.len(), &2)?;
    let mut all = BTreeSet::new();
    for instance in &launched {
        all.insert(of.reach_running(&instance.id).await?.id);
    }
    equal("listed", &of.listed(&of.filter("workers")).await?, &all)
}

pub(super) async fn several(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let running = of.running(&of.launch_request("workers", 3)).await?;
    let addresses: BTreeSet<_> = running.iter().filter_map(|worker| worker.ip).collect();
    equal("addresses", &addresses.len(), &3)?;
    equal("listed", &of.listed(&of.filter("workers")).await?, &ids(&running))
}

pub(super) async fn comes_up(of: &Examination<'_>) -> Outcome {
    let cloud = of.cloud();
    of.fleet().await?;
    let address = of.address("address-1").await?;
    let mut request = of.launch_request("router", 1);
    request.address = Some(address.id);
    let router = of.one_running(&request).await?;
    equal("address", &router.ip, &Some(address.ip))?;
    equal("tags", &router.tags, &request.tags)?;
    equal("type", &router.instance_type, &of.subject.offer.instance_type)?;
    let document = cloud.boot_document(&of.key, &router.id).await?;
    equal("boot document", &document, &Some(request.document))?;
    of.until("what it prints is on its console", async || {
        let console = cloud.console(&of.key, &router.id).await?;
        let has_line = console.text.lines().any(|line| line == of.subject.console_line);
        Ok(if has_line { Ok(()) } else { Err(console.text) })
    })
    .await
}

/// Text that takes this many bytes even when it is compressed.
fn incompressible(bytes: usize) -> String {
    // Four bits a digit: twice the digits would do, if they were chosen at random.
    let blocks = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(4);
    (0..blocks).map(|block| format!("{:016x}", block.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect()
}
