//! A run dies at any one of its calls to the cloud, before the call or after its effect; or the answer of one is
//! lost, or it fails. Whoever runs next makes exactly what is declared, and nothing is left of it in the end.

use crate::harness::{Declared, Run, Stage, State, amiss, declared, settings, settle};
use crate::words;
use cloud::{CloudName, ErrorKind};
use cloud_memory::{Effect, Memory, When};
use domain::spec::WorkerRole::{Decode, Prefill};
use orchestration::failure::Result;

const EFFECTS: [Effect; 4] = [
    Effect::DiesBefore,
    Effect::DiesAfter,
    Effect::AnswerLost(ErrorKind::Unavailable),
    Effect::Fails(ErrorKind::Throttled),
];

/// What a run does that is hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Apply,
    Destroy,
}

/// A run with something wrong with one of its calls.
struct Hurt {
    process: Memory,
    /// None when it has died.
    ended: Option<Result<()>>,
    story: String,
}

impl Hurt {
    async fn run(
        cloud: &Memory,
        state: &mut State,
        (operation, declared): (Operation, &Declared),
        (call, effect): (u64, Effect),
    ) -> Self {
        let mut run = Run::new(cloud);
        run.cloud.goes_wrong(When::Call(call), effect);
        let process = run.cloud.clone();
        let works = async {
            match operation {
                Operation::Apply => run.apply(declared, state).await,
                Operation::Destroy => run.destroy(declared, state).await,
            }
        };
        let ended = tokio::select! {
            biased;
            ended = works => Some(ended),
            () = process.death() => None,
        };
        let told = ended.as_ref().map_or("died".to_owned(), |ended| words::told(ended, &[]));
        let story =
            format!("{operation:?}, call {call} {effect:?}: {told}\n{}", words::calls(&process));
        Self { process, ended, story }
    }

    /// Whether there was such a call.
    fn was_hurt(&self, call: u64) -> bool {
        let is_hurt = self.process.count_calls() >= call as usize;
        let is_done = self.ended.as_ref().is_some_and(Result::is_ok);
        assert!(is_hurt || is_done, "{}", self.story);
        is_hurt
    }
}

/// One more run makes all of it, one after that launches nothing, and everything can go.
async fn converges(cloud: &Memory, declared: &Declared, state: &mut State, story: &str) {
    let mut again = Run::new(cloud);
    let ended = again.apply_with_imports(declared, state).await;
    let told = words::told(&ended, &again.warnings);
    let story = format!("{story}then: {told}\n{}", words::calls(&again.cloud));
    assert!(ended.is_ok(), "{story}");
    settle().await;
    let amiss = amiss(cloud, declared).await;
    assert!(amiss.is_empty(), "{story}then: {amiss:?}");
    let launched = cloud.count_launched();
    Run::new(cloud).apply(declared, state).await.expect("an apply of what is there");
    assert_eq!(cloud.count_launched(), launched, "{story}then something was launched anew");
    goes(cloud, declared, state, &story).await;
}

async fn goes(cloud: &Memory, declared: &Declared, state: &mut State, story: &str) {
    let gone = Run::new(cloud).destroy(declared, state).await;
    assert!(gone.is_ok(), "{story}then: {}", words::told(&gone, &[]));
    settle().await;
    assert!(cloud.left().is_empty(), "{story}then: {:?} is left", cloud.left());
}

/// Each call, with each effect, in clouds of each kind: what they promise and how they are polled differs.
async fn every_call(first: Option<fn(CloudName) -> Declared>, second: fn(CloudName) -> Declared) {
    let mut count = 0;
    for name in [CloudName::Local, CloudName::Aws, CloudName::Gcp] {
        let (settings, second) = (settings(name), second(name));
        let stage = match first {
            Some(first) => Stage::applied(settings, &first(name)).await,
            None => Stage::nothing(settings, &second),
        };
        for effect in EFFECTS {
            for call in 1.. {
                let (cloud, mut state) = stage.again();
                let operation = (Operation::Apply, &second);
                let hurt = Hurt::run(&cloud, &mut state, operation, (call, effect)).await;
                if !hurt.was_hurt(call) {
                    break;
                }
                converges(&cloud, &second, &mut state, &format!("{name}: {}", hurt.story)).await;
                count += 1;
            }
        }
    }
    assert!(count >= 100, "{count} schedules");
}

fn both(name: CloudName) -> Declared {
    declared(name, &[(Prefill, 2), (Decode, 1)])
}

#[tokio::test(start_paused = true)]
async fn of_a_creation() {
    every_call(None, both).await;
}

#[tokio::test(start_paused = true)]
async fn of_scaling_up() {
    every_call(Some(both), |name| both(name).scaled_to(4)).await;
}

#[tokio::test(start_paused = true)]
async fn of_scaling_down() {
    every_call(Some(both), |name| both(name).scaled_to(1)).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_roll() {
    every_call(Some(both), |name| both(name).rolled()).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_removal() {
    for name in [CloudName::Local, CloudName::Aws, CloudName::Gcp] {
        let stage = Stage::applied(settings(name), &both(name)).await;
        for effect in EFFECTS {
            for call in 1.. {
                let (cloud, mut state) = stage.again();
                let operation = (Operation::Destroy, &stage.declared);
                let hurt = Hurt::run(&cloud, &mut state, operation, (call, effect)).await;
                if !hurt.was_hurt(call) {
                    break;
                }
                let story = format!("{name}: {}", hurt.story);
                goes(&cloud, &stage.declared, &mut state, &story).await;
            }
        }
    }
}
