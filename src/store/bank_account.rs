//! The configurations under which boletos are issued, and the counters of their numbers.
//!
//! A counter belongs to the bank's agreement, not to the account or the tenant: two accounts under one agreement share
//! it, and an account that is made with a later first number moves it on, never back.
//!
//! **Fails** with data for what an operator can mend ([`AccountSaved`]).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Value,
};
use serde_json::json;

use super::audit_act::Act;
use super::audit_list::Subject;
use super::boleto::{from_json, to_json};
use super::entities::bank_account as entity;
use super::request_key::{EarlierRequest, RequestKey};
use super::transaction::execute;
use super::{Store, StoreError, from_us, to_us};
use crate::domain::bank_account::{AccountRules, BankAccount, Provider};
use crate::domain::ids::{BankAccountId, TenantId};
use crate::domain::money::Rounding;

/// What became of a bank account to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountSaved {
    Saved(Box<BankAccount>),
    /// The same request was made before, and this came of it.
    Before(BankAccountId),
    /// The request id was used for another body.
    OtherBody,
    /// Another account of the tenant has this external id.
    ExternalIdTaken,
    /// It changed since it was read; its version now.
    Changed {
        version: i64,
    },
    NotFound,
}

impl Store {
    /// Makes a bank account, and its counter from `first_sequence` on.
    pub async fn create_bank_account(
        &self,
        account: &BankAccount,
        first_sequence: i64,
        request: Option<&RequestKey>,
    ) -> Result<AccountSaved, StoreError> {
        let (transaction, saved) = self
            .within(async {
                let transaction = self.begin().await?;
                let saved = self.insert_account(&transaction, account, first_sequence, request).await?;
                Ok((transaction, saved))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(saved)
    }

    async fn insert_account(
        &self,
        transaction: &DatabaseTransaction,
        account: &BankAccount,
        first_sequence: i64,
        request: Option<&RequestKey>,
    ) -> Result<AccountSaved, StoreError> {
        self.one_at_a_time(transaction, &account.tenant_id).await?;
        if let Some(key) = request
            && let Some(earlier) = self.find_request_in(transaction, key).await?
        {
            return Ok(before(&earlier));
        }
        if self.external_id_is_taken(transaction, account).await? {
            return Ok(AccountSaved::ExternalIdTaken);
        }
        if let Some(key) = request {
            let enter = self.statement(
                "insert into request_key (tenant_id, method, request_id, body_hash, resource_id, created_at_us)
                 values ($1, $2, $3, $4, $5, $6)",
                [
                    Value::from(key.tenant_id.as_str()),
                    Value::from(key.method),
                    Value::from(key.request_id.as_str()),
                    Value::from(key.body_hash.clone()),
                    Value::from(account.id.0),
                    Value::from(to_us(account.created_at)),
                ],
            );
            execute(transaction, enter).await?;
        }
        self.give_up_default(transaction, account).await?;
        to_row(account)?.insert(transaction).await?;
        let greatest = match self.kind() {
            super::StoreKind::PostgreSql => "greatest",
            super::StoreKind::Sqlite => "max",
        };
        let range = self.statement(
            &format!(
                "insert into nosso_numero_range (range_key, next_sequence) values ($1, $2)
                 on conflict (range_key) do update
                 set next_sequence = {greatest}(nosso_numero_range.next_sequence, excluded.next_sequence)"
            ),
            [Value::from(account.issuer.range_key()), Value::from(first_sequence)],
        );
        execute(transaction, range).await?;
        let act = act("CreateBankAccount", account, json!(null), account.created_at);
        self.record_act(transaction, act).await?;
        Ok(AccountSaved::Saved(Box::new(account.clone())))
    }

    /// Replaces what may change of an account. `expected` is the version that the caller read; 0 for whatever it is. The reason is the
    /// caller's own.
    pub async fn update_bank_account(
        &self,
        account: &BankAccount,
        expected: i64,
        reason: String,
        now: DateTime<Utc>,
    ) -> Result<AccountSaved, StoreError> {
        let (transaction, saved) = self
            .within(async {
                let transaction = self.begin().await?;
                let saved = self.replace_account(&transaction, account, expected, reason, now).await?;
                Ok((transaction, saved))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(saved)
    }

    async fn replace_account(
        &self,
        transaction: &DatabaseTransaction,
        account: &BankAccount,
        expected: i64,
        reason: String,
        now: DateTime<Utc>,
    ) -> Result<AccountSaved, StoreError> {
        self.one_at_a_time(transaction, &account.tenant_id).await?;
        let find = entity::Entity::find_by_id(account.id.0)
            .filter(entity::Column::TenantId.eq(account.tenant_id.as_str()));
        let Some(found) = find.one(transaction).await? else { return Ok(AccountSaved::NotFound) };
        if expected != 0 && found.version != expected {
            return Ok(AccountSaved::Changed { version: found.version });
        }
        if self.external_id_is_taken(transaction, account).await? {
            return Ok(AccountSaved::ExternalIdTaken);
        }
        self.give_up_default(transaction, account).await?;
        let saved = BankAccount {
            version: found.version + 1,
            created_at: from_us(found.created_at_us)?,
            updated_at: now,
            ..account.clone()
        };
        let earlier = read(found)?;
        to_row(&saved)?.update(transaction).await?;
        let mut act = act("UpdateBankAccount", &saved, told(&earlier), now);
        act.after["changed"] = json!(changed(&earlier, &saved));
        self.record_act(transaction, Act { reason, ..act }).await?;
        Ok(AccountSaved::Saved(Box::new(saved)))
    }

    /// Accounts are few and seldom change: a tenant's changes wait for each other, so that none runs into a unique index.
    async fn one_at_a_time(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
    ) -> Result<(), StoreError> {
        if self.kind() == super::StoreKind::PostgreSql {
            let lock = self
                .statement("select id from tenant where id = $1 for update", [Value::from(tenant.as_str())]);
            execute(transaction, lock).await?;
        }
        Ok(())
    }

    async fn external_id_is_taken(
        &self,
        transaction: &DatabaseTransaction,
        account: &BankAccount,
    ) -> Result<bool, StoreError> {
        let Some(external_id) = &account.external_id else { return Ok(false) };
        let other = entity::Entity::find()
            .filter(entity::Column::TenantId.eq(account.tenant_id.as_str()))
            .filter(entity::Column::ExternalId.eq(external_id.as_str()))
            .filter(entity::Column::Id.ne(account.id.0))
            .one(transaction)
            .await?;
        Ok(other.is_some())
    }

    /// A new default takes the place of the old one.
    async fn give_up_default(
        &self,
        transaction: &DatabaseTransaction,
        account: &BankAccount,
    ) -> Result<(), StoreError> {
        if account.is_default {
            let statement = self.statement(
                "update bank_account set is_default = 0 where tenant_id = $1 and is_default = 1 and id <> $2",
                [Value::from(account.tenant_id.as_str()), Value::from(account.id.0)],
            );
            execute(transaction, statement).await?;
        }
        Ok(())
    }

    /// Every account of every tenant, oldest first: there are few, and the registrars and the API keep them at hand.
    pub async fn all_bank_accounts(&self) -> Result<Vec<BankAccount>, StoreError> {
        let query = entity::Entity::find().order_by_asc(entity::Column::Id);
        let rows = self.within(async { Ok(query.all(self.reader()).await?) }).await?;
        // One that a newer release wrote, with a provider that this one does not know, leaves the others usable.
        let read_or_say = |row: entity::Model| {
            let id = row.id;
            read(row)
                .inspect_err(|error| tracing::error!(bank_account = %id, %error, "bank account left out"))
                .ok()
        };
        Ok(rows.into_iter().filter_map(read_or_say).collect())
    }

    /// A page of a tenant's accounts, newest first.
    pub async fn bank_accounts(
        &self,
        tenant: &TenantId,
        before: Option<BankAccountId>,
        limit: u64,
    ) -> Result<Vec<BankAccount>, StoreError> {
        let mut query = entity::Entity::find().filter(entity::Column::TenantId.eq(tenant.as_str()));
        if let Some(BankAccountId(before)) = before {
            query = query.filter(entity::Column::Id.lt(before));
        }
        let query = query.order_by_desc(entity::Column::Id).limit(limit);
        self.within(async { query.all(self.reader()).await?.into_iter().map(read).collect() }).await
    }
}

fn act(method: &'static str, account: &BankAccount, before: serde_json::Value, now: DateTime<Utc>) -> Act {
    let subject = Subject::Id(account.id.0);
    Act { method, subject, reason: String::new(), before, after: told(account), now }
}

/// What a record tells of an account: no names, no numbers, and of credentials only which there are.
fn told(account: &BankAccount) -> serde_json::Value {
    json!({
        "version": account.version,
        "provider": account.provider.as_str(),
        "is_default": account.is_default,
        "credentials": account.credentials.keys().collect::<Vec<_>>(),
        "rules": account.rules.all().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
    })
}

/// Which parts of an account are others than before, by their names alone.
fn changed(earlier: &BankAccount, now: &BankAccount) -> Vec<String> {
    let parts = [
        ("external_id", earlier.external_id != now.external_id),
        ("display_name", earlier.display_name != now.display_name),
        ("beneficiary.name", earlier.beneficiary.name != now.beneficiary.name),
        ("beneficiary.tax_id", earlier.beneficiary.tax_id != now.beneficiary.tax_id),
        ("provider", earlier.provider != now.provider),
        ("is_default", earlier.is_default != now.is_default),
        ("rounding", earlier.rounding != now.rounding),
    ];
    let parts = parts.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name.to_owned());
    let keys: BTreeSet<&String> = earlier.credentials.keys().chain(now.credentials.keys()).collect();
    let credentials =
        keys.into_iter().filter(|key| earlier.credentials.get(*key) != now.credentials.get(*key));
    let rules = |account: &BankAccount| -> BTreeMap<&'static str, String> {
        account.rules.all().map(|(name, target)| (name.as_str(), target.to_owned())).collect()
    };
    let (before, after) = (rules(earlier), rules(now));
    let names: BTreeSet<&'static str> = before.keys().chain(after.keys()).copied().collect();
    let rules = names.into_iter().filter(|name| before.get(name) != after.get(name));
    parts
        .chain(credentials.map(|key| format!("credentials.{key}")))
        .chain(rules.map(|name| format!("rules.{name}")))
        .collect()
}

fn before(earlier: &EarlierRequest) -> AccountSaved {
    if earlier.same_body {
        AccountSaved::Before(BankAccountId(earlier.resource_id))
    } else {
        AccountSaved::OtherBody
    }
}

fn to_row(account: &BankAccount) -> Result<entity::ActiveModel, StoreError> {
    Ok(entity::ActiveModel {
        id: ActiveValue::Set(account.id.0),
        tenant_id: ActiveValue::Set(account.tenant_id.as_str().to_owned()),
        external_id: ActiveValue::Set(account.external_id.clone()),
        display_name: ActiveValue::Set(account.display_name.clone()),
        beneficiary: ActiveValue::Set(to_json(&account.beneficiary)?),
        issuer: ActiveValue::Set(to_json(&account.issuer)?),
        range_key: ActiveValue::Set(account.issuer.range_key()),
        provider: ActiveValue::Set(account.provider.as_str().to_owned()),
        credentials: ActiveValue::Set(to_json(&account.credentials)?),
        is_default: ActiveValue::Set(i64::from(account.is_default)),
        rounding: ActiveValue::Set(account.rounding.as_str().to_owned()),
        rules: ActiveValue::Set(if account.rules.is_none() { None } else { Some(to_json(&account.rules)?) }),
        version: ActiveValue::Set(account.version),
        created_at_us: ActiveValue::Set(to_us(account.created_at)),
        updated_at_us: ActiveValue::Set(to_us(account.updated_at)),
    })
}

fn read(row: entity::Model) -> Result<BankAccount, StoreError> {
    Ok(BankAccount {
        id: BankAccountId(row.id),
        tenant_id: TenantId::parse(&row.tenant_id)
            .map_err(|error| StoreError::unreadable("tenant", error))?,
        external_id: row.external_id,
        display_name: row.display_name,
        beneficiary: from_json("beneficiary", &row.beneficiary)?,
        issuer: from_json("issuer", &row.issuer)?,
        provider: Provider::from_name(&row.provider)
            .ok_or_else(|| StoreError::unreadable("provider", &row.provider))?,
        credentials: from_json("credentials", &row.credentials)?,
        is_default: row.is_default != 0,
        rounding: Rounding::from_name(&row.rounding)
            .ok_or_else(|| StoreError::unreadable("rounding", &row.rounding))?,
        rules: row.rules.map_or_else(|| Ok(AccountRules::default()), |text| from_json("rules", &text))?,
        version: row.version,
        created_at: from_us(row.created_at_us)?,
        updated_at: from_us(row.updated_at_us)?,
    })
}
