//! The RPCs: messages in, semantics elsewhere, messages out. What is not here answers
//! UNIMPLEMENTED, as the protocol wants it.

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::dynamic::{ApplyRequest, DynResource, Outcome};
use crate::ephemeral::Opened;
use crate::function::FunctionError;
use crate::identity;
use crate::plan::PlanRequest;
use crate::private::Private;
use crate::proto::tfplugin6::{self as pb, provider_server::Provider as Service};
use crate::provider::Provider;
use crate::service::{ProviderService, capabilities};
use crate::value::Value;
use crate::wire::{decode_arguments, decode_value, encode_diagnostics, encode_path, encode_value};
use std::sync::atomic::Ordering;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl<P: Provider> Service for ProviderService<P> {
    async fn get_metadata(
        &self,
        _: Request<pb::get_metadata::Request>,
    ) -> Answer<pb::get_metadata::Response> {
        let names = self.resources.keys();
        Ok(Response::new(pb::get_metadata::Response {
            server_capabilities: Some(capabilities()),
            resources: names
                .map(|name| pb::get_metadata::ResourceMetadata { type_name: (*name).to_owned() })
                .collect(),
            data_sources: self
                .data_sources
                .keys()
                .map(|name| pb::get_metadata::DataSourceMetadata { type_name: (*name).to_owned() })
                .collect(),
            ephemeral_resources: self
                .ephemeral_resources
                .keys()
                .map(|name| pb::get_metadata::EphemeralMetadata { type_name: (*name).to_owned() })
                .collect(),
            functions: self
                .functions
                .keys()
                .map(|name| pb::get_metadata::FunctionMetadata { name: (*name).to_owned() })
                .collect(),
            ..Default::default()
        }))
    }

    async fn get_provider_schema(
        &self,
        _: Request<pb::get_provider_schema::Request>,
    ) -> Answer<pb::get_provider_schema::Response> {
        Ok(Response::new(self.schemas()))
    }

    async fn get_resource_identity_schemas(
        &self,
        _: Request<pb::get_resource_identity_schemas::Request>,
    ) -> Answer<pb::get_resource_identity_schemas::Response> {
        let resources = self.resources.iter();
        Ok(Response::new(pb::get_resource_identity_schemas::Response {
            identity_schemas: resources
                .filter_map(|(name, resource)| {
                    Some(((*name).to_owned(), identity::schema(resource.identity_parts())?))
                })
                .collect(),
            diagnostics: Vec::new(),
        }))
    }

    async fn upgrade_resource_identity(
        &self,
        request: Request<pb::upgrade_resource_identity::Request>,
    ) -> Answer<pb::upgrade_resource_identity::Response> {
        let request = request.into_inner();
        let upgraded = identity::upgrade(request.version, request.raw_identity);
        Ok(Response::new(match upgraded {
            Ok(identity) => pb::upgrade_resource_identity::Response {
                upgraded_identity: Some(identity),
                diagnostics: Vec::new(),
            },
            Err(diagnostic) => pb::upgrade_resource_identity::Response {
                upgraded_identity: None,
                diagnostics: encode_diagnostics(diagnostic.into()),
            },
        }))
    }

    async fn get_functions(
        &self,
        _: Request<pb::get_functions::Request>,
    ) -> Answer<pb::get_functions::Response> {
        Ok(Response::new(pb::get_functions::Response {
            functions: self.signatures(),
            diagnostics: Vec::new(),
        }))
    }

    async fn call_function(
        &self,
        request: Request<pb::call_function::Request>,
    ) -> Answer<pb::call_function::Response> {
        let request = request.into_inner();
        let call = || -> Result<crate::Value, FunctionError> {
            let unknown = || FunctionError {
                text: format!("bug in the provider: it has no function `{}`", request.name),
                argument: None,
            };
            let function = self.functions.get(request.name.as_str()).ok_or_else(unknown)?;
            let arguments = decode_arguments(request.arguments)
                .map_err(|error| FunctionError { text: error.detail, argument: None })?;
            function.call(arguments)
        };
        Ok(Response::new(match call() {
            Ok(result) => {
                pb::call_function::Response { result: encode_value(&result), error: None }
            }
            Err(FunctionError { text, argument }) => pb::call_function::Response {
                result: None,
                error: Some(pb::FunctionError {
                    // Terraform ends the sentence itself.
                    text: text.strip_suffix('.').unwrap_or(&text).to_owned(),
                    function_argument: argument.and_then(|index| i64::try_from(index).ok()),
                }),
            },
        }))
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<pb::validate_data_resource_config::Request>,
    ) -> Answer<pb::validate_data_resource_config::Response> {
        let request = request.into_inner();
        let validate = || -> Result<Diagnostics, Diagnostic> {
            let source = self.data_source(&request.type_name)?;
            Ok(source.validate(&decode_value(request.config, source.schema())?))
        };
        let diagnostics = encode_diagnostics(validate().unwrap_or_else(Diagnostics::from));
        Ok(Response::new(pb::validate_data_resource_config::Response { diagnostics }))
    }

    async fn read_data_source(
        &self,
        request: Request<pb::read_data_source::Request>,
    ) -> Answer<pb::read_data_source::Response> {
        let request = request.into_inner();
        let decoded = self.data_source(&request.type_name).and_then(|source| {
            let config = decode_value(request.config, source.schema())?;
            Ok((source, config))
        });
        let (state, diagnostics) = match decoded {
            Ok((source, config)) => source.read(config, self.cancel()).await,
            Err(diagnostic) => (crate::Value::Null, diagnostic.into()),
        };
        Ok(Response::new(pb::read_data_source::Response {
            state: (!state.is_null()).then(|| encode_value(&state)).flatten(),
            diagnostics: encode_diagnostics(diagnostics),
            deferred: None,
        }))
    }

    async fn validate_ephemeral_resource_config(
        &self,
        request: Request<pb::validate_ephemeral_resource_config::Request>,
    ) -> Answer<pb::validate_ephemeral_resource_config::Response> {
        let request = request.into_inner();
        let validate = || -> Result<Diagnostics, Diagnostic> {
            let resource = self.ephemeral_resource(&request.type_name)?;
            Ok(resource.validate(&decode_value(request.config, resource.schema())?))
        };
        let diagnostics = encode_diagnostics(validate().unwrap_or_else(Diagnostics::from));
        Ok(Response::new(pb::validate_ephemeral_resource_config::Response { diagnostics }))
    }

    async fn open_ephemeral_resource(
        &self,
        request: Request<pb::open_ephemeral_resource::Request>,
    ) -> Answer<pb::open_ephemeral_resource::Response> {
        let request = request.into_inner();
        let decoded = self
            .ephemeral_resource(&request.type_name)
            .and_then(|resource| Ok((resource, decode_value(request.config, resource.schema())?)));
        let opened = match decoded {
            Ok((resource, config)) => resource.open(config, self.cancel()).await,
            Err(diagnostic) => {
                Opened { warnings: diagnostic.into(), ..Opened::new(crate::Value::Null) }
            }
        };
        Ok(Response::new(pb::open_ephemeral_resource::Response {
            result: (!opened.result.is_null()).then(|| encode_value(&opened.result)).flatten(),
            renew_at: opened.renew_at.map(Into::into),
            private: Some(opened.private.encode()),
            diagnostics: encode_diagnostics(opened.warnings),
            deferred: None,
        }))
    }

    async fn renew_ephemeral_resource(
        &self,
        request: Request<pb::renew_ephemeral_resource::Request>,
    ) -> Answer<pb::renew_ephemeral_resource::Response> {
        let request = request.into_inner();
        let mut private = Private::decode(request.private());
        let renewed = match self.ephemeral_resource(&request.type_name) {
            Ok(resource) => resource.renew(&mut private, self.cancel()).await,
            Err(diagnostic) => Err(diagnostic.into()),
        };
        let (renew_at, diagnostics) = match renewed {
            Ok(renew_at) => (renew_at, Diagnostics::default()),
            Err(diagnostics) => (None, diagnostics),
        };
        Ok(Response::new(pb::renew_ephemeral_resource::Response {
            renew_at: renew_at.map(Into::into),
            private: Some(private.encode()),
            diagnostics: encode_diagnostics(diagnostics),
        }))
    }

    async fn close_ephemeral_resource(
        &self,
        request: Request<pb::close_ephemeral_resource::Request>,
    ) -> Answer<pb::close_ephemeral_resource::Response> {
        let request = request.into_inner();
        let private = Private::decode(request.private());
        let closed = match self.ephemeral_resource(&request.type_name) {
            // A stop ends the run, and this is how a run ends.
            Ok(resource) => resource.close(private, self.orphaned.child_token()).await,
            Err(diagnostic) => Err(diagnostic.into()),
        };
        let diagnostics = encode_diagnostics(closed.err().unwrap_or_default());
        Ok(Response::new(pb::close_ephemeral_resource::Response { diagnostics }))
    }

    async fn validate_provider_config(
        &self,
        request: Request<pb::validate_provider_config::Request>,
    ) -> Answer<pb::validate_provider_config::Response> {
        let validate = || -> Result<Diagnostics, Diagnostic> {
            let config = decode_value(request.into_inner().config, &self.schema)?;
            let mut diagnostics = self.schema.validate(&config);
            if !diagnostics.has_error() {
                diagnostics.extend(self.provider.validate(&crate::convert::from_value(config)?));
            }
            Ok(diagnostics)
        };
        let diagnostics = encode_diagnostics(validate().unwrap_or_else(Diagnostics::from));
        Ok(Response::new(pb::validate_provider_config::Response { diagnostics }))
    }

    async fn configure_provider(
        &self,
        request: Request<pb::configure_provider::Request>,
    ) -> Answer<pb::configure_provider::Response> {
        let request = request.into_inner();
        if self.is_configured.swap(true, Ordering::Relaxed) {
            *self.stop.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                self.orphaned.child_token();
        }
        let config = decode_value(request.config, &self.schema)
            .and_then(|config| Ok(crate::convert::from_value(config)?));
        let diagnostics = match config {
            Ok(config) => {
                let configured = self.provider.configure(config, &request.terraform_version).await;
                configured.unwrap_or_else(|errors| errors)
            }
            Err(diagnostic) => diagnostic.into(),
        };
        Ok(Response::new(pb::configure_provider::Response {
            diagnostics: encode_diagnostics(diagnostics),
        }))
    }

    async fn stop_provider(
        &self,
        _: Request<pb::stop_provider::Request>,
    ) -> Answer<pb::stop_provider::Response> {
        // Handlers see it, save what they have and return; the server goes on.
        self.cancel().cancel();
        Ok(Response::new(pb::stop_provider::Response::default()))
    }

    async fn validate_resource_config(
        &self,
        request: Request<pb::validate_resource_config::Request>,
    ) -> Answer<pb::validate_resource_config::Response> {
        let request = request.into_inner();
        let write_only = request
            .client_capabilities
            .is_some_and(|capabilities| capabilities.write_only_attributes_allowed);
        let validate = || -> Result<Diagnostics, Diagnostic> {
            let resource = self.resource(&request.type_name)?;
            let config = decode_value(request.config, resource.schema())?;
            Ok(resource.validate(&config, write_only))
        };
        let diagnostics = encode_diagnostics(validate().unwrap_or_else(Diagnostics::from));
        Ok(Response::new(pb::validate_resource_config::Response { diagnostics }))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<pb::upgrade_resource_state::Request>,
    ) -> Answer<pb::upgrade_resource_state::Response> {
        let request = request.into_inner();
        let upgrade = || -> Result<crate::Value, Diagnostics> {
            let resource = self.resource(&request.type_name)?;
            let json = request.raw_state.map(|raw| raw.json).unwrap_or_default();
            if json.is_empty() {
                return Ok(crate::Value::Null);
            }
            let json = serde_json::from_slice(&json).map_err(|error| {
                Diagnostic::error("State cannot be read", format!("It is no JSON: {error}."))
            })?;
            resource.upgrade(request.version, json)
        };
        let response = match upgrade() {
            Ok(value) => pb::upgrade_resource_state::Response {
                upgraded_state: encode_value(&value),
                diagnostics: Vec::new(),
            },
            Err(diagnostics) => pb::upgrade_resource_state::Response {
                upgraded_state: None,
                diagnostics: encode_diagnostics(diagnostics),
            },
        };
        Ok(Response::new(response))
    }

    async fn read_resource(
        &self,
        request: Request<pb::read_resource::Request>,
    ) -> Answer<pb::read_resource::Response> {
        let request = request.into_inner();
        let decoded = self.resource(&request.type_name).and_then(|resource| {
            Ok((resource, decode_value(request.current_state.clone(), resource.schema())?))
        });
        let (resource, state) = match decoded {
            Ok(decoded) => decoded,
            Err(diagnostic) => {
                return Ok(Response::new(pb::read_resource::Response {
                    new_state: request.current_state,
                    private: request.private,
                    diagnostics: encode_diagnostics(diagnostic.into()),
                    ..Default::default()
                }));
            }
        };
        let outcome = resource.read(state, Private::decode(&request.private), self.cancel()).await;
        Ok(Response::new(pb::read_resource::Response {
            new_identity: identity_of(resource, &outcome.state),
            new_state: encode_value(&outcome.state),
            private: outcome.private.encode(),
            diagnostics: encode_diagnostics(outcome.diagnostics),
            deferred: None,
        }))
    }

    async fn plan_resource_change(
        &self,
        request: Request<pb::plan_resource_change::Request>,
    ) -> Answer<pb::plan_resource_change::Response> {
        let request = request.into_inner();
        let decode = || -> Result<_, Diagnostic> {
            let resource = self.resource(&request.type_name)?;
            let schema = resource.schema();
            let plan = PlanRequest {
                prior: decode_value(request.prior_state.clone(), schema)?,
                config: decode_value(request.config.clone(), schema)?,
                proposed: decode_value(request.proposed_new_state.clone(), schema)?,
                prior_private: Private::decode(&request.prior_private),
            };
            Ok((resource, plan))
        };
        let response = match decode() {
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
        };
        Ok(Response::new(response))
    }

    async fn apply_resource_change(
        &self,
        request: Request<pb::apply_resource_change::Request>,
    ) -> Answer<pb::apply_resource_change::Response> {
        let request = request.into_inner();
        let decode = || -> Result<_, Diagnostic> {
            let resource = self.resource(&request.type_name)?;
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
                return Ok(Response::new(pb::apply_resource_change::Response {
                    new_state: request.prior_state,
                    private: request.planned_private,
                    diagnostics: encode_diagnostics(diagnostic.into()),
                    ..Default::default()
                }));
            }
        };
        let outcome = resource.apply(apply, self.cancel()).await;
        Ok(Response::new(pb::apply_resource_change::Response {
            new_identity: identity_of(resource, &outcome.state),
            new_state: encode_value(&outcome.state),
            private: outcome.private.encode(),
            diagnostics: encode_diagnostics(outcome.diagnostics),
            ..Default::default()
        }))
    }

    async fn import_resource_state(
        &self,
        request: Request<pb::import_resource_state::Request>,
    ) -> Answer<pb::import_resource_state::Response> {
        let request = request.into_inner();
        let found = self.resource(&request.type_name).and_then(|resource| {
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
                let outcome = resource.import(&id, self.cancel()).await;
                let identity = identity_of(resource, &outcome.state);
                (outcome, identity)
            }
            Err(diagnostic) => {
                (Outcome { diagnostics: diagnostic.into(), ..Outcome::default() }, None)
            }
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
        Ok(Response::new(pb::import_resource_state::Response {
            imported_resources,
            diagnostics: encode_diagnostics(outcome.diagnostics),
            deferred: None,
        }))
    }

    async fn move_resource_state(
        &self,
        request: Request<pb::move_resource_state::Request>,
    ) -> Answer<pb::move_resource_state::Response> {
        let request = request.into_inner();
        let diagnostic = Diagnostic::error(
            "Move is not supported",
            format!(
                "A `{}` cannot become a `{}`. Remove the `moved` block, and import the object \
                 under its new address.",
                request.source_type_name, request.target_type_name
            ),
        );
        Ok(Response::new(pb::move_resource_state::Response {
            diagnostics: encode_diagnostics(diagnostic.into()),
            ..Default::default()
        }))
    }
}

/// The identity of a state, as far as it is known; nothing has none.
fn identity_of(resource: &dyn DynResource, state: &Value) -> Option<pb::ResourceIdentityData> {
    let values = (!state.is_null()).then(|| resource.identity_of(state))??;
    identity::of(resource.identity_parts(), values)
}
