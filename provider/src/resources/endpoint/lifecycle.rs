//! The wait for a real chat completion, and what Read can say without one.

use crate::deadline::deadline;
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::session::Session;
use cloud::{Address, Instance, Offer, Phase, Tags, tag};
use domain::catalogue;
use domain::id::{GroupId, ImportPath, ServiceId};
use domain::spec::{ServiceFacts, WorkerRole};
use orchestration::readiness::{self, EndpointProbe, Proof};
use orchestration::service::{self, FoundService, find_by_id};
use orchestration::snapshot::Freshness;
use plugin::{Attr, AttributePath, Ctx, Diagnostic, State};
use schemas::Endpoint;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Waits until the service answers, and only then is there an endpoint: a failure leaves the state
/// as it was, so that nothing is tainted.
pub(super) async fn establish(
    session: &Session,
    ctx: &Ctx,
    mut planned: Endpoint,
    state: &mut State<Endpoint>,
) -> Result<()> {
    let id = service_id(&planned)?;
    let (orchestrator, deadline) = (session.orchestrator(), &deadline(ctx));
    let snapshot = orchestrator.snapshot(deadline, &id.fleet, Freshness::New).await?;
    let service = find_by_id(&snapshot, &id);
    let (facts, address) = service.facts(&id)?;
    check_groups(&planned, &id, &service)?;
    let warnings = [missing_counterpart(&id, &service), without_common_fabric(&id, &service)];
    for warning in warnings.into_iter().flatten() {
        state.warn(warning);
    }
    let cloud = orchestrator.cloud(deadline, id.fleet.cloud).await?;
    let Some(instance) = &service.router else {
        return Err(Failure::Missing {
            what: format!("router of service {id}"),
            attribute: Some(AttributePath::root("service_id")),
            hint: "Its machine is gone. Apply the service first, it is recovered at its address: \
                   `terraform apply -target=disagg_service.NAME`."
                .to_owned(),
        });
    };
    let router = service::access(orchestrator, cloud, &facts, &address, instance)?;
    let proof = readiness::endpoint(deadline, &router, &facts.model, &probe(&planned)?).await?;
    if let Proof::OnTheRouter { in_the_way } = proof {
        state.warn(not_reachable_from_here(&router.endpoint, &in_the_way));
    }
    planned.id = Attr::Known(id.to_string());
    fill(&mut planned, &facts, &address);
    planned.drift = Attr::Known(BTreeMap::new());
    state.save(&planned);
    Ok(())
}

/// Read uses the cloud's view alone: a plan must not depend on where it runs.
pub(super) async fn read(session: &Session, ctx: &Ctx, state: &mut State<Endpoint>) -> Result<()> {
    let Some(mut endpoint) = state.get().cloned() else { return Ok(()) };
    let id = service_id(&endpoint)?;
    let orchestrator = session.orchestrator();
    let snapshot = orchestrator.snapshot(&deadline(ctx), &id.fleet, Freshness::Any).await?;
    let service = find_by_id(&snapshot, &id);
    if service.address.is_none() {
        state.remove();
        return Ok(());
    }
    let again = "not as it was made; a chat completion is waited for when it is back".to_owned();
    let findings = service::router_findings(&service);
    let findings = findings.iter().map(|finding| diagnose::object(&finding.object));
    let mut drift: BTreeMap<_, _> = findings.map(|object| (object, again.clone())).collect();
    match service.facts(&id) {
        Ok((facts, address)) => fill(&mut endpoint, &facts, &address),
        // The service repairs its tags, and this very plan is what makes it do so.
        Err(_) => {
            drift.insert(format!("service {id}"), again);
        }
    }
    endpoint.drift = Attr::Known(drift);
    state.save(&endpoint);
    Ok(())
}

pub(super) async fn import(
    session: &Session,
    ctx: &Ctx,
    path: &str,
    state: &mut State<Endpoint>,
) -> Result<()> {
    let id = match path.parse() {
        Ok(ImportPath::Service { fleet, service }) => {
            let orchestrator = session.orchestrator();
            let snapshot = orchestrator.snapshot(&deadline(ctx), &fleet, Freshness::Any).await?;
            let labels = snapshot.addresses.iter();
            let labels = labels.filter_map(|address| address.tags.get(tag::SERVICE));
            let mut ids = labels.filter_map(|label| ServiceId::of_label(&fleet, label).ok());
            ids.find(|id| id.name == service)
        }
        Ok(_) => None,
        Err(error) => {
            return Err(Failure::import_id(format!("{error}.")));
        }
    };
    let id = id.ok_or_else(|| Failure::Missing {
        what: format!("service {path}"),
        attribute: Some(AttributePath::root("id")),
        hint: "Import an endpoint by its service: `cloud/region/fleet/service`.".to_owned(),
    })?;
    let text = Attr::Known(id.to_string());
    state.save(&Endpoint { id: text.clone(), service_id: text, ..Endpoint::default() });
    read(session, ctx, state).await
}

fn fill(endpoint: &mut Endpoint, facts: &ServiceFacts, address: &Address) {
    endpoint.url = Attr::Known(format!("{}/v1", reachable(facts, address)));
    endpoint.model = Attr::Known(facts.model.clone());
}

fn reachable(facts: &ServiceFacts, address: &Address) -> String {
    service::endpoint(address.reachable(), i64::from(facts.port))
}

/// It answers, and not from here.
fn not_reachable_from_here(endpoint: &str, in_the_way: &str) -> Diagnostic {
    Diagnostic::warning(
        "Endpoint cannot be reached from here",
        format!(
            "The router answers a chat completion on its own machine, as its console says. From the machine \
             that runs Terraform there is no connection to {endpoint}: {in_the_way}.\n\nThe service's \
             `ingress_cidrs` say who is let in, and `public_ip` whether from the internet. If this machine \
             is not meant to be, all is well."
        ),
    )
}

/// A group of another service would never answer here.
fn check_groups(endpoint: &Endpoint, id: &ServiceId, service: &FoundService) -> Result<()> {
    for group in endpoint.group_ids.known().into_iter().flatten() {
        let Some(group) = group.known() else { continue };
        let wrong = |detail: String| Failure::Invalid {
            summary: "Wrong replica group".to_owned(),
            detail,
            attribute: Some(AttributePath::root("group_ids")),
        };
        let parsed: GroupId = group.0.parse().map_err(|error| wrong(format!("{error}.")))?;
        if parsed.service != *id {
            return Err(wrong(format!(
                "Replica group {parsed} belongs to another service than {id}."
            )));
        }
        let has_machines =
            counted(service).any(|worker| worker.tags.get(tag::GROUP) == Some(&parsed.name));
        if !has_machines {
            tracing::warn!(group = %parsed, "the replica group has no machine");
        }
    }
    Ok(())
}

/// Its workers, without those on their way out.
fn counted(service: &FoundService) -> impl Iterator<Item = &Instance> {
    service.workers.iter().filter(|worker| worker.phase() != Phase::Draining)
}

/// Half a pair answers nothing: prefill hands its work to decode, and decode waits for it.
fn missing_counterpart(id: &ServiceId, service: &FoundService) -> Option<Diagnostic> {
    let has = |role: WorkerRole| {
        let mut roles = counted(service).filter_map(|worker| worker.tags.get(tag::ROLE));
        roles.any(|found| found == role.as_str())
    };
    let (there, missing) = match (has(WorkerRole::Prefill), has(WorkerRole::Decode)) {
        (true, false) => ("prefill", "decode"),
        (false, true) => ("decode", "prefill"),
        (false, false) if !has(WorkerRole::Worker) => ("no", "prefill and decode"),
        _ => return None,
    };
    (!has(WorkerRole::Worker)).then(|| {
        Diagnostic::warning(
            "Endpoint without a counterpart",
            format!(
                "Service {id} has {there} workers and none of {missing}: it cannot answer a chat \
                 completion until there are both, or workers of `role = \"worker\"`."
            ),
        )
        .at(AttributePath::root("group_ids"))
    })
}

/// Prefill and decode on machines whose fast fabrics do not reach each other.
fn without_common_fabric(id: &ServiceId, service: &FoundService) -> Option<Diagnostic> {
    let machines_of = |role: WorkerRole| -> Vec<Offer> {
        let has_role =
            move |tags: &Tags| tags.get(tag::ROLE).map(String::as_str) == Some(role.as_str());
        let workers = service.workers.iter().filter(move |worker| has_role(&worker.tags));
        let types: BTreeSet<&str> = workers.map(|worker| worker.instance_type.as_str()).collect();
        types.into_iter().filter_map(|name| catalogue::find(id.fleet.cloud, name)).collect()
    };
    let (prefills, decodes) = (machines_of(WorkerRole::Prefill), machines_of(WorkerRole::Decode));
    let mut pairs = prefills.iter().flat_map(|one| decodes.iter().map(move |other| (one, other)));
    let (prefill, decode) = pairs.find(|(one, other)| !one.reaches(other))?;
    Some(
        Diagnostic::warning(
            "Prefill and decode have no fabric in common",
            format!(
                "Service {id} has prefill on `{}` and decode on `{}`, and {} of the one does not reach {} of \
                 the other: the KV cache has no fast way between them, and may have none at all. Choose the \
                 same family for both.",
                prefill.instance_type, decode.instance_type, prefill.interconnect, decode.interconnect
            ),
        )
        .at(AttributePath::root("group_ids")),
    )
}

fn probe(endpoint: &Endpoint) -> Result<EndpointProbe> {
    let probe = endpoint.probe.known().cloned().unwrap_or_default();
    let interval = match probe.interval.known() {
        Some(text) => {
            domain::duration::parse(text).map_err(|error| Failure::Bug(error.to_string()))?
        }
        None => Duration::from_secs(15),
    };
    let path = probe.path.known().cloned().unwrap_or_else(|| "/health".to_owned());
    Ok(EndpointProbe { path, interval })
}

fn service_id(endpoint: &Endpoint) -> Result<ServiceId> {
    let text = endpoint.service_id.known().cloned().unwrap_or_default();
    text.parse().map_err(|error| Failure::Unreadable {
        what: "an endpoint".to_owned(),
        detail: format!("Its `service_id`: {error}"),
    })
}
