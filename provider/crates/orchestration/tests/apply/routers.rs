//! What is seen of a router that is to come up (the cloud's lists, its console, its own answers), and what is
//! made of that.

use crate::harness::{Declared, MINUTE, Run, SECOND, Stage, declared, settings};
use crate::words;
use cloud::{CloudName, ErrorKind, LabelFilter, tag};
use cloud_memory::{Course, Effect, Memory, When};
use expect_test::{Expect, expect};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How a cloud and a router come to be as they are.
type Given = fn(&Memory);

/// What happens so long after a creation has begun.
type Later = (Duration, Given);

/// A creation, as a line.
async fn created(stage: &Stage, given: Given, later: Option<Later>) -> String {
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
    let (ended, ()) = tokio::join!(run.create_service(&stage.declared, &mut state), happens);
    let (told, took) = (words::told(&ended, &run.warnings), start.elapsed().as_secs());
    format!("after {took} s: {told}\n    left: {}\n", words::inventory(&cloud))
}

async fn check(name: CloudName, given: Given, later: Option<Later>, expect: Expect) {
    let mut given_router: Declared = declared(name, &[]);
    given_router.service.policy.ingress.clear();
    let mut settings = settings(name);
    // As slow as routers are.
    settings.starts = 10 * SECOND;
    settings.serves = 60 * SECOND;
    let stage = Stage::empty(settings, &given_router).await;
    expect.assert_eq(&created(&stage, given, later).await);
}

fn routers() -> LabelFilter {
    LabelFilter::all().and(tag::ROLE, "router")
}

fn boots(cloud: &Memory, course: Course) {
    cloud.boots(routers(), [course]);
}

fn fails(after: Duration) -> Course {
    Course::Fails { after, phase: "frontend", code: 1, line: "no module named dynamo" }
}

#[tokio::test(start_paused = true)]
async fn it_serves() {
    for name in [CloudName::Aws, CloudName::Gcp, CloudName::Azure] {
        let expected = expect![[r#"
            after 73 s: done
                left: address a-1, router i-2 running
        "#]];
        check(name, |_| {}, None, expected).await;
    }
    check(
        CloudName::Local,
        |_| {},
        None,
        expect![[r#"
        after 70 s: done
            left: address a-1, router i-2 running
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn its_console_tells_where_it_cannot_be_reached() {
    check(
        CloudName::Aws,
        |cloud| cloud.cut_off(true),
        None,
        expect![[r#"
        after 75 s: done
            left: address a-1, router i-2 running
    "#]],
    )
    .await;
    let fails = |cloud: &Memory| {
        cloud.cut_off(true);
        boots(cloud, fails(40 * SECOND));
    };
    check(
        CloudName::Aws,
        fails,
        None,
        expect![[r#"
        after 55 s: the router failed: i-2 failed in frontend (no module named dynamo), Removed
            left: nothing
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_phase_that_fails_for_good_ends_the_wait() {
    check(
        CloudName::Aws,
        |cloud| boots(cloud, fails(40 * SECOND)),
        None,
        expect![[r#"
        after 54 s: the router failed: i-2 failed in frontend (no module named dynamo), Removed
            left: nothing
    "#]],
    )
    .await;
    check(
        CloudName::Local,
        |cloud| boots(cloud, fails(SECOND)),
        None,
        expect![[r#"
        after 11 s: the router failed: i-2 failed in frontend (no module named dynamo), Removed
            left: nothing
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_only_late_is_kept() {
    check(CloudName::Aws, |cloud| boots(cloud, Course::Hangs), None, expect![[r#"
        after 600 s: done; unfinished: Deadline while waiting for the router at 10.0.0.10: machine, router starting (etcd=down nats=down frontend=down chat=none workers=-)
            left: address a-1 unfinished, router i-2 running unfinished
    "#]]).await;
    check(CloudName::Aws, |cloud| boots(cloud, Course::IsMute), None, expect![[r#"
        after 600 s: done; unfinished: Deadline while waiting for the router at 10.0.0.10: machine, nothing on its console yet
            left: address a-1 unfinished, router i-2 running unfinished
    "#]]).await;
    let given = |cloud: &Memory| boots(cloud, Course::ComesUpAfter(5 * MINUTE));
    check(
        CloudName::Aws,
        given,
        None,
        expect![[r#"
        after 315 s: done
            left: address a-1, router i-2 running
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_lost_comes_no_more() {
    let lose = |cloud: &Memory| cloud.routers().iter().for_each(|router| cloud.lose(&router.id));
    check(
        CloudName::Local,
        |_| {},
        Some((40 * SECOND, lose)),
        expect![[r#"
        after 42 s: the router failed: i-2 is gone (nobody says why), Removed
            left: nothing
    "#]],
    )
    .await;
    check(
        CloudName::Aws,
        |_| {},
        Some((40 * SECOND, lose)),
        expect![[r#"
        after 90 s: the router failed: i-2 is gone (its host has failed), Removed
            left: nothing
    "#]],
    )
    .await;
    let stop = |cloud: &Memory| cloud.routers().iter().for_each(|router| cloud.stop(&router.id));
    check(
        CloudName::Gcp,
        |_| {},
        Some((40 * SECOND, stop)),
        expect![[r#"
        after 43 s: the router failed: i-2 is gone (nobody says why), Removed
            left: nothing
    "#]],
    )
    .await;
}

/// Lists are counted: a machine that some servers do not know yet is not gone, however long one call takes.
#[tokio::test(start_paused = true)]
async fn lists_that_differ_say_nothing() {
    let every_other = |cloud: &Memory| {
        cloud.cut_off(true);
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
        after 75 s: done
            left: address a-1, router i-2 running
    "#]],
    )
    .await;
    let slow = |cloud: &Memory| {
        cloud.cut_off(true);
        cloud.goes_wrong(When::Of("list_instances", 3), Effect::Stale(10 * MINUTE));
        cloud.goes_wrong(When::Of("list_instances", 2), Effect::AnsweredAfter(50 * SECOND));
    };
    check(
        CloudName::Aws,
        slow,
        None,
        expect![[r#"
        after 73 s: done
            left: address a-1, router i-2 running
    "#]],
    )
    .await;
}

/// A cloud that does not answer says nothing about a machine that is paid for.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_cloud_is_no_verdict() {
    let outage = |cloud: &Memory| {
        cloud.cut_off(true);
        cloud.goes_wrong(When::During(12, 40), Effect::Fails(ErrorKind::Unavailable));
    };
    check(
        CloudName::Aws,
        outage,
        None,
        expect![[r#"
        after 73 s: done
            left: address a-1, router i-2 running
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_machine_nothing_is_left() {
    let refused = |cloud: &Memory| {
        cloud.goes_wrong(When::Every("launch"), Effect::Fails(ErrorKind::InsufficientCapacity));
    };
    check(CloudName::Aws, refused, None, expect![[r#"
        after 2 s: could not launch the router of service aws/region-1/pd/glm@…: InsufficientCapacity
            left: nothing
    "#]]).await;
    check(
        CloudName::Gcp,
        |cloud| cloud.set_quota(Some(0)),
        None,
        expect![[r#"
        after 0 s: could not launch the router of service gcp/region-1/pd/glm@…: QuotaExceeded
            left: nothing
    "#]],
    )
    .await;
    // What was launched goes with its failed boot, and stays in the record when that cannot be done.
    let given = |cloud: &Memory| {
        boots(cloud, fails(SECOND));
        let denied = Effect::Fails(ErrorKind::PermissionDenied);
        cloud.goes_wrong(When::Every("terminate_instances"), denied);
    };
    check(CloudName::Local, given, None, expect![[r#"
        after 11 s: the router failed: i-2 failed in frontend (no module named dynamo), NotRemoved; also: could not terminate the machines of service local/local/pd/glm@…: PermissionDenied
            left: address a-1 unfinished, router i-2 running unfinished
    "#]]).await;
}
