//! Values of Terraform's type system, as a tree.
//!
//! The tree knows no schema: a list, a set and a tuple look alike, as do a map and an object.

use serde_json::Value as Json;
use std::{cmp::Ordering, collections::BTreeMap, fmt};

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Given by nobody.
    #[default]
    Null,
    /// Known only after the apply.
    Unknown(Unknown),
    /// True or false.
    Bool(bool),
    /// A number of any size and precision.
    Number(Number),
    /// A text.
    String(String),
    /// The elements of a list, a set or a tuple.
    List(Vec<Value>),
    /// The elements of a map, or the attributes of an object.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Whether anything in it, at any depth, is unknown.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::List(elements) => elements.iter().any(Self::has_unknown),
            Self::Map(elements) => elements.values().any(Self::has_unknown),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => false,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// An attribute of an object; null when it is no object or has no such attribute.
    pub fn member(&self, name: &str) -> &Value {
        match self {
            Self::Map(members) => members.get(name).unwrap_or(&Self::Null),
            _ => &Self::Null,
        }
    }

    /// Gives numbers back the digits that a floating-point number has no room for: each that is the
    /// nearest to the one at the same place of `exact` becomes that one.
    pub(crate) fn restore_digits(&mut self, exact: &Self) {
        match (self, exact) {
            (Self::Number(number), Self::Number(exact)) if number.rounded() == exact.rounded() => {
                *number = exact.clone();
            }
            (Self::List(elements), Self::List(exact)) => {
                for (element, exact) in elements.iter_mut().zip(exact) {
                    element.restore_digits(exact);
                }
            }
            (Self::Map(members), Self::Map(exact)) => {
                for (name, member) in members {
                    member.restore_digits(exact.get(name).unwrap_or(&Self::Null));
                }
            }
            _ => {}
        }
    }

    /// The value that a JSON document holds; numbers stay exact.
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(Number::from_decimal(&number.to_string())),
            Json::String(text) => Self::String(text.clone()),
            Json::Array(elements) => Self::List(elements.iter().map(Self::from_json).collect()),
            Json::Object(members) => Self::Map(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// The JSON document that holds this value.
    ///
    /// # Errors
    /// When something in it is unknown: JSON has no word for that.
    pub fn to_json(&self) -> Result<Json, HasUnknown> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Unknown(_) => return Err(HasUnknown),
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(number) => number.to_json(),
            Self::String(text) => Json::String(text.clone()),
            Self::List(elements) => {
                Json::Array(elements.iter().map(Self::to_json).collect::<Result<_, _>>()?)
            }
            Self::Map(members) => Json::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), value.to_json()?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

/// A value that is partly unknown has no JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not wholly known")]
pub struct HasUnknown;

/// What is known of an unknown value. What is promised here, the later value must keep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unknown {
    /// It will not be null.
    pub not_null: bool,
    /// A text that it begins with.
    pub prefix: Option<String>,
    /// The least number, and whether it may be that.
    pub minimum: Option<(Number, bool)>,
    /// The greatest number, and whether it may be that.
    pub maximum: Option<(Number, bool)>,
    /// The fewest elements.
    pub minimum_length: Option<i64>,
    /// The most elements.
    pub maximum_length: Option<i64>,
}

impl Unknown {
    /// Nothing is known of it but the text that it begins with.
    pub fn with_prefix(prefix: impl Into<String>) -> Self {
        Self { not_null: true, prefix: Some(prefix.into()), ..Self::default() }
    }
}

/// A number of any size and precision, as its shortest decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number(String);

impl Number {
    /// The number that a decimal text names. Exponents are written out.
    pub fn from_decimal(text: &str) -> Self {
        Self(canonical(text).unwrap_or_else(|| text.to_owned()))
    }

    /// It as an integer, if it is one of this size.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// It as an unsigned integer, if it is one of this size.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// It as the nearest floating-point number.
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// What is left of it in a floating-point number. Integers that fit 64 bits do not become one.
    fn rounded(&self) -> Self {
        if self.as_i64().is_some() || self.as_u64().is_some() {
            return self.clone();
        }
        Self::from(self.as_f64())
    }

    /// Its decimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a whole number.
    pub fn is_integer(&self) -> bool {
        !self.0.contains('.') && self.as_f64().is_finite()
    }

    /// The JSON number, with every digit.
    pub fn to_json(&self) -> Json {
        self.0.parse::<serde_json::Number>().map_or(Json::Null, Json::Number)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self == other {
            return Some(Ordering::Equal);
        }
        self.as_f64().partial_cmp(&other.as_f64())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value.to_string())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        // Rust writes a float with the fewest digits that name it, and without an exponent.
        Self::from_decimal(&value.to_string())
    }
}

/// Sign, digits without leading zeros, fraction without trailing zeros; `inf` and the like are left.
fn canonical(text: &str) -> Option<String> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    if exponent.unsigned_abs() > 10_000 {
        return None;
    }
    let mut digits = format!("{whole}{fraction}");
    let mut point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    if point < 0 {
        digits.insert_str(0, &"0".repeat(usize::try_from(-point).ok()?));
        point = 0;
    }
    let point = usize::try_from(point).ok()?;
    if digits.len() < point {
        digits.push_str(&"0".repeat(point - digits.len()));
    }
    let (whole, fraction) = digits.split_at(point);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    Some(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_one_text() {
        for (given, text) in [
            ("1", "1"),
            ("1.0", "1"),
            ("-0", "0"),
            ("+7", "7"),
            ("007.500", "7.5"),
            ("1e3", "1000"),
            ("1.25E-3", "0.00125"),
            ("0.1", "0.1"),
            ("12345678901234567890.123", "12345678901234567890.123"),
            ("inf", "inf"),
        ] {
            assert_eq!(Number::from_decimal(given).as_str(), text, "{given}");
        }
        assert_eq!(Number::from(0.1), Number::from_decimal("0.1"));
        assert_eq!(Number::from(1e21).as_str(), "1000000000000000000000");
        assert_eq!(Number::from(-3_i64).as_i64(), Some(-3));
        assert_eq!(Number::from_decimal("1.5").as_i64(), None);
    }

    #[test]
    fn digits_come_back_where_nothing_but_digits_was_lost() {
        let third = Number::from_decimal("3.33333333333333333333333333333333333");
        let (exact, rounded) = (Value::Number(third.clone()), Value::from_json(&json!(10.0 / 3.0)));
        let object = |value: &Value| {
            let list = Value::List(vec![Value::Null, value.clone()]);
            Value::Map(BTreeMap::from([("target".to_owned(), list)]))
        };
        for (value, exact, result) in [
            (&rounded, &exact, &exact),
            (&exact, &rounded, &rounded),
            (&Value::from_json(&json!(3.3)), &exact, &Value::from_json(&json!(3.3))),
            (&Value::Null, &exact, &Value::Null),
            (
                &Value::Number(Number::from(i64::MAX)),
                &Value::Number(Number::from(i64::MAX - 1)),
                &Value::Number(Number::from(i64::MAX)),
            ),
        ] {
            let mut restored = object(value);
            restored.restore_digits(&object(exact));
            assert_eq!(restored, object(result), "{value:?} {exact:?}");
        }
    }
}
