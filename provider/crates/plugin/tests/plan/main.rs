//! The plan pipeline as tables: what is configured, what was before, what is planned.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod probe;

use expect_test::{Expect, expect};
use plugin::testing::Harness;
use plugin::{Attr, AttributePath, PlanRequest, PlanResponse, Private, Value};
use probe::{Part, Shape, probe};
use serde_json::json;
use std::collections::BTreeMap;

/// An object that is there: what a row does not say is what an apply would have left.
fn existing(changes: serde_json::Value) -> Value {
    let mut object = json!({
        "id": "i-1", "revision": "r-1", "name": "a", "zone": "z-1", "kind": "plain", "size": 10, "secret": null,
        "disk": null, "parts": null,
    });
    object.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Value::from_json(&object)
}

fn planned(shape: Shape, prior: Option<Value>, config: &serde_json::Value) -> PlanResponse {
    let mut harness = Harness::new(probe(shape));
    harness.state = prior.unwrap_or_default();
    harness.plan(config)
}

/// The planned state on one line: `?` is unknown, what is null is left out.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Unknown(unknown) => format!("?{}", unknown.prefix.as_deref().unwrap_or_default()),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::List(elements) => {
            format!("[{}]", elements.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        Value::Map(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            let members: Vec<_> =
                members.map(|(name, value)| format!("{name}={}", text(value))).collect();
            format!("{{{}}}", members.join(" "))
        }
    }
}

fn summary(response: &PlanResponse) -> String {
    let mut line = text(&response.planned);
    for path in &response.requires_replace {
        line.push_str(&format!(" replace:{path}"));
    }
    for diagnostic in &response.diagnostics {
        line.push_str(&format!(" {}: {}", diagnostic.summary, diagnostic.detail));
    }
    line
}

fn check(shape: Shape, prior: Option<Value>, config: serde_json::Value, expected: Expect) {
    expected.assert_eq(&summary(&planned(shape, prior, &config)));
}

const NOTHING: Shape = |_| {};

#[test]
fn a_creation_has_its_defaults_and_waits_for_the_rest() {
    for (config, expected) in [
        (json!({ "name": "a" }), expect!["{id=? kind=plain name=a revision=? size=10 zone=?}"]),
        (
            json!({ "name": "a", "zone": "z", "size": 3 }),
            expect!["{id=? kind=plain name=a revision=? size=3 zone=z}"],
        ),
        // A secret is in the configuration alone.
        (
            json!({ "name": "a", "secret": "s" }),
            expect!["{id=? kind=plain name=a revision=? size=10 zone=?}"],
        ),
        (
            json!({ "name": "a", "disk": {}, "parts": { "x": {}, "y": { "size": 2 } } }),
            expect![
                "{disk={serial=? size=1} id=? kind=plain name=a parts={x={serial=? size=1} y={serial=? size=2}} revision=? size=10 zone=?}"
            ],
        ),
    ] {
        check(NOTHING, None, config, expected);
    }
}

#[test]
fn what_is_as_before_is_planned_as_before() {
    for (prior, config) in [
        (json!({}), json!({ "name": "a" })),
        (json!({}), json!({ "name": "a", "secret": "another each time" })),
        (json!({ "zone": "z-2" }), json!({ "name": "a", "zone": "z-2" })),
        (
            json!({ "disk": { "size": 1, "serial": "s", "media": null } }),
            json!({ "name": "a", "disk": {} }),
        ),
    ] {
        let prior = existing(prior);
        let response = planned(NOTHING, Some(prior.clone()), &config);
        assert_eq!(response.planned, prior, "{config}");
        assert!(response.requires_replace.is_empty() && response.diagnostics.is_empty());
    }
}

#[test]
fn a_change_makes_unknown_what_may_change_with_it() {
    check(
        NOTHING,
        Some(existing(json!({}))),
        json!({ "name": "a", "size": 11 }),
        expect!["{id=i-1 kind=plain name=a revision=? size=11 zone=?}"],
    );
    // Back to the default.
    check(
        NOTHING,
        Some(existing(json!({ "size": 11 }))),
        json!({ "name": "a" }),
        expect!["{id=i-1 kind=plain name=a revision=? size=10 zone=?}"],
    );
    check(
        NOTHING,
        Some(existing(json!({ "disk": { "size": 1, "serial": "s", "media": null } }))),
        json!({ "name": "a", "disk": { "size": 2 } }),
        expect!["{disk={serial=? size=2} id=i-1 kind=plain name=a revision=? size=10 zone=?}"],
    );
}

#[test]
fn a_replacement_says_because_of_what() {
    check(
        NOTHING,
        Some(existing(json!({}))),
        json!({ "name": "b", "zone": "z-2" }),
        expect!["{id=i-1 kind=plain name=b revision=? size=10 zone=z-2} replace:name replace:zone"],
    );
    // A resource's own reasons come in order, each once; a creation has none.
    let twice: Shape = |change| {
        for name in ["size", "disk", "size"] {
            change.requires_replace(AttributePath::root(name));
        }
    };
    check(
        twice,
        Some(existing(json!({}))),
        json!({ "name": "a", "size": 11 }),
        expect!["{id=i-1 kind=plain name=a revision=? size=11 zone=?} replace:disk replace:size"],
    );
    check(
        twice,
        None,
        json!({ "name": "a" }),
        expect!["{id=? kind=plain name=a revision=? size=10 zone=?}"],
    );
}

#[test]
fn a_replacement_may_come_from_a_default_or_from_below() {
    for (prior, config, paths) in [
        // Taken out of the configuration, it falls back to its default.
        (json!({ "kind": "fancy" }), json!({ "name": "a" }), vec!["kind"]),
        (
            json!({ "disk": { "size": 1, "media": "tape" } }),
            json!({ "name": "a", "disk": { "media": "disc" } }),
            vec!["disk.media"],
        ),
        (
            json!({ "parts": { "x": { "size": 1, "media": "tape" }, "y": { "size": 1 } } }),
            json!({ "name": "a", "parts": { "x": { "media": "disc" }, "y": { "size": 2 } } }),
            vec![r#"parts["x"].media"#],
        ),
        // A new element is no change of an old one.
        (
            json!({ "parts": {} }),
            json!({ "name": "a", "parts": { "x": { "media": "disc" } } }),
            vec![],
        ),
    ] {
        let response = planned(NOTHING, Some(existing(prior)), &config);
        let found: Vec<_> = response.requires_replace.iter().map(ToString::to_string).collect();
        assert_eq!(found, paths, "{config}");
    }
}

/// Otherwise an import block and the apply that follows would destroy what was imported.
#[tokio::test]
async fn what_an_import_did_not_find_is_no_reason_to_replace() {
    let mut harness = Harness::new(probe(NOTHING));
    harness.import("i-1").await;
    assert!(harness.state.member("zone").is_null());
    let config = json!({ "name": "a", "zone": "z-9" });
    let plan = harness.plan(&config);
    assert_eq!(plan.requires_replace, [AttributePath::root("name")], "what it found counts");

    // In the next run it is an object like any other.
    harness.refresh().await;
    let later = harness.plan(&config).requires_replace;
    assert_eq!(later, ["name", "zone"].map(AttributePath::root));
}

#[test]
fn a_resource_may_find_a_difference_that_the_configuration_has_not() {
    let drifted: Shape = |change| {
        if let Some(planned) = &mut change.planned {
            planned.revision = Attr::unknown_with_prefix("r-");
        }
    };
    check(
        drifted,
        Some(existing(json!({}))),
        json!({ "name": "a" }),
        expect!["{id=i-1 kind=plain name=a revision=?r- size=10 zone=z-1}"],
    );
}

#[test]
fn a_removal_is_planned_too() {
    let noted: Shape = |change| {
        assert!(change.is_destroy() && !change.is_create() && change.config.is_none());
        change.planned_private.set("asked", json!(true));
    };
    let response = planned(noted, Some(existing(json!({}))), &json!(null));
    assert_eq!(summary(&response), "null");
    assert_eq!(response.planned_private.get("asked"), Some(&json!(true)));

    let never: Shape = |change| change.planned = change.prior.clone();
    check(
        never,
        Some(existing(json!({}))),
        json!(null),
        expect![[r#"
            null Provider bug: a plan made a removal of a change, or the reverse

            This is a bug in the provider, please report it with this text."#]],
    );
}

/// The second half of a replacement has no prior state, and is told so by what the first half left.
#[test]
fn what_a_plan_remembers_goes_through_both_halves_of_a_replacement() {
    let marked: Shape = |change| {
        if change.prior.is_some() {
            change.planned_private.set("was", json!("a"));
        }
    };
    let mut harness = Harness::new(probe(marked));
    harness.state = existing(json!({}));
    let first = harness.plan(&json!({ "name": "b" }));
    let config = existing(json!({
        "id": null, "revision": null, "name": "b", "zone": null, "size": null,
    }));
    let second = probe(marked).plan(PlanRequest {
        prior: Value::Null,
        config: config.clone(),
        proposed: config.clone(),
        prior_private: first.planned_private,
    });
    assert_eq!(second.planned_private.get("was"), Some(&json!("a")));

    // At apply the new object is planned once more, with nothing to remember; the same comes out.
    let last = probe(marked).plan(PlanRequest {
        prior: Value::Null,
        config: config.clone(),
        proposed: config,
        prior_private: Private::default(),
    });
    assert_eq!(last.planned, second.planned);
    assert_eq!(last.planned_private, Private::default());
}

#[test]
fn a_plan_that_terraform_would_reject_is_said_to_be_ours() {
    let rows: [(Shape, &str); 5] = [
        (
            |change| {
                let media = "tape".to_owned().into();
                let part = Part { media, size: 1.into(), serial: Attr::unknown() };
                let parts = BTreeMap::from([("x".to_owned(), part.into())]);
                change.planned.as_mut().unwrap().parts = parts.into();
            },
            r#"`parts["x"].media` is null in the configuration and planned to be something"#,
        ),
        (
            |change| change.planned.as_mut().unwrap().name = "other".to_owned().into(),
            "`name` is planned neither as configured nor as before",
        ),
        (
            |change| change.planned.as_mut().unwrap().secret = "s".to_owned().into(),
            "`secret` is write-only and planned",
        ),
        (
            |change| change.planned.as_mut().unwrap().disk = Part::default().into(),
            "`disk` is null in the configuration and planned to be something",
        ),
        (
            |change| change.planned.as_mut().unwrap().parts = BTreeMap::new().into(),
            "`parts` is planned with other elements than configured",
        ),
    ];
    let config = json!({ "name": "a", "secret": "s", "parts": { "x": {} } });
    for (shape, text) in rows {
        let response = planned(shape, None, &config);
        let diagnostic = response.diagnostics.iter().next().expect("a diagnostic");
        assert_eq!(diagnostic.summary, "Provider bug");
        assert!(diagnostic.detail.starts_with(text), "{}", diagnostic.detail);
    }
}
