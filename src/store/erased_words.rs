//! What attempts at work and at deliveries had to say about something that is erased: it may repeat whatever is erased with it.
//!
//! A sending that is under way when its subject is erased is let end. Whoever settles it finds that it was erased, and leaves no words of
//! it either: both have the row of its work before anything else, so that one of them comes second.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: what took place, when, and with which outcome stays.

use std::collections::HashSet;

use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::delivery::{DeliverySettlement, delivery_key};
use super::delivery_steer::resend_key;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind};
use crate::domain::payer::ERASED;

impl Store {
    /// The keys of all work that sends, or ever sent, anything about a subject.
    pub(super) async fn delivery_keys_of(
        &self,
        transaction: &DatabaseTransaction,
        subject: Uuid,
    ) -> Result<Vec<String>, StoreError> {
        let find = self.statement(
            "select d.endpoint_id, e.id as event_id from delivery d left join (
                select id from subject_event where subject_id = $1 union all select id from boleto_event where boleto_id = $1
             ) e on 1 = 1 where d.subject_id = $1",
            [Value::from(subject)],
        );
        let mut keys = Vec::new();
        for row in &all(transaction, find).await? {
            let (endpoint_id, event_id): (Uuid, Option<Uuid>) =
                (row.try_get("", "endpoint_id")?, row.try_get("", "event_id")?);
            keys.push(delivery_key(endpoint_id, subject));
            keys.extend(event_id.map(|event_id| resend_key(endpoint_id, event_id)));
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Takes away what the attempts at work with these keys had to say, be it live or ended.
    pub(super) async fn forget_words_of(
        &self,
        transaction: &DatabaseTransaction,
        keys: &[String],
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        // The conditions are spelled as the indexes of those rows have them.
        for table in ["work", "work_archive"] {
            let forget = format!(
                " update {table} set last_error = null, history = null
                  where unique_key is not null and unique_key {} and (last_error is not null or history is not null)",
                self.is_one_of("unique_key")
            );
            let rows = Rows::new().text("unique_key", keys.iter().cloned());
            execute(transaction, self.statement_over(rows, vec![], &forget)).await?;
        }
        Ok(())
    }

    /// Takes away what endpoints answered, try by try, to what they were told of a subject: it may repeat it.
    pub(super) async fn forget_answers_of(
        &self,
        transaction: &DatabaseTransaction,
        subject: Uuid,
    ) -> Result<(), StoreError> {
        let told = "select endpoint_id from delivery where subject_id = $1";
        // By endpoint and subject, as their index has them, whatever the planner believes of the table.
        let is_told = match self.kind() {
            StoreKind::PostgreSql => format!("= any(array({told}))"),
            StoreKind::Sqlite => format!("in ({told})"),
        };
        let forget = format!(
            "update delivery_attempt set answer = null where subject_id = $1 and endpoint_id {is_told}"
        );
        execute(transaction, self.statement(&forget, [Value::from(subject)])).await.map(|_| ())
    }

    /// Leaves no words of sendings whose subjects were erased meanwhile, as the last thing that their settlement does to them. Nobody sends
    /// anything of those any more.
    pub(super) async fn settle_erased(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&DeliverySettlement],
    ) -> Result<(), StoreError> {
        let erased = self.erased_of(transaction, items).await?;
        let items: Vec<&DeliverySettlement> =
            items.iter().filter(|item| erased.contains(&item.claim.subject_id)).copied().collect();
        if items.is_empty() {
            return Ok(());
        }
        let key = |item: &&DeliverySettlement| match item.resend {
            Some(event_id) => resend_key(item.endpoint_id.0, event_id.0),
            None => delivery_key(item.endpoint_id.0, item.claim.subject_id),
        };
        let keys: Vec<String> = items.iter().map(key).collect();
        self.forget_words_of(transaction, &keys).await?;
        for forget in [
            " update delivery set last_answer = null from r
              where delivery.endpoint_id = r.endpoint_id and delivery.subject_id = r.subject_id",
            " update delivery_attempt set answer = null from r
              where delivery_attempt.endpoint_id = r.endpoint_id and delivery_attempt.subject_id = r.subject_id",
        ] {
            let rows = Rows::new()
                .uuid("endpoint_id", items.iter().map(|item| item.endpoint_id.0))
                .uuid("subject_id", items.iter().map(|item| item.claim.subject_id));
            execute(transaction, self.statement_over(rows, vec![], forget)).await?;
        }
        Ok(())
    }

    /// The subjects of these that were erased: an erased boleto's payer is nobody, of anything else the events are empty.
    async fn erased_of(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&DeliverySettlement],
    ) -> Result<HashSet<Uuid>, StoreError> {
        if items.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = Rows::new()
            .uuid("id", items.iter().map(|item| item.claim.subject_id))
            .text("tenant_id", items.iter().map(|item| item.claim.tenant_id.as_str().to_owned()));
        let find = " select b.id from r join boleto b on b.tenant_id = r.tenant_id and b.id = r.id where b.payer = $1
              union select s.subject_id as id from r join subject_event s on s.subject_id = r.id where s.data = '{}'";
        let found = all(transaction, self.statement_over(rows, vec![Value::from(ERASED)], find)).await?;
        found.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
    }
}
