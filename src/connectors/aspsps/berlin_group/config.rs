//! What one ASPSP does otherwise than the next that speaks Berlin Group.
//!
//! **Owns** nothing. The defaults are what the standard promises of every ASPSP.

use serde::{Deserialize, Serialize};

use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// Quirks of an ASPSP of this standard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BerlinGroupConfig {
    /// What stands between the base address and the resources; may have several segments.
    pub prefix: String,
    /// Whether pending transactions can be asked for by themselves.
    pub pending: bool,
    /// Whether booked and pending ones can be asked for together.
    pub both: bool,
    /// Whether a list can begin behind an `entryReference`.
    pub delta: bool,
    /// Whether balances are asked for along with accounts and transactions.
    pub with_balance: bool,
    /// Whether the link to the next page has to be given the first page's parameters again.
    pub next_repeats_query: bool,
    /// What links without a host are relative to, if not to the page that holds them.
    pub link_base: Option<HttpUrl>,
    /// The kind of payments where nobody says which.
    pub payment_product: String,
    /// Which headers are signed where there is a signing key, as they are named to the ASPSP.
    pub signed_headers: Vec<String>,
    pub token: TokenConfig,
}

/// Where tokens are refreshed (OAuth2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    /// Not set: the ASPSP uses no tokens, or somebody else refreshes them.
    pub url: Option<HttpUrl>,
    pub client_id: String,
    pub client_secret: Option<SecretRef>,
    /// How the client says who it is.
    pub style: ClientStyle,
}

/// How a client says who it is where tokens are granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientStyle {
    /// Id and secret in the header (RFC 6749, section 2.3.1).
    Basic,
    /// Both in the body; the id alone where there is no secret, and our certificate says the rest (RFC 8705).
    Form,
}

impl Default for BerlinGroupConfig {
    fn default() -> Self {
        Self {
            prefix: "v1".to_owned(),
            pending: true,
            both: false,
            delta: false,
            with_balance: false,
            next_repeats_query: false,
            link_base: None,
            payment_product: "sepa-credit-transfers".to_owned(),
            signed_headers: ["digest", "x-request-id", "date"].map(str::to_owned).to_vec(),
            token: TokenConfig::default(),
        }
    }
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self { url: None, client_id: String::new(), client_secret: None, style: ClientStyle::Form }
    }
}
