//! The `timeouts` attribute: by convention an object of Go durations.

use crate::ctx::Timeouts;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::AttributePath;
use crate::value::Value;
use std::time::Duration;

const ATTRIBUTE: &str = "timeouts";
const OPERATIONS: [&str; 4] = ["create", "read", "update", "delete"];

/// What is wrong with the given timeouts.
pub(crate) fn validate(config: &Value) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    for operation in OPERATIONS {
        if let Value::String(text) = config.member(ATTRIBUTE).member(operation)
            && parse(text).is_none()
        {
            diagnostics.push(
                Diagnostic::error(
                    "Timeout cannot be parsed",
                    format!(
                        "`{}` is not a duration of more than nothing, as in `45m` or `1h30m`.",
                        text.escape_debug().take(60).collect::<String>()
                    ),
                )
                .at(AttributePath::root(ATTRIBUTE).attribute(operation)),
            );
        }
    }
    diagnostics
}

/// The timeouts of an object: its own where it has them, else the resource's.
pub(crate) fn of(object: &Value, defaults: Timeouts) -> Timeouts {
    let pick = |operation: &str, default| match object.member(ATTRIBUTE).member(operation) {
        Value::String(text) => parse(text).unwrap_or(default),
        _ => default,
    };
    Timeouts {
        create: pick("create", defaults.create),
        read: pick("read", defaults.read),
        update: pick("update", defaults.update),
        delete: pick("delete", defaults.delete),
    }
}

/// A duration as Go writes it.
fn parse(text: &str) -> Option<Duration> {
    // What is read also knows words, signs, spaces and ISO 8601.
    let mut chars = text.chars();
    let begins_well = chars.next().is_some_and(|first| first.is_ascii_digit());
    if !begins_well || !chars.all(|c| c.is_ascii_digit() || ".hmsuµμn".contains(c)) {
        return None;
    }
    let duration: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, seconds) in [("45m", 2700), ("1h30m", 5400), ("1.5h", 5400), ("90s", 90)] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0s", "10", "-1m", "1 m", "30min", "1d", "PT1H", "soon"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
