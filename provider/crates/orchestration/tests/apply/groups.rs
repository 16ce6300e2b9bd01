//! A group is brought to what is declared: more machines, fewer, others in the place of those that are lost, and a
//! roll. Each with what serves meanwhile, at the least.

use crate::harness::{
    Declared, MINUTE, Run, SECOND, Stage, amiss, declared, settings, settle, workers,
};
use crate::words;
use cloud::{CloudName, Instance, LabelFilter, tag};
use cloud_memory::{Course, Memory, Reply};
use domain::planner::UpdateStrategy;
use domain::spec::WorkerRole::{Decode, Prefill};
use expect_test::{Expect, expect};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CLOUD: CloudName = CloudName::Aws;

fn three() -> Declared {
    declared(CLOUD, &[(Decode, 3)])
}

/// Something happens to a group that serves, and something else may be declared; the next apply.
async fn brought(
    happens: fn(&Memory),
    change: fn(Declared) -> Declared,
    expect: Expect,
) -> (Memory, Declared) {
    let stage = Stage::applied(settings(CLOUD), &three()).await;
    let (cloud, mut state) = stage.again();
    happens(&cloud);
    sleep(20 * SECOND).await;
    let (mut run, start) = (Run::new(&cloud), Instant::now());
    run.limit = 10 * MINUTE;
    let declared = change(stage.declared.clone());
    let (ended, least) = while_serving(&cloud, run.apply(&declared, &mut state)).await;
    let (told, took) = (words::told(&ended, &run.warnings), start.elapsed().as_secs());
    settle().await;
    let left = words::inventory(&cloud);
    expect.assert_eq(&format!("after {took} s, {least} at the least: {told}\n    left: {left}\n"));
    if ended.is_ok() && run.warnings.is_empty() {
        assert_eq!(amiss(&cloud, &declared).await, Vec::<String>::new());
    }
    (cloud, declared)
}

/// What comes of it, and how many engines the router had at the least.
async fn while_serving<T>(cloud: &Memory, work: impl Future<Output = T>) -> (T, usize) {
    let mut least = usize::MAX;
    let watch = async {
        loop {
            least = least.min(serving(cloud).await);
            sleep(Duration::from_millis(100)).await;
        }
    };
    let done = tokio::select! {
        biased;
        () = watch => unreachable!("it goes on for ever"),
        done = work => done,
    };
    (done, least)
}

async fn serving(cloud: &Memory) -> usize {
    let Some(router) = cloud.routers().into_iter().next().and_then(|router| router.ip) else {
        return 0;
    };
    match cloud.another_process().http(&format!("http://{router}:8000/health"), None).await {
        Reply::Answer { body, .. } => body.matches("generate\"").count() / 2,
        Reply::Refused | Reply::NoRoute => 0,
    }
}

fn first(cloud: &Memory) -> Instance {
    workers(cloud, Decode).remove(0)
}

fn boots(cloud: &Memory, course: Course) {
    cloud.boots(LabelFilter::all().and(tag::ROLE, "decode"), [course]);
}

fn fails() -> Course {
    Course::Fails { after: SECOND, phase: "engine", code: 1, line: "out of memory" }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_where_all_is_well() {
    let (cloud, _) = brought(|_| {}, |declared| declared, expect![[r#"
        after 0 s, 3 at the least: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running, decode i-5 running
    "#]]).await;
    assert_eq!(cloud.count_launched(), 4);
}

#[tokio::test(start_paused = true)]
async fn more_and_fewer() {
    brought(|_| {}, |declared| declared.scaled_to(5), expect![[r#"
        after 5 s, 3 at the least: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running, decode i-5 running, decode i-6 running, decode i-7 running
    "#]]).await;
    brought(
        |_| {},
        |declared| declared.scaled_to(1),
        expect![[r#"
        after 2 s, 1 at the least: done
            left: address a-1, router i-2 running, decode i-3 running
    "#]],
    )
    .await;
    brought(
        |_| {},
        |declared| declared.scaled_to(0),
        expect![[r#"
        after 2 s, 0 at the least: done
            left: address a-1, router i-2 running
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_replaced_and_what_is_down_is_brought_back() {
    let lose = |cloud: &Memory| cloud.lose(&first(cloud).id);
    brought(lose, |declared| declared, expect![[r#"
        after 5 s, 2 at the least: done
            left: address a-1, router i-2 running, decode i-4 running, decode i-5 running, decode i-6 running
    "#]]).await;
    let stop = |cloud: &Memory| cloud.stop(&first(cloud).id);
    brought(stop, |declared| declared, expect![[r#"
        after 5 s, 2 at the least: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running, decode i-5 running
    "#]]).await;
    let impair = |cloud: &Memory| cloud.impair(&first(cloud).id);
    brought(impair, |declared| declared, expect![[r#"
        after 7 s, 2 at the least: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running, decode i-5 running
    "#]]).await;
    let all = |cloud: &Memory| workers(cloud, Decode).iter().for_each(|one| cloud.lose(&one.id));
    brought(all, |declared| declared, expect![[r#"
        after 5 s, 0 at the least: done
            left: address a-1, router i-2 running, decode i-6 running, decode i-7 running, decode i-8 running
    "#]]).await;
}

/// One worker that cannot be had, or that does not boot, takes none of the others down.
#[tokio::test(start_paused = true)]
async fn one_that_does_not_come_leaves_the_others_alone() {
    let full = |cloud: &Memory| {
        cloud.lose(&first(cloud).id);
        cloud.set_quota(Some(3));
    };
    brought(full, |declared| declared, expect![[r#"
        after 0 s, 2 at the least: could not launch 1 machine of replica group aws/region-1/pd/glm@…/decode: QuotaExceeded
            left: address a-1, router i-2 running, decode i-4 running, decode i-5 running
    "#]]).await;
    let broken = |cloud: &Memory| {
        cloud.lose(&first(cloud).id);
        boots(cloud, fails());
    };
    brought(broken, |declared| declared, expect![[r#"
        after 3 s, 2 at the least: 1 of the workers of replica group aws/region-1/pd/glm@…/decode failed: i-6 failed in engine (out of memory), Removed
            left: address a-1, router i-2 running, decode i-4 running, decode i-5 running
    "#]]).await;
    let late = |cloud: &Memory| {
        cloud.lose(&first(cloud).id);
        boots(cloud, Course::Hangs);
    };
    brought(late, |declared| declared, expect![[r#"
        after 600 s, 2 at the least: 1 of the workers of replica group aws/region-1/pd/glm@…/decode failed: i-6 is late: decode starting (engines=0/1), Late
            left: address a-1, router i-2 running, decode i-4 running, decode i-5 running, decode i-6 running unfinished
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_roll_goes_machine_by_machine() {
    brought(|_| {}, Declared::rolled, expect![[r#"
        after 21 s, 2 at the least: done
            left: address a-1, router i-2 running, decode i-6 running, decode i-7 running, decode i-8 running
    "#]]).await;
    let surge = |mut declared: Declared| {
        declared.groups[0].policy.update =
            UpdateStrategy { max_unavailable: Some(0), max_surge: 2 };
        declared.rolled()
    };
    brought(|_| {}, surge, expect![[r#"
        after 15 s, 3 at the least: done
            left: address a-1, router i-2 running, decode i-6 running, decode i-7 running, decode i-8 running
    "#]]).await;
    let at_once = |mut declared: Declared| {
        declared.groups[0].policy.update =
            UpdateStrategy { max_unavailable: Some(3), max_surge: 0 };
        declared.rolled()
    };
    brought(|_| {}, at_once, expect![[r#"
        after 7 s, 0 at the least: done
            left: address a-1, router i-2 running, decode i-6 running, decode i-7 running, decode i-8 running
    "#]]).await;
    // The last one goes when its successor is there.
    brought(
        |_| {},
        |declared| declared.scaled_to(1).rolled(),
        expect![[r#"
        after 9 s, 1 at the least: done
            left: address a-1, router i-2 running, decode i-6 running
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_roll_stops_at_the_first_machine_that_does_not_come() {
    brought(|cloud| boots(cloud, fails()), Declared::rolled, expect![[r#"
        after 5 s, 2 at the least: roll stopped (RollCount { removed: 1, draining: 0, old: 2, new: 0, unfinished: 0 }): 1 of the workers of replica group aws/region-1/pd/glm@…/decode failed: i-6 failed in engine (out of memory), Removed
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running
    "#]]).await;
    brought(|cloud| boots(cloud, Course::Hangs), Declared::rolled, expect![[r#"
        after 600 s, 2 at the least: roll stopped (RollCount { removed: 1, draining: 0, old: 2, new: 0, unfinished: 1 }): 1 of the workers of replica group aws/region-1/pd/glm@…/decode failed: i-6 is late: decode starting (engines=0/1), Late
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running, decode i-6 running unfinished
    "#]]).await;
    let lost = |cloud: &Memory| cloud.limit(&first(cloud).instance_type, Some(3));
    brought(lost, Declared::rolled, expect![[r#"
        after 21 s, 2 at the least: done
            left: address a-1, router i-2 running, decode i-6 running, decode i-7 running, decode i-8 running
    "#]]).await;
}

/// A roll that was stopped is gone on with, or taken back, by the next apply.
#[tokio::test(start_paused = true)]
async fn what_was_stopped_is_finished_or_taken_back() {
    for is_taken_back in [false, true] {
        let stage = Stage::applied(settings(CLOUD), &three()).await;
        let (cloud, mut state) = stage.again();
        boots(&cloud, Course::ComesUp);
        boots(&cloud, fails());
        let mut run = Run::new(&cloud);
        let rolled = stage.declared.clone().rolled();
        run.apply(&rolled, &mut state).await.expect_err("it stops");
        settle().await;
        let next = if is_taken_back { &stage.declared } else { &rolled };
        let mut again = Run::new(&cloud);
        let (ended, least) = while_serving(&cloud, again.apply(next, &mut state)).await;
        assert!(ended.is_ok(), "{}", words::told(&ended, &again.warnings));
        assert!(least >= 1, "{least}");
        settle().await;
        assert_eq!(amiss(&cloud, next).await, Vec::<String>::new());
    }
}

/// Prefill and decode are scaled on their own.
#[tokio::test(start_paused = true)]
async fn groups_of_one_service_do_not_touch_each_other() {
    let both = declared(CLOUD, &[(Prefill, 2), (Decode, 2)]);
    let stage = Stage::applied(settings(CLOUD), &both).await;
    let (cloud, mut state) = stage.again();
    let before = workers(&cloud, Decode);
    let more = both.scaled_to(3);
    Run::new(&cloud).apply(&more, &mut state).await.expect("an apply");
    settle().await;
    assert_eq!(amiss(&cloud, &more).await, Vec::<String>::new());
    assert_eq!(workers(&cloud, Decode), before);
}
