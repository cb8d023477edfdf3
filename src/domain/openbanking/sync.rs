//! What a run of the sync is about.
//!
//! **Owns** nothing. **Fails** on a text that says something else. **Limits**: [`USERS_MAX`] customers; more are a whole run.

use serde::{Deserialize, Serialize};

use crate::domain::ids::PsuUserId;

/// Customers whom one wish may name.
pub const USERS_MAX: usize = 100;

/// Whose accounts somebody wants refreshed now; kept as the arguments of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncArguments {
    pub users: Vec<PsuUserId>,
}

impl SyncArguments {
    /// As it lies in the store.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a list of ids can be written as JSON")
    }

    /// Reads it back; nothing where it is none.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}
