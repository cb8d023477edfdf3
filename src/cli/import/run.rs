//! The import itself: accounts first, with their counters moved past every number that was given out, then boletos in the
//! order of their old ids.
//!
//! **Owns** both databases while it runs. **Fails** when a database does not answer; what was committed stays, and the same
//! command goes on from there. **Limits**: one group of boletos in memory at a time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

use super::SuperbowletoArgs;
use super::accounts::{self, Agreement, Common, Directory, Wanted};
use super::boleto::LegacyBoleto;
use super::report::{Report, of_open, of_store};
use crate::cli::failure::{self, Failure};
use crate::cli::screen::Screen;
use crate::config::Config;
use crate::connectors::channels::{Channel as _, ChannelConnector, ChannelKind, Destination};
use crate::connectors::secret::SecretRef;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::{BankAccount, Beneficiary, Provider};
use crate::domain::boleto::status::Status;
use crate::domain::ids::{EndpointId, EventId, TenantId};
use crate::domain::tax_id::{TaxId, TaxIdKind};
use crate::domain::violation::Violation;
use crate::messages::boleto_registrar::registration_work;
use crate::store::bank_account::AccountSaved;
use crate::store::connect::default_url;
use crate::store::endpoint::StoredEndpoint;
use crate::store::import::{Imported, ImportedBoleto};
use crate::store::superbowleto::{LegacyError, LegacyRow, Superbowleto};
use crate::store::{Store, StoreConfig};

/// What an import has come to so far.
#[derive(Default)]
struct Counts {
    accounts_made: u64,
    accounts_known: u64,
    accounts_refused: u64,
    read: u64,
    imported: u64,
    before: u64,
    refused: u64,
    registrations: u64,
    payments: u64,
    by_status: BTreeMap<&'static str, u64>,
    last: Option<String>,
}

/// An import under way.
struct Import<'a> {
    args: &'a SuperbowletoArgs,
    config: Config,
    common: Common,
    channel: ChannelConnector,
    store: Store,
    directory: Directory,
    endpoints: HashMap<String, EndpointId>,
    counts: Counts,
    report: Report<'a>,
}

pub(super) async fn run(
    args: &SuperbowletoArgs,
    timeout: Duration,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let common = common(args)?;
    let invalid = |why: String| Failure::found(Code::InvalidArgument, why);
    let config = Config::load(&args.settings.sources()).map_err(|errors| invalid(errors.to_string()))?;
    let secrets = SecretPolicy::new(config.secrets.clone());
    let channel = ChannelConnector::for_kind(ChannelKind::Sqs, &config.channels, &secrets, &config.http);
    let channel = channel.map_err(|error| Failure::found(Code::Internal, error.to_string()))?;
    let report = Report::open(args.report.as_deref(), screen)?;
    let legacy = Superbowleto::open(&args.from, &args.tables(), timeout).await.map_err(of_legacy)?;
    let url = match config.store.url.as_str() {
        "" => default_url(&config.data_dir),
        url => url.to_owned(),
    };
    let store =
        Store::open(&StoreConfig { url, ..config.store.clone() }).await.map_err(|error| of_open(&error))?;
    let mut import = Import {
        args,
        config,
        common,
        channel,
        store: store.clone(),
        directory: Directory::default(),
        endpoints: HashMap::new(),
        counts: Counts::default(),
        report,
    };
    let outcome = import.everything(&legacy).await;
    // What was committed is not changed by how the connections end.
    let _ = legacy.close().await;
    let _ = store.close().await;
    outcome?;
    let document = import.counts.document(args.dry_run);
    import.report.screen.show(&document, text)
}

impl Import<'_> {
    async fn everything(&mut self, legacy: &Superbowleto) -> Result<(), Failure> {
        if !self.store.tenant_exists(&self.common.tenant).await.map_err(|error| of_store(&error))? {
            return Err(Failure::found(Code::NotFound, "there is no such tenant"));
        }
        if !self.args.dry_run {
            let from = json!({ "from": "superbowleto", "database": place(&self.args.from) });
            let (tenant, reason) = (&self.common.tenant, &self.args.reason);
            super::write_down(&self.store, tenant, "ImportSuperbowleto", from, reason).await?;
        }
        self.take_accounts(legacy).await?;
        let mut after = self.args.after.clone();
        loop {
            let page = legacy.boletos(after.as_deref(), self.args.batch).await.map_err(of_legacy)?;
            let Some(last) = page.last().map(|row| row.id.clone()) else { return Ok(()) };
            self.take_page(&page).await?;
            self.counts.last = Some(last.clone());
            self.report
                .note(&json!({ "kind": "checkpoint", "after": last, "imported": self.counts.imported }))?;
            after = Some(last);
        }
    }

    async fn take_accounts(&mut self, legacy: &Superbowleto) -> Result<(), Failure> {
        let configurations = legacy.configurations().await.map_err(of_legacy)?;
        let agreements = legacy.agreements().await.map_err(of_legacy)?;
        let (wanted, unusable) = accounts::wanted(&self.common, &configurations, &agreements);
        for unusable in unusable {
            self.counts.accounts_refused += 1;
            let reasons = unusable.reasons;
            let line = json!({ "kind": "account", "external_id": unusable.external_id, "reasons": reasons });
            self.report.line(&line)?;
        }
        let known = self.store.all_bank_accounts().await.map_err(|error| of_store(&error))?;
        let has_default =
            known.iter().any(|account| account.tenant_id == self.common.tenant && account.is_default);
        for (agreement, mut wanted) in wanted {
            wanted.account.is_default &= !has_default;
            self.take_account(&known, agreement, wanted).await?;
        }
        Ok(())
    }

    async fn take_account(
        &mut self,
        known: &[BankAccount],
        agreement: Agreement,
        wanted: Wanted,
    ) -> Result<(), Failure> {
        let Wanted { account, next_sequence } = wanted;
        let same_name = |other: &&BankAccount| {
            other.tenant_id == account.tenant_id && other.external_id == account.external_id
        };
        if let Some(there) = known.iter().find(same_name) {
            if there.issuer != account.issuer || there.provider != account.provider {
                self.counts.accounts_refused += 1;
                let reasons = ["an account of this name is there, under another agreement"];
                let line =
                    json!({ "kind": "account", "external_id": account.external_id, "reasons": reasons });
                return self.report.line(&line);
            }
            self.counts.accounts_known += 1;
            if !self.args.dry_run {
                let key = there.issuer.range_key();
                let raised = self.store.raise_number_range(&key, next_sequence).await;
                raised.map_err(|error| of_store(&error))?;
            }
            self.directory.enter(agreement, there);
            return Ok(());
        }
        if !self.args.dry_run {
            let saved = self.store.create_bank_account(&account, next_sequence, None).await;
            match saved.map_err(|error| of_store(&error))? {
                AccountSaved::Saved(_) => {}
                other => return Err(Failure::found(Code::Aborted, format!("account not made: {other:?}"))),
            }
        }
        self.counts.accounts_made += 1;
        self.directory.enter(agreement, &account);
        Ok(())
    }

    async fn take_page(&mut self, page: &[LegacyRow]) -> Result<(), Failure> {
        let mut items = Vec::with_capacity(page.len());
        for row in page {
            self.counts.read += 1;
            match self.item(row).await? {
                Ok(item) => items.push(item),
                Err(violations) => self.refuse(&row.id, &violations)?,
            }
        }
        if items.is_empty() {
            return Ok(());
        }
        let outcomes = match self.args.dry_run {
            true => self.store.rehearse_import(&items).await,
            false => self.store.import_boletos(&items).await,
        };
        for (item, outcome) in items.iter().zip(outcomes.map_err(|error| of_store(&error))?) {
            match outcome {
                Imported::New => self.counts.add(item),
                Imported::Before => self.counts.before += 1,
                Imported::NumberTaken => {
                    let taken = Violation::new("title_id", "another boleto of its account has this number");
                    self.refuse(&item.legacy_id, &[taken])?;
                }
            }
        }
        Ok(())
    }

    /// A row as it is to be written, or every reason why it cannot be.
    async fn item(&mut self, row: &LegacyRow) -> Result<Result<ImportedBoleto, Vec<Violation>>, Failure> {
        let given: LegacyBoleto = match serde_json::from_str(&row.json) {
            Ok(given) => given,
            // What could not be read is not repeated: it may be somebody's.
            Err(_) => return Ok(Err(vec![Violation::new("row", "a column is missing, or of another type")])),
        };
        let Some(account) = self.directory.find(given.external_id.as_deref(), &given.agreement()).cloned()
        else {
            return Ok(Err(vec![Violation::new("issuer", "its agreement could not be taken over")]));
        };
        let destination = Destination::Sqs { queue_url: given.queue_url.clone(), region: None };
        let found = self.channel.check(&self.common.tenant, &destination);
        let mapped = match given.map(&account, found) {
            Ok(mapped) => mapped,
            Err(violations) => return Ok(Err(violations)),
        };
        if let Some(note) = mapped.note {
            self.report.line(&json!({ "kind": "note", "legacy_id": row.id, "note": note }))?;
        }
        let endpoint_id = self.endpoint(&given.queue_url, &destination).await?;
        let work = (mapped.boleto.status == Status::PendingRegistration).then(|| {
            let attempts_max = i64::from(self.config.registration.attempts_max);
            let mut work = registration_work(&account, mapped.boleto.id, attempts_max, self.common.now);
            // The service before has asked the bank already.
            work.sent_at = Some(self.common.now);
            work
        });
        Ok(Ok(ImportedBoleto {
            legacy_id: row.id.clone(),
            boleto: mapped.boleto,
            endpoint_id,
            payment: mapped.payment,
            work,
            event_id: EventId(Uuid::now_v7()),
        }))
    }

    async fn endpoint(&mut self, queue_url: &str, destination: &Destination) -> Result<EndpointId, Failure> {
        if let Some(known) = self.endpoints.get(queue_url) {
            return Ok(*known);
        }
        let mut id = EndpointId(Uuid::now_v7());
        if !self.args.dry_run {
            let text =
                serde_json::to_string(destination).expect("a structure of text can be written as JSON");
            let channel = destination.kind().as_str();
            let (tenant, now) = (self.common.tenant.clone(), self.common.now);
            let endpoint = StoredEndpoint {
                id,
                ..StoredEndpoint::new(tenant, channel, text, queue_url.to_owned(), now)
            };
            id = self.store.ensure_endpoint(&endpoint).await.map_err(|error| of_store(&error))?.id;
        }
        self.endpoints.insert(queue_url.to_owned(), id);
        Ok(id)
    }

    fn refuse(&mut self, legacy_id: &str, violations: &[Violation]) -> Result<(), Failure> {
        self.counts.refused += 1;
        let reasons: Vec<String> = violations
            .iter()
            .map(|violation| format!("{}: {}", violation.field, violation.description))
            .collect();
        self.report.line(&json!({ "kind": "boleto", "legacy_id": legacy_id, "reasons": reasons }))
    }
}

impl Counts {
    fn add(&mut self, item: &ImportedBoleto) {
        self.imported += 1;
        *self.by_status.entry(item.boleto.status.as_str()).or_default() += 1;
        self.registrations += u64::from(item.work.is_some());
        self.payments += u64::from(item.payment.is_some());
    }

    fn document(&self, dry_run: bool) -> Value {
        json!({
            "dry_run": dry_run,
            "accounts": { "made": self.accounts_made, "known": self.accounts_known, "refused": self.accounts_refused },
            "boletos": {
                "read": self.read, "imported": self.imported, "before": self.before, "refused": self.refused,
            },
            "by_status": self.by_status,
            "registrations": self.registrations,
            "payments": self.payments,
            "last": self.last,
        })
    }
}

/// Where a database is, without who asks it and how they prove it.
fn place(url: &str) -> String {
    let Ok(url) = url.parse::<reqwest::Url>() else { return String::new() };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{host}{port}{}", url.path())
}

fn text(document: &Value) -> String {
    let (accounts, boletos) = (&document["accounts"], &document["boletos"]);
    let tense = if document["dry_run"] == true { "to be taken over" } else { "taken over" };
    let statuses = document["by_status"].as_object().into_iter().flatten();
    let statuses: Vec<String> = statuses.map(|(status, count)| format!("{count} {status}")).collect();
    format!(
        "accounts {tense}: {} ({} there before, {} refused)\nboletos {tense}: {} of {} ({} came before, {} refused)\n\
         of these: {}\nregistrations to be asked for: {}, payments: {}\n",
        accounts["made"],
        accounts["known"],
        accounts["refused"],
        boletos["imported"],
        boletos["read"],
        boletos["before"],
        boletos["refused"],
        if statuses.is_empty() { "none".to_owned() } else { statuses.join(", ") },
        document["registrations"],
        document["payments"],
    )
}

fn common(args: &SuperbowletoArgs) -> Result<Common, Failure> {
    let mut violations = Vec::new();
    let mut object = |field: &str, why: String| violations.push(Violation::new(field, why));
    let tenant = TenantId::parse(&args.tenant).map_err(|error| object("tenant", error.to_string())).ok();
    let name = args.beneficiary_name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 60 {
        object("beneficiary-name", "1 to 60 characters".to_owned());
    }
    let tax_id = TaxId::parse_as(TaxIdKind::Cnpj, &args.beneficiary_tax_id)
        .map_err(|error| object("beneficiary-tax-id", error.to_string()))
        .ok();
    let mut credentials: BTreeMap<Provider, BTreeMap<String, String>> = BTreeMap::new();
    for (name, reference) in &args.credentials {
        let named =
            name.split_once('.').and_then(|(provider, key)| Some((Provider::from_name(provider)?, key)));
        match (named, SecretRef::parse(reference)) {
            (Some((provider, key)), Ok(_)) => {
                credentials.entry(provider).or_default().insert(key.to_owned(), reference.clone());
            }
            (None, _) => {
                object("credential", "CONNECTOR.KEY=REFERENCE, with the name of a connector".to_owned())
            }
            // The text is not repeated: it may be a secret in the wrong place.
            (_, Err(error)) => object("credential", error.to_string()),
        }
    }
    match (tenant, tax_id) {
        (Some(tenant), Some(tax_id)) if violations.is_empty() => {
            // What the store keeps of it.
            let now = Utc::now();
            let now = chrono::DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
            Ok(Common { tenant, beneficiary: Beneficiary { name, tax_id }, credentials, now })
        }
        _ => {
            let told = |one: Violation| failure::Violation { field: one.field, description: one.description };
            let violations = violations.into_iter().map(told).collect();
            Err(Failure::violated(Code::InvalidArgument, "the arguments do not hold", violations))
        }
    }
}

fn of_legacy(error: LegacyError) -> Failure {
    let code = match &error {
        LegacyError::Url => Code::InvalidArgument,
        LegacyError::NoTable { .. } => Code::NotFound,
        LegacyError::Store(error) => return of_store(error),
    };
    Failure::found(code, error.to_string())
}
