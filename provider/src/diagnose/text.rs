//! Pieces that all texts are made of.

use plugin::{AttributePath, Diagnostic};

pub(super) fn at(mut diagnostic: Diagnostic, attribute: Option<AttributePath>) -> Diagnostic {
    diagnostic.attribute = attribute;
    diagnostic
}

pub(super) fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("  - {item}")).collect::<Vec<_>>().join("\n")
}

pub(super) fn indented(lines: &[String]) -> String {
    if lines.is_empty() {
        return "  (it printed nothing)".to_owned();
    }
    lines.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
