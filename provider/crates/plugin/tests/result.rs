//! What handlers leave behind: what goes back to Terraform when they succeed, fail, or break their
//! promise.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use plugin::{
    ApplyRequest, Attr, Attribute, AttributeKind, AttributePath, Ctx, Diagnostic, Diagnostics,
    DynResource, Mode, Nesting, Outcome, Private, Resource, Schema, Severity, State, Type, Value,
    resource,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Model {
    id: Attr<String>,
    size: Attr<i64>,
    tags: Attr<Vec<String>>,
    disk: Attr<Disk>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Disk {
    labels: Attr<Vec<String>>,
    bytes: Attr<u64>,
}

type Handler = fn(Option<Model>, &mut State<Model>) -> Result<(), Diagnostics>;

/// A resource whose every handler is the test's; it is given what is planned, if anything is.
#[derive(Debug)]
struct Probe {
    handler: Handler,
}

#[async_trait]
impl Resource for Probe {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "probe"
    }

    fn schema(&self) -> Schema {
        let of = |mode, kind| Attribute {
            mode,
            kind: AttributeKind::Type(kind),
            description: "It.".to_owned(),
            ..Attribute::default()
        };
        let set = || Type::Set(Box::new(Type::String));
        let disk = BTreeMap::from([
            ("labels".to_owned(), of(Mode::Optional, set())),
            ("bytes".to_owned(), of(Mode::OptionalComputed, Type::Number)),
        ]);
        let disk = AttributeKind::Nested { nesting: Nesting::Single, attributes: disk };
        let attributes = [
            ("id", of(Mode::Computed, Type::String)),
            ("size", of(Mode::Optional, Type::Number)),
            ("tags", of(Mode::Optional, set())),
            ("disk", Attribute { kind: disk, ..of(Mode::Optional, Type::String) }),
        ];
        Schema {
            version: 2,
            attributes: attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into(),
            ..Schema::default()
        }
    }

    async fn create(
        &self,
        _: &Ctx,
        planned: Model,
        state: &mut State<Model>,
    ) -> Result<(), Diagnostics> {
        (self.handler)(Some(planned), state)
    }

    async fn read(&self, _: &Ctx, state: &mut State<Model>) -> Result<(), Diagnostics> {
        (self.handler)(None, state)
    }

    async fn update(
        &self,
        _: &Ctx,
        _: Model,
        planned: Model,
        state: &mut State<Model>,
    ) -> Result<(), Diagnostics> {
        (self.handler)(Some(planned), state)
    }

    async fn delete(&self, _: &Ctx, state: &mut State<Model>) -> Result<(), Diagnostics> {
        (self.handler)(None, state)
    }

    async fn import(&self, _: &Ctx, _: &str, state: &mut State<Model>) -> Result<(), Diagnostics> {
        (self.handler)(None, state)
    }

    fn upgrade(
        &self,
        from_version: i64,
        mut state: serde_json::Value,
    ) -> Result<serde_json::Value, Diagnostics> {
        assert_eq!(from_version, 1);
        let object = state.as_object_mut().unwrap();
        let gigabytes = object.remove("gigabytes").unwrap_or_default();
        object.insert("size".to_owned(), gigabytes);
        Ok(state)
    }
}

fn probe(handler: Handler) -> Box<dyn DynResource> {
    resource(Probe { handler })
}

fn object(id: Value, size: i64) -> Value {
    let size = Value::Number(size.into());
    let members = [("id", id), ("size", size), ("tags", Value::Null), ("disk", Value::Null)];
    Value::Map(members.map(|(name, value)| (name.to_owned(), value)).into())
}

fn known(size: i64) -> Value {
    object(Value::String("i-1".to_owned()), size)
}

fn unknown(size: i64) -> Value {
    object(Value::Unknown(plugin::Unknown::default()), size)
}

fn remembered() -> Private {
    let mut private = Private::default();
    private.set("seen", json!(1));
    private
}

async fn apply(handler: Handler, prior: Value, planned: Value) -> Outcome {
    let config = planned.clone();
    let request = ApplyRequest { prior, planned, config, private: remembered() };
    probe(handler).apply(request, CancellationToken::new()).await
}

fn failure() -> Diagnostics {
    Diagnostic::error("It failed", "Try again.").into()
}

fn said(outcome: &Outcome) -> Vec<String> {
    let all = outcome.diagnostics.iter();
    all.map(|it| if it.summary == "Provider bug" { &it.detail } else { &it.summary })
        .map(|text| text.lines().next().unwrap().to_owned())
        .collect()
}

const KEEPS: Handler = |planned, state| {
    let mut model = planned.unwrap();
    model.id = "i-1".to_owned().into();
    state.save(&model);
    Ok(())
};

#[tokio::test]
async fn a_success_gives_what_was_saved() {
    for prior in [Value::Null, known(1)] {
        let outcome = apply(KEEPS, prior, unknown(5)).await;
        assert!(said(&outcome).is_empty(), "{outcome:?}");
        assert_eq!(outcome.state, known(5));
        assert_eq!(outcome.private, remembered(), "an empty one would erase it");
    }
}

#[tokio::test]
async fn a_failed_creation_gives_what_it_had_made() {
    let nothing = apply(|_, _| Err(failure()), Value::Null, unknown(5)).await;
    assert_eq!((said(&nothing), nothing.state), (vec!["It failed".to_owned()], Value::Null));

    // What is unknown then stays so: it is null, since a state has no unknown values.
    let half: Handler = |planned, state| {
        state.save(&planned.unwrap());
        Err(failure())
    };
    let half = apply(half, Value::Null, unknown(5)).await;
    assert_eq!(
        (said(&half), half.state.clone()),
        (vec!["It failed".to_owned()], object(Value::Null, 5))
    );
    assert_eq!(half.private, remembered());
}

#[tokio::test]
async fn a_failed_change_or_removal_gives_what_there_is() {
    for planned in [unknown(5), Value::Null] {
        let outcome = apply(|_, _| Err(failure()), known(1), planned).await;
        assert_eq!((said(&outcome), outcome.state), (vec!["It failed".to_owned()], known(1)));
    }
    let half: Handler = |_, state| {
        let mut model = state.get().unwrap().clone();
        model.size = 3.into();
        state.save(&model);
        Err(failure())
    };
    assert_eq!(apply(half, known(1), unknown(5)).await.state, known(3));
}

#[tokio::test]
async fn a_removal_leaves_nothing() {
    let outcome = apply(|_, _| Ok(()), known(1), Value::Null).await;
    assert_eq!((said(&outcome), outcome.state), (Vec::new(), Value::Null));
}

#[tokio::test]
async fn a_warning_goes_along_with_either_end() {
    let warned: Handler = |planned, state| {
        state.warn(Diagnostic::warning("Slow", "It took long.").at(AttributePath::root("size")));
        KEEPS(planned, state)
    };
    let outcome = apply(warned, Value::Null, unknown(5)).await;
    let warning = outcome.diagnostics.iter().next().unwrap();
    assert_eq!(warning.severity, Severity::Warning);
    assert!(!outcome.diagnostics.has_error());
    let both: Handler = |_, state| {
        state.warn(Diagnostic::warning("Slow", "It took long."));
        Err(failure())
    };
    assert_eq!(said(&apply(both, known(1), unknown(5)).await), ["Slow", "It failed"]);
}

#[tokio::test]
async fn a_broken_promise_is_said_to_be_ours() {
    let rows: [(Handler, &str); 4] = [
        (|_, _| Ok(()), "the operation succeeded and saved no state"),
        (
            |planned, state| {
                state.save(&planned.unwrap());
                Ok(())
            },
            "`id` is still unknown",
        ),
        (
            |planned, state| {
                let id = "i-1".to_owned().into();
                state.save(&Model { id, size: 6.into(), ..planned.unwrap() });
                Ok(())
            },
            "`size` was planned otherwise than it came out",
        ),
        (|_, _| Err(Diagnostics::default()), "an operation failed without an error"),
    ];
    for (handler, text) in rows {
        let outcome = apply(handler, Value::Null, unknown(5)).await;
        assert_eq!(said(&outcome), [text]);
        assert!(outcome.diagnostics.has_error());
        assert!(!outcome.state.has_unknown(), "Terraform must be able to read it");
    }
}

#[tokio::test]
async fn the_elements_of_a_set_have_no_order() {
    let turned: Handler = |planned, state| {
        let mut model = planned.unwrap();
        model.id = "i-1".to_owned().into();
        let Attr::Known(disk) = &mut model.disk else { panic!("a disk") };
        for set in [&mut model.tags, &mut disk.labels] {
            let Attr::Known(elements) = set else { panic!("a set") };
            elements.reverse();
        }
        state.save(&model);
        Ok(())
    };
    let Value::Map(mut planned) = unknown(5) else { panic!("an object") };
    let tags = ["a", "b"].map(|tag| Value::String(tag.to_owned()));
    let tags = Value::List(tags.to_vec());
    // Larger than any signed number of this size.
    let bytes = Value::Number(u64::MAX.into());
    let disk = [("labels", tags.clone()), ("bytes", bytes)];
    let disk = Value::Map(disk.map(|(name, value)| (name.to_owned(), value)).into());
    planned.extend([("tags".to_owned(), tags), ("disk".to_owned(), disk)]);
    let outcome = apply(turned, Value::Null, Value::Map(planned)).await;
    assert!(said(&outcome).is_empty(), "{outcome:?}");
}

#[tokio::test]
async fn what_is_gone_is_forgotten_with_all_that_was_remembered() {
    let cancel = CancellationToken::new;
    let gone: Handler = |_, state| {
        state.remove();
        Ok(())
    };
    let outcome = probe(gone).read(known(1), remembered(), cancel()).await;
    // Otherwise its creation would look like the second half of a replacement.
    assert_eq!((outcome.state, outcome.private), (Value::Null, Private::default()));

    let there = probe(|_, _| Ok(())).read(known(1), remembered(), cancel()).await;
    assert_eq!((there.state, there.private), (known(1), remembered()));
    let unseen = probe(|_, _| Err(failure())).read(known(1), remembered(), cancel()).await;
    assert_eq!((said(&unseen), unseen.state), (vec!["It failed".to_owned()], known(1)));
}

#[tokio::test]
async fn an_import_must_find_something() {
    let found: Handler = |_, state| {
        state.save(&Model { id: "i-1".to_owned().into(), ..Model::default() });
        Ok(())
    };
    let outcome = probe(found).import("i-1", CancellationToken::new()).await;
    assert_eq!(outcome.state.member("size"), &Value::Null);
    assert!(matches!(&outcome.state, Value::Map(members) if members.len() == 4), "all attributes");
    let nothing = probe(|_, _| Ok(())).import("i-1", CancellationToken::new()).await;
    assert_eq!(said(&nothing), ["an import succeeded and saved no state"]);
}

#[test]
fn a_state_of_any_version_comes_in_the_form_of_this_one() {
    let probe = probe(|_, _| Ok(()));
    // Exact, also where a floating-point number is not.
    let json = |text: &str| serde_json::from_str(text).unwrap();
    let exact = "12345678901234567890.5";
    let old = probe.upgrade(1, json(&format!(r#"{{"id":"i-1","gigabytes":{exact}}}"#))).unwrap();
    let same = probe.upgrade(2, json(&format!(r#"{{"id":"i-1","size":{exact}}}"#))).unwrap();
    assert_eq!(old, same);
    let number = plugin::Number::from_decimal(exact);
    assert_eq!(same.member("size"), &Value::Number(number));
    let members = BTreeMap::from([
        ("id".to_owned(), Value::String("i-1".to_owned())),
        ("size".to_owned(), same.member("size").clone()),
        ("tags".to_owned(), Value::Null),
        ("disk".to_owned(), Value::Null),
    ]);
    assert_eq!(same, Value::Map(members), "an attribute that is new is null");
    // At every depth: Terraform reads no object that lacks one.
    let nested = probe.upgrade(2, json(r#"{"id":"i-1","disk":{"bytes":1}}"#)).unwrap();
    let disk = nested.member("disk");
    assert!(matches!(disk, Value::Map(members) if members.contains_key("labels")), "{disk:?}");
}
