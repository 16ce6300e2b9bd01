//! One look at what runs on an engine, by its metrics.

use super::reason;
use domain::drain::Load;
use std::error::Error;
use std::io;
use std::net::SocketAddr;

/// What one look at an engine has found.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// The machine answers, and no process listens there.
    Nobody,
    /// What runs on it.
    Load(Load),
    /// A page that does not say what runs on it, as of an engine that is still loading; why.
    Unreadable(String),
    /// Something listens, and does not answer; why.
    Silent(String),
    /// No connection; why.
    Unreachable(String),
}

/// Looks at the engine whose metrics are at this address.
pub(super) async fn look(http: &reqwest::Client, metrics: SocketAddr) -> Look {
    let page = async {
        let answer = http.get(format!("http://{metrics}/metrics")).send().await?;
        answer.error_for_status()?.text().await
    };
    match page.await {
        Ok(page) => match Load::parse(&page) {
            Ok(load) => Look::Load(load),
            Err(error) => Look::Unreadable(error.to_string()),
        },
        Err(error) if is_refused(&error) => Look::Nobody,
        Err(error) if error.is_connect() => Look::Unreachable(reason(&error)),
        Err(error) => Look::Silent(reason(&error)),
    }
}

fn is_refused(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let mut causes = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}
