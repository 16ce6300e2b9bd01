//! Two runs make the same thing at the same moment: there is one of it in the end, and both know it or one of them
//! is told that it exists.

use crate::harness::{Declared, Run, Stage, State, amiss, declared, settings, settle};
use crate::words;
use cloud::CloudName;
use cloud_memory::{Effect, Memory, When};
use domain::spec::WorkerRole::{Decode, Prefill};
use orchestration::failure::{Failure, Result};
use std::time::Duration;
use tokio::time::sleep;

fn both(name: CloudName) -> Declared {
    declared(name, &[(Prefill, 2), (Decode, 1)])
}

/// What two runs have come to.
struct Race {
    cloud: Memory,
    ended: [(Result<()>, State); 2],
    calls: String,
}

/// Two runs, the second so much later, of which one is slow at each of its calls; how both have ended.
async fn race(stage: &Stage, later: Duration, slow: Option<(usize, Effect)>) -> Race {
    let (cloud, state) = stage.again();
    let mut runs = [Run::new(&cloud), Run::new(&cloud)];
    if let Some((which, effect)) = slow {
        runs[which].cloud.goes_wrong(When::During(1, 1000), effect);
    }
    let [one, two] = &mut runs;
    let (mut first, mut second) = (state.clone(), state);
    let (ended, also) = tokio::join!(one.apply(&stage.declared, &mut first), async {
        sleep(later).await;
        two.apply(&stage.declared, &mut second).await
    });
    settle().await;
    let calls = runs.each_ref().map(|run| words::calls(&run.cloud)).join("and\n");
    Race { cloud, ended: [(ended, first), (also, second)], calls }
}

async fn one_in_the_end(stage: &Stage, name: CloudName) {
    let effects = [
        None,
        Some((0, Effect::DecidedAfter(Duration::from_millis(700)))),
        Some((1, Effect::DecidedAfter(Duration::from_millis(700)))),
        Some((0, Effect::AnsweredAfter(Duration::from_millis(700)))),
        Some((1, Effect::AnsweredAfter(Duration::from_millis(700)))),
    ];
    for slow in effects {
        for later in (0..40).map(|step| Duration::from_millis(150) * step) {
            let Race { cloud, ended, calls } = race(stage, later, slow).await;
            let told = ended.each_ref().map(|(ended, _)| words::told(ended, &[]));
            let story = format!("{name}, {later:?} later, {slow:?}: {told:#?}\n{calls}");
            let is_right =
                |ended: &Result<()>| matches!(ended, Ok(()) | Err(Failure::AlreadyExists(_)));
            assert!(ended.iter().all(|(ended, _)| is_right(ended)), "{story}");
            assert!(ended.iter().any(|(ended, _)| ended.is_ok()), "{story}");
            let mut state = ended.into_iter().find(|(ended, _)| ended.is_ok()).expect("one").1;
            let again = Run::new(&cloud).apply_with_imports(&stage.declared, &mut state).await;
            assert!(again.is_ok(), "{story}\nthen: {}", words::told(&again, &[]));
            settle().await;
            let amiss = amiss(&cloud, &stage.declared).await;
            assert!(amiss.is_empty(), "{story}\nthen: {amiss:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_creations_there_is_one() {
    for name in [CloudName::Local, CloudName::Aws, CloudName::Gcp] {
        let stage = Stage::empty(settings(name), &both(name)).await;
        one_in_the_end(&stage, name).await;
    }
}
