//! One attribute of a model: known, null or unknown.

use crate::value::Unknown;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};
use serde::ser::{Error as _, Serialize, Serializer};
use std::{borrow::Cow, fmt, marker::PhantomData};

/// An attribute's value in a model. Through JSON it is an `Option`; only this crate's own
/// conversion from and to [`Value`](crate::Value) can carry the unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Attr<T> {
    /// A value.
    Known(T),
    /// Given by nobody.
    #[default]
    Null,
    /// Known only after the apply.
    Unknown(Unknown),
}

impl<T> Attr<T> {
    /// Unknown, and nothing more is known of it.
    pub fn unknown() -> Self {
        Self::Unknown(Unknown::default())
    }

    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown(_) => None,
        }
    }

    /// The value, if it is known.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown(_) => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl Attr<String> {
    /// Unknown, but for the text that it begins with.
    pub fn unknown_with_prefix(prefix: impl Into<String>) -> Self {
        Self::Unknown(Unknown::with_prefix(prefix))
    }

    /// The text, if it is known.
    pub fn as_str(&self) -> Option<&str> {
        self.known().map(String::as_str)
    }
}

impl<T> From<T> for Attr<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T> From<Option<T>> for Attr<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Known)
    }
}

/// The newtype name by which this crate's serializer and deserializer know an attribute.
pub(crate) const NAME: &str = "$plugin::Attr";

/// The newtype name under which an unknown value travels inside an attribute.
pub(crate) const UNKNOWN: &str = "$plugin::Unknown";

impl<T: Serialize> Serialize for Attr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => serializer.serialize_some(value),
            Self::Null => serializer.serialize_none(),
            Self::Unknown(unknown) => {
                let packed = crate::msgpack::encode(&crate::Value::Unknown(unknown.clone()));
                serializer.serialize_newtype_struct(UNKNOWN, &Packed(&packed))
            }
        }
    }
}

/// An unknown value's bytes: our serializer takes them, any other refuses.
struct Packed<'a>(&'a [u8]);

impl Serialize for Packed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Err(S::Error::custom("an unknown value has no form here"));
        }
        serializer.serialize_bytes(self.0)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Attr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, AttrVisitor(PhantomData))
    }
}

struct AttrVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for AttrVisitor<T> {
    type Value = Attr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute")
    }

    fn visit_none<E>(self) -> Result<Attr<T>, E> {
        Ok(Attr::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Attr<T>, D::Error> {
        T::deserialize(deserializer).map(Attr::Known)
    }

    /// What our deserializer gives for an unknown value: its bytes.
    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Attr<T>, E> {
        match crate::msgpack::decode(&bytes) {
            Ok(crate::Value::Unknown(unknown)) => Ok(Attr::Unknown(unknown)),
            _ => Err(E::custom("bytes that are no unknown value")),
        }
    }

    /// What every other deserializer gives for a newtype.
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Attr<T>, D::Error> {
        Option::<T>::deserialize(deserializer).map(Attr::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attr<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Err(A::Error::custom("a map where an attribute was expected"))
    }
}

impl<T: JsonSchema> JsonSchema for Attr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
