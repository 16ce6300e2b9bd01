//! No change cuts an answer that is running: machines go when nothing runs on them any more, or the time for that
//! is over.

use crate::harness::{MINUTE, Run, SECOND, Stage, State, declared, of_group, settings, workers};
use crate::words;
use cloud::{CloudName, Deadline, ErrorKind};
use cloud_memory::{Effect, Memory, When};
use domain::spec::WorkerRole::Decode;
use orchestration::group::{self, GroupRecord, Removal};
use orchestration::journal::{Journal, Warning};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

async fn two_workers(name: CloudName) -> (Memory, State, Stage) {
    let stage = Stage::applied(settings(name), &declared(name, &[(Decode, 2)])).await;
    let (cloud, state) = stage.again();
    (cloud, state, stage)
}

/// A removal, and when what was said in it.
async fn removed(
    run: &Run,
    state: &State,
    stage: &Stage,
    drain_limit: Duration,
) -> (orchestration::failure::Result<()>, Said) {
    let record = &state.groups["decode"];
    let known = record.slots.iter().map(|(slot, machine)| (*slot, machine.id.0.clone()));
    let desired = of_group(&stage.declared.groups[0], state);
    let removal = Removal {
        id: record.id.clone(),
        role: desired.spec.role,
        known: known.collect(),
        drain_limit,
    };
    let mut said = Said { begun: Instant::now(), warnings: Vec::new() };
    let deadline = Deadline::after(30 * MINUTE, CancellationToken::new());
    let ended = group::delete(&run.orchestrator, &deadline, &removal, &mut said).await;
    (ended, said)
}

#[derive(Debug)]
struct Said {
    begun: Instant,
    warnings: Vec<(Duration, Warning)>,
}

impl Journal<GroupRecord> for Said {
    fn saved(&mut self, _: &GroupRecord) {}
    fn removed(&mut self) {}
    fn warned(&mut self, warning: Warning) {
        self.warnings.push((self.begun.elapsed(), warning));
    }
}

#[tokio::test(start_paused = true)]
async fn machines_go_as_soon_as_nothing_runs_on_them() {
    for name in CloudName::ALL {
        let (cloud, state, stage) = two_workers(name).await;
        let run = Run::new(&cloud);
        cloud.work(&workers(&cloud, Decode)[0].id, 3, 40 * SECOND);
        let (ended, said) = removed(&run, &state, &stage, 10 * MINUTE).await;
        assert!(ended.is_ok() && said.warnings.is_empty(), "{name}: {ended:?} {said:?}");
        let took = said.begun.elapsed();
        assert!((40 * SECOND..50 * SECOND).contains(&took), "{name}: {took:?}");
        assert_eq!(cloud.interrupted(), []);
    }
}

/// Where the router cannot be told from here, machines drain by themselves, and say so on their consoles.
#[tokio::test(start_paused = true)]
async fn machines_drain_by_themselves_where_there_is_no_way_to_the_router() {
    let (cloud, state, stage) = two_workers(CloudName::Aws).await;
    let run = Run::new(&cloud);
    cloud.work(&workers(&cloud, Decode)[0].id, 3, 40 * SECOND);
    cloud.cut_off(true);
    let (ended, said) = removed(&run, &state, &stage, 10 * MINUTE).await;
    assert!(ended.is_ok() && said.warnings.is_empty(), "{ended:?} {said:?}");
    assert!(said.begun.elapsed() >= 40 * SECOND, "{:?}", said.begun.elapsed());
    assert_eq!(cloud.interrupted(), []);
}

/// That answers were not waited for is told when it is decided, and not when the machines are gone: a removal
/// that fails loses it not.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_drain_is_told_at_once_and_whatever_comes_of_the_removal() {
    for denied in [false, true] {
        let (cloud, state, stage) = two_workers(CloudName::Aws).await;
        let run = Run::new(&cloud);
        for worker in workers(&cloud, Decode) {
            cloud.work(&worker.id, 3, 60 * MINUTE);
        }
        if denied {
            let denied = Effect::Fails(ErrorKind::PermissionDenied);
            run.cloud.goes_wrong(When::Every("terminate_instances"), denied);
        } else {
            let slow = Effect::AnsweredAfter(5 * MINUTE);
            run.cloud.goes_wrong(When::Every("terminate_instances"), slow);
        }
        let (ended, said) = removed(&run, &state, &stage, MINUTE).await;
        assert_eq!(ended.is_err(), denied, "{}", words::told(&ended, &[]));
        let [(at, Warning::DrainEnded { busy, .. })] = &said.warnings[..] else {
            panic!("{said:?}");
        };
        assert_eq!(busy.len(), 2);
        assert!((MINUTE..MINUTE + 5 * SECOND).contains(at), "{at:?}");
    }
}

/// What a stop leaves on its way out is ended by the next apply, and what it worked at is waited for.
#[tokio::test(start_paused = true)]
async fn a_drain_that_was_stopped_is_gone_on_with() {
    let (cloud, mut state, stage) = two_workers(CloudName::Aws).await;
    let mut run = Run::new(&cloud);
    run.limit = MINUTE;
    for worker in workers(&cloud, Decode) {
        cloud.work(&worker.id, 3, 3 * MINUTE);
    }
    let fewer = stage.declared.clone().scaled_to(1);
    let ended = run.apply(&fewer, &mut state).await;
    assert!(words::told(&ended, &[]).starts_with("Deadline"), "{}", words::told(&ended, &[]));
    assert_eq!(workers(&cloud, Decode).len(), 2);
    sleep(10 * SECOND).await;
    Run::new(&cloud).apply(&fewer, &mut state).await.expect("it goes on");
    assert_eq!((workers(&cloud, Decode).len(), cloud.interrupted().len()), (1, 0));
}
