//! Errors and warnings, as Terraform shows them.

use crate::path::{AttributePath, Step};
use std::collections::BTreeSet;

/// An error or a warning. The summary is short and has no full stop; the detail says in sentences
/// what happened and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What it is about.
    pub summary: String,
    /// What happened, and what to do next.
    pub detail: String,
    /// The attribute at fault, if it is one.
    pub attribute: Option<AttributePath>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing more is done.
    Error,
    /// The user should know.
    Warning,
}

impl Diagnostic {
    /// An error.
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Severity::Error, summary, detail)
    }

    /// A warning.
    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Severity::Warning, summary, detail)
    }

    /// The same, at an attribute.
    #[must_use]
    pub fn at(self, attribute: AttributePath) -> Self {
        Self { attribute: Some(attribute), ..self }
    }

    /// What the provider itself must never do.
    pub fn bug(text: impl std::fmt::Display) -> Self {
        Self::error(
            "Provider bug",
            format!("{text}\n\nThis is a bug in the provider, please report it with this text."),
        )
    }

    fn new(severity: Severity, summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { severity, summary: summary.into(), detail: detail.into(), attribute: None }
    }
}

/// Diagnostics in the order in which they were found, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one, unless it is there already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.0.contains(&diagnostic) {
            self.0.push(diagnostic);
        }
    }

    /// Adds those that are not there already.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Diagnostic>) {
        others.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// The same, without pointing into these attributes: they are named in words.
    #[must_use]
    pub(crate) fn concealing(self, roots: &BTreeSet<String>) -> Self {
        let is_in = |path: &AttributePath| matches!(path.steps().first(), Some(Step::Attribute(root)) if roots.contains(root));
        let concealed = self.0.into_iter().map(|diagnostic| match &diagnostic.attribute {
            Some(path) if is_in(path) => {
                let detail = format!("At `{path}`: {}", diagnostic.detail);
                Diagnostic { detail, attribute: None, ..diagnostic }
            }
            _ => diagnostic,
        });
        Self(concealed.collect())
    }

    /// Whether one of them is an error.
    pub fn has_error(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
