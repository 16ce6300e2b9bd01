//! A provider as a service: what it has, found by name, and whether it may go on. What it answers is in
//! `rpc`.

use crate::data_source::DynDataSource;
use crate::diagnostics::Diagnostic;
use crate::ephemeral::DynEphemeralResource;
use crate::erased::DynResource;
use crate::function::DynFunction;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::wire::{encode_function, encode_schema};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use tokio_util::sync::CancellationToken;

/// The service `tfplugin6.Provider` over a provider.
#[derive(Debug)]
pub(crate) struct ProviderService<P> {
    pub(crate) provider: P,
    pub(crate) schema: crate::schema::Schema,
    pub(crate) resources: BTreeMap<&'static str, Box<dyn DynResource>>,
    pub(crate) data_sources: BTreeMap<&'static str, Box<dyn DynDataSource>>,
    pub(crate) ephemeral_resources: BTreeMap<&'static str, Box<dyn DynEphemeralResource>>,
    pub(crate) functions: BTreeMap<&'static str, Box<dyn DynFunction>>,
    /// Fired by StopProvider; a new one with each ConfigureProvider after the first, which begins
    /// another run. One that comes before the first is meant for this run.
    pub(crate) stop: std::sync::Mutex<CancellationToken>,
    pub(crate) is_configured: AtomicBool,
    /// Fired when Terraform is gone.
    pub(crate) orphaned: CancellationToken,
}

impl<P: Provider> ProviderService<P> {
    pub(crate) fn new(provider: P, orphaned: CancellationToken) -> Self {
        let resources = provider.resources().into_iter();
        let data_sources = provider.data_sources().into_iter();
        let ephemeral_resources = provider.ephemeral_resources().into_iter();
        let functions = provider.functions().into_iter();
        Self {
            schema: provider.schema(),
            resources: resources.map(|resource| (resource.type_name(), resource)).collect(),
            data_sources: data_sources.map(|source| (source.type_name(), source)).collect(),
            ephemeral_resources: ephemeral_resources
                .map(|resource| (resource.type_name(), resource))
                .collect(),
            functions: functions.map(|function| (function.name(), function)).collect(),
            provider,
            stop: std::sync::Mutex::new(orphaned.child_token()),
            is_configured: AtomicBool::new(false),
            orphaned,
        }
    }

    pub(crate) fn resource(&self, name: &str) -> Result<&dyn DynResource, Diagnostic> {
        let resource = self.resources.get(name).map(|resource| &**resource);
        resource.ok_or_else(|| Diagnostic::bug(format!("there is no resource type `{name}`")))
    }

    pub(crate) fn data_source(&self, name: &str) -> Result<&dyn DynDataSource, Diagnostic> {
        let source = self.data_sources.get(name).map(|source| &**source);
        source.ok_or_else(|| Diagnostic::bug(format!("there is no data source `{name}`")))
    }

    pub(crate) fn ephemeral_resource(
        &self,
        name: &str,
    ) -> Result<&dyn DynEphemeralResource, Diagnostic> {
        let resource = self.ephemeral_resources.get(name).map(|resource| &**resource);
        resource.ok_or_else(|| Diagnostic::bug(format!("there is no ephemeral resource `{name}`")))
    }

    pub(crate) fn signatures(&self) -> std::collections::HashMap<String, pb::Function> {
        let functions = self.functions.iter();
        functions
            .map(|(name, function)| ((*name).to_owned(), encode_function(&function.signature())))
            .collect()
    }

    pub(crate) fn cancel(&self) -> CancellationToken {
        self.stop.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn schemas(&self) -> pb::get_provider_schema::Response {
        let resources = self.resources.iter();
        pb::get_provider_schema::Response {
            provider: Some(encode_schema(&self.schema)),
            resource_schemas: resources
                .map(|(name, resource)| ((*name).to_owned(), encode_schema(resource.schema())))
                .collect(),
            data_source_schemas: self
                .data_sources
                .iter()
                .map(|(name, source)| ((*name).to_owned(), encode_schema(source.schema())))
                .collect(),
            ephemeral_resource_schemas: self
                .ephemeral_resources
                .iter()
                .map(|(name, resource)| ((*name).to_owned(), encode_schema(resource.schema())))
                .collect(),
            functions: self.signatures(),
            server_capabilities: Some(capabilities()),
            ..Default::default()
        }
    }
}

pub(crate) fn capabilities() -> pb::ServerCapabilities {
    pb::ServerCapabilities {
        plan_destroy: true,
        get_provider_schema_optional: true,
        move_resource_state: true,
        generate_resource_config: false,
    }
}
