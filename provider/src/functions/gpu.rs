//! `provider::disagg::gpu`: what a request for GPUs means.

use domain::gpu::GpuRequest;
use plugin::{Function, FunctionError, Parameter, Signature, Type};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct GpuFunction;

/// A request taken apart.
#[derive(Debug, Serialize)]
pub(crate) struct Gpu {
    model: String,
    minimum: u32,
    maximum: u32,
}

impl Function for GpuFunction {
    type Arguments = (String,);
    type Output = Gpu;

    fn name(&self) -> &'static str {
        "gpu"
    }

    fn signature(&self) -> Signature {
        let members =
            [("model", Type::String), ("minimum", Type::Number), ("maximum", Type::Number)];
        Signature {
            summary: "Takes a request for GPUs apart.",
            description: "Takes a request for GPUs, as `resources.gpu` has it, apart: `H200` is exactly \
                          one, `H200:8` exactly eight, `H200:4..8` a range. The result has the \
                          attributes `model`, `minimum` and `maximum`.",
            parameters: vec![Parameter {
                name: "request",
                description: "The request, as in `H200:8`.",
                kind: Type::String,
                allow_null: false,
            }],
            returns: Type::Object(BTreeMap::from(
                members.map(|(name, kind)| (name.to_owned(), kind)),
            )),
        }
    }

    fn call(&self, (request,): (String,)) -> Result<Gpu, FunctionError> {
        let request: GpuRequest = request.parse().map_err(|error| {
            FunctionError::argument(0, format!("Invalid GPU request: {error}."))
        })?;
        let GpuRequest { model, count } = request;
        Ok(Gpu { model, minimum: count.min, maximum: count.max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin::{Value, function};
    use serde_json::json;

    #[test]
    fn requests() {
        let call = |text: &str| function(GpuFunction).call(vec![Value::String(text.to_owned())]);
        for (text, model, minimum, maximum) in
            [("H200", "H200", 1, 1), ("H200:8", "H200", 8, 8), ("L40S:2..4", "L40S", 2, 4)]
        {
            let json = call(text).unwrap().to_json().unwrap();
            assert_eq!(json, json!({ "model": model, "minimum": minimum, "maximum": maximum }));
        }
        let error = call("h200").unwrap_err();
        assert_eq!(error.argument, Some(0));
        assert!(error.text.contains("did you mean `H200`?"), "{}", error.text);
    }
}
