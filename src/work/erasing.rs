//! Takes persons away whom nobody wants kept any more, as it is set for each tenant: the payers of boletos that have ended, transfers,
//! and customers of banks of whom nothing is read any more.
//!
//! **Owns** how far each kind has been looked through: nothing is found by its age but by looking at one after the other, a slice at a
//! time, from the first to the last and then from the first again. **Fails** softly: what cannot be erased now, because somebody works on
//! it or the store is away, is erased when it is looked at again. **Limits**: [`SLICES_A_ROUND`] slices of [`LOOKED_AT_ONCE`] of each kind
//! a round. Each slice of boletos, each transfer and each customer is one transaction with its record in the audit.

use chrono::{DateTime, Utc};
use tracing::{info, warn};
use uuid::Uuid;

use super::retention::{RetentionConfig, TenantRetention};
use crate::domain::ids::{BoletoId, PsuUserId, TenantId, TransferId};
use crate::domain::retention::over_before;
use crate::store::boleto_erase_aged::AgedBoletos;
use crate::store::openbanking::erase::{UserErased, UserErasure};
use crate::store::transfer_steer::{TransferDecision, TransferSteered};
use crate::store::{Store, StoreError};

/// What is looked at in one slice.
const LOOKED_AT_ONCE: u32 = 100;
/// Of each kind ten thousand a minute, and fourteen million a day.
const SLICES_A_ROUND: u32 = 100;
/// Why, as it stands in the audit.
const KEPT_LONG_ENOUGH: &str = "kept long enough";

/// Whoever erases what is old.
pub struct Erasing {
    store: Store,
    persons: RetentionConfig,
    boletos: Option<BoletoLook>,
    transfers: Option<TransferId>,
    customers: Option<PsuUserId>,
}

/// Up to this boleto of this tenant's, behind all tenants before it.
#[derive(Debug, Clone)]
struct BoletoLook {
    tenant_id: TenantId,
    after: Option<BoletoId>,
}

/// What persons are known by.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Boletos,
    Transfers,
    Customers,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Boletos, Self::Transfers, Self::Customers];

    fn is_erased_by(self, kept: &TenantRetention) -> bool {
        match self {
            Self::Boletos => kept.erases_boletos,
            Self::Transfers => kept.erases_transfers,
            Self::Customers => kept.erases_customers,
        }
    }
}

impl Erasing {
    /// From the first on.
    pub fn new(store: Store, persons: RetentionConfig) -> Self {
        Self { store, persons, boletos: None, transfers: None, customers: None }
    }

    /// Looks on from where the round before stopped, for as long as it may.
    pub async fn round(&mut self, now: DateTime<Utc>, may_go_on: &(dyn Fn() -> bool + Sync)) {
        for kind in Kind::ALL {
            if !self.persons.erases(|kept| kind.is_erased_by(kept)) {
                continue;
            }
            for _ in 0..SLICES_A_ROUND {
                if !may_go_on() {
                    return;
                }
                match self.slice(kind, now).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        warn!(?kind, %error, "not erased");
                        break;
                    }
                }
            }
        }
    }

    /// Looks at one slice. Returns whether there is more behind it.
    async fn slice(&mut self, kind: Kind, now: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(match kind {
            Kind::Boletos => {
                self.boletos = self.boleto_slice(now).await?;
                self.boletos.is_some()
            }
            Kind::Transfers => {
                self.transfers = self.transfer_slice(now).await?;
                self.transfers.is_some()
            }
            Kind::Customers => {
                self.customers = self.customer_slice(now).await?;
                self.customers.is_some()
            }
        })
    }

    /// Returns how far that was; nothing once no boletos are behind it.
    async fn boleto_slice(&self, now: DateTime<Utc>) -> Result<Option<BoletoLook>, StoreError> {
        let Some(BoletoLook { tenant_id, after }) = self.boletos.clone() else {
            return self.tenant_behind("").await;
        };
        let kept = self.persons.of(&tenant_id);
        let ended_before = over_before(now, kept.boleto_years).filter(|_| kept.erases_boletos);
        let Some(ended_before) = ended_before else { return self.tenant_behind(tenant_id.as_str()).await };
        let aged = AgedBoletos { tenant_id, ended_before, after, limit: LOOKED_AT_ONCE, now };
        let done = self.store.erase_aged_boletos(&aged).await?;
        if done.erased > 0 {
            info!(rows = done.erased, "payers erased");
        }
        match done.until {
            Some(until) => Ok(Some(BoletoLook { tenant_id: aged.tenant_id, after: Some(until) })),
            None => self.tenant_behind(aged.tenant_id.as_str()).await,
        }
    }

    async fn tenant_behind(&self, name: &str) -> Result<Option<BoletoLook>, StoreError> {
        let next = self.store.boleto_tenant_behind(name).await?;
        Ok(next.map(|tenant_id| BoletoLook { tenant_id, after: None }))
    }

    async fn transfer_slice(&self, now: DateTime<Utc>) -> Result<Option<TransferId>, StoreError> {
        let slice = self.store.transfers_behind(self.transfers, LOOKED_AT_ONCE).await?;
        for seen in slice.iter().filter(|seen| !seen.is_erased) {
            let kept = self.persons.of(&seen.tenant_id);
            if !kept.erases_transfers || seen.taken_in_at >= now - kept.transfers_kept {
                continue;
            }
            let decision = TransferDecision {
                id: Uuid::now_v7(),
                tenant_id: seen.tenant_id.clone(),
                transfer_id: seen.id,
                request: None,
                reason: KEPT_LONG_ENOUGH.to_owned(),
                traceparent: None,
                now,
            };
            if self.store.erase_transfer(&decision).await? == TransferSteered::Done {
                info!(transfer_id = %seen.id, "transfer erased by its age");
            }
        }
        let is_whole = slice.len() as u64 == u64::from(LOOKED_AT_ONCE);
        Ok(slice.last().filter(|_| is_whole).map(|seen| seen.id))
    }

    async fn customer_slice(&self, now: DateTime<Utc>) -> Result<Option<PsuUserId>, StoreError> {
        let slice = self.store.psu_users_behind(self.customers, LOOKED_AT_ONCE).await?;
        for seen in &slice {
            let kept = self.persons.of(&seen.tenant_id);
            let idle_before = now - kept.customers_kept;
            if !kept.erases_customers || !seen.is_idle(idle_before) {
                continue;
            }
            let erasure = UserErasure {
                id: Uuid::now_v7(),
                tenant_id: seen.tenant_id.clone(),
                external_id: seen.external_id.clone(),
                request: None,
                reason: KEPT_LONG_ENOUGH.to_owned(),
                traceparent: None,
                now,
            };
            if self.store.erase_idle_psu_user(&erasure, idle_before).await? == UserErased::Done {
                info!(user_id = %seen.id, "customer erased by age");
            }
        }
        let is_whole = slice.len() as u64 == u64::from(LOOKED_AT_ONCE);
        Ok(slice.last().filter(|_| is_whole).map(|seen| seen.id))
    }
}
