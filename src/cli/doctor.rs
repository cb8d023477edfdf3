//! `bursar doctor`: what is wrong here, or soon will be, before anybody is hurt by it.
//!
//! It looks at the configuration, the database, the clock, certificates and secrets, by itself: no service need be running, and
//! one that runs is not disturbed. Every finding says what is so, why it matters and what to do.
//!
//! **Owns** nothing. **Fails** with 1 when something is wrong, and under `--strict` also when something soon will be.
//! **Limits**: `store.timeout` for the database.

mod certificates;
mod database;

use chrono::Utc;
use clap::Args;
use serde_json::{Value, json};

use super::args::SettingsArgs;
use super::config::{probe::store_of, refused};
use super::exit::Exit;
use super::failure::Failure;
use super::screen::Screen;
use super::table::plain;
use crate::config::{self, Config};
use crate::connectors::secret::SecretRef;
use crate::store::examine::examine;

#[derive(Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// End with 1 also when nothing is wrong yet
    #[arg(long)]
    strict: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// It is as it should be, as far as can be seen from here.
    Well,
    /// It will be wrong unless somebody does something.
    Soon,
    /// It is wrong now.
    Wrong,
}

/// Something that was looked at.
struct Finding {
    level: Level,
    /// The key or the part of the house that it is about.
    subject: String,
    what: String,
    why: &'static str,
    /// What an operator does about it.
    remedy: String,
}

impl Finding {
    fn well(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Level::Well, subject, what, "", "")
    }

    fn new(
        level: Level,
        subject: impl Into<String>,
        what: impl Into<String>,
        why: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self { level, subject: subject.into(), what: what.into(), why, remedy: remedy.into() }
    }

    fn document(&self) -> Value {
        let level = match self.level {
            Level::Well => "well",
            Level::Soon => "soon",
            Level::Wrong => "wrong",
        };
        json!({ "level": level, "subject": self.subject, "what": self.what, "why": self.why, "do": self.remedy })
    }
}

pub(super) async fn run(args: DoctorArgs, screen: &mut Screen) -> Result<(), Failure> {
    let sources = args.settings.sources();
    let config = Config::load(&sources).map_err(refused)?;
    let version = env!("CARGO_PKG_VERSION");
    let mut findings = vec![Finding::well("configuration", format!("it is valid for bursar {version}"))];
    for warning in config::warnings(&sources.env) {
        let why = "what was meant may not be what is in effect";
        findings.push(Finding::new(
            Level::Soon,
            "configuration",
            warning,
            why,
            "`bursar config check` shows all of it",
        ));
    }
    let now = Utc::now();
    let store = store_of(&config);
    let examined = examine(&store, now).await;
    let of_banks = examined.as_ref().ok().and_then(Option::as_ref);
    let of_banks = of_banks.map(|examined| certificates::of_banks(&examined.bank_certificates, &config, now));
    findings.extend(database::findings(&config, examined, now));
    findings.extend(certificates::findings(&config, now));
    findings.extend(of_banks.unwrap_or_default());
    findings.extend(secrets(&config));
    let has = |level: Level| findings.iter().any(|finding| finding.level == level);
    let (is_wrong, is_soon) = (has(Level::Wrong), has(Level::Soon));
    let document = json!({ "findings": findings.iter().map(Finding::document).collect::<Vec<_>>() });
    screen.show(&document, text)?;
    match (is_wrong, is_soon && args.strict) {
        (true, _) => Err(Failure::ended(Exit::Failure, "something is wrong; each finding says what to do")),
        (false, true) => Err(Failure::ended(Exit::Failure, "something soon will be wrong")),
        (false, false) => Ok(()),
    }
}

/// Every secret that the configuration refers to can be read here and now.
fn secrets(config: &Config) -> Vec<Finding> {
    let references = config.secret_references();
    let count = references.len();
    let mut findings: Vec<Finding> = references
        .into_iter()
        .filter_map(|(key, reference)| {
            let fault = match SecretRef::parse(&reference) {
                Ok(reference) => reference.resolve().err()?.to_string(),
                Err(error) => error.to_string(),
            };
            let why = "whatever needs it fails when it is first used, and not at the start";
            let remedy = "set the variable for the service, or mount the file where its user can read it; \
                          run this as that user and with its environment";
            Some(Finding::new(Level::Wrong, key, fault, why, remedy))
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::well("secrets", format!("{count} references, all of them can be read")));
    }
    findings
}

fn text(document: &Value) -> String {
    let findings = document["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let mut text = String::new();
    for finding in findings {
        let mark = match finding["level"].as_str() {
            Some("wrong") => "WRONG",
            Some("soon") => "soon ",
            _ => "well ",
        };
        text.push_str(&format!("{mark}  {}: {}\n", plain(&finding["subject"]), plain(&finding["what"])));
        for part in ["why", "do"] {
            let said = plain(&finding[part]);
            if !said.is_empty() {
                text.push_str(&format!("       {part}: {said}\n"));
            }
        }
    }
    text
}
