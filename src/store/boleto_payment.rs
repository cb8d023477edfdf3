//! What was paid: written down once per boleto, source and the source's own name, with what it does to the boleto.
//!
//! A group's boletos are locked in the order of their ids, and its items are taken in their own order, so that two payments of
//! one boleto in a group count up. Payment, status, event and owner's delivery commit in one transaction.
//!
//! **Fails** per item with data ([`Recorded`]). **Limits**: a payment is never taken back; what a bank takes back is
//! another matter, for a person.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use sea_orm::{DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::announce::Announcement;
use super::boleto::NewEvent;
use super::request_key::{Entered, NewKey, RequestKey};
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, from_us, to_us};
use crate::domain::boleto::event::EventType;
use crate::domain::boleto::payment::{Payment, PaymentSource, status_after};
use crate::domain::boleto::status::Status;
use crate::domain::event::SubjectKind;
use crate::domain::ids::{BoletoId, EventId, TenantId};
use crate::domain::money::Cents;

/// A payment about to be written down.
#[derive(Debug, Clone)]
pub struct NewPayment {
    pub tenant_id: TenantId,
    /// Its id and time of writing are made by the caller.
    pub payment: Payment,
    pub event_id: EventId,
    /// The version that the caller read; 0 for whatever it is.
    pub expected_version: i64,
    pub request: Option<RequestKey>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub traceparent: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is written down; the boleto has this status and version now.
    New { status: Status, version: i64 },
    /// It was written down before, as this.
    Before(Box<Payment>),
    /// The same request was made before, and made this payment.
    SameRequest(Uuid),
    /// The request id was used for another body.
    OtherBody,
    /// The boleto changed since it was read; its version now.
    Changed { version: i64 },
    /// There is no such boleto.
    NotFound,
}

/// A boleto as the group has left it so far.
struct Standing {
    status: Status,
    version: i64,
    paid: Cents,
    paid_on: Option<NaiveDate>,
    reference_id: Option<String>,
    endpoint_id: Option<Uuid>,
    owner_wants_to_know: bool,
    /// What the last payment of the group was; none before the first.
    last_event: Option<EventType>,
}

/// By what a payment is written down once.
type Once = (Uuid, PaymentSource, String);

impl Store {
    /// Writes payments down, all of them in one transaction.
    pub async fn record_payments(&self, items: &[NewPayment]) -> Vec<Result<Recorded, StoreError>> {
        crate::failpoint::reached("payment.record.before");
        let recorded = self.in_group(items, |store, transaction, items| {
            Box::pin(store.record_payment_group(transaction, items))
        });
        let recorded = recorded.await;
        crate::failpoint::reached("payment.record.after");
        recorded
    }

    /// The same inside a transaction that has more to do.
    pub(super) async fn record_payment_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewPayment],
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut outcomes = self.enter_payment_requests(transaction, items).await?;
        let mut boletos = self.lock_boletos(transaction, items).await?;
        let mut known = self.find_payments(transaction, items).await?;
        let mut written = Vec::new();
        let mut events = Vec::new();
        let mut announcements = Vec::new();
        let mut to_forget = Vec::new();
        for (item, outcome) in items.iter().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none()) {
            let recorded = item.meet(&mut boletos, &known);
            let standing = boletos.get(&item.payment.boleto_id.0);
            let event_type = standing.and_then(|standing| standing.last_event);
            if let (Recorded::New { status, version }, Some(standing), Some(event_type)) =
                (&recorded, standing, event_type)
            {
                known.insert(once(&item.payment), item.payment.clone());
                written.push(&item.payment);
                events.push(item.event(standing, event_type, *status, *version));
                announcements.extend(item.announcement(standing, event_type, *version));
            } else {
                to_forget.extend(item.request.as_ref());
            }
            *outcome = Some(recorded);
        }
        self.forget_keys(transaction, &to_forget).await?;
        self.insert_payments(transaction, items, &written).await?;
        self.update_paid(transaction, items, &boletos).await?;
        self.insert_events(transaction, &events).await?;
        self.announce(transaction, &announcements).await?;
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.expect("every item was asked before or was met above"))
            .collect())
    }

    /// Enters the request ids. What was asked before has its outcome; the others have none yet.
    async fn enter_payment_requests(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewPayment],
    ) -> Result<Vec<Option<Recorded>>, StoreError> {
        let keys: Vec<NewKey<'_>> = items
            .iter()
            .filter_map(|item| {
                let key = item.request.as_ref()?;
                Some(NewKey { key, resource_id: item.payment.id, now: item.payment.created_at })
            })
            .collect();
        let mut entered = self.enter_keys(transaction, &keys).await?.into_iter();
        let outcome = |item: &NewPayment| {
            item.request.as_ref()?;
            match entered.next()? {
                Entered::New => None,
                Entered::Before(payment) => Some(Recorded::SameRequest(payment)),
                Entered::OtherBody => Some(Recorded::OtherBody),
            }
        };
        Ok(items.iter().map(outcome).collect())
    }

    async fn lock_boletos(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewPayment],
    ) -> Result<HashMap<Uuid, Standing>, StoreError> {
        let lock = match self.kind() {
            StoreKind::PostgreSql => "for update of b",
            // There is one writer.
            StoreKind::Sqlite => "",
        };
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.payment.boleto_id.0))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()));
        let find = format!(
            " select b.id, b.status, b.version, b.paid_cents, b.paid_on, b.reference_id, b.endpoint_id, b.notify
              from boleto b join r on b.tenant_id = r.tenant_id and b.id = r.id order by b.tenant_id, b.id {lock}"
        );
        let found = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        found.iter().map(|row| Ok((row.try_get("", "id")?, Standing::read(row)?))).collect()
    }

    async fn find_payments(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewPayment],
    ) -> Result<HashMap<Once, Payment>, StoreError> {
        let rows = Rows::new()
            .uuid("boleto_id", items.iter().map(|item| item.payment.boleto_id.0))
            .text("source", items.iter().map(|item| item.payment.source.as_str().to_owned()))
            .text("external_id", items.iter().map(|item| item.payment.external_id.clone()));
        let find = format!(
            " select {COLUMNS} from boleto_payment p join r
              on p.boleto_id = r.boleto_id and p.source = r.source and p.external_id = r.external_id"
        );
        let found = all(transaction, self.statement_over(rows, vec![], &find)).await?;
        found.iter().map(|row| read(row).map(|payment| (once(&payment), payment))).collect()
    }

    async fn insert_payments(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewPayment],
        written: &[&Payment],
    ) -> Result<(), StoreError> {
        if written.is_empty() {
            return Ok(());
        }
        let tenants: HashMap<Uuid, &TenantId> =
            items.iter().map(|item| (item.payment.id, &item.tenant_id)).collect();
        let rows = Rows::new()
            .uuid("id", written.iter().map(|payment| payment.id))
            .text("tenant_id", written.iter().map(|payment| tenants[&payment.id].as_str().to_owned()))
            .uuid("boleto_id", written.iter().map(|payment| payment.boleto_id.0))
            .integer("amount_cents", written.iter().map(|payment| payment.amount.0))
            .date("paid_on", written.iter().map(|payment| payment.paid_on))
            .integer("is_partial", written.iter().map(|payment| i64::from(payment.is_partial)))
            .text("source", written.iter().map(|payment| payment.source.as_str().to_owned()))
            .text("external_id", written.iter().map(|payment| payment.external_id.clone()))
            .optional_text("response_code", written.iter().map(|payment| payment.response_code.clone()))
            .integer("created_at_us", written.iter().map(|payment| to_us(payment.created_at)));
        let insert = " insert into boleto_payment (id, tenant_id, boleto_id, amount_cents, paid_on, is_partial, source,
                external_id, response_code, created_at_us)
              select id, tenant_id, boleto_id, amount_cents, paid_on, is_partial, source, external_id, response_code,
                created_at_us from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    /// Writes down how the boletos stand now. Only from registered may one become paid, whatever was counted here.
    async fn update_paid(
        &self,
        transaction: &DatabaseTransaction,
        items: &[NewPayment],
        boletos: &HashMap<Uuid, Standing>,
    ) -> Result<(), StoreError> {
        let mut seen = HashSet::new();
        let mut changed = Vec::new();
        for item in items {
            let id = item.payment.boleto_id.0;
            let Some(standing) = boletos.get(&id).filter(|standing| standing.last_event.is_some()) else {
                continue;
            };
            if let (Some(paid_on), true) = (standing.paid_on, seen.insert(id)) {
                changed.push((item, standing, paid_on));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let rows = Rows::new()
            .uuid("id", changed.iter().map(|(item, ..)| item.payment.boleto_id.0))
            .text("tenant_id", changed.iter().map(|(item, ..)| item.tenant_id.as_str().to_owned()))
            .text("status", changed.iter().map(|(_, standing, _)| standing.status.as_str().to_owned()))
            .integer("version", changed.iter().map(|(_, standing, _)| standing.version))
            .integer("paid_cents", changed.iter().map(|(_, standing, _)| standing.paid.0))
            .date("paid_on", changed.iter().map(|(.., paid_on)| *paid_on))
            .integer("updated_at_us", changed.iter().map(|(item, ..)| to_us(item.payment.created_at)));
        let update = " update boleto set status = r.status, version = r.version, paid_cents = r.paid_cents,
                paid_on = r.paid_on, updated_at_us = r.updated_at_us
              from r where boleto.tenant_id = r.tenant_id and boleto.id = r.id
                and (boleto.status = r.status or (boleto.status = 'registered' and r.status = 'paid'))";
        let updated = execute(transaction, self.statement_over(rows, vec![], update)).await?;
        if updated != changed.len() as u64 {
            return Err(StoreError::Broken("a boleto that was locked changed all the same".to_owned()));
        }
        Ok(())
    }

    /// One payment of a tenant.
    pub async fn payment(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Payment>, StoreError> {
        let find = format!("select {COLUMNS} from boleto_payment p where p.tenant_id = $1 and p.id = $2");
        let statement = self.statement(&find, [Value::from(tenant.as_str()), Value::from(id)]);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.first().map(read).transpose()
    }

    /// Everything that was paid for a boleto of a tenant, in the order in which it was written down.
    pub async fn payments_of(&self, tenant: &TenantId, id: BoletoId) -> Result<Vec<Payment>, StoreError> {
        let find = format!(
            "select {COLUMNS} from boleto_payment p where p.boleto_id = $2 and p.tenant_id = $1
             order by p.created_at_us, p.id"
        );
        let statement = self.statement(&find, [Value::from(tenant.as_str()), Value::from(id.0)]);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }
}

impl NewPayment {
    /// What the payment comes to at the boleto as it stands, which moves on by it.
    fn meet(&self, boletos: &mut HashMap<Uuid, Standing>, known: &HashMap<Once, Payment>) -> Recorded {
        let Some(standing) = boletos.get_mut(&self.payment.boleto_id.0) else { return Recorded::NotFound };
        if let Some(before) = known.get(&once(&self.payment)) {
            return Recorded::Before(Box::new(before.clone()));
        }
        if self.expected_version != 0 && self.expected_version != standing.version {
            return Recorded::Changed { version: standing.version };
        }
        let Payment { amount, paid_on, is_partial, .. } = self.payment;
        let status = status_after(standing.status, amount, is_partial);
        let settles = status != standing.status;
        standing.last_event =
            Some(if settles { EventType::Became(status) } else { EventType::PaymentRecorded });
        standing.status = status;
        standing.version += 1;
        standing.paid = Cents(standing.paid.0.saturating_add(amount.0));
        standing.paid_on = standing.paid_on.max(Some(paid_on));
        Recorded::New { status: standing.status, version: standing.version }
    }

    fn event(&self, standing: &Standing, event_type: EventType, status: Status, version: i64) -> NewEvent {
        NewEvent {
            id: self.event_id,
            tenant_id: self.tenant_id.clone(),
            boleto_id: self.payment.boleto_id,
            version,
            event_type,
            status,
            reference_id: standing.reference_id.clone(),
            reason: None,
            occurred_at: self.payment.created_at,
            ended_by: None,
        }
    }

    fn announcement(&self, standing: &Standing, event_type: EventType, version: i64) -> Option<Announcement> {
        standing.owner_wants_to_know.then(|| Announcement {
            tenant_id: self.tenant_id.clone(),
            subject_kind: SubjectKind::Boleto,
            subject_id: self.payment.boleto_id.0,
            version,
            event_type: event_type.name(),
            endpoint_id: standing.endpoint_id,
            traceparent: self.traceparent.clone(),
            attempts_max: self.delivery_attempts_max,
            now: self.payment.created_at,
        })
    }
}

impl Standing {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let (status, notify): (String, String) = (row.try_get("", "status")?, row.try_get("", "notify")?);
        Ok(Self {
            status: Status::parse(&status).ok_or_else(|| StoreError::unreadable("status", &status))?,
            version: row.try_get("", "version")?,
            paid: Cents(row.try_get("", "paid_cents")?),
            paid_on: row.try_get("", "paid_on")?,
            reference_id: row.try_get("", "reference_id")?,
            endpoint_id: row.try_get("", "endpoint_id")?,
            owner_wants_to_know: notify == "owner",
            last_event: None,
        })
    }
}

const COLUMNS: &str = "p.id, p.boleto_id, p.amount_cents, p.paid_on, p.is_partial, p.source, p.external_id,
    p.response_code, p.created_at_us";

fn read(row: &QueryResult) -> Result<Payment, StoreError> {
    let source: String = row.try_get("", "source")?;
    let is_partial: i64 = row.try_get("", "is_partial")?;
    Ok(Payment {
        id: row.try_get("", "id")?,
        boleto_id: BoletoId(row.try_get("", "boleto_id")?),
        amount: Cents(row.try_get("", "amount_cents")?),
        paid_on: row.try_get("", "paid_on")?,
        is_partial: is_partial != 0,
        source: PaymentSource::from_name(&source).ok_or_else(|| StoreError::unreadable("source", &source))?,
        external_id: row.try_get("", "external_id")?,
        response_code: row.try_get("", "response_code")?,
        created_at: from_us(row.try_get("", "created_at_us")?)?,
    })
}

fn once(payment: &Payment) -> Once {
    (payment.boleto_id.0, payment.source, payment.external_id.clone())
}
