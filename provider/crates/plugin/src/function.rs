//! What a function's author writes: the [`Function`] trait.

use crate::convert::{from_value, to_value};
use crate::schema::{Type, conform};
use crate::value::Value;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// A function of the provider, called as `provider::NAME::function(…)`.
///
/// It is pure: the same arguments give the same result, without a call and without the provider's
/// configuration. Terraform calls it when every argument is known, and answers unknown before.
pub trait Function: Debug + Send + Sync + 'static {
    /// The arguments, in their order: a tuple, as in `(String, i64)`; of one argument `(String,)`.
    /// An argument that may be null is an `Option`.
    type Arguments: DeserializeOwned;
    /// The result.
    type Output: Serialize;

    /// Its name: lower-case letters, digits and underscores.
    fn name(&self) -> &'static str;

    /// What it looks like.
    fn signature(&self) -> Signature;

    /// Computes the result.
    ///
    /// # Errors
    /// Says what about the arguments is wrong, and about which one.
    fn call(&self, arguments: Self::Arguments) -> Result<Self::Output, FunctionError>;
}

/// What a function looks like.
#[derive(Clone, Debug)]
pub struct Signature {
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What it does, in Markdown.
    pub description: &'static str,
    /// Its parameters, in their order.
    pub parameters: Vec<Parameter>,
    /// The type of its result.
    pub returns: Type,
}

/// A parameter of a function.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name, for the documentation.
    pub name: &'static str,
    /// What it means, in Markdown.
    pub description: &'static str,
    /// Its type. With [`Type::Dynamic`] objects may leave attributes out.
    pub kind: Type,
    /// Whether it may be null.
    pub allow_null: bool,
}

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// What happened, and what would be right.
    pub text: String,
    /// The argument at fault, counted from 0.
    pub argument: Option<usize>,
}

impl FunctionError {
    /// An error of one argument, counted from 0.
    pub fn argument(index: usize, text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: Some(index) }
    }
}

/// A function of any arguments; made by [`function`].
pub trait DynFunction: Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it looks like.
    fn signature(&self) -> Signature;

    /// Computes the result.
    ///
    /// # Errors
    /// What is wrong with the arguments, or with the function itself.
    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError>;
}

/// Wraps a function for the list of a provider.
pub fn function<F: Function>(function: F) -> Box<dyn DynFunction> {
    Box::new(Erased(function))
}

#[derive(Debug)]
struct Erased<F>(F);

impl<F: Function> DynFunction for Erased<F> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn signature(&self) -> Signature {
        self.0.signature()
    }

    fn call(&self, mut arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let parameters = self.0.signature().parameters;
        for (parameter, argument) in parameters.iter().zip(&mut arguments) {
            conform(&parameter.kind, argument);
        }
        // One parameter whose value has another shape is at fault, as far as that can be told.
        let only = (parameters.len() == 1).then_some(0);
        let arguments = from_value(Value::List(arguments))
            .map_err(|error| FunctionError { text: error.to_string(), argument: only })?;
        let output = self.0.call(arguments)?;
        to_value(&output).map_err(|error| FunctionError {
            text: format!("bug in the provider: the result has no value: {error}"),
            argument: None,
        })
    }
}
