//! `bank_account`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bank_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: String,
    pub external_id: Option<String>,
    pub display_name: String,
    pub beneficiary: String,
    pub issuer: String,
    pub range_key: String,
    pub provider: String,
    pub credentials: String,
    pub is_default: i64,
    pub rounding: String,
    pub rules: Option<String>,
    pub version: i64,
    pub created_at_us: i64,
    pub updated_at_us: i64,
}

/// No relations: joins are the verbs' own SQL.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
