//! What a resource remembers beside its state. The user never sees it.

use serde_json::{Map, Value};

const IMPORTED: &str = ".imported";

/// Terraform looks once at what it has imported, in the same run.
const READS_WITH_IMPORT: u64 = 1;

/// A small store of names and JSON values that is kept with the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Private(Map<String, Value>);

impl Private {
    /// A value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Sets a value. Names that begin with a full stop are this crate's own.
    pub fn set(&mut self, name: &str, value: Value) {
        debug_assert!(!name.starts_with('.'), "`{name}` is a reserved name");
        self.0.insert(name.to_owned(), value);
    }

    /// Removes a value.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Marks a state that an import has just found. What is null in it need not be null in the
    /// world, so nothing is replaced because of it.
    pub(crate) fn mark_imported(&mut self) {
        self.0.insert(IMPORTED.to_owned(), Value::from(READS_WITH_IMPORT));
    }

    /// Whether this run has imported the object.
    pub(crate) fn is_imported(&self) -> bool {
        self.0.contains_key(IMPORTED)
    }

    /// Counts a look. The first belongs to the import; from the second on it is an object like any
    /// other.
    pub(crate) fn count_read(&mut self) {
        match self.0.get(IMPORTED).and_then(Value::as_u64) {
            Some(left) if left > 0 => self.0.insert(IMPORTED.to_owned(), Value::from(left - 1)),
            _ => self.0.remove(IMPORTED),
        };
    }

    /// The object was made or changed as configured.
    pub(crate) fn forget_import(&mut self) {
        self.0.remove(IMPORTED);
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
