//! A state that an older release wrote: version 0 had `size_mb`, version 1 has `size` in GB.

use async_trait::async_trait;
use plugin::{
    Attr, Attribute, AttributeKind, Ctx, Diagnostic, Diagnostics, Mode, Resource, Schema, State,
    Type, resource,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug)]
struct BucketResource;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bucket {
    name: Attr<String>,
    size: Attr<i64>,
    /// New in version 1, and in no older state.
    owner: Attr<String>,
}

#[async_trait]
impl Resource for BucketResource {
    type Model = Bucket;

    fn type_name(&self) -> &'static str {
        "example_bucket"
    }

    fn schema(&self) -> Schema {
        let attribute = |mode, kind| Attribute {
            mode,
            kind: AttributeKind::Type(kind),
            ..Attribute::default()
        };
        let attributes = [
            ("name", attribute(Mode::Required, Type::String)),
            ("size", attribute(Mode::Required, Type::Number)),
            ("owner", attribute(Mode::Optional, Type::String)),
        ];
        Schema {
            version: 1,
            description: "A bucket.".to_owned(),
            attributes: attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into(),
        }
    }

    fn upgrade(
        &self,
        from_version: i64,
        mut state: serde_json::Value,
    ) -> Result<serde_json::Value, Diagnostics> {
        let fail = |text: &str| Diagnostics::from(Diagnostic::error("Unreadable state", text));
        if from_version != 0 {
            return Err(fail("It is of a version that this release does not know."));
        }
        let members = state.as_object_mut().ok_or_else(|| fail("It is no object."))?;
        let megabytes = members.remove("size_mb").and_then(|size| size.as_i64());
        let megabytes = megabytes.ok_or_else(|| fail("It has no `size_mb`."))?;
        members.insert("size".to_owned(), json!(megabytes / 1024));
        Ok(state)
    }

    async fn create(
        &self,
        _: &Ctx,
        planned: Bucket,
        state: &mut State<Bucket>,
    ) -> Result<(), Diagnostics> {
        state.save(&planned);
        Ok(())
    }

    async fn read(&self, _: &Ctx, _: &mut State<Bucket>) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn update(
        &self,
        _: &Ctx,
        _: Bucket,
        planned: Bucket,
        state: &mut State<Bucket>,
    ) -> Result<(), Diagnostics> {
        state.save(&planned);
        Ok(())
    }

    async fn delete(&self, _: &Ctx, _: &mut State<Bucket>) -> Result<(), Diagnostics> {
        Ok(())
    }
}

#[test]
fn a_state_of_before_is_read() {
    let upgrade = |version, state| resource(BucketResource).upgrade(version, state);
    let now = json!({ "name": "b", "size": 4, "owner": null });
    let of_before = upgrade(0, json!({ "name": "b", "size_mb": 4096 })).unwrap();
    assert_eq!(of_before.to_json().unwrap(), now);
    // One of today is taken as it is, and what it lacks is null.
    let of_today = upgrade(1, json!({ "name": "b", "size": 4 })).unwrap();
    assert_eq!(of_today.to_json().unwrap(), now);

    let errors = [
        upgrade(0, json!({ "name": "b" })),
        upgrade(0, json!([])),
        upgrade(2, json!({ "name": "b", "size": 4 })),
    ]
    .map(|result| result.unwrap_err().iter().next().unwrap().detail.clone());
    assert_eq!(
        errors,
        [
            "It has no `size_mb`.",
            "It is no object.",
            "It is of a version that this release does not know.",
        ]
    );
}
