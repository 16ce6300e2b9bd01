//! The identities of resources.

use crate::identity;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::service::ProviderService;
use crate::wire::encode_diagnostics;

pub(super) fn schemas(
    service: &ProviderService<impl Provider>,
) -> pb::get_resource_identity_schemas::Response {
    let resources = service.resources.iter();
    pb::get_resource_identity_schemas::Response {
        identity_schemas: resources
            .filter_map(|(name, resource)| {
                Some(((*name).to_owned(), identity::schema(resource.identity_parts())?))
            })
            .collect(),
        diagnostics: Vec::new(),
    }
}

pub(super) fn upgrade(
    request: pb::upgrade_resource_identity::Request,
) -> pb::upgrade_resource_identity::Response {
    let upgraded = identity::upgrade(request.version, request.raw_identity);
    match upgraded {
        Ok(identity) => pb::upgrade_resource_identity::Response {
            upgraded_identity: Some(identity),
            diagnostics: Vec::new(),
        },
        Err(diagnostic) => pb::upgrade_resource_identity::Response {
            upgraded_identity: None,
            diagnostics: encode_diagnostics(diagnostic.into()),
        },
    }
}
