//! A resource with attributes of every mode, at every depth.

use async_trait::async_trait;
use plugin::{
    Attr, Attribute, AttributeKind, Change, Ctx, Diagnostics, DynResource, Mode, Nesting,
    PlanModifier, Resource, Schema, State, Type, Value, resource,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) id: Attr<String>,
    pub(crate) revision: Attr<String>,
    pub(crate) name: Attr<String>,
    pub(crate) zone: Attr<String>,
    pub(crate) kind: Attr<String>,
    pub(crate) size: Attr<i64>,
    pub(crate) secret: Attr<String>,
    pub(crate) disk: Attr<Part>,
    pub(crate) parts: Attr<BTreeMap<String, Attr<Part>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) size: Attr<i64>,
    pub(crate) serial: Attr<String>,
    pub(crate) media: Attr<String>,
}

pub(crate) type Shape = fn(&mut Change<Model>);

/// A resource whose own part of the plan is the test's.
#[derive(Debug)]
struct Probe {
    shape: Shape,
}

#[async_trait]
impl Resource for Probe {
    type Model = Model;

    fn type_name(&self) -> &'static str {
        "probe"
    }

    fn schema(&self) -> Schema {
        let number = || AttributeKind::Type(Type::Number);
        let of = |mode, modifiers: &[PlanModifier]| Attribute {
            mode,
            modifiers: modifiers.to_vec(),
            description: "It.".to_owned(),
            ..Attribute::default()
        };
        let sized = |default: i64| Attribute {
            kind: number(),
            default: Some(Value::Number(default.into())),
            ..of(Mode::OptionalComputed, &[])
        };
        let part = BTreeMap::from([
            ("size".to_owned(), sized(1)),
            ("serial".to_owned(), of(Mode::Computed, &[])),
            ("media".to_owned(), of(Mode::Optional, &[PlanModifier::RequiresReplace])),
        ]);
        let nested = |nesting| Attribute {
            kind: AttributeKind::Nested { nesting, attributes: part.clone() },
            ..of(Mode::Optional, &[])
        };
        let attributes = [
            ("id", of(Mode::Computed, &[PlanModifier::UseStateForUnknown])),
            ("revision", of(Mode::Computed, &[])),
            ("name", of(Mode::Required, &[PlanModifier::RequiresReplace])),
            ("zone", of(Mode::OptionalComputed, &[PlanModifier::RequiresReplace])),
            (
                "kind",
                Attribute {
                    default: Some(Value::String("plain".to_owned())),
                    ..of(Mode::OptionalComputed, &[PlanModifier::RequiresReplace])
                },
            ),
            ("size", sized(10)),
            ("secret", Attribute { write_only: true, ..of(Mode::Optional, &[]) }),
            ("disk", nested(Nesting::Single)),
            ("parts", nested(Nesting::Map)),
        ];
        Schema {
            attributes: attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into(),
            ..Schema::default()
        }
    }

    fn plan(&self, change: &mut Change<Model>) -> Diagnostics {
        (self.shape)(change);
        Diagnostics::default()
    }

    async fn create(
        &self,
        _: &Ctx,
        planned: Model,
        state: &mut State<Model>,
    ) -> Result<(), Diagnostics> {
        state.save(&planned);
        Ok(())
    }

    async fn read(&self, _: &Ctx, _: &mut State<Model>) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn update(
        &self,
        _: &Ctx,
        _: Model,
        planned: Model,
        state: &mut State<Model>,
    ) -> Result<(), Diagnostics> {
        state.save(&planned);
        Ok(())
    }

    async fn delete(&self, _: &Ctx, _: &mut State<Model>) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn import(&self, _: &Ctx, id: &str, state: &mut State<Model>) -> Result<(), Diagnostics> {
        let known = |text: &str| Attr::Known(text.to_owned());
        let (name, kind) = (known("found"), known("plain"));
        state.save(&Model { id: known(id), name, kind, ..Model::default() });
        Ok(())
    }
}

/// One whose own part is this.
pub(crate) fn probe(shape: Shape) -> Box<dyn DynResource> {
    resource(Probe { shape })
}
