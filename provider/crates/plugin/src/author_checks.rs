//! The checks that Terraform makes of our answers, made by us first: a plan or a result that
//! Terraform would reject is our own bug, and is said as such, with the attribute's name.

use crate::schema::Schema;
use crate::value::Value;

mod plan;
mod result;
mod types;

pub(crate) use types::repair;

/// What is wrong with a planned state.
pub(crate) fn planned(
    schema: &Schema,
    prior: &Value,
    config: &Value,
    planned: &Value,
) -> Vec<String> {
    let mut problems = Vec::new();
    if planned.is_null() != config.is_null() {
        problems
            .push("the plan is a removal and the configuration is none, or the reverse".to_owned());
        return problems;
    }
    if planned.is_null() {
        return problems;
    }
    types::check(&schema.attributes, planned, "", &mut problems);
    plan::check(&schema.attributes, config, prior, planned, "", &mut problems);
    problems
}

/// What is wrong with a new state: it must hold everything that was planned.
pub(crate) fn applied(schema: &Schema, planned: &Value, result: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if planned.is_null() != result.is_null() {
        problems.push(match planned.is_null() {
            true => "a removal left a state".to_owned(),
            false => "the operation succeeded and saved no state".to_owned(),
        });
        return problems;
    }
    if result.is_null() {
        return problems;
    }
    types::check(&schema.attributes, result, "", &mut problems);
    result::check(&schema.attributes, planned, result, "", &mut problems);
    types::check_known(result, &mut problems);
    problems
}

/// What is wrong with a state that was read.
pub(crate) fn read(schema: &Schema, state: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if !state.is_null() {
        types::check(&schema.attributes, state, "", &mut problems);
        types::check_known(state, &mut problems);
    }
    problems
}
