//! The mail address of the user whom a transfer was told to: the house entered it itself, so that it goes with the transfer.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: an address that anything else still names, another transfer of the same
//! user's above all, stays until that is erased. Whoever looked the address up in the same moment may name an endpoint that is gone,
//! and its user is not told; boletos are not asked, for none names a mailbox.

use sea_orm::{DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind};
use crate::domain::ids::TransferId;

/// What a transfer leaves at a mailbox, and then the mailbox itself if nothing else names it.
const OF_A_MAILBOX: [&str; 3] = [
    "delete from delivery_attempt where endpoint_id = $1 and subject_id = $2",
    "delete from delivery where endpoint_id = $1 and subject_id = $2",
    "delete from endpoint where id = $1
       and not exists (select 1 from delivery d where d.endpoint_id = $1)
       and not exists (select 1 from transfer t where t.endpoint_id = $1 and t.id <> $2)
       and not exists (select 1 from psu_user u where u.endpoint_id = $1)
       and not exists (select 1 from payment p where p.endpoint_id = $1)",
];

impl Store {
    /// The mailboxes of users who are told of a transfer, or were: those that no owner has entered. Locked until the transaction ends.
    pub(super) async fn lock_mailboxes_of(
        &self,
        transaction: &DatabaseTransaction,
        id: TransferId,
    ) -> Result<Vec<Uuid>, StoreError> {
        let named = "select d.endpoint_id as id from delivery d where d.subject_id = $1
             union select t.endpoint_id as id from transfer t where t.id = $1";
        let is_theirs = "e.channel = 'mail' and e.event_types = ''";
        // Looked up one by one: with these conditions to go by, PostgreSQL reads all mailboxes.
        let find = match self.kind() {
            StoreKind::PostgreSql => format!(
                "with named as materialized ({named} order by id) select w.id from named cross join lateral
                   (select e.id from endpoint e where e.id = named.id and {is_theirs} for update) w"
            ),
            StoreKind::Sqlite => {
                format!("select e.id from endpoint e where e.id in ({named}) and {is_theirs}")
            }
        };
        let find = self.statement(&find, [Value::from(id.0)]);
        let found = all(transaction, find).await?;
        found.iter().map(|row: &QueryResult| Ok(row.try_get("", "id")?)).collect()
    }

    /// Whether one of these mailboxes is being told of the transfer, once all that waited was ended.
    pub(super) async fn is_sent_to(
        &self,
        transaction: &DatabaseTransaction,
        id: TransferId,
        mailboxes: &[Uuid],
    ) -> Result<bool, StoreError> {
        if mailboxes.is_empty() {
            return Ok(false);
        }
        let keys = self.delivery_keys_of(transaction, id.0).await?;
        let is_theirs = |key: &String| mailboxes.iter().any(|mailbox| key.contains(&format!(":{mailbox}:")));
        let theirs: Vec<String> = keys.into_iter().filter(is_theirs).collect();
        let live = self.live_work_of(transaction, &theirs, "").await?;
        Ok(live.iter().any(|work| work.is_running))
    }

    /// Forgets what was sent to these mailboxes about a transfer that names them no more, and those that nothing else names.
    pub(super) async fn forget_mailboxes(
        &self,
        transaction: &DatabaseTransaction,
        id: TransferId,
        mailboxes: &[Uuid],
    ) -> Result<(), StoreError> {
        for mailbox in mailboxes {
            for forget in OF_A_MAILBOX {
                let values = [Value::from(*mailbox), Value::from(id.0)];
                execute(transaction, self.statement(forget, values)).await?;
            }
        }
        Ok(())
    }
}
