//! Boletos by the page: a keyset over the primary key, newest first for people and oldest first for exports, so that a deep
//! page costs what the first one does.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use super::entities::boleto as entity;
use super::{Store, StoreError, to_us};
use crate::domain::boleto::Boleto;
use crate::domain::boleto::status::Status;
use crate::domain::ids::{BankAccountId, BoletoId, TenantId};

/// Which boletos; what is `None` or empty is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoletoFilter {
    /// Any of these.
    pub statuses: Vec<Status>,
    pub bank_account_id: Option<BankAccountId>,
    pub nosso_numero: Option<String>,
    pub reference_id: Option<String>,
    pub token: Option<String>,
    /// Inclusive.
    pub created_from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub created_until: Option<DateTime<Utc>>,
    /// Inclusive.
    pub due_from: Option<NaiveDate>,
    /// Inclusive.
    pub due_until: Option<NaiveDate>,
}

impl Store {
    /// A page of a tenant's boletos, newest first, from the one before `before` on.
    pub async fn list_boletos(
        &self,
        tenant: &TenantId,
        filter: &BoletoFilter,
        before: Option<BoletoId>,
        limit: u64,
    ) -> Result<Vec<Boleto>, StoreError> {
        let place = before.map(|BoletoId(before)| entity::Column::Id.lt(before));
        let query = filter.of(tenant).filter(Condition::all().add_option(place));
        self.page(query.order_by_desc(entity::Column::Id).limit(limit)).await
    }

    /// A page of a tenant's boletos, oldest first, from the one after `after` on.
    pub async fn export_boletos(
        &self,
        tenant: &TenantId,
        filter: &BoletoFilter,
        after: Option<BoletoId>,
        limit: u64,
    ) -> Result<Vec<Boleto>, StoreError> {
        let place = after.map(|BoletoId(after)| entity::Column::Id.gt(after));
        let query = filter.of(tenant).filter(Condition::all().add_option(place));
        self.page(query.order_by_asc(entity::Column::Id).limit(limit)).await
    }

    async fn page(&self, query: Select<entity::Entity>) -> Result<Vec<Boleto>, StoreError> {
        self.within(async {
            let rows = query.all(self.reader()).await?;
            rows.into_iter().map(|row| super::boleto::read(row).map(|stored| stored.boleto)).collect()
        })
        .await
    }
}

impl BoletoFilter {
    fn of(&self, tenant: &TenantId) -> Select<entity::Entity> {
        entity::Entity::find().filter(entity::Column::TenantId.eq(tenant.as_str())).filter(self.condition())
    }

    fn condition(&self) -> Condition {
        use entity::Column;
        let mut all = Condition::all();
        if !self.statuses.is_empty() {
            let names = self.statuses.iter().map(|status| status.as_str());
            // The few that are open stand in an index of their own; the others are most of what there is.
            let column = if self.statuses.iter().all(is_open) { Column::OpenStatus } else { Column::Status };
            all = all.add(column.is_in(names));
        }
        if let Some(BankAccountId(account)) = self.bank_account_id {
            all = all.add(Column::BankAccountId.eq(account));
        }
        let texts = [
            (Column::NossoNumero, &self.nosso_numero),
            (Column::ReferenceId, &self.reference_id),
            (Column::Token, &self.token),
        ];
        for (column, text) in texts {
            if let Some(text) = text {
                all = all.add(column.eq(text.as_str()));
            }
        }
        // Ids begin with the millisecond of their making, so that a range of time is nearly a range of the primary key.
        let margin = chrono::Duration::seconds(10);
        if let Some(from) = self.created_from {
            all = all
                .add(Column::CreatedAtUs.gte(to_us(from)))
                .add(Column::Id.gte(first_id_of(from.checked_sub_signed(margin).unwrap_or(from))));
        }
        if let Some(until) = self.created_until {
            all = all
                .add(Column::CreatedAtUs.lt(to_us(until)))
                .add(Column::Id.lt(first_id_of(until.checked_add_signed(margin).unwrap_or(until))));
        }
        if let Some(from) = self.due_from {
            all = all.add(Column::DueDate.gte(from));
        }
        if let Some(until) = self.due_until {
            all = all.add(Column::DueDate.lte(until));
        }
        all
    }
}

/// Whether somebody may have to look after boletos of this status: the store repeats it in `open_status`.
fn is_open(status: &Status) -> bool {
    matches!(status, Status::PendingRegistration | Status::NeedsReview | Status::Refused)
}

/// The smallest UUID of version 7 that can be made in the millisecond of `at`.
fn first_id_of(at: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or_default() & 0xffff_ffff_ffff;
    Uuid::from_u128(millis << 80)
}
