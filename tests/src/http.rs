//! A client of the OpenAI API that is not ours: curl.

use crate::workspace::Workspace;
use cloudsim::patient;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::NamedTempFile;

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

/// A streamed answer that goes on while the test does something else.
#[derive(Debug)]
pub struct Answer {
    curl: Child,
    text: NamedTempFile,
    tokens: u32,
}

impl Answer {
    /// Asks for so many tokens, neither more nor less.
    pub fn begin(url: &str, model: &str, tokens: u32) -> Self {
        let body = json!({
            "model": model,
            "messages": [{ "role": "user", "content": format!("Tell me a story, {tokens} words.") }],
            "max_tokens": tokens,
            "ignore_eos": true,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        let text = NamedTempFile::new().expect("temp file");
        let curl = Command::new("curl")
            .args(["-sS", "-N", "--noproxy", "*", "--max-time", &seconds(240), "-o"])
            .arg(text.path())
            .args(["-H", "Content-Type: application/json", "-d", &body.to_string()])
            .arg(format!("{url}/chat/completions"))
            .stderr(Stdio::null())
            .spawn()
            .expect("curl is on the PATH");
        Self { curl, text, tokens }
    }

    /// Whether the first token has come.
    pub fn has_begun(&self) -> bool {
        self.events().iter().any(|event| {
            event["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty())
        })
    }

    /// Waits for its end; what is wrong with it, if it is not whole.
    ///
    /// # Errors
    /// Says what has come of it.
    pub fn end(mut self) -> Result<(), String> {
        let ended = self.curl.wait().expect("curl can be waited for");
        let text = std::fs::read_to_string(self.text.path()).expect("the answer can be read");
        let events = self.events();
        let finished = events.iter().any(|event| event["choices"][0]["finish_reason"] == "length");
        let usage = |event: &Value| event["usage"]["completion_tokens"].as_u64();
        let tokens = events.iter().rev().find_map(usage);
        let is_whole = ended.success()
            && finished
            && tokens == Some(u64::from(self.tokens))
            && text.contains("data: [DONE]");
        let end = text.len().saturating_sub(300);
        match is_whole {
            true => Ok(()),
            false => Err(format!(
                "{ended}, {tokens:?} of {} tokens, {} events, …{}",
                self.tokens,
                events.len(),
                text.get(end..).unwrap_or_default()
            )),
        }
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.text.path()).expect("the answer can be read");
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        events.filter_map(|event| serde_json::from_str(event).ok()).collect()
    }
}

/// Short chats, four a second, for as long as this is there.
#[derive(Debug)]
pub struct Chats {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Chats {
    /// Begins with the first one.
    pub fn begin(url: &str, model: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, url, model) = (Arc::clone(&stop), url.to_owned(), model.to_owned());
        let thread = std::thread::spawn(move || {
            let (mut count, mut wrong) = (0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let (status, answer) = chat(&url, &model, &format!("Are you there? {count}"));
                if status != 200 {
                    wrong.push(format!("{status} {answer}"));
                }
                count += 1;
                // A client of real processes has no clock but the real one.
                Command::new("sleep").arg("0.25").status().expect("sleep is on the PATH");
            }
            (count, wrong)
        });
        Self { stop, thread }
    }

    /// How many there were, and what was wrong with those that were not answered.
    ///
    /// # Panics
    /// When the thread has.
    pub fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

fn post(url: &str, body: &Value) -> (u16, String) {
    let output = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--max-time", &seconds(30), "-w", "\n%{http_code}"])
        .args(["-H", "Content-Type: application/json", "-d", &body.to_string(), url])
        .output()
        .expect("curl is on the PATH");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
    (code.parse().unwrap_or_default(), body.to_owned())
}

/// So many on a computer that is not slow, as an argument.
fn seconds(count: u64) -> String {
    patient(Duration::from_secs(count)).as_secs().to_string()
}

/// Asserts that the endpoint of a workspace answers, where anybody answers at all.
pub fn assert_chats(workspace: &Workspace) {
    if workspace.cloud().serves() {
        let url = workspace.output("url");
        let (status, answer) = chat(url.as_str().expect("a text"), "disagg/tiny", "Are you there?");
        assert_eq!(status, 200, "{answer}");
    }
}
