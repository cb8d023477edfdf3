//! What an attempt to register came to, written down in groups.
//!
//! The ack leads: the first statement ends (or puts back) the work rows where runner and fence still match, and only the
//! ids that it returns drive the boleto's change, its event and its owner's delivery, all in one transaction.
//!
//! **Fails** per item with data ([`Settled`]). After a commit of unknown fate, [`Store::registration_ended_by`] tells
//! whether it went through, by the fence that an event keeps.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use super::announce::Announcement;
use super::boleto::NewEvent;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::work::{Ending, Fate, PutBack};
use super::{Store, StoreError, to_us};
use crate::domain::boleto::BankResponse;
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::event::EventType;
use crate::domain::boleto::status::Status;
use crate::domain::event::SubjectKind;
use crate::domain::ids::{BoletoId, EventId, TenantId};
use crate::domain::work::{Claim, WorkState};

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub claim: Claim,
    pub event_id: EventId,
    pub change: Change,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// What the attempt came to.
#[derive(Debug, Clone)]
pub enum Change {
    /// The bank decided, or a person must: the work ends.
    Decided { status: Status, response: Option<BankResponse>, given: Box<Given> },
    /// Nobody knows, or the bank was away: the boleto is pending, the work waits for its next attempt.
    Open {
        run_at: DateTime<Utc>,
        state: WorkState,
        error: String,
        attempt_counts: bool,
        /// The bank kept nothing, neither of this attempt nor of one before: the next one need not look first.
        nothing_was_sent: bool,
        /// By which the bank is asked from now on, where it has just named one.
        bank_reference: Option<String>,
    },
    /// Its attempts are spent: the boleto stays pending and the work becomes a dead letter.
    GivenUp { error: String },
    /// The boleto no longer awaits registration; the work ends without any change of it.
    Moot,
}

/// What the bank gave with its decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    pub nosso_numero: Option<String>,
    pub nosso_numero_dv: Option<String>,
    pub barcode: Option<Barcode>,
    pub pix_emv: Option<String>,
    pub bank_reference: Option<String>,
    pub url: Option<String>,
}

/// What a settlement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It stands; the boleto has this version now, if it changed.
    Done { version: Option<i64> },
    /// The row had moved on to another holder: nothing was changed.
    LostLease,
}

impl Settlement {
    fn boleto_id(&self) -> BoletoId {
        BoletoId(self.claim.subject_id)
    }

    fn fate(&self) -> Fate {
        let claim = &self.claim;
        match &self.change {
            Change::Decided { .. } | Change::Moot => Fate::End(Ending::of(claim, WorkState::Completed, None)),
            Change::GivenUp { error } => {
                Fate::End(Ending::of(claim, WorkState::Discarded, Some(error.clone())))
            }
            Change::Open { run_at, state, error, attempt_counts, nothing_was_sent, .. } => {
                Fate::Back(PutBack {
                    id: claim.id,
                    runner_id: claim.runner_id,
                    fence: claim.fence,
                    span: claim.span.clone(),
                    state: *state,
                    run_at: *run_at,
                    error: Some(error.clone()),
                    attempt_counts: *attempt_counts,
                    nothing_was_sent: *nothing_was_sent,
                })
            }
        }
    }

    fn new_status(&self) -> Option<Status> {
        match &self.change {
            Change::Decided { status, .. } => Some(*status),
            Change::Open { .. } | Change::GivenUp { .. } => Some(Status::PendingRegistration),
            Change::Moot => None,
        }
    }
}

impl Store {
    /// Writes down what attempts came to, all of them in one transaction.
    pub async fn settle_registrations(&self, items: &[Settlement]) -> Vec<Result<Settled, StoreError>> {
        self.in_group(items, |store, transaction, items| Box::pin(store.settle_group(transaction, items)))
            .await
    }

    async fn settle_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[Settlement],
    ) -> Result<Vec<Settled>, StoreError> {
        let now = items.first().map_or_else(Utc::now, |item| item.now);
        let still_held = self.lead(transaction, items.iter().map(Settlement::fate), now).await?;
        let held: Vec<&Settlement> =
            items.iter().filter(|item| still_held.contains(&item.claim.id)).collect();
        self.keep_references(transaction, &held).await?;
        let changed = self.change_boletos(transaction, &held).await?;
        let events: Vec<NewEvent> = held.iter().filter_map(|item| changed.event_of(item)).collect();
        self.insert_events(transaction, &events).await?;
        let announcements: Vec<Announcement> = held
            .iter()
            .filter(|item| matches!(item.change, Change::Decided { .. }))
            .filter_map(|item| changed.announcement_of(item))
            .collect();
        self.announce(transaction, &announcements).await?;
        let outcome = |item: &Settlement| {
            if still_held.contains(&item.claim.id) {
                Settled::Done { version: changed.version_of(item) }
            } else {
                Settled::LostLease
            }
        };
        Ok(items.iter().map(outcome).collect())
    }

    /// Moves boletos on. One that awaits registration no more is left as it is: its end is somebody else's truth. One
    /// that is pending already and stays so does not change either.
    async fn change_boletos(
        &self,
        transaction: &DatabaseTransaction,
        held: &[&Settlement],
    ) -> Result<Changed, StoreError> {
        let items: Vec<(&Settlement, Status)> =
            held.iter().filter_map(|item| Some((*item, item.new_status()?))).collect();
        if items.is_empty() {
            return Ok(Changed::default());
        }
        let response = |item: &Settlement| match &item.change {
            Change::Decided { response, .. } => response.clone(),
            _ => None,
        };
        let given = |item: &Settlement| match &item.change {
            Change::Decided { given, .. } => given.clone(),
            _ => Box::default(),
        };
        let barcode = |item: &Settlement| given(item).barcode.map(|barcode| barcode.as_str().to_owned());
        let rows = Rows::new()
            .uuid("id", items.iter().map(|(item, _)| item.claim.subject_id))
            .text("tenant_id", items.iter().map(|(item, _)| item.claim.tenant_id.as_str().to_owned()))
            .text("status", items.iter().map(|(_, status)| status.as_str().to_owned()))
            .optional_text("response_code", items.iter().map(|(item, _)| response(item).map(|r| r.code)))
            .optional_text(
                "response_message",
                items.iter().map(|(item, _)| response(item).map(|r| r.message)),
            )
            .optional_text("nosso_numero", items.iter().map(|(item, _)| given(item).nosso_numero))
            .optional_text("nosso_numero_dv", items.iter().map(|(item, _)| given(item).nosso_numero_dv))
            .optional_text("barcode", items.iter().map(|(item, _)| barcode(item)))
            .optional_text("pix_emv", items.iter().map(|(item, _)| given(item).pix_emv))
            .optional_text("bank_reference", items.iter().map(|(item, _)| given(item).bank_reference))
            .optional_text("url", items.iter().map(|(item, _)| given(item).url))
            .integer("updated_at_us", items.iter().map(|(item, _)| to_us(item.now)));
        let update = " update boleto set status = r.status, version = boleto.version + 1,
                open_status = case when r.status in ('pending_registration', 'needs_review', 'refused')
                    then r.status end,
                response_code = coalesce(r.response_code, boleto.response_code),
                response_message = coalesce(r.response_message, boleto.response_message),
                nosso_numero = coalesce(r.nosso_numero, boleto.nosso_numero),
                nosso_numero_dv = coalesce(r.nosso_numero_dv, boleto.nosso_numero_dv),
                barcode = coalesce(r.barcode, boleto.barcode),
                pix_emv = coalesce(r.pix_emv, boleto.pix_emv),
                bank_reference = coalesce(r.bank_reference, boleto.bank_reference),
                url = coalesce(r.url, boleto.url), updated_at_us = r.updated_at_us
              from r where boleto.tenant_id = r.tenant_id and boleto.id = r.id
                and boleto.status in ('issued', 'pending_registration') and boleto.status <> r.status
              returning boleto.id, boleto.version, boleto.reference_id, boleto.endpoint_id, boleto.notify";
        let mut changed = Changed::default();
        for row in all(transaction, self.statement_over(rows, vec![], update)).await? {
            let id: Uuid = row.try_get("", "id")?;
            let notify: String = row.try_get("", "notify")?;
            changed.rows.insert(
                id,
                ChangedRow {
                    version: row.try_get("", "version")?,
                    reference_id: row.try_get("", "reference_id")?,
                    endpoint_id: row.try_get("", "endpoint_id")?,
                    owner_wants_to_know: notify == "owner",
                },
            );
        }
        Ok(changed)
    }

    /// Keeps the names by which banks that decide later want to be asked. Few banks do, so each is a statement.
    async fn keep_references(
        &self,
        transaction: &DatabaseTransaction,
        held: &[&Settlement],
    ) -> Result<(), StoreError> {
        for item in held {
            if let Change::Open { bank_reference: Some(reference), .. } = &item.change {
                let keep = self.statement(
                    "update boleto set bank_reference = $3 where tenant_id = $1 and id = $2",
                    [
                        Value::from(item.claim.tenant_id.as_str()),
                        Value::from(item.claim.subject_id),
                        Value::from(reference.as_str()),
                    ],
                );
                execute(transaction, keep).await?;
            }
        }
        Ok(())
    }

    /// Says that a boleto whose registration goes on after its caller was answered is pending. One that has moved on by
    /// itself is left as it is. True when it changed.
    pub async fn mark_pending(
        &self,
        tenant: &TenantId,
        id: BoletoId,
        event_id: EventId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (transaction, changed) = self
            .within(async {
                let transaction = self.begin().await?;
                let changed = self.mark_pending_in(&transaction, tenant, id, event_id, now).await?;
                Ok((transaction, changed))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(changed)
    }

    /// The same inside a transaction that has more to do.
    pub(super) async fn mark_pending_in(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
        id: BoletoId,
        event_id: EventId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let update = self.statement(
            "update boleto set status = 'pending_registration', open_status = 'pending_registration', version = version + 1, updated_at_us = $3
             where tenant_id = $1 and id = $2 and status = 'issued' returning version, reference_id",
            [Value::from(tenant.as_str()), Value::from(id.0), Value::from(to_us(now))],
        );
        let Some(row) = transaction.query_one_raw(update).await? else { return Ok(false) };
        let event = NewEvent {
            id: event_id,
            tenant_id: tenant.clone(),
            boleto_id: id,
            version: row.try_get("", "version")?,
            event_type: EventType::Became(Status::PendingRegistration),
            status: Status::PendingRegistration,
            reason: None,
            reference_id: row.try_get("", "reference_id")?,
            occurred_at: now,
            ended_by: None,
        };
        self.insert_events(transaction, &[event]).await?;
        Ok(true)
    }

    /// Whether the row of `claim` was ended under its fence: what to ask after a commit whose answer was lost.
    pub async fn registration_ended_by(&self, claim: &Claim) -> Result<bool, StoreError> {
        let statement = self.statement(
            "select 1 as one from boleto_event where boleto_id = $1 and work_id = $2 and fence = $3",
            [Value::from(claim.subject_id), Value::from(claim.id.0), Value::from(claim.fence)],
        );
        self.within(async { Ok(self.inner.writer.query_one_raw(statement).await?.is_some()) }).await
    }
}

#[derive(Default)]
struct Changed {
    rows: HashMap<Uuid, ChangedRow>,
}

struct ChangedRow {
    version: i64,
    reference_id: Option<String>,
    endpoint_id: Option<Uuid>,
    owner_wants_to_know: bool,
}

impl Changed {
    fn version_of(&self, item: &Settlement) -> Option<i64> {
        self.rows.get(&item.claim.subject_id).map(|row| row.version)
    }

    fn event_of(&self, item: &Settlement) -> Option<NewEvent> {
        let row = self.rows.get(&item.claim.subject_id)?;
        Some(NewEvent {
            id: item.event_id,
            tenant_id: item.claim.tenant_id.clone(),
            boleto_id: item.boleto_id(),
            version: row.version,
            event_type: EventType::Became(item.new_status()?),
            status: item.new_status()?,
            reason: None,
            reference_id: row.reference_id.clone(),
            occurred_at: item.now,
            ended_by: Some((item.claim.id.0, item.claim.fence)),
        })
    }

    fn announcement_of(&self, item: &Settlement) -> Option<Announcement> {
        let row = self.rows.get(&item.claim.subject_id)?;
        row.owner_wants_to_know.then(|| Announcement {
            tenant_id: TenantId::clone(&item.claim.tenant_id),
            subject_kind: SubjectKind::Boleto,
            subject_id: item.claim.subject_id,
            version: row.version,
            event_type: EventType::Became(item.new_status().unwrap_or(Status::Issued)).name(),
            endpoint_id: row.endpoint_id,
            traceparent: item.claim.traceparent.clone(),
            attempts_max: item.delivery_attempts_max,
            now: item.now,
        })
    }
}
