//! `boleto`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "boleto")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub bank_account_id: Uuid,
    pub status: String,
    pub open_status: Option<String>,
    pub version: i64,
    pub amount_cents: i64,
    pub due_date: Date,
    pub nosso_numero: Option<String>,
    pub nosso_numero_dv: Option<String>,
    pub barcode: Option<String>,
    pub payer: String,
    pub instructions: Option<String>,
    pub reference_id: Option<String>,
    pub token: Option<String>,
    pub endpoint_id: Option<Uuid>,
    pub notify: String,
    pub response_code: Option<String>,
    pub response_message: Option<String>,
    pub pix_emv: Option<String>,
    pub terms: Option<String>,
    pub bank_reference: Option<String>,
    pub url: Option<String>,
    pub paid_cents: i64,
    pub paid_on: Option<Date>,
    pub traceparent: Option<String>,
    pub created_at_us: i64,
    pub updated_at_us: i64,
}

/// No relations: joins are the verbs' own SQL.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
