//! Settings of an ASPSP: all that tells a bank from the others that speak the same standard.
//!
//! **Owns** nothing. **Limits**: what concerns one standard alone stands in its own table; the other one's is not looked at.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::berlin_group::config::BerlinGroupConfig;
use super::day::Zone;
use super::error::Meaning;
use super::polish_api::config::PolishApiConfig;
use super::request_id::AnswerId;
use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// The standards there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standard {
    /// NextGenPSD2 XS2A 1.3.x.
    BerlinGroup,
    /// 2.1.x, and what differs from it by its prefix alone.
    PolishApi,
}

impl Standard {
    /// The name in the store and in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BerlinGroup => "berlin_group",
            Self::PolishApi => "polish_api",
        }
    }
}

/// How one ASPSP is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AspspConfig {
    pub standard: Standard,
    /// Up to the version.
    pub base_url: Option<HttpUrl>,
    /// Whether tokens may go there without TLS, to other machines than this one.
    pub plain_http: bool,
    /// Headers that it wants besides those of the standard, such as a key of its gateway. None may tell of a PSU.
    pub headers: Vec<ExtraHeader>,
    pub identity: IdentityConfig,
    pub signature: SignatureConfig,
    /// The deadline of one call.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The longest answer that is read, packed or not.
    pub body_max_bytes: usize,
    /// In which zone the ASPSP keeps its books: what it dates without one is of there.
    pub zone: Zone,
    /// How many items a page is asked to hold; 0 leaves it to the ASPSP.
    pub page_size: u32,
    /// How many days back it answers without the PSU.
    pub history_days_max: u32,
    /// Whether its answers must repeat the id of the request.
    pub answer_id: AnswerId,
    /// What a page that names itself as the next one means: its set's end, instead of a fault.
    pub self_link_ends: bool,
    /// What its own codes of errors mean, where the standard says nothing or something else.
    pub codes: CodesConfig,
    pub berlin_group: BerlinGroupConfig,
    pub polish_api: PolishApiConfig,
}

/// A header that is no standard's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraHeader {
    pub name: String,
    pub value: SecretRef,
}

/// Codes of errors by what they mean. One that stands in several lists means the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodesConfig {
    pub consent_expired: Vec<String>,
    pub consent_revoked: Vec<String>,
    /// The consent cannot be used, and the code does not say why.
    pub consent_ended: Vec<String>,
    /// The token is not taken.
    pub unauthorised: Vec<String>,
    pub rate_limited: Vec<String>,
    pub not_found: Vec<String>,
    pub refused: Vec<String>,
    pub unavailable: Vec<String>,
    pub unsupported: Vec<String>,
    pub misconfigured: Vec<String>,
}

impl CodesConfig {
    /// What a code means, if these settings know it.
    pub(super) fn meaning(&self, code: &str) -> Option<Meaning> {
        let lists = [
            (&self.consent_expired, Meaning::ConsentExpired),
            (&self.consent_revoked, Meaning::ConsentRevoked),
            (&self.consent_ended, Meaning::ConsentEnded),
            (&self.unauthorised, Meaning::Unauthorised),
            (&self.rate_limited, Meaning::RateLimited),
            (&self.not_found, Meaning::NotFound),
            (&self.refused, Meaning::Refused),
            (&self.unavailable, Meaning::Unavailable),
            (&self.unsupported, Meaning::Unsupported),
            (&self.misconfigured, Meaning::Misconfigured),
        ];
        let known = lists.into_iter().find(|(codes, _)| codes.iter().any(|known| known == code));
        known.map(|(_, meaning)| meaning)
    }
}

/// By what certificate (QWAC) we are known to an ASPSP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// In PEM, with those between it and its authority.
    pub certificate: Option<SecretRef>,
    pub private_key: Option<SecretRef>,
    /// A file of authorities to be trusted besides the platform's, which only counts with a certificate; empty for none.
    pub ca_file: String,
}

/// With what key (QSealC) messages are signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureConfig {
    /// PKCS#8 in PEM; without it nothing is signed.
    pub private_key: Option<SecretRef>,
    /// In PEM, the one of the key first.
    pub certificate: Option<SecretRef>,
    pub algorithm: Algorithm,
    /// By what the ASPSP knows the key: `SN=…,CA=…` in Berlin Group, `kid` in PolishAPI.
    pub key_id: String,
}

/// How it is signed, by the names of RFC 7518.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 and SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS and SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl Default for SignatureConfig {
    fn default() -> Self {
        Self { private_key: None, certificate: None, algorithm: Algorithm::Rs256, key_id: String::new() }
    }
}

impl Default for AspspConfig {
    fn default() -> Self {
        Self {
            standard: Standard::BerlinGroup,
            base_url: None,
            plain_http: false,
            headers: Vec::new(),
            identity: IdentityConfig::default(),
            signature: SignatureConfig::default(),
            timeout: Duration::from_secs(30),
            body_max_bytes: 8 * 1024 * 1024,
            zone: Zone::new(chrono_tz::Europe::Warsaw),
            page_size: 0,
            history_days_max: 90,
            answer_id: AnswerId::Required,
            self_link_ends: false,
            codes: CodesConfig::default(),
            berlin_group: BerlinGroupConfig::default(),
            polish_api: PolishApiConfig::default(),
        }
    }
}

impl AspspConfig {
    /// What has to be set before this ASPSP can be asked, and is not; by the names of its settings.
    pub fn missing(&self) -> Vec<&'static str> {
        let signs = self.signature.private_key.is_some();
        let is_polish = self.standard == Standard::PolishApi;
        let needs = [
            ("base_url", self.base_url.is_some()),
            (
                "identity.private_key",
                self.identity.certificate.is_none() || self.identity.private_key.is_some(),
            ),
            (
                "identity.certificate",
                self.identity.private_key.is_none() || self.identity.certificate.is_some(),
            ),
            ("signature.private_key", signs || !is_polish || self.polish_api.unsigned),
            ("signature.certificate", !signs || is_polish || self.signature.certificate.is_some()),
            ("signature.key_id", !signs || is_polish || !self.signature.key_id.is_empty()),
        ];
        needs.into_iter().filter(|(_, is_met)| !is_met).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_their_names_and_no_other() {
        let config: AspspConfig = toml::from_str(
            r#"
            standard = "polish_api"
            base_url = "https://bank.example/psd2"
            timeout = "1500ms"
            zone = "Europe/Vilnius"
            codes = { consent_revoked = ["E-17"], refused = ["E-17", "E-18"] }
            headers = [{ name = "X-IBM-Client-Id", value = "env:GATEWAY_KEY" }]
            identity = { certificate = "file:qwac.pem", private_key = "env:QWAC_KEY" }
            signature = { private_key = "env:QSEAL_KEY", algorithm = "ES256", key_id = "k1" }
            polish_api = { version = "3_0.1" }
            berlin_group = { both = true }
            "#,
        )
        .unwrap();
        assert_eq!(config.timeout, Duration::from_millis(1_500));
        let meaning = |code| config.codes.meaning(code);
        assert_eq!(
            (meaning("E-17"), meaning("E-18")),
            (Some(Meaning::ConsentRevoked), Some(Meaning::Refused))
        );
        assert_eq!(meaning("E-19"), None);
        assert_eq!(config.missing(), [""; 0]);
        for bad in [
            "standard = \"polish\"",
            "base_url = \"bank.example\"",
            "zone = \"CEST/Nowhere\"",
            "codes = { gone = [\"A\"] }",
            "headers = [{ name = \"A\", value = \"a-secret-by-itself\" }]",
            "signature = { private_key = \"a-secret-by-itself\" }",
            "signature = { algorithm = \"none\" }",
            "berlin_group = { booked = true }",
            "polish_api = { versions = \"2\" }",
            "psu_ip_address = \"127.0.0.1\"",
        ] {
            assert!(toml::from_str::<AspspConfig>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let reference = || Some(SecretRef::parse("env:KEY").unwrap());
        let mut config = AspspConfig::default();
        assert_eq!(config.missing(), ["base_url"]);
        config.standard = Standard::PolishApi;
        assert_eq!(config.missing(), ["base_url", "signature.private_key"]);
        config.polish_api.unsigned = true;
        config.identity.certificate = reference();
        assert_eq!(config.missing(), ["base_url", "identity.private_key"]);
        config.standard = Standard::BerlinGroup;
        config.signature.private_key = reference();
        assert_eq!(
            config.missing(),
            ["base_url", "identity.private_key", "signature.certificate", "signature.key_id"]
        );
    }
}
