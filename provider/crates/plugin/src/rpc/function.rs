//! The functions of a provider.

use crate::function::FunctionError;
use crate::proto::tfplugin6 as pb;
use crate::provider::Provider;
use crate::service::ProviderService;
use crate::value::Value;
use crate::wire::{decode_arguments, encode_value};

pub(super) fn signatures(service: &ProviderService<impl Provider>) -> pb::get_functions::Response {
    pb::get_functions::Response { functions: service.signatures(), diagnostics: Vec::new() }
}

pub(super) fn call(
    service: &ProviderService<impl Provider>,
    request: pb::call_function::Request,
) -> pb::call_function::Response {
    let call = || -> Result<Value, FunctionError> {
        let unknown = || FunctionError {
            text: format!("bug in the provider: it has no function `{}`", request.name),
            argument: None,
        };
        let function = service.functions.get(request.name.as_str()).ok_or_else(unknown)?;
        let arguments = decode_arguments(request.arguments)
            .map_err(|error| FunctionError { text: error.detail, argument: None })?;
        function.call(arguments)
    };
    match call() {
        Ok(result) => pb::call_function::Response { result: encode_value(&result), error: None },
        Err(FunctionError { text, argument }) => pb::call_function::Response {
            result: None,
            error: Some(pb::FunctionError {
                // Terraform ends the sentence itself.
                text: text.strip_suffix('.').unwrap_or(&text).to_owned(),
                function_argument: argument.and_then(|index| i64::try_from(index).ok()),
            }),
        },
    }
}
