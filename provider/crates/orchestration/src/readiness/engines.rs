//! The engines of machines that are drained: which of them have to be watched, and what runs on them, by
//! their metrics. Each machine says itself what it runs, whatever the configuration says by now.

use crate::http::{Http, HttpRequest, NoAnswer};
use cloud::InstanceId;
use domain::drain::Load;
use domain::ports::EnginePorts;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use tokio::sync::Semaphore;

/// One engine process, or a port at which there may be one.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) machine: InstanceId,
    metrics: SocketAddr,
    /// What the latest look has found.
    seen: Look,
}

/// What one look at an engine has found.
#[derive(Clone, Debug)]
enum Look {
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

impl Engine {
    /// The first look, in its turn.
    pub(crate) async fn find(
        turns: &Semaphore,
        http: &dyn Http,
        machine: &InstanceId,
        metrics: SocketAddr,
    ) -> Self {
        let mut engine =
            Self { machine: machine.clone(), metrics, seen: Look::Unreachable(String::new()) };
        engine.look(turns, http).await;
        engine
    }

    /// One more look, in its turn.
    pub(crate) async fn look(&mut self, turns: &Semaphore, http: &dyn Http) {
        // It is never closed.
        let _turn = turns.acquire().await;
        self.seen = look(http, self.metrics).await;
    }

    /// Whether nothing runs on it. Silence is no answer: an engine that is busy may miss a look.
    pub(crate) fn is_done(&self) -> bool {
        match &self.seen {
            Look::Nobody => true,
            Look::Load(load) => load.is_empty(),
            Look::Unreadable(_) | Look::Silent(_) | Look::Unreachable(_) => false,
        }
    }

    /// Whether it does not say what runs on it.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.seen, Look::Unreadable(_) | Look::Silent(_) | Look::Unreachable(_))
    }

    /// Whether something is there that takes connections, and answers none.
    pub(crate) fn is_mute(&self) -> bool {
        matches!(self.seen, Look::Silent(_))
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, metrics, seen } = self;
        match seen {
            Look::Load(load) if load.requests > 0.0 => {
                write!(text, "{machine} has {} requests in flight", load.requests)
            }
            Look::Load(_) => write!(text, "{machine} holds KV that no decode has fetched"),
            Look::Nobody => write!(text, "{machine} runs nothing"),
            Look::Unreadable(why) | Look::Silent(why) | Look::Unreachable(why) => {
                write!(text, "{machine} does not say what runs on it (http://{metrics}: {why})")
            }
        }
    }
}

/// Which of the ports that were looked at have to be watched, when requests come to engines at these sockets.
///
/// # Errors
/// With the reason when none of those that requests come to can be reached.
pub(crate) fn watched(
    found: Vec<Engine>,
    registered: &BTreeSet<SocketAddr>,
) -> Result<Vec<Engine>, String> {
    let metrics = |rpc: &SocketAddr| {
        Some(SocketAddr::new(rpc.ip(), EnginePorts::with_rpc(rpc.port())?.system))
    };
    let registered: BTreeSet<SocketAddr> = registered.iter().filter_map(metrics).collect();
    let has_registered =
        |engine: &Engine| registered.iter().any(|socket| socket.ip() == engine.metrics.ip());
    let is_watched = |engine: &Engine| match &engine.seen {
        _ if registered.contains(&engine.metrics) => true,
        // It was taken out of the router before, and works at what it had.
        Look::Load(_) => true,
        // So may this one; on a machine whose engines are known it is something else.
        Look::Silent(_) => !has_registered(engine),
        // Who says nothing of requests and is not registered has never had one.
        Look::Unreadable(_) | Look::Nobody | Look::Unreachable(_) => false,
    };
    let watched: Vec<Engine> = found.into_iter().filter(is_watched).collect();
    let is_out_of_reach = |engine: &Engine| matches!(engine.seen, Look::Unreachable(_));
    match watched.first() {
        Some(first) if watched.iter().all(is_out_of_reach) => Err(first.to_string()),
        _ => Ok(watched),
    }
}

/// Looks at what is at this address.
async fn look(http: &dyn Http, metrics: SocketAddr) -> Look {
    match http.send(HttpRequest::get(format!("http://{metrics}/metrics"))).await {
        Ok(answer) => match answer.success() {
            Ok(page) => match Load::parse(&page) {
                Ok(load) => Look::Load(load),
                Err(error) => Look::Unreadable(error.to_string()),
            },
            Err(why) => Look::Silent(why),
        },
        Err(NoAnswer::Refused(_)) => Look::Nobody,
        Err(NoAnswer::Unreachable(why)) => Look::Unreachable(why),
        Err(NoAnswer::Broken(why)) => Look::Silent(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(metrics: &str, seen: Look) -> Engine {
        Engine { machine: InstanceId("m-1".to_owned()), metrics: metrics.parse().unwrap(), seen }
    }

    fn busy() -> Look {
        Look::Load(Load { requests: 2.0, holds_kv: false })
    }

    fn why() -> String {
        "no answer".to_owned()
    }

    /// The ports that are watched, of one machine with these, when these engines are registered.
    fn ports(found: &[(u16, Look)], registered: &[u16]) -> Result<Vec<u16>, String> {
        let found = found.iter();
        let found = found.map(|(port, seen)| engine(&format!("10.0.0.7:{port}"), seen.clone()));
        let sockets = registered.iter().map(|port| format!("10.0.0.7:{port}").parse().unwrap());
        let watched = watched(found.collect(), &sockets.collect())?;
        Ok(watched.iter().map(|engine| engine.metrics.port()).collect())
    }

    #[test]
    fn engines_that_are_registered_are_watched_and_what_still_works() {
        let found = [
            (9000, busy()),
            (9001, Look::Unreachable(why())),
            (9002, Look::Unreadable(why())),
            (9003, Look::Silent(why())),
            (9004, Look::Nobody),
            (9005, busy()),
        ];
        // All that is registered, whatever was seen of it; and one that was taken out before.
        let all = [20000, 20001, 20002, 20003, 20004];
        assert_eq!(ports(&found, &all), Ok(vec![9000, 9001, 9002, 9003, 9004, 9005]));
        // What else listens on such a machine is no engine, or has never had a request.
        assert_eq!(ports(&found, &[20000]), Ok(vec![9000, 9005]));
        // A port of the user's own tells of no metrics.
        assert_eq!(ports(&found, &[31000]), Ok(vec![9000, 9003, 9005]));
    }

    #[test]
    fn a_machine_that_was_taken_out_before_may_be_too_busy_to_answer() {
        let found = [(9000, Look::Silent(why())), (9001, Look::Nobody)];
        assert_eq!(ports(&found, &[]), Ok(vec![9000]));
        let loading = [(9000, Look::Unreadable(why())), (9001, Look::Nobody)];
        assert_eq!(ports(&loading, &[]), Ok(vec![]));
        let dead = [(9000, Look::Unreachable(why()))];
        assert_eq!(ports(&dead, &[]), Ok(vec![]));
    }

    #[test]
    fn without_a_way_to_any_of_them_there_is_no_route() {
        let hidden = [(9000, Look::Unreachable(why())), (9001, Look::Unreachable(why()))];
        assert!(ports(&hidden, &[20000]).unwrap_err().contains("no answer"));
        assert_eq!(ports(&[(9000, Look::Nobody)], &[20000]), Ok(vec![9000]));
    }
}
