//! A client of the OpenAI API that is not ours: curl.

use crate::workspace::Workspace;
use serde_json::{Value, json};
use std::process::Command;

/// The status and the body of a chat completion.
pub fn chat(url: &str, model: &str, prompt: &str) -> (u16, Value) {
    let body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": prompt }],
        "max_tokens": 16,
    });
    let (status, text) = post(&format!("{url}/chat/completions"), &body);
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The events of a streamed chat completion, `[DONE]` among them.
pub fn chat_stream(url: &str, model: &str, prompt: &str) -> Vec<String> {
    let body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": prompt }],
        "max_tokens": 16,
        "stream": true,
    });
    let (status, text) = post(&format!("{url}/chat/completions"), &body);
    assert_eq!(status, 200, "{text}");
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

fn post(url: &str, body: &Value) -> (u16, String) {
    let output = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--max-time", "30", "-w", "\n%{http_code}"])
        .args(["-H", "Content-Type: application/json", "-d", &body.to_string(), url])
        .output()
        .expect("curl is on the PATH");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
    (code.parse().unwrap_or_default(), body.to_owned())
}

/// Asserts that the endpoint of a workspace answers, where anybody answers at all.
pub fn assert_chats(workspace: &Workspace) {
    if crate::serves() {
        let url = workspace.output("url");
        let (status, answer) = chat(url.as_str().expect("a text"), "disagg/tiny", "Are you there?");
        assert_eq!(status, 200, "{answer}");
    }
}
