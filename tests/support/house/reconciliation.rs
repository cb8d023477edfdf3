//! What operators ask about banks' words for payments, and the payers behind them.

use bursar::proto::boleto::v1::bank_account::Issuer;
use bursar::proto::boleto::v1::{
    BancoDoBrasilIssuer, BankAccount, Boleto, Difference, ListDifferencesRequest, ListReconciliationsRequest,
    ReconcileBankAccountRequest, ReconcileBankAccountResponse, Reconciliation, SettleDifferenceRequest,
};
use bursar::sandbox::Payment;
use chrono::{NaiveDate, Utc};
use chrono_tz::America::Sao_Paulo;
use tonic::Status;

use super::{Opened, Operator, an_account};

/// An account whose bank lists what was paid, by agency and account.
pub fn a_listed_account() -> BankAccount {
    let issuer = BancoDoBrasilIssuer {
        convenio: "3128557".to_owned(),
        carteira: "17".to_owned(),
        variacao: "35".to_owned(),
        agency: "0452".to_owned(),
        account: "123873".to_owned(),
    };
    BankAccount { issuer: Some(Issuer::BancoDoBrasil(issuer)), ..an_account() }
}

pub async fn reconciles(
    operator: &Operator,
    account: &BankAccount,
) -> Result<ReconcileBankAccountResponse, Status> {
    let request = ReconcileBankAccountRequest { id: account.id.clone(), ..Default::default() };
    Ok(operator.accounts.clone().reconcile_bank_account(request).await?.into_inner())
}

/// A whole run.
pub async fn run(operator: &Operator, account: &BankAccount) -> Reconciliation {
    let answer = reconciles(operator, account).await.expect("a run");
    assert!(!answer.pending, "{answer:?}");
    answer.reconciliation.expect("what it came to")
}

pub async fn stands(operator: &Operator) -> Reconciliation {
    let request = ListReconciliationsRequest::default();
    let answer = operator.accounts.clone().list_reconciliations(request).await.expect("a list").into_inner();
    answer.reconciliations.into_iter().next().expect("the account")
}

pub async fn differences(operator: &Operator, settled_too: bool) -> Vec<Difference> {
    let request = ListDifferencesRequest { settled_too, ..ListDifferencesRequest::default() };
    operator.accounts.clone().list_differences(request).await.expect("a list").into_inner().differences
}

pub async fn settles(operator: &Operator, id: &str, reason: &str) -> Result<Difference, Status> {
    let request = SettleDifferenceRequest { id: id.to_owned(), reason: reason.to_owned() };
    let answer = operator.accounts.clone().settle_difference(request).await?.into_inner();
    Ok(answer.difference.expect("the difference"))
}

pub async fn pays(house: &Opened, boleto: &Boleto, cents: u64) {
    house.world().pay(&Payment::of(&boleto.barcode, cents, today())).await.expect("the bank takes it");
}

pub fn today() -> NaiveDate {
    Utc::now().with_timezone(&Sao_Paulo).date_naive()
}
