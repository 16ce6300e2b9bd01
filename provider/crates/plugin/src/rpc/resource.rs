//! Resources: from a configuration to a plan, from a plan to an object.

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::erased::{ApplyRequest, DynResource, Outcome};
use crate::identity;
use crate::plan::PlanRequest;
use crate::private::Private;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::service::ProviderService;
use crate::value::Value;
use crate::wire::{decode_value, encode_diagnostics, encode_path, encode_value};

pub(super) fn validate(
    service: &ProviderService<impl Provider>,
    request: pb::validate_resource_config::Request,
) -> pb::validate_resource_config::Response {
    let write_only = request
        .client_capabilities
        .is_some_and(|capabilities| capabilities.write_only_attributes_allowed);
    let validate = || -> Result<Diagnostics, Diagnostic> {
        let resource = service.resource(&request.type_name)?;
        let config = decode_value(request.config, resource.schema())?;
        Ok(resource.validate(&config, write_only))
    };
    let diagnostics = encode_diagnostics(validate().unwrap_or_else(Diagnostics::from));
    pb::validate_resource_config::Response { diagnostics }
}

pub(super) fn upgrade(
    service: &ProviderService<impl Provider>,
    request: pb::upgrade_resource_state::Request,
) -> pb::upgrade_resource_state::Response {
    let upgrade = || -> Result<Value, Diagnostics> {
        let resource = service.resource(&request.type_name)?;
        let json = request.raw_state.map(|raw| raw.json).unwrap_or_default();
        if json.is_empty() {
            return Ok(Value::Null);
        }
        let json = serde_json::from_slice(&json).map_err(|error| {
            Diagnostic::error("State cannot be read", format!("It is no JSON: {error}."))
        })?;
        resource.upgrade(request.version, json)
    };
    match upgrade() {
        Ok(value) => pb::upgrade_resource_state::Response {
            upgraded_state: encode_value(&value),
            diagnostics: Vec::new(),
        },
        Err(diagnostics) => pb::upgrade_resource_state::Response {
            upgraded_state: None,
            diagnostics: encode_diagnostics(diagnostics),
        },
    }
}

pub(super) async fn read(
    service: &ProviderService<impl Provider>,
    request: pb::read_resource::Request,
) -> pb::read_resource::Response {
    let decoded = service.resource(&request.type_name).and_then(|resource| {
        Ok((resource, decode_value(request.current_state.clone(), resource.schema())?))
    });
    let (resource, state) = match decoded {
        Ok(decoded) => decoded,
        Err(diagnostic) => {
            return pb::read_resource::Response {
                new_state: request.current_state,
                private: request.private,
                diagnostics: encode_diagnostics(diagnostic.into()),
                ..Default::default()
            };
        }
    };
    let outcome = resource.read(state, Private::decode(&request.private), service.cancel()).await;
    pb::read_resource::Response {
        new_identity: identity_of(resource, &outcome.state),
        new_state: encode_value(&outcome.state),
        private: outcome.private.encode(),
        diagnostics: encode_diagnostics(outcome.diagnostics),
        deferred: None,
    }
}

pub(super) async fn plan(
    service: &ProviderService<impl Provider>,
    request: pb::plan_resource_change::Request,
) -> pb::plan_resource_change::Response {
    let decode = || -> Result<_, Diagnostic> {
        let resource = service.resource(&request.type_name)?;
        let schema = resource.schema();
        let plan = PlanRequest {
            prior: decode_value(request.prior_state.clone(), schema)?,
            config: decode_value(request.config.clone(), schema)?,
            proposed: decode_value(request.proposed_new_state.clone(), schema)?,
            prior_private: Private::decode(&request.prior_private),
        };
        Ok((resource, plan))
    };
    match decode() {
        Ok((resource, plan)) => {
            if plan.proposed.is_null() && !plan.prior.is_null() {
                resource.before_removal(plan.prior.clone()).await;
            }
            let planned = resource.plan(plan);
            // What is replaced gets another identity with its creation.
            let kept = request.prior_identity.filter(|_| planned.requires_replace.is_empty());
            pb::plan_resource_change::Response {
                planned_identity: kept,
                planned_state: encode_value(&planned.planned),
                requires_replace: planned.requires_replace.iter().map(encode_path).collect(),
                planned_private: planned.planned_private.encode(),
                diagnostics: encode_diagnostics(planned.diagnostics),
                ..Default::default()
            }
        }
        Err(diagnostic) => pb::plan_resource_change::Response {
            planned_state: request.proposed_new_state,
            diagnostics: encode_diagnostics(diagnostic.into()),
            ..Default::default()
        },
    }
}

pub(super) async fn apply(
    service: &ProviderService<impl Provider>,
    request: pb::apply_resource_change::Request,
) -> pb::apply_resource_change::Response {
    let decode = || -> Result<_, Diagnostic> {
        let resource = service.resource(&request.type_name)?;
        let schema = resource.schema();
        let apply = ApplyRequest {
            prior: decode_value(request.prior_state.clone(), schema)?,
            planned: decode_value(request.planned_state.clone(), schema)?,
            config: decode_value(request.config.clone(), schema)?,
            private: Private::decode(&request.planned_private),
        };
        Ok((resource, apply))
    };
    let (resource, apply) = match decode() {
        Ok(decoded) => decoded,
        Err(diagnostic) => {
            return pb::apply_resource_change::Response {
                new_state: request.prior_state,
                private: request.planned_private,
                diagnostics: encode_diagnostics(diagnostic.into()),
                ..Default::default()
            };
        }
    };
    let outcome = resource.apply(apply, service.cancel()).await;
    pb::apply_resource_change::Response {
        new_identity: identity_of(resource, &outcome.state),
        new_state: encode_value(&outcome.state),
        private: outcome.private.encode(),
        diagnostics: encode_diagnostics(outcome.diagnostics),
        ..Default::default()
    }
}

pub(super) async fn import(
    service: &ProviderService<impl Provider>,
    request: pb::import_resource_state::Request,
) -> pb::import_resource_state::Response {
    let found = service.resource(&request.type_name).and_then(|resource| {
        let id = match request.identity {
            Some(identity) if request.id.is_empty() => {
                identity::import_id(resource.type_name(), resource.identity_parts(), identity)?
            }
            _ => request.id.clone(),
        };
        Ok((resource, id))
    });
    let (outcome, identity) = match found {
        Ok((resource, id)) => {
            let outcome = resource.import(&id, service.cancel()).await;
            let identity = identity_of(resource, &outcome.state);
            (outcome, identity)
        }
        Err(diagnostic) => (Outcome { diagnostics: diagnostic.into(), ..Outcome::default() }, None),
    };
    let mut imported_resources = Vec::new();
    if !outcome.diagnostics.has_error() {
        imported_resources.push(pb::import_resource_state::ImportedResource {
            type_name: request.type_name,
            state: encode_value(&outcome.state),
            private: outcome.private.encode(),
            identity,
        });
    }
    pb::import_resource_state::Response {
        imported_resources,
        diagnostics: encode_diagnostics(outcome.diagnostics),
        deferred: None,
    }
}

pub(super) fn move_state(
    request: pb::move_resource_state::Request,
) -> pb::move_resource_state::Response {
    let diagnostic = Diagnostic::error(
        "Move is not supported",
        format!(
            "A `{}` cannot become a `{}`. Remove the `moved` block, and import the object \
             under its new address.",
            request.source_type_name, request.target_type_name
        ),
    );
    pb::move_resource_state::Response {
        diagnostics: encode_diagnostics(diagnostic.into()),
        ..Default::default()
    }
}

/// The identity of a state, as far as it is known; nothing has none.
fn identity_of(resource: &dyn DynResource, state: &Value) -> Option<pb::ResourceIdentityData> {
    let values = (!state.is_null()).then(|| resource.identity_of(state))??;
    identity::of(resource.identity_parts(), values)
}
