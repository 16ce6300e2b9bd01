//! A function and a data source, and their tests: the examples that the crate's documentation refers
//! to.

use async_trait::async_trait;
use plugin::{
    Attr, Attribute, AttributeKind, AttributePath, Ctx, DataSource, Diagnostic, Diagnostics,
    Function, FunctionError, Mode, Parameter, Schema, Signature, Type, Value, data_source,
    function,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// `provider::example::repeat("ab", 3)` is `{ text = "ababab", length = 6 }`.
#[derive(Debug)]
struct Repeat;

#[derive(Debug, Serialize)]
struct Repeated {
    text: String,
    length: usize,
}

impl Function for Repeat {
    type Arguments = (String, u32);
    type Output = Repeated;

    fn name(&self) -> &'static str {
        "repeat"
    }

    fn signature(&self) -> Signature {
        let parameter =
            |name, kind| Parameter { name, description: "…", kind, allow_null: false };
        Signature {
            summary: "Repeats a text.",
            description: "Repeats a text.",
            parameters: vec![parameter("text", Type::String), parameter("times", Type::Number)],
            returns: Type::Object(BTreeMap::from([
                ("text".to_owned(), Type::String),
                ("length".to_owned(), Type::Number),
            ])),
        }
    }

    fn call(&self, (text, times): (String, u32)) -> Result<Repeated, FunctionError> {
        if times > 100 {
            return Err(FunctionError::argument(1, "At most 100 times."));
        }
        let text = text.repeat(times as usize);
        Ok(Repeated { length: text.len(), text })
    }
}

#[test]
fn a_function_is_called() {
    let call = |text: &str, times: serde_json::Value| {
        let arguments = vec![Value::String(text.to_owned()), Value::from_json(&times)];
        function(Repeat).call(arguments)
    };
    let json = call("ab", json!(3)).unwrap().to_json().unwrap();
    assert_eq!(json, json!({ "text": "ababab", "length": 6 }));
    assert_eq!(call("ab", json!(101)).unwrap_err().argument, Some(1));
    // What no argument of this type can hold.
    assert!(call("ab", json!(-1)).is_err());
    assert!(call("ab", json!(0.5)).is_err());
    // A number may travel as text, when it is a great one.
    assert!(call("ab", json!("2")).is_ok());
}

/// `data "example_bucket"`: looked up by its name.
#[derive(Debug)]
struct BucketDataSource;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bucket {
    name: Attr<String>,
    size: Attr<i64>,
}

#[async_trait]
impl DataSource for BucketDataSource {
    type Model = Bucket;

    fn type_name(&self) -> &'static str {
        "example_bucket"
    }

    fn schema(&self) -> Schema {
        let attribute = |mode, kind| Attribute {
            mode,
            kind: AttributeKind::Type(kind),
            description: "…".to_owned(),
            ..Attribute::default()
        };
        Schema {
            version: 0,
            description: "A bucket.".to_owned(),
            attributes: BTreeMap::from([
                ("name".to_owned(), attribute(Mode::Required, Type::String)),
                ("size".to_owned(), attribute(Mode::Computed, Type::Number)),
            ]),
        }
    }

    async fn read(&self, _: &Ctx, config: Bucket) -> Result<(Bucket, Diagnostics), Diagnostics> {
        match config.name.as_str() {
            Some("b") => Ok((Bucket { size: Attr::Known(10), ..config }, Diagnostics::default())),
            // A bug: what is looked up cannot be unknown.
            Some("u") => Ok((Bucket { size: Attr::unknown(), ..config }, Diagnostics::default())),
            _ => Err(Diagnostic::error("Bucket not found", "There is no such bucket.")
                .at(AttributePath::root("name"))
                .into()),
        }
    }
}

#[tokio::test]
async fn a_data_source_is_read() {
    let source = data_source(BucketDataSource);
    let read = async |name: serde_json::Value| {
        let config = Value::from_json(&json!({ "name": name, "size": null }));
        source.read(config, CancellationToken::new()).await
    };
    let (found, diagnostics) = read(json!("b")).await;
    assert!(diagnostics.is_empty());
    assert_eq!(found.to_json().unwrap(), json!({ "name": "b", "size": 10 }));

    let (found, diagnostics) = read(json!("c")).await;
    assert!(found.is_null());
    assert_eq!(diagnostics.iter().next().unwrap().summary, "Bucket not found");

    // What the schema refuses is not looked up, also when it was unknown at validate.
    let (found, diagnostics) = read(json!(null)).await;
    assert!(found.is_null());
    assert_eq!(diagnostics.iter().next().unwrap().summary, "Missing value");

    let (_, diagnostics) = read(json!("u")).await;
    assert_eq!(diagnostics.iter().next().unwrap().summary, "Provider bug");
}
