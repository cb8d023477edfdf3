//! Orders to a bank: written down with the work that carries them out, and read again.
//!
//! An order, its work and the caller's name for the request are one transaction. A cancellation of what has never left
//! needs no bank: the registration's work is cancelled and the boleto ended in the same transaction, without an order.
//! Locks are always taken work first, boleto second, as everywhere in this room.
//!
//! **Fails** with data ([`Placed`]); whatever is not placed leaves nothing behind, not even the name of its request.
//! **Limits**: one pending order a boleto, by the work's unique key. An order whose work was cut off for good or cancelled
//! by an operator is read as given up.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::announce::Announcement;
use super::boleto::{HELD_BACK, NewEvent, from_json, to_json};
use super::request_key::{Entered, RequestKey};
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, from_us, to_us};
use crate::domain::boleto::BankResponse;
use crate::domain::boleto::event::EventType;
use crate::domain::boleto::order::{Order, OrderState, Wish};
use crate::domain::boleto::status::Status;
use crate::domain::event::SubjectKind;
use crate::domain::ids::{BoletoId, EventId, OrderId, TenantId};
use crate::domain::work::NewWork;

/// An order about to be placed: checked, as far as it can be without the boleto's row.
#[derive(Debug, Clone)]
pub struct OrderDraft {
    pub id: OrderId,
    /// Of the news that the boleto is cancelled at once.
    pub event_id: EventId,
    pub tenant_id: TenantId,
    pub boleto_id: BoletoId,
    /// The version that the caller has read; 0 for whatever it is.
    pub version: i64,
    pub request: Option<RequestKey>,
    pub wish: Wish,
    pub reason: String,
    /// Why the bank cannot be asked for it; what has never left needs no bank.
    pub bank_cannot: Option<String>,
    /// Carries the order out; claimed by whoever is free.
    pub work: NewWork,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// The payload of an order's work.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct OrderPayload {
    pub order_id: OrderId,
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// The bank is asked.
    Ordered,
    /// It had never left: it is cancelled now.
    CancelledAtOnce,
    /// The same request was made before, and made this order, or cancelled the boleto at once.
    Before(OrderId),
    /// The request id was used for another body.
    OtherBody,
    NotFound,
    VersionChanged {
        version: i64,
    },
    /// Its status does not allow it.
    NotOpen(Status),
    /// Another order of the boleto is pending.
    OrderPending,
    /// The bank cannot do it, for this reason.
    NotSupported(String),
}

/// What its row says of a boleto, locked.
pub(super) struct LockedBoleto {
    pub status: Status,
    pub version: i64,
    pub reference_id: Option<String>,
    pub endpoint_id: Option<Uuid>,
    pub owner_wants_to_know: bool,
    pub has_barcode: bool,
}

/// The unique key of a boleto's registration.
pub fn registration_key(id: BoletoId) -> String {
    format!("register:{id}")
}

/// The unique key of a boleto's order.
pub fn order_key(id: BoletoId) -> String {
    format!("order:{id}")
}

impl Store {
    /// Places an order.
    pub async fn place_order(&self, draft: &OrderDraft) -> Result<Placed, StoreError> {
        let (transaction, placed) = self
            .within(async {
                let transaction = self.begin().await?;
                let placed = self.place_order_in(&transaction, draft).await?;
                Ok((transaction, placed))
            })
            .await?;
        if matches!(placed, Placed::Ordered | Placed::CancelledAtOnce) {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(placed)
    }

    async fn place_order_in(
        &self,
        transaction: &DatabaseTransaction,
        draft: &OrderDraft,
    ) -> Result<Placed, StoreError> {
        match self.enter_key(transaction, draft.request.as_ref(), draft.id.0, draft.now).await? {
            Entered::New => {}
            Entered::Before(id) => return Ok(Placed::Before(OrderId(id))),
            Entered::OtherBody => return Ok(Placed::OtherBody),
        }
        let unsent = match draft.wish {
            Wish::Cancel => self.lock_unsent_registration(transaction, draft.boleto_id).await?,
            Wish::Amend(_) => Unsent::No,
        };
        let inserted = self.insert_work(transaction, std::slice::from_ref(&draft.work)).await?;
        let Some(boleto) = self.lock_boleto(transaction, &draft.tenant_id, draft.boleto_id).await? else {
            return Ok(Placed::NotFound);
        };
        if draft.version != 0 && draft.version != boleto.version {
            return Ok(Placed::VersionChanged { version: boleto.version });
        }
        if inserted.is_empty() {
            return Ok(Placed::OrderPending);
        }
        let is_open = match draft.wish {
            Wish::Cancel => boleto.status.cancel().is_ok(),
            Wish::Amend(_) => boleto.status == Status::Registered,
        };
        if !is_open {
            return Ok(Placed::NotOpen(boleto.status));
        }
        let never_left = match unsent {
            Unsent::No => false,
            Unsent::Work(_) => true,
            // Its registration, once asked for, makes it pending.
            Unsent::HeldBack => boleto.status == Status::Issued,
        };
        if never_left {
            self.cancel_at_once(transaction, draft, &boleto, unsent).await?;
            return Ok(Placed::CancelledAtOnce);
        }
        if let Some(reason) = &draft.bank_cannot {
            return Ok(Placed::NotSupported(reason.clone()));
        }
        self.insert_order(transaction, draft).await?;
        Ok(Placed::Ordered)
    }

    /// Whether a registration has never left, with its work row locked so that it stays so.
    async fn lock_unsent_registration(
        &self,
        transaction: &DatabaseTransaction,
        id: BoletoId,
    ) -> Result<Unsent, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = self.statement(
            &format!("select id, state, sent_at_us from work where unique_key = $1 {lock}"),
            [Value::from(registration_key(id))],
        );
        if let Some(row) = transaction.query_one_raw(find).await? {
            let (state, sent_at_us): (String, Option<i64>) =
                (row.try_get("", "state")?, row.try_get("", "sent_at_us")?);
            let unsent = state != "running" && sent_at_us.is_none();
            return Ok(if unsent { Unsent::Work(row.try_get("", "id")?) } else { Unsent::No });
        }
        // Work that has ended may have sent bytes; of one that was held back there never was any.
        let find = self.statement(
            "select 1 as one from boleto_event where boleto_id = $1 and version = 1 and reason = $2",
            [Value::from(id.0), Value::from(HELD_BACK)],
        );
        let held_back = transaction.query_one_raw(find).await?.is_some();
        Ok(if held_back { Unsent::HeldBack } else { Unsent::No })
    }

    /// A boleto's row, locked until the transaction's end. Whoever calls has locked its work before.
    pub(super) async fn lock_boleto(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
        id: BoletoId,
    ) -> Result<Option<LockedBoleto>, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = self.statement(
            &format!(
                "select status, version, reference_id, endpoint_id, notify, barcode from boleto
                 where tenant_id = $1 and id = $2 {lock}"
            ),
            [Value::from(tenant.as_str()), Value::from(id.0)],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(None) };
        let (status, notify): (String, String) = (row.try_get("", "status")?, row.try_get("", "notify")?);
        let barcode: Option<String> = row.try_get("", "barcode")?;
        Ok(Some(LockedBoleto {
            status: Status::parse(&status).ok_or_else(|| StoreError::unreadable("status", &status))?,
            version: row.try_get("", "version")?,
            reference_id: row.try_get("", "reference_id")?,
            endpoint_id: row.try_get("", "endpoint_id")?,
            owner_wants_to_know: notify == "owner",
            has_barcode: barcode.is_some(),
        }))
    }

    async fn cancel_at_once(
        &self,
        transaction: &DatabaseTransaction,
        draft: &OrderDraft,
        boleto: &LockedBoleto,
        unsent: Unsent,
    ) -> Result<(), StoreError> {
        // Nobody has seen it yet, and nobody will.
        let unneeded = self.statement("delete from work where id = $1", [Value::from(draft.work.id.0)]);
        execute(transaction, unneeded).await?;
        if let Some(id) = unsent.work()
            && self.cancel(transaction, &[id], &draft.reason, draft.now).await? == 0
        {
            return Err(StoreError::Broken("a row of work moved under its lock".to_owned()));
        }
        let update = self.statement(
            "update boleto set status = 'cancelled', open_status = null, version = version + 1, updated_at_us = $3
             where tenant_id = $1 and id = $2 and status in ('issued', 'pending_registration')",
            [
                Value::from(draft.tenant_id.as_str()),
                Value::from(draft.boleto_id.0),
                Value::from(to_us(draft.now)),
            ],
        );
        execute(transaction, update).await?;
        let event_type = EventType::Became(Status::Cancelled);
        let news = News {
            event_id: draft.event_id,
            tenant_id: &draft.tenant_id,
            boleto_id: draft.boleto_id,
            event_type,
            status: Status::Cancelled,
            reason: Some(draft.reason.clone()),
            ended_by: None,
            traceparent: draft.work.traceparent.clone(),
            delivery_attempts_max: draft.delivery_attempts_max,
            now: draft.now,
        };
        self.tell(transaction, boleto, news).await
    }

    /// Writes the event of a boleto's next version, and announces it to whoever wants to know.
    pub(super) async fn tell(
        &self,
        transaction: &DatabaseTransaction,
        before: &LockedBoleto,
        news: News<'_>,
    ) -> Result<(), StoreError> {
        let version = before.version + 1;
        let event = NewEvent {
            id: news.event_id,
            tenant_id: news.tenant_id.clone(),
            boleto_id: news.boleto_id,
            version,
            event_type: news.event_type,
            status: news.status,
            reference_id: before.reference_id.clone(),
            reason: news.reason,
            occurred_at: news.now,
            ended_by: news.ended_by,
        };
        self.insert_events(transaction, &[event]).await?;
        if !before.owner_wants_to_know {
            return Ok(());
        }
        let announcement = Announcement {
            tenant_id: news.tenant_id.clone(),
            subject_kind: SubjectKind::Boleto,
            subject_id: news.boleto_id.0,
            version,
            event_type: news.event_type.name(),
            endpoint_id: before.endpoint_id,
            traceparent: news.traceparent,
            attempts_max: news.delivery_attempts_max,
            now: news.now,
        };
        self.announce(transaction, &[announcement]).await
    }

    async fn insert_order(
        &self,
        transaction: &DatabaseTransaction,
        draft: &OrderDraft,
    ) -> Result<(), StoreError> {
        // One before it may have lost its work to an operator or to too many crashes.
        let give_up = self.statement(
            "update boleto_order set state = 'given_up', ended_at_us = $2 where boleto_id = $1 and state = 'pending'",
            [Value::from(draft.boleto_id.0), Value::from(to_us(draft.now))],
        );
        execute(transaction, give_up).await?;
        let amendment = match &draft.wish {
            Wish::Amend(amendment) => Some(to_json(amendment)?),
            Wish::Cancel => None,
        };
        let insert = self.statement(
            "insert into boleto_order (id, tenant_id, boleto_id, kind, state, amendment, reason, created_at_us)
             values ($1, $2, $3, $4, 'pending', $5, $6, $7)",
            [
                Value::from(draft.id.0),
                Value::from(draft.tenant_id.as_str()),
                Value::from(draft.boleto_id.0),
                Value::from(draft.wish.as_str()),
                Value::from(amendment),
                Value::from(draft.reason.as_str()),
                Value::from(to_us(draft.now)),
            ],
        );
        execute(transaction, insert).await?;
        Ok(())
    }

    /// One order of a tenant's boleto.
    pub async fn order(
        &self,
        tenant: &TenantId,
        boleto_id: BoletoId,
        id: OrderId,
    ) -> Result<Option<Order>, StoreError> {
        Ok(self.orders(tenant, boleto_id).await?.into_iter().find(|order| order.id == id))
    }

    /// The orders of a tenant's boleto, oldest first.
    pub async fn orders(&self, tenant: &TenantId, id: BoletoId) -> Result<Vec<Order>, StoreError> {
        let find = self.statement(
            "select id, boleto_id, kind, amendment, reason, response_code, response_message, created_at_us, ended_at_us,
               case when state = 'pending' and not exists (select 1 from work where unique_key = $3)
                 then 'given_up' else state end as state
             from boleto_order where boleto_id = $1 and tenant_id = $2 order by id",
            [Value::from(id.0), Value::from(tenant.as_str()), Value::from(order_key(id))],
        );
        self.within(async { all(self.reader(), find).await?.iter().map(read).collect() }).await
    }

    /// The order of a tenant's boleto that the bank has not decided, if there is one.
    pub async fn pending_order(&self, tenant: &TenantId, id: BoletoId) -> Result<Option<Order>, StoreError> {
        let orders = self.orders(tenant, id).await?;
        Ok(orders.into_iter().find(|order| order.state == OrderState::Pending))
    }

    /// Whether the work of registering a boleto lives.
    pub async fn registration_lives(&self, id: BoletoId) -> Result<bool, StoreError> {
        self.within(self.registration_lives_in(&self.inner.writer, id)).await
    }

    pub(super) async fn registration_lives_in(
        &self,
        connection: &impl ConnectionTrait,
        id: BoletoId,
    ) -> Result<bool, StoreError> {
        let find = self.statement(
            "select 1 as one from work where unique_key = $1",
            [Value::from(registration_key(id))],
        );
        Ok(connection.query_one_raw(find).await?.is_some())
    }
}

/// News about one boleto, and what made it.
pub(super) struct News<'a> {
    pub event_id: EventId,
    pub tenant_id: &'a TenantId,
    pub boleto_id: BoletoId,
    pub event_type: EventType,
    /// The status after it.
    pub status: Status,
    pub reason: Option<String>,
    pub ended_by: Option<(Uuid, i64)>,
    pub traceparent: Option<String>,
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// Whether a registration never left.
#[derive(Clone, Copy)]
enum Unsent {
    /// It may have.
    No,
    /// It waits in this row, which is locked.
    Work(Uuid),
    /// It was issued without any, and has none now.
    HeldBack,
}

impl Unsent {
    fn work(self) -> Option<Uuid> {
        match self {
            Self::Work(id) => Some(id),
            Self::No | Self::HeldBack => None,
        }
    }
}

fn read(row: &QueryResult) -> Result<Order, StoreError> {
    let (kind, state): (String, String) = (row.try_get("", "kind")?, row.try_get("", "state")?);
    let amendment: Option<String> = row.try_get("", "amendment")?;
    let wish = match amendment {
        Some(text) => Wish::Amend(from_json("amendment", &text)?),
        None if kind == Wish::Cancel.as_str() => Wish::Cancel,
        None => return Err(StoreError::unreadable("order", "an amendment without terms")),
    };
    let code: Option<String> = row.try_get("", "response_code")?;
    let message: Option<String> = row.try_get("", "response_message")?;
    let ended_at_us: Option<i64> = row.try_get("", "ended_at_us")?;
    Ok(Order {
        id: OrderId(row.try_get("", "id")?),
        boleto_id: BoletoId(row.try_get("", "boleto_id")?),
        wish,
        state: OrderState::parse(&state).ok_or_else(|| StoreError::unreadable("state", &state))?,
        reason: row.try_get("", "reason")?,
        response: code.map(|code| BankResponse { code, message: message.unwrap_or_default() }),
        created_at: from_us(row.try_get("", "created_at_us")?)?,
        ended_at: ended_at_us.map(from_us).transpose()?,
    })
}
