//! The endpoint: a real chat completion, and the probe's path.
//!
//! They are asked for from the machine that runs Terraform. Where it is let in nowhere, as a runner outside
//! of the service's `ingress_cidrs`, the router's own chat counts, of which its console tells.

use super::access::RouterAccess;
use super::grace::last_look;
use super::machines::console;
use super::pace::Pace;
use crate::failure::{EndpointSeen, Failure, Result};
use crate::http::{Http, HttpRequest, HttpResponse, NoAnswer};
use cloud::Deadline;
use domain::console::latest_state;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// What must answer besides the chat completion.
#[derive(Debug)]
pub struct EndpointProbe {
    pub path: String,
    pub interval: Duration,
}

/// How it is known that the endpoint answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Proof {
    /// It has answered.
    Answered,
    /// The router has answered itself; from here, this is in the way.
    OnTheRouter { in_the_way: String },
}

/// Waits until a real chat completion and the probe's path are answered.
pub async fn endpoint(
    deadline: &Deadline,
    router: &RouterAccess,
    model: &str,
    probe: &EndpointProbe,
) -> Result<Proof> {
    let pace = Pace::new(&*router.cloud).tight().at_most(probe.interval);
    let (begun, mut was_let_in) = (Instant::now(), false);
    let mut seen = EndpointSeen::Nothing;
    loop {
        match deadline.checked(ask(router, model, probe)).await {
            Ok(Answer::Yes) => return Ok(Proof::Answered),
            Ok(Answer::No(no)) => {
                was_let_in = true;
                seen = EndpointSeen::Answer(no);
            }
            Ok(Answer::NoWayIn(in_the_way)) => {
                if !was_let_in && begun.elapsed() >= NO_WAY_IN && chats_with_itself(router).await {
                    return Ok(Proof::OnTheRouter { in_the_way });
                }
                seen = match was_let_in {
                    true => EndpointSeen::Answer(in_the_way),
                    false => EndpointSeen::NoWayIn(in_the_way),
                };
            }
            // What was seen before says more.
            Err(_) => {}
        }
        if let Err(why) = pace.next(deadline).await {
            return Err(Failure::Unanswered {
                model: model.to_owned(),
                url: format!("{}/v1", router.endpoint),
                seen,
                proxy: proxy_in_the_way(deadline, router).await,
                why,
            });
        }
    }
}

/// The variable of a proxy between the router and its workers, if its console tells of one.
async fn proxy_in_the_way(deadline: &Deadline, router: &RouterAccess) -> Option<String> {
    let router = router.within(&last_look(deadline));
    let console = console(&*router.cloud, &router.fleet, &router.instance).await;
    let state = console.ok().as_deref().and_then(latest_state);
    state.as_ref().and_then(|state| state.proxy()).map(str::to_owned)
}

/// What one look at an endpoint tells.
enum Answer {
    Yes,
    No(String),
    NoWayIn(String),
}

async fn ask(router: &RouterAccess, model: &str, probe: &EndpointProbe) -> Answer {
    let RouterAccess { http, endpoint, .. } = router;
    match chat(&**http, endpoint, model).await {
        Answer::Yes => match http.send(HttpRequest::get(format!("{endpoint}{}", probe.path))).await
        {
            Ok(answer) if answer.status == 200 => Answer::Yes,
            Ok(answer) => Answer::No(format!(
                "the chat completion answers, `{}` answers {}",
                probe.path, answer.status
            )),
            Err(error) => {
                Answer::No(format!("the chat completion answers, `{}`: {error}", probe.path))
            }
        },
        answer => answer,
    }
}

/// Whether the router says that it was answered a chat; a console that cannot be read says nothing.
async fn chats_with_itself(router: &RouterAccess) -> bool {
    let console = console(&*router.cloud, &router.fleet, &router.instance).await;
    let state = console.ok().as_deref().and_then(latest_state);
    state.is_some_and(|state| state.is_ready() && state.has_chatted())
}

/// A rule that was opened a moment ago lets in later.
const NO_WAY_IN: Duration = Duration::from_secs(10);

/// The first token of a long queue, or of a KV cache that is handed over by TCP, takes its time.
const LONGEST_COMPLETION: Duration = Duration::from_secs(180);

async fn chat(http: &dyn Http, endpoint: &str, model: &str) -> Answer {
    let request = json!({
        "model": model,
        "messages": [{ "role": "user", "content": "ping" }],
        "max_tokens": 1,
    });
    let post = HttpRequest::post(format!("{endpoint}/v1/chat/completions"), request);
    match http.send(post.within(LONGEST_COMPLETION)).await {
        Ok(HttpResponse { status: 200, .. }) => Answer::Yes,
        Ok(HttpResponse { status, body }) => {
            let text: String = body.chars().take(200).collect();
            let text = if text.is_empty() { text } else { format!(": {text}") };
            Answer::No(format!("the chat completion answers {status}{text}"))
        }
        Err(NoAnswer::Refused(why) | NoAnswer::Unreachable(why)) => Answer::NoWayIn(why),
        Err(NoAnswer::Broken(why)) => Answer::No(why),
    }
}
