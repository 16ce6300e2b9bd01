//! What a resource remembers beside its state. The user never sees it.

use serde_json::{Map, Value};

/// A small store of names and JSON values that is kept with the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Private(Map<String, Value>);

impl Private {
    /// A value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Sets a value.
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// Removes a value.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Bytes that are not ours are nothing: a state that another provider wrote has them.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self(serde_json::from_slice(bytes).unwrap_or_default())
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        serde_json::to_vec(&self.0).expect("a JSON map is writable")
    }
}
