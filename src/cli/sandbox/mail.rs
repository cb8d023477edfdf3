//! What a house needs to send mail through the sandbox's server. Stories open their houses by it too.
//!
//! **Owns** nothing. **Fails** never. **Limits**: the server believes one sign-in, and is believed by the sandbox's own
//! authority.

use crate::sandbox::Addresses;

/// Who writes in the sandbox.
const FROM: &str = "Sandbox <avisos@sandbox.example.com>";
/// Whose mailbox the demonstration tells; nothing leaves the sandbox.
pub const OWNER_ADDRESS: &str = "owner@shop.example.com";

/// The sandbox's mail server instead of a real one; `username` and `password` are references to what it believes.
pub fn settings(outside: &Addresses, username: String, password: String) -> Vec<(String, String)> {
    let server = outside.smtp_url.trim_start_matches("smtp://");
    let (host, port) = server.rsplit_once(':').unwrap_or((server, "25"));
    let settings = [
        ("server", host.to_owned()),
        ("port", port.to_owned()),
        ("from", FROM.to_owned()),
        ("ca_file", outside.tls.ca_file.display().to_string()),
        ("credentials.username", username),
        ("credentials.password", password),
    ];
    settings.into_iter().map(|(key, value)| (format!("channels.mail.{key}"), value)).collect()
}
