//! Boletos: made in groups, read one at a time.
//!
//! Making one writes the request's key, the boleto, its first event and its registration work in one transaction; there
//! is no gap to crash in. Losers of a race for a request id wait for the winner and are given what it made.
//!
//! **Fails** per item with data ([`Created`]), and as the store does for trouble.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, Value};
use uuid::Uuid;

use super::entities::boleto as entity;
use super::request_key::{Entered, NewKey, RequestKey};
use super::rows::Rows;
use super::transaction::execute;
use super::{Store, StoreError, from_us, to_us};
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::event::EventType;
use crate::domain::boleto::issuer::{IssueError, Issuer};
use crate::domain::boleto::status::Status;
use crate::domain::boleto::terms::Terms;
use crate::domain::boleto::{BankResponse, Boleto, Codes};
use crate::domain::ids::{BankAccountId, BoletoId, EndpointId, EventId, TenantId, WorkId};
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::work::{Claim, NewWork};

/// Why a boleto was issued without work, as its first event says: what tells it from one whose work has ended.
pub(super) const HELD_BACK: &str = "registration held back";

/// A boleto about to be made: checked, with its account found, without its number.
#[derive(Debug, Clone)]
pub struct BoletoDraft {
    pub id: BoletoId,
    pub event_id: EventId,
    pub tenant_id: TenantId,
    pub request: Option<RequestKey>,
    pub bank_account_id: BankAccountId,
    pub issuer: Issuer,
    /// Who makes the codes: the bank's connector knows.
    pub codes: DraftCodes,
    pub amount: Cents,
    pub due_date: NaiveDate,
    pub payer: Payer,
    pub terms: Terms,
    pub instructions: Option<String>,
    pub reference_id: Option<String>,
    pub token: Option<String>,
    pub notify: Notify,
    /// The registration; claimed already when this process has a place free for it.
    pub work: NewWork,
    /// It is issued without that work, until somebody asks for its registration.
    pub hold_registration: bool,
    pub now: DateTime<Utc>,
}

/// Which codes a boleto is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftCodes {
    /// All of them.
    All,
    /// The number alone; the bank makes the barcode.
    NumberAlone,
    /// None: the bank chooses the number too.
    None,
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
            match draft.compose(sequence) {
                Ok(codes) => made.push((index, draft.with(codes))),
                Err(error) => outcomes[index] = Some(Created::NotIssued(error)),
            }
        }
        self.forget_requests(transaction, drafts, &outcomes).await?;
        let rows: Vec<(&BoletoDraft, &Boleto)> =
            made.iter().map(|(index, boleto)| (&drafts[*index], boleto)).collect();
        self.insert_boletos(transaction, &rows).await?;
        self.insert_first_events(transaction, &rows).await?;
        let at_once = self.insert_registrations(transaction, &rows).await?;
        for (index, boleto) in made {
            let claim = drafts[index].claim().filter(|claim| at_once.contains(&claim.id)).map(Box::new);
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
        let keys: Vec<NewKey<'_>> = drafts
            .iter()
            .filter_map(|draft| {
                let key = draft.request.as_ref()?;
                Some(NewKey { key, resource_id: draft.id.0, now: draft.now })
            })
            .collect();
        let mut entered = self.enter_keys(transaction, &keys).await?.into_iter();
        let outcome = |draft: &BoletoDraft| {
            draft.request.as_ref()?;
            match entered.next()? {
                Entered::New => None,
                Entered::Before(made) => Some(Created::Before(BoletoId(made))),
                Entered::OtherBody => Some(Created::OtherBody),
            }
        };
        Ok(drafts.iter().map(outcome).collect())
    }

    /// Takes the request ids of drafts that came to nothing back out.
    async fn forget_requests(
        &self,
        transaction: &DatabaseTransaction,
        drafts: &[BoletoDraft],
        outcomes: &[Option<Created>],
    ) -> Result<(), StoreError> {
        let keys: Vec<&RequestKey> = drafts
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| matches!(outcome, Some(Created::NotIssued(_))))
            .filter_map(|(draft, _)| draft.request.as_ref())
            .collect();
        self.forget_keys(transaction, &keys).await
    }

    /// Takes a number for each winner. Ranges are taken in the order of their keys, so that two groups never wait for
    /// each other; a range that is used up gives numbers past its end, which the issuer refuses one by one.
    async fn allocate(
        &self,
        transaction: &DatabaseTransaction,
        drafts: &[BoletoDraft],
        winners: &[usize],
    ) -> Result<Vec<i64>, StoreError> {
        let key_of = |draft: &BoletoDraft| {
            // The bank counts by itself.
            (draft.codes != DraftCodes::None).then(|| draft.issuer.range_key())
        };
        let keys: Vec<Option<String>> = winners.iter().map(|&index| key_of(&drafts[index])).collect();
        let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
        for key in keys.iter().flatten() {
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
                let Some(key) = key else { return 0 };
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
        let mut terms = Vec::with_capacity(items.len());
        for (draft, _) in items {
            payers.push(to_json(&draft.payer)?);
            terms.push(if draft.terms.is_none() { None } else { Some(to_json(&draft.terms)?) });
        }
        let barcode = |boleto: &Boleto| boleto.codes.barcode.map(|barcode| barcode.as_str().to_owned());
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
            .optional_text("nosso_numero", items.iter().map(|(_, boleto)| boleto.codes.nosso_numero.clone()))
            .optional_text("nosso_numero_dv", items.iter().map(|(_, b)| b.codes.nosso_numero_dv.clone()))
            .optional_text("barcode", items.iter().map(|(_, boleto)| barcode(boleto)))
            .optional_text("terms", terms)
            .text("payer", payers)
            .optional_text("instructions", items.iter().map(|(_, boleto)| boleto.instructions.clone()))
            .optional_text("reference_id", items.iter().map(|(_, boleto)| boleto.reference_id.clone()))
            .optional_text("token", items.iter().map(|(_, boleto)| boleto.token.clone()))
            .optional_uuid("endpoint_id", items.iter().map(|(draft, _)| endpoint(draft)))
            .text("notify", items.iter().map(|(draft, _)| notify(draft).to_owned()))
            .optional_text("traceparent", items.iter().map(|(draft, _)| draft.work.traceparent.clone()))
            .integer("created_at_us", items.iter().map(|(_, boleto)| to_us(boleto.created_at)));
        let insert = " insert into boleto (tenant_id, id, bank_account_id, status, version, amount_cents, due_date,
                nosso_numero, nosso_numero_dv, barcode, terms, payer, instructions, reference_id, token, endpoint_id, notify,
                traceparent, created_at_us, updated_at_us)
              select tenant_id, id, bank_account_id, 'issued', 1, amount_cents, due_date,
                nosso_numero, nosso_numero_dv, barcode, terms, payer, instructions, reference_id, token, endpoint_id, notify,
                traceparent, created_at_us, created_at_us from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    /// Inserts the registrations of what is not held back, and returns those that their process has in hand at once.
    async fn insert_registrations(
        &self,
        transaction: &DatabaseTransaction,
        items: &[(&BoletoDraft, &Boleto)],
    ) -> Result<HashSet<WorkId>, StoreError> {
        let wanted = items.iter().filter(|(draft, _)| !draft.hold_registration);
        let mut work: Vec<NewWork> = wanted.map(|(draft, _)| draft.work.clone()).collect();
        let at_once = self.may_be_taken_at_once(transaction, &work).await?;
        let mut taken = HashSet::new();
        for (item, at_once) in work.iter_mut().zip(at_once) {
            if at_once {
                taken.insert(item.id);
            } else {
                // Buried since it took the place, or paused: the row is anybody's.
                (item.claimed_by, item.sent_at) = (None, None);
            }
        }
        self.insert_work(transaction, &work).await?;
        Ok(taken)
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
                event_type: EventType::Became(boleto.status),
                status: boleto.status,
                reason: draft.hold_registration.then(|| HELD_BACK.to_owned()),
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
            .text("event_type", events.iter().map(|event| event.event_type.name()))
            .text("status", events.iter().map(|event| event.status.as_str().to_owned()))
            .optional_text("reference_id", events.iter().map(|event| event.reference_id.clone()))
            .optional_text("reason", events.iter().map(|event| event.reason.clone()))
            .integer("occurred_at_us", events.iter().map(|event| to_us(event.occurred_at)))
            .optional_uuid("work_id", events.iter().map(|event| event.ended_by.map(|(work, _)| work)))
            .optional_integer("fence", events.iter().map(|event| event.ended_by.map(|(_, fence)| fence)));
        let insert = " insert into boleto_event (id, tenant_id, boleto_id, version, event_type, status, reference_id,
                reason, occurred_at_us, work_id, fence)
              select id, tenant_id, boleto_id, version, event_type, status, reference_id, reason, occurred_at_us, work_id,
                fence from r";
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
    pub event_type: EventType,
    /// The status after it.
    pub status: Status,
    pub reference_id: Option<String>,
    /// In the words of whoever asked for it.
    pub reason: Option<String>,
    pub occurred_at: DateTime<Utc>,
    /// The work row that this change ended, and under which fence: what is re-read after a commit of unknown fate.
    pub ended_by: Option<(Uuid, i64)>,
}

impl BoletoDraft {
    fn compose(&self, sequence: i64) -> Result<Codes, IssueError> {
        match self.codes {
            DraftCodes::All => self.issuer.compose(sequence, self.amount, self.due_date),
            DraftCodes::NumberAlone => {
                let (nosso_numero, nosso_numero_dv) = self.issuer.number(sequence)?;
                Ok(Codes { nosso_numero: Some(nosso_numero), nosso_numero_dv, barcode: None })
            }
            DraftCodes::None => Ok(Codes::default()),
        }
    }

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
            terms: self.terms.clone(),
            payer: self.payer.clone(),
            instructions: self.instructions.clone(),
            reference_id: self.reference_id.clone(),
            token: self.token.clone(),
            bank_response: None,
            pix_emv: None,
            bank_reference: None,
            url: None,
            paid: Cents::ZERO,
            paid_on: None,
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
            span: None,
            earlier_span: None,
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
    let barcode = row.barcode.as_deref().map(Barcode::parse).transpose();
    let barcode = barcode.map_err(|_| StoreError::unreadable("barcode", row.id))?;
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
        codes: Codes { nosso_numero: row.nosso_numero, nosso_numero_dv: row.nosso_numero_dv, barcode },
        terms: row.terms.map_or_else(|| Ok(Terms::default()), |text| from_json("terms", &text))?,
        payer: from_json("payer", &row.payer)?,
        instructions: row.instructions,
        reference_id: row.reference_id,
        token: row.token,
        bank_response,
        pix_emv: row.pix_emv,
        bank_reference: row.bank_reference,
        url: row.url,
        paid: Cents(row.paid_cents),
        paid_on: row.paid_on,
        created_at: from_us(row.created_at_us)?,
        updated_at: from_us(row.updated_at_us)?,
    };
    Ok(StoredBoleto { boleto, notify })
}
