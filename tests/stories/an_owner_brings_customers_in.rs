//! An owner brings in customers, what they have allowed and their payments; sees each once, however often it is brought in; takes some of
//! it back; and is told what is wrong. Tokens come in and never out, and who reads an account is written down.

use bursar::proto::openbanking::v1::consent::Status as ConsentStatus;
use bursar::proto::openbanking::v1::freshness::State as Freshness;
use bursar::proto::openbanking::v1::new_consent::{AllowedAccount, Tokens};
use bursar::proto::openbanking::v1::payment::{State, Vocabulary};
use bursar::proto::openbanking::v1::*;
use bursar::store::pool;
use prost_types::Timestamp;
use sea_orm::{ConnectionTrait as _, Statement};
use tonic::Code;

use crate::support::database::Kind;
use crate::support::house::{Customers, House, Opened, Refusal as _};

const NUMBER: &str = "PL61109010140000071219812874";
const TOKEN: &str = "not-a-real-access-token";

fn a_user(name: &str) -> NewUser {
    NewUser { external_id: name.to_owned(), update_offline: true, ..NewUser::default() }
}

fn a_consent(name: &str) -> NewConsent {
    let account = AllowedAccount {
        number: NUMBER.to_owned(),
        currency: "PLN".to_owned(),
        resource_id: "r-1".to_owned(),
        ..AllowedAccount::default()
    };
    NewConsent {
        user_external_id: "ana".to_owned(),
        aspsp: "bank-a".to_owned(),
        external_id: name.to_owned(),
        valid_until_time: Some(Timestamp { seconds: 4_070_908_800, nanos: 0 }),
        tokens: Some(Tokens { access_token: TOKEN.to_owned(), ..Tokens::default() }),
        accounts: vec![account],
        ..NewConsent::default()
    }
}

fn a_payment(name: &str) -> NewPayment {
    NewPayment {
        aspsp: "bank-a".to_owned(),
        external_id: name.to_owned(),
        product: "payments/sepa-credit-transfers".to_owned(),
        vocabulary: Vocabulary::Iso20022.into(),
        user_external_id: "ana".to_owned(),
        ..NewPayment::default()
    }
}

async fn imports(customers: &Customers, consents: Vec<NewConsent>) -> Vec<ImportConsentResult> {
    let request = ImportConsentsRequest { consents };
    customers.consents.clone().import_consents(request).await.expect("consents").into_inner().results
}

async fn tracks(customers: &Customers, payments: Vec<NewPayment>) -> Vec<TrackPaymentResult> {
    let request = TrackPaymentsRequest { payments };
    customers.payments.clone().track_payments(request).await.expect("payments").into_inner().results
}

/// The one number that a question to the database has for an answer.
async fn number(house: &Opened, sql: &str, value: &str) -> i64 {
    let connection = pool::connect(house.database_url()).await.expect("the database");
    let backend = connection.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, [value.into()]);
    let row = connection.query_one_raw(statement).await.expect("an answer").expect("a row");
    connection.close().await.expect("the database lets go");
    row.try_get("", "n").expect("a number")
}

async fn everything_comes_in_once_and_goes_again(kind: Kind) {
    let house = House::new().on(kind).without_account().open().await;
    let customers = house.customers();
    let put = PutUsersRequest { users: vec![a_user("ana"), a_user("ben")] };
    for is_first in [true, false] {
        let answer = customers.users.clone().put_users(put.clone()).await.expect("customers").into_inner();
        assert!(answer.results.iter().all(|result| result.written == is_first), "{answer:?}");
    }

    let first = imports(&customers, vec![a_consent("c-1")]).await;
    let again = imports(&customers, vec![a_consent("c-1")]).await;
    assert!(first[0].written && !again[0].written, "the same tokens are kept once: {again:?}");
    assert_eq!((&first[0].id, &first[0].account_ids), (&again[0].id, &again[0].account_ids));
    let of_ben = NewConsent { user_external_id: "ben".to_owned(), ..a_consent("c-1") };
    assert!(imports(&customers, vec![of_ben]).await[0].another_users);
    let sealed = "select count(*) as n from consent_token where access_sealed not like '%' || $1 || '%'";
    assert_eq!(number(&house, sealed, TOKEN).await, 1, "one, and not in the clear");

    let accounts = customers.accounts("ana").await;
    let [account] = accounts.as_slice() else { panic!("{accounts:?}") };
    assert_eq!(account.number, "************************2874");
    assert_eq!(account.freshness.as_ref().map(|fresh| fresh.state()), Some(Freshness::Never));
    let read = GetAccountRequest { id: account.id.clone(), reason: "a complaint".to_owned() };
    let read = customers.accounts.clone().get_account(read).await.expect("an account").into_inner();
    assert_eq!(read.account.expect("an account").number, NUMBER);
    let audited = "select count(*) as n from audit where method = $1";
    assert_eq!(number(&house, audited, "GetAccount").await, 1);
    assert_eq!(number(&house, audited, "ListAccounts").await, 0, "it masks");

    let tracked = tracks(&customers, vec![a_payment("p-1"), a_payment("p-2")]).await;
    assert!(tracked.iter().all(|one| one.is_new && one.state() == State::InProgress), "{tracked:?}");
    assert!(!tracks(&customers, vec![a_payment("p-1")]).await[0].is_new);
    let resolve = ResolvePaymentRequest {
        id: tracked[0].id.clone(),
        state: State::Rejected.into(),
        reason: "the bank wrote a letter".to_owned(),
        ..ResolvePaymentRequest::default()
    };
    let refused = customers.payments.clone().resolve_payment(resolve).await.expect_err("a bank can be asked");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::FailedPrecondition, "PAYMENT_NOT_OPEN"));

    let revoke = RevokeConsentRequest {
        request_id: "r".to_owned(),
        id: first[0].id.clone(),
        reason: "she wants it no more".to_owned(),
    };
    for _ in 0..2 {
        let answer = customers.consents.clone().revoke_consent(revoke.clone()).await.expect("an end");
        let consent = answer.into_inner().consent.expect("a consent");
        assert_eq!((consent.status(), consent.has_tokens), (ConsentStatus::Revoked, false));
    }
    assert_eq!(number(&house, audited, "RevokeConsent").await, 1, "the second was the same request");
    let again = RevokeConsentRequest { request_id: String::new(), ..revoke };
    let refused = customers.consents.clone().revoke_consent(again).await.expect_err("it has ended");
    assert_eq!(refused.reason(), "CONSENT_ENDED");
    let [account] = customers.accounts("ana").await.try_into().expect("one account");
    assert!(account.freshness.expect("freshness").reason.starts_with("no_consent"));
    let sync = SyncUserRequest {
        external_id: "ana".to_owned(),
        reason: "asked for".to_owned(),
        ..SyncUserRequest::default()
    };
    let refused = customers.syncs.clone().sync_user(sync).await.expect_err("no consent");
    assert_eq!(refused.reason(), "NOTHING_TO_SYNC");

    let erase = EraseUserRequest {
        request_id: "e".to_owned(),
        external_id: "ana".to_owned(),
        reason: "asked for".to_owned(),
    };
    customers.users.clone().erase_user(erase).await.expect("an end");
    let gone = GetUserRequest { external_id: "ana".to_owned() };
    assert_eq!(customers.users.clone().get_user(gone).await.expect_err("gone").code(), Code::NotFound);
    let payment = customers.payment(&tracked[0].id).await;
    assert_eq!((payment.state(), payment.user_id.as_str()), (State::InProgress, ""), "it is followed on");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_in_once_and_goes_again_on_sqlite() {
    everything_comes_in_once_and_goes_again(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_in_once_and_goes_again_on_postgresql() {
    everything_comes_in_once_and_goes_again(Kind::PostgreSql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_breaks_a_rule_is_refused_whole_and_every_rule_is_named() {
    let house = House::new().without_account().open().await;
    let customers = house.customers();
    let wrong = PutUsersRequest { users: vec![a_user("ana"), a_user("ana"), NewUser::default()] };
    let refused = customers.users.clone().put_users(wrong).await.expect_err("it breaks rules");
    assert_eq!(refused.fields(), ["users[1].external_id", "users[2].external_id"]);
    let list = customers.users.clone().list_users(ListUsersRequest::default()).await.expect("a list");
    assert!(list.into_inner().users.is_empty(), "nothing was written");

    let request = ImportConsentsRequest { consents: vec![a_consent("c-1")] };
    let refused = customers.consents.clone().import_consents(request).await.expect_err("nobody's");
    assert_eq!(refused.fields(), ["consents[0].user_external_id"]);
    let unknown = NewPayment { vocabulary: 0, user_external_id: String::new(), ..a_payment("p") };
    let request = TrackPaymentsRequest { payments: vec![unknown] };
    let refused = customers.payments.clone().track_payments(request).await.expect_err("which words?");
    assert_eq!(refused.fields(), ["payments[0].vocabulary"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_no_token_is_taken_and_nothing_is_written() {
    let house = House::new().without_account().with("secrets.key", "").open().await;
    let customers = house.customers();
    customers.puts("ana").await;
    let request = ImportConsentsRequest { consents: vec![a_consent("c-1")] };
    let refused = customers.consents.clone().import_consents(request).await.expect_err("no key");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::FailedPrecondition, "SECRETS_NOT_KEPT"));
    let list = customers.consents.clone().list_consents(ListConsentsRequest::default()).await;
    assert!(list.expect("a list").into_inner().consents.is_empty());
    house.close().await;
}
