//! One text for one value, whoever writes it and whenever.

use serde_json::Value;
use std::collections::BTreeMap;

/// JSON with sorted keys and no blanks. `serde_json` keeps keys sorted or in order of insertion as
/// some other crate of the build wishes, and a digest must not depend on that.
pub(crate) fn write_canonical(value: &Value, text: &mut String) {
    let quoted = |key: &str| Value::from(key).to_string();
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            text.push('{');
            for (index, (key, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&quoted(key));
                text.push(':');
                write_canonical(member, text);
            }
            text.push('}');
        }
        Value::Array(elements) => {
            text.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(element, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}
