//! Scripted answers about open banking: what is asked for comes back, and each name has come to a certain end.

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{Answer as Told, Scripted, jobs};
use crate::proto::openbanking::v1::account_service_server::AccountService;
use crate::proto::openbanking::v1::consent_service_server::ConsentService;
use crate::proto::openbanking::v1::payment_service_server::PaymentService;
use crate::proto::openbanking::v1::plan_sync_response::{OverBudget, Share};
use crate::proto::openbanking::v1::sync_service_server::SyncService;
use crate::proto::openbanking::v1::user_service_server::UserService;
use crate::proto::openbanking::v1::*;

/// A customer who is known; every other name is nobody's.
pub const ANA: &str = "ana";
/// A consent of this name is another customer's.
pub const TAKEN: &str = "taken";

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn user(external_id: &str) -> Result<User, Status> {
    if external_id != ANA {
        return Err(Status::not_found("user not found"));
    }
    Ok(User { id: "u".to_owned(), external_id: ANA.to_owned(), update_offline: true, ..User::default() })
}

#[tonic::async_trait]
impl UserService for Scripted {
    /// Each second one was known as it is.
    async fn put_users(&self, request: Request<PutUsersRequest>) -> Told<PutUsersResponse> {
        let users = request.into_inner().users;
        let result = |(at, user): (usize, &NewUser)| PutUserResult {
            id: format!("id-{}", user.external_id),
            written: at % 2 == 0,
        };
        Ok(Response::new(PutUsersResponse { results: users.iter().enumerate().map(result).collect() }))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Told<GetUserResponse> {
        let user = user(&request.into_inner().external_id)?;
        Ok(Response::new(GetUserResponse { user: Some(user) }))
    }

    /// Two pages of one.
    async fn list_users(&self, request: Request<ListUsersRequest>) -> Told<ListUsersResponse> {
        let next = if request.into_inner().page_token.is_empty() { "2" } else { "" };
        Ok(Response::new(ListUsersResponse { users: vec![user(ANA)?], next_page_token: next.to_owned() }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Told<UpdateUserResponse> {
        let request = request.into_inner();
        let mut user = user(&request.external_id)?;
        user.update_offline = request.update_offline.unwrap_or(user.update_offline);
        Ok(Response::new(UpdateUserResponse { user: Some(user) }))
    }

    async fn erase_user(&self, request: Request<EraseUserRequest>) -> Told<EraseUserResponse> {
        user(&request.into_inner().external_id)?;
        Ok(Response::new(EraseUserResponse { erase_time: None }))
    }
}

fn consent(id: &str, status: consent::Status) -> Consent {
    let aspsp = "bank-a".to_owned();
    Consent { id: id.to_owned(), aspsp, status: status.into(), ..Consent::default() }
}

#[tonic::async_trait]
impl ConsentService for Scripted {
    async fn import_consents(&self, request: Request<ImportConsentsRequest>) -> Told<ImportConsentsResponse> {
        let result = |consent: NewConsent| ImportConsentResult {
            id: "c".to_owned(),
            written: consent.external_id != TAKEN,
            another_users: consent.external_id == TAKEN,
            ..ImportConsentResult::default()
        };
        let results = request.into_inner().consents.into_iter().map(result).collect();
        Ok(Response::new(ImportConsentsResponse { results }))
    }

    async fn get_consent(&self, request: Request<GetConsentRequest>) -> Told<GetConsentResponse> {
        let consent = Some(consent(&request.into_inner().id, consent::Status::Valid));
        Ok(Response::new(GetConsentResponse { consent }))
    }

    async fn list_consents(&self, _: Request<ListConsentsRequest>) -> Told<ListConsentsResponse> {
        let consents = vec![consent("c", consent::Status::Expired)];
        Ok(Response::new(ListConsentsResponse { consents, next_page_token: String::new() }))
    }

    async fn revoke_consent(&self, request: Request<RevokeConsentRequest>) -> Told<RevokeConsentResponse> {
        let consent = Some(consent(&request.into_inner().id, consent::Status::Revoked));
        Ok(Response::new(RevokeConsentResponse { consent }))
    }
}

fn account(enabled: bool) -> Account {
    Account {
        id: "a".to_owned(),
        number: "****2874".to_owned(),
        currency: "PLN".to_owned(),
        enabled,
        freshness: Some(stale()),
        ..Account::default()
    }
}

fn stale() -> Freshness {
    let reason = "rate_limited: until noon".to_owned();
    Freshness { state: freshness::State::Stale.into(), reason, ..Freshness::default() }
}

fn booked(amount: &str) -> Transaction {
    Transaction {
        booked_on: "2026-11-22".to_owned(),
        amount: amount.to_owned(),
        currency: "PLN".to_owned(),
        counterparty: "Kiosk\u{1b}[2J".to_owned(),
        ..Transaction::default()
    }
}

#[tonic::async_trait]
impl AccountService for Scripted {
    async fn list_accounts(&self, _: Request<ListAccountsRequest>) -> Told<ListAccountsResponse> {
        let accounts = vec![account(true)];
        Ok(Response::new(ListAccountsResponse { accounts, next_page_token: String::new() }))
    }

    async fn get_account(&self, _: Request<GetAccountRequest>) -> Told<GetAccountResponse> {
        let balance =
            Balance { kind: "closingBooked".to_owned(), amount: "7.00".to_owned(), ..Balance::default() };
        Ok(Response::new(GetAccountResponse { account: Some(account(true)), balances: vec![balance] }))
    }

    async fn enable_account(&self, request: Request<EnableAccountRequest>) -> Told<EnableAccountResponse> {
        let account = Some(account(request.into_inner().enabled));
        Ok(Response::new(EnableAccountResponse { account }))
    }

    async fn list_balances(&self, _: Request<ListBalancesRequest>) -> Told<ListBalancesResponse> {
        Ok(Response::new(ListBalancesResponse { balances: vec![], freshness: Some(stale()) }))
    }

    async fn list_transactions(&self, _: Request<ListTransactionsRequest>) -> Told<ListTransactionsResponse> {
        let transactions = vec![booked("-12.50")];
        Ok(Response::new(ListTransactionsResponse {
            transactions,
            next_page_token: String::new(),
            freshness: Some(stale()),
        }))
    }

    type StreamTransactionsStream = Streamed<StreamTransactionsResponse>;

    async fn stream_transactions(
        &self,
        _: Request<StreamTransactionsRequest>,
    ) -> Told<Self::StreamTransactionsStream> {
        let messages = ["-12.50", "3.00"]
            .map(|amount| Ok(StreamTransactionsResponse { transactions: vec![booked(amount)] }));
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn list_pending_transactions(
        &self,
        _: Request<ListPendingTransactionsRequest>,
    ) -> Told<ListPendingTransactionsResponse> {
        let pending = PendingTransaction { amount: "-1.00".to_owned(), ..PendingTransaction::default() };
        Ok(Response::new(ListPendingTransactionsResponse {
            transactions: vec![pending],
            freshness: Some(stale()),
        }))
    }
}

#[tonic::async_trait]
impl SyncService for Scripted {
    /// The run of a customer who is known completes.
    async fn sync_user(&self, request: Request<SyncUserRequest>) -> Told<SyncUserResponse> {
        user(&request.into_inner().external_id)?;
        Ok(Response::new(SyncUserResponse { run: Some(jobs::running("completed", 0)) }))
    }

    async fn plan_sync(&self, _: Request<PlanSyncRequest>) -> Told<PlanSyncResponse> {
        let over =
            OverBudget { consent_id: "c".to_owned(), endpoint: "balances".to_owned(), ..Default::default() };
        let share = Share { aspsp: "bank-a".to_owned(), sessions: 2, calls: 8, is_configured: true };
        Ok(Response::new(PlanSyncResponse {
            users: 1,
            sessions: 2,
            calls: 8,
            batches: 1,
            consents_over_budget: 1,
            over_budget: vec![over],
            shares: vec![share],
            ..PlanSyncResponse::default()
        }))
    }

    async fn list_sessions(&self, _: Request<ListSessionsRequest>) -> Told<ListSessionsResponse> {
        let state = api_session::State::RateLimited.into();
        let sessions = vec![ApiSession { id: "s".to_owned(), state, ..ApiSession::default() }];
        Ok(Response::new(ListSessionsResponse { sessions, next_page_token: String::new() }))
    }

    async fn list_calls(&self, _: Request<ListCallsRequest>) -> Told<ListCallsResponse> {
        let endpoint = "transactions".to_owned();
        let calls = vec![ApiCall { endpoint, status: Some(429), ..ApiCall::default() }];
        Ok(Response::new(ListCallsResponse { calls, next_page_token: String::new() }))
    }

    async fn list_aspsps(&self, _: Request<ListAspspsRequest>) -> Told<ListAspspsResponse> {
        let aspsp = Aspsp { name: "bank-a".to_owned(), breaker: "open".to_owned(), ..Aspsp::default() };
        Ok(Response::new(ListAspspsResponse { aspsps: vec![aspsp] }))
    }
}

/// A payment is named after the state to which it comes.
fn payment(id: &str, state: payment::State) -> Payment {
    Payment { id: id.to_owned(), aspsp: "bank-a".to_owned(), state: state.into(), ..Payment::default() }
}

fn end_of(id: &str) -> payment::State {
    payment::State::from_str_name(&format!("STATE_{}", id.to_uppercase()))
        .unwrap_or(payment::State::InProgress)
}

#[tonic::async_trait]
impl PaymentService for Scripted {
    async fn track_payments(&self, request: Request<TrackPaymentsRequest>) -> Told<TrackPaymentsResponse> {
        let result = |payment: NewPayment| TrackPaymentResult {
            id: payment.external_id,
            is_new: true,
            state: payment::State::InProgress.into(),
        };
        let results = request.into_inner().payments.into_iter().map(result).collect();
        Ok(Response::new(TrackPaymentsResponse { results }))
    }

    async fn get_payment(&self, request: Request<GetPaymentRequest>) -> Told<GetPaymentResponse> {
        let id = request.into_inner().id;
        Ok(Response::new(GetPaymentResponse { payment: Some(payment(&id, end_of(&id))) }))
    }

    async fn list_payments(&self, request: Request<ListPaymentsRequest>) -> Told<ListPaymentsResponse> {
        let state = request.into_inner().state();
        let payments = vec![payment("p", state)];
        Ok(Response::new(ListPaymentsResponse { payments, next_page_token: String::new() }))
    }

    type WatchPaymentsStream = Streamed<WatchPaymentsResponse>;

    /// Each in progress, then as it ends; one that does not end is left when the service goes.
    async fn watch_payments(
        &self,
        request: Request<WatchPaymentsRequest>,
    ) -> Told<Self::WatchPaymentsStream> {
        let ids = request.into_inner().ids;
        let begin = ids.iter().map(|id| payment(id, payment::State::InProgress));
        let end = ids.iter().map(|id| payment(id, end_of(id)));
        let answers: Vec<_> =
            begin.chain(end).map(|payment| Ok(WatchPaymentsResponse { payment: Some(payment) })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }

    async fn resolve_payment(&self, request: Request<ResolvePaymentRequest>) -> Told<ResolvePaymentResponse> {
        let request = request.into_inner();
        let payment = Some(payment(&request.id, request.state()));
        Ok(Response::new(ResolvePaymentResponse { payment }))
    }
}
