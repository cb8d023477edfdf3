//! `work`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "work")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: String,
    pub kind: String,
    pub queue: String,
    pub priority: i64,
    pub run_at_us: i64,
    pub state: String,
    pub attempt: i64,
    pub attempts_max: i64,
    pub runner_id: Option<Uuid>,
    pub fence: i64,
    pub unique_key: Option<String>,
    pub subject_id: Uuid,
    pub payload: String,
    pub sent_at_us: Option<i64>,
    pub traceparent: Option<String>,
    pub last_error: Option<String>,
    pub history: Option<String>,
    pub created_at_us: i64,
}

/// No relations: joins are the verbs' own SQL.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
