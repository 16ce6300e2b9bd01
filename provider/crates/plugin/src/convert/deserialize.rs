//! Value → model.

use super::ConvertError;
use crate::attr;
use crate::path::Step;
use crate::value::Value;
use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

pub(super) struct ValueDeserializer(pub(super) Value);

impl<'de> Deserializer<'de> for ValueDeserializer {
    type Error = ConvertError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Unknown(_) => Err(ConvertError::custom("the value is not known yet")),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => visitor.visit_i64(integer),
                (None, Some(integer)) => visitor.visit_u64(integer),
                (None, None) => visitor.visit_f64(number.as_f64()),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::List(elements) => {
                visitor.visit_seq(Elements { index: 0, elements: elements.into_iter() })
            }
            Value::Map(members) => {
                visitor.visit_map(Members { members: members.into_iter(), value: None })
            }
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        match self.0 {
            Value::Number(number) => visitor.visit_f64(number.as_f64()),
            other => ValueDeserializer(other).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        if name != attr::NAME {
            return visitor.visit_newtype_struct(self);
        }
        match self.0 {
            Value::Null => visitor.visit_none(),
            Value::Unknown(_) => visitor.visit_byte_buf(crate::msgpack::encode(&self.0)),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        let Value::Map(mut members) = self.0 else { return self.deserialize_any(visitor) };
        for field in fields {
            members.entry((*field).to_owned()).or_default();
        }
        ValueDeserializer(Value::Map(members)).deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(Variant(text)),
            _ => Err(ConvertError::custom("expected a word")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements {
    index: usize,
    elements: std::vec::IntoIter<Value>,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = ConvertError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ConvertError> {
        let Some(element) = self.elements.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let read = seed.deserialize(ValueDeserializer(element));
        read.map(Some).map_err(|error| error.inside(Step::Index(index)))
    }
}

struct Members {
    members: std::collections::btree_map::IntoIter<String, Value>,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = ConvertError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ConvertError> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        let key = seed.deserialize(StrDeserializer::<ConvertError>::new(&name))?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, ConvertError> {
        let (name, value) =
            self.value.take().ok_or_else(|| ConvertError::custom("a value without a key"))?;
        let read = seed.deserialize(ValueDeserializer(value));
        read.map_err(|error| error.inside(Step::Attribute(name)))
    }
}

struct Variant(String);

impl<'de> EnumAccess<'de> for Variant {
    type Error = ConvertError;
    type Variant = UnitOnly;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, UnitOnly), ConvertError> {
        let variant = seed.deserialize(StringDeserializer::<ConvertError>::new(self.0))?;
        Ok((variant, UnitOnly))
    }
}

/// Terraform has words, but no values that are one of several shapes.
struct UnitOnly;

impl<'de> serde::de::VariantAccess<'de> for UnitOnly {
    type Error = ConvertError;

    fn unit_variant(self) -> Result<(), ConvertError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, ConvertError> {
        Err(ConvertError::custom("a word has no content"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ConvertError> {
        Err(ConvertError::custom("a word has no content"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ConvertError> {
        Err(ConvertError::custom("a word has no content"))
    }
}
