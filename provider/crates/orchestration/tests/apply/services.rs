//! A service is made, brought back whatever has become of its router, and removed.

use crate::harness::{
    Declared, MINUTE, Run, SECOND, Stage, amiss, declared, settings, settle, workers,
};
use crate::words;
use cloud::{CloudName, Finding, InstanceId, LabelFilter, ObjectId, tag};
use cloud_memory::{Course, Memory};
use domain::spec::WorkerRole::Decode;
use expect_test::{Expect, expect};
use orchestration::snapshot::key;
use tokio::time::Instant;

fn one_group(name: CloudName) -> Declared {
    declared(name, &[(Decode, 1)])
}

fn router(cloud: &Memory) -> InstanceId {
    cloud.routers().remove(0).id
}

/// Something happens to a service that serves; the next apply.
async fn repaired(name: CloudName, happens: fn(&Memory), expect: Expect) {
    let stage = Stage::applied(settings(name), &one_group(name)).await;
    let (cloud, mut state) = stage.again();
    happens(&cloud);
    tokio::time::sleep(20 * SECOND).await;
    let (mut run, start) = (Run::new(&cloud), Instant::now());
    run.limit = 10 * MINUTE;
    let ended = run.apply(&stage.declared, &mut state).await;
    let (told, took) = (words::told(&ended, &run.warnings), start.elapsed().as_secs());
    settle().await;
    let left = words::inventory(&cloud);
    expect.assert_eq(&format!("after {took} s: {told}\n    left: {left}\n"));
    if ended.is_ok() {
        assert_eq!(amiss(&cloud, &stage.declared).await, Vec::<String>::new());
    }
}

/// It keeps its address, and as long as it can its machine.
#[tokio::test(start_paused = true)]
async fn a_router_comes_back_whatever_has_become_of_it() {
    let stop = |cloud: &Memory| cloud.stop(&router(cloud));
    repaired(
        CloudName::Local,
        stop,
        expect![[r#"
        after 2 s: done
            left: address a-1, router i-2 running, decode i-3 running
    "#]],
    )
    .await;
    repaired(
        CloudName::Aws,
        stop,
        expect![[r#"
        after 3 s: done
            left: address a-1, router i-2 running, decode i-3 running
    "#]],
    )
    .await;
    let impair = |cloud: &Memory| cloud.impair(&router(cloud));
    repaired(
        CloudName::Aws,
        impair,
        expect![[r#"
        after 3 s: done
            left: address a-1, router i-2 running, decode i-3 running
    "#]],
    )
    .await;
    let lose = |cloud: &Memory| cloud.lose(&router(cloud));
    repaired(
        CloudName::Aws,
        lose,
        expect![[r#"
        after 3 s: done
            left: address a-1, decode i-3 running, router i-4 running
    "#]],
    )
    .await;
    repaired(
        CloudName::Local,
        lose,
        expect![[r#"
        after 2 s: done
            left: address a-1, decode i-3 running, router i-4 running
    "#]],
    )
    .await;
}

/// Nothing takes the place of a machine that may be at work.
#[tokio::test(start_paused = true)]
async fn a_router_that_nobody_sees_is_left_alone() {
    let lose_sight = |cloud: &Memory| cloud.lose_sight(&router(cloud));
    let stage = Stage::applied(settings(CloudName::Gcp), &one_group(CloudName::Gcp)).await;
    let (cloud, mut state) = stage.again();
    lose_sight(&cloud);
    let launched = cloud.count_launched();
    let ended = Run::new(&cloud).apply(&stage.declared, &mut state).await;
    assert!(ended.is_ok(), "{}", words::told(&ended, &[]));
    assert_eq!((cloud.count_launched(), cloud.routers().len()), (launched, 1));
}

/// One that does not come back is an error, and its address stays: workers know it.
#[tokio::test(start_paused = true)]
async fn a_router_that_does_not_come_back_leaves_its_address() {
    let fails = |cloud: &Memory| {
        cloud.lose(&router(cloud));
        let phase = "frontend";
        let course = Course::Fails { after: SECOND, phase, code: 1, line: "no space left" };
        cloud.boots(LabelFilter::all().and(tag::ROLE, "router"), [course]);
    };
    repaired(
        CloudName::Aws,
        fails,
        expect![[r#"
        after 2 s: the router failed: i-4 failed in frontend (no space left), Untouched
            left: address a-1, decode i-3 running, router i-4 running creating
    "#]],
    )
    .await;
    let refused = |cloud: &Memory| {
        cloud.lose(&router(cloud));
        cloud.set_quota(Some(1));
    };
    repaired(
        CloudName::Aws,
        refused,
        expect![[r#"
        after 0 s: could not launch the router of service aws/region-1/pd/glm@…: QuotaExceeded
            left: address a-1, decode i-3 running
    "#]],
    )
    .await;
}

/// Another apply is another attempt, and another machine at the same address.
#[tokio::test(start_paused = true)]
async fn a_router_whose_boot_has_failed_is_launched_anew() {
    for name in [CloudName::Local, CloudName::Aws, CloudName::Gcp] {
        let stage = Stage::applied(settings(name), &one_group(name)).await;
        let (cloud, mut state) = stage.again();
        let (address, phase) = (cloud.routers()[0].ip, "frontend");
        cloud.lose(&router(&cloud));
        let course = Course::Fails { after: SECOND, phase, code: 1, line: "no space left" };
        cloud.boots(LabelFilter::all().and(tag::ROLE, "router"), [course]);
        tokio::time::sleep(20 * SECOND).await;
        Run::new(&cloud).apply(&stage.declared, &mut state).await.expect_err("it does not boot");
        let failed = router(&cloud);
        // Before it is listed, the same launch finds it again.
        tokio::time::sleep(20 * SECOND).await;
        Run::new(&cloud).apply(&stage.declared, &mut state).await.expect("another one does");
        settle().await;
        assert_ne!(router(&cloud), failed, "{name}");
        assert_eq!(cloud.routers()[0].ip, address, "{name}");
        assert_eq!(amiss(&cloud, &stage.declared).await, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_changed_is_put_back() {
    let altered = |cloud: &Memory| {
        let finding = Finding { text: "its tokens are optional".to_owned(), repairable: true };
        cloud.alter(&router(cloud), finding);
    };
    repaired(
        CloudName::Aws,
        altered,
        expect![[r#"
        after 0 s: done
            left: address a-1, router i-2 running, decode i-3 running
    "#]],
    )
    .await;
    let retagged = |cloud: &Memory| {
        let fleet = key(&one_group(CloudName::Aws).fleet.id);
        let address = ObjectId::Address(cloud.addresses().remove(0).id);
        cloud.retag(&fleet, &ObjectId::Instance(router(cloud)), |tags| {
            tags.remove(tag::SERVICE);
            tags.remove(tag::DIGEST);
        });
        cloud.retag(&fleet, &address, |tags| drop(tags.remove(tag::MANAGED_BY)));
    };
    repaired(
        CloudName::Aws,
        retagged,
        expect![[r#"
        after 0 s: done
            left: address a-1, router i-2 running, decode i-3 running
    "#]],
    )
    .await;
    let another = |cloud: &Memory| {
        let finding = Finding { text: "its user data are others".to_owned(), repairable: false };
        cloud.alter(&router(cloud), finding);
    };
    repaired(
        CloudName::Aws,
        another,
        expect![[r#"
        after 0 s: service aws/region-1/pd/glm@… cannot be repaired: its user data are others
            left: address a-1, router i-2 running, decode i-3 running
    "#]],
    )
    .await;
}

/// A service that others still use does not go, and goes with them.
#[tokio::test(start_paused = true)]
async fn a_service_goes_when_nobody_uses_it_any_more() {
    let stage = Stage::applied(settings(CloudName::Aws), &one_group(CloudName::Aws)).await;
    let (cloud, mut state) = stage.again();
    let mut run = Run::new(&cloud);
    let declared = Declared { groups: Vec::new(), ..stage.declared.clone() };
    let ended = run.destroy(&declared, &mut state).await;
    let told = words::told(&ended, &[]);
    assert!(told.contains("StillUsed") && told.contains("decode"), "{told}");
    assert_eq!(workers(&cloud, Decode).len(), 1);
    let gone = Run::new(&cloud).destroy(&stage.declared, &mut state).await;
    assert!(gone.is_ok(), "{}", words::told(&gone, &[]));
    assert_eq!(cloud.left(), Vec::<String>::new());
}

/// What a creation that died has left goes with the fleet, and by itself after a while.
#[tokio::test(start_paused = true)]
async fn what_nobody_has_goes() {
    for name in [CloudName::Local, CloudName::Aws] {
        let stage = Stage::empty(settings(name), &one_group(name)).await;
        let (cloud, mut state) = stage.again();
        // Another program has made it, and keeps nothing.
        let mut lost = state.clone();
        let mut other = Run::new(&cloud);
        other
            .cloud
            .goes_wrong(cloud_memory::When::Of("console", 1), cloud_memory::Effect::DiesBefore);
        cloud.cut_off(true);
        let process = other.cloud.clone();
        tokio::select! {
            biased;
            ended = other.create_service(&stage.declared, &mut lost) => panic!("{ended:?}"),
            () = process.death() => {}
        }
        settle().await;
        assert_eq!((cloud.routers().len(), cloud.addresses().len()), (1, 1));
        let mut emptied = Declared { groups: Vec::new(), ..stage.declared.clone() };
        emptied.service.spec.service = "other".to_owned();
        let ended = Run::new(&cloud).destroy(&emptied, &mut state).await;
        assert!(ended.is_ok(), "{}", words::told(&ended, &[]));
        assert_eq!(cloud.left(), Vec::<String>::new());
    }
}
