//! Whether a service answers: what a chat and the probe's path are answered from here, and what the router's
//! console tells where there is no way in.

use crate::harness::{MINUTE, Run, SECOND, Stage, declared, settings};
use crate::words;
use cloud::{CloudName, LabelFilter, tag};
use cloud_memory::{Course, Memory};
use domain::spec::{ServiceFacts, WorkerRole::Decode};
use expect_test::{Expect, expect};
use orchestration::failure::Result;
use orchestration::readiness::{self, EndpointProbe, Proof};
use orchestration::service;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A service with so many workers, and what happens so long after the wait has begun.
async fn check(
    workers: u32,
    path: &str,
    (after, happens): (Duration, fn(&Memory)),
    expect: Expect,
) {
    let name = CloudName::Aws;
    let stage = Stage::applied(settings(name), &declared(name, &[(Decode, workers)])).await;
    let (cloud, state) = stage.again();
    let run = Run::new(&cloud);
    if after.is_zero() {
        happens(&cloud);
    }
    let start = Instant::now();
    let later = async {
        if !after.is_zero() {
            sleep(after).await;
            happens(&cloud);
        }
    };
    let service = state.service.expect("a service");
    let answered = async {
        let deadline = cloud::Deadline::after(MINUTE, tokio_util::sync::CancellationToken::new());
        let managed = run.orchestrator.cloud(&deadline, name).await?;
        let spec = stage.declared.service.spec.clone();
        let facts = ServiceFacts::of(&spec, service.address.ip);
        let router = service.router.as_ref().expect("a router");
        let access = service::access(&run.orchestrator, managed, &facts, &service.address, router)?;
        let probe = EndpointProbe { path: path.to_owned(), interval: 5 * SECOND };
        readiness::endpoint(&deadline, &access, &spec.model, &probe).await
    };
    let (answered, ()): (Result<Proof>, ()) = tokio::join!(answered, later);
    let told = match answered {
        Ok(Proof::Answered) => "it answers".to_owned(),
        Ok(Proof::OnTheRouter { in_the_way }) => format!("on the router; from here {in_the_way}"),
        Err(failure) => words::failure(&failure),
    };
    expect.assert_eq(&format!("after {} s: {told}", start.elapsed().as_secs()));
}

const AT_ONCE: Duration = Duration::ZERO;

fn nothing(_: &Memory) {}

#[tokio::test(start_paused = true)]
async fn it_answers_with_a_worker_and_not_without() {
    check(1, "/health", (AT_ONCE, nothing), expect!["after 0 s: it answers"]).await;
    check(0, "/health", (AT_ONCE, nothing), expect![[r#"after 60 s: Deadline without an answer: Answer("the chat completion answers 404: {\"message\":\"Not found\",\"code\":404}")"#]]).await;
    check(1, "/ready", (AT_ONCE, nothing), expect![[r#"after 60 s: Deadline without an answer: Answer("the chat completion answers, `/ready` answers 404")"#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_router_that_is_let_in_nowhere_tells_on_its_console() {
    check(1, "/health", (AT_ONCE, |cloud| cloud.cut_off(true)), expect!["after 12 s: on the router; from here http://10.0.0.10:8000/v1/chat/completions: no route"]).await;
    check(0, "/health", (AT_ONCE, |cloud| cloud.cut_off(true)), expect![[r#"after 60 s: Deadline without an answer: NoWayIn("http://10.0.0.10:8000/v1/chat/completions: no route")"#]]).await;
}

/// Who was let in once is not shut out: it is something else that is wrong.
#[tokio::test(start_paused = true)]
async fn one_that_answered_before_has_to_answer_again() {
    let fades = |cloud: &Memory| {
        let routers = cloud.routers();
        cloud.boots(LabelFilter::all().and(tag::ROLE, "router"), [Course::Hangs]);
        cloud.stop(&routers[0].id);
    };
    check(0, "/health", (10 * SECOND, fades), expect![[r#"after 60 s: Deadline without an answer: Answer("http://10.0.0.10:8000/v1/chat/completions: no route")"#]]).await;
}
