//! What it costs to hear that a long list of open boletos was paid, all of it in one run, and whether memory stays flat.
//!
//! The store is filled before the service starts (`fill`); a bank in this process lists as many payments. The clock runs from
//! the moment at which the bank lets the run in until its end is written down. The same listing is then read once more.
//!
//! **Owns** the bank. **Fails** when a run fails, or when not every boleto is paid in the end. **Limits**: one round, for a
//! boleto is paid once; nobody is to be told, so that no delivery is measured with it.

mod bank;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;

use self::bank::{Bank, PAGE};
use super::fill::fill_open;
use super::process::resident_mib;
use super::report::{Begun, Bound, Row};
use super::site::{Service, Site, settings};
use super::{Bench, Store, remark};
use crate::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use crate::proto::boleto::v1::{ListReconciliationsRequest, ReconcileBankAccountRequest, Reconciliation};

/// Within what a run must begin.
const BEGIN_PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);
/// What a run may take of memory beyond what the service has when it is idle, in MiB.
const FLAT_MIB: f64 = 32.0;

/// Measures one store.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let site = Site::make(bench, store).await?;
    let boletos = bench.args.boletos;
    let account = fill_open(&site, boletos).await?.to_string();
    let bank = Bank::start(boletos).await?;
    let quoted = |text: &str| Value::from(text).to_string();
    let mut config = settings(&site, None, false);
    config.push_str(&format!(
        "[banks.banco_do_brasil]\napi_url = {}\ntoken_url = {}\n",
        quoted(&format!("{}/v2", bank.address)),
        quoted(&format!("{}/token", bank.address)),
    ));
    let mut set = vec![
        ("reconciliation.enabled".to_owned(), "true".to_owned()),
        ("reconciliation.every".to_owned(), "7days".to_owned()),
        ("registration.inline_deadline".to_owned(), "0s".to_owned()),
    ];
    set.extend(bench.args.set.iter().cloned());
    let service = Service::start(&site, &config, &set).await?;
    let channel = service.connect(1).await?.remove(0);

    remark(&format!("reconciling {boletos} boletos on {}", store.name()));
    ask(&channel, &account).await?;
    timeout(BEGIN_PATIENCE, bank.came()).await.context("the run did not begin in time")??;
    let idle = resident_mib(service.pid(), false);
    let first = Instant::now();
    bank.opens();
    let known = ended(&channel, 1).await?;
    let first = boletos as f64 / first.elapsed().as_secs_f64();
    ensure!(known.payments == i64::try_from(boletos)?, "{} payments of {boletos}", known.payments);
    let peak = resident_mib(service.pid(), true);

    let again = Instant::now();
    ask(&channel, &account).await?;
    let known = ended(&channel, 2).await?;
    let again = boletos as f64 / again.elapsed().as_secs_f64();
    ensure!((known.movements, known.payments) == (i64::try_from(boletos)?, 0), "told twice, written twice");
    let peak_again = resident_mib(service.pid(), true);
    service.close().await?;

    let name = store.name();
    let row = |measure, rate: f64, peak: Option<f64>| {
        let above = peak.zip(idle).map(|(peak, idle)| peak - idle);
        let note = format!(
            "{boletos} movements of as many boletos, in pages of {PAGE}; resident {:.1} MiB before",
            idle.unwrap_or(f64::NAN)
        );
        Row::new(measure, name, "movements/s", &[rate], &begun).resident(peak).note(note).goal(
            "MiB at the peak beyond idle",
            Bound::AtMost(FLAT_MIB),
            above,
        )
    };
    Ok(vec![row("reconciliation, all paid", first, peak), row("the same listing again", again, peak_again)])
}

/// Has the account's bank asked now.
async fn ask(channel: &Channel, account: &str) -> anyhow::Result<()> {
    let request = ReconcileBankAccountRequest { id: account.to_owned(), ..Default::default() };
    BankAccountServiceClient::new(channel.clone()).reconcile_bank_account(request).await?;
    Ok(())
}

/// Waits for the end of so many whole runs.
async fn ended(channel: &Channel, runs: i64) -> anyhow::Result<Reconciliation> {
    let mut accounts = BankAccountServiceClient::new(channel.clone());
    loop {
        let listed = accounts.list_reconciliations(ListReconciliationsRequest::default()).await?.into_inner();
        let known = listed.reconciliations.into_iter().next().context("the account is gone")?;
        if known.runs >= runs {
            return Ok(known);
        }
        if !known.last_error.is_empty() {
            bail!("the run failed: {}", known.last_error);
        }
        sleep(LOOK).await;
    }
}
