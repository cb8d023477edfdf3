//! Under what terms links to documents are made, where they are made at all.
//!
//! **Owns** nothing; the settings are the page server's. **Fails** never.

use std::time::Duration;

use crate::domain::document_link::{LinkFormat, Token};

/// What whoever makes a link goes by.
#[derive(Debug, Clone)]
pub struct LinkTerms {
    /// What the owner's proxy shows, without a slash at its end.
    pub base_url: String,
    /// How long a link holds when nobody says.
    pub lifetime: Duration,
    /// How long at most.
    pub lifetime_max: Duration,
}

impl LinkTerms {
    /// The address to be given to the payer; one that shows a single format says so at its end.
    pub fn url(&self, token: &Token, format: Option<LinkFormat>) -> String {
        let ending = format.map_or_else(String::new, |format| format!(".{}", format.as_str()));
        format!("{}/d/{}{ending}", self.base_url, token.as_str())
    }
}
