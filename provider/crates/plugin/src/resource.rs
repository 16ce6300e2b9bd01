//! What a resource's author writes: the [`Resource`] trait and what its methods are given.

use crate::convert::ConvertError;
use crate::ctx::{Ctx, Timeouts};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::identity::IdentityPart;
use crate::path::AttributePath;
use crate::private::Private;
use crate::schema::Schema;
use crate::value::Value;
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// A resource type.
///
/// `validate` and `plan` are pure: no call, no clock, the same answer to the same question, because
/// Terraform asks them again and compares. What one plan has to know of another of the same run they tell each other in
/// memory, in whatever order they come. The others work on the real world. They save into
/// [`State`] as they learn: what was saved last goes back to Terraform also when they fail, so a
/// `?` never loses an id.
#[async_trait]
pub trait Resource: Debug + Send + Sync + 'static {
    /// Configuration, plan and state. Fields are [`Attr`](crate::Attr)s where a value can be null
    /// or unknown.
    type Model: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync;

    /// The name in configurations, which begins with the provider's: `disagg_fleet`.
    fn type_name(&self) -> &'static str;

    /// What it looks like.
    fn schema(&self) -> Schema;

    /// How long its operations may take by default. A `timeouts` attribute is read by this crate.
    fn timeouts(&self) -> Timeouts {
        Timeouts::default()
    }

    /// What is wrong with a configuration beyond its attributes' own rules. Values may be unknown.
    fn validate(&self, config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::default()
    }

    /// The attributes of a configuration, at its root, whose lines must not be shown: Terraform prints the
    /// whole line that a diagnostic points to, and a secret may stand in it by mistake. Such diagnostics
    /// name the attribute in words.
    fn concealed(&self, config: &Value) -> BTreeSet<String> {
        let _ = config;
        BTreeSet::new()
    }

    /// Called before the plan of a removal. Terraform asks for that one as soon as it can, and so before it
    /// asks for those that may speak of the same object; whoever minds them waits for them here, for a
    /// moment.
    async fn before_removal(&self, leaving: Self::Model) {
        drop(leaving);
    }

    /// Shapes the plan. Called for a creation, an update and a removal; before it, defaults are
    /// filled in, and computed attributes are unknown if anything differs from before.
    fn plan(&self, change: &mut Change<Self::Model>) -> Diagnostics {
        let _ = change;
        Diagnostics::default()
    }

    /// Makes it. Nothing saved means that nothing was made.
    async fn create(
        &self,
        ctx: &Ctx,
        planned: Self::Model,
        state: &mut State<Self::Model>,
    ) -> Result<(), Diagnostics>;

    /// Looks at it: saves what is, or removes the state when it is gone.
    async fn read(&self, ctx: &Ctx, state: &mut State<Self::Model>) -> Result<(), Diagnostics>;

    /// Changes it in place. The state holds `prior` until something is saved.
    async fn update(
        &self,
        ctx: &Ctx,
        prior: Self::Model,
        planned: Self::Model,
        state: &mut State<Self::Model>,
    ) -> Result<(), Diagnostics>;

    /// Removes it. What is gone already is no error. On success the state is removed by the caller.
    async fn delete(&self, ctx: &Ctx, state: &mut State<Self::Model>) -> Result<(), Diagnostics>;

    /// Finds it by the id that the user gave, and saves a first state, which is read at once.
    async fn import(
        &self,
        ctx: &Ctx,
        id: &str,
        state: &mut State<Self::Model>,
    ) -> Result<(), Diagnostics> {
        let _ = (ctx, id, state);
        Err(Diagnostic::error(
            "Import is not supported",
            format!("`{}` cannot be imported.", self.type_name()),
        )
        .into())
    }

    /// The parts of its import id between slashes, which identify it; without any it has no identity.
    fn identity_parts(&self) -> &'static [IdentityPart] {
        &[]
    }

    /// The values of these parts; `None` while they are not known.
    fn identity(&self, model: &Self::Model) -> Option<Vec<String>> {
        let _ = model;
        None
    }

    /// The state of an older schema version in the form of this one.
    fn upgrade(
        &self,
        from_version: i64,
        state: serde_json::Value,
    ) -> Result<serde_json::Value, Diagnostics> {
        let _ = state;
        Err(Diagnostic::bug(format!(
            "`{}` cannot read a state of schema version {from_version}",
            self.type_name()
        ))
        .into())
    }
}

/// A change that is being planned.
#[derive(Clone, Debug)]
pub struct Change<M> {
    /// What is; none for a creation.
    pub prior: Option<M>,
    /// What the user wrote; none for a removal.
    pub config: Option<M>,
    /// What will be; none for a removal. What is null in the configuration and computed may be
    /// chosen freely, everything else is the user's.
    pub planned: Option<M>,
    /// What the resource remembers of the object. In the plan of the second half of a replacement
    /// there is no prior state, and this is `planned_private` of the first half.
    pub prior_private: Private,
    /// What goes along with the plan; begins as `prior_private`.
    pub planned_private: Private,
    pub(crate) requires_replace: Vec<AttributePath>,
}

impl<M> Change<M> {
    /// Whether it is a creation.
    pub fn is_create(&self) -> bool {
        self.prior.is_none() && self.planned.is_some()
    }

    /// Whether it is a change in place, or the first half of a replacement.
    pub fn is_update(&self) -> bool {
        self.prior.is_some() && self.planned.is_some()
    }

    /// Whether it is a removal.
    pub fn is_destroy(&self) -> bool {
        self.planned.is_none()
    }

    /// Plans a replacement because of this attribute. Terraform forgets it when the attribute does
    /// not change.
    pub fn requires_replace(&mut self, path: AttributePath) {
        self.requires_replace.push(path);
    }

    /// Whether the object is replaced by what is planned so far.
    pub fn is_replacement(&self) -> bool {
        self.prior.is_some() && !self.requires_replace.is_empty()
    }
}

/// The state of an object while a handler works on it.
#[derive(Debug)]
pub struct State<M> {
    model: Option<M>,
    private: Private,
    warnings: Diagnostics,
}

impl<M: Clone> State<M> {
    pub(crate) fn new(model: Option<M>, private: Private) -> Self {
        Self { model, private, warnings: Diagnostics::default() }
    }

    /// What was saved last.
    pub fn get(&self) -> Option<&M> {
        self.model.as_ref()
    }

    /// From now on this is what Terraform gets.
    pub fn save(&mut self, model: &M) {
        self.model = Some(model.clone());
    }

    /// From now on there is no such object.
    pub fn remove(&mut self) {
        self.model = None;
    }

    /// What the resource remembers beside the state.
    pub fn private(&self) -> &Private {
        &self.private
    }

    /// The same, to be changed.
    pub fn private_mut(&mut self) -> &mut Private {
        &mut self.private
    }

    /// Something that the user should know, whatever else happens.
    pub fn warn(&mut self, diagnostic: Diagnostic) {
        self.warnings.push(diagnostic);
    }

    /// Several of them.
    pub fn warn_all(&mut self, diagnostics: Diagnostics) {
        self.warnings.extend(diagnostics);
    }

    pub(crate) fn into_parts(self) -> (Option<M>, Private, Diagnostics) {
        (self.model, self.private, self.warnings)
    }
}

impl From<ConvertError> for Diagnostic {
    fn from(error: ConvertError) -> Self {
        let diagnostic = Self::error("Invalid value", format!("{}.", error.message));
        if error.path.is_empty() { diagnostic } else { diagnostic.at(error.path) }
    }
}
