//! `provider::disagg::user_data`: the very cloud-init that a router or a worker boots with, without a
//! cloud.

use crate::resources::{replica_group, service};
use base64::{Engine, prelude::BASE64_STANDARD};
use domain::catalogue;
use domain::engine;
use domain::id::{FleetId, GroupId, ServiceId};
use domain::local_gpus::LocalGpus;
use domain::spec::ServiceFacts;
use plugin::{Diagnostics, Function, FunctionError, Parameter, Signature, Type};
use schemas::{ReplicaGroup, Service};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Debug)]
pub(crate) struct UserDataFunction;

/// Rendered user data.
#[derive(Debug, Serialize)]
pub(crate) struct Rendered {
    text: String,
    base64: String,
    size: usize,
    limit: usize,
    digest: String,
}

impl Function for UserDataFunction {
    type Arguments = (Json,);
    type Output = Rendered;

    fn name(&self) -> &'static str {
        "user_data"
    }

    fn signature(&self) -> Signature {
        let members = [
            ("text", Type::String),
            ("base64", Type::String),
            ("size", Type::Number),
            ("limit", Type::Number),
            ("digest", Type::String),
        ];
        Signature {
            summary: "Renders the user data that a router or a worker boots with.",
            description: DESCRIPTION,
            parameters: vec![Parameter {
                name: "machine",
                description: "An object with `service` (the attributes of a `disagg_service`), `group` \
                              (those of a `disagg_replica_group`; without it the machine is the \
                              router), `address` (the router's internal address) and `uid` (the part \
                              of the service's id after the `@`).",
                kind: Type::Dynamic,
                allow_null: false,
            }],
            returns: Type::Object(BTreeMap::from(
                members.map(|(name, kind)| (name.to_owned(), kind)),
            )),
        }
    }

    fn call(&self, (machine,): (Json,)) -> Result<Rendered, FunctionError> {
        render(&machine).map_err(|text| FunctionError::argument(0, text))
    }
}

const DESCRIPTION: &str = "\
Renders the user data that a router or a worker boots with: byte for byte what `disagg_service` and \
`disagg_replica_group` send to the cloud, without a cloud and without credentials. For reviews, for \
images that are baked, and for machines that something else launches.

The result has the attributes `text` (the cloud-config), `base64` (the same compressed, as clouds take \
it), `size` (bytes of what is sent, before base64), `limit` (what the fleet's cloud takes) and `digest` \
(what a machine is compared by).";

/// What stands for the part of an id that only a creation gives.
const NO_UID: &str = "00000000";

fn render(machine: &Json) -> Result<Rendered, String> {
    let members = machine.as_object().ok_or("An object with `service` is expected.")?;
    const KNOWN: [&str; 4] = ["service", "group", "address", "uid"];
    if let Some(name) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("There is no attribute `{name}`; there are `{}`.", KNOWN.join("`, `")));
    }
    let given = |name: &str| members.get(name).filter(|value| !value.is_null());
    if let Some(name) =
        ["address", "uid"].iter().find(|name| given(name).is_some_and(|v| !v.is_string()))
    {
        return Err(format!("`{name}` is no text."));
    }
    let text = |name: &str| given(name).and_then(Json::as_str);
    let mut service_json = given("service").cloned().ok_or("`service` is missing.")?;
    if let Some(service) = service_json.as_object_mut() {
        let version = service.entry("version").or_insert(Json::Null);
        if version.is_null() {
            *version = json!(domain::version::DynamoVersion::DEFAULT.to_string());
        }
    }
    let service: Service = schemas::schema::<Service>(0)
        .configuration(&service_json)
        .map_err(|errors| said("service", errors))?;
    refuse("service", service::check(&service))?;
    let fleet: FleetId = service
        .fleet_id
        .known()
        .and_then(|id| id.parse().ok())
        .ok_or("`service.fleet_id` is missing.")?;
    let name = service.name.known().cloned().unwrap_or_default();
    let id: ServiceId = format!("{fleet}/{name}@{}", text("uid").unwrap_or(NO_UID))
        .parse()
        .map_err(|error| format!("`uid`: {error}."))?;
    let address: IpAddr = text("address")
        .ok_or("`address` is missing: the router's internal address, as in `10.0.0.10`.")?
        .parse()
        .map_err(|_| "`address` is not an address, as in `10.0.0.10`.".to_owned())?;
    let router = service::router_spec(&service, &id).map_err(told)?;
    catalogue::offers(fleet.cloud, &router.resources)
        .map_err(|error| format!("No machine fits the router: {error}."))?;
    let limit = fleet.cloud.profile().user_data_bytes;
    let (document, digest) = match given("group") {
        None => (
            orchestration::service::boot_document(&router, address).map_err(not_made)?,
            router.digest(),
        ),
        Some(group) => {
            let group = group_of(group, &id)?;
            let name = group.name.known().cloned().unwrap_or_default();
            let group_id = GroupId { service: id, name };
            let spec = replica_group::group_spec(&group, &group_id).map_err(told)?;
            // A function knows no computer, and so renders for one that has what is asked for.
            let needs_gpu =
                engine::find(&spec.engine.kind).is_some_and(|engine| engine.needs_gpu());
            let gpus = match &spec.resources.gpu {
                Some(gpu) if needs_gpu => LocalGpus::as_asked_for(gpu),
                _ => LocalGpus::default(),
            };
            let offers = replica_group::offers(&gpus, fleet.cloud, &spec.resources)
                .map_err(|error| format!("No machine fits: {error}."))?;
            let facts = ServiceFacts::of(&router, address);
            let document = orchestration::group::boot_document(&spec, &facts, &offers[0]);
            (document.map_err(not_made)?, spec.digest())
        }
    };
    let sent = document.to_cloud_config();
    Ok(Rendered {
        text: document.cloud_config_text(),
        base64: BASE64_STANDARD.encode(&sent),
        size: sent.len(),
        limit,
        digest,
    })
}

fn group_of(json: &Json, service: &ServiceId) -> Result<ReplicaGroup, String> {
    let mut json = json.clone();
    if let Some(group) = json.as_object_mut() {
        // How many there are and where is in no machine's user data.
        group.insert("service_id".to_owned(), json!(service.to_string()));
        group.insert("replicas".to_owned(), json!(1));
        group.remove("scaling");
    }
    let group: ReplicaGroup = schemas::schema::<ReplicaGroup>(0)
        .configuration(&json)
        .map_err(|errors| said("group", errors))?;
    refuse("group", replica_group::check(&group))?;
    Ok(group)
}

fn refuse(part: &str, found: Diagnostics) -> Result<(), String> {
    if found.has_error() { Err(said(part, found)) } else { Ok(()) }
}

fn told(failure: crate::error::Failure) -> String {
    said("machine", crate::diagnose::failure(failure, &[]))
}

fn not_made(failure: orchestration::failure::Failure) -> String {
    told(failure.into())
}

/// Diagnostics as one text: a function has no attributes to point at.
fn said(part: &str, diagnostics: Diagnostics) -> String {
    let texts = diagnostics.into_iter().map(|found| {
        let place = found.attribute.map(|path| format!("`{part}.{path}`: "));
        format!("{}{}: {}", place.unwrap_or_default(), found.summary, found.detail)
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud::BootDocument;
    use expect_test::expect;
    use plugin::{Value, function};

    fn call(machine: Json) -> Result<Json, String> {
        let result = function(UserDataFunction).call(vec![Value::from_json(&machine)]);
        result.map(|value| value.to_json().unwrap()).map_err(|error| error.text)
    }

    fn service() -> Json {
        json!({ "name": "glm", "fleet_id": "aws/us-east-2/pd", "model": "zai-org/GLM-4.5-Air-FP8" })
    }

    #[test]
    fn a_router_and_a_worker() {
        let router = call(json!({ "service": service(), "address": "10.0.0.10" })).unwrap();
        assert!(router["text"].as_str().unwrap().starts_with("#cloud-config"));
        assert_eq!(router["limit"], 16_384);
        let group = json!({
            "name": "prefill", "role": "prefill", "engine": { "type": "sglang" },
            "resources": { "gpu": "H200:8" },
        });
        let worker = json!({ "service": service(), "group": group, "address": "10.0.0.10" });
        let worker = call(worker).unwrap();
        assert_ne!(worker["digest"], router["digest"]);
        let sent = BASE64_STANDARD.decode(worker["base64"].as_str().unwrap()).unwrap();
        let sent = BootDocument::from_cloud_config(&sent).unwrap();
        assert_eq!(domain::made_from::worker(&sent).unwrap().group, "prefill");
        assert!(worker["size"].as_u64() < worker["limit"].as_u64());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let errors = [
            json!("a text"),
            json!({ "service": service() }),
            json!({ "service": service(), "address": "here" }),
            json!({ "service": service(), "adress": "10.0.0.10" }),
            json!({ "service": { "name": "Glm", "prot": 80 }, "address": "10.0.0.10" }),
            json!({
                "service": service(), "address": "10.0.0.10",
                "group": { "name": "d", "role": "decode", "engine": { "type": "sglang" } },
            }),
        ]
        .map(|machine| call(machine).unwrap_err());
        expect![[r#"
            An object with `service` is expected.
            ---
            `address` is missing: the router's internal address, as in `10.0.0.10`.
            ---
            `address` is not an address, as in `10.0.0.10`.
            ---
            There is no attribute `adress`; there are `service`, `group`, `address`, `uid`.
            ---
            `service.prot`: Unexpected attribute: There is no `prot` here.
            `service.fleet_id`: Missing value: `fleet_id` must be given, and is null.
            `service.model`: Missing value: `model` must be given, and is null.
            `service.name`: Invalid name: `Glm` is not a name; a name has lower-case letters, digits and hyphens, begins with a letter, does not end with a hyphen and has at most 30 characters, as in `glm`.
            ---
            `group.resources`: Missing GPU: The engine `sglang` needs GPUs: `resources = { gpu = "H200:8" }` asks for machines with eight."#]].assert_eq(&errors.join("\n---\n"));
    }
}
