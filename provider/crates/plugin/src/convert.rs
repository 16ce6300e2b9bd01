//! Value ↔ model: any type that serde can read and write.
//!
//! Errors say at which attribute. A field that the value does not have reads as null.

mod deserialize;
mod serialize;

use crate::path::AttributePath;
use crate::value::Value;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;

/// The model that a value holds.
///
/// # Errors
/// When it holds another type, with the attribute's path.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ConvertError> {
    T::deserialize(deserialize::ValueDeserializer(value))
}

/// The value that holds a model.
///
/// # Errors
/// When the model has what Terraform has no value for, such as a map whose keys are no texts.
pub fn to_value<T: Serialize + ?Sized>(model: &T) -> Result<Value, ConvertError> {
    model.serialize(serialize::ValueSerializer)
}

/// [`to_value`], in which every number that is the nearest floating-point number to the one at the
/// same place of `exact` is that one: Terraform's numbers have more digits than a model's `f64`, and
/// it takes the loss of one for another value.
///
/// # Errors
/// As [`to_value`].
pub(crate) fn to_value_as_exact<T: Serialize + ?Sized>(
    model: &T,
    exact: &Value,
) -> Result<Value, ConvertError> {
    let mut value = to_value(model)?;
    value.restore_digits(exact);
    Ok(value)
}

/// A value that does not fit a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvertError {
    /// Where.
    pub path: AttributePath,
    /// What is wrong there.
    pub message: String,
}

impl ConvertError {
    fn inside(mut self, step: crate::path::Step) -> Self {
        self.path.0.insert(0, step);
        self
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for ConvertError {}

impl serde::de::Error for ConvertError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: AttributePath::default(), message: message.to_string() }
    }
}

impl serde::ser::Error for ConvertError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: AttributePath::default(), message: message.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attr, Unknown};
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Model {
        name: Attr<String>,
        size: Attr<i64>,
        ratio: Attr<f64>,
        nested: Attr<Nested>,
        tags: Attr<BTreeMap<String, Attr<String>>>,
        list: Attr<Vec<Attr<bool>>>,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Nested {
        #[serde(rename = "type")]
        kind: Attr<String>,
    }

    #[test]
    fn a_model_survives_the_way_there_and_back() {
        let model = Model {
            name: Attr::unknown_with_prefix("a/"),
            size: Attr::Known(-7),
            ratio: Attr::Known(0.5),
            nested: Attr::Known(Nested { kind: Attr::Unknown(Unknown::default()) }),
            tags: Attr::Known(BTreeMap::from([("a".to_owned(), Attr::unknown())])),
            list: Attr::Known(vec![Attr::Known(true), Attr::Null]),
        };
        let value = to_value(&model).unwrap();
        assert_eq!(value.member("name"), &Value::Unknown(Unknown::with_prefix("a/")));
        assert_eq!(from_value::<Model>(value), Ok(model));
    }

    #[test]
    fn what_is_missing_is_null() {
        assert_eq!(from_value::<Model>(Value::Map(BTreeMap::new())), Ok(Model::default()));
    }

    #[test]
    fn an_error_says_where() {
        let nested = Value::Map(BTreeMap::from([("type".to_owned(), Value::Bool(true))]));
        let value = Value::Map(BTreeMap::from([("nested".to_owned(), nested)]));
        let error = from_value::<Model>(value).unwrap_err();
        assert_eq!(error.path.to_string(), "nested.type");
    }

    #[test]
    fn through_json_an_attribute_is_an_option() {
        let model: Model = serde_json::from_str(r#"{"name":"x","size":null,"ratio":1.5,"nested":{"type":"a"},"tags":null,"list":[true]}"#).unwrap();
        assert_eq!(model.name, Attr::Known("x".to_owned()));
        assert_eq!(model.list, Attr::Known(vec![Attr::Known(true)]));
        let json = serde_json::to_value(&model).unwrap();
        assert_eq!(json["nested"]["type"], "a");
        assert!(serde_json::to_value(Attr::<String>::unknown()).is_err());
    }
}
