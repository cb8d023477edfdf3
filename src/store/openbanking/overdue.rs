//! How many payments of a bank a run has before it, and which of them are past their time whatever the bank says.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: both go along the index of what is due, and read nothing that has
//! ended; of what is due only that of one bank.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, Value};
use uuid::Uuid;

use super::payment::{COLUMNS, Payment, read};
use crate::domain::ids::PaymentId;
use crate::store::transaction::all;
use crate::store::{Store, StoreError, to_us};

impl Store {
    /// How many payments of a bank a run that began then asks about.
    pub async fn count_payments_due(&self, aspsp: &str, run_began: DateTime<Utc>) -> Result<i64, StoreError> {
        let statement = self.statement(
            "select count(*) as due from payment p where p.state = 'in_progress' and p.aspsp = $1 and p.next_ask_at_us < $2",
            [Value::from(aspsp), Value::from(to_us(run_began))],
        );
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.map_or(Ok(0), |row| Ok(row.try_get("", "due")?))
    }

    /// A page of those of them that were made before `made_before`, longest waiting first, behind a cursor as
    /// [`Store::payments_due`] has it.
    pub async fn payments_overdue(
        &self,
        aspsp: &str,
        run_began: DateTime<Utc>,
        made_before: DateTime<Utc>,
        after: Option<(DateTime<Utc>, PaymentId)>,
        limit: i64,
    ) -> Result<Vec<Payment>, StoreError> {
        let (at, id) = after.map_or((i64::MIN, Uuid::nil()), |(at, id)| (to_us(at), id.0));
        let statement = self.statement(
            &format!(
                "select {COLUMNS} from payment p where p.state = 'in_progress' and p.aspsp = $1 and p.next_ask_at_us < $2
                   and p.made_at_us < $6 and (p.next_ask_at_us, p.id) > ($3, $4)
                 order by p.next_ask_at_us, p.id limit $5"
            ),
            [
                Value::from(aspsp),
                Value::from(to_us(run_began)),
                Value::from(at),
                Value::from(id),
                Value::from(limit),
                Value::from(to_us(made_before)),
            ],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }
}
