//! Boletos: made in groups, read one at a time.
//!
//! Making one writes the request's key, the boleto, its first event and its registration work in one transaction; there
//! is no gap to crash in. Losers of a race for a request id wait for the winner and are given what it made.
//!
//! **Fails** per item with data ([`Created`]), and as the store does for trouble.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, Value};
use uuid::Uuid;

use super::entities::boleto as entity;
use super::request_key::RequestKey;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, from_us, to_us};
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::issuer::{IssueError, Issuer};
use crate::domain::boleto::status::Status;
use crate::domain::boleto::{BankResponse, Boleto, Codes};
use crate::domain::ids::{BankAccountId, BoletoId, EndpointId, EventId, TenantId};
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::work::{Claim, NewWork};

/// A boleto about to be made: checked, with its account found, without its number.
#[derive(Debug, Clone)]
pub struct BoletoDraft {
    pub id: BoletoId,
    pub event_id: EventId,
    pub tenant_id: TenantId,
    pub request: Option<RequestKey>,
    pub bank_account_id: BankAccountId,
    pub issuer: Issuer,
    pub amount: Cents,
    pub due_date: NaiveDate,
    pub payer: Payer,
    pub instructions: Option<String>,
    pub reference_id: Option<String>,
    pub token: Option<String>,
    pub notify: Notify,
    /// The registration; claimed already when this process has a place free for it.
    pub work: NewWork,
    pub now: DateTime<Utc>,
}

/// Whom to tell about a boleto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// The subscriptions of its tenant, and this endpoint if there is one.
    Owner(Option<EndpointId>),
    Nobody,
}

/// What became of a draft.
#[derive(Debug, Clone)]
pub enum Created {
    New {
        boleto: Box<Boleto>,
        claim: Option<Box<Claim>>,
    },
    /// The same request was made before, and this came of it.
    Before(BoletoId),
    /// The request id was used for another body.
    OtherBody,
    /// The agreement has no number left, or its codes cannot be made.
    NotIssued(IssueError),
}

/// A boleto with what its next steps need to know and its owner does not see.
#[derive(Debug, Clone)]
pub struct StoredBoleto {
    pub boleto: Boleto,
    pub notify: Notify,
}

impl Store {
    /// Makes boletos, all of them in one transaction.
    pub async fn create_boletos(&self, drafts: &[BoletoDraft]) -> Vec<Result<Created, StoreError>> {
        self.in_group(drafts, |store, transaction, drafts| Box::pin(store.create_group(transaction, drafts)))
            .await
    }

    async fn create_group(
        &self,
        transaction: &DatabaseTransaction,
        drafts: &[BoletoDraft],
    ) -> Result<Vec<Created>, StoreError> {
        let mut outcomes = self.enter_requests(transaction, drafts).await?;
        let winners: Vec<usize> = (0..drafts.len()).filter(|&index| outcomes[index].is_none()).collect();
        let sequences = self.allocate(transaction, drafts, &winners).await?;
        let mut made = Vec::with_capacity(winners.len());
        for (&index, sequence) in winners.iter().zip(sequences) {
            let draft = &drafts[index];
            match draft.issuer.compose(sequence, draft.amount, draft.due_date) {
                Ok(codes) => made.push((index, draft.with(codes))),
                Err(error) => outcomes[index] = Some(Created::NotIssued(error)),
            }
        }
        self.forget_requests(transaction, drafts, &outcomes).await?;
        let rows: Vec<(&BoletoDraft, &Boleto)> =
            made.iter().map(|(index, boleto)| (&drafts[*index], boleto)).collect();
        self.insert_boletos(transaction, &rows).await?;
        self.insert_first_events(transaction, &rows).await?;
        let mut work: Vec<NewWork> = rows.iter().map(|(draft, _)| draft.work.clone()).collect();
        let at_once = self.may_be_taken_at_once(transaction, &work).await?;
        for (item, _) in work.iter_mut().zip(&at_once).filter(|(_, at_once)| !**at_once) {
            // Buried since it took the place, or paused: the row is anybody's.
            (item.claimed_by, item.sent_at) = (None, None);
        }
        self.insert_work(transaction, &work).await?;
        for ((index, boleto), at_once) in made.into_iter().zip(at_once) {
            let claim = drafts[index].claim().filter(|_| at_once).map(Box::new);
            outcomes[index] = Some(Created::New { boleto: Box::new(boleto), claim });
        }
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.expect("every draft was won, lost or refused above"))
            .collect())
    }

    /// Enters the request ids. What was asked before has its outcome; the others have none yet.
    async fn enter_requests(
        &self,
        transaction: &DatabaseTransaction,
        drafts: &[BoletoDraft],
    ) -> Result<Vec<Option<Created>>, StoreError> {
        let keyed: Vec<(&BoletoDraft, &RequestKey)> =
            drafts.iter().filter_map(|draft| Some((draft, draft.request.as_ref()?))).collect();
        if keyed.is_empty() {
            return Ok(vec![None; drafts.len()]);
        }
        let keys = || {
            Rows::new()
                .text("tenant_id", keyed.iter().map(|(_, key)| key.tenant_id.as_str().to_owned()))
                .text("method", keyed.iter().map(|(_, key)| key.method.to_owned()))
                .text("request_id", keyed.iter().map(|(_, key)| key.request_id.clone()))
        };
        let rows = keys()
            .bytes("body_hash", keyed.iter().map(|(_, key)| key.body_hash.clone()))
            .uuid("resource_id", keyed.iter().map(|(draft, _)| draft.id.0))
            .integer("created_at_us", keyed.iter().map(|(draft, _)| to_us(draft.now)));
        // In the keys' own order, so that two groups that share some wait for each other and never for ever.
        let enter =
            " insert into request_key (tenant_id, method, request_id, body_hash, resource_id, created_at_us)
              select tenant_id, method, request_id, body_hash, resource_id, created_at_us from r
              where true order by tenant_id, method, request_id
              on conflict do nothing returning resource_id";
        let entered = all(transaction, self.statement_over(rows, vec![], enter)).await?;
        let entered: Result<Vec<Uuid>, _> =
            entered.iter().map(|row| row.try_get("", "resource_id")).collect();
        let entered = entered?;
        if entered.len() == keyed.len() {
            return Ok(vec![None; drafts.len()]);
        }
        let find = " select k.tenant_id, k.request_id, k.resource_id, k.body_hash from request_key k join r
              on k.tenant_id = r.tenant_id and k.method = r.method and k.request_id = r.request_id";
        let mut before: HashMap<(String, String), (Uuid, Vec<u8>)> = HashMap::new();
        for row in all(transaction, self.statement_over(keys(), vec![], find)).await? {
            let key = (row.try_get("", "tenant_id")?, row.try_get("", "request_id")?);
            before.insert(key, (row.try_get("", "resource_id")?, row.try_get("", "body_hash")?));
        }
        let outcome = |draft: &BoletoDraft| {
            let key = draft.request.as_ref()?;
            let (made, hash) = before.get(&(key.tenant_id.as_str().to_owned(), key.request_id.clone()))?;
            match () {
                () if *made == draft.id.0 => None,
                () if *hash == key.body_hash => Some(Created::Before(BoletoId(*made))),
                () => Some(Created::OtherBody),
            }
        };
        Ok(drafts.iter().map(outcome).collect())
    }

    /// Takes the request ids of drafts that came to nothing back out: a caller may correct the cause and ask again.
    async fn forget_requests(
        &self,
        transaction: &DatabaseTransaction,
        drafts: &[BoletoDraft],
        outcomes: &[Option<Created>],
    ) -> Result<(), StoreError> {
        for (draft, outcome) in drafts.iter().zip(outcomes) {
            if let (Some(key), Some(Created::NotIssued(_))) = (&draft.request, outcome) {
                let forget = self.statement(
                    "delete from request_key where tenant_id = $1 and method = $2 and request_id = $3",
                    [
                        Value::from(key.tenant_id.as_str()),
                        Value::from(key.method),
                        Value::from(key.request_id.as_str()),
                    ],
                );
                execute(transaction, forget).await?;
            }
        }
        Ok(())
    }

    /// Takes a number for each winner. Ranges are taken in the order of their keys, so that two groups never wait for
    /// each other; a range that is used up gives numbers past its end, which the issuer refuses one by one.
    async fn allocate(
        &self,
        transaction: &DatabaseTransaction,
        drafts: &[BoletoDraft],
        winners: &[usize],
    ) -> Result<Vec<i64>, StoreError> {
        let keys: Vec<String> = winners.iter().map(|&index| drafts[index].issuer.range_key()).collect();
        let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
        for key in &keys {
            *wanted.entry(key).or_default() += 1;
        }
        let mut next: HashMap<&str, i64> = HashMap::with_capacity(wanted.len());
        for (key, count) in wanted {
            let take = self.statement(
                "update nosso_numero_range set next_sequence = next_sequence + $2
                 where range_key = $1 returning next_sequence - $2 as first",
                [Value::from(key), Value::from(count)],
            );
            let row = transaction.query_one_raw(take).await?;
            let row = row.ok_or_else(|| StoreError::Broken(format!("no range of numbers for {key}")))?;
            next.insert(key, row.try_get("", "first")?);
        }
        Ok(keys
            .iter()
            .map(|key| {
                let place = next.get_mut(key.as_str()).expect("every key was taken above");
                let sequence = *place;
                *place += 1;
                sequence
            })
            .collect())
    }

    async fn insert_boletos(
        &self,
        transaction: &DatabaseTransaction,
        items: &[(&BoletoDraft, &Boleto)],
    ) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let mut payers = Vec::with_capacity(items.len());
        for (draft, _) in items {
            payers.push(to_json(&draft.payer)?);
        }
        let notify = |draft: &BoletoDraft| match draft.notify {
            Notify::Owner(_) => "owner",
            Notify::Nobody => "nobody",
        };
        let endpoint = |draft: &BoletoDraft| match draft.notify {
            Notify::Owner(endpoint) => endpoint.map(|id| id.0),
            Notify::Nobody => None,
        };
        let rows = Rows::new()
            .text("tenant_id", items.iter().map(|(_, boleto)| boleto.tenant_id.as_str().to_owned()))
            .uuid("id", items.iter().map(|(_, boleto)| boleto.id.0))
            .uuid("bank_account_id", items.iter().map(|(_, boleto)| boleto.bank_account_id.0))
            .integer("amount_cents", items.iter().map(|(_, boleto)| boleto.amount.0))
            .date("due_date", items.iter().map(|(_, boleto)| boleto.due_date))
            .text("nosso_numero", items.iter().map(|(_, boleto)| boleto.codes.nosso_numero.clone()))
            .optional_text("nosso_numero_dv", items.iter().map(|(_, b)| b.codes.nosso_numero_dv.clone()))
            .text("barcode", items.iter().map(|(_, boleto)| boleto.codes.barcode.as_str().to_owned()))
            .text("payer", payers)
            .optional_text("instructions", items.iter().map(|(_, boleto)| boleto.instructions.clone()))
            .optional_text("reference_id", items.iter().map(|(_, boleto)| boleto.reference_id.clone()))
            .optional_text("token", items.iter().map(|(_, boleto)| boleto.token.clone()))
            .optional_uuid("endpoint_id", items.iter().map(|(draft, _)| endpoint(draft)))
            .text("notify", items.iter().map(|(draft, _)| notify(draft).to_owned()))
            .optional_text("traceparent", items.iter().map(|(draft, _)| draft.work.traceparent.clone()))
            .integer("created_at_us", items.iter().map(|(_, boleto)| to_us(boleto.created_at)));
        let insert = " insert into boleto (tenant_id, id, bank_account_id, status, version, amount_cents, due_date,
                nosso_numero, nosso_numero_dv, barcode, payer, instructions, reference_id, token, endpoint_id, notify,
                traceparent, created_at_us, updated_at_us)
              select tenant_id, id, bank_account_id, 'issued', 1, amount_cents, due_date,
                nosso_numero, nosso_numero_dv, barcode, payer, instructions, reference_id, token, endpoint_id, notify,
                traceparent, created_at_us, created_at_us from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    async fn insert_first_events(
        &self,
        transaction: &DatabaseTransaction,
        items: &[(&BoletoDraft, &Boleto)],
    ) -> Result<(), StoreError> {
        let events: Vec<NewEvent> = items
            .iter()
            .map(|(draft, boleto)| NewEvent {
                id: draft.event_id,
                tenant_id: boleto.tenant_id.clone(),
                boleto_id: boleto.id,
                version: boleto.version,
                status: boleto.status,
                reference_id: boleto.reference_id.clone(),
                occurred_at: boleto.created_at,
                ended_by: None,
            })
            .collect();
        self.insert_events(transaction, &events).await
    }

    pub(super) async fn insert_events(
        &self,
        transaction: &DatabaseTransaction,
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let rows = Rows::new()
            .uuid("id", events.iter().map(|event| event.id.0))
            .text("tenant_id", events.iter().map(|event| event.tenant_id.as_str().to_owned()))
            .uuid("boleto_id", events.iter().map(|event| event.boleto_id.0))
            .integer("version", events.iter().map(|event| event.version))
            .text("event_type", events.iter().map(|event| format!("boleto.{}", event.status.as_str())))
            .text("status", events.iter().map(|event| event.status.as_str().to_owned()))
            .optional_text("reference_id", events.iter().map(|event| event.reference_id.clone()))
            .integer("occurred_at_us", events.iter().map(|event| to_us(event.occurred_at)))
            .optional_uuid("work_id", events.iter().map(|event| event.ended_by.map(|(work, _)| work)))
            .optional_integer("fence", events.iter().map(|event| event.ended_by.map(|(_, fence)| fence)));
        let insert = " insert into boleto_event (id, tenant_id, boleto_id, version, event_type, status, reference_id,
                occurred_at_us, work_id, fence)
              select id, tenant_id, boleto_id, version, event_type, status, reference_id, occurred_at_us, work_id, fence
              from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    /// One boleto of a tenant.
    pub async fn boleto(&self, tenant: &TenantId, id: BoletoId) -> Result<Option<StoredBoleto>, StoreError> {
        self.within(async {
            let key = (tenant.as_str().to_owned(), id.0);
            entity::Entity::find_by_id(key).one(self.reader()).await?.map(read).transpose()
        })
        .await
    }
}

/// A change of a boleto about to be written down.
pub(super) struct NewEvent {
    pub id: EventId,
    pub tenant_id: TenantId,
    pub boleto_id: BoletoId,
    pub version: i64,
    pub status: Status,
    pub reference_id: Option<String>,
    pub occurred_at: DateTime<Utc>,
    /// The work row that this change ended, and under which fence: what is re-read after a commit of unknown fate.
    pub ended_by: Option<(Uuid, i64)>,
}

impl BoletoDraft {
    fn with(&self, codes: Codes) -> Boleto {
        Boleto {
            id: self.id,
            tenant_id: self.tenant_id.clone(),
            bank_account_id: self.bank_account_id,
            status: Status::Issued,
            version: 1,
            amount: self.amount,
            due_date: self.due_date,
            codes,
            payer: self.payer.clone(),
            instructions: self.instructions.clone(),
            reference_id: self.reference_id.clone(),
            token: self.token.clone(),
            bank_response: None,
            pix_emv: None,
            created_at: self.now,
            updated_at: self.now,
        }
    }

    /// The claim under which the registration is inserted, when this process takes it at once.
    pub fn claim(&self) -> Option<Claim> {
        let work = &self.work;
        Some(Claim {
            id: work.id,
            tenant_id: work.tenant_id.clone(),
            kind: work.kind.to_owned(),
            queue: work.queue.clone(),
            attempt: 1,
            attempts_max: work.attempts_max,
            runner_id: work.claimed_by?,
            fence: 1,
            subject_id: work.subject_id,
            payload: work.payload.clone(),
            sent_at: work.sent_at,
            traceparent: work.traceparent.clone(),
            last_error: None,
            created_at: work.created_at,
        })
    }
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Broken(error.to_string()))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::unreadable(what, error))
}

pub(super) fn read(row: entity::Model) -> Result<StoredBoleto, StoreError> {
    let barcode = Barcode::parse(&row.barcode).map_err(|_| StoreError::unreadable("barcode", row.id))?;
    let status = Status::parse(&row.status).ok_or_else(|| StoreError::unreadable("status", &row.status))?;
    let tenant_id =
        TenantId::parse(&row.tenant_id).map_err(|error| StoreError::unreadable("tenant", error))?;
    let notify = match row.notify.as_str() {
        "nobody" => Notify::Nobody,
        _ => Notify::Owner(row.endpoint_id.map(EndpointId)),
    };
    let bank_response = row
        .response_code
        .map(|code| BankResponse { code, message: row.response_message.unwrap_or_default() });
    let boleto = Boleto {
        id: BoletoId(row.id),
        tenant_id,
        bank_account_id: BankAccountId(row.bank_account_id),
        status,
        version: row.version,
        amount: Cents(row.amount_cents),
        due_date: row.due_date,
        codes: Codes {
            nosso_numero: row.nosso_numero,
            nosso_numero_dv: row.nosso_numero_dv,
            barcode,
            linha_digitavel: barcode.to_linha(),
        },
        payer: from_json("payer", &row.payer)?,
        instructions: row.instructions,
        reference_id: row.reference_id,
        token: row.token,
        bank_response,
        pix_emv: row.pix_emv,
        created_at: from_us(row.created_at_us)?,
        updated_at: from_us(row.updated_at_us)?,
    };
    Ok(StoredBoleto { boleto, notify })
}
