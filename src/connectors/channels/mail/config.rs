//! Settings of the mail channel, and the types of a configured host and mailbox.
//!
//! **Owns** nothing. **Fails** at start: a bad host or mailbox is refused where it is read, without being repeated.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use crate::connectors::secret::SecretRef;

use super::address;
use super::template::Templates;

/// How owners are reached by mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// The operator's own server; without one there is no mail.
    pub server: Option<HostName>,
    pub port: u16,
    pub security: Security,
    /// Lets `security = "none"` leave this machine.
    pub allow_plaintext: bool,
    /// Authorities to be trusted besides the platform's; empty for none.
    pub ca_file: String,
    pub credentials: Option<MailCredentials>,
    /// Needed where there is a server.
    pub from: Option<ConfiguredMailbox>,
    pub reply_to: Option<ConfiguredMailbox>,
    /// What stands in the header `List-Unsubscribe`, without its brackets.
    pub list_unsubscribe: Option<UnsubscribeUrl>,
    /// Behind the @ of every Message-ID; that of `from` where absent.
    pub message_id_domain: Option<HostName>,
    /// What we call ourselves to the server; as `message_id_domain` where absent.
    pub hello_name: Option<HostName>,
    /// Of those who asked for none.
    pub language: Language,
    pub time_zone: ZoneName,
    /// A folder of templates that go before our own; empty for none.
    pub templates: PathBuf,
    pub connections_max: usize,
    pub messages_per_connection_max: u32,
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// One command and its answer; connecting counts as one.
    #[serde(with = "humantime_serde")]
    pub command_timeout: Duration,
    /// One message, from its first command to the server's word.
    #[serde(with = "humantime_serde")]
    pub message_timeout: Duration,
    /// Everything that one attempt has to send to one address.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    pub message_max_bytes: usize,
    /// Whom any tenant may have written to.
    pub recipients: RecipientRules,
    /// Whom one tenant may have written to, in the place of `recipients`.
    pub tenants: BTreeMap<String, RecipientRules>,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            server: None,
            port: 587,
            security: Security::Starttls,
            allow_plaintext: false,
            ca_file: String::new(),
            credentials: None,
            from: None,
            reply_to: None,
            list_unsubscribe: None,
            message_id_domain: None,
            hello_name: None,
            language: Language::PtBr,
            time_zone: ZoneName(chrono_tz::America::Sao_Paulo),
            templates: PathBuf::new(),
            connections_max: 4,
            messages_per_connection_max: 100,
            idle_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(20),
            timeout: Duration::from_secs(25),
            message_max_bytes: 256 * 1024,
            recipients: RecipientRules::default(),
            tenants: BTreeMap::new(),
        }
    }
}

impl MailConfig {
    /// What is wrong with the operator's templates, each fault with its file.
    pub fn template_faults(&self) -> Vec<String> {
        if self.templates.as_os_str().is_empty() {
            return Vec::new();
        }
        Templates::load(&self.templates, self.time_zone.0).err().unwrap_or_default()
    }

    /// The domain behind every Message-ID.
    pub(super) fn domain(&self) -> &str {
        let own = || self.from.as_ref().map_or("localhost", |from| from.0.email.domain());
        self.message_id_domain.as_ref().map_or_else(own, HostName::as_str)
    }

    /// What we call ourselves to the server.
    pub(super) fn hello_name(&self) -> &str {
        self.hello_name.as_ref().map_or_else(|| self.domain(), HostName::as_str)
    }
}

/// How the way to the server is kept from others' eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// TLS is asked for in the open, and nothing goes on without it.
    Starttls,
    /// TLS from the first byte.
    Tls,
    None,
}

/// What we sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailCredentials {
    pub username: SecretRef,
    pub password: SecretRef,
}

/// Who may be written to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecipientRules {
    /// Domains, or `*.domain` for every one below it; empty allows any.
    pub domains: Vec<String>,
}

/// The languages that messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    #[serde(rename = "pt-BR")]
    PtBr,
    #[serde(rename = "es")]
    Es,
    #[serde(rename = "en")]
    En,
    #[serde(rename = "pl")]
    Pl,
}

impl Language {
    /// Every language there is.
    pub const ALL: [Self; 4] = [Self::PtBr, Self::Es, Self::En, Self::Pl];

    /// Its tag (BCP 47), which is also the name of its folder of templates.
    pub fn tag(self) -> &'static str {
        match self {
            Self::PtBr => "pt-BR",
            Self::Es => "es",
            Self::En => "en",
            Self::Pl => "pl",
        }
    }

    /// The language of that tag.
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }
}

/// A text in configuration that is checked where it is read.
macro_rules! checked_text {
    ($(#[$meta:meta])* $name:ident, $inner:ty, $parse:expr, $show:expr, $needed:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub(super) $inner);

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                let parse: fn(&str) -> Option<$inner> = $parse;
                parse(&text).map(Self).ok_or($needed)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                let show: fn(&$inner) -> String = $show;
                show(&value.0)
            }
        }
    };
}

checked_text!(
    /// A name of the DNS, or an IP address.
    HostName,
    String,
    |text| is_host(text).then(|| text.to_owned()),
    String::clone,
    "must be a host's name or an IP address, without a scheme and a port"
);
checked_text!(
    /// An address with or without a name before it: `Loja Exemplo <avisos@example.com>`.
    ConfiguredMailbox,
    Mailbox,
    |text| text.parse::<Mailbox>().ok().filter(|mailbox| address::parse(mailbox.email.as_ref()).is_ok()),
    Mailbox::to_string,
    "must be one mailbox, such as Shop <notices@example.com>"
);
checked_text!(
    /// Where somebody says that they want no more of it.
    UnsubscribeUrl,
    String,
    |text| {
        let is_url = text.starts_with("https://") || text.starts_with("mailto:");
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>,".contains(&byte));
        (is_url && is_plain).then(|| text.to_owned())
    },
    String::clone,
    "must be one URL of https or mailto"
);
checked_text!(
    /// A time zone of the IANA's.
    ZoneName,
    Tz,
    |text| text.parse().ok(),
    |zone| zone.name().to_owned(),
    "must be a time zone of the IANA's, such as America/Sao_Paulo"
);

impl HostName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it means this machine.
    pub fn is_loopback(&self) -> bool {
        self.0 == "localhost" || self.0.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_mailboxes_and_zones_read_back_as_written() {
        for good in ["smtp.example.com", "localhost", "127.0.0.1", "::1"] {
            assert_eq!(String::from(HostName::try_from(good.to_owned()).unwrap()), good);
        }
        for bad in ["", "smtp.example.com:25", "smtp://example.com", "a b", "-a.example", "a..b", "é.example"]
        {
            assert!(HostName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        for good in ["avisos@example.com", "Loja <avisos@example.com>"] {
            let mailbox = ConfiguredMailbox::try_from(good.to_owned()).unwrap();
            assert_eq!(mailbox.0.email.to_string(), "avisos@example.com");
            assert_eq!(ConfiguredMailbox::try_from(String::from(mailbox.clone())), Ok(mailbox));
        }
        for bad in ["", "Loja", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com"] {
            assert!(ConfiguredMailbox::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(ZoneName::try_from("America/Sao_Paulo".to_owned()).is_ok());
        assert!(ZoneName::try_from("Brasília".to_owned()).is_err());
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let host = |text: &str| HostName::try_from(text.to_owned()).unwrap();
        assert!(["localhost", "127.0.0.1", "::1"].iter().all(|text| host(text).is_loopback()));
        assert!(!host("10.0.0.1").is_loopback() && !host("localhost.example").is_loopback());
    }

    #[test]
    fn where_nothing_is_said_the_senders_domain_counts() {
        let from = Some(ConfiguredMailbox::try_from("a@mail.example".to_owned()).unwrap());
        let mut config = MailConfig { from, ..MailConfig::default() };
        assert_eq!((config.domain(), config.hello_name()), ("mail.example", "mail.example"));
        config.message_id_domain = Some(HostName::try_from("ids.example".to_owned()).unwrap());
        assert_eq!((config.domain(), config.hello_name()), ("ids.example", "ids.example"));
    }
}
