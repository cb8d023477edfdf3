//! `endpoint`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "endpoint")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: String,
    pub channel: String,
    pub destination: String,
    pub target: String,
    pub event_types: String,
    pub disabled: i64,
    pub disabled_reason: Option<String>,
    pub created_at_us: i64,
    pub version: i64,
    pub updated_at_us: i64,
    pub filters: Option<String>,
    pub failing_since_us: Option<i64>,
}

/// No relations: joins are the verbs' own SQL.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
