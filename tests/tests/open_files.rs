//! More clients at a time than a process may have files open where nobody has raised the limit.

use acceptance::Workspace;
use acceptance::config::Stack;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CLIENTS: usize = 2000;

/// What a shell, and every service of systemd, has by default.
const SOFT_LIMIT: u64 = 1024;

/// The only test of its file, because the limit is that of the whole process.
#[test]
fn two_thousand_clients_at_once_are_all_answered_on_the_local_cloud() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let room = 2 * CLIENTS as u64;
    assert!(maximum.is_none_or(|most| most >= room), "`ulimit -Hn` must be at least {room}");
    let limit = |current| setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum });

    limit(SOFT_LIMIT).expect("the soft limit");
    let workspace = Workspace::local();
    workspace.apply(&Stack::on(workspace.cloud()).hcl());
    let url = workspace.output("url");
    let address = url.as_str().and_then(|url| url.strip_prefix("http://")?.strip_suffix("/v1"));
    let address = address.expect("the address of the endpoint").to_owned();

    // The clients have files of their own.
    limit(room).expect("the soft limit");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let seen = runtime.expect("a runtime").block_on(async {
        let patience = acceptance::patient(Duration::from_secs(120));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let address = address.clone();
            clients.spawn(async move {
                let answer = tokio::time::timeout(patience, stream(&address)).await;
                match answer {
                    Ok(Ok(answer)) if answer.contains("data: [DONE]") => "answered".to_owned(),
                    Ok(Ok(answer)) => format!("broken: {}", answer.lines().next().unwrap_or("")),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer in {patience:?}"),
                }
            });
        }
        let mut seen = BTreeMap::<String, usize>::new();
        while let Some(outcome) = clients.join_next().await {
            *seen.entry(outcome.expect("a client does not panic")).or_default() += 1;
        }
        seen
    });
    limit(SOFT_LIMIT).expect("the soft limit");
    assert_eq!(seen, BTreeMap::from([("answered".to_owned(), CLIENTS)]));
    workspace.destroy();
}

/// A streamed chat of 200 tokens, whole: long enough that all are under way together.
async fn stream(address: &str) -> io::Result<String> {
    let body = r#"{"model":"disagg/tiny","max_tokens":200,"stream":true,"messages":[{"role":"user","content":"Hello."}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
