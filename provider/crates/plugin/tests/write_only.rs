//! Write-only values go to the handler and nowhere else, however deep they are.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use plugin::testing::Harness;
use plugin::{
    Attr, Attribute, AttributeKind, Ctx, Diagnostics, DynResource, Mode, Nesting, Resource, Schema,
    State, Type, Value, from_value, resource,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Model {
    name: Attr<String>,
    secret: Attr<String>,
    login: Attr<Login>,
    logins: Attr<Vec<Attr<Login>>>,
    users: Attr<BTreeMap<String, Attr<Login>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Login {
    user: Attr<String>,
    secret: Attr<String>,
}

/// A resource that saves what it is given, with all secrets.
#[derive(Debug)]
struct Careless;

#[async_trait]
impl Resource for Careless {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "careless"
    }

    fn schema(&self) -> Schema {
        let text = || Attribute { description: "It.".to_owned(), ..Attribute::default() };
        let secret = || Attribute { write_only: true, ..text() };
        let nested = |nesting| {
            let login = [("user", text()), ("secret", secret())];
            let attributes = login.map(|(name, attribute)| (name.to_owned(), attribute)).into();
            Attribute { kind: AttributeKind::Nested { nesting, attributes }, ..text() }
        };
        let name =
            Attribute { mode: Mode::Required, kind: AttributeKind::Type(Type::String), ..text() };
        let attributes = [
            ("name", name),
            ("secret", secret()),
            ("login", nested(Nesting::Single)),
            ("logins", nested(Nesting::List)),
            ("users", nested(Nesting::Map)),
        ];
        Schema {
            attributes: attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into(),
            ..Schema::default()
        }
    }

    async fn create(
        &self,
        ctx: &Ctx,
        _: Model,
        state: &mut State<Model>,
    ) -> Result<(), Diagnostics> {
        let written: Model = from_value(ctx.config.clone()).unwrap();
        state.save(&written);
        Ok(())
    }

    async fn read(&self, _: &Ctx, state: &mut State<Model>) -> Result<(), Diagnostics> {
        let mut users = BTreeMap::new();
        users.insert("secret".to_owned(), login().into());
        state.save(&Model { users: users.into(), ..state.get().unwrap().clone() });
        Ok(())
    }

    async fn update(
        &self,
        ctx: &Ctx,
        _: Model,
        planned: Model,
        state: &mut State<Model>,
    ) -> Result<(), Diagnostics> {
        self.create(ctx, planned, state).await
    }

    async fn delete(&self, _: &Ctx, _: &mut State<Model>) -> Result<(), Diagnostics> {
        Ok(())
    }
}

fn login() -> Login {
    Login { user: "u".to_owned().into(), secret: "hidden".to_owned().into() }
}

fn careless() -> Box<dyn DynResource> {
    resource(Careless)
}

/// Two keys are named as attributes are.
fn configuration(secret: &str) -> serde_json::Value {
    let login = json!({ "user": "u", "secret": secret });
    json!({
        "name": "a",
        "secret": secret,
        "login": login,
        "logins": [login, login],
        "users": { "secret": login, "user": login, "x": login },
    })
}

#[tokio::test]
async fn they_are_in_no_plan_and_in_no_state() {
    assert_eq!(careless().schema().problems(), Vec::<String>::new());
    let mut harness = Harness::new(careless());
    let config = configuration("hidden");
    let without = {
        let login = json!({ "user": "u", "secret": null });
        Value::from_json(&json!({
            "name": "a",
            "secret": null,
            "login": login,
            "logins": [login, login],
            "users": { "secret": login, "user": login, "x": login },
        }))
    };
    assert_eq!(harness.plan(&config).planned, without);
    let diagnostics = harness.apply(&config).await;
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!(harness.state, without, "what a handler saves goes through the same");

    let diagnostics = harness.refresh().await;
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let login = json!({ "user": "u", "secret": null });
    let users = Value::from_json(&json!({ "secret": login }));
    assert_eq!(harness.state.member("users"), &users);
}

#[test]
fn a_terraform_without_them_is_told_where_each_is() {
    let mut config = Value::from_json(&configuration("hidden"));
    careless().schema().conform(&mut config);
    let refused = careless().validate(&config, false);
    let paths: Vec<String> =
        refused.iter().map(|it| it.attribute.as_ref().unwrap().to_string()).collect();
    assert_eq!(
        paths,
        [
            "login.secret",
            "logins[0].secret",
            "logins[1].secret",
            "secret",
            r#"users["secret"].secret"#,
            r#"users["user"].secret"#,
            r#"users["x"].secret"#,
        ]
    );
    assert!(!format!("{refused:?}").contains("hidden"));
    assert!(careless().validate(&config, true).is_empty());
}
