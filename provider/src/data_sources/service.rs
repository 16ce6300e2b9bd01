//! `disagg_service`: a service that exists already.

use crate::deadline::deadline;
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::session::Session;
use async_trait::async_trait;
use domain::id::FleetId;
use orchestration::service::{endpoint, find_by_id, find_by_name};
use orchestration::snapshot::Freshness;
use plugin::{Attr, AttributePath, Ctx, DataSource, Diagnostics, Schema};
use schemas::ServiceLookup;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct ServiceDataSource {
    session: Arc<Session>,
}

impl ServiceDataSource {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

#[async_trait]
impl DataSource for ServiceDataSource {
    type Model = ServiceLookup;

    fn type_name(&self) -> &'static str {
        "disagg_service"
    }

    fn schema(&self) -> Schema {
        schemas::schema::<ServiceLookup>(0)
    }

    async fn read(
        &self,
        ctx: &Ctx,
        config: ServiceLookup,
    ) -> Result<(ServiceLookup, Diagnostics), Diagnostics> {
        let found = look_up(&self.session, ctx, config)
            .await
            .map_err(|failure| diagnose::failure(failure, &[]))?;
        Ok((found, Diagnostics::default()))
    }
}

async fn look_up(session: &Session, ctx: &Ctx, config: ServiceLookup) -> Result<ServiceLookup> {
    let fleet_id = config.fleet_id.known().cloned().unwrap_or_default();
    let name = config.name.known().cloned().unwrap_or_default();
    let missing = |hint: String| Failure::Missing {
        what: format!("service {fleet_id}/{name}"),
        attribute: Some(AttributePath::root("name")),
        hint,
    };
    let fleet: FleetId = fleet_id.parse().map_err(|error| missing(format!("{error}.")))?;
    let orchestrator = session.orchestrator();
    let snapshot = orchestrator.snapshot(&deadline(ctx), &fleet, Freshness::Any).await?;
    if snapshot.fleet.is_none() {
        return Err(missing(format!("There is no fleet {fleet}.")));
    }
    let ids = find_by_name(&snapshot, &fleet, &name);
    let [id] = &ids[..] else {
        return Err(missing(match ids.len() {
            0 => format!("Fleet {fleet} has no service of this name."),
            count => format!("Fleet {fleet} has {count} services of this name."),
        }));
    };
    let (facts, address) = find_by_id(&snapshot, id).facts(id)?;
    Ok(ServiceLookup {
        id: Attr::Known(id.to_string()),
        model: Attr::Known(facts.model),
        version: Attr::Known(facts.version.to_string()),
        port: Attr::Known(facts.port.into()),
        internal_ip: Attr::Known(address.ip.to_string()),
        endpoint: Attr::Known(endpoint(address.reachable(), facts.port.into())),
        ..config
    })
}
