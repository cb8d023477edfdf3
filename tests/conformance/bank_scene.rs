//! A store with customers of banks, for the tests of both databases.

use std::time::Duration;

use bursar::domain::ids::{
    AccountId, ApiSessionId, ConsentId, PaymentId, PsuUserId, RunnerId, TenantId, WorkId,
};
use bursar::domain::openbanking::account::AccountKey;
use bursar::domain::openbanking::consent::ConsentStatus;
use bursar::domain::openbanking::payment::{PaymentKind, PaymentState, Vocabulary};
use bursar::messages::notice;
use bursar::store::Store;
use bursar::store::delivery::{DeliveryChange, DeliverySettlement};
use bursar::store::openbanking::account::AccountDraft;
use bursar::store::openbanking::apply::{Applied, BookedTold, Counts, Told};
use bursar::store::openbanking::consent::ConsentDraft;
use bursar::store::openbanking::payment::{Payment, PaymentDraft, Tracked};
use bursar::store::openbanking::session::{ApiSession, SOURCE_TIMETABLE, VisitState};
use bursar::store::openbanking::token::NewTokens;
use bursar::store::openbanking::user::UserDraft;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::store_deliveries::{deliveries, endpoint};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

/// Attempts of a delivery.
pub const ATTEMPTS: i64 = 30;
pub const BANK: &str = "bank";

/// A store, and somebody who wants to hear of all that happens at banks.
pub struct BankScene {
    pub database: TestDatabase,
    pub store: Store,
    pub runner: RunnerId,
}

impl BankScene {
    pub async fn set(kind: Kind) -> Self {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let runner = runner(&store).await;
        let wanted = endpoint("hook", &["payment.*", "consent.*", "sync.*"]);
        store.ensure_endpoint(&wanted).await.expect("an endpoint");
        Self { database, store, runner }
    }

    pub async fn user(&self, name: &str) -> PsuUserId {
        let put = self.store.put_psu_users(&[user(name)]).await.remove(0).expect("a customer");
        put.id
    }

    pub async fn consent(&self, of: PsuUserId, name: &str) -> ConsentId {
        self.puts_consent(consent(of, name)).await
    }

    pub async fn puts_consent(&self, draft: ConsentDraft) -> ConsentId {
        self.store.put_consents(&[draft]).await.remove(0).expect("a consent").id
    }

    pub async fn account(&self, of: PsuUserId, under: ConsentId, number: &str) -> AccountId {
        self.store.put_accounts(&[account(of, under, number)]).await.remove(0).expect("an account")
    }

    /// A customer with a consent and an account.
    pub async fn an_account(&self, name: &str) -> (PsuUserId, ConsentId, AccountId) {
        let user = self.user(name).await;
        let consent = self.consent(user, &format!("consent of {name}")).await;
        (user, consent, self.account(user, consent, "PL61109010140000071219812874").await)
    }

    pub async fn told(&self, told: Told) -> Counts {
        match self.store.apply_told(&[told]).await.remove(0).expect("a store") {
            Applied::Done(counts) => counts,
            Applied::Gone => panic!("the account is there"),
        }
    }

    pub async fn tracks(&self, draft: PaymentDraft) -> PaymentId {
        match self.store.track_payments(&[draft]).await.remove(0).expect("a store") {
            Tracked::New(id) => id,
            Tracked::Known(id, _) => panic!("{id} was known"),
        }
    }

    pub async fn payment(&self, id: PaymentId) -> Payment {
        self.store.tracked_payment(&TenantId::default(), id).await.expect("a store").expect("a payment")
    }

    /// The types of what owners were told, in its order.
    pub async fn news(&self) -> Vec<String> {
        self.texts("select event_type as text from subject_event order by occurred_at_us, id").await
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        self.database.texts(sql).await
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> usize {
        let found = self.texts(&format!("select cast(count(*) as text) as text from {table}")).await;
        found[0].parse().expect("a number")
    }

    /// What would be sent now: bodies as their receivers read them, and the work that sends them.
    pub async fn bodies(&self) -> Vec<(WorkId, Value)> {
        let claims = deliveries(&self.store, self.runner).await;
        let due = self.store.due_deliveries(&claims).await.expect("what is due");
        let mut bodies = Vec::new();
        for (claim, due) in claims.iter().zip(due) {
            let due = due.expect("a delivery");
            for event in &due.events {
                let body = notice::body(&due, event).expect("JSON");
                bodies.push((claim.id, serde_json::from_str(&body).expect("JSON")));
            }
        }
        bodies
    }
}

impl BankScene {
    /// Has all that waits delivered, and returns how many deliveries that was.
    pub async fn delivers(&self) -> usize {
        let claims = deliveries(&self.store, self.runner).await;
        let due = self.store.due_deliveries(&claims).await.expect("what is due");
        for (claim, due) in claims.iter().zip(due) {
            let due = due.expect("a delivery");
            let settlement = DeliverySettlement {
                claim: claim.clone(),
                endpoint_id: due.endpoint_id,
                sent_version: due.wanted_version,
                wanted_version: due.wanted_version,
                answer: "204".to_owned(),
                resend: None,
                attempts: vec![],
                change: DeliveryChange::Delivered,
                now: now(),
            };
            let settled = self.store.settle_deliveries(&[settlement]).await.remove(0);
            assert!(settled.expect("a store"), "it was in our hands");
        }
        claims.len()
    }
}

pub fn user(name: &str) -> UserDraft {
    UserDraft {
        id: PsuUserId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        external_id: name.to_owned(),
        update_offline: true,
        active: true,
        last_synced_at: None,
        endpoint_id: None,
        now: now(),
    }
}

/// Valid for 90 days.
pub fn consent(of: PsuUserId, name: &str) -> ConsentDraft {
    ConsentDraft {
        id: ConsentId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        user_id: of,
        aspsp: BANK.to_owned(),
        external_id: name.to_owned(),
        status: ConsentStatus::Valid,
        valid_until: Some(now() + TimeDelta::days(90)),
        frequency_per_day: 4,
        now: now(),
    }
}

pub fn account(of: PsuUserId, under: ConsentId, number: &str) -> AccountDraft {
    AccountDraft {
        id: AccountId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        user_id: of,
        consent_id: under,
        aspsp: BANK.to_owned(),
        key: AccountKey::new(number, "PLN").expect("a number"),
        name: None,
        resource_id: Some("resource-1".to_owned()),
        privileges: vec!["ais:getTransactionsDone".to_owned()],
        history_days: Some(90),
        now: now(),
    }
}

pub fn tokens(name: &str) -> NewTokens {
    NewTokens {
        access_sealed: format!("v1.key.access {name}"),
        refresh_sealed: Some(format!("v1.key.refresh {name}")),
        expires_at: Some(now() + Duration::from_mins(10)),
    }
}

pub fn visit(of: PsuUserId, by: ConsentId, run: Uuid) -> ApiSession {
    ApiSession {
        id: ApiSessionId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        run_id: run,
        consent_id: by,
        user_id: of,
        aspsp: BANK.to_owned(),
        source: SOURCE_TIMETABLE,
        state: VisitState::Open,
        reason: None,
        news: 0,
        started_at: now(),
        ended_at: None,
    }
}

pub fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).expect("a day of November")
}

pub fn booked(id: &str, on: u32, amount: i64) -> BookedTold {
    BookedTold {
        bank_ids: vec![id.to_owned()],
        booked_on: day(on),
        value_on: None,
        amount,
        currency: "PLN".to_owned(),
        counterparty: "Shop".to_owned(),
        remittance: "Coffee".to_owned(),
        balance_after: None,
        details: "{}".to_owned(),
    }
}

/// All that was booked in November.
pub fn told_of(account: AccountId, booked: Vec<BookedTold>) -> Told {
    Told {
        tenant_id: TenantId::default(),
        account_id: account,
        booked: Some((day(1), day(30), booked)),
        pending: None,
        balances: vec![],
        details: None,
        now: now(),
    }
}

pub fn payment(name: &str) -> PaymentDraft {
    PaymentDraft {
        id: PaymentId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        user_id: None,
        aspsp: BANK.to_owned(),
        kind: PaymentKind::Single,
        vocabulary: Vocabulary::Iso20022,
        product: "payments/sepa-credit-transfers".to_owned(),
        external_id: name.to_owned(),
        is_our_name: false,
        parent_id: None,
        reference_id: Some(format!("order of {name}")),
        state: PaymentState::InProgress,
        raw_status: None,
        token_sealed: Some("v1.key.token".to_owned()),
        endpoint_id: None,
        traceparent: None,
        made_at: now(),
        now: now(),
    }
}

/// A moment so many seconds from another.
pub fn later(at: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    at + TimeDelta::seconds(seconds)
}
