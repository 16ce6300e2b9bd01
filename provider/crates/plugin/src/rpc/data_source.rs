//! Data sources.

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::service::ProviderService;
use crate::value::Value;
use crate::wire::{decode_value, encode_diagnostics, encode_value};

pub(super) fn validate(
    service: &ProviderService<impl Provider>,
    request: pb::validate_data_resource_config::Request,
) -> pb::validate_data_resource_config::Response {
    let validate = || -> Result<Diagnostics, Diagnostic> {
        let source = service.data_source(&request.type_name)?;
        Ok(source.validate(&decode_value(request.config, source.schema())?))
    };
    let diagnostics = encode_diagnostics(validate().unwrap_or_else(Diagnostics::from));
    pb::validate_data_resource_config::Response { diagnostics }
}

pub(super) async fn read(
    service: &ProviderService<impl Provider>,
    request: pb::read_data_source::Request,
) -> pb::read_data_source::Response {
    let decoded = service.data_source(&request.type_name).and_then(|source| {
        let config = decode_value(request.config, source.schema())?;
        Ok((source, config))
    });
    let (state, diagnostics) = match decoded {
        Ok((source, config)) => source.read(config, service.cancel()).await,
        Err(diagnostic) => (Value::Null, diagnostic.into()),
    };
    pb::read_data_source::Response {
        state: (!state.is_null()).then(|| encode_value(&state)).flatten(),
        diagnostics: encode_diagnostics(diagnostics),
        deferred: None,
    }
}
