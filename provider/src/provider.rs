//! The provider block, and the one list of resources, data sources and functions.

use crate::clouds::Clouds;
use crate::data_sources::{OffersDataSource, ServiceDataSource};
use crate::functions::{GpuFunction, UserDataFunction};
use crate::resources::{endpoint, fleet, replica_group, service};
use crate::session::Session;
use async_trait::async_trait;
use plugin::{
    Diagnostics, DynDataSource, DynFunction, DynResource, Provider, Schema, data_source, function,
    resource,
};
use schemas::ProviderConfig;
use std::sync::Arc;

/// `provider "disagg"`.
#[derive(Debug, Default)]
pub struct Disagg {
    session: Arc<Session>,
}

#[async_trait]
impl Provider for Disagg {
    type Config = ProviderConfig;

    fn schema(&self) -> Schema {
        schemas::schema::<ProviderConfig>(0)
    }

    async fn configure(
        &self,
        config: ProviderConfig,
        _terraform_version: &str,
    ) -> Result<Diagnostics, Diagnostics> {
        // Clouds open when they are first needed, so unknown settings and missing credentials are
        // no error here.
        self.session.configure(Clouds::new(config));
        Ok(Diagnostics::default())
    }

    fn resources(&self) -> Vec<Box<dyn DynResource>> {
        let session = &self.session;
        vec![
            resource(fleet::FleetResource::new(Arc::clone(session))),
            resource(service::ServiceResource::new(Arc::clone(session))),
            resource(replica_group::ReplicaGroupResource::new(Arc::clone(session))),
            resource(endpoint::EndpointResource::new(Arc::clone(session))),
        ]
    }

    fn data_sources(&self) -> Vec<Box<dyn DynDataSource>> {
        vec![
            data_source(OffersDataSource::new(Arc::clone(&self.session))),
            data_source(ServiceDataSource::new(Arc::clone(&self.session))),
        ]
    }

    fn functions(&self) -> Vec<Box<dyn DynFunction>> {
        vec![function(GpuFunction), function(UserDataFunction)]
    }
}
