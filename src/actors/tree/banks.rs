//! Who talks to banks: registrars, clerks and reconcilers, one of each a bank, over one connector.
//!
//! **Owns** nothing. **Fails** when an HTTP client cannot be made. **Limits**: many accounts may share a bank; what bounds them all
//! is the process, at [`ACCOUNTS_FULL_MAX`] full accounts.

use std::collections::BTreeMap;

use super::bounds::Bounds;
use super::{Builder, registration_policy};
use crate::actors::boleto_clerk::{self, BoletoClerk};
use crate::actors::boleto_registrar::{self, BoletoRegistrar};
use crate::actors::reconciler::{self, Reconciler};
use crate::config::Config;
use crate::connectors::banks::BankConnector;
use crate::connectors::http::{HttpClient, HttpClientError};
use crate::domain::bank_account::Provider;
use crate::domain::work::{RetryPolicy, kind};
use crate::messages::{
    Registrar, boleto_clerk as clerk_messages, boleto_registrar as registrar_messages,
    reconciler as reconciler_messages,
};
use crate::store::boleto_order_settle::{OrderSettled, OrderSettlement};
use crate::store::boleto_settle::{Settled, Settlement};
use crate::supervision::ChildSpec;
use crate::work::Lane;
use crate::work::config::QueueLimit;

/// Full accounts of one bank, at most.
const ACCOUNTS_FULL_MAX: usize = 16;

/// What a bank is asked about one of its accounts, and about all of them.
fn per_account(config: &Config) -> Bounds {
    let config = &config.registration;
    let per_queue =
        QueueLimit { in_flight_max: config.in_flight_max, rate_per_minute: config.rate_per_minute };
    Bounds { per_queue, total_max: config.in_flight_max as usize * ACCOUNTS_FULL_MAX }
}

impl Builder<'_> {
    pub(super) fn registrars(
        &self,
    ) -> Result<(BTreeMap<Provider, Registrar>, Vec<ChildSpec>), HttpClientError> {
        let http = HttpClient::trusted(&self.config.http)?;
        let config = &self.config.registration;
        let settling = self.store.clone();
        let settlements: Lane<Settlement, Settled> =
            Lane::open("settle_registrations", self.lanes, self.config.work.group_max, move |items| {
                let store = settling.clone();
                async move { store.settle_registrations(&items).await }
            });
        let mut registrars = BTreeMap::new();
        let mut specs = Vec::new();
        for provider in Provider::ALL {
            let connector = BankConnector::for_provider(provider, &self.config.banks, &self.secrets, &http);
            let prefix = registrar_messages::queue_prefix(provider.as_str());
            let places = self.places(&prefix, per_account);
            let means = boleto_registrar::Means {
                claimer: self.claimer(
                    prefix,
                    kind::BOLETO_REGISTER,
                    places.clone(),
                    registration_policy(self.config),
                ),
                bank: connector.clone(),
                accounts: self.accounts.clone(),
                settlements: settlements.clone(),
                hints: self.hints.clone(),
                changes: self.changes.clone(),
                config: config.clone(),
                delivery_attempts_max: i64::from(self.config.notification.attempts_max),
                poll_interval: self.config.work.poll_interval,
                drain_timeout: self.config.work.drain_timeout,
            };
            let (address, spec) = BoletoRegistrar::spec(provider.as_str(), means);
            specs.push(self.patient(spec));
            registrars.insert(provider, Registrar { address, places, connector });
        }
        Ok((registrars, specs))
    }

    /// The clerks, who share each bank's connector with its registrar.
    pub(super) fn clerks(&self, registrars: &BTreeMap<Provider, Registrar>) -> Vec<ChildSpec> {
        let config = &self.config.registration;
        let settling = self.store.clone();
        let settlements: Lane<OrderSettlement, OrderSettled> =
            Lane::open("settle_orders", self.lanes, self.config.work.group_max, move |items| {
                let store = settling.clone();
                async move { store.settle_orders(&items).await }
            });
        let clerk = |(provider, registrar): (&Provider, &Registrar)| {
            let prefix = clerk_messages::queue_prefix(provider.as_str());
            let places = self.places(&prefix, per_account);
            let policy = registration_policy(self.config);
            let means = boleto_clerk::Means {
                claimer: self.claimer(prefix, kind::BOLETO_ORDER, places, policy),
                bank: registrar.connector.clone(),
                accounts: self.accounts.clone(),
                settlements: settlements.clone(),
                hints: self.hints.clone(),
                changes: self.changes.clone(),
                config: config.clone(),
                delivery_attempts_max: i64::from(self.config.notification.attempts_max),
                poll_interval: self.config.work.poll_interval,
                drain_timeout: self.config.work.drain_timeout,
            };
            self.patient(BoletoClerk::spec(provider.as_str(), means))
        };
        registrars.iter().map(clerk).collect()
    }

    /// The reconcilers, who share each bank's connector with its registrar.
    pub(super) fn reconcilers(&self, registrars: &BTreeMap<Provider, Registrar>) -> Vec<ChildSpec> {
        let config = &self.config.reconciliation;
        let policy = RetryPolicy { base: config.retry_base, cap: config.retry_cap };
        let reconciler = |(provider, registrar): (&Provider, &Registrar)| {
            if !config.enabled {
                return ChildSpec::disabled(provider.as_str(), "reconciliation.enabled is false");
            }
            let prefix = reconciler_messages::queue_prefix(provider.as_str());
            // An account has one row at a time.
            let places = self.places(&prefix, |config| Bounds {
                per_queue: QueueLimit { in_flight_max: 1, rate_per_minute: 0 },
                total_max: config.reconciliation.in_flight_max as usize,
            });
            let means = reconciler::Means {
                claimer: self.claimer(prefix, kind::BOLETO_RECONCILE, places, policy),
                bank: registrar.connector.clone(),
                accounts: self.accounts.clone(),
                registrations: registrar.places.clone(),
                office: self.offices.office(reconciler::OFFICE),
                hints: self.hints.clone(),
                changes: self.changes.clone(),
                config: self.settings(|config| &config.reconciliation),
                delivery_attempts_max: i64::from(self.config.notification.attempts_max),
                poll_interval: self.config.work.poll_interval,
                drain_timeout: self.config.work.drain_timeout,
            };
            self.patient(Reconciler::spec(provider.as_str(), means))
        };
        registrars.iter().map(reconciler).collect()
    }
}
