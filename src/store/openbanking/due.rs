//! How many customers' turn it is, for whoever tells how far a run has come.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: counts up to [`COUNT_MAX`]; it goes along the index that a run's pages
//! go along, and looks one consent up for each customer.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, Value};

use crate::store::{Store, StoreError, to_us};

/// What is counted at most: behind it "so many or more" says as much.
pub const COUNT_MAX: i64 = 1_000_000;

impl Store {
    /// How many pages of [`Store::due_psu_users`] there are to come, in customers.
    pub async fn due_psu_user_count(
        &self,
        synced_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        let find = "select count(*) as due from (
                select u.id from psu_user u
                where u.update_offline = 1 and u.active = 1 and u.last_synced_at_us <= $1 and exists (
                  select 1 from consent c where c.user_id = u.id and c.status = 'valid'
                    and (c.valid_until_us is null or c.valid_until_us > $2))
                limit $3
             ) d";
        let values = [Value::from(to_us(synced_until)), Value::from(to_us(now)), Value::from(COUNT_MAX)];
        let statement = self.statement(find, values);
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.map_or(Ok(0), |row| Ok(row.try_get("", "due")?))
    }
}
