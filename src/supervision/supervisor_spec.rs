//! What a supervisor is told about itself.
//!
//! **Owns** the specs of its children, in their declared order.
//! **Fails** with [`SpecError`] when ids cannot serve as names.
//! **Limits**: [`CHILDREN_MAX_DEFAULT`] children unless told otherwise.

use std::collections::HashSet;

use super::child_spec::{Body, ChildSpec};
use super::intensity::Intensity;
use super::machine::{ChildPolicy, Policy};
use super::strategy::{AutoShutdown, OnMeltdown, Strategy};

/// How many children a supervisor may have unless its spec says otherwise.
pub const CHILDREN_MAX_DEFAULT: usize = 1_000;

/// Why a tree cannot be built as declared; a mistake in the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// An id must be a name of its own within a path.
    #[error("id {0:?} is empty or has a slash in it")]
    BadId(String),
    /// Two paths would be the same.
    #[error("id {0:?} is taken")]
    DuplicateId(String),
    /// More children than `children_max`.
    #[error("supervisor {0:?} has more children than it may have")]
    TooManyChildren(String),
}

/// A supervisor: its policies and its children.
pub struct SupervisorSpec {
    pub(super) id: String,
    pub(super) strategy: Strategy,
    pub(super) intensity: Intensity,
    pub(super) on_meltdown: OnMeltdown,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) children_max: usize,
    pub(super) children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// A supervisor without children that escalates past three restarts in five seconds.
    pub fn new(id: impl Into<String>, strategy: Strategy) -> Self {
        Self {
            id: id.into(),
            strategy,
            intensity: Intensity::default(),
            on_meltdown: OnMeltdown::Escalate,
            auto_shutdown: AutoShutdown::Never,
            children_max: CHILDREN_MAX_DEFAULT,
            children: Vec::new(),
        }
    }

    /// How many restarts are borne within how long: of all children if it escalates, of each if it parks.
    pub fn intensity(self, max: u32, within: std::time::Duration) -> Self {
        Self { intensity: Intensity { max, within }, ..self }
    }

    /// What happens past the intensity.
    pub fn on_meltdown(self, on_meltdown: OnMeltdown) -> Self {
        Self { on_meltdown, ..self }
    }

    /// Whether significant children that end normally end the supervisor.
    pub fn auto_shutdown(self, auto_shutdown: AutoShutdown) -> Self {
        Self { auto_shutdown, ..self }
    }

    /// How many children it may have, those added while it runs included.
    pub fn children_max(self, children_max: usize) -> Self {
        Self { children_max, ..self }
    }

    /// One more child, started after and stopped before those declared so far.
    pub fn child(mut self, spec: ChildSpec) -> Self {
        self.children.push(spec);
        self
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            strategy: self.strategy,
            intensity: self.intensity,
            on_meltdown: self.on_meltdown,
            auto_shutdown: self.auto_shutdown,
            children_max: self.children_max,
        }
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        check_id(&self.id)?;
        if self.children.len() > self.children_max {
            return Err(SpecError::TooManyChildren(self.id.clone()));
        }
        let mut taken = HashSet::new();
        for child in &self.children {
            child.check()?;
            if !taken.insert(&child.id) {
                return Err(SpecError::DuplicateId(child.id.clone()));
            }
        }
        Ok(())
    }
}

impl ChildSpec {
    pub(super) fn policy(&self) -> ChildPolicy {
        ChildPolicy {
            restart: self.restart,
            significant: self.significant,
            backoff: self.backoff,
            disabled: matches!(self.body, Body::Disabled(_)),
        }
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        match &self.body {
            Body::Supervisor(spec) => spec.check(),
            Body::Worker(_) | Body::Disabled(_) => check_id(&self.id),
        }
    }
}

fn check_id(id: &str) -> Result<(), SpecError> {
    if id.is_empty() || id.contains('/') {
        return Err(SpecError::BadId(id.to_owned()));
    }
    Ok(())
}
