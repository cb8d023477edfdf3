//! The request for a boleto, and its payer.

use serde::Deserialize;

use crate::proto::boleto::v1::{Address, CreateBoletoRequest, Payer};

/// `CreateBoletoRequest`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct BoletoInput {
    pub request_id: String,
    pub bank_account_id: String,
    pub bank_account_external_id: String,
    pub amount_cents: i64,
    pub due_date: String,
    pub payer: Option<PayerInput>,
    pub reference_id: String,
    pub token: String,
    pub instructions: String,
    pub queue_url: String,
    pub notification_opt_out: bool,
}

/// `Payer`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct PayerInput {
    pub name: String,
    pub tax_id: String,
    pub address: Option<AddressInput>,
}

/// `Address`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct AddressInput {
    pub street: String,
    pub number: String,
    pub complement: String,
    pub district: String,
    pub city: String,
    pub state: String,
    pub postal_code: String,
}

impl From<BoletoInput> for CreateBoletoRequest {
    fn from(input: BoletoInput) -> Self {
        Self {
            request_id: input.request_id,
            bank_account_id: input.bank_account_id,
            bank_account_external_id: input.bank_account_external_id,
            amount_cents: input.amount_cents,
            due_date: input.due_date,
            payer: input.payer.map(Payer::from),
            reference_id: input.reference_id,
            token: input.token,
            instructions: input.instructions,
            queue_url: input.queue_url,
            notification_opt_out: input.notification_opt_out,
        }
    }
}

impl From<PayerInput> for Payer {
    fn from(input: PayerInput) -> Self {
        Self { name: input.name, tax_id: input.tax_id, address: input.address.map(Address::from) }
    }
}

impl From<AddressInput> for Address {
    fn from(input: AddressInput) -> Self {
        Self {
            street: input.street,
            number: input.number,
            complement: input.complement,
            district: input.district,
            city: input.city,
            state: input.state,
            postal_code: input.postal_code,
        }
    }
}
