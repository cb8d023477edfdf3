//! Where accounts are refreshed: banks with customers by the thousand, a house that knows them, and one run of the job.
//!
//! Customer 7 has a consent at each of two neighbouring banks, one of each standard. They are imported by gRPC into a service that
//! ends before another is measured, so that no memory of the import is counted.
//!
//! **Owns** the world. **Fails** when an import or a run does. **Limits**: an hour for a run; the run's end is looked for ten times a
//! second, which the service does too.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use crate::actors::config::timetable::{PAYMENT_UPDATE, SYNC_UPDATE};
use crate::cli::bench::intake::Control;
use crate::cli::bench::site::{Service, Site, World, settings};
use crate::cli::bench::{Bench, Store, remark};
use crate::cli::sandbox::aspsps::settings_of;
use crate::proto::control::v1::control_service_client::ControlServiceClient;
use crate::proto::control::v1::{GetJobRunRequest, JobRun, JobRunState, TriggerJobRequest};
use crate::proto::openbanking::v1::consent_service_client::ConsentServiceClient;
use crate::proto::openbanking::v1::new_consent::{AllowedAccount, Tokens};
use crate::proto::openbanking::v1::user_service_client::UserServiceClient;
use crate::proto::openbanking::v1::{ImportConsentsRequest, NewConsent, NewUser, PutUsersRequest};
use crate::sandbox::AspspBulk;
use crate::store::pool;

/// Even ones speak NextGenPSD2, odd ones PolishAPI.
pub(super) const BANKS: u8 = 4;
/// Of a customer.
pub(super) const CONSENTS: usize = 2;
/// Of a consent.
const ACCOUNTS: u16 = 2;
/// What a bank tells lies within so many days; it tells of ninety at most.
const DAYS: u16 = 80;
/// Customers of one batch.
const BATCH: usize = 1_000;
/// Customers who are imported by one call, and calls at a time.
const IMPORTED: usize = 100;
const IMPORTS: usize = 4;
const END_PATIENCE: Duration = Duration::from_secs(3_600);
const LOOK: Duration = Duration::from_millis(100);

/// How much there is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub users: usize,
    /// Of an account.
    pub transactions: usize,
}

/// The banks, and the house's store.
pub(super) struct Ground {
    // It ends before its folder is taken away.
    pub world: World,
    pub site: Site,
    set: Vec<(String, String)>,
}

/// A run that has completed.
pub(super) struct Ran {
    pub took: Duration,
    pub counts: HashMap<String, i64>,
}

impl Size {
    pub fn visits(self) -> i64 {
        i64::try_from(self.users * CONSENTS).unwrap_or(i64::MAX)
    }

    pub fn all_transactions(self) -> i64 {
        let each = usize::from(ACCOUNTS) * self.transactions;
        self.visits().saturating_mul(i64::try_from(each).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, transactions } = self;
        write!(
            f,
            "{users} customers × {CONSENTS} consents × {ACCOUNTS} accounts × {transactions} transactions"
        )
    }
}

impl Ground {
    /// Opens banks with so many customers, and has a house know these.
    pub async fn prepare(bench: &Bench, store: Store, size: Size) -> anyhow::Result<Self> {
        let site = Site::make(bench, store).await?;
        let banks = BANKS.to_string();
        let world = World::start_with(&site, &["--aspsps", &banks, "--no-aspsp-reads"]).await?;
        let control = Control::at(&world.addresses);
        for bank in 0..BANKS {
            let bulk = AspspBulk {
                users: u32::try_from(size.users)?,
                consents: 1,
                accounts: ACCOUNTS,
                transactions: u32::try_from(size.transactions)?,
                added: 0,
                newest: Utc::now().date_naive(),
                days: DAYS,
                seed: 7,
            };
            control.post(&format!("aspsps/{bank}/bulk"), json!(bulk)).await?;
        }
        let set = set(&site, &world)?;
        let ground = Self { world, site, set };
        let service = ground.service(bench).await?;
        let begun = Instant::now();
        ground.import(&service, size).await?;
        service.close().await?;
        remark(&format!("imported {} customers within {:.1} s", size.users, begun.elapsed().as_secs_f64()));
        Ok(ground)
    }

    /// A service that asks these banks.
    pub async fn service(&self, bench: &Bench) -> anyhow::Result<Service> {
        let set: Vec<(String, String)> = self.set.iter().chain(&bench.args.set).cloned().collect();
        Service::start(&self.site, &settings(&self.site, None, false), &set).await
    }

    async fn import(&self, service: &Service, size: Size) -> anyhow::Result<()> {
        let channel = service.connect(1).await?.remove(0);
        let groups = (0..size.users).step_by(IMPORTED);
        let imports = groups.map(|first| import(channel.clone(), first, size.users.min(first + IMPORTED)));
        stream::iter(imports).buffer_unordered(IMPORTS).try_collect::<()>().await
    }

    /// Has everybody refreshed, and tells meanwhile how many customers have been dealt with.
    pub async fn run(&self, service: &Service, mut tell: impl FnMut(i64)) -> anyhow::Result<Ran> {
        let channel = service.connect(1).await?.remove(0);
        let mut control = ControlServiceClient::new(channel);
        let begun = Instant::now();
        let wish = TriggerJobRequest {
            job: SYNC_UPDATE.to_owned(),
            reason: "a benchmark".to_owned(),
            ..TriggerJobRequest::default()
        };
        let run = control.trigger_job(wish).await?.into_inner().run.context("there is no run")?;
        loop {
            let request = GetJobRunRequest { id: run.id.clone() };
            let run = control.get_job_run(request).await?.into_inner().run.context("the run is gone")?;
            tell(run.done);
            if run.end_time.is_some() {
                return Ran::of(run, begun.elapsed());
            }
            ensure!(begun.elapsed() < END_PATIENCE, "the run has not ended: {}", run.note);
            sleep(LOOK).await;
        }
    }

    /// Rows of transactions that were written since then.
    pub async fn touched_since(&self, mark: DateTime<Utc>) -> anyhow::Result<i64> {
        let connection =
            pool::connect(self.site.store_url()).await.context("cannot connect to look at the store")?;
        let count = format!(
            "select count(*) as touched from account_transaction where updated_at_us >= {us} or created_at_us >= {us}",
            us = mark.timestamp_micros()
        );
        let statement = Statement::from_string(connection.get_database_backend(), count);
        let row = connection.query_one_raw(statement).await?.context("nothing was counted")?;
        let touched = row.try_get("", "touched")?;
        connection.close().await?;
        Ok(touched)
    }
}

impl Ran {
    fn of(run: JobRun, took: Duration) -> anyhow::Result<Self> {
        if run.state() != JobRunState::Completed {
            bail!("the run ended otherwise: {} {:?}", run.error, run.counts);
        }
        Ok(Self { took, counts: run.counts.into_iter().collect() })
    }

    pub fn count(&self, name: &str) -> i64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Fails unless every visit was a good one.
    pub fn is_whole(&self, size: Size) -> anyhow::Result<()> {
        ensure!(self.count("sessions_ok") == size.visits(), "not all visits were good: {:?}", self.counts);
        Ok(())
    }
}

/// What the house is told beside what every bench tells it.
fn set(site: &Site, world: &World) -> anyhow::Result<Vec<(String, String)>> {
    let key = site.folder.join("sealing-key");
    // Thirty-two bytes that everybody knows.
    let text = base64::engine::general_purpose::STANDARD.encode("a key that seals for a benchmark");
    std::fs::write(&key, text).context("cannot write the key that seals tokens")?;
    let job = format!("timetable.{SYNC_UPDATE}");
    let mut set = vec![
        ("secrets.key".to_owned(), format!("file:{}", key.display())),
        (format!("{job}.enabled"), "false".to_owned()),
        (format!("timetable.{PAYMENT_UPDATE}.enabled"), "false".to_owned()),
        (format!("{job}.batch_size"), BATCH.to_string()),
        (format!("{job}.eager"), "true".to_owned()),
    ];
    for (bank, aspsp) in (0..BANKS).zip(&world.addresses.aspsps) {
        set.extend(settings_of(&name(bank), bank % 2 == 0, aspsp, &world.addresses.aspsp_signing));
    }
    Ok(set)
}

/// What a bank is called.
fn name(bank: u8) -> String {
    format!("bank-{bank}")
}

async fn import(channel: Channel, first: usize, end: usize) -> anyhow::Result<()> {
    let users = (first..end).map(|user| NewUser {
        external_id: format!("customer-{user}"),
        update_offline: true,
        ..NewUser::default()
    });
    let request = PutUsersRequest { users: users.collect() };
    UserServiceClient::new(channel.clone()).put_users(request).await?;
    let mut consents = Vec::with_capacity((end - first) * CONSENTS);
    for user in first..end {
        for place in 0..CONSENTS {
            let bank = u8::try_from((user * CONSENTS + place) % usize::from(BANKS))?;
            consents.push(consent(u32::try_from(user)?, bank));
        }
    }
    let request = ImportConsentsRequest { consents };
    ConsentServiceClient::new(channel).import_consents(request).await?;
    Ok(())
}

/// A customer's consent at a bank, by which its bulk is read: the token is the consent's name.
fn consent(user: u32, bank: u8) -> NewConsent {
    let id = AspspBulk::consent_id(user, 0);
    let allowed = |number| AllowedAccount { number, currency: "PLN".to_owned(), ..AllowedAccount::default() };
    // Whoever speaks PolishAPI masks numbers in lists and tells them with the consent; the other standard's list is read.
    let is_masked = bank % 2 == 1;
    let accounts =
        (0..ACCOUNTS).filter(|_| is_masked).map(|place| allowed(AspspBulk::number(bank, user, 0, place)));
    NewConsent {
        user_external_id: format!("customer-{user}"),
        aspsp: name(bank),
        external_id: id.clone(),
        tokens: Some(Tokens { access_token: id, ..Tokens::default() }),
        accounts: accounts.collect(),
        ..NewConsent::default()
    }
}
