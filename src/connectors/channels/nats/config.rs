//! Settings of the NATS channel, and the type of a server's address.
//!
//! **Owns** nothing. **Fails** at start: a bad address is refused where it is read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::connectors::secret::SecretRef;

/// How JetStream is reached, and which subjects may be published to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// The servers of one cluster; none if there is no such channel.
    pub servers: Vec<NatsUrl>,
    /// Whether a server that offers no TLS is refused.
    pub require_tls: bool,
    /// A file of the authorities that a server's certificate must be signed by, instead of the platform's; empty for none.
    pub ca_file: String,
    /// A file with our own certificate, for servers that ask for one; empty for none.
    pub certificate_file: String,
    /// A file with its key.
    pub private_key_file: String,
    /// What we are called in the server's own lists.
    pub connection_name: String,
    /// What the subjects of answers to us begin with.
    pub inbox_prefix: String,
    /// Name resolution, TCP, TLS and signing in together, over all servers.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Within what a stream must have acknowledged a message.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
    /// The wait after the first failure to connect.
    #[serde(with = "humantime_serde")]
    pub reconnect_base: Duration,
    /// The longest wait between two tries to connect.
    #[serde(with = "humantime_serde")]
    pub reconnect_cap: Duration,
    /// The longest message, headers excluded.
    pub message_max_bytes: usize,
    /// What we sign in with.
    pub credentials: NatsCredentials,
    /// Subjects that any tenant may use.
    pub subjects: SubjectRules,
    /// Subjects that one tenant may use, in the place of `subjects`.
    pub tenants: BTreeMap<String, SubjectRules>,
}

/// One way to sign in, each part a reference to a secret; nothing at all for servers that ask for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsCredentials {
    pub user: Option<SecretRef>,
    pub password: Option<SecretRef>,
    pub token: Option<SecretRef>,
    /// The seed of a user's NKey (`SU…`).
    pub nkey_seed: Option<SecretRef>,
    /// The text of a credentials file: a user's JWT and seed.
    pub creds: Option<SecretRef>,
}

/// Which subjects may be named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubjectRules {
    /// What a subject must begin with, token by token; empty allows any.
    pub prefixes: Vec<String>,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            require_tls: true,
            ca_file: String::new(),
            certificate_file: String::new(),
            private_key_file: String::new(),
            connection_name: "bursar".to_owned(),
            inbox_prefix: "_INBOX".to_owned(),
            connect_timeout: Duration::from_secs(5),
            ack_timeout: Duration::from_secs(5),
            reconnect_base: Duration::from_millis(100),
            reconnect_cap: Duration::from_secs(10),
            message_max_bytes: 1024 * 1024,
            credentials: NatsCredentials::default(),
            subjects: SubjectRules::default(),
            tenants: BTreeMap::new(),
        }
    }
}

/// The address of a server, `nats://host:port` or `tls://host:port`, without user information.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NatsUrl(Url);

impl NatsUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// Text that is no such address. It is not repeated: a password may stand in it.
    pub fn parse(text: &str) -> Result<Self, InvalidNatsUrl> {
        let url = Url::parse(text).map_err(|_| InvalidNatsUrl)?;
        let bare = url.username().is_empty() && url.password().is_none() && url.host_str().is_some();
        let short = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if bare && short && matches!(url.scheme(), "nats" | "tls") {
            Ok(Self(url))
        } else {
            Err(InvalidNatsUrl)
        }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl TryFrom<String> for NatsUrl {
    type Error = InvalidNatsUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<NatsUrl> for String {
    fn from(url: NatsUrl) -> Self {
        url.0.into()
    }
}

/// The text is no address of a NATS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a nats or tls URL without user information and path is needed")]
pub struct InvalidNatsUrl;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        for good in ["nats://127.0.0.1:4222", "tls://nats.example.com", "nats://[::1]:4222/"] {
            assert!(NatsUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "127.0.0.1:4222",
            "http://nats.example.com",
            "ws://nats.example.com",
            "nats://user:s3cret@nats.example.com",
            "nats://user@nats.example.com",
            "nats://nats.example.com/path",
            "nats://nats.example.com?tls=false",
            "nats://",
        ] {
            let refused = NatsUrl::parse(bad).unwrap_err();
            assert!(!refused.to_string().contains("s3cret"), "{bad}");
        }
    }
}
