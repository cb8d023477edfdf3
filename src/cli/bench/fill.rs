//! A long list of boletos, written straight into a store that no service has open.
//!
//! **Owns** the store while it fills it. **Fails** when the store refuses a boleto. **Limits**: 64 boletos a transaction;
//! their registrations are not due for a year, so that no service starts on them, or are done: then the boletos are on file at
//! their bank by our word alone.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::site::{BANK_CREDENTIALS, Site};
use crate::domain::bank_account::{AccountRules, BankAccount, Beneficiary, Provider};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::terms::Terms;
use crate::domain::ids::{BankAccountId, BoletoId, EventId, TenantId, WorkId};
use crate::domain::money::{Cents, Rounding};
use crate::domain::payer::{Address, Payer};
use crate::domain::tax_id::TaxId;
use crate::domain::work::{NewWork, kind};
use crate::store::boleto::{BoletoDraft, Created, DraftCodes, Notify};
use crate::store::pool;
use crate::store::{Store, StoreConfig};

const GROUP: usize = 64;

/// Agency and account, by which the bank lists.
const HOLDER: (&str, &str) = ("0452", "123873");

/// Fills the site's store with boletos that wait for their registration.
pub(super) async fn fill(site: &Site, boletos: usize) -> anyhow::Result<()> {
    fill_under(&account(), site, boletos, false).await
}

/// Fills the site's store with boletos that are registered and open, of an account whose bank lists what was paid. Their
/// numbers begin at 1.
pub(super) async fn fill_open(site: &Site, boletos: usize) -> anyhow::Result<BankAccountId> {
    let mut account = account();
    if let Issuer::BancoDoBrasil { agency, account, .. } = &mut account.issuer {
        (*agency, *account) = (Some(HOLDER.0.to_owned()), Some(HOLDER.1.to_owned()));
    }
    let credentials = BANK_CREDENTIALS.map(|(name, reference)| (name.to_owned(), reference.to_owned()));
    account.credentials = credentials.into();
    fill_under(&account, site, boletos, true).await?;
    let connection = pool::connect(site.store_url()).await.context("cannot connect to the filled store")?;
    let register = "update boleto set status = 'registered', open_status = null, version = 2";
    connection.execute_unprepared(register).await.context("cannot register what was filled in")?;
    connection.close().await?;
    Ok(account.id)
}

async fn fill_under(
    account: &BankAccount,
    site: &Site,
    boletos: usize,
    hold_registration: bool,
) -> anyhow::Result<()> {
    let config = StoreConfig { url: site.store_url(), connections_max: 4, timeout: Duration::from_secs(30) };
    let store = Store::open(&config).await.context("cannot open the store to fill it")?;
    store.create_bank_account(account, 1, None).await?;
    for first in (0..boletos).step_by(GROUP) {
        let numbers = first..boletos.min(first + GROUP);
        let draft = |number| BoletoDraft { hold_registration, ..draft(account, number) };
        let drafts: Vec<BoletoDraft> = numbers.map(draft).collect();
        for created in store.create_boletos(&drafts).await {
            ensure!(matches!(created?, Created::New { .. }), "the store refused a boleto of the list");
        }
    }
    store.close().await.context("cannot close the filled store")
}

fn account() -> BankAccount {
    let now = now();
    BankAccount {
        id: BankAccountId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        external_id: None,
        display_name: "Bench account".to_owned(),
        beneficiary: Beneficiary { name: "Loja Exemplo Ltda".to_owned(), tax_id: tax_id("11222333000181") },
        issuer: Issuer::BancoDoBrasil {
            convenio: "3128557".to_owned(),
            carteira: "17".to_owned(),
            variacao: "035".to_owned(),
            agency: None,
            account: None,
        },
        provider: Provider::BancoDoBrasil,
        credentials: BTreeMap::new(),
        is_default: false,
        rounding: Rounding::Truncate,
        rules: AccountRules::default(),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn draft(account: &BankAccount, number: usize) -> BoletoDraft {
    let (id, now) = (BoletoId(Uuid::now_v7()), now());
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
        due_date: (now + chrono::Days::new(10)).date_naive(),
        payer: payer(),
        instructions: None,
        reference_id: Some(format!("order {number}")),
        token: None,
        hold_registration: false,
        notify: Notify::Nobody,
        work: NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: account.tenant_id.clone(),
            kind: kind::BOLETO_REGISTER,
            queue: format!("registration/banco_do_brasil/{}", account.id),
            priority: 0,
            run_at: now + chrono::Days::new(365),
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

fn payer() -> Payer {
    Payer {
        name: "Maria Exemplo".to_owned(),
        tax_id: tax_id("52998224725"),
        address: Address {
            street: "Rua das Flores".to_owned(),
            number: "308".to_owned(),
            complement: String::new(),
            district: "Centro".to_owned(),
            city: "Recife".to_owned(),
            state: "PE".to_owned(),
            postal_code: "50030230".to_owned(),
        },
    }
}

fn tax_id(text: &str) -> TaxId {
    TaxId::parse(text).expect("both numbers above check")
}

/// Now, to the microsecond that the store keeps.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).expect("now is within range")
}
