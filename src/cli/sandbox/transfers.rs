//! What a house needs to have transfers analysed in the sandbox: its vendors, and its Firebase as a feed. Stories open their
//! houses by it too.
//!
//! **Owns** nothing. **Fails** never. **Limits**: signed in as the emulator's owner, so that addresses of recordings are not
//! signed; the sandbox's storage asks for no signature.

use crate::sandbox::{Addresses, FIREBASE_BUCKET};

/// What the sandbox's feed is called.
pub const FEED: &str = "sandbox";

/// References to what the vendors know a caller by.
pub struct VendorSecrets {
    /// `N-MS-AUTHCB`.
    pub auth: String,
    pub emotion_logic_key: String,
    pub emotion_logic_password: String,
}

/// The sandbox's vendors and feed instead of real ones.
pub fn settings(outside: &Addresses, secrets: &VendorSecrets) -> Vec<(String, String)> {
    let (vendors, database) = (&outside.vendors, &outside.firebase.url);
    let analyzers = [
        ("nemesysco_ra7.prefix", vendors.ra7_prefix.as_str()),
        ("nemesysco_ra7.auth", &secrets.auth),
        ("nemesysco_container.url", &vendors.container_url),
        ("nemesysco_container.auth", &secrets.auth),
        ("nemesysco_cloud.url", &vendors.cloud_url),
        ("nemesysco_cloud.auth", &secrets.auth),
        ("emotion_logic.url", &vendors.emotion_logic_url),
        ("emotion_logic.api_key", &secrets.emotion_logic_key),
        ("emotion_logic.api_key_password", &secrets.emotion_logic_password),
    ];
    let feed = [
        ("database_url", database.as_str()),
        ("allow_loopback", "true"),
        ("credentials.emulator", "true"),
        ("audio.bucket", FIREBASE_BUCKET),
        ("audio.base_url", database),
    ];
    let analyzers = analyzers.map(|(key, value)| (format!("analyzers.{key}"), value.to_owned()));
    let feed =
        feed.map(|(key, value)| (format!("transfers.feeds.{FEED}.firebase_rtdb.{key}"), value.to_owned()));
    analyzers.into_iter().chain(feed).collect()
}
