//! How routers and engines are asked: over HTTP. One small interface, so that what answers may also be in memory.

use crate::failure::{Failure, Result};
use async_trait::async_trait;
use serde_json::Value;
use std::error::Error;
use std::fmt::{self, Debug};
use std::io;
use std::time::Duration;

/// Asks routers and engines.
#[async_trait]
pub trait Http: Debug + Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    /// When nothing answers.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer>;
}

/// One request: `GET`, or `POST` where it has a body.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRequest {
    pub url: String,
    /// JSON.
    pub body: Option<Value>,
    /// From the first byte that is sent to the last that comes back.
    pub within: Duration,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub body: String,
}

/// Why nothing answers; in each the reason as the network tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The machine answers, and no process listens there.
    Refused(String),
    /// There is no way to it from here.
    Unreachable(String),
    /// It was connected, and no whole answer came.
    Broken(String),
}

impl HttpRequest {
    /// Reads what is at this address.
    pub(crate) fn get(url: impl Into<String>) -> Self {
        Self { url: url.into(), body: None, within: ANSWERS_WITHIN }
    }

    /// Sends this to this address.
    pub(crate) fn post(url: impl Into<String>, body: Value) -> Self {
        Self { url: url.into(), body: Some(body), within: ANSWERS_WITHIN }
    }

    /// With another limit.
    pub(crate) fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }
}

impl HttpResponse {
    /// The body of an answer that is no error.
    pub(crate) fn success(self) -> Result<String, String> {
        match self.status {
            200..300 => Ok(self.body),
            status => Err(format!("it answers {status}")),
        }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused(why) | Self::Unreachable(why) | Self::Broken(why)) = self;
        text.write_str(why)
    }
}

#[async_trait]
impl Http for reqwest::Client {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let HttpRequest { url, body, within } = request;
        let request = match body {
            None => self.get(url),
            Some(body) => self.post(url).json(&body),
        };
        let answer = async {
            let answer = request.timeout(within).send().await?;
            let status = answer.status().as_u16();
            Ok(HttpResponse { status, body: answer.text().await? })
        };
        answer.await.map_err(|error: reqwest::Error| no_answer(&error))
    }
}

/// The client for everything that is asked over the network.
pub(crate) fn over_the_network() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        // The router is inside the fleet; a proxy for the internet is no way to it.
        .no_proxy()
        .build()
        .map_err(|error| Failure::Bug(format!("no HTTP client: {error}")))
}

/// A router or an engine that answers at all does so by then, unless it is asked to compute.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

fn no_answer(error: &reqwest::Error) -> NoAnswer {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let mut causes = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    let why = cloud::with_causes(error);
    if causes.any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused) {
        NoAnswer::Refused(why)
    } else if error.is_connect() {
        NoAnswer::Unreachable(why)
    } else {
        NoAnswer::Broken(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_where_nothing_listens_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let http = over_the_network().unwrap();
        let answer = http.send(HttpRequest::get(format!("http://{address}/metrics"))).await;
        assert!(matches!(answer, Err(NoAnswer::Refused(_))), "{answer:?}");
    }
}
