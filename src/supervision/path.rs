//! The name of an actor in its tree, such as `house/workers/notifiers/sqs`.
//!
//! **Owns** nothing. **Fails** never: ids are checked when the tree is built.
//! **Limits**: the root, which stands above all, is left out of its descendants' paths.

use std::fmt;
use std::sync::Arc;

/// Where an actor stands in the tree; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorPath(Arc<str>);

impl ActorPath {
    pub(super) fn root(id: &str) -> Self {
        Self(id.into())
    }

    pub(super) fn child(&self, id: &str, parent_is_root: bool) -> Self {
        if parent_is_root { Self(id.into()) } else { Self(format!("{}/{id}", self.0).into()) }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActorPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
