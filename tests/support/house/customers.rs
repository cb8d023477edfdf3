//! Customers of banks: what they have and allow there, what a house knows of it, and what a house must be told to ask those banks.
//!
//! Two of the world's banks are known, one in each language. Every customer may be at both.
//!
//! **Owns** nothing. **Fails** a test with what was refused, or with what it waited for. **Limits**: one tenant; numbers of accounts
//! are made up and check.

use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{GetJobRunRequest, JobRun, JobRunState, TriggerJobRequest};
use bursar::proto::openbanking::v1::account_service_client::AccountServiceClient;
use bursar::proto::openbanking::v1::consent_service_client::ConsentServiceClient;
use bursar::proto::openbanking::v1::new_consent::{AllowedAccount, Tokens};
use bursar::proto::openbanking::v1::payment_service_client::PaymentServiceClient;
use bursar::proto::openbanking::v1::sync_service_client::SyncServiceClient;
use bursar::proto::openbanking::v1::user_service_client::UserServiceClient;
use bursar::proto::openbanking::v1::*;
use bursar::sandbox::{Addresses, Aspsp, AspspAccount, AspspConsent, World};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use super::eventually;

/// The bank that speaks NextGenPSD2.
pub const BERLIN: &str = "berlin";
/// The bank that speaks PolishAPI.
pub const POLISH: &str = "polish";

/// What a house needs to ask both banks. Their timetables rest: what runs, a test has begun.
pub fn settings(outside: &Addresses) -> Vec<(String, String)> {
    let file = |path: &std::path::Path| format!("file:{}", path.display());
    let signing = &outside.aspsp_signing;
    let mut settings = Vec::new();
    for (number, (name, standard)) in
        [(BERLIN, "berlin_group"), (POLISH, "polish_api")].into_iter().enumerate()
    {
        let url = outside.aspsps[number].url.clone();
        let token_url = format!("{url}/token");
        for (key, value) in [
            ("standard", standard),
            ("base_url", &url),
            ("zone", "UTC"),
            ("signature.private_key", &file(&signing.private_key)),
            ("signature.certificate", &file(&signing.certificate)),
            ("signature.algorithm", "ES256"),
            ("signature.key_id", "SN=1,CA=CN=Sandbox"),
            ("codes.not_found", r#"["PAYMENT_UNKNOWN"]"#),
            ("codes.consent_ended", r#"["CONSENT_INVALID"]"#),
            ("codes.consent_expired", r#"["CONSENT_EXPIRED"]"#),
            // The world's bank counts booked and pending ones together, so that both are asked for in one call.
            ("berlin_group.both", "true"),
            ("berlin_group.token.url", &token_url),
            ("berlin_group.token.client_id", "sandbox-tpp"),
            ("polish_api.client_id", "sandbox-tpp"),
        ] {
            settings.push((format!("openbanking.aspsps.{name}.{key}"), value.to_owned()));
        }
    }
    for job in ["sync_update", "payment_update"] {
        settings.push((format!("timetable.{job}.enabled"), "false".to_owned()));
    }
    settings
}

/// The world's bank of that name.
pub fn bank(world: &World, name: &str) -> Aspsp {
    world.aspsp().bank(u8::from(name == POLISH))
}

/// The number of an account, with check digits that are right (ISO 7064, mod 97-10).
pub fn iban(number: u32) -> String {
    let body = format!("99900000{number:016}");
    let rest =
        body.bytes().chain(*b"252100").fold(0_u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("PL{:02}{body}", 98 - rest)
}

/// A moment as it is told.
pub fn timestamp(moment: DateTime<Utc>) -> Option<Timestamp> {
    Some(Timestamp { seconds: moment.timestamp(), nanos: moment.timestamp_subsec_nanos().cast_signed() })
}

/// Asks for what may be asked for twice, and comes again where the house says that it is too busy.
pub async fn answered<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Response<T>, Status>) -> T {
    eventually(what, async || match ask().await {
        Ok(answer) => Some(answer.into_inner()),
        Err(status) if status.code() == Code::Unavailable => None,
        Err(status) => panic!("{what}: {status:?}"),
    })
    .await
}

/// What is allowed at a bank.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The house's id.
    pub id: String,
    /// The bank's name for it.
    pub name: String,
}

/// Whoever keeps customers in a house.
#[derive(Clone)]
pub struct Customers {
    pub users: UserServiceClient<Channel>,
    pub consents: ConsentServiceClient<Channel>,
    pub accounts: AccountServiceClient<Channel>,
    pub syncs: SyncServiceClient<Channel>,
    pub payments: PaymentServiceClient<Channel>,
    pub control: ControlServiceClient<Channel>,
}

impl Customers {
    /// Over a connection.
    pub fn over(channel: Channel) -> Self {
        Self {
            users: UserServiceClient::new(channel.clone()),
            consents: ConsentServiceClient::new(channel.clone()),
            accounts: AccountServiceClient::new(channel.clone()),
            syncs: SyncServiceClient::new(channel.clone()),
            payments: PaymentServiceClient::new(channel.clone()),
            control: ControlServiceClient::new(channel),
        }
    }

    /// A customer whose accounts may be read while they are away.
    pub async fn puts(&self, name: &str) -> String {
        let user = NewUser { external_id: name.to_owned(), update_offline: true, ..NewUser::default() };
        let request = PutUsersRequest { users: vec![user] };
        let put = answered("a customer", async || self.users.clone().put_users(request.clone()).await).await;
        put.results[0].id.clone()
    }

    /// A customer who allows a bank's accounts to be read, which are opened there unless they are there.
    pub async fn allows(&self, world: &World, who: &str, at: &str, numbers: &[&str]) -> Allowed {
        let now = world.aspsp().now();
        numbers.iter().for_each(|number| bank(world, at).put_account(AspspAccount::in_zloty(*number)));
        let name = format!("{at}-of-{who}-{}", numbers.join("-"));
        self.allows_as(world, who, at, AspspConsent::of(name, numbers, now), None).await
    }

    /// The same for accounts that are there, with the end that the house is to know of.
    pub async fn allows_as(
        &self,
        world: &World,
        who: &str,
        at: &str,
        consent: AspspConsent,
        valid_until: Option<DateTime<Utc>>,
    ) -> Allowed {
        let name = consent.id.clone();
        // Berlin Group's bank says itself which accounts there are; PolishAPI's masks their numbers.
        let accounts = if at == POLISH {
            consent.accounts.iter().map(|number| allowed(number)).collect()
        } else {
            Vec::new()
        };
        let frequency_per_day = consent.frequency_per_day.cast_signed();
        let tokens = bank(world, at).put_consent(consent);
        let new = NewConsent {
            user_external_id: who.to_owned(),
            aspsp: at.to_owned(),
            external_id: name.clone(),
            frequency_per_day,
            valid_until_time: valid_until.and_then(timestamp),
            tokens: Some(Tokens {
                access_token: tokens.access,
                refresh_token: tokens.refresh,
                expire_time: None,
            }),
            accounts,
            ..NewConsent::default()
        };
        let request = ImportConsentsRequest { consents: vec![new] };
        let put =
            answered("a consent", async || self.consents.clone().import_consents(request.clone()).await)
                .await;
        Allowed { id: put.results[0].id.clone(), name }
    }

    /// Has a job run now, and returns the run as it ended.
    pub async fn runs(&self, job: &str) -> JobRun {
        let begun = self.begins(job).await;
        self.sees_end(&begun.id).await
    }

    /// Has a job run now.
    pub async fn begins(&self, job: &str) -> JobRun {
        let request = TriggerJobRequest {
            job: job.to_owned(),
            reason: "a test wants it".to_owned(),
            request_id: Uuid::now_v7().to_string(),
            ..TriggerJobRequest::default()
        };
        let begun = answered("a run", async || self.control.clone().trigger_job(request.clone()).await).await;
        begun.run.expect("a run in the answer")
    }

    /// Refreshes the accounts of all who are due.
    pub async fn syncs(&self) -> JobRun {
        self.runs("sync_update").await
    }

    /// Asks about all payments that are due.
    pub async fn polls(&self) -> JobRun {
        self.runs("payment_update").await
    }

    /// Waits for the end of a run.
    pub async fn sees_end(&self, id: &str) -> JobRun {
        eventually("the end of the run", async || {
            let request = GetJobRunRequest { id: id.to_owned() };
            let run = self.control.clone().get_job_run(request).await.ok()?.into_inner().run?;
            use JobRunState::{Queued, Running, Waiting};
            (!matches!(run.state(), Waiting | Queued | Running)).then_some(run)
        })
        .await
    }

    /// The visits of a run, oldest first.
    pub async fn sessions(&self, run: &JobRun) -> Vec<ApiSession> {
        let request = ListSessionsRequest { run_id: run.id.clone(), ..ListSessionsRequest::default() };
        self.syncs.clone().list_sessions(request).await.expect("visits").into_inner().sessions
    }

    /// The only visit of a run by a consent, and whether there was one.
    pub async fn session(&self, run: &JobRun, by: &Allowed) -> Option<ApiSession> {
        let mut of = self.sessions(run).await;
        of.retain(|session| session.consent_id == by.id);
        assert!(of.len() < 2, "{of:?}");
        of.pop()
    }

    /// The requests of a run, oldest first.
    pub async fn calls(&self, run: &JobRun) -> Vec<ApiCall> {
        let mut calls = Vec::new();
        let mut request =
            ListCallsRequest { run_id: run.id.clone(), page_size: 100, ..ListCallsRequest::default() };
        loop {
            let page = self.syncs.clone().list_calls(request.clone()).await.expect("calls").into_inner();
            calls.extend(page.calls);
            if page.next_page_token.is_empty() {
                return calls;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// A customer's accounts.
    pub async fn accounts(&self, of: &str) -> Vec<Account> {
        let request =
            ListAccountsRequest { user_external_id: of.to_owned(), ..ListAccountsRequest::default() };
        self.accounts.clone().list_accounts(request).await.expect("accounts").into_inner().accounts
    }

    /// A customer's only account at a bank.
    pub async fn account(&self, of: &str, at: &str) -> Account {
        let mut accounts = self.accounts(of).await;
        accounts.retain(|account| account.aspsp == at);
        assert_eq!(accounts.len(), 1, "{accounts:?}");
        accounts.remove(0)
    }

    /// What is booked on an account, oldest first.
    pub async fn booked(&self, account: &Account) -> Vec<Transaction> {
        let request = StreamTransactionsRequest { account_id: account.id.clone(), ..Default::default() };
        let mut stream =
            self.accounts.clone().stream_transactions(request).await.expect("transactions").into_inner();
        let mut booked = Vec::new();
        while let Some(page) = stream.message().await.expect("a whole stream") {
            booked.extend(page.transactions);
        }
        booked
    }

    /// What waits to be booked on an account.
    pub async fn pending(&self, account: &Account) -> Vec<PendingTransaction> {
        let request = ListPendingTransactionsRequest { account_id: account.id.clone(), ..Default::default() };
        let answer = self.accounts.clone().list_pending_transactions(request).await;
        answer.expect("what is pending").into_inner().transactions
    }

    /// What stands on an account, by way of counting.
    pub async fn balances(&self, account: &Account) -> Vec<Balance> {
        let request = ListBalancesRequest { account_id: account.id.clone(), ..Default::default() };
        self.accounts.clone().list_balances(request).await.expect("balances").into_inner().balances
    }

    /// A consent as it stands.
    pub async fn consent(&self, allowed: &Allowed) -> Consent {
        let request = GetConsentRequest { id: allowed.id.clone() };
        let answer = self.consents.clone().get_consent(request).await.expect("a consent").into_inner();
        answer.consent.expect("a consent in the answer")
    }

    /// Has payments followed, and returns their ids.
    pub async fn tracks(&self, payments: Vec<NewPayment>) -> Vec<String> {
        let request = TrackPaymentsRequest { payments };
        let answer =
            answered("payments", async || self.payments.clone().track_payments(request.clone()).await).await;
        answer.results.into_iter().map(|result| result.id).collect()
    }

    /// A payment as it stands.
    pub async fn payment(&self, id: &str) -> Payment {
        let request = GetPaymentRequest { id: id.to_owned(), ..GetPaymentRequest::default() };
        let answer = self.payments.clone().get_payment(request).await.expect("a payment").into_inner();
        answer.payment.expect("a payment in the answer")
    }
}

fn allowed(number: &str) -> AllowedAccount {
    AllowedAccount { number: number.to_owned(), currency: "PLN".to_owned(), ..AllowedAccount::default() }
}
