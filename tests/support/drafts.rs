//! Drafts of boletos, bank accounts and work, with what a test does not care about filled in.

use std::collections::BTreeMap;

use bursar::domain::bank_account::{AccountRules, BankAccount, Beneficiary, Provider};
use bursar::domain::boleto::issuer::Issuer;
use bursar::domain::boleto::terms::Terms;
use bursar::domain::ids::{BankAccountId, BoletoId, EventId, RunnerId, TenantId, WorkId};
use bursar::domain::money::{Cents, Rounding};
use bursar::domain::payer::{Address, Payer};
use bursar::domain::tax_id::TaxId;
use bursar::domain::work::{NewWork, kind};
use bursar::store::boleto::{BoletoDraft, DraftCodes, Notify};
use bursar::store::request_key::RequestKey;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// Now, to the microsecond that the store keeps.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).expect("now is within range")
}

/// An agreement with Banco do Brasil.
pub fn issuer(convenio: &str) -> Issuer {
    Issuer::BancoDoBrasil {
        convenio: convenio.to_owned(),
        carteira: "17".to_owned(),
        variacao: "019".to_owned(),
        agency: None,
        account: None,
    }
}

/// A bank account of the default tenant.
pub fn bank_account(convenio: &str) -> BankAccount {
    BankAccount {
        id: BankAccountId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        external_id: None,
        display_name: "shop".to_owned(),
        beneficiary: Beneficiary {
            name: "Loja Exemplo Ltda".to_owned(),
            tax_id: TaxId::parse("11222333000181").expect("a CNPJ that checks"),
        },
        issuer: issuer(convenio),
        provider: Provider::BancoDoBrasil,
        credentials: BTreeMap::new(),
        is_default: false,
        rounding: Rounding::Truncate,
        rules: AccountRules::default(),
        version: 1,
        created_at: now(),
        updated_at: now(),
    }
}

/// Somebody who owes.
pub fn payer() -> Payer {
    Payer {
        name: "Maria Exemplo".to_owned(),
        tax_id: TaxId::parse("52998224725").expect("a CPF that checks"),
        address: Address {
            street: "Rua das Flores".to_owned(),
            number: "308".to_owned(),
            complement: String::new(),
            district: "Centro".to_owned(),
            city: "São Paulo".to_owned(),
            state: "SP".to_owned(),
            postal_code: "01001000".to_owned(),
        },
    }
}

/// A boleto of 125.90 to be made under `account`, with its registration waiting to be claimed.
pub fn draft(account: &BankAccount) -> BoletoDraft {
    let id = BoletoId(Uuid::now_v7());
    let now = now();
    BoletoDraft {
        codes: DraftCodes::All,
        terms: Terms::default(),
        id,
        event_id: EventId(Uuid::now_v7()),
        tenant_id: account.tenant_id.clone(),
        request: None,
        bank_account_id: account.id,
        issuer: account.issuer.clone(),
        amount: Cents(12_590),
        due_date: NaiveDate::from_ymd_opt(2031, 5, 20).expect("a date"),
        payer: payer(),
        instructions: None,
        reference_id: None,
        token: None,
        notify: Notify::Owner(None),
        hold_registration: false,
        work: NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: account.tenant_id.clone(),
            kind: kind::BOLETO_REGISTER,
            queue: format!("registration/banco_do_brasil/{}", account.id),
            priority: 0,
            run_at: now,
            attempts_max: 5,
            unique_key: Some(format!("register:{id}")),
            subject_id: id.0,
            payload: "{}".to_owned(),
            traceparent: None,
            claimed_by: None,
            sent_at: None,
            created_at: now,
        },
        now,
    }
}

/// The same draft under a caller's own name for the request.
pub fn keyed(mut draft: BoletoDraft, request_id: &str, body: &[u8]) -> BoletoDraft {
    draft.request = Some(RequestKey {
        tenant_id: draft.tenant_id.clone(),
        method: "CreateBoleto",
        request_id: request_id.to_owned(),
        body_hash: body.to_vec(),
    });
    draft
}

/// A new process, entered.
pub async fn runner(store: &bursar::store::Store) -> RunnerId {
    let id = RunnerId(Uuid::now_v7());
    store.enter_runner(id, "test", now()).await.expect("a runner");
    id
}
