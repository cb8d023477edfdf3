//! Settings of the HTTP client, and the type of a configured address.
//!
//! **Owns** nothing. **Fails** at start: a bad address is refused where it is read.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

/// Limits of every outgoing call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Name resolution, TCP and TLS together.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// A whole call, where its connector sets none of its own.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long an unused connection is kept. Short: a connection that the other side has just closed turns a
    /// request into one of unknown fate.
    #[serde(with = "humantime_serde")]
    pub pool_idle_timeout: Duration,
    /// Unused connections kept per host.
    pub pool_idle_max: usize,
    /// The longest answer that is read.
    pub body_max_bytes: usize,
    /// What we call ourselves.
    pub user_agent: String,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(20),
            pool_idle_timeout: Duration::from_secs(20),
            pool_idle_max: 128,
            body_max_bytes: 1024 * 1024,
            user_agent: concat!("bursar/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// An absolute `http` or `https` address without user information, as it stands in configuration.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpUrl(Url);

impl HttpUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// Text that is no such address.
    pub fn parse(text: &str) -> Result<Self, InvalidHttpUrl> {
        let url = Url::parse(text).map_err(|_| InvalidHttpUrl)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.host_str().is_some();
        if plain && matches!(url.scheme(), "http" | "https") { Ok(Self(url)) } else { Err(InvalidHttpUrl) }
    }

    /// The address itself.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The address with these segments behind its path, each escaped as one segment.
    pub fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut()
            .expect("an http address has a path, which parse has made sure of")
            .pop_if_empty()
            .extend(segments);
        url
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl TryFrom<String> for HttpUrl {
    type Error = InvalidHttpUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<HttpUrl> for String {
    fn from(url: HttpUrl) -> Self {
        url.0.into()
    }
}

/// The text is no address that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an absolute http or https URL without user information is needed")]
pub struct InvalidHttpUrl;
