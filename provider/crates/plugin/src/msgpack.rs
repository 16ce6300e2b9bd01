//! Values on the wire: MessagePack, with unknown values as extensions.
//!
//! Extension 0 is an unknown value, extension 12 one of which something is known; any other counts
//! as unknown too, so that a newer Terraform can say more than we understand.

use crate::value::{Number, Unknown, Value};
use rmpv::Value as Pack;

const REFINED: i8 = 12;

/// Terraform refuses a longer one. In bytes.
const LONGEST_PREFIX: usize = 256;

/// Bytes → value.
///
/// # Errors
/// When the bytes are no MessagePack, or hold what Terraform has no value for.
pub(crate) fn decode(mut bytes: &[u8]) -> Result<Value, DecodeError> {
    let pack =
        rmpv::decode::read_value(&mut bytes).map_err(|error| DecodeError(error.to_string()))?;
    if !bytes.is_empty() {
        return Err(DecodeError(format!("{} bytes after the value", bytes.len())));
    }
    from_pack(pack)
}

/// Value → bytes.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &to_pack(value)).expect("writing to memory cannot fail");
    bytes
}

/// Bytes that are no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a MessagePack value: {0}")]
pub(crate) struct DecodeError(String);

fn from_pack(pack: Pack) -> Result<Value, DecodeError> {
    Ok(match pack {
        Pack::Nil => Value::Null,
        Pack::Boolean(value) => Value::Bool(value),
        Pack::Integer(number) => Value::Number(Number::from_decimal(&number.to_string())),
        Pack::F32(number) => Value::Number(Number::from(f64::from(number))),
        Pack::F64(number) => Value::Number(Number::from(number)),
        Pack::String(text) => Value::String(text_of(text)?),
        // The one place for binary is the type in a dynamic value's pair.
        Pack::Binary(bytes) => Value::String(
            String::from_utf8(bytes).map_err(|_| DecodeError("binary data".to_owned()))?,
        ),
        Pack::Array(elements) => {
            Value::List(elements.into_iter().map(from_pack).collect::<Result<_, _>>()?)
        }
        Pack::Map(members) => Value::Map(
            members
                .into_iter()
                .map(|(name, value)| match name {
                    Pack::String(name) => Ok((text_of(name)?, from_pack(value)?)),
                    other => Err(DecodeError(format!("a key that is no text: {other}"))),
                })
                .collect::<Result<_, _>>()?,
        ),
        Pack::Ext(REFINED, payload) => Value::Unknown(refinement(&payload)),
        Pack::Ext(..) => Value::Unknown(Unknown::default()),
    })
}

fn text_of(text: rmpv::Utf8String) -> Result<String, DecodeError> {
    text.into_str().ok_or_else(|| DecodeError("a text that is not UTF-8".to_owned()))
}

/// What does not make sense in a refinement is left out: less is known then, and nothing wrong.
fn refinement(mut payload: &[u8]) -> Unknown {
    let mut unknown = Unknown::default();
    let Ok(Pack::Map(entries)) = rmpv::decode::read_value(&mut payload) else { return unknown };
    for (key, value) in entries {
        match (key.as_i64(), value) {
            (Some(1), Pack::Boolean(nullable)) => unknown.not_null = !nullable,
            (Some(2), Pack::String(prefix)) => unknown.prefix = prefix.into_str(),
            (Some(3), value) => unknown.minimum = bound(value),
            (Some(4), value) => unknown.maximum = bound(value),
            (Some(5), value) => unknown.minimum_length = value.as_i64(),
            (Some(6), value) => unknown.maximum_length = value.as_i64(),
            _ => {}
        }
    }
    unknown
}

fn bound(value: Pack) -> Option<(Number, bool)> {
    let Pack::Array(pair) = value else { return None };
    let [number, Pack::Boolean(inclusive)] = <[Pack; 2]>::try_from(pair).ok()? else { return None };
    match from_pack(number).ok()? {
        Value::Number(number) => Some((number, inclusive)),
        Value::String(text) => Some((Number::from_decimal(&text), inclusive)),
        _ => None,
    }
}

fn to_pack(value: &Value) -> Pack {
    match value {
        Value::Null => Pack::Nil,
        Value::Unknown(unknown) => unknown_to_pack(unknown),
        Value::Bool(value) => Pack::Boolean(*value),
        Value::Number(number) => number_to_pack(number),
        Value::String(text) => Pack::from(text.as_str()),
        Value::List(elements) => Pack::Array(elements.iter().map(to_pack).collect()),
        Value::Map(members) => Pack::Map(
            members
                .iter()
                .map(|(name, value)| (Pack::from(name.as_str()), to_pack(value)))
                .collect(),
        ),
    }
}

/// An integer where it fits, else the decimal text, which is always exact.
fn number_to_pack(number: &Number) -> Pack {
    if let Some(integer) = number.as_i64() {
        return Pack::from(integer);
    }
    let float = number.as_f64();
    if float.is_infinite() { Pack::F64(float) } else { Pack::from(number.as_str()) }
}

fn unknown_to_pack(unknown: &Unknown) -> Pack {
    let mut entries = Vec::new();
    let mut entry = |key: i64, value: Pack| entries.push((Pack::from(key), value));
    if unknown.not_null {
        entry(1, Pack::Boolean(false));
    }
    if let Some(prefix) = &unknown.prefix {
        // A part of what is promised is promised as well.
        entry(2, Pack::from(&prefix[..prefix.floor_char_boundary(LONGEST_PREFIX)]));
    }
    for (key, bound) in [(3, &unknown.minimum), (4, &unknown.maximum)] {
        if let Some((number, inclusive)) = bound {
            entry(key, Pack::Array(vec![number_to_pack(number), Pack::Boolean(*inclusive)]));
        }
    }
    for (key, length) in [(5, unknown.minimum_length), (6, unknown.maximum_length)] {
        if let Some(length) = length {
            entry(key, Pack::from(length));
        }
    }
    if entries.is_empty() {
        return Pack::Ext(0, vec![0]);
    }
    let mut payload = Vec::new();
    rmpv::encode::write_value(&mut payload, &Pack::Map(entries))
        .expect("writing to memory cannot fail");
    Pack::Ext(REFINED, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let unknown =
            (any::<bool>(), proptest::option::of(".{1,8}"), proptest::option::of(0_i64..9))
                .prop_map(|(not_null, prefix, minimum_length)| {
                    Value::Unknown(Unknown {
                        not_null,
                        prefix,
                        minimum_length,
                        ..Unknown::default()
                    })
                });
        let leaf = prop_oneof![
            Just(Value::Null),
            unknown,
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|number| Value::Number(number.into())),
            ".*".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                proptest::collection::btree_map(".*", inner, 0..6).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(value in values()) {
            prop_assert_eq!(decode(&encode(&value)), Ok(value));
        }

        /// What is no integer travels as its decimal text; the schema makes it a number again.
        #[test]
        fn decimals_keep_every_digit(text in "-?[1-9][0-9]{0,40}\\.[0-9]{0,20}[1-9]") {
            let number = Value::Number(Number::from_decimal(&text));
            prop_assert_eq!(decode(&encode(&number)), Ok(Value::String(text)));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn the_wire_forms_are_those_of_the_protocol() {
        assert_eq!(encode(&Value::Unknown(Unknown::default())), [0xd4, 0, 0]);
        assert_eq!(encode(&Value::Number(Number::from(0.1))), [0xa3, b'0', b'.', b'1']);
        assert_eq!(decode(&[0xd4, 99, 7]), Ok(Value::Unknown(Unknown::default())));
        let prefix = Value::Unknown(Unknown::with_prefix("a/"));
        assert_eq!(encode(&prefix), [0xc7, 7, 12, 0x82, 1, 0xc2, 2, 0xa2, b'a', b'/']);
        assert_eq!(
            decode(&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
            Ok(Value::Number(Number::from(1.5)))
        );
    }
}
