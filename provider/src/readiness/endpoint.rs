//! The endpoint: a real chat completion, and the probe's path.

use super::pace::Pace;
use super::{reason, status};
use crate::error::{Failure, Result};
use cloud::Cloud;
use plugin::Ctx;
use serde_json::json;
use std::time::Duration;

/// What must answer besides the chat completion.
#[derive(Debug)]
pub(crate) struct EndpointProbe {
    pub(crate) path: String,
    pub(crate) interval: Duration,
}

/// Waits until a real chat completion and the probe's path are answered.
pub(crate) async fn endpoint(
    ctx: &Ctx,
    cloud: &dyn Cloud,
    http: &reqwest::Client,
    endpoint: &str,
    model: &str,
    probe: &EndpointProbe,
) -> Result<()> {
    let pace = Pace::new(cloud).closely().at_most(probe.interval);
    loop {
        let answer = ctx.checked(chat(http, endpoint, model)).await;
        let seen = match answer.unwrap_or_else(|_| Err("a completion was under way".to_owned())) {
            Ok(()) => match status(http.get(format!("{endpoint}{}", probe.path))).await {
                Ok(200) => return Ok(()),
                Ok(code) => format!("the chat completion answers, `{}` answers {code}", probe.path),
                Err(error) => format!("the chat completion answers, `{}`: {error}", probe.path),
            },
            Err(seen) => seen,
        };
        pace.next(ctx).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("a chat completion of model `{model}` at {endpoint}/v1"),
            seen,
            why,
            kept: false,
        })?;
    }
}

/// The first token of a long queue, or of a KV cache that is handed over by TCP, takes its time.
const LONGEST_COMPLETION: Duration = Duration::from_secs(180);

async fn chat(http: &reqwest::Client, endpoint: &str, model: &str) -> Result<(), String> {
    let request = json!({
        "model": model,
        "messages": [{ "role": "user", "content": "ping" }],
        "max_tokens": 1,
    });
    let post = http.post(format!("{endpoint}/v1/chat/completions"));
    let answer = post.timeout(LONGEST_COMPLETION).json(&request).send().await;
    match answer {
        Ok(answer) if answer.status().as_u16() == 200 => Ok(()),
        Ok(answer) => {
            let code = answer.status().as_u16();
            let text = answer.text().await.unwrap_or_default();
            let text: String = text.chars().take(200).collect();
            let text = if text.is_empty() { text } else { format!(": {text}") };
            Err(format!("the chat completion answers {code}{text}"))
        }
        Err(error) => Err(reason(&error)),
    }
}
