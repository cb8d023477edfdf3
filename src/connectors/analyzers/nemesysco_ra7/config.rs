//! Settings of the RA7 connector.
//!
//! **Owns** nothing. There is no address until an operator gives one: each customer of the vendor has a prefix of its own.

use serde::{Deserialize, Serialize};

use crate::connectors::analyzers::config::TimeLimits;
use crate::connectors::http::{HttpUrl, InvalidHttpUrl};
use crate::connectors::secret::SecretRef;

/// How RA7 is called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NemesyscoRa7Config {
    /// What stands before the escaped address of a recording.
    pub prefix: Option<UrlPrefix>,
    /// The value of `N-MS-AUTHCB`.
    pub auth: Option<SecretRef>,
    /// Whether the vendor may be called without TLS on another machine.
    pub plain_http: bool,
    pub timeout: TimeLimits,
}

/// The beginning of an address, kept as it was written: an address that is read and written anew may end otherwise.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlPrefix(String);

impl UrlPrefix {
    /// Reads a prefix.
    ///
    /// # Errors
    /// Text that does not begin an address.
    pub fn parse(text: &str) -> Result<Self, InvalidHttpUrl> {
        let url = HttpUrl::parse(text)?;
        // Behind a fragment nothing would be sent, and in a host's name nothing may be added.
        if url.url().fragment().is_some() || text.matches('/').count() < 3 {
            return Err(InvalidHttpUrl);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for UrlPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The query of a prefix may hold whatever the vendor told the operator.
        f.write_str(self.0.split('?').next().unwrap_or_default())
    }
}

impl TryFrom<String> for UrlPrefix {
    type Error = InvalidHttpUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<UrlPrefix> for String {
    fn from(prefix: UrlPrefix) -> Self {
        prefix.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_begins_an_address_behind_its_host() {
        for good in [
            "https://v.example/",
            "https://v.example/Analyze/?actionType=1234&audioStreamURL=",
            "http://[::1]:9/a",
        ] {
            assert_eq!(UrlPrefix::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "v.example/",
            "https://v.example",
            "ftp://v.example/",
            "https://a:b@v.example/",
            "https://v.example/#a",
        ] {
            assert!(UrlPrefix::parse(bad).is_err(), "{bad}");
        }
        let shown = format!("{:?}", UrlPrefix::parse("https://v.example/a?key=x&u=").unwrap());
        assert_eq!(shown, "https://v.example/a");
    }
}
