//! Who is registered in a router's etcd, in the words of its JSON API: keys and values are base64.

use crate::registration::socket;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// All instances of all namespaces: `v1/instances/<namespace>/<component>/<endpoint>/<id>`.
const INSTANCES: &str = "v1/instances/";

/// The model cards, by the same four names.
const CARDS: &str = "v1/mdc/";

/// A process has other endpoints too; requests come to this one.
const ENDPOINT: &str = "generate";

/// etcd takes 128 operations in one transaction.
const MOST_OPERATIONS: usize = 100;

/// A request to etcd.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Below the address: `/v3/kv/range`.
    pub path: &'static str,
    /// Its JSON.
    pub body: Value,
}

/// Engines that requests can come to, by their keys in etcd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// `<namespace>/<component>/generate/<id>` and where it listens.
    engines: Vec<(String, SocketAddr)>,
}

/// Asks for everything that [`Registered::parse`] reads.
pub fn read_registry() -> Request {
    Request { path: "/v3/kv/range", body: range(INSTANCES, &end_of_prefix(INSTANCES)) }
}

impl Registered {
    /// Reads the answer to [`read_registry`].
    ///
    /// # Errors
    /// When it is not the answer of an etcd, or a worker's key is not as Dynamo writes it.
    pub fn parse(answer: &str) -> Result<Self, UnreadableRegistry> {
        let answer: RangeAnswer = serde_json::from_str(answer)?;
        if answer.header.is_none() {
            return Err(UnreadableRegistry::NotEtcd);
        }
        let mut engines = Vec::new();
        for pair in answer.kvs {
            let key = decoded(&pair.key)?;
            let name = key.strip_prefix(INSTANCES).ok_or(UnreadableRegistry::NotEtcd)?;
            let parts: Vec<&str> = name.split('/').collect();
            let [_, _, ENDPOINT, _] = parts[..] else { continue };
            let instance: Instance = serde_json::from_str(&decoded(&pair.value)?)?;
            // Over another plane there is no address, and it is none of our machines'.
            if let Some(socket) = instance.transport.tcp.as_deref().and_then(socket) {
                engines.push((name.to_owned(), socket));
            }
        }
        Ok(Self { engines })
    }

    /// Those at these addresses.
    #[must_use]
    pub fn at(&self, addresses: &BTreeSet<IpAddr>) -> Self {
        let engines = self.engines.iter().filter(|(_, socket)| addresses.contains(&socket.ip()));
        Self { engines: engines.cloned().collect() }
    }

    /// Where they take requests.
    pub fn sockets(&self) -> BTreeSet<SocketAddr> {
        self.engines.iter().map(|(_, socket)| *socket).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.engines.is_empty()
    }

    /// Takes their model cards away, all in one moment: a router chooses them no longer, and takes in
    /// those that it had refused because they differ from these.
    pub fn without_cards(&self) -> Vec<Request> {
        self.transactions(CARDS)
    }

    /// Takes the instances away.
    pub fn without_instances(&self) -> Vec<Request> {
        self.transactions(INSTANCES)
    }

    fn transactions(&self, prefix: &str) -> Vec<Request> {
        let deletions = self.engines.iter().map(|(name, _)| {
            let key = format!("{prefix}{name}");
            // With what is below it, as the cards of adapters; `0` is what comes after `/`.
            json!({ "requestDeleteRange": range(&key, &format!("{key}0")) })
        });
        let deletions: Vec<Value> = deletions.collect();
        let transaction = |deletions: &[Value]| Request {
            path: "/v3/kv/txn",
            body: json!({ "success": deletions }),
        };
        deletions.chunks(MOST_OPERATIONS).map(transaction).collect()
    }
}

/// An answer that is not that of a router's etcd.
#[derive(Debug, Error)]
pub enum UnreadableRegistry {
    /// Something else answers there.
    #[error("the answer is not that of an etcd")]
    NotEtcd,
    /// Not JSON, or not of this shape.
    #[error("the answer is not the JSON of an etcd with Dynamo's keys")]
    Json(#[from] serde_json::Error),
    /// A key or a value that is none.
    #[error("a key or a value is not base64 of text")]
    Encoding,
}

#[derive(Deserialize)]
struct RangeAnswer {
    header: Option<Value>,
    #[serde(default)]
    kvs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(default)]
    transport: Transport,
}

#[derive(Default, Deserialize)]
struct Transport {
    tcp: Option<String>,
}

fn range(key: &str, end: &str) -> Value {
    json!({ "key": BASE64_STANDARD.encode(key), "range_end": BASE64_STANDARD.encode(end) })
}

/// What comes after everything that begins with a prefix that ends with `/`.
fn end_of_prefix(prefix: &str) -> String {
    format!("{}0", prefix.trim_end_matches('/'))
}

fn decoded(text: &str) -> Result<String, UnreadableRegistry> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| UnreadableRegistry::Encoding)?;
    String::from_utf8(bytes).map_err(|_| UnreadableRegistry::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn answer(pairs: &[(&str, &str)]) -> String {
        let pair = |(key, value): &(&str, &str)| json!({ "key": BASE64_STANDARD.encode(key), "lease": "7", "value": BASE64_STANDARD.encode(value) });
        let kvs: Vec<Value> = pairs.iter().map(pair).collect();
        json!({ "header": { "revision": "18" }, "kvs": kvs, "count": "9" }).to_string()
    }

    fn instance(tcp: &str) -> String {
        format!(
            r#"{{"type":"Endpoint","instance_id":1,"transport":{{"tcp":"{tcp}"}},"device_type":"cuda"}}"#
        )
    }

    fn three() -> Registered {
        let text = answer(&[
            (
                "v1/instances/dynamo/backend/generate/10c9",
                &instance("127.0.0.12:20000/10c9/dynamo/backend/generate"),
            ),
            (
                "v1/instances/dynamo/backend/generate/10ca",
                &instance("127.0.0.12:20001/10ca/dynamo/backend/generate"),
            ),
            ("v1/instances/dynamo/backend/router-discovery/10c5", r#"{"transport":{}}"#),
            ("v1/instances/dynamo/prefill/generate/10cf", &instance("[fd00::1]:20000/x")),
            (
                "v1/instances/dynamo/prefill/generate/10d0",
                r#"{"transport":{"nats_tcp":"dynamo.generate-1f"}}"#,
            ),
            (
                "v1/instances/dynamo/prefill/worker_kv_query_source_1f/10cf",
                &instance("127.0.0.13:20000/x"),
            ),
        ]);
        Registered::parse(&text).unwrap()
    }

    fn plain(body: &Value) -> String {
        let mut text = String::new();
        for deletion in body["success"].as_array().unwrap() {
            let range = &deletion["requestDeleteRange"];
            let part = |name: &str| decoded(range[name].as_str().unwrap()).unwrap();
            text += &format!("{}..{}\n", part("key"), part("range_end"));
        }
        text
    }

    #[test]
    fn engines_are_found_by_their_addresses() {
        let all = three();
        let v4: IpAddr = "127.0.0.12".parse().unwrap();
        let own = all.at(&BTreeSet::from([v4]));
        let [cards] = &own.without_cards()[..] else { panic!("one transaction") };
        assert_eq!(cards.path, "/v3/kv/txn");
        expect![[r#"
            v1/mdc/dynamo/backend/generate/10c9..v1/mdc/dynamo/backend/generate/10c90
            v1/mdc/dynamo/backend/generate/10ca..v1/mdc/dynamo/backend/generate/10ca0
        "#]]
        .assert_eq(&plain(&cards.body));
        let [instances] = &own.without_instances()[..] else { panic!("one transaction") };
        expect![[r#"
            v1/instances/dynamo/backend/generate/10c9..v1/instances/dynamo/backend/generate/10c90
            v1/instances/dynamo/backend/generate/10ca..v1/instances/dynamo/backend/generate/10ca0
        "#]]
        .assert_eq(&plain(&instances.body));
        let one = all.at(&BTreeSet::from(["fd00::1".parse().unwrap()]));
        assert_eq!(one.sockets(), BTreeSet::from(["[fd00::1]:20000".parse().unwrap()]));
        let none = all.at(&BTreeSet::from(["127.0.0.99".parse().unwrap()]));
        assert!(none.is_empty() && none.without_cards().is_empty());
    }

    /// An id that begins with another one is another engine.
    #[test]
    fn a_key_stands_for_itself_and_what_is_below_it() {
        let (key, end) = ("v1/mdc/a/b/generate/1f", "v1/mdc/a/b/generate/1f0");
        let is_meant = |other: &str| key <= other && other < end;
        for meant in [key, "v1/mdc/a/b/generate/1f/adapter"] {
            assert!(is_meant(meant), "{meant}");
        }
        for other in
            ["v1/mdc/a/b/generate/1f0", "v1/mdc/a/b/generate/1fa", "v1/mdc/a/b/generate/1e"]
        {
            assert!(!is_meant(other), "{other}");
        }
    }

    #[test]
    fn many_are_several_transactions() {
        let engines =
            (0..250).map(|id| (format!("a/b/generate/{id:x}"), "[::1]:20000".parse().unwrap()));
        let many = Registered { engines: engines.collect() };
        let sizes = many
            .without_cards()
            .into_iter()
            .map(|one| one.body["success"].as_array().unwrap().len());
        assert_eq!(sizes.collect::<Vec<_>>(), [100, 100, 50]);
    }

    #[test]
    fn the_question_and_answers_without_workers() {
        let Request { path, body } = read_registry();
        assert_eq!(path, "/v3/kv/range");
        let part = |name: &str| decoded(body[name].as_str().unwrap()).unwrap();
        assert_eq!(
            (part("key"), part("range_end")),
            ("v1/instances/".to_owned(), "v1/instances0".to_owned())
        );
        assert!(Registered::parse(r#"{"header":{"revision":"1"}}"#).unwrap().is_empty());
        let no_base64 = r#"{"header":{},"kvs":[{"key":"%"}]}"#;
        for wrong in ["", "<html>", "{}", r#"{"kvs":[]}"#, no_base64] {
            assert!(Registered::parse(wrong).is_err(), "{wrong}");
        }
        let no_json = answer(&[("v1/instances/a/b/generate/1", "x")]);
        assert!(Registered::parse(&no_json).is_err());
    }
}
