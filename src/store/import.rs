//! Boletos that another service made, written as they stand: with their numbers, codes, status and payments.
//!
//! A boleto comes once, by the id that it had there. What was decided there is told to nobody again; what is still open
//! gets its registration work in the same transaction.
//!
//! **Fails** as the store does; then nothing of the group was written. What the rows themselves forbid is data
//! ([`Imported`]). **Limits**: a group as large as the caller makes it, in one transaction.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use super::boleto::{NewEvent, to_json};
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::boleto::Boleto;
use crate::domain::boleto::event::EventType;
use crate::domain::boleto::payment::Payment;
use crate::domain::boleto::status::Status;
use crate::domain::ids::{EndpointId, EventId, TenantId};
use crate::domain::work::NewWork;

/// A boleto of another service, checked by our rules.
#[derive(Debug, Clone)]
pub struct ImportedBoleto {
    /// What it was called there.
    pub legacy_id: String,
    pub boleto: Boleto,
    /// Who is told what comes of it from now on.
    pub endpoint_id: EndpointId,
    pub payment: Option<Payment>,
    /// The registration of one that is still open.
    pub work: Option<NewWork>,
    pub event_id: EventId,
}

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    New,
    /// It came before.
    Before,
    /// Another boleto of the account has its number.
    NumberTaken,
}

impl Store {
    /// Whether there is such a tenant.
    pub async fn tenant_exists(&self, tenant: &TenantId) -> Result<bool, StoreError> {
        let find = self.statement("select id from tenant where id = $1", [Value::from(tenant.as_str())]);
        self.within(async { Ok(self.reader().query_one_raw(find).await?.is_some()) }).await
    }

    /// Moves a counter of numbers on to `next`, never back.
    pub async fn raise_number_range(&self, range_key: &str, next: i64) -> Result<(), StoreError> {
        let raise = self.statement(
            "update nosso_numero_range set next_sequence = $2 where range_key = $1 and next_sequence < $2",
            [Value::from(range_key), Value::from(next)],
        );
        self.within(async { execute(&self.inner.writer, raise).await }).await.map(|_| ())
    }

    /// Which of these boletos would be written, without writing any.
    pub async fn rehearse_import(&self, items: &[ImportedBoleto]) -> Result<Vec<Imported>, StoreError> {
        self.within(async {
            let before = self.known_legacy_ids(self.reader(), items).await?;
            let taken = self.numbers_taken(self.reader(), items).await?;
            Ok(outcomes(items, &before, taken))
        })
        .await
    }

    /// Writes boletos, all of them in one transaction.
    pub async fn import_boletos(&self, items: &[ImportedBoleto]) -> Result<Vec<Imported>, StoreError> {
        let (transaction, outcomes) = self
            .within(async {
                let transaction = self.begin().await?;
                let before = self.known_legacy_ids(&transaction, items).await?;
                let taken = self.numbers_taken(&transaction, items).await?;
                let outcomes = outcomes(items, &before, taken);
                let new: Vec<&ImportedBoleto> = items
                    .iter()
                    .zip(&outcomes)
                    .filter(|(_, outcome)| **outcome == Imported::New)
                    .map(|(item, _)| item)
                    .collect();
                if !new.is_empty() {
                    self.write_imported(&transaction, &new).await?;
                }
                Ok((transaction, outcomes))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(outcomes)
    }

    async fn known_legacy_ids(
        &self,
        connection: &impl ConnectionTrait,
        items: &[ImportedBoleto],
    ) -> Result<HashSet<String>, StoreError> {
        let rows = Rows::new()
            .text("legacy_id", items.iter().map(|item| item.legacy_id.clone()))
            .text("tenant_id", items.iter().map(|item| item.boleto.tenant_id.as_str().to_owned()));
        let find = " select l.legacy_id from legacy_id l
              join r on l.tenant_id = r.tenant_id and l.legacy_id = r.legacy_id";
        let found = all(connection, self.statement_over(rows, vec![], find)).await?;
        found.iter().map(|row| Ok(row.try_get("", "legacy_id")?)).collect()
    }

    async fn numbers_taken(
        &self,
        connection: &impl ConnectionTrait,
        items: &[ImportedBoleto],
    ) -> Result<HashSet<(Uuid, String)>, StoreError> {
        let numbered =
            || items.iter().filter_map(|item| Some((item, item.boleto.codes.nosso_numero.clone()?)));
        if numbered().next().is_none() {
            return Ok(HashSet::new());
        }
        let rows = Rows::new()
            .text("nosso_numero", numbered().map(|(_, number)| number))
            .uuid("bank_account_id", numbered().map(|(item, _)| item.boleto.bank_account_id.0));
        let find = " select b.bank_account_id, b.nosso_numero from boleto b
              join r on b.nosso_numero = r.nosso_numero and b.bank_account_id = r.bank_account_id";
        let found = all(connection, self.statement_over(rows, vec![], find)).await?;
        found
            .iter()
            .map(|row| Ok((row.try_get("", "bank_account_id")?, row.try_get("", "nosso_numero")?)))
            .collect()
    }

    async fn write_imported(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&ImportedBoleto],
    ) -> Result<(), StoreError> {
        // First the names, for they are what another import of the same boletos would run into.
        let rows = Rows::new()
            .text("legacy_id", items.iter().map(|item| item.legacy_id.clone()))
            .text("tenant_id", items.iter().map(|item| item.boleto.tenant_id.as_str().to_owned()))
            .uuid("boleto_id", items.iter().map(|item| item.boleto.id.0));
        let insert = " insert into legacy_id (tenant_id, legacy_id, boleto_id) select tenant_id, legacy_id, boleto_id from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        self.write_rows(transaction, items).await?;
        let events: Vec<NewEvent> = items.iter().map(|item| item.event()).collect();
        self.insert_events(transaction, &events).await?;
        self.write_payments(transaction, items).await?;
        self.write_told(transaction, items).await?;
        let work: Vec<NewWork> = items.iter().filter_map(|item| item.work.clone()).collect();
        self.insert_work(transaction, &work).await?;
        Ok(())
    }

    async fn write_rows(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&ImportedBoleto],
    ) -> Result<(), StoreError> {
        let boletos = || items.iter().map(|item| &item.boleto);
        let mut payers = Vec::with_capacity(items.len());
        let mut terms = Vec::with_capacity(items.len());
        for boleto in boletos() {
            payers.push(to_json(&boleto.payer)?);
            terms.push(if boleto.terms.is_none() { None } else { Some(to_json(&boleto.terms)?) });
        }
        let open = |status: Status| {
            use Status::{NeedsReview, PendingRegistration, Refused};
            matches!(status, PendingRegistration | NeedsReview | Refused).then(|| status.as_str().to_owned())
        };
        let response = |boleto: &Boleto| boleto.bank_response.as_ref().map(|said| said.code.clone());
        let rows = Rows::new()
            .text("tenant_id", boletos().map(|boleto| boleto.tenant_id.as_str().to_owned()))
            .uuid("id", boletos().map(|boleto| boleto.id.0))
            .uuid("bank_account_id", boletos().map(|boleto| boleto.bank_account_id.0))
            .text("status", boletos().map(|boleto| boleto.status.as_str().to_owned()))
            .optional_text("open_status", boletos().map(|boleto| open(boleto.status)))
            .integer("amount_cents", boletos().map(|boleto| boleto.amount.0))
            .date("due_date", boletos().map(|boleto| boleto.due_date))
            .optional_text("nosso_numero", boletos().map(|boleto| boleto.codes.nosso_numero.clone()))
            .optional_text("nosso_numero_dv", boletos().map(|boleto| boleto.codes.nosso_numero_dv.clone()))
            .optional_text("barcode", boletos().map(|b| b.codes.barcode.map(|code| code.as_str().to_owned())))
            .optional_text("terms", terms)
            .text("payer", payers)
            .optional_text("instructions", boletos().map(|boleto| boleto.instructions.clone()))
            .optional_text("reference_id", boletos().map(|boleto| boleto.reference_id.clone()))
            .optional_text("token", boletos().map(|boleto| boleto.token.clone()))
            .uuid("endpoint_id", items.iter().map(|item| item.endpoint_id.0))
            .optional_text("response_code", boletos().map(response))
            .optional_text("url", boletos().map(|boleto| boleto.url.clone()))
            .integer("paid_cents", boletos().map(|boleto| boleto.paid.0))
            .integer("created_at_us", boletos().map(|boleto| to_us(boleto.created_at)))
            .integer("updated_at_us", boletos().map(|boleto| to_us(boleto.updated_at)));
        let insert = " insert into boleto (tenant_id, id, bank_account_id, status, open_status, version, amount_cents, due_date,
                nosso_numero, nosso_numero_dv, barcode, terms, payer, instructions, reference_id, token, endpoint_id, notify,
                response_code, response_message, url, paid_cents, created_at_us, updated_at_us)
              select tenant_id, id, bank_account_id, status, open_status, 1, amount_cents, due_date, nosso_numero,
                nosso_numero_dv, barcode, terms, payer, instructions, reference_id, token, endpoint_id, 'owner',
                response_code, case when response_code is not null then '' end, url, paid_cents, created_at_us,
                updated_at_us from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    async fn write_payments(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&ImportedBoleto],
    ) -> Result<(), StoreError> {
        let paid: Vec<(&Boleto, &Payment)> =
            items.iter().filter_map(|item| Some((&item.boleto, item.payment.as_ref()?))).collect();
        if paid.is_empty() {
            return Ok(());
        }
        let rows = || {
            Rows::new()
                .uuid("id", paid.iter().map(|(_, payment)| payment.id))
                .text("tenant_id", paid.iter().map(|(boleto, _)| boleto.tenant_id.as_str().to_owned()))
                .uuid("boleto_id", paid.iter().map(|(boleto, _)| boleto.id.0))
                .integer("amount_cents", paid.iter().map(|(_, payment)| payment.amount.0))
                .date("paid_on", paid.iter().map(|(_, payment)| payment.paid_on))
                .text("source", paid.iter().map(|(_, payment)| payment.source.as_str().to_owned()))
                .text("external_id", paid.iter().map(|(_, payment)| payment.external_id.clone()))
                .optional_text("response_code", paid.iter().map(|(_, payment)| payment.response_code.clone()))
                .integer("created_at_us", paid.iter().map(|(_, payment)| to_us(payment.created_at)))
        };
        let insert = " insert into boleto_payment (id, tenant_id, boleto_id, amount_cents, paid_on, is_partial, source,
                external_id, response_code, created_at_us)
              select id, tenant_id, boleto_id, amount_cents, paid_on, 0, source, external_id, response_code, created_at_us
              from r";
        execute(transaction, self.statement_over(rows(), vec![], insert)).await?;
        let date = " update boleto set paid_on = r.paid_on from r
              where boleto.tenant_id = r.tenant_id and boleto.id = r.boleto_id";
        execute(transaction, self.statement_over(rows(), vec![], date)).await?;
        Ok(())
    }

    /// The owners know what was decided before: from here on they are told of what comes after it.
    async fn write_told(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&ImportedBoleto],
    ) -> Result<(), StoreError> {
        let rows = Rows::new()
            .uuid("endpoint_id", items.iter().map(|item| item.endpoint_id.0))
            .uuid("subject_id", items.iter().map(|item| item.boleto.id.0))
            .text("tenant_id", items.iter().map(|item| item.boleto.tenant_id.as_str().to_owned()))
            .integer("updated_at_us", items.iter().map(|item| to_us(item.boleto.updated_at)));
        let insert = " insert into delivery
                (endpoint_id, subject_id, tenant_id, wanted_version, sent_version, state, attempts, last_answer, updated_at_us)
              select endpoint_id, subject_id, tenant_id, 1, 1, 'delivered', 0, 'told by the service before', updated_at_us
              from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    /// How many boletos of a tenant have a name of the service before, by their status.
    pub async fn imported_by_status(&self, tenant: &TenantId) -> Result<HashMap<String, i64>, StoreError> {
        let count = match self.kind() {
            StoreKind::PostgreSql => "count(*)::bigint",
            StoreKind::Sqlite => "count(*)",
        };
        let text = format!(
            "select b.status, {count} as n from legacy_id l join boleto b on b.tenant_id = l.tenant_id and b.id = l.boleto_id
             where l.tenant_id = $1 group by b.status"
        );
        let statement = self.statement(&text, [Value::from(tenant.as_str())]);
        let rows = self.within(async { all(self.reader(), statement).await }).await?;
        rows.iter().map(|row| Ok((row.try_get("", "status")?, row.try_get("", "n")?))).collect()
    }
}

impl ImportedBoleto {
    fn event(&self) -> NewEvent {
        NewEvent {
            id: self.event_id,
            tenant_id: self.boleto.tenant_id.clone(),
            boleto_id: self.boleto.id,
            version: 1,
            event_type: EventType::Became(self.boleto.status),
            status: self.boleto.status,
            reference_id: self.boleto.reference_id.clone(),
            reason: Some(format!("imported; it was {} before", self.legacy_id)),
            occurred_at: self.boleto.updated_at,
            ended_by: None,
        }
    }
}

/// Of two with one name, or with one number, the first is written.
fn outcomes(
    items: &[ImportedBoleto],
    before: &HashSet<String>,
    mut taken: HashSet<(Uuid, String)>,
) -> Vec<Imported> {
    let mut seen = HashSet::new();
    let outcome = |item: &ImportedBoleto| {
        if before.contains(&item.legacy_id) || !seen.insert(item.legacy_id.clone()) {
            return Imported::Before;
        }
        match &item.boleto.codes.nosso_numero {
            Some(number) if !taken.insert((item.boleto.bank_account_id.0, number.clone())) => {
                Imported::NumberTaken
            }
            _ => Imported::New,
        }
    };
    items.iter().map(outcome).collect()
}
