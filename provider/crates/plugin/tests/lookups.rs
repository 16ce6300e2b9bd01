//! A function, a data source and an ephemeral resource, and their tests: the examples that the crate's documentation refers
//! to.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use plugin::{
    Attr, Attribute, AttributeKind, AttributePath, Ctx, DataSource, Diagnostic, Diagnostics,
    EphemeralResource, Function, FunctionError, Mode, Opened, Parameter, Private, Schema,
    Signature, Type, Value, data_source, ephemeral_resource, function,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
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

/// `ephemeral "example_lease"`: a number that lasts an hour at a time.
#[derive(Debug)]
struct LeaseResource {
    /// What is done with its leases, in order.
    log: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    of: Attr<String>,
    number: Attr<i64>,
}

const HOUR: Duration = Duration::from_secs(3600);

impl LeaseResource {
    fn note(&self, what: &str, private: &Private) {
        let of = private.get("of").and_then(|of| of.as_str()).unwrap_or("nothing");
        self.log.lock().unwrap().push(format!("{what} {of}"));
    }
}

#[async_trait]
impl EphemeralResource for LeaseResource {
    type Model = Lease;

    fn type_name(&self) -> &'static str {
        "example_lease"
    }

    fn schema(&self) -> Schema {
        let attribute = |mode, kind| Attribute {
            mode,
            kind: AttributeKind::Type(kind),
            description: "It.".to_owned(),
            ..Attribute::default()
        };
        Schema {
            description: "A lease.".to_owned(),
            attributes: BTreeMap::from([
                ("of".to_owned(), attribute(Mode::Required, Type::String)),
                ("number".to_owned(), attribute(Mode::Computed, Type::Number)),
            ]),
            ..Schema::default()
        }
    }

    async fn open(&self, _: &Ctx, lease: Lease) -> Result<Opened<Lease>, Diagnostics> {
        let of = lease.of.as_str().unwrap_or_default().to_owned();
        let number = match of.as_str() {
            "nothing" => return Err(Diagnostic::error("No lease", "Of what?").into()),
            // A bug: a result has to be known.
            "tomorrow" => Attr::unknown(),
            of => Attr::Known(i64::try_from(of.len()).unwrap()),
        };
        let mut opened = Opened::new(Lease { number, ..lease });
        opened.private.set("of", of.into());
        opened.renew_at = Some(SystemTime::UNIX_EPOCH + HOUR);
        self.note("open", &opened.private);
        Ok(opened)
    }

    async fn renew(
        &self,
        _: &Ctx,
        private: &mut Private,
    ) -> Result<Option<SystemTime>, Diagnostics> {
        self.note("renew", private);
        Ok(Some(SystemTime::UNIX_EPOCH + 2 * HOUR))
    }

    async fn close(&self, _: &Ctx, private: Private) -> Result<(), Diagnostics> {
        self.note("close", &private);
        Ok(())
    }
}

#[tokio::test]
async fn an_ephemeral_resource_is_opened_renewed_and_closed() {
    let log = Arc::default();
    let leases = ephemeral_resource(LeaseResource { log: Arc::clone(&log) });
    let never = CancellationToken::new;
    let config = |of: serde_json::Value| Value::from_json(&json!({ "of": of, "number": null }));

    let opened = leases.open(config(json!("house")), never()).await;
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
    assert_eq!(opened.result.to_json().unwrap(), json!({ "of": "house", "number": 5 }));
    assert_eq!(opened.renew_at, Some(SystemTime::UNIX_EPOCH + HOUR));
    let mut private = opened.private;
    let renewed = leases.renew(&mut private, never()).await.unwrap();
    assert_eq!(renewed, Some(SystemTime::UNIX_EPOCH + 2 * HOUR));
    leases.close(private, never()).await.unwrap();
    assert_eq!(*log.lock().unwrap(), ["open house", "renew house", "close house"]);

    // What failed is not closed; what breaks the rules is, because Terraform will not.
    log.lock().unwrap().clear();
    let failed = leases.open(config(json!("nothing")), never()).await;
    assert!(failed.result.is_null() && failed.warnings.has_error());
    let unknown = leases.open(config(json!("tomorrow")), never()).await;
    assert!(unknown.result.is_null() && unknown.warnings.has_error());
    assert_eq!(*log.lock().unwrap(), ["open tomorrow", "close tomorrow"]);
    let refused = leases.open(config(json!(null)), never()).await;
    assert!(refused.result.is_null() && refused.warnings.has_error());
}
