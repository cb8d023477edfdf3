//! Asks one bank what was paid and what was taken off file, account by account, on a timetable: by its listing, or about one
//! open boleto after the other where it lists nothing.
//!
//! Each account that can be asked has one row of work, made by the end of the run before. Accounts that have none yet get
//! theirs here: the process that holds the office looks for them now and then.
//!
//! **Owns** nothing that a crash may lose. **Fails** by ending when a run panicked, which is a bug; its supervisor starts it
//! again, and parks it past its intensity. The runs beside the one that panicked go on.
//! **Limits**: `reconciliation.in_flight_max` accounts at a time, one call and one page each; of open boletos
//! `reconciliation.look_ups_per_run_max` a run, within the places, the rate and the breaker of the account's registrations;
//! banks that cannot be asked have no rows.

mod look_ups;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument as _, debug, info_span, warn};

use self::run::Run;
use super::config::ReconciliationConfig;
use super::hands::Hands;
use crate::connectors::banks::{Bank as _, BankConnector, ReconciledBy};
use crate::domain::bank_account::BankAccount;
use crate::domain::ids::{BankAccountId, TenantId};
use crate::messages::reconciler::reconciliation_work;
use crate::messages::reload::Settings;
use crate::messages::{BankAccounts, ReconcilerMessage};
use crate::store::StoreError;
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context, Shutdown};
use crate::work::leader::Office;
use crate::work::ticker::Ticker;
use crate::work::{ClaimGuard, Claimer, Hints, Place, Places};

/// The office of who looks for accounts without a row.
pub const OFFICE: &str = "reconciliation";

/// Between two looks for due rows and for accounts without one. Both are hinted at, so that this stands behind.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Accounts looked at in one statement.
const ACCOUNTS_A_LOOK: usize = 64;

/// What a reconciler works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub claimer: Claimer,
    pub bank: BankConnector,
    pub accounts: BankAccounts,
    /// Those of the bank's registrations, which look-ups share.
    pub registrations: Places,
    pub office: Office,
    pub hints: Hints,
    pub changes: tokio::sync::watch::Sender<u64>,
    pub config: Settings<ReconciliationConfig>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub poll_interval: Duration,
    pub drain_timeout: Duration,
}

/// The reconciler of one bank.
pub struct Reconciler {
    means: Arc<Means>,
    hands: Hands<ReconcilerMessage>,
    _ticker: Ticker,
}

impl Reconciler {
    /// The reconciler as a child of the workers.
    pub fn spec(id: &str, means: Means) -> ChildSpec {
        let drain_timeout = means.drain_timeout;
        let means = Arc::new(means);
        // Nobody writes to it but its own ticker and hands.
        let (_, spec): (Address<ReconcilerMessage>, _) = ChildSpec::worker(id, move |context: Context<_>| {
            let means = means.clone();
            async move {
                let hint = means.hints.listen(&means.claimer.queue_prefix);
                // What waits from before this incarnation is looked for at once.
                hint.notify_one();
                let interval = means.poll_interval.max(LOOK_EVERY);
                let ticker = Ticker::start(context.myself.clone(), interval, Some(hint), || {
                    ReconcilerMessage::WorkAvailable
                });
                let claimer = means.claimer.clone();
                let hands = Hands::new(claimer, context.myself, ReconcilerMessage::Claimed, || {
                    ReconcilerMessage::RunPanicked
                });
                Ok(Self { means, hands, _ticker: ticker })
            }
        });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }

    /// Makes the first rows of accounts that have none, if this process is the one to do it.
    async fn look_for_accounts(&self) {
        if self.means.office.holds().is_none() {
            return;
        }
        match self.add_rows().await {
            Ok(0) => {}
            Ok(rows) => {
                debug!(provider = self.means.bank.provider().as_str(), rows, "accounts to be reconciled")
            }
            // They are found at the next look.
            Err(error) => warn!(%error, "accounts without a reconciliation not looked for"),
        }
    }

    async fn add_rows(&self) -> Result<usize, StoreError> {
        let Means { claimer, bank, config, .. } = &*self.means;
        let (store, every) = (&claimer.store, config.get().every);
        let now = store.now();
        let is_asked = |account: &BankAccount| {
            account.provider == bank.provider()
                && bank.capabilities(account).reconciled_by != ReconciledBy::Nothing
        };
        let mut tenants: BTreeMap<TenantId, Vec<BankAccount>> = BTreeMap::new();
        for account in store.all_bank_accounts().await?.into_iter().filter(is_asked) {
            tenants.entry(account.tenant_id.clone()).or_default().push(account);
        }
        let mut work = Vec::new();
        for (tenant, accounts) in &tenants {
            for accounts in accounts.chunks(ACCOUNTS_A_LOOK) {
                let ids: Vec<BankAccountId> = accounts.iter().map(|account| account.id).collect();
                let known = store.reconciliations(tenant, &ids).await?;
                for (account, known) in
                    accounts.iter().zip(known).filter(|(_, known)| known.next_run_at.is_none())
                {
                    // One that lost its row after a run is no new one, and is asked about as usual.
                    let run_at = if known.last_run_at.is_some() { now + every } else { now };
                    work.push(reconciliation_work(account, run_at, now));
                }
            }
        }
        Ok(store.add_reconciliations(work).await?.len())
    }

    fn run(&mut self, mut guard: ClaimGuard, place: Place) {
        let claim = guard.claim();
        let span =
            info_span!("boleto.reconcile", bank_account_id = %claim.subject_id, attempt = claim.attempt);
        guard.trace(&span);
        let run = Run { means: self.means.clone(), guard };
        self.hands.spawn(
            async move {
                run.run().await;
                drop(place);
            }
            .instrument(span),
        );
    }
}

impl Actor for Reconciler {
    type Message = ReconcilerMessage;

    async fn handle(&mut self, message: ReconcilerMessage) -> Result<(), ActorError> {
        match message {
            ReconcilerMessage::WorkAvailable => {
                self.look_for_accounts().await;
                self.hands.claim();
            }
            ReconcilerMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.run(guard, place);
                }
                self.hands.claim();
            }
            ReconcilerMessage::RunPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.hands.finish().await;
    }

    fn describe(message: &ReconcilerMessage) -> &'static str {
        match message {
            ReconcilerMessage::WorkAvailable => "WorkAvailable",
            ReconcilerMessage::Claimed(_) => "Claimed",
            ReconcilerMessage::RunPanicked => "RunPanicked",
        }
    }
}
