//! The open boletos of an account, a slice at a time, for banks that are asked about one boleto after the other.
//!
//! Ids sort by age, and the walk goes round by them: whoever comes next in it was asked longest ago, and a new boleto, of which
//! the bank has just spoken, comes last.
//!
//! **Fails** as the store does. **Limits**: a slice looks at [`WINDOW`] boletos of the tenant at most, of whatever account and
//! status, so that a statement takes a moment however long the history is; one that found nothing says where to go on.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::entities::boleto as entity;
use super::{Store, StoreError};
use crate::domain::boleto::Boleto;
use crate::domain::boleto::status::Status;
use crate::domain::ids::{BankAccountId, TenantId};

/// Boletos looked at in one statement.
const WINDOW: u64 = 5_000;

/// Some of the open boletos of an account.
#[derive(Debug, Clone)]
pub struct OpenSlice {
    pub boletos: Vec<Boleto>,
    /// After which id to go on; none where there are no more.
    pub go_on_after: Option<Uuid>,
}

impl Store {
    /// The next open boletos of an account after an id, in the order of their ids; `limit` of them at most.
    pub async fn open_boletos(
        &self,
        tenant: &TenantId,
        account: BankAccountId,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<OpenSlice, StoreError> {
        use entity::Column;
        let of_tenant = || {
            let behind = after.map(|after| Column::Id.gt(after));
            entity::Entity::find()
                .filter(Column::TenantId.eq(tenant.as_str()))
                .filter(Condition::all().add_option(behind))
                .order_by_asc(Column::Id)
        };
        self.within(async {
            let last = of_tenant().select_only().column(Column::Id).offset(WINDOW - 1).limit(1);
            let last: Option<Uuid> = last.into_tuple().one(self.reader()).await?;
            let window = last.map(|last| Column::Id.lte(last));
            let open = of_tenant()
                .filter(Condition::all().add_option(window))
                .filter(Column::BankAccountId.eq(account.0))
                .filter(Column::Status.eq(Status::Registered.as_str()));
            let rows = open.limit(limit).all(self.reader()).await?;
            let read = |row| super::boleto::read(row).map(|stored| stored.boleto);
            let boletos: Vec<Boleto> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
            let is_full = boletos.len() as u64 >= limit;
            let go_on_after = if is_full { boletos.last().map(|boleto| boleto.id.0) } else { last };
            Ok(OpenSlice { boletos, go_on_after })
        })
        .await
    }
}
