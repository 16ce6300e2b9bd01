//! The plan pipeline: from what Terraform proposes to what will be.
//!
//! In this order: proposed state → defaults → write-only values out → if anything differs from
//! before, computed attributes that the configuration does not give become unknown → attributes'
//! own modifiers → the resource's `plan` → the checks that Terraform would make.

use crate::author_checks;
use crate::convert::{from_value, to_value_as_exact};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::AttributePath;
use crate::private::Private;
use crate::resource::{Change, Resource};
use crate::schema::{
    Attribute, AttributeKind, Mode, Nesting, PlanModifier, Schema, clear_write_only, fill_defaults,
};
use crate::value::{Unknown, Value};
use std::collections::BTreeMap;

/// What Terraform asks.
#[derive(Clone, Debug, Default)]
pub struct PlanRequest {
    /// What is; null for a creation.
    pub prior: Value,
    /// What the user wrote; null for a removal.
    pub config: Value,
    /// The configuration, with what is computed taken from before; null for a removal.
    pub proposed: Value,
    /// What the resource remembers.
    pub prior_private: Private,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct PlanResponse {
    /// What will be.
    pub planned: Value,
    /// Attributes whose change replaces the object.
    pub requires_replace: Vec<AttributePath>,
    /// What the resource remembers.
    pub planned_private: Private,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// Plans a change of a resource.
pub(crate) fn plan<R: Resource>(
    resource: &R,
    schema: &Schema,
    request: PlanRequest,
) -> PlanResponse {
    let mut planned = request.proposed.clone();
    let mut requires_replace = Vec::new();
    if !planned.is_null() {
        fill_defaults(&schema.attributes, &request.config, &mut planned);
        clear_write_only(&schema.attributes, &mut planned);
        if planned != request.prior {
            mark_unknown(&schema.attributes, &request.config, &request.prior, &mut planned);
        }
        modify(schema, &request, &planned, &mut requires_replace);
    }
    match shape(resource, &request, planned, requires_replace) {
        Ok(mut response) => {
            if !response.diagnostics.has_error() {
                let (prior, config) = (&request.prior, &request.config);
                let problems = author_checks::planned(schema, prior, config, &response.planned);
                response.diagnostics.extend(problems.into_iter().map(Diagnostic::bug));
            }
            response
        }
        Err(diagnostic) => PlanResponse {
            planned: request.proposed,
            planned_private: request.prior_private,
            diagnostics: diagnostic.into(),
            ..PlanResponse::default()
        },
    }
}

/// The resource's own part.
fn shape<R: Resource>(
    resource: &R,
    request: &PlanRequest,
    planned: Value,
    requires_replace: Vec<AttributePath>,
) -> Result<PlanResponse, Diagnostic> {
    let model = |value: &Value| -> Result<Option<R::Model>, Diagnostic> {
        if value.is_null() { Ok(None) } else { Ok(Some(from_value(value.clone())?)) }
    };
    let is_destroy = planned.is_null();
    let mut change = Change {
        prior: model(&request.prior)?,
        config: model(&request.config)?,
        planned: model(&planned)?,
        prior_private: request.prior_private.clone(),
        planned_private: request.prior_private.clone(),
        requires_replace,
    };
    let diagnostics = resource.plan(&mut change);
    if is_destroy != change.planned.is_none() {
        return Err(Diagnostic::bug("a plan made a removal of a change, or the reverse"));
    }
    let planned = match &change.planned {
        Some(model) => to_value_as_exact(model, &planned)?,
        None => Value::Null,
    };
    let mut requires_replace = change.requires_replace;
    requires_replace.sort();
    requires_replace.dedup();
    if request.prior.is_null() {
        // There is nothing to be replaced yet.
        requires_replace.clear();
    }
    Ok(PlanResponse {
        planned,
        requires_replace,
        planned_private: change.planned_private,
        diagnostics,
    })
}

fn mark_unknown(
    attributes: &BTreeMap<String, Attribute>,
    config: &Value,
    prior: &Value,
    planned: &mut Value,
) {
    let Value::Map(members) = planned else { return };
    for (name, attribute) in attributes {
        let (given, before) = (config.member(name), prior.member(name));
        let value = members.entry(name.clone()).or_default();
        let keeps = attribute.modifiers.contains(&PlanModifier::UseStateForUnknown);
        if attribute.mode.is_computed() && attribute.default.is_none() && given.is_null() {
            *value = if keeps && !before.is_null() {
                before.clone()
            } else {
                Value::Unknown(Unknown::default())
            };
            continue;
        }
        match (&attribute.kind, before) {
            (AttributeKind::Nested { nesting: Nesting::Single, attributes }, before) => {
                mark_unknown(attributes, given, before, value);
            }
            (AttributeKind::Nested { attributes, nesting: Nesting::Map }, _) => {
                if let (Value::Map(given), Value::Map(elements)) = (given, value) {
                    for (key, element) in elements {
                        let given = given.get(key).unwrap_or(&Value::Null);
                        mark_unknown(attributes, given, before.member(key), element);
                    }
                }
            }
            (AttributeKind::Nested { attributes, nesting: Nesting::List }, _) => {
                if let (Value::List(given), Value::List(elements)) = (given, value) {
                    for (given, element) in given.iter().zip(elements) {
                        mark_unknown(attributes, given, &Value::Null, element);
                    }
                }
            }
            // Elements of sets have no place by which they could be found again.
            _ => {}
        }
    }
}

fn modify(
    schema: &Schema,
    request: &PlanRequest,
    planned: &Value,
    requires_replace: &mut Vec<AttributePath>,
) {
    if request.prior.is_null() {
        return;
    }
    let mut paths = Vec::new();
    let (config, prior) = (&request.config, &request.prior);
    replacements(&schema.attributes, config, prior, planned, &AttributePath::default(), &mut paths);
    let is_imported = request.prior_private.is_imported();
    for (path, before) in paths {
        // An import may not have found out what it was; that is no reason to destroy the object.
        if !(is_imported && before.is_null()) {
            requires_replace.push(path);
        }
    }
}

/// The attributes whose change replaces the object, with their values of before.
fn replacements<'a>(
    attributes: &BTreeMap<String, Attribute>,
    config: &Value,
    prior: &'a Value,
    planned: &Value,
    above: &AttributePath,
    found: &mut Vec<(AttributePath, &'a Value)>,
) {
    for (name, attribute) in attributes {
        let (given, before) = (config.member(name), prior.member(name));
        let value = planned.member(name);
        if value == before {
            continue;
        }
        let path = above.clone().attribute(name);
        // What the provider itself found, in an attribute that nobody gives, is no wish for change.
        let is_given =
            !given.is_null() || attribute.default.is_some() || attribute.mode == Mode::Optional;
        if is_given && attribute.modifiers.contains(&PlanModifier::RequiresReplace) {
            found.push((path, before));
            continue;
        }
        let AttributeKind::Nested { nesting, attributes } = &attribute.kind else { continue };
        match (nesting, before, value) {
            (Nesting::Single, before, Value::Map(_)) => {
                replacements(attributes, given, before, value, &path, found);
            }
            (Nesting::Map, Value::Map(before), Value::Map(value)) => {
                for (key, value) in value {
                    let Some(before) = before.get(key) else { continue };
                    let path = path.clone().key(key);
                    replacements(attributes, given.member(key), before, value, &path, found);
                }
            }
            (Nesting::List, Value::List(before), Value::List(value)) => {
                for (index, (before, value)) in before.iter().zip(value).enumerate() {
                    let given = match given {
                        Value::List(given) => given.get(index).unwrap_or(&Value::Null),
                        _ => &Value::Null,
                    };
                    let path = path.clone().index(index);
                    replacements(attributes, given, before, value, &path, found);
                }
            }
            _ => {}
        }
    }
}
