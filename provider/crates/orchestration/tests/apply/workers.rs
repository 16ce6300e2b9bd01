//! What is seen of workers that are to register (the cloud's lists, their consoles, what their router answers),
//! and what is made of that.

use crate::harness::{MINUTE, Run, SECOND, Stage, declared, settings, workers};
use crate::words;
use cloud::{CloudName, ErrorKind, LabelFilter, tag};
use cloud_memory::{Course, Effect, Memory, When};
use domain::spec::WorkerRole::Decode;
use expect_test::{Expect, expect};
use orchestration::group::WaitFor;
use std::time::Duration;
use tokio::time::{Instant, sleep};

type Given = fn(&Memory);
type Later = (Duration, Given);

/// A group of two workers is made beside a router that serves.
async fn check(name: CloudName, given: Given, later: Option<Later>, expect: Expect) {
    check_with(name, WaitFor::Registered, given, later, expect).await;
}

async fn check_with(
    name: CloudName,
    wait_for: WaitFor,
    given: Given,
    later: Option<Later>,
    expect: Expect,
) {
    let mut settings = settings(name);
    settings.starts = 10 * SECOND;
    settings.registers = 60 * SECOND;
    let stage = Stage::applied(settings, &declared(name, &[])).await;
    let (cloud, mut state) = stage.again();
    let mut run = Run::new(&cloud);
    run.limit = 10 * MINUTE;
    given(&run.cloud);
    let (process, start) = (run.cloud.clone(), Instant::now());
    let happens = async {
        if let Some((after, happens)) = later {
            sleep(after).await;
            happens(&process);
        }
    };
    let mut group = declared(name, &[(Decode, 2)]).groups.remove(0);
    group.policy.wait_for = wait_for;
    let (ended, ()) = tokio::join!(run.bring_group(&group, &mut state), happens);
    let (told, took) = (words::told(&ended, &run.warnings), start.elapsed().as_secs());
    let kept = state.groups.get("decode").map_or(0, |group| group.slots.len());
    let left = words::inventory(&cloud);
    expect.assert_eq(&format!("after {took} s: {told}\n    left: {left}; kept: {kept}\n"));
}

/// The first of them boots like this.
fn first(cloud: &Memory, course: Course) {
    cloud.boots(LabelFilter::all().and(tag::ROLE, "decode"), [course]);
}

fn all(cloud: &Memory, course: Course) {
    cloud.boots(LabelFilter::all().and(tag::ROLE, "decode"), [course.clone(), course]);
}

fn fails() -> Course {
    Course::Fails { after: 30 * SECOND, phase: "engine", code: 1, line: "out of memory" }
}

fn refused() -> Course {
    Course::IsRefused("kv_block_size", "32", "64")
}

#[tokio::test(start_paused = true)]
async fn they_register() {
    for name in [CloudName::Aws, CloudName::Gcp, CloudName::Azure] {
        let expected = expect![[r#"
            after 73 s: done
                left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
        "#]];
        check(name, |_| {}, None, expected).await;
    }
    check(
        CloudName::Local,
        |_| {},
        None,
        expect![[r#"
        after 70 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
    check(
        CloudName::Aws,
        |cloud| cloud.cut_off(true),
        None,
        expect![[r#"
        after 79 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
}

/// One worker that does not come takes nothing down with it.
#[tokio::test(start_paused = true)]
async fn one_of_them_does_not_come() {
    check(
        CloudName::Aws,
        |cloud| first(cloud, fails()),
        None,
        expect![[r#"
        after 74 s: done; failed: i-3 failed in engine (out of memory), Removed
            left: address a-1, router i-2 running, decode i-4 running; kept: 1
    "#]],
    )
    .await;
    check(CloudName::Aws, |cloud| first(cloud, Course::Hangs), None, expect![[r#"
        after 600 s: done; failed: i-3 is late: decode starting (engines=0/1), Late
            left: address a-1, router i-2 running, decode i-3 running unfinished, decode i-4 running; kept: 2
    "#]]).await;
    check(CloudName::Aws, |cloud| first(cloud, Course::IsMute), None, expect![[r#"
        after 600 s: done; failed: i-3 is late, and says nothing, Late
            left: address a-1, router i-2 running, decode i-3 running unfinished, decode i-4 running; kept: 2
    "#]]).await;
    check(
        CloudName::Aws,
        |cloud| first(cloud, Course::IsBlocked(2379)),
        None,
        expect![[r#"
        after 133 s: done; failed: i-3 is not let in at 10.0.0.10:2379, Removed
            left: address a-1, router i-2 running, decode i-4 running; kept: 1
    "#]],
    )
    .await;
    check(CloudName::Aws, |cloud| first(cloud, refused()), None, expect![[r#"
        after 88 s: done; failed: i-3 is refused: its KV block size is 32, and 64 on those that the router accepted first, Removed
            left: address a-1, router i-2 running, decode i-4 running; kept: 1
    "#]]).await;
    let lose = |cloud: &Memory| cloud.lose(&workers(cloud, Decode)[0].id);
    check(
        CloudName::Aws,
        |_| {},
        Some((30 * SECOND, lose)),
        expect![[r#"
        after 82 s: done; failed: i-3 is gone (its host has failed), Removed
            left: address a-1, router i-2 running, decode i-4 running; kept: 1
    "#]],
    )
    .await;
    check(
        CloudName::Local,
        |_| {},
        Some((30 * SECOND, lose)),
        expect![[r#"
        after 70 s: done; failed: i-3 is gone (nobody says why), Removed
            left: address a-1, router i-2 running, decode i-4 running; kept: 1
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn none_of_them_comes() {
    check(CloudName::Aws, |cloud| all(cloud, fails()), None, expect![[r#"
        after 66 s: every worker of replica group aws/region-1/pd/glm@…/decode failed: i-3 failed in engine (out of memory), i-4 failed in engine (out of memory), Removed
            left: address a-1, router i-2 running; kept: 0
    "#]]).await;
    check(CloudName::Aws, |cloud| all(cloud, Course::Hangs), None, expect![[r#"
        after 600 s: done; failed: i-3 is late: decode starting (engines=0/1), i-4 is late: decode starting (engines=0/1), Late
            left: address a-1, router i-2 running, decode i-3 running unfinished, decode i-4 running unfinished; kept: 2
    "#]]).await;
}

/// What comes up late is worth waiting for, and what has failed is not.
#[tokio::test(start_paused = true)]
async fn one_fails_while_the_other_is_late() {
    let given = |cloud: &Memory| {
        let late = Course::ComesUpAfter(8 * MINUTE);
        cloud.boots(LabelFilter::all().and(tag::ROLE, "decode"), [fails(), late]);
    };
    check(
        CloudName::Aws,
        given,
        None,
        expect![[r#"
        after 497 s: done; failed: i-3 failed in engine (out of memory), Removed
            left: address a-1, router i-2 running, decode i-4 running; kept: 1
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn their_router_is_lost() {
    let lose = |cloud: &Memory| cloud.routers().iter().for_each(|router| cloud.lose(&router.id));
    check(CloudName::Aws, |_| {}, Some((30 * SECOND, lose)), expect![[r#"
        after 156 s: the router, which the workers wait for, failed: i-2 is gone (its host has failed), Removed
            left: address a-1; kept: 0
    "#]]).await;
    check(CloudName::Local, |_| {}, Some((30 * SECOND, lose)), expect![[r#"
        after 32 s: the router, which the workers wait for, failed: i-2 is gone (nobody says why), Removed
            left: address a-1; kept: 0
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn they_cannot_be_had() {
    let refused = |cloud: &Memory| {
        cloud.goes_wrong(When::Every("launch"), Effect::Fails(ErrorKind::InsufficientCapacity));
    };
    check(CloudName::Aws, refused, None, expect![[r#"
        after 0 s: could not launch 2 machines of replica group aws/region-1/pd/glm@…/decode: InsufficientCapacity
            left: address a-1, router i-2 running; kept: 0
    "#]]).await;
    check(CloudName::Aws, |cloud| cloud.set_quota(Some(2)), None, expect![[r#"
        after 0 s: could not launch 2 machines of replica group aws/region-1/pd/glm@…/decode: QuotaExceeded
            left: address a-1, router i-2 running; kept: 0
    "#]]).await;
    // The next offer is taken.
    let full = |cloud: &Memory| {
        let groups = declared(CloudName::Aws, &[(Decode, 2)]).groups;
        cloud.limit(&groups[0].offers[0].instance_type, Some(0));
    };
    check(
        CloudName::Aws,
        full,
        None,
        expect![[r#"
        after 73 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
}

/// Lists are counted, and not the time that they take.
#[tokio::test(start_paused = true)]
async fn lists_that_differ_say_nothing() {
    let every_other = |cloud: &Memory| {
        for list in 0..20 {
            let when = When::Of("list_instances", 2 * list + 1);
            cloud.goes_wrong(when, Effect::Stale(10 * MINUTE));
        }
    };
    check(
        CloudName::Aws,
        every_other,
        None,
        expect![[r#"
        after 73 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
    let slow = |cloud: &Memory| {
        cloud.goes_wrong(When::Of("list_instances", 3), Effect::Stale(10 * MINUTE));
        cloud.goes_wrong(When::Of("list_instances", 2), Effect::AnsweredAfter(50 * SECOND));
    };
    check(
        CloudName::Aws,
        slow,
        None,
        expect![[r#"
        after 71 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_cloud_is_no_verdict() {
    let outage = |cloud: &Memory| {
        cloud.goes_wrong(When::During(8, 60), Effect::Fails(ErrorKind::Unavailable));
    };
    check(
        CloudName::Aws,
        outage,
        None,
        expect![[r#"
        after 70 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_never_answers_ends_with_the_operation() {
    let silent = |cloud: &Memory| cloud.goes_wrong(When::Every("launch"), Effect::NeverAnswers);
    check(CloudName::Aws, silent, None, expect![[r#"
        after 600 s: could not launch 2 machines of replica group aws/region-1/pd/glm@…/decode: Timeout
            left: address a-1, router i-2 running; kept: 0
    "#]]).await;
    // It may have been done, and is looked for.
    let made = |cloud: &Memory| cloud.goes_wrong(When::Every("launch"), Effect::AnswerNeverComes);
    check(
        CloudName::Aws,
        made,
        None,
        expect![[r#"
        after 600 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
}

/// Who only waits until they run waits for no engine.
#[tokio::test(start_paused = true)]
async fn they_run() {
    let running = WaitFor::Running;
    check_with(
        CloudName::Aws,
        running,
        |cloud| all(cloud, Course::Hangs),
        None,
        expect![[r#"
        after 14 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
    let lose = |cloud: &Memory| cloud.lose(&workers(cloud, Decode)[0].id);
    check_with(
        CloudName::Local,
        running,
        |_| {},
        Some((5 * SECOND, lose)),
        expect![[r#"
        after 10 s: done; failed: i-3 is gone (nobody says why), Removed
            left: address a-1, router i-2 running, decode i-4 running; kept: 1
    "#]],
    )
    .await;
    check_with(
        CloudName::Aws,
        running,
        |_| {},
        Some((5 * SECOND, lose)),
        expect![[r#"
        after 14 s: done; failed: i-3 is gone (its host has failed), Removed
            left: address a-1, router i-2 running, decode i-4 running; kept: 1
    "#]],
    )
    .await;
    let late = |cloud: &Memory| {
        for list in 0..20 {
            cloud.goes_wrong(When::Of("list_instances", 2 * list + 1), Effect::Stale(10 * MINUTE));
        }
    };
    check_with(
        CloudName::Aws,
        running,
        late,
        None,
        expect![[r#"
        after 18 s: done
            left: address a-1, router i-2 running, decode i-3 running, decode i-4 running; kept: 2
    "#]],
    )
    .await;
}
