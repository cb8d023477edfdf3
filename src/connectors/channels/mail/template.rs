//! What messages say: templates of the repository, and those of the operator's that go before them.
//!
//! A folder per language, and in it a text and a page for a type of event (`boleto.paid.txt`, `boleto.paid.html`), for a kind
//! of subject (`boleto.txt`) or for anything (`general.txt`); the nearest one counts. A text begins with its line `Subject: …`
//! and an empty one. What templates may use is what [`Told::values`] gives them; a name that is not there is an error.
//!
//! **Owns** the compiled templates. **Fails** at start, naming file and line, where one cannot be compiled or cannot be
//! filled in. **Limits**: 64 KiB a file, 1,000 files; no loops beyond [`FUEL`] steps; pages are escaped.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::json;

use super::config::Language;
use super::words;
use crate::domain::event;

/// Steps of one template.
const FUEL: u64 = 50_000;
const FILE_BYTES_MAX: u64 = 64 * 1024;
const FILES_MAX: usize = 1_000;
const SUBJECT_CHARS_MAX: usize = 200;
const LAYOUT: &str = "layout.html";
const GENERAL: &str = "general";

/// Our own, by the names under which an operator's go before them.
macro_rules! own {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("templates/", $name)))),*] };
}
const OWN: &[(&str, &str)] = own![
    "layout.html",
    "pt-BR/boleto.txt",
    "pt-BR/boleto.html",
    "pt-BR/endpoint.disabled.txt",
    "pt-BR/endpoint.disabled.html",
    "pt-BR/general.txt",
    "pt-BR/general.html",
    "pt-BR/transfer.done.txt",
    "pt-BR/transfer.done.html",
    "pt-BR/transfer.txt",
    "pt-BR/transfer.html",
    "pt-BR/payment.txt",
    "pt-BR/payment.html",
    "pt-BR/consent.txt",
    "pt-BR/consent.html",
    "pt-BR/sync.txt",
    "pt-BR/sync.html",
    "es/boleto.txt",
    "es/boleto.html",
    "es/endpoint.disabled.txt",
    "es/endpoint.disabled.html",
    "es/general.txt",
    "es/general.html",
    "es/transfer.done.txt",
    "es/transfer.done.html",
    "es/transfer.txt",
    "es/transfer.html",
    "es/payment.txt",
    "es/payment.html",
    "es/consent.txt",
    "es/consent.html",
    "es/sync.txt",
    "es/sync.html",
    "en/boleto.txt",
    "en/boleto.html",
    "en/endpoint.disabled.txt",
    "en/endpoint.disabled.html",
    "en/general.txt",
    "en/general.html",
    "en/transfer.done.txt",
    "en/transfer.done.html",
    "en/transfer.txt",
    "en/transfer.html",
    "en/payment.txt",
    "en/payment.html",
    "en/consent.txt",
    "en/consent.html",
    "en/sync.txt",
    "en/sync.html",
    "pl/boleto.txt",
    "pl/boleto.html",
    "pl/endpoint.disabled.txt",
    "pl/endpoint.disabled.html",
    "pl/general.txt",
    "pl/general.html",
    "pl/transfer.done.txt",
    "pl/transfer.done.html",
    "pl/transfer.txt",
    "pl/transfer.html",
    "pl/payment.txt",
    "pl/payment.html",
    "pl/consent.txt",
    "pl/consent.html",
    "pl/sync.txt",
    "pl/sync.html",
];

/// Every template, compiled and tried.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
    zone: Tz,
}

/// Something that a message tells.
pub(super) struct Told<'a> {
    pub event_id: String,
    pub event_type: &'a str,
    pub subject: &'a str,
    pub version: i64,
    pub occurred_at: DateTime<Utc>,
    /// What other channels are sent.
    pub body: serde_json::Value,
}

/// A message filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub subject: String,
    pub text: String,
    pub page: String,
}

impl Templates {
    /// Compiles ours and those of `folder` (none if it is empty), which are filled in once for every event that there is.
    ///
    /// # Errors
    /// Everything that is wrong, each with its file.
    pub(super) fn load(folder: &Path, zone: Tz) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut sources: BTreeMap<String, String> =
            OWN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        if !folder.as_os_str().is_empty() {
            read_folder(folder, &mut sources, &mut faults);
        }
        for name in sources.keys() {
            let other = match name.rsplit_once('.') {
                _ if name == LAYOUT => continue,
                Some((front, "txt")) => format!("{front}.html"),
                Some((front, _)) => format!("{front}.txt"),
                None => continue,
            };
            if !sources.contains_key(&other) {
                faults.push(format!("{name}: {other} has to be beside it"));
            }
        }
        let mut environment = environment(zone);
        for (name, text) in sources {
            if let Err(error) = environment.add_template_owned(name, text) {
                faults.push(error.to_string());
            }
        }
        let templates = Self { environment, zone };
        // Ours are tried by a test.
        if faults.is_empty() && !folder.as_os_str().is_empty() {
            faults = templates.try_all();
        }
        if faults.is_empty() { Ok(templates) } else { Err(faults) }
    }

    /// Fills in the nearest template.
    ///
    /// # Errors
    /// The file, the line and what is wrong there.
    pub(super) fn fill_in(&self, told: &Told<'_>, language: Language) -> Result<Letter, String> {
        let name = self.nearest(told.event_type, language);
        let values = told.values(language, self.zone);
        let render = |end: &str| -> Result<String, String> {
            let template = self.environment.get_template(&format!("{name}.{end}")).map_err(say)?;
            template.render(values.clone()).map_err(say)
        };
        let (text, page) = (render("txt")?, render("html")?);
        let (first, text) = text.split_once('\n').unwrap_or((&text, ""));
        let subject = first.strip_prefix("Subject: ").map(one_line).filter(|subject| !subject.is_empty());
        let subject =
            subject.ok_or_else(|| format!("{name}.txt: must begin with a line such as Subject: …"))?;
        Ok(Letter { subject, text: text.trim_start_matches(['\r', '\n']).to_owned(), page })
    }

    fn nearest(&self, event_type: &str, language: Language) -> String {
        let named = |name: &str| format!("{}/{name}", language.tag());
        let is_there = |name: &String| self.environment.get_template(&format!("{name}.txt")).is_ok();
        let kind = event_type.split_once('.').map_or(event_type, |(kind, _)| kind);
        [event_type, kind].into_iter().map(named).find(is_there).unwrap_or_else(|| named(GENERAL))
    }

    /// Everything that goes wrong when each event is told in each language, each fault once.
    fn try_all(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let types = event::types_for_owners();
        let types = types.iter().map(String::as_str).chain([event::ENDPOINT_TEST, "something.new"]);
        for event_type in types {
            for language in Language::ALL {
                let Err(fault) = self.fill_in(&sample(event_type), language) else { continue };
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
        faults
    }
}

impl Told<'_> {
    /// What templates may use.
    fn values(&self, language: Language, zone: Tz) -> Value {
        let kind = self.event_type.split_once('.').map_or(self.event_type, |(kind, _)| kind);
        let known_as = self.body.get("boleto_id").and_then(serde_json::Value::as_str).unwrap_or(self.subject);
        let status = self.body.get("status").and_then(serde_json::Value::as_str);
        Value::from(Serde(json!({
            "language": language.tag(),
            "event": {
                "id": self.event_id,
                "type": self.event_type,
                "title": words::title(self.event_type, language),
                "version": self.version,
                "time": words::moment(self.occurred_at, zone, language),
            },
            "subject": { "id": known_as, "kind": kind },
            "status": status,
            "status_name": status.map(|status| words::state(status, language)),
            // A caller's own text: a line of it must not become a line of ours.
            "reference_id": self.body.get("reference_id").and_then(serde_json::Value::as_str).map(one_line),
            "data": self.body.get("data").unwrap_or(&json!({})),
        })))
    }
}

fn environment(zone: Tz) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
    });
    environment.set_fuel(Some(FUEL));
    environment.add_filter("money", |state: &minijinja::State<'_, '_>, cents: i64| {
        language_of(state).map(|language| words::money(cents, language))
    });
    environment.add_filter("reason", |state: &minijinja::State<'_, '_>, text: String| {
        language_of(state).map(|language| words::reason(&text, language))
    });
    // Text of others': a line of it must not become a line of ours.
    environment.add_filter("line", |text: String| one_line(&text));
    environment.add_filter("date", |state: &minijinja::State<'_, '_>, text: String| {
        let date: NaiveDate = text.parse().map_err(|_| unfit("a date such as 2026-11-22 is needed"))?;
        language_of(state).map(|language| words::day(date, language))
    });
    environment.add_filter("datetime", move |state: &minijinja::State<'_, '_>, text: String| {
        let at = DateTime::parse_from_rfc3339(&text).map_err(|_| unfit("a time of RFC 3339 is needed"))?;
        language_of(state).map(|language| words::moment(at.to_utc(), zone, language))
    });
    environment
}

/// Of the template that is being filled in.
fn language_of(state: &minijinja::State<'_, '_>) -> Result<Language, Error> {
    let tag = state.lookup("language");
    let language = tag.as_ref().and_then(Value::as_str).and_then(Language::from_tag);
    language.ok_or_else(|| unfit("the name language is taken for something else"))
}

fn unfit(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

/// The error with its cause, which an inherited or included template hides behind itself.
fn say(error: Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SUBJECT_CHARS_MAX).collect()
}

/// An event of every field that its type has.
fn sample(event_type: &str) -> Told<'_> {
    let subject = "019abcde-0000-7000-8000-000000000001";
    let body = match event_type.split_once('.') {
        Some(("boleto", _)) => {
            json!({ "boleto_id": subject, "status": "registered", "reference_id": "order-1" })
        }
        Some(("transfer", state)) => json!({ "subject_id": subject, "data": sample_transfer(state) }),
        Some(("payment", state)) => json!({ "subject_id": subject, "data": sample_payment(state) }),
        Some(("consent", news)) => json!({ "subject_id": subject, "data": sample_consent(news) }),
        Some(("sync", _)) => json!({ "subject_id": subject, "data": sample_visit(subject) }),
        _ => {
            let data = json!({
                "endpoint_id": subject,
                "channel": "webhook",
                "reason": "every delivery has failed for 5days",
                "failing_since": "2026-11-22T12:00:00.000000Z",
            });
            json!({ "subject_id": subject, "data": data })
        }
    };
    let event_id = "019abcde-0000-7000-8000-000000000002".to_owned();
    Told { event_id, event_type, subject, version: 2, occurred_at: DateTime::UNIX_EPOCH, body }
}

fn sample_transfer(state: &str) -> serde_json::Value {
    let is_done = state == "done";
    json!({
        "feed": "main",
        "key": "-Nsample0000000000A1",
        "state": state,
        "reason": (!is_done).then_some("questionnaire_missing: the feed holds none of that key"),
        "run": 1,
        "analyzer": "nemesysco_ra7",
        "formula": "risk-5-95-v1",
        "result": is_done.then_some("38|40|95"),
        "vendor_risk_scores": is_done.then(|| json!([38, null, 95])),
        "questions": is_done.then_some(3),
        "has_fillers": is_done,
        "recorded_at": "2026-11-22T12:00:00.000000Z",
        "company_key": "-NsampleCompany00001",
        "person_key": "-NsamplePerson000001",
    })
}

fn sample_payment(state: &str) -> serde_json::Value {
    json!({
        "aspsp": "bank",
        "kind": "single",
        "external_id": "payment-1",
        "reference_id": "order-1",
        "user_id": "customer-1",
        "parent_id": null,
        "state": state,
        "raw_status": "ACSC",
        "reason": (state == "unresolved").then_some("too_old: no bank has said how it ended"),
    })
}

fn sample_consent(news: &str) -> serde_json::Value {
    let (status, reason) = match news {
        "expired" => ("expired", Some("its_end: it was valid until then")),
        "revoked" => ("revoked", Some("tokens_refused: the bank takes none of them")),
        _ => ("valid", None),
    };
    json!({
        "aspsp": "bank",
        "external_id": "consent-1",
        "user_id": "customer-1",
        "status": status,
        "valid_until": "2026-12-01T10:00:00.000000Z",
        "days_left": (status == "valid").then_some(7),
        "reason": reason,
    })
}

fn sample_visit(id: &str) -> serde_json::Value {
    json!({
        "aspsp": "bank",
        "consent_id": id,
        "user_id": "customer-1",
        "run_id": id,
        "reason": "unavailable: no answer",
        "failing_since": "2026-11-22T12:00:00.000000Z",
    })
}

fn read_folder(folder: &Path, sources: &mut BTreeMap<String, String>, faults: &mut Vec<String>) {
    let shelves = Language::ALL.map(|language| language.tag());
    let list = |folder: &Path| -> std::io::Result<Vec<fs::DirEntry>> {
        let mut found = fs::read_dir(folder)?.take(FILES_MAX).collect::<Result<Vec<_>, _>>()?;
        found.sort_by_key(fs::DirEntry::file_name);
        Ok(found)
    };
    let top = match list(folder) {
        Ok(top) => top,
        Err(error) => return faults.push(format!("the folder cannot be read: {}", error.kind())),
    };
    for entry in top {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == LAYOUT {
            read_file(&entry.path(), name, sources, faults);
        } else if shelves.contains(&name.as_str()) {
            let files = list(&entry.path()).unwrap_or_else(|error| {
                faults.push(format!("{name} cannot be read: {}", error.kind()));
                Vec::new()
            });
            for file in files {
                let own = file.file_name().to_string_lossy().into_owned();
                read_file(&file.path(), format!("{name}/{own}"), sources, faults);
            }
        } else {
            faults.push(format!("{name}: must be {LAYOUT} or a folder named {}", shelves.join(", ")));
        }
    }
}

fn read_file(path: &Path, name: String, sources: &mut BTreeMap<String, String>, faults: &mut Vec<String>) {
    let front = name.rsplit_once('/').map_or(name.as_str(), |(_, file)| file).rsplit_once('.');
    let is_known = |front: &str| {
        let kind = front.split('.').next().unwrap_or_default();
        front == GENERAL || event::SubjectKind::parse(kind).is_some()
    };
    let is_named =
        name == LAYOUT || front.is_some_and(|(front, end)| matches!(end, "txt" | "html") && is_known(front));
    if !is_named {
        return faults.push(format!(
            "{name}: must be named after a type or a kind of event, or general, and end in .txt or .html"
        ));
    }
    let is_small = path.metadata().is_ok_and(|found| found.is_file() && found.len() <= FILE_BYTES_MAX);
    match fs::read_to_string(path).ok().filter(|_| is_small) {
        Some(text) => drop(sources.insert(name, text)),
        None => faults.push(format!("{name}: must be a file of UTF-8 of at most 64 KiB")),
    }
}

#[cfg(test)]
mod tests;
