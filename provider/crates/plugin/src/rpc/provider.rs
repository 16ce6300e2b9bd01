//! The provider as a whole: what it has, its configuration, the beginning and the stop of a run.

use crate::convert::from_value;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::service::{ProviderService, capabilities};
use crate::wire::{decode_value, encode_diagnostics};
use std::sync::atomic::Ordering;

pub(super) fn metadata(service: &ProviderService<impl Provider>) -> pb::get_metadata::Response {
    let names = service.resources.keys();
    pb::get_metadata::Response {
        server_capabilities: Some(capabilities()),
        resources: names
            .map(|name| pb::get_metadata::ResourceMetadata { type_name: (*name).to_owned() })
            .collect(),
        data_sources: service
            .data_sources
            .keys()
            .map(|name| pb::get_metadata::DataSourceMetadata { type_name: (*name).to_owned() })
            .collect(),
        ephemeral_resources: service
            .ephemeral_resources
            .keys()
            .map(|name| pb::get_metadata::EphemeralMetadata { type_name: (*name).to_owned() })
            .collect(),
        functions: service
            .functions
            .keys()
            .map(|name| pb::get_metadata::FunctionMetadata { name: (*name).to_owned() })
            .collect(),
        ..Default::default()
    }
}

pub(super) fn schemas(
    service: &ProviderService<impl Provider>,
) -> pb::get_provider_schema::Response {
    service.schemas()
}

pub(super) fn validate(
    service: &ProviderService<impl Provider>,
    request: pb::validate_provider_config::Request,
) -> pb::validate_provider_config::Response {
    let validate = || -> Result<Diagnostics, Diagnostic> {
        let config = decode_value(request.config, &service.schema)?;
        let mut diagnostics = service.schema.validate(&config);
        if !diagnostics.has_error() {
            diagnostics.extend(service.provider.validate(&from_value(config)?));
        }
        Ok(diagnostics)
    };
    let diagnostics = encode_diagnostics(validate().unwrap_or_else(Diagnostics::from));
    pb::validate_provider_config::Response { diagnostics }
}

pub(super) async fn configure(
    service: &ProviderService<impl Provider>,
    request: pb::configure_provider::Request,
) -> pb::configure_provider::Response {
    if service.is_configured.swap(true, Ordering::Relaxed) {
        *service.stop.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            service.orphaned.child_token();
    }
    let config =
        decode_value(request.config, &service.schema).and_then(|config| Ok(from_value(config)?));
    let diagnostics = match config {
        Ok(config) => {
            let configured = service.provider.configure(config, &request.terraform_version).await;
            configured.unwrap_or_else(|errors| errors)
        }
        Err(diagnostic) => diagnostic.into(),
    };
    pb::configure_provider::Response { diagnostics: encode_diagnostics(diagnostics) }
}

pub(super) fn stop(service: &ProviderService<impl Provider>) -> pb::stop_provider::Response {
    // Handlers see it, save what they have and return; the server goes on.
    service.cancel().cancel();
    pb::stop_provider::Response::default()
}
