//! The texts of a configuration by their meaning, whatever room they belong to: what it reaches, what it reads.
//!
//! **Owns** nothing. **Fails** never. **Limits**: what shows every entry's keys but is no entry itself is left out.

use toml::{Table, Value};

use super::{Config, schema};

/// Tables that give their values to entries and are none themselves.
const PATTERNS: [&str; 2] = ["openbanking.aspsp.", "transfers.feed."];
/// Where links are said to lead, and what banks are told, which nobody here goes to.
const NOT_REACHED: [&str; 4] =
    ["documents.links.base_url", "dashboard.base_url", "link_base", "redirect_uri"];
/// What is reached by an address with its scheme.
const SCHEMES: [(&str, u16); 6] =
    [("https", 443), ("http", 80), ("nats", 4222), ("tls", 4222), ("ws", 80), ("wss", 443)];

/// A place outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outside {
    /// The key that names it.
    pub key: String,
    /// The whole address, without what stands behind the host; a scheme may be missing.
    pub scheme: String,
    pub host: String,
    pub port: u16,
    /// Whether it is vouched for by an authority of its own, and not by the machine's.
    pub has_own_authority: bool,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSource {
    pub key: String,
    /// Where it is kept, as a reference to a secret is written.
    pub reference: String,
    /// Whether it vouches for others, and is not shown to them.
    pub is_authority: bool,
}

impl Config {
    /// Every place outside that the configuration names, in the order of its keys, the database apart.
    pub fn outside(&self) -> Vec<Outside> {
        let texts = self.texts();
        let value = |key: &str| texts.iter().find(|(known, _)| known == key).map(|(_, text)| text.as_str());
        let mut found: Vec<Outside> = texts
            .iter()
            .filter(|(key, _)| !NOT_REACHED.iter().any(|not| key.ends_with(not)))
            .filter_map(|(key, text)| {
                let (scheme, host, port) = address(text)?;
                let table = key.rsplit_once('.').map_or("", |(table, _)| table);
                let has_own_authority = ["ca_file", "identity.ca_file", "otlp_ca_file"]
                    .iter()
                    .any(|name| value(&format!("{table}.{name}")).is_some_and(|file| !file.is_empty()));
                Some(Outside { key: key.clone(), scheme, host, port, has_own_authority })
            })
            .collect();
        if let Some(host) = value("channels.mail.server").filter(|host| !host.is_empty()) {
            let port = self.number("channels.mail.port").and_then(|port| u16::try_from(port).ok());
            found.push(Outside {
                key: "channels.mail.server".to_owned(),
                scheme: "smtp".to_owned(),
                host: host.to_owned(),
                port: port.unwrap_or(587),
                has_own_authority: true,
            });
        }
        found.sort();
        found
    }

    /// Every certificate that the configuration names.
    pub fn certificates(&self) -> Vec<CertificateSource> {
        let named = self.texts().into_iter().filter_map(|(key, text)| {
            let name = key.rsplit('.').next()?;
            let is_authority = name.ends_with("ca_file") || name == "client_ca";
            let reference = match name {
                _ if (name.ends_with("ca_file") || name == "certificate_file") && !text.is_empty() => {
                    format!("file:{text}")
                }
                "certificate" | "client_ca" if is_reference(&text) => text,
                _ => return None,
            };
            Some(CertificateSource { key, reference, is_authority })
        });
        named.collect()
    }

    /// Every reference to a secret, `env:NAME` or `file:PATH`, with its key.
    pub fn secret_references(&self) -> Vec<(String, String)> {
        self.texts().into_iter().filter(|(_, text)| is_reference(text)).collect()
    }

    /// Every text in effect, those of lists one by one under the key of their list.
    fn texts(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (path, value) in schema::flatten(self.as_table()) {
            let key = path.join(".");
            if !PATTERNS.iter().any(|pattern| key.starts_with(pattern)) {
                gather(&key, &value, &mut found);
            }
        }
        found
    }

    fn number(&self, key: &str) -> Option<i64> {
        let found = schema::flatten(self.as_table()).into_iter().find(|(path, _)| path.join(".") == key);
        found.and_then(|(_, value)| value.as_integer())
    }

    pub(super) fn as_table(&self) -> Table {
        let mut own = self.clone();
        // TOML is UTF-8; a path that somebody set from elsewhere need not be.
        own.data_dir = own.data_dir.to_string_lossy().into_owned().into();
        Table::try_from(&own)
            .expect("texts, numbers, lists and tables, which is all there is, can be written as TOML")
    }
}

fn gather(key: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((key.to_owned(), text.clone())),
        Value::Array(values) => values.iter().for_each(|value| gather(key, value, found)),
        Value::Table(table) => {
            table.iter().for_each(|(name, value)| gather(&format!("{key}.{name}"), value, found));
        }
        _ => {}
    }
}

fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// The scheme, host and port of an address that somebody is reached at.
fn address(text: &str) -> Option<(String, String, u16)> {
    let url: reqwest::Url = text.parse().ok()?;
    let (_, usual) = SCHEMES.iter().find(|(scheme, _)| *scheme == url.scheme())?;
    Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port().unwrap_or(*usual)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn what_is_reached_is_found_wherever_it_stands() {
        let sources = Sources::default()
            .with("telemetry.otlp_endpoint", "https://collector:4317")
            .with("telemetry.otlp_ca_file", "collector.pem")
            .with("channels.nats.servers", "['nats://a.example', 'tls://b.example:4443']")
            .with("channels.mail.server", "mail.example")
            .with("channels.mail.from", "owner@shop.example")
            .with("openbanking.aspsps.north.base_url", "https://north.example/psd2")
            .with("openbanking.aspsps.north.identity.certificate", "file:qwac.pem")
            .with("openbanking.aspsps.north.identity.private_key", "env:QWAC_KEY")
            .with("documents.links.base_url", "https://pay.example");
        let config = Config::load(&sources).unwrap();
        let outside = config.outside();
        let at = |key: &str| -> Vec<(&str, u16)> {
            outside.iter().filter(|it| it.key == key).map(|it| (it.host.as_str(), it.port)).collect()
        };
        assert_eq!(at("telemetry.otlp_endpoint"), [("collector", 4317)]);
        let own = |host: &str| outside.iter().any(|it| it.host == host && it.has_own_authority);
        assert!(own("collector") && !own("north.example"), "{outside:?}");
        assert_eq!(at("channels.nats.servers"), [("a.example", 4222), ("b.example", 4443)]);
        assert_eq!(at("openbanking.aspsps.north.base_url"), [("north.example", 443)]);
        assert_eq!(at("channels.mail.server").len(), 1);
        assert!(at("documents.links.base_url").is_empty() && at("openbanking.aspsp.base_url").is_empty());
        let certificates = config.certificates();
        let known: Vec<_> = certificates.iter().map(|it| (it.key.as_str(), it.is_authority)).collect();
        let expected =
            [("openbanking.aspsps.north.identity.certificate", false), ("telemetry.otlp_ca_file", true)];
        assert_eq!(known, expected);
        assert_eq!(certificates[1].reference, "file:collector.pem");
        let secrets: Vec<_> = config.secret_references().into_iter().map(|(key, _)| key).collect();
        assert!(secrets.contains(&"openbanking.aspsps.north.identity.private_key".to_owned()), "{secrets:?}");
    }
}
