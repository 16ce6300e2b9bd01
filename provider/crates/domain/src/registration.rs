//! Who is registered, as the frontend's `GET /health` says: it lists each endpoint of each process,
//! with the address it listens at. And how many of them get requests, as `GET /v1/models/MODEL/ready` says:
//! a frontend refuses workers that differ from those before, and lists them all the same.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// What a router knows of its workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    engines: Vec<Engine>,
}

/// One engine process that takes requests.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Engine {
    /// Dynamo's id of it, a new one for each registration.
    id: String,
    address: Option<IpAddr>,
}

/// Reads the body of the answer, whatever its status.
///
/// # Errors
/// When it is not the JSON of a frontend.
pub fn parse(body: &str) -> Result<Health, InvalidHealth> {
    let body: Body = serde_json::from_str(body)?;
    // A process has other endpoints too; it is at work when it generates.
    let generating = body.instances.into_iter().filter(|instance| instance.endpoint == "generate");
    let engines = generating.map(|instance| Engine {
        id: instance.instance_id.to_string(),
        address: instance.transport.tcp.as_deref().and_then(socket).map(|socket| socket.ip()),
    });
    Ok(Health { engines: engines.collect() })
}

impl Health {
    /// How many engines of each address are registered, not counting those that were `before`: an
    /// address may have been another machine's.
    pub fn per_address(&self, before: &BTreeSet<String>) -> BTreeMap<IpAddr, usize> {
        let mut counts = BTreeMap::new();
        for engine in self.engines.iter().filter(|engine| !before.contains(&engine.id)) {
            if let Some(address) = engine.address {
                *counts.entry(address).or_insert(0) += 1;
            }
        }
        counts
    }

    /// Whether there are more engines than the frontend routes to: it has refused some, or not yet taken
    /// notice of them.
    pub fn exceeds(&self, accepted: Accepted) -> bool {
        self.engines.len() > accepted.0
    }

    /// Dynamo's ids of all engines that are registered now.
    pub fn instance_ids(&self) -> Vec<String> {
        self.engines.iter().map(|engine| engine.id.clone()).collect()
    }
}

/// How many engines a frontend routes to. It does not tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted(usize);

/// Reads the body of `GET /v1/models/MODEL/ready`.
///
/// # Errors
/// When it is not the JSON of a frontend that knows the model.
pub fn parse_accepted(body: &str) -> Result<Accepted, InvalidHealth> {
    let Readiness { namespaces } = serde_json::from_str(body)?;
    let types = namespaces.values().flat_map(|namespace| namespace.worker_types.values());
    Ok(Accepted(types.map(|workers| workers.workers).sum()))
}

/// A body that no frontend sends.
#[derive(Debug, Error)]
#[error("the answer is not the health of a frontend")]
pub struct InvalidHealth(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Readiness {
    namespaces: BTreeMap<String, Namespace>,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(default)]
    worker_types: BTreeMap<String, Workers>,
}

#[derive(Deserialize)]
struct Workers {
    workers: usize,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    endpoint: String,
    instance_id: serde_json::Number,
    #[serde(default)]
    transport: Transport,
}

/// Over NATS there is no address, and nothing here.
#[derive(Default, Deserialize)]
struct Transport {
    tcp: Option<String>,
}

/// The address of `127.0.0.12:20001/11c4a2058d53710a/dynamo/backend/generate`.
pub(crate) fn socket(tcp: &str) -> Option<SocketAddr> {
    tcp.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_WORKERS: &str = r#"{"status":"healthy","endpoints":["dyn://dynamo.backend.generate"],"instances":[
        {"component":"backend","endpoint":"generate","namespace":"dynamo","instance_id":18446744073709551615,"transport":{"tcp":"127.0.0.12:20000/11c4a2058d53710a/dynamo/backend/generate"},"device_type":"cuda","request_plane_codec":"msgpack"},
        {"component":"backend","endpoint":"generate","namespace":"dynamo","instance_id":2,"transport":{"tcp":"127.0.0.12:20001/x/dynamo/backend/generate"}},
        {"component":"prefill","endpoint":"generate","namespace":"dynamo","instance_id":3,"transport":{"tcp":"[fd00::1]:20000/x/dynamo/prefill/generate"}},
        {"component":"prefill","endpoint":"worker_kv_query_source_1f","namespace":"dynamo","instance_id":3,"transport":{"tcp":"127.0.0.12:20002/x"}},
        {"component":"prefill","endpoint":"generate","namespace":"dynamo","instance_id":4,"transport":{"nats_tcp":"dynamo_backend.generate-1f"}}
    ]}"#;

    #[test]
    fn engines_are_counted_by_address() {
        let health = parse(TWO_WORKERS).unwrap();
        let [v4, v6]: [IpAddr; 2] = ["127.0.0.12".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(health.per_address(&BTreeSet::new()), BTreeMap::from([(v4, 2), (v6, 1)]));
        assert_eq!(health.instance_ids(), ["18446744073709551615", "2", "3", "4"]);
        let before = BTreeSet::from(["2".to_owned(), "3".to_owned()]);
        assert_eq!(health.per_address(&before), BTreeMap::from([(v4, 1)]));
    }

    #[test]
    fn refused_workers_are_listed_and_not_accepted() {
        let ready = |decode: usize| {
            let body = format!(
                r#"{{"model":"disagg/tiny","ready":true,"namespaces":{{"dynamo":{{"ready":true,"worker_types":{{"decode":{{"workers":{decode},"needs":[["prefill"]]}},"prefill":{{"workers":1,"needs":[["decode"]]}}}},"present":["decode","prefill"],"missing_worker_types":[]}},"dynamo-abc":{{"ready":false,"reason":"missing worker types: prefill","worker_types":{{"decode":{{"workers":1}}}}}}}}}}"#
            );
            parse_accepted(&body).unwrap()
        };
        let health = parse(TWO_WORKERS).unwrap();
        assert!(!health.exceeds(ready(2)));
        assert!(health.exceeds(ready(1)));
        for wrong in ["", r#"{"message":"Model not found","type":"Not Found","code":404}"#] {
            assert!(parse_accepted(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn answers_without_workers() {
        for empty in
            [r#"{"status":"healthy","endpoints":[],"instances":[]}"#, r#"{"status":"not_ready"}"#]
        {
            assert_eq!(parse(empty).unwrap(), Health::default(), "{empty}");
        }
        for wrong in ["", "<html>", r#"{"instances":[{}]}"#] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
