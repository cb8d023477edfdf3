//! The sample shop of `sandbox` and `bench`: its bank account, and a boleto that it asks for.
//!
//! **Owns** nothing. **Limits**: the people and companies in it are nobody; their numbers only check.

use std::collections::BTreeMap;

use chrono::{Days, Utc};
use chrono_tz::America::Sao_Paulo;

use crate::proto::boleto::v1 as boleto;

/// What is owed: R$ 125.90, in ten days.
const AMOUNT_CENTS: i64 = 12_590;
const DAYS_AHEAD: u64 = 10;

/// The shop's account with Banco do Brasil, its default; `credentials` are references.
pub(super) fn bank_account(
    external_id: &str,
    display_name: &str,
    credentials: BTreeMap<String, String>,
) -> boleto::BankAccount {
    boleto::BankAccount {
        external_id: external_id.to_owned(),
        display_name: display_name.to_owned(),
        beneficiary: Some(boleto::Beneficiary {
            name: "Loja Exemplo Ltda".to_owned(),
            tax_id: "11.222.333/0001-81".to_owned(),
        }),
        issuer: Some(boleto::bank_account::Issuer::BancoDoBrasil(boleto::BancoDoBrasilIssuer {
            convenio: "3128557".to_owned(),
            carteira: "17".to_owned(),
            variacao: "35".to_owned(),
            // The bank lists payments by them.
            agency: "0452".to_owned(),
            account: "123873".to_owned(),
        })),
        provider: "banco_do_brasil".to_owned(),
        credentials,
        is_default: true,
        ..boleto::BankAccount::default()
    }
}

/// A boleto whose owner is told at `queue_url`.
pub(super) fn request(queue_url: &str) -> boleto::CreateBoletoRequest {
    let today = Utc::now().with_timezone(&Sao_Paulo).date_naive();
    let due_date = today.checked_add_days(Days::new(DAYS_AHEAD)).unwrap_or(today);
    boleto::CreateBoletoRequest {
        amount_cents: AMOUNT_CENTS,
        due_date: due_date.to_string(),
        payer: Some(boleto::Payer {
            name: "Maria Exemplo".to_owned(),
            tax_id: "529.982.247-25".to_owned(),
            address: Some(boleto::Address {
                street: "Rua das Flores".to_owned(),
                number: "308".to_owned(),
                complement: String::new(),
                district: "Centro".to_owned(),
                city: "Recife".to_owned(),
                state: "PE".to_owned(),
                postal_code: "50030-230".to_owned(),
            }),
        }),
        queue_url: queue_url.to_owned(),
        ..boleto::CreateBoletoRequest::default()
    }
}
