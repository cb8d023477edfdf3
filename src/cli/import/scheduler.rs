//! `bursar import scheduler`: takes over what the bank scheduler before kept, from CSV files with a heading.
//!
//! It opens the store as `serve` does, and begins by writing down in the audit who takes over which files. Each group of records is one transaction, and each thing comes once by the name that it had there:
//! an import that was interrupted is simply begun again. What our rules refuse is reported with its line and its reasons, never with
//! its values, and not repaired. No tokens are taken over: they lie in no CSV file, and come by `ImportConsents`.
//!
//! ```text
//! --users      user_id, update_offline [, active, last_synced_at]                                         the collection User
//! --consents   user_id, aspsp, consent_id [, status, valid_until, frequency_per_day]
//! --payments   aspsp, payment_id, status, standard [, kind, product, user_id, reference_id, created_at, is_our_name]   payment.Payment
//! --sessions   session_id, aspsp, consent_id, session_source, started_at [, ended_at, state]                    the table ApiSession
//! ```
//!
//! **Owns** nothing. **Fails** in the terms of the other commands; records that were refused are no failure of the command.
//! **Limits**: [`GROUP`] records in memory; a record of 64 KiB. The service before must have stopped, or what it does meanwhile is not
//! seen.

mod consents;
mod csv;
mod payments;
mod sessions;
mod users;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use tonic::Code;

use self::csv::{Broken, Csv, Record};
use super::report::{Report, of_open, of_store};
use crate::cli::args::SettingsArgs;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use crate::cli::screen::Screen;
use crate::config::Config;
use crate::domain::ids::TenantId;
use crate::store::connect::default_url;
use crate::store::{Store, StoreConfig};

/// Records of one transaction.
const GROUP: usize = 250;
const NAME_CHARS_MAX: usize = 255;

/// What the layout of each file is, for the help.
const LAYOUT: &str = "\
Every file is CSV (RFC 4180, UTF-8) with a heading; columns are found by name, in any order and spelling (`updateOffline` is
`update_offline`), and others are passed over. Times are RFC 3339; without an offset they are UTC.

  --users     user_id, update_offline; optional: active, last_synced_at
              update_offline is yes for exactly `true`, and no for everything else; what is neither true, false nor empty is
              reported. active is yes unless it is exactly `false`.
  --consents  user_id, aspsp, consent_id; optional: status, valid_until, frequency_per_day
              status is received, valid (also where it is empty), expired or revoked.
  --payments  aspsp, payment_id, status, standard; optional: kind, product, user_id, reference_id, created_at, is_our_name
              standard is berlin_group or polish_api; kind is single (also where it is empty), bundle or recurring. status is
              `InProgress` as the table payment.Payment has it, done, rejected, cancelled, mixed or unresolved, or the bank's own
              word, which is kept.
  --sessions  session_id, aspsp, consent_id, session_source, started_at; optional: ended_at, state
              Their consents must be known, by --consents or by ImportConsents. state is ok (also where it is empty), failed,
              rate_limited or cancelled.

They are read in this order, so that one command takes them all over. Tokens are not taken from CSV: they come by
`bursar openbanking consent import`.";

#[derive(Args)]
#[command(
    after_help = LAYOUT,
    group(ArgGroup::new("files").required(true).multiple(true).args(["users", "consents", "payments", "sessions"]))
)]
pub(in crate::cli) struct SchedulerArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Customers with the flag
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// What they have allowed at their banks
    #[arg(long, value_name = "FILE")]
    consents: Option<PathBuf>,
    /// The table payment.Payment
    #[arg(long, value_name = "FILE")]
    payments: Option<PathBuf>,
    /// The table ApiSession
    #[arg(long, value_name = "FILE")]
    sessions: Option<PathBuf>,
    /// Whose they become
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// Why; kept for the audit
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Write nothing, and say what is wrong with the files
    #[arg(long)]
    dry_run: bool,
    /// A file for what was refused, one line of JSON each, instead of the screen
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What of one file has come to what.
#[derive(Default)]
pub(super) struct Counts {
    read: u64,
    written: u64,
    /// As it was told.
    known: u64,
    refused: u64,
}

/// An import under way.
pub(super) struct Import<'a> {
    store: Store,
    tenant: TenantId,
    dry_run: bool,
    now: DateTime<Utc>,
    report: Report<'a>,
}

/// What of a record of one kind becomes of it.
pub(super) trait Kind {
    /// What a report calls it.
    const NAME: &'static str;
    /// What the progress says.
    const WORDS: &'static str;
    /// Columns that must be there.
    const COLUMNS: &'static [&'static str];
    /// A record that breaks no rule by itself.
    type Item;

    /// Reads a record, or says every reason why it is none. A note is something that was read as the rules say and may surprise.
    fn read(record: &Record<'_>, import: &Import<'_>) -> Result<(Self::Item, Option<String>), Vec<String>>;

    /// Writes a group, or rehearses it: of each whether anything was new, or why it was refused.
    async fn write(import: &Import<'_>, items: &[Self::Item]) -> Result<Vec<Result<bool, String>>, Failure>;
}

pub(super) async fn run(args: &SchedulerArgs, screen: &mut Screen) -> Result<(), Failure> {
    let invalid = |why: String| Failure::found(Code::InvalidArgument, why);
    let tenant = TenantId::parse(&args.tenant).map_err(|error| invalid(format!("the tenant: {error}")))?;
    let config = Config::load(&args.settings.sources()).map_err(|errors| invalid(errors.to_string()))?;
    let report = Report::open(args.report.as_deref(), screen)?;
    let url = match config.store.url.as_str() {
        "" => default_url(&config.data_dir),
        url => url.to_owned(),
    };
    let store = Store::open(&StoreConfig { url, ..config.store }).await.map_err(|error| of_open(&error))?;
    // To the microsecond, as the store keeps it.
    let now = Utc::now();
    let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
    let mut import = Import { store: store.clone(), tenant, dry_run: args.dry_run, now, report };
    let outcome = import.everything(args).await;
    // What was committed is not changed by how the connection ends.
    let _ = store.close().await;
    let document = outcome?;
    import.report.screen.show(&document, text)
}

impl Import<'_> {
    async fn everything(&mut self, args: &SchedulerArgs) -> Result<Value, Failure> {
        if !self.store.tenant_exists(&self.tenant).await.map_err(|error| of_store(&error))? {
            return Err(Failure::found(Code::NotFound, "there is no such tenant"));
        }
        if !self.dry_run {
            let files = [&args.users, &args.consents, &args.payments, &args.sessions];
            let files: Vec<String> =
                files.into_iter().flatten().map(|file| file.display().to_string()).collect();
            let from = json!({ "from": "scheduler", "files": files });
            super::write_down(&self.store, &self.tenant, "ImportScheduler", from, &args.reason).await?;
        }
        let mut document = json!({ "dry_run": self.dry_run });
        if let Some(path) = &args.users {
            document["users"] = self.file::<users::Users>(path).await?;
        }
        if let Some(path) = &args.consents {
            document["consents"] = self.file::<consents::Consents>(path).await?;
        }
        if let Some(path) = &args.payments {
            document["payments"] = self.file::<payments::Payments>(path).await?;
        }
        if let Some(path) = &args.sessions {
            document["sessions"] = self.file::<sessions::Sessions>(path).await?;
        }
        Ok(document)
    }

    /// Takes one file over, group by group.
    async fn file<K: Kind>(&mut self, path: &Path) -> Result<Value, Failure> {
        let refused = |line: u64, why: &str| {
            let message = format!("{}, line {line}: {why}", path.display());
            Failure::found(Code::InvalidArgument, message)
        };
        let source = File::open(path).map_err(|error| refused(0, &error.kind().to_string()))?;
        let of_file = |broken: Broken| match broken {
            Broken::Record { line, why } => refused(line, why),
            Broken::File { line, why } => refused(line, &why),
        };
        let mut csv = Csv::open(BufReader::new(source), K::COLUMNS).map_err(of_file)?;
        let (mut counts, mut progress) = (Counts::default(), Progress::begin(K::WORDS));
        let (mut items, mut lines) = (Vec::with_capacity(GROUP), Vec::with_capacity(GROUP));
        loop {
            match csv.next() {
                Ok(Some(record)) => {
                    counts.read += 1;
                    let line = record.line;
                    match K::read(&record, self) {
                        Ok((item, note)) => {
                            if let Some(note) = note {
                                let note =
                                    json!({ "kind": "note", "of": K::NAME, "line": line, "note": note });
                                self.report.line(&note)?;
                            }
                            items.push(item);
                            lines.push(line);
                        }
                        Err(reasons) => self.refuse::<K>(line, &reasons, &mut counts)?,
                    }
                }
                Ok(None) => break,
                Err(Broken::Record { line, why }) => {
                    counts.read += 1;
                    self.refuse::<K>(line, &[why.to_owned()], &mut counts)?;
                }
                Err(broken) => {
                    self.group::<K>(&mut items, &mut lines, &mut counts).await?;
                    return Err(of_file(broken));
                }
            }
            if items.len() == GROUP {
                self.group::<K>(&mut items, &mut lines, &mut counts).await?;
                progress.step(counts.read, None, self.report.screen);
            }
        }
        self.group::<K>(&mut items, &mut lines, &mut counts).await?;
        progress.end(self.report.screen);
        Ok(counts.document())
    }

    async fn group<K: Kind>(
        &mut self,
        items: &mut Vec<K::Item>,
        lines: &mut Vec<u64>,
        counts: &mut Counts,
    ) -> Result<(), Failure> {
        if items.is_empty() {
            return Ok(());
        }
        let outcomes = K::write(self, items).await?;
        for (line, outcome) in lines.drain(..).zip(outcomes) {
            match outcome {
                Ok(true) => counts.written += 1,
                Ok(false) => counts.known += 1,
                Err(why) => self.refuse::<K>(line, &[why], counts)?,
            }
        }
        items.clear();
        let last = json!({ "kind": "checkpoint", "of": K::NAME, "read": counts.read });
        self.report.note(&last)
    }

    fn refuse<K: Kind>(&mut self, line: u64, reasons: &[String], counts: &mut Counts) -> Result<(), Failure> {
        counts.refused += 1;
        self.report.line(&json!({ "kind": K::NAME, "line": line, "reasons": reasons }))
    }
}

impl Counts {
    fn document(&self) -> Value {
        json!({
            "read": self.read, "written": self.written, "known": self.known, "refused": self.refused,
        })
    }
}

fn text(document: &Value) -> String {
    let became = if document["dry_run"] == true { "to be written" } else { "written" };
    let mut text = String::new();
    for name in ["users", "consents", "payments", "sessions"] {
        let counts = &document[name];
        if counts.is_null() {
            continue;
        }
        text.push_str(&format!(
            "{name} {became}: {} of {} ({} known, {} refused)\n",
            counts["written"], counts["read"], counts["known"], counts["refused"],
        ));
    }
    text
}

/// A name that may not be left out.
fn name(record: &Record<'_>, column: &str, reasons: &mut Vec<String>) -> String {
    let text = optional_name(record, column, reasons);
    if text.is_none() {
        reasons.push(format!("{column}: required"));
    }
    text.unwrap_or_default()
}

fn optional_name(record: &Record<'_>, column: &str, reasons: &mut Vec<String>) -> Option<String> {
    let text = record.get(column);
    if text.chars().count() > NAME_CHARS_MAX || text.chars().any(char::is_control) {
        reasons.push(format!("{column}: at most {NAME_CHARS_MAX} characters, none of them for control"));
    }
    (!text.is_empty()).then(|| text.to_owned())
}

/// The name of a bank as the configuration may have it.
fn aspsp(record: &Record<'_>, reasons: &mut Vec<String>) -> String {
    let text = record.get("aspsp");
    let fits = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-".contains(&letter);
    if !(1..=63).contains(&text.len()) || !text.bytes().all(fits) {
        reasons.push("aspsp: 1 to 63 of a-z, 0-9, _ and -".to_owned());
    }
    text.to_owned()
}

/// A moment that may be left out; without an offset it is UTC.
fn moment(record: &Record<'_>, column: &str, reasons: &mut Vec<String>) -> Option<DateTime<Utc>> {
    let text = record.get(column);
    if text.is_empty() {
        return None;
    }
    let with_offset = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let bare = |text: &str| {
        let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
        formats.into_iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let at = with_offset.ok().or_else(|| bare(text).map(|at| at.and_utc()));
    // As the store keeps it.
    let at = at.and_then(|at| DateTime::from_timestamp_micros(at.timestamp_micros()));
    if at.is_none() {
        reasons.push(format!("{column}: no time, such as 2027-03-01T00:00:00Z"));
    }
    at
}

#[cfg(test)]
mod tests;
