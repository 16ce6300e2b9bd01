//! What the machines answer over HTTP: a router's frontend and its etcd, and the metrics of engines.

use crate::guest::Identity;
use crate::history::Moment;
use crate::programs::{Engine, has_engines, machine_at, registered, serves_since};
use crate::state::{InstanceRecord, State};
use crate::view::View;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::ports::{ETCD, EnginePorts};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its body.
        body: String,
    },
    /// The machine answers, and no process listens there.
    Refused,
    /// There is no way to the machine, or none is there.
    NoRoute,
}

/// What is asked for, and where.
pub(crate) struct Target<'u> {
    socket: SocketAddr,
    path: &'u str,
}

impl<'u> Target<'u> {
    /// `http://10.0.0.10:8000/health`.
    pub(crate) fn parse(url: &'u str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(slash);
        let socket = host.parse().ok().or_else(|| {
            let ip: IpAddr = host.parse().ok()?;
            Some(SocketAddr::new(ip, 80))
        })?;
        Some(Self { socket, path })
    }
}

/// What a machine answers; a public address leads to the one inside.
pub(crate) fn answer(view: &View<'_>, target: &Target<'_>, body: Option<&Value>) -> Reply {
    let Target { socket, path } = target;
    let ip = inside(view, socket.ip());
    if view.state.is_cut_off {
        return Reply::NoRoute;
    }
    let Some((_, record)) = machine_at(view, ip) else { return Reply::NoRoute };
    let port = socket.port();
    match &*record.guest.identity {
        Identity::Router { port: of_frontend, model } if port == *of_frontend => {
            match serves_since(view, record) {
                Some(_) => frontend(&registered(view, record), model, path),
                None => Reply::Refused,
            }
        }
        Identity::Router { .. } if port == ETCD && serves_since(view, record).is_some() => {
            etcd(&registered(view, record), path, body)
        }
        Identity::Worker { engines, role, .. } => {
            let is_engine = (0..*engines).any(|index| EnginePorts::of(index).system == port);
            match is_engine && has_engines(view, record) {
                true if *path == "/metrics" => ok(metrics(view, record, role)),
                true => not_found(),
                false => Reply::Refused,
            }
        }
        Identity::Router { .. } | Identity::Other { .. } => Reply::Refused,
    }
}

/// What a request to a router's etcd takes out of it.
pub(crate) fn take_out(state: &mut State, now: Moment, target: &Target<'_>, body: Option<&Value>) {
    if target.path != "/v3/kv/txn" {
        return;
    }
    let deletions = body.and_then(|body| body["success"].as_array()).into_iter().flatten();
    for deletion in deletions {
        let key = deletion["requestDeleteRange"]["key"].as_str().and_then(decoded);
        let Some((is_card, id)) = key.as_deref().and_then(named) else { continue };
        let out = state.taken_out.entry(id).or_default();
        let since = if is_card { &mut out.card } else { &mut out.instance };
        since.get_or_insert(now);
    }
}

fn inside(view: &View<'_>, ip: IpAddr) -> IpAddr {
    let all = view.state.addresses.iter();
    let mut known = all.filter_map(|(id, history)| Some(view.address(id, history.at(view.at)?)));
    known.find(|address| address.public_ip == Some(ip)).map_or(ip, |address| address.ip)
}

fn frontend(engines: &[Engine<'_>], model: &str, path: &str) -> Reply {
    if path == "/health" {
        let instances = engines.iter().map(|engine| {
            json!({
                "component": engine.component(),
                "endpoint": "generate",
                "namespace": engine.namespace,
                "instance_id": engine.id,
                "transport": { "tcp": transport(engine) },
            })
        });
        let instances: Vec<Value> = instances.collect();
        return ok(
            json!({ "status": "healthy", "endpoints": [], "instances": instances }).to_string()
        );
    }
    let chosen: Vec<&Engine<'_>> = engines.iter().filter(|engine| engine.is_chosen()).collect();
    let is_of_model = path.starts_with("/v1/models/") && path.ends_with("/ready");
    match path {
        "/v1/chat/completions" | "/v1/models" if !chosen.is_empty() => {
            ok(json!({ "model": model, "data": [{ "id": model }], "choices": [] }).to_string())
        }
        _ if is_of_model && !chosen.is_empty() => ok(readiness(&chosen, model)),
        _ => not_found(),
    }
}

fn readiness(chosen: &[&Engine<'_>], model: &str) -> String {
    let mut namespaces: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for engine in chosen {
        *namespaces.entry(engine.namespace).or_default().entry(engine.role).or_default() += 1;
    }
    let namespaces: BTreeMap<&str, Value> = namespaces
        .into_iter()
        .map(|(name, types)| {
            let types: BTreeMap<&str, Value> = types
                .into_iter()
                .map(|(role, count)| (role, json!({ "workers": count })))
                .collect();
            (name, json!({ "ready": true, "worker_types": types }))
        })
        .collect();
    json!({ "model": model, "ready": true, "namespaces": namespaces }).to_string()
}

fn etcd(engines: &[Engine<'_>], path: &str, body: Option<&Value>) -> Reply {
    let header = json!({ "revision": "1" });
    match path {
        "/v3/kv/range" => {
            let wanted = body.and_then(|body| body["key"].as_str()).and_then(decoded);
            let kvs = engines.iter().map(|engine| {
                let key = format!("v1/instances/{}", name(engine));
                let value = json!({ "transport": { "tcp": transport(engine) } }).to_string();
                (key, value)
            });
            let meant =
                kvs.filter(|(key, _)| wanted.as_ref().is_some_and(|it| key.starts_with(it)));
            let pair = |(key, value): (String, String)| json!({ "key": BASE64_STANDARD.encode(key), "value": BASE64_STANDARD.encode(value) });
            let kvs: Vec<Value> = meant.map(pair).collect();
            ok(json!({ "header": header, "kvs": kvs }).to_string())
        }
        "/v3/kv/txn" => ok(json!({ "header": header, "succeeded": true }).to_string()),
        _ => not_found(),
    }
}

fn metrics(view: &View<'_>, record: &InstanceRecord, role: &str) -> String {
    let component = if role == "prefill" { "prefill" } else { "backend" };
    let requests = record.guest.requests(view.at);
    format!(
        "dynamo_component_inflight_requests{{dynamo_component=\"{component}\",\
         dynamo_endpoint=\"generate\",dynamo_namespace=\"dynamo\"}} {requests}\n"
    )
}

/// `<namespace>/<component>/generate/<id>`, as in etcd's keys.
fn name(engine: &Engine<'_>) -> String {
    format!("{}/{}/generate/{:x}", engine.namespace, engine.component(), engine.id)
}

/// Whether a key is that of a model card, and of which engine it is.
fn named(key: &str) -> Option<(bool, u64)> {
    let id = u64::from_str_radix(key.rsplit('/').next()?, 16).ok()?;
    Some((key.starts_with("v1/mdc/"), id))
}

fn transport(engine: &Engine<'_>) -> String {
    format!("{}/{:x}/{}/generate", engine.socket, engine.id, engine.component())
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()
}

fn ok(body: String) -> Reply {
    Reply::Answer { status: 200, body }
}

fn not_found() -> Reply {
    Reply::Answer { status: 404, body: r#"{"message":"Not found","code":404}"#.to_owned() }
}
