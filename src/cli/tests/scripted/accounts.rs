//! A scripted service of bank accounts: one whose bank can be asked, one whose bank cannot.

use tonic::{Request, Response, Status};

use super::{Answer, Scripted, unasked};
use crate::proto::boleto::v1::bank_account_service_server::BankAccountService;
use crate::proto::boleto::v1::*;

/// The account whose bank can be asked.
pub const ASKED: &str = "asked";
/// The one difference that is open.
pub const OPEN: &str = "open";

fn difference(id: &str, settle_reason: &str) -> Difference {
    Difference {
        id: id.to_owned(),
        bank_account_id: ASKED.to_owned(),
        boleto_id: "b".to_owned(),
        subject: "31285570000000007".to_owned(),
        kind: "paid_cancelled".to_owned(),
        detail: "the bank has it paid with 700 cents; here it is cancelled".to_owned(),
        settle_reason: settle_reason.to_owned(),
        ..Difference::default()
    }
}

fn standing(id: &str, runs: i64) -> Reconciliation {
    let supported = id == ASKED;
    Reconciliation {
        bank_account_id: id.to_owned(),
        supported,
        reconciled_by: if supported { "look_up" } else { "none" }.to_owned(),
        runs,
        movements: 3 * runs,
        payments: 2 * runs,
        open_differences: runs,
        ..Reconciliation::default()
    }
}

#[tonic::async_trait]
impl BankAccountService for Scripted {
    async fn create_bank_account(
        &self,
        _: Request<CreateBankAccountRequest>,
    ) -> Answer<CreateBankAccountResponse> {
        unasked()
    }

    async fn get_bank_account(&self, _: Request<GetBankAccountRequest>) -> Answer<GetBankAccountResponse> {
        unasked()
    }

    async fn list_bank_accounts(
        &self,
        _: Request<ListBankAccountsRequest>,
    ) -> Answer<ListBankAccountsResponse> {
        unasked()
    }

    async fn update_bank_account(
        &self,
        _: Request<UpdateBankAccountRequest>,
    ) -> Answer<UpdateBankAccountResponse> {
        unasked()
    }

    /// Goes on after what was asked for; the counter stood at 100.
    async fn resync_bank_account(
        &self,
        request: Request<ResyncBankAccountRequest>,
    ) -> Answer<ResyncBankAccountResponse> {
        use resync_bank_account_request::Ahead;
        let request = request.into_inner();
        let next = match request.ahead {
            Some(Ahead::LastUsedSequence(last)) => last + 1,
            Some(Ahead::Skip(count)) => 100 + count,
            Some(Ahead::LastUsedNossoNumero(_)) | None => {
                return Err(Status::invalid_argument("another agreement"));
            }
        };
        let account = BankAccount { id: request.id, next_sequence: Some(next), ..BankAccount::default() };
        Ok(Response::new(ResyncBankAccountResponse { bank_account: Some(account) }))
    }

    /// One run for one of them.
    async fn reconcile_bank_account(
        &self,
        request: Request<ReconcileBankAccountRequest>,
    ) -> Answer<ReconcileBankAccountResponse> {
        let id = request.into_inner().id;
        if id != ASKED {
            return Err(Status::failed_precondition("cannot be asked"));
        }
        let reconciliation = Some(standing(&id, 1));
        Ok(Response::new(ReconcileBankAccountResponse { reconciliation, pending: false }))
    }

    async fn list_reconciliations(
        &self,
        _: Request<ListReconciliationsRequest>,
    ) -> Answer<ListReconciliationsResponse> {
        let reconciliations = vec![standing(ASKED, 0), standing("dumb", 0)];
        Ok(Response::new(ListReconciliationsResponse { reconciliations, next_page_token: String::new() }))
    }

    /// An open one on the first page, a settled one on the second, if those are wanted.
    async fn list_differences(
        &self,
        request: Request<ListDifferencesRequest>,
    ) -> Answer<ListDifferencesResponse> {
        let request = request.into_inner();
        let (differences, next) = match (request.page_token.as_str(), request.settled_too) {
            ("", true) => (vec![difference(OPEN, "")], "2"),
            ("", false) => (vec![difference(OPEN, "")], ""),
            _ => (vec![difference("old", "refunded")], ""),
        };
        Ok(Response::new(ListDifferencesResponse { differences, next_page_token: next.to_owned() }))
    }

    async fn settle_difference(
        &self,
        request: Request<SettleDifferenceRequest>,
    ) -> Answer<SettleDifferenceResponse> {
        let request = request.into_inner();
        if request.id != OPEN {
            return Err(Status::not_found("no such difference"));
        }
        let difference = Some(difference(OPEN, &request.reason));
        Ok(Response::new(SettleDifferenceResponse { difference }))
    }
}
