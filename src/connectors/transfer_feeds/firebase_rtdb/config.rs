//! Settings of one feed of this kind.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone. **Fails** at start with every fault at once, by the names of the settings.
//! **Limits**: signing in is mandatory, for a database that the world may read is nobody's choice; TLS is too, but for
//! addresses of this machine where `allow_loopback` says so.

use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// How a database is reached, what stands where in it, and what is borne of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirebaseRtdbConfig {
    /// The database's own address. A query such as `?ns=demo` goes along with every call.
    pub database_url: Option<HttpUrl>,
    pub credentials: FirebaseCredentials,
    pub paths: FirebasePaths,
    pub audio: FirebaseAudio,
    /// The zone of the times that the feed writes without one, and of those that we write: a name such as
    /// America/Mexico_City.
    pub zone: String,
    /// Whether addresses of this machine may be called without TLS; for trials.
    pub allow_loopback: bool,
    /// Hosts, or hosts with ports, to which the database may redirect us besides those of its own domain.
    pub redirect_hosts: Vec<String>,
    /// The deadline of one call; of a stream, until it has begun.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// A stream from which nothing came for so long is given up. The server sends a sign of life about every 30 seconds.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long before its end a token is no longer used, and a stream under it made anew; never more than half of its life.
    #[serde(with = "humantime_serde")]
    pub token_leeway: Duration,
    /// The longest wait behind the first failure; each further one doubles it.
    #[serde(with = "humantime_serde")]
    pub reconnect_base: Duration,
    /// The longest wait of all.
    #[serde(with = "humantime_serde")]
    pub reconnect_cap: Duration,
    /// How long the reader of a stream waits for a full listener before it gives the stream up and begins anew.
    #[serde(with = "humantime_serde")]
    pub listener_patience: Duration,
    /// The longest line of the stream, the longest event, and the most that is kept of what is offered.
    pub event_bytes_max: usize,
    /// The longest answer to any other question, a page of a backlog included.
    pub answer_bytes_max: usize,
    /// How many records are told at once, and asked for at once where a backlog is paged.
    pub group_records_max: usize,
    /// How a backlog is paged that is too long for one event.
    pub paging: Paging,
    /// While a backlog is too long for the stream, only what is new is followed, and everything looked through again so often.
    #[serde(with = "humantime_serde")]
    pub backlog_interval: Duration,
    /// Whether a database without the index is read by pages instead of not at all. Slow, and it reads the whole history.
    pub allow_unindexed: bool,
}

/// What we sign in with: one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirebaseCredentials {
    /// The JSON file of a service account's key.
    pub service_account: Option<SecretRef>,
    /// A database secret of the old kind. It travels in the query, where proxies write it down: for who has nothing else.
    pub legacy_secret: Option<SecretRef>,
    /// Sign in as the emulator's owner.
    pub emulator: bool,
}

/// Where things stand in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirebasePaths {
    pub transfers: String,
    /// Ours alone: who works on what.
    pub claims: String,
    pub questionnaires: String,
    pub people: String,
    pub companies: String,
    pub users: String,
}

/// Where recorded answers are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirebaseAudio {
    /// The bucket; without one no address can be made.
    pub bucket: String,
    /// How long an address opens its object.
    #[serde(with = "humantime_serde")]
    pub expires_after: Duration,
    /// Where addresses that are not signed point to, instead of to the storage itself; for trials.
    pub base_url: Option<HttpUrl>,
}

/// How a backlog is paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// In the order of the keys, processed records included, which are left out here. Documented, and needs no index.
    ByKey,
    /// Only what is not processed, in the form in which Google's own clients ask for it.
    Filtered,
}

impl FirebaseRtdbConfig {
    /// Everything that is wrong with the settings, each by its name.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        match &self.database_url {
            None => demand(false, "database_url: needed"),
            Some(url) => demand(
                super::redirect::is_safe(url.url(), self.allow_loopback),
                "database_url: TLS is needed, or an address of this machine with allow_loopback",
            ),
        }
        let url = self.database_url.as_ref();
        demand(
            url.is_none_or(|url| url.url().query_pairs().all(|(name, _)| name == "ns")),
            "database_url: its query may say ns alone; secrets belong into credentials",
        );
        let ways = [
            self.credentials.service_account.is_some(),
            self.credentials.legacy_secret.is_some(),
            self.credentials.emulator,
        ];
        let ways = ways.into_iter().filter(|way| *way).count();
        demand(ways == 1, "credentials: one of service_account, legacy_secret and emulator is needed");
        demand(
            !self.credentials.emulator || self.allow_loopback,
            "credentials.emulator: only with allow_loopback",
        );
        demand(self.zone.parse::<Tz>().is_ok(), "zone: no zone of that name is known");
        for (name, path) in self.paths.named() {
            demand(is_path(path), &format!("paths.{name}: keys joined by / are needed"));
        }
        demand(self.paths.transfers != self.paths.claims, "paths.claims: must not be that of the transfers");
        let bucket = self.audio.bucket.as_str();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        demand(bucket.bytes().all(plain), "audio.bucket: small letters, digits, - _ and . are needed");
        let seconds = self.audio.expires_after.as_secs();
        demand((1..=604_800).contains(&seconds), "audio.expires_after: a second to 7 days is needed");
        demand(
            self.group_records_max > 0 && self.event_bytes_max > 0 && self.answer_bytes_max > 0,
            "limits: none may be 0",
        );
        faults
    }

    /// What is wrong with the settings for whoever wants recordings, each by its name.
    pub fn audio_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.audio.bucket.is_empty() {
            faults
                .push("audio.bucket: must be set, for recordings are handed out by their address".to_owned());
        }
        if self.audio.base_url.is_none() && self.credentials.service_account.is_none() {
            let reason = "needed where there is no service account, whose key addresses are signed with";
            faults.push(format!("audio.base_url: {reason}"));
        }
        faults
    }

    /// The zone of times without one; the checked settings have one.
    pub fn zone(&self) -> Tz {
        self.zone.parse().unwrap_or(Tz::UTC)
    }
}

impl FirebasePaths {
    fn named(&self) -> [(&'static str, &str); 6] {
        [
            ("transfers", &self.transfers),
            ("claims", &self.claims),
            ("questionnaires", &self.questionnaires),
            ("people", &self.people),
            ("companies", &self.companies),
            ("users", &self.users),
        ]
    }
}

fn is_path(path: &str) -> bool {
    path.split('/').all(|part| crate::domain::transfer::TransferKey::parse(part).is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::nowhere;
    use super::*;

    /// The settings of tests, with these over them.
    fn config(text: &str) -> FirebaseRtdbConfig {
        let mut settings = serde_json::to_value(nowhere()).unwrap();
        put(&mut settings, serde_json::from_str(text).unwrap());
        serde_json::from_value(settings).unwrap()
    }

    fn put(settings: &mut Value, over: Value) {
        match (settings, over) {
            (Value::Object(settings), Value::Object(over)) => {
                for (name, value) in over {
                    put(settings.entry(name).or_insert(Value::Null), value);
                }
            }
            (setting, value) => *setting = value,
        }
    }

    #[test]
    fn settings_that_work_have_no_fault() {
        for good in [
            r#"{"database_url":"https://demo.firebaseio.com","credentials":{"service_account":"file:a"}}"#,
            r#"{"database_url":"https://demo.europe-west1.firebasedatabase.app","zone":"America/Mexico_City",
                "credentials":{"legacy_secret":"env:A"},"paths":{"claims":"bursar/claims"},"paging":"filtered"}"#,
            r#"{"database_url":"http://127.0.0.1:9000/?ns=demo","allow_loopback":true,
                "credentials":{"emulator":true},"idle_timeout":"45s","audio":{"bucket":"demo.appspot.com"}}"#,
        ] {
            assert_eq!(config(good).faults(), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let wrong = config(
            r#"{"database_url":"http://demo.firebaseio.com","zone":"Nowhere","credentials":
                {"emulator":true,"legacy_secret":"env:A"},"paths":{"users":"a//b","claims":"Transfer"},
                "audio":{"bucket":"a/b","expires_after":"8days"},"group_records_max":0}"#,
        );
        let faults = wrong.faults().join("; ");
        for name in [
            "database_url:",
            "credentials:",
            "credentials.emulator:",
            "zone:",
            "paths.users:",
            "paths.claims:",
            "audio.bucket:",
            "audio.expires_after:",
            "limits:",
        ] {
            assert!(faults.contains(name), "{name} in {faults}");
        }
        assert!(config("{}").faults().join("; ").contains("database_url: needed"));
        let mut unknown = serde_json::to_value(nowhere()).unwrap();
        assert!(serde_json::from_value::<FirebaseRtdbConfig>(unknown.clone()).is_ok());
        unknown["url"] = "x".into();
        assert!(serde_json::from_value::<FirebaseRtdbConfig>(unknown).is_err());
    }

    #[test]
    fn recordings_need_a_bucket_and_a_key_that_signs() {
        let named = |text: &str| config(text).audio_faults().join("; ");
        let signing = r#"{"audio":{"bucket":"demo"},"credentials":{"service_account":"file:a"}}"#;
        assert_eq!(named(signing), "");
        assert_eq!(named(r#"{"audio":{"bucket":"demo","base_url":"http://127.0.0.1:9"}}"#), "");
        assert!(named(r#"{"credentials":{"service_account":"file:a"}}"#).starts_with("audio.bucket: "));
        assert!(named(r#"{"audio":{"bucket":"demo"},"credentials":{"emulator":true}}"#).contains("base_url"));
    }
}
