//! The rules that Terraform has for schemas themselves: breaking one makes the whole provider
//! unusable, so a unit test of every provider asks here.

use super::{Attribute, AttributeKind, Mode, PlanModifier, Schema, Type};
use std::collections::BTreeMap;

/// Names that Terraform keeps for itself at the root of a resource.
const RESERVED: [&str; 7] =
    ["connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioner"];

impl Schema {
    /// Every rule that the schema breaks.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for name in self.attributes.keys() {
            if RESERVED.contains(&name.as_str()) {
                problems.push(format!("`{name}` is a reserved name"));
            }
        }
        check(&self.attributes, "", false, &mut problems);
        problems
    }
}

fn check(
    attributes: &BTreeMap<String, Attribute>,
    above: &str,
    in_set: bool,
    problems: &mut Vec<String>,
) {
    for (name, attribute) in attributes {
        let path = format!("{above}{name}");
        let mut chars = name.chars();
        let starts_well = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
        if !starts_well || !chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            problems.push(format!("`{path}` is no attribute name"));
        }
        if attribute.description.is_empty() {
            problems.push(format!("`{path}` has no description"));
        }
        if attribute.default.is_some() && attribute.mode != Mode::OptionalComputed {
            problems.push(format!("`{path}` has a default and is not optional and computed"));
        }
        if attribute.write_only && (attribute.mode.is_computed() || in_set) {
            problems.push(format!("`{path}` is write-only, and computed or in a set"));
        }
        if in_set && attribute.modifiers.contains(&PlanModifier::RequiresReplace) {
            problems.push(format!("`{path}` replaces the object, and is in a set"));
        }
        match &attribute.kind {
            AttributeKind::Type(Type::Dynamic) if in_set => {
                problems.push(format!("`{path}` is dynamic in a set"));
            }
            AttributeKind::Type(_) => {}
            AttributeKind::Nested { attributes, nesting } => {
                let in_set = in_set || *nesting == super::Nesting::Set;
                check(attributes, &format!("{path}."), in_set, problems);
            }
        }
    }
}
