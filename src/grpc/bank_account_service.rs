//! `BankAccountService`: the configurations under which boletos are issued.

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::bank_account_resync;
use super::boleto_service::split_page;
use super::convert::bank_account as convert;
use super::gate::Gate;
use super::page_token;
use super::reconciliation;
use super::request;
use super::status::ApiError;
use crate::connectors::banks::Bank as _;
use crate::domain::bank_account::BankAccount;
use crate::domain::ids::BankAccountId;
use crate::domain::violation::Violation;
use crate::messages::House;
use crate::messages::bank_accounts::AccountKey;
use crate::messages::reconciler::queue_prefix;
use crate::proto::boleto::v1 as proto;
use crate::proto::boleto::v1::bank_account_service_server::BankAccountService;
use crate::store::bank_account::AccountSaved;

const METHOD: &str = "CreateBankAccount";

/// The service.
pub(super) struct BankAccounts {
    pub gate: Gate,
}

#[tonic::async_trait]
impl BankAccountService for BankAccounts {
    async fn create_bank_account(
        &self,
        request: Request<proto::CreateBankAccountRequest>,
    ) -> Result<Response<proto::CreateBankAccountResponse>, Status> {
        let account = self.create(request.into_inner()).await?;
        let bank_account = Some(self.with_counter(&account).await?);
        Ok(Response::new(proto::CreateBankAccountResponse { bank_account }))
    }

    async fn get_bank_account(
        &self,
        request: Request<proto::GetBankAccountRequest>,
    ) -> Result<Response<proto::GetBankAccountResponse>, Status> {
        let key = match request.into_inner().key {
            Some(proto::get_bank_account_request::Key::Id(id)) => AccountKey::Id(request::id("id", &id)?),
            Some(proto::get_bank_account_request::Key::ExternalId(name)) => AccountKey::ExternalId(name),
            None => return Err(ApiError::field("key", "id or external_id is required").into()),
        };
        let account = self.find(&key).await?;
        let bank_account = Some(self.with_counter(&account).await?);
        Ok(Response::new(proto::GetBankAccountResponse { bank_account }))
    }

    async fn list_bank_accounts(
        &self,
        request: Request<proto::ListBankAccountsRequest>,
    ) -> Result<Response<proto::ListBankAccountsResponse>, Status> {
        let request = request.into_inner();
        let size = self.gate.page_size(request.page_size)?;
        let before = page_token::read(&METHOD, &request.page_token)?.map(BankAccountId);
        let store = &self.gate.house()?.store;
        let found =
            store.bank_accounts(&self.gate.tenant()?, before, size + 1).await.map_err(ApiError::from)?;
        let (page, next) = split_page(&found, size, |account| account.id.0, &METHOD);
        let keys: Vec<String> = page.iter().map(|account| account.issuer.range_key()).collect();
        let next_numbers = store.next_sequences(&keys).await.map_err(ApiError::from)?;
        let counted = |(account, key)| convert::with_counter(account, next_numbers.get(key).copied());
        let bank_accounts = page.iter().zip(&keys).map(counted).collect();
        Ok(Response::new(proto::ListBankAccountsResponse { bank_accounts, next_page_token: next }))
    }

    async fn update_bank_account(
        &self,
        request: Request<proto::UpdateBankAccountRequest>,
    ) -> Result<Response<proto::UpdateBankAccountResponse>, Status> {
        let account = self.update(request.into_inner()).await?;
        let bank_account = Some(self.with_counter(&account).await?);
        Ok(Response::new(proto::UpdateBankAccountResponse { bank_account }))
    }

    async fn resync_bank_account(
        &self,
        request: Request<proto::ResyncBankAccountRequest>,
    ) -> Result<Response<proto::ResyncBankAccountResponse>, Status> {
        let account = bank_account_resync::resync(&self.gate, request.into_inner()).await?;
        let bank_account = Some(self.with_counter(&account).await?);
        Ok(Response::new(proto::ResyncBankAccountResponse { bank_account }))
    }

    async fn reconcile_bank_account(
        &self,
        request: Request<proto::ReconcileBankAccountRequest>,
    ) -> Result<Response<proto::ReconcileBankAccountResponse>, Status> {
        Ok(Response::new(reconciliation::reconcile(&self.gate, request.into_inner()).await?))
    }

    async fn list_reconciliations(
        &self,
        request: Request<proto::ListReconciliationsRequest>,
    ) -> Result<Response<proto::ListReconciliationsResponse>, Status> {
        Ok(Response::new(reconciliation::list(&self.gate, request.into_inner()).await?))
    }

    async fn list_differences(
        &self,
        request: Request<proto::ListDifferencesRequest>,
    ) -> Result<Response<proto::ListDifferencesResponse>, Status> {
        Ok(Response::new(reconciliation::differences(&self.gate, request.into_inner()).await?))
    }

    async fn settle_difference(
        &self,
        request: Request<proto::SettleDifferenceRequest>,
    ) -> Result<Response<proto::SettleDifferenceResponse>, Status> {
        Ok(Response::new(reconciliation::settle(&self.gate, request.into_inner()).await?))
    }
}

impl BankAccounts {
    /// The account as the protocol has it, with where its counter stands now.
    async fn with_counter(&self, account: &BankAccount) -> Result<proto::BankAccount, ApiError> {
        let next = self.gate.house()?.store.next_sequence(&account.issuer.range_key()).await?;
        Ok(convert::with_counter(account, next))
    }

    async fn find(&self, key: &AccountKey) -> Result<BankAccount, ApiError> {
        let house = self.gate.house()?;
        // An operator who asks wants what is there now, not what is at hand.
        house.accounts.refresh().await?;
        let found = house.accounts.find(&self.gate.tenant()?, key).await?;
        found.map(|account| (*account).clone()).ok_or(ApiError::NotFound("BANK_ACCOUNT"))
    }

    async fn create(&self, request: proto::CreateBankAccountRequest) -> Result<BankAccount, ApiError> {
        let house = self.gate.house_for_change()?;
        let tenant = self.gate.tenant()?;
        let mut violations = Vec::new();
        let body = proto::CreateBankAccountRequest { request_id: String::new(), ..request.clone() };
        let key = request::key(&tenant, METHOD, &request.request_id, &body, &mut violations);
        let given = request.bank_account.unwrap_or_default();
        for (field, is_set) in [("id", !given.id.is_empty()), ("version", given.version != 0)] {
            if is_set {
                let rule = "is made by the service and must be empty";
                violations.push(Violation::new(format!("bank_account.{field}"), rule));
            }
        }
        check_credentials(house, &given.credentials, &mut violations);
        let id = BankAccountId(Uuid::now_v7());
        let account = convert::from_proto(given, id, tenant, request::now(), &mut violations);
        if let Some(account) = &account {
            check_rules(house, account, &mut violations).await?;
        }
        let first_sequence = request.first_sequence.unwrap_or(1);
        if let Some(account) = &account {
            check_connector(house, account, &mut violations);
            let max = account.issuer.sequence_max();
            if !(1..=max.max(1)).contains(&first_sequence) {
                violations.push(Violation::new("first_sequence", format!("from 1 to {max}")));
            }
        }
        let Some(account) = account.filter(|_| violations.is_empty()) else {
            return Err(ApiError::Invalid(violations));
        };
        let saved = house.store.create_bank_account(&account, first_sequence, key.as_ref()).await?;
        self.after_saving(house, saved).await
    }

    async fn update(&self, request: proto::UpdateBankAccountRequest) -> Result<BankAccount, ApiError> {
        let house = self.gate.house_for_change()?;
        let given = request.bank_account.unwrap_or_default();
        let id: BankAccountId = request::id("bank_account.id", &given.id)?;
        let known = self.find(&AccountKey::Id(id)).await?;
        let expected = given.version;
        let mut violations = Vec::new();
        let reason = request::optional_reason(request.reason, &mut violations);
        check_credentials(house, &given.credentials, &mut violations);
        let account = convert::from_proto(given, id, self.gate.tenant()?, request::now(), &mut violations);
        if let Some(account) = &account {
            check_connector(house, account, &mut violations);
            check_rules(house, account, &mut violations).await?;
            if account.issuer != known.issuer {
                let rule = "may not change: numbers already given out depend on it; make another account";
                violations.push(Violation::new("bank_account.issuer", rule));
            }
        }
        let Some(account) = account.filter(|_| violations.is_empty()) else {
            return Err(ApiError::Invalid(violations));
        };
        let saved = house.store.update_bank_account(&account, expected, reason, request::now()).await?;
        self.after_saving(house, saved).await
    }

    async fn after_saving(&self, house: &House, saved: AccountSaved) -> Result<BankAccount, ApiError> {
        match saved {
            AccountSaved::Saved(account) => {
                house.accounts.refresh().await?;
                // Whoever asks its bank what was paid may have a new account.
                house.hints.there_is_work(&queue_prefix(account.provider.as_str()));
                Ok(*account)
            }
            AccountSaved::Before(id) => self.find(&AccountKey::Id(id)).await,
            AccountSaved::OtherBody => Err(ApiError::RequestIdReused),
            AccountSaved::ExternalIdTaken => Err(ApiError::ExternalIdTaken),
            AccountSaved::Changed { version } => Err(ApiError::VersionChanged { version }),
            AccountSaved::NotFound => Err(ApiError::NotFound("BANK_ACCOUNT")),
        }
    }
}

/// Every credential refers to a secret that callers may name.
fn check_credentials(house: &House, credentials: &BTreeMap<String, String>, violations: &mut Vec<Violation>) {
    for (key, text) in credentials {
        if let Err(error) = house.secrets.vet(text) {
            // A key is the caller's text and may be a secret in the wrong place, hence it is cut.
            let key: String = key.chars().take(40).collect();
            violations.push(Violation::new(format!("bank_account.credentials[{key}]"), error.to_string()));
        }
    }
}

/// Every rule leads to another account of the tenant.
async fn check_rules(
    house: &House,
    account: &BankAccount,
    violations: &mut Vec<Violation>,
) -> Result<(), ApiError> {
    for (name, external_id) in account.rules.all() {
        let field = format!("bank_account.rules.{}", name.as_str());
        if account.external_id.as_deref() == Some(external_id) {
            violations.push(Violation::new(field, "leads to the account itself"));
            continue;
        }
        let key = AccountKey::ExternalId(external_id.to_owned());
        if house.accounts.find(&account.tenant_id, &key).await?.is_none() {
            violations.push(Violation::new(field, "no such bank account"));
        }
    }
    Ok(())
}

/// What the account's own connector needs of it.
fn check_connector(house: &House, account: &BankAccount, violations: &mut Vec<Violation>) {
    if let Some(registrar) = house.registrars.get(&account.provider) {
        for v in registrar.connector.check(account) {
            let field = format!("bank_account.{}", v.field);
            // One word about a field is enough.
            if !violations.iter().any(|known| known.field == field) {
                violations.push(Violation::new(field, v.description));
            }
        }
    }
}
