//! The handles that faces and workers share.
//!
//! **Owns** nothing that a crash may lose. A face asks the store and tells the actor; it never reads through an actor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::aspsps::Aspsps;
use super::backlogs::Backlogs;
use super::bank_accounts::BankAccounts;
use super::boleto_registrar::BoletoRegistrarMessage;
use super::document_links::LinkTerms;
use super::jobs::Jobs;
use super::known_queues::KnownQueues;
use super::reload::Reload;
use super::sync_terms::SyncTerms;
use super::transfers::Transfers;
use crate::connectors::banks::BankConnector;
use crate::connectors::channels::{ChannelConnector, ChannelKind};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::Provider;
use crate::domain::business_days::Calendar;
use crate::store::Store;
use crate::store::boleto::{BoletoDraft, Created};
use crate::supervision::Address;
use crate::work::pace::Pace;
use crate::work::retention::RetentionConfig;
use crate::work::{ClaimGuard, Hints, Lane, Lease, Places};

/// What everybody in the house may use.
pub struct House {
    pub store: Store,
    pub lease: Lease,
    pub hints: Hints,
    pub accounts: BankAccounts,
    pub queues: KnownQueues,
    /// What waits for each bank account.
    pub backlogs: Backlogs,
    /// The way to what the configuration says now.
    pub reload: Reload,
    /// What is made as this process's own comes in its guard: a caller that has hung up meanwhile drops it.
    pub creations: Lane<BoletoDraft, (Created, Option<ClaimGuard>)>,
    pub registrars: BTreeMap<Provider, Registrar>,
    /// The places of every worker, for those who show them.
    pub places: Vec<Places>,
    /// How fast the queues move by what this process does.
    pub pace: Pace,
    pub channels: BTreeMap<ChannelKind, ChannelConnector>,
    pub transfers: Transfers,
    pub jobs: Jobs,
    /// The banks of open banking.
    pub aspsps: Aspsps,
    /// By which terms accounts are refreshed.
    pub sync_terms: SyncTerms,
    /// Grows whenever this process has changed a payment, for those who wait for one.
    pub payment_changes: watch::Sender<u64>,
    pub readiness: Readiness,
    /// Grows whenever this process has changed a boleto, for those who wait for one.
    pub changes: watch::Sender<u64>,
    /// Which secrets callers may name.
    pub secrets: SecretPolicy,
    /// Attempts of a registration at most.
    pub registration_attempts_max: i64,
    /// Attempts of a delivery at most.
    pub delivery_attempts_max: i64,
    /// The deadline of an attempt to deliver.
    pub delivery_attempt_timeout: Duration,
    /// Whether banks are asked what was paid.
    pub reconciles: bool,
    /// How long persons are kept.
    pub retention: RetentionConfig,
    /// How links to documents are made, where they are made.
    pub links: Option<LinkTerms>,
    /// On which days banks settle.
    pub calendar: Calendar,
}

/// How to reach the registrar of one bank, and what it may have in hand.
#[derive(Clone)]
pub struct Registrar {
    pub address: Address<BoletoRegistrarMessage>,
    pub places: Places,
    pub connector: BankConnector,
}

/// Whether the house takes requests; clones are the same.
#[derive(Clone)]
pub struct Readiness {
    state: watch::Sender<Result<(), String>>,
    draining: Arc<AtomicBool>,
    /// Set by whoever asks the process to drain; heard by whoever runs it.
    drain_wish: watch::Sender<bool>,
}

impl Default for Readiness {
    fn default() -> Self {
        let (state, _) = watch::channel(Err("starting".to_owned()));
        let (drain_wish, _) = watch::channel(false);
        Self { state, draining: Arc::default(), drain_wish }
    }
}

impl Readiness {
    /// Says that requests are taken, or why they are not.
    pub fn set(&self, state: Result<(), String>) {
        self.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    /// Whether requests are taken, and if not, why.
    pub fn get(&self) -> Result<(), String> {
        if self.is_draining() { Err("draining".to_owned()) } else { self.state.borrow().clone() }
    }

    /// Changes of the state.
    pub fn changes(&self) -> watch::Receiver<Result<(), String>> {
        self.state.subscribe()
    }

    /// Has everybody who follows the state look again.
    pub fn announce(&self) {
        self.state.send_modify(|_| ());
    }

    /// From here on changes are refused; there is no way back.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.set(Err("draining".to_owned()));
    }

    /// Whether changes are refused because the process is about to end.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Asks the process to drain and end.
    pub fn wish_to_drain(&self) {
        self.drain_wish.send_replace(true);
    }

    /// Waits until somebody asks the process to drain and end.
    pub async fn drain_wished(&self) {
        // The sender lives as long as this handle does, so the wait ends with a wish only.
        let _ = self.drain_wish.subscribe().wait_for(|wished| *wished).await;
    }
}
