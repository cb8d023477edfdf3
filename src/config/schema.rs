//! Which keys there are and what each takes, learnt from `config/default.toml` and from the rooms' own types.
//!
//! **Owns** the table of defaults. **Fails** with a [`Problem`] per key, so that all can be told at once: each setting is
//! tried alone upon the defaults, which are known to be good.

use std::slice;

use figment::error::Kind;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::error::{Problem, TOGETHER};
use super::source::Setting;
use super::{Config, DEFAULT_TOML, bounds};

/// Keys whose empty text stands for "not set".
const UNSET_IF_EMPTY: &[&[&str]] = &[
    &["api", "tls", "certificate"],
    &["api", "tls", "private_key"],
    &["api", "tls", "client_ca"],
    &["documents", "links", "base_url"],
    &["http", "user_agent"],
    &["secrets", "key"],
    &["banks", "boleto_api", "api_url"],
    &["banks", "bradesco_apiregistro", "api_url"],
    &["banks", "bradesco_shopfacil", "api_url"],
    &["ingress", "boletos_to_register", "queue_url"],
    &["ingress", "boletos_to_register", "region"],
    &["channels", "sqs", "endpoint"],
    &["channels", "sqs", "region"],
    &["channels", "sqs", "credentials", "access_key_id"],
    &["channels", "sqs", "credentials", "secret_access_key"],
    &["channels", "sqs", "credentials", "session_token"],
    &["channels", "nats", "credentials", "user"],
    &["channels", "nats", "credentials", "password"],
    &["channels", "nats", "credentials", "token"],
    &["channels", "nats", "credentials", "nkey_seed"],
    &["channels", "nats", "credentials", "creds"],
    &["channels", "mail", "server"],
    &["channels", "mail", "from"],
    &["channels", "mail", "reply_to"],
    &["channels", "mail", "list_unsubscribe"],
    &["channels", "mail", "message_id_domain"],
    &["channels", "mail", "hello_name"],
    &["channels", "mail", "credentials", "username"],
    &["channels", "mail", "credentials", "password"],
    &["analyzers", "nemesysco_ra7", "prefix"],
    &["analyzers", "nemesysco_ra7", "auth"],
    &["analyzers", "nemesysco_container", "url"],
    &["analyzers", "nemesysco_container", "auth"],
    &["analyzers", "nemesysco_cloud", "url"],
    &["analyzers", "nemesysco_cloud", "auth"],
    &["analyzers", "emotion_logic", "api_key"],
    &["analyzers", "emotion_logic", "api_key_password"],
    &["transfers", "feed", "firebase_rtdb", "database_url"],
    &["transfers", "feed", "firebase_rtdb", "credentials", "service_account"],
    &["transfers", "feed", "firebase_rtdb", "credentials", "legacy_secret"],
    &["transfers", "feed", "firebase_rtdb", "audio", "base_url"],
    &["openbanking", "aspsp", "base_url"],
    &["openbanking", "aspsp", "identity", "certificate"],
    &["openbanking", "aspsp", "identity", "private_key"],
    &["openbanking", "aspsp", "signature", "certificate"],
    &["openbanking", "aspsp", "signature", "private_key"],
    &["openbanking", "aspsp", "quota", "zone"],
    &["openbanking", "aspsp", "berlin_group", "link_base"],
    &["openbanking", "aspsp", "berlin_group", "token", "url"],
    &["openbanking", "aspsp", "berlin_group", "token", "client_secret"],
    &["openbanking", "internal_api", "base_url"],
    &["openbanking", "internal_api", "authorization"],
    &["openbanking", "internal_api", "identity", "certificate"],
    &["openbanking", "internal_api", "identity", "private_key"],
    &["telemetry", "otlp_endpoint"],
    &["metrics", "listen"],
    &["dashboard", "base_url"],
];
/// A table whose keys are names of the operator's own, and the table whose keys each of its entries has.
type ByName = (&'static [&'static str], &'static [&'static str]);
const BY_NAME: [ByName; 7] = [
    (&["access", "certificates"], &["access", "certificate"]),
    (&["channels", "nats", "tenants"], &["channels", "nats", "subjects"]),
    (&["channels", "sqs", "tenants"], &["channels", "sqs", "queues"]),
    (&["openbanking", "aspsps"], &["openbanking", "aspsp"]),
    (&["retention", "tenants"], &["retention", "tenant"]),
    (&["transfers", "feeds"], &["transfers", "feed"]),
    (&["work", "queues"], &["work", "tenants"]),
];
/// Those whose entries have the values of that table as well, wherever they do not say their own.
const INHERITING: [ByName; 4] = [
    (&["access", "certificates"], &["access", "certificate"]),
    (&["openbanking", "aspsps"], &["openbanking", "aspsp"]),
    (&["retention", "tenants"], &["retention", "tenant"]),
    (&["transfers", "feeds"], &["transfers", "feed"]),
];
/// Keys less alike than this are not offered as what was meant.
const LIKENESS_MIN: f64 = 0.5;

/// Every key there is.
pub(super) struct Schema {
    defaults: Table,
}

impl Schema {
    pub(super) fn of_defaults() -> Self {
        let defaults =
            DEFAULT_TOML.parse().expect("a test reads config/default.toml, which is part of the program");
        Self { defaults }
    }

    pub(super) fn defaults(&self) -> &Table {
        &self.defaults
    }

    /// The default of a key, or the table of that name.
    pub(super) fn find(&self, path: &[String]) -> Option<&Value> {
        get(&self.defaults, &canonical(path))
    }

    /// The known key that looks most like this one.
    pub(super) fn nearest(&self, path: &[String]) -> Option<String> {
        let wanted = canonical(path);
        let by_name = wanted != path;
        let wanted = wanted.join(".");
        let (likeness, nearest) = flatten(self.defaults.clone())
            .into_iter()
            .map(|(known, _)| (strsim::normalized_damerau_levenshtein(&known.join("."), &wanted), known))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        if likeness < LIKENESS_MIN {
            return None;
        }
        // What was looked up among the keys of every entry is told as a key of this one.
        let told = BY_NAME
            .iter()
            .filter(|(table, _)| by_name && path.starts_with(&to_owned(table)))
            .find_map(|(table, entry)| {
                let rest = nearest.strip_prefix(to_owned(entry).as_slice())?;
                Some([&path[..=table.len()], rest].concat().join("."))
            });
        Some(told.unwrap_or_else(|| nearest.join(".")))
    }

    /// What is wrong with a setting of a known key, looked at alone.
    pub(super) fn verdict(&self, setting: &Setting) -> Result<(), Problem> {
        let refuse = |reason: String| Err(Problem::bad(setting.key(), &setting.origin, reason));
        let canonical = canonical(&setting.path);
        if get(&self.defaults, &canonical).is_some_and(Value::is_table) {
            return if setting.value.is_table() { Ok(()) } else { refuse("must be a table".to_owned()) };
        }
        if let Some(rule) = bounds::rule(&canonical.join(".")) {
            let unset = setting.value.as_str() == Some("") && is_unset_if_empty(&setting.path);
            return if unset || rule.admits(&setting.value) {
                Ok(())
            } else {
                refuse(format!("must be {rule}"))
            };
        }
        let mut table = self.defaults.clone();
        put(&mut table, &setting.path, setting.value.clone());
        match extract::<Config>(&table) {
            // Another key of the same table may give what is missing; the whole is looked at later.
            Err(error) if !error.missing() => refuse(reason(&error.kind)),
            _ => Ok(()),
        }
    }
}

/// Gives every entry that inherits what it does not say itself.
pub(super) fn inherit(merged: &mut Table) {
    for (table, entry) in INHERITING {
        let Some(Value::Table(shared)) = get(merged, &to_owned(entry)).cloned() else { continue };
        for name in names(merged, table) {
            let path = [to_owned(table), vec![name]].concat();
            let Some(Value::Table(own)) = get(merged, &path).cloned() else { continue };
            let mut whole = shared.clone();
            flatten(own).into_iter().for_each(|(path, value)| put(&mut whole, &path, value));
            put(merged, &path, Value::Table(whole));
        }
    }
}

/// Puts every key of each entry that inherits into `shown`, unset, so that what an entry leaves empty is seen as empty.
pub(super) fn show_entries(shown: &mut Table, own: &Table) {
    for (table, entry) in INHERITING {
        let Some(keys) = get(shown, &to_owned(entry)).cloned() else { continue };
        for name in names(own, table) {
            put(shown, &[to_owned(table), vec![name]].concat(), keys.clone());
        }
    }
}

/// For each entry that inherits, how the keys of its table begin, and how its own do.
pub(super) fn inheritance(merged: &Table) -> Vec<(String, String)> {
    let entries = |(table, entry): ByName| {
        let names = names(merged, table).into_iter();
        names.map(move |name| (format!("{}.", entry.join(".")), format!("{}.{name}.", table.join("."))))
    };
    INHERITING.into_iter().flat_map(entries).collect()
}

fn names(merged: &Table, table: &[&str]) -> Vec<String> {
    let entries = get(merged, &to_owned(table)).and_then(Value::as_table);
    entries.map(|entries| entries.keys().cloned().collect()).unwrap_or_default()
}

/// Looks at what no setting alone can show: access keys must be whole. They are taken out if they are not, so that
/// the rest can still be looked at.
pub(super) fn check_whole(merged: &mut Table, problems: &mut Vec<Problem>) {
    let sqs =
        merged.get_mut("channels").and_then(|channels| channels.get_mut("sqs")).and_then(Value::as_table_mut);
    let sqs = sqs.expect("the defaults have this table, and no setting but a table replaces a table");
    let set = |name: &str| sqs["credentials"][name].as_str() != Some("");
    let (id, secret, token) = (set("access_key_id"), set("secret_access_key"), set("session_token"));
    if (id && secret) || !(id || secret || token) {
        return;
    }
    for (name, _) in
        [("access_key_id", id), ("secret_access_key", secret)].into_iter().filter(|(_, set)| !set)
    {
        let key = format!("channels.sqs.credentials.{name}");
        problems.push(Problem::bad(key, TOGETHER, "must be set if another key of its table is"));
    }
    sqs.remove("credentials");
}

/// Looks at how we sign in at NATS: in one way, and with all that belongs to it.
pub(super) fn check_nats(merged: &Table, problems: &mut Vec<Problem>) {
    let text = |path: &[&str]| get(merged, &to_owned(path)).and_then(Value::as_str).unwrap_or_default() != "";
    let set = |name: &str| text(&["channels", "nats", "credentials", name]);
    let (user, password) = (set("user"), set("password"));
    for (name, is_missing) in [("user", password && !user), ("password", user && !password)] {
        if is_missing {
            let key = format!("channels.nats.credentials.{name}");
            problems.push(Problem::bad(key, TOGETHER, "must be set if the other of user and password is"));
        }
    }
    let ways = [user || password, set("token"), set("nkey_seed"), set("creds")];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        let reason = "must hold one of user and password, token, nkey_seed or creds";
        problems.push(Problem::bad("channels.nats.credentials", TOGETHER, reason));
    }
    let file = |name: &str| text(&["channels", "nats", name]);
    for (name, other) in [("certificate_file", "private_key_file"), ("private_key_file", "certificate_file")]
    {
        if file(other) && !file(name) {
            let reason = format!("must be set if channels.nats.{other} is");
            problems.push(Problem::bad(format!("channels.nats.{name}"), TOGETHER, reason));
        }
    }
}

/// Reads a table that has every key, but for those that its entries inherit.
pub(super) fn extract<T: DeserializeOwned>(table: &Table) -> Result<T, Box<figment::Error>> {
    let mut table = table.clone();
    inherit(&mut table);
    for path in UNSET_IF_EMPTY {
        unset(&mut table, path);
        for (by_name, entry) in INHERITING {
            let Some(rest) = path.strip_prefix(entry) else { continue };
            for name in names(&table, by_name) {
                unset(&mut table, &[by_name, &[name.as_str()], rest].concat());
            }
        }
    }
    let value = figment::value::Value::serialize(&table).map_err(Box::new)?;
    value.deserialize().map_err(Box::new)
}

/// What was wanted where an error arose, without what was found there.
pub(super) fn reason(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(_, expected)
        | Kind::InvalidValue(_, expected)
        | Kind::InvalidLength(_, expected) => {
            format!("must be {expected}")
        }
        Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
        // Said by our own types, which promise not to repeat the text, and by the standard library, which does not.
        Kind::Message(text) => text.clone(),
        Kind::MissingField(name) => format!("{name} is missing"),
        _ => "must be of another kind".to_owned(),
    }
}

/// Every key with its value; a table without keys counts as a value.
pub(super) fn flatten(table: Table) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) if !inner.is_empty() => {
                let deeper = flatten(inner).into_iter();
                found.extend(
                    deeper.map(|(path, value)| ([slice::from_ref(&key), path.as_slice()].concat(), value)),
                );
            }
            value => found.push((vec![key], value)),
        }
    }
    found
}

/// Sets one key, making the tables on its way. An empty table goes over nothing but a value.
pub(super) fn put(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key]
            if value.as_table().is_some_and(Table::is_empty)
                && table.get(key).is_some_and(Value::is_table) => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn get<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (last, front) = path.split_last()?;
    front.iter().try_fold(table, |table, key| table.get(key)?.as_table())?.get(last)
}

/// Takes an empty text out, and the table around it once nothing is left there.
fn unset(table: &mut Table, path: &[&str]) {
    match path {
        [key] if table.get(*key).and_then(Value::as_str) == Some("") => {
            table.remove(*key);
        }
        [key, rest @ ..] if !rest.is_empty() => {
            let Some(Value::Table(inner)) = table.get_mut(*key) else { return };
            unset(inner, rest);
            if inner.is_empty() {
                table.remove(*key);
            }
        }
        _ => {}
    }
}

fn is_unset_if_empty(path: &[String]) -> bool {
    let path = canonical(path);
    UNSET_IF_EMPTY.iter().any(|known| path == to_owned(known))
}

/// Where a key is described: that of an entry with a name of the operator's own, in the table that shows its keys.
pub(super) fn canonical(path: &[String]) -> Vec<String> {
    let described =
        BY_NAME.iter().find_map(|(table, entry)| match path.strip_prefix(to_owned(table).as_slice()) {
            Some([_, rest @ ..]) => Some([to_owned(entry).as_slice(), rest].concat()),
            _ => None,
        });
    described.unwrap_or_else(|| path.to_vec())
}

fn to_owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&key| key.to_owned()).collect()
}
