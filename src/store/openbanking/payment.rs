//! Payments that banks are asked about, and which of them a run asks about.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: what has ended is in no index that a run reads, so that a run costs
//! what is due and not what there ever was.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::{is_set, moment, moment_or_none, tenant_of};
use crate::domain::ids::{EndpointId, PaymentId, PsuUserId, TenantId};
use crate::domain::openbanking::payment::{PaymentKind, PaymentState, Vocabulary};
use crate::store::rows::Rows;
use crate::store::transaction::all;
use crate::store::{Store, StoreError, to_us};

pub(super) const COLUMNS: &str = "p.id, p.tenant_id, p.user_id, p.aspsp, p.kind, p.vocabulary, p.product, p.external_id, \
     p.is_our_name, p.parent_id, p.reference_id, p.state, p.raw_status, p.is_unknown, p.is_unverifiable, p.asks_children, \
     p.reason, p.asked_at_us, p.asks, p.next_ask_at_us, p.token_sealed, p.endpoint_id, p.traceparent, p.version, p.made_at_us, \
     p.created_at_us, p.updated_at_us, p.ended_at_us";

/// A payment.
#[derive(Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub tenant_id: TenantId,
    pub user_id: Option<PsuUserId>,
    pub aspsp: String,
    pub kind: PaymentKind,
    pub vocabulary: Vocabulary,
    /// Where the bank keeps it, such as `payments/sepa-credit-transfers`.
    pub product: String,
    /// The bank's name for it, or ours where the bank gave none.
    pub external_id: String,
    pub is_our_name: bool,
    /// The bundle or the recurring payment that it is one of.
    pub parent_id: Option<PaymentId>,
    /// The owner's own name for it.
    pub reference_id: Option<String>,
    pub state: PaymentState,
    /// The bank's own word.
    pub raw_status: Option<String>,
    /// Nobody knows that word.
    pub is_unknown: bool,
    /// Its token is not taken: the bank cannot be asked.
    pub is_unverifiable: bool,
    /// How it ended is for its children to say.
    pub asks_children: bool,
    pub reason: Option<String>,
    pub asked_at: Option<DateTime<Utc>>,
    pub asks: i64,
    /// Due in every run that begins behind it.
    pub next_ask_at: DateTime<Utc>,
    /// By which it was started, sealed.
    pub token_sealed: Option<String>,
    /// Who is told beside the subscriptions.
    pub endpoint_id: Option<EndpointId>,
    pub traceparent: Option<String>,
    pub version: i64,
    /// From when its age counts.
    pub made_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Without what belongs in no log.
impl std::fmt::Debug for Payment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payment")
            .field("id", &self.id)
            .field("aspsp", &self.aspsp)
            .field("kind", &self.kind)
            .field("state", &self.state)
            .field("raw_status", &self.raw_status)
            .field("asked_at", &self.asked_at)
            .field("next_ask_at", &self.next_ask_at)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A payment that is to be followed, or that was followed elsewhere.
#[derive(Clone)]
pub struct PaymentDraft {
    /// Of the payment, should it be new.
    pub id: PaymentId,
    pub tenant_id: TenantId,
    pub user_id: Option<PsuUserId>,
    pub aspsp: String,
    pub kind: PaymentKind,
    pub vocabulary: Vocabulary,
    pub product: String,
    pub external_id: String,
    pub is_our_name: bool,
    pub parent_id: Option<PaymentId>,
    pub reference_id: Option<String>,
    /// In progress, or how it ended elsewhere; of that nobody is told.
    pub state: PaymentState,
    pub raw_status: Option<String>,
    pub token_sealed: Option<String>,
    pub endpoint_id: Option<EndpointId>,
    pub traceparent: Option<String>,
    pub made_at: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracked {
    New(PaymentId),
    /// It was followed already, and nothing was changed.
    Known(PaymentId, PaymentState),
}

/// Tenant, bank, and the name there.
type Name = (String, String, String);

impl Store {
    /// Has payments followed. One that is known by its name at the bank is left as it is; of a customer who was erased meanwhile it is
    /// followed without a name.
    pub async fn track_payments(&self, items: &[PaymentDraft]) -> Vec<Result<Tracked, StoreError>> {
        self.in_group(items, |store, transaction, items| {
            Box::pin(store.track_payment_group(transaction, items))
        })
        .await
    }

    async fn track_payment_group(
        &self,
        transaction: &DatabaseTransaction,
        items: &[PaymentDraft],
    ) -> Result<Vec<Tracked>, StoreError> {
        let users = items.iter().filter_map(|item| Some(item.user_id?.0)).collect();
        let live = self.hold_live_users(transaction, users).await?;
        let is_named = |item: &PaymentDraft| item.user_id.is_none_or(|id| live.contains(&id.0));
        let ended = |item: &PaymentDraft| (item.state != PaymentState::InProgress).then(|| to_us(item.now));
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.id.0))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .optional_uuid(
                "user_id",
                items.iter().map(|item| item.user_id.map(|id| id.0).filter(|id| live.contains(id))),
            )
            .text("aspsp", items.iter().map(|item| item.aspsp.clone()))
            .text("kind", items.iter().map(|item| item.kind.as_str().to_owned()))
            .text("vocabulary", items.iter().map(|item| item.vocabulary.as_str().to_owned()))
            .text("product", items.iter().map(|item| item.product.clone()))
            .text("external_id", items.iter().map(|item| item.external_id.clone()))
            .integer("is_our_name", items.iter().map(|item| i64::from(item.is_our_name)))
            .optional_uuid("parent_id", items.iter().map(|item| item.parent_id.map(|id| id.0)))
            .optional_text(
                "reference_id",
                items.iter().map(|item| item.reference_id.clone().filter(|_| is_named(item))),
            )
            .text("state", items.iter().map(|item| item.state.as_str().to_owned()))
            .optional_text("raw_status", items.iter().map(|item| item.raw_status.clone()))
            .optional_text("token_sealed", items.iter().map(|item| item.token_sealed.clone()))
            .optional_uuid("endpoint_id", items.iter().map(|item| item.endpoint_id.map(|id| id.0)))
            .optional_text("traceparent", items.iter().map(|item| item.traceparent.clone()))
            .integer("made_at_us", items.iter().map(|item| to_us(item.made_at)))
            .integer("now_us", items.iter().map(|item| to_us(item.now)))
            .optional_integer("ended_at_us", items.iter().map(ended));
        let insert = " insert into payment (id, tenant_id, user_id, aspsp, kind, vocabulary, product, external_id, is_our_name,
                parent_id, reference_id, state, raw_status, is_unknown, is_unverifiable, asks_children, asks, next_ask_at_us,
                token_sealed, endpoint_id, traceparent, version, made_at_us, created_at_us, updated_at_us, ended_at_us)
              select id, tenant_id, user_id, aspsp, kind, vocabulary, product, external_id, is_our_name, parent_id, reference_id,
                state, raw_status, 0, 0, 0, 0, now_us, token_sealed, endpoint_id, traceparent, 1, made_at_us, now_us, now_us,
                ended_at_us
              from r where true order by external_id, aspsp, tenant_id
              on conflict (external_id, aspsp, tenant_id) do nothing returning id";
        let new = all(transaction, self.statement_over(rows, vec![], insert)).await?;
        let new: Vec<Uuid> = new.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
        if new.len() == items.len() {
            return Ok(items.iter().map(|item| Tracked::New(item.id)).collect());
        }
        let known = self.payments_named(transaction, items).await?;
        let outcome = |item: &PaymentDraft| {
            let known = known.get(&item.name()).copied();
            let (id, state) =
                known.ok_or_else(|| StoreError::Broken("a payment is neither new nor known".to_owned()))?;
            let is_new = id == item.id && new.contains(&id.0);
            Ok(if is_new { Tracked::New(id) } else { Tracked::Known(id, state) })
        };
        items.iter().map(outcome).collect()
    }

    async fn payments_named(
        &self,
        transaction: &DatabaseTransaction,
        items: &[PaymentDraft],
    ) -> Result<HashMap<Name, (PaymentId, PaymentState)>, StoreError> {
        let rows = Rows::new().text("external_id", items.iter().map(|item| item.external_id.clone()));
        let find = format!(
            " select p.id, p.tenant_id, p.aspsp, p.external_id, p.state from payment p where p.external_id {}",
            self.is_one_of("external_id")
        );
        let mut known = HashMap::new();
        for row in all(transaction, self.statement_over(rows, vec![], &find)).await? {
            let name: Name =
                (row.try_get("", "tenant_id")?, row.try_get("", "aspsp")?, row.try_get("", "external_id")?);
            known.insert(name, (PaymentId(row.try_get("", "id")?), state_of(&row)?));
        }
        Ok(known)
    }

    /// The banks of which a run that begins then asks about payments. Reads one row a bank and no more.
    pub async fn aspsps_with_payments_due(
        &self,
        run_began: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        let statement = self.statement(
            "with recursive bank(aspsp) as (
                select (select min(p.aspsp) from payment p where p.state = 'in_progress')
                union all
                select (select min(p.aspsp) from payment p where p.state = 'in_progress' and p.aspsp > bank.aspsp)
                from bank where bank.aspsp is not null
             )
             select bank.aspsp from bank where bank.aspsp is not null and (
                select min(p.next_ask_at_us) from payment p where p.state = 'in_progress' and p.aspsp = bank.aspsp) < $1
             order by bank.aspsp",
            [Value::from(to_us(run_began))],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(|row| Ok(row.try_get("", "aspsp")?)).collect()
    }

    /// A page of a bank's payments that a run which began then asks about, longest waiting first, behind a cursor: who could not be
    /// asked stays behind it.
    pub async fn payments_due(
        &self,
        aspsp: &str,
        run_began: DateTime<Utc>,
        after: Option<(DateTime<Utc>, PaymentId)>,
        limit: i64,
    ) -> Result<Vec<Payment>, StoreError> {
        let (at, id) = after.map_or((i64::MIN, Uuid::nil()), |(at, id)| (to_us(at), id.0));
        let statement = self.statement(
            &format!(
                "select {COLUMNS} from payment p where p.state = 'in_progress' and p.aspsp = $1 and p.next_ask_at_us < $2
                   and (p.next_ask_at_us, p.id) > ($3, $4) order by p.next_ask_at_us, p.id limit $5"
            ),
            [
                Value::from(aspsp),
                Value::from(to_us(run_began)),
                Value::from(at),
                Value::from(id),
                Value::from(limit),
            ],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }

    /// One, by its id.
    pub async fn tracked_payment(
        &self,
        tenant: &TenantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, StoreError> {
        let statement = self.statement(
            &format!("select {COLUMNS} from payment p where p.id = $1 and p.tenant_id = $2"),
            [Value::from(id.0), Value::from(tenant.as_str())],
        );
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.as_ref().map(read).transpose()
    }

    /// The payments of a bundle or of a recurring one, oldest first, behind an id.
    pub async fn payment_children(
        &self,
        tenant: &TenantId,
        parent: PaymentId,
        after: Option<PaymentId>,
        limit: i64,
    ) -> Result<Vec<Payment>, StoreError> {
        let fence = self.fence();
        let statement = self.statement(
            &format!(
                "select {COLUMNS} from (select * from payment where parent_id = $1 {fence}) p
                 where p.tenant_id = $2 and p.id > $3 order by p.id limit $4"
            ),
            [
                Value::from(parent.0),
                Value::from(tenant.as_str()),
                Value::from(after.map_or(Uuid::nil(), |id| id.0)),
                Value::from(limit),
            ],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }
}

impl PaymentDraft {
    fn name(&self) -> Name {
        (self.tenant_id.as_str().to_owned(), self.aspsp.clone(), self.external_id.clone())
    }
}

pub(super) fn state_of(row: &QueryResult) -> Result<PaymentState, StoreError> {
    let state: String = row.try_get("", "state")?;
    PaymentState::parse(&state).ok_or_else(|| StoreError::unreadable("state", &state))
}

pub(super) fn read(row: &QueryResult) -> Result<Payment, StoreError> {
    let kind: String = row.try_get("", "kind")?;
    let vocabulary: String = row.try_get("", "vocabulary")?;
    Ok(Payment {
        id: PaymentId(row.try_get("", "id")?),
        tenant_id: tenant_of(row)?,
        user_id: row.try_get::<Option<Uuid>>("", "user_id")?.map(PsuUserId),
        aspsp: row.try_get("", "aspsp")?,
        kind: PaymentKind::parse(&kind).ok_or_else(|| StoreError::unreadable("kind", &kind))?,
        vocabulary: Vocabulary::parse(&vocabulary)
            .ok_or_else(|| StoreError::unreadable("vocabulary", &vocabulary))?,
        product: row.try_get("", "product")?,
        external_id: row.try_get("", "external_id")?,
        is_our_name: is_set(row, "is_our_name")?,
        parent_id: row.try_get::<Option<Uuid>>("", "parent_id")?.map(PaymentId),
        reference_id: row.try_get("", "reference_id")?,
        state: state_of(row)?,
        raw_status: row.try_get("", "raw_status")?,
        is_unknown: is_set(row, "is_unknown")?,
        is_unverifiable: is_set(row, "is_unverifiable")?,
        asks_children: is_set(row, "asks_children")?,
        reason: row.try_get("", "reason")?,
        asked_at: moment_or_none(row, "asked_at_us")?,
        asks: row.try_get("", "asks")?,
        next_ask_at: moment(row, "next_ask_at_us")?,
        token_sealed: row.try_get("", "token_sealed")?,
        endpoint_id: row.try_get::<Option<Uuid>>("", "endpoint_id")?.map(EndpointId),
        traceparent: row.try_get("", "traceparent")?,
        version: row.try_get("", "version")?,
        made_at: moment(row, "made_at_us")?,
        created_at: moment(row, "created_at_us")?,
        updated_at: moment(row, "updated_at_us")?,
        ended_at: moment_or_none(row, "ended_at_us")?,
    })
}
