//! The banks of open banking, each behind its desk, and the two jobs that ask them.
//!
//! **Owns** nothing. **Fails** when an HTTP client cannot be made. **Limits**: what stands with a bank in `openbanking.aspsps` bounds
//! it, unless `work.queues` has a limit for its queue.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::bounds::{Bounds, Site};
use super::{BuildError, Builder};
use crate::actors::config::openbanking::{AspspEntry, Via};
use crate::actors::consent_watcher::{self, ConsentWatcher};
use crate::actors::payment_poller::{self, PaymentPoller};
use crate::actors::sync_batcher::{self, SyncBatcher};
use crate::connectors::aspsps::AspspConnector;
use crate::connectors::aspsps::internal_api::InternalApi;
use crate::messages::Aspsps;
use crate::messages::aspsps::{DeskParts, Pauses, queue};
use crate::messages::jobs::Job;
use crate::messages::sync_terms::SyncTerms;
use crate::supervision::ChildSpec;
use crate::work::config::QueueLimit;
use crate::work::tenants::Tenants;

/// What jobs and faces share of open banking.
pub(super) struct OpenBankingParts {
    pub aspsps: Aspsps,
    /// Grows whenever this process has changed a payment.
    pub payment_changes: watch::Sender<u64>,
}

impl Builder<'_> {
    pub(super) fn open_banking(&self) -> Result<OpenBankingParts, BuildError> {
        let pauses = Pauses::of(self.store.clone(), self.config.work.poll_interval);
        let entries = self.config.openbanking.aspsps.iter();
        let desks =
            entries.map(|(name, entry)| self.desk(name, entry, &pauses)).collect::<Result<Vec<_>, _>>();
        Ok(OpenBankingParts { aspsps: Aspsps::new(desks?), payment_changes: watch::channel(0).0 })
    }

    fn desk(&self, name: &str, entry: &AspspEntry, pauses: &Pauses) -> Result<DeskParts, BuildError> {
        let queue = queue(name);
        let freed = Arc::new(Notify::new());
        // Calls are no work rows: they take no tenant's place, and do not count as what this process could claim.
        let site = Site { tenants: Tenants::default(), ..self.site(&queue, freed.clone()) };
        let (name_there, at_start) = (name.to_owned(), entry.limits);
        let places = self.places_at(site, move |config| {
            // No entry goes while the house is open.
            let own = config.openbanking.aspsps.get(&name_there).map_or(at_start, |entry| entry.limits);
            let of_queue = config.work.queues.get(&queue).copied().unwrap_or_default();
            let or = |one: u32, other: u32| if one == 0 { other } else { one };
            let per_queue = QueueLimit {
                in_flight_max: or(of_queue.in_flight_max, own.in_flight_max),
                rate_per_minute: or(of_queue.rate_per_minute, own.rate_per_minute),
            };
            Bounds { per_queue, total_max: per_queue.in_flight_max as usize }
        });
        Ok(DeskParts {
            name: name.to_owned(),
            standard: entry.connector.standard,
            connector: AspspConnector::of(&entry.connector, &self.config.http)?,
            places,
            freed,
            counting: entry.counting(),
            pauses: pauses.clone(),
            poll_interval: self.config.work.poll_interval,
        })
    }

    /// What a plan of a run has to know.
    pub(super) fn sync_terms(&self) -> SyncTerms {
        let sync = &self.config.openbanking.sync;
        SyncTerms {
            pacing: self.config.timetable.sync_update.pacing(),
            idle_min: sync.idle_min,
            pending: sync.pending,
            holds: sync.holds,
            balances: sync.balances,
            details_every: sync.details_every,
            token_ahead: sync.token_ahead,
            is_internal: sync.via == Via::InternalApi,
        }
    }

    pub(super) fn payment_poller(&self, parts: &OpenBankingParts) -> Arc<dyn Job> {
        Arc::new(PaymentPoller::new(payment_poller::Means {
            store: self.store.clone(),
            aspsps: parts.aspsps.clone(),
            secrets: self.secrets.keeper().clone(),
            hints: self.hints.clone(),
            changes: parts.payment_changes.clone(),
            config: self.settings(|config| &config.openbanking.payments),
            delivery_attempts_max: i64::from(self.config.notification.attempts_max),
            lanes: self.lanes,
            group_max: self.config.work.group_max,
        }))
    }

    pub(super) fn sync_batcher(&self, parts: &OpenBankingParts) -> Result<Arc<dyn Job>, BuildError> {
        let config = &self.config.openbanking;
        let internal_api = match config.sync.via {
            Via::Aspsps => None,
            Via::InternalApi => Some(InternalApi::new(config.internal_api.clone(), &self.config.http)?),
        };
        Ok(Arc::new(SyncBatcher::new(sync_batcher::Means {
            store: self.store.clone(),
            aspsps: parts.aspsps.clone(),
            internal_api,
            secrets: self.secrets.keeper().clone(),
            hints: self.hints.clone(),
            config: self.settings(|config| &config.openbanking),
            pacing: self.config.timetable.sync_update.pacing(),
            lanes: self.lanes,
            group_max: self.config.work.group_max,
            delivery_attempts_max: i64::from(self.config.notification.attempts_max),
        })))
    }

    /// Who warns owners of consents that end; a child of the foundation, behind the leader.
    pub(super) fn consent_watcher(&self) -> ChildSpec {
        self.patient(ConsentWatcher::spec(consent_watcher::Means {
            store: self.store.clone(),
            office: self.offices.office(consent_watcher::OFFICE),
            hints: self.hints.clone(),
            delivery_attempts_max: i64::from(self.config.notification.attempts_max),
            poll_interval: self.config.work.poll_interval,
        }))
    }
}
