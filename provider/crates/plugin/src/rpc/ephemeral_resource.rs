//! Ephemeral resources, from their opening to the end of a run.

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::ephemeral::Opened;
use crate::private::Private;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::service::ProviderService;
use crate::value::Value;
use crate::wire::{decode_value, encode_diagnostics, encode_value};

pub(super) fn validate(
    service: &ProviderService<impl Provider>,
    request: pb::validate_ephemeral_resource_config::Request,
) -> pb::validate_ephemeral_resource_config::Response {
    let validate = || -> Result<Diagnostics, Diagnostic> {
        let resource = service.ephemeral_resource(&request.type_name)?;
        Ok(resource.validate(&decode_value(request.config, resource.schema())?))
    };
    let diagnostics = encode_diagnostics(validate().unwrap_or_else(Diagnostics::from));
    pb::validate_ephemeral_resource_config::Response { diagnostics }
}

pub(super) async fn open(
    service: &ProviderService<impl Provider>,
    request: pb::open_ephemeral_resource::Request,
) -> pb::open_ephemeral_resource::Response {
    let decoded = service
        .ephemeral_resource(&request.type_name)
        .and_then(|resource| Ok((resource, decode_value(request.config, resource.schema())?)));
    let opened = match decoded {
        Ok((resource, config)) => resource.open(config, service.cancel()).await,
        Err(diagnostic) => Opened { warnings: diagnostic.into(), ..Opened::new(Value::Null) },
    };
    pb::open_ephemeral_resource::Response {
        result: (!opened.result.is_null()).then(|| encode_value(&opened.result)).flatten(),
        renew_at: opened.renew_at.map(Into::into),
        private: Some(opened.private.encode()),
        diagnostics: encode_diagnostics(opened.warnings),
        deferred: None,
    }
}

pub(super) async fn renew(
    service: &ProviderService<impl Provider>,
    request: pb::renew_ephemeral_resource::Request,
) -> pb::renew_ephemeral_resource::Response {
    let mut private = Private::decode(request.private());
    let renewed = match service.ephemeral_resource(&request.type_name) {
        Ok(resource) => resource.renew(&mut private, service.cancel()).await,
        Err(diagnostic) => Err(diagnostic.into()),
    };
    let (renew_at, diagnostics) = match renewed {
        Ok(renew_at) => (renew_at, Diagnostics::default()),
        Err(diagnostics) => (None, diagnostics),
    };
    pb::renew_ephemeral_resource::Response {
        renew_at: renew_at.map(Into::into),
        private: Some(private.encode()),
        diagnostics: encode_diagnostics(diagnostics),
    }
}

pub(super) async fn close(
    service: &ProviderService<impl Provider>,
    request: pb::close_ephemeral_resource::Request,
) -> pb::close_ephemeral_resource::Response {
    let private = Private::decode(request.private());
    let closed = match service.ephemeral_resource(&request.type_name) {
        // A stop ends the run, and this is how a run ends.
        Ok(resource) => resource.close(private, service.orphaned.child_token()).await,
        Err(diagnostic) => Err(diagnostic.into()),
    };
    let diagnostics = encode_diagnostics(closed.err().unwrap_or_default());
    pb::close_ephemeral_resource::Response { diagnostics }
}
