//! Two companies use one house, each with tokens of its own: each sees its own and nothing of the other's, may do what its tokens say,
//! and is shown out the moment that a token is revoked.

use std::time::Duration;

use bursar::domain::token::ApiToken;
use bursar::proto::access::v1::token::State;
use bursar::proto::access::v1::token_service_client::TokenServiceClient;
use bursar::proto::access::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest};
use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::boleto::v1::{
    Address, CreateBankAccountRequest, CreateBoletoRequest, GetBoletoRequest, ListBoletosRequest, Payer,
    WatchBoletosRequest,
};
use bursar::proto::openbanking::v1::user_service_client::UserServiceClient;
use bursar::proto::openbanking::v1::{ListUsersRequest, NewUser, PutUsersRequest};
use bursar::proto::transfer::v1::transfer_service_client::TransferServiceClient;
use bursar::proto::transfer::v1::{ListFeedsRequest, ListTransfersRequest};
use chrono::{Days, TimeDelta, Utc};
use tokio::time::{Instant, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::support::callers::{self, Showing};
use crate::support::database::Kind;
use crate::support::house::{House, Opened, PATIENCE, Refusal as _, an_account, eventually};

type Way = InterceptedService<Channel, Showing>;

/// A house that tells callers apart, with the tokens that were made for it: of these tenants, with these scopes.
async fn house(kind: Kind, wanted: &[(&str, &str)]) -> (Opened, Vec<ApiToken>) {
    let surroundings = House::new().on(kind).without_account().with("access.mode", "tokens").prepare().await;
    let store = surroundings.database.open().await;
    let mut tokens = Vec::new();
    for (tenant, scopes) in wanted {
        tokens.push(callers::make(&store, tenant, scopes, TimeDelta::hours(1)).await);
    }
    callers::leave(store).await;
    (surroundings.open().await, tokens)
}

fn way(house: &Opened, token: &ApiToken) -> Way {
    InterceptedService::new(house.channel(), Showing::token(token))
}

/// Issues a boleto as its own tenant, under an account of its own.
async fn issues(house: &Opened, token: &ApiToken) -> String {
    let account = house.operator().with_credentials(an_account());
    let request =
        CreateBankAccountRequest { bank_account: Some(account), ..CreateBankAccountRequest::default() };
    let made = BankAccountServiceClient::new(way(house, token)).create_bank_account(request).await;
    made.expect("a bank account");
    let request = CreateBoletoRequest {
        amount_cents: 12_590,
        due_date: (Utc::now().date_naive() + Days::new(10)).to_string(),
        payer: Some(Payer {
            name: "Maria Exemplo".to_owned(),
            tax_id: "52998224725".to_owned(),
            address: Some(Address {
                street: "Rua das Flores".to_owned(),
                number: "308".to_owned(),
                complement: String::new(),
                district: "Centro".to_owned(),
                city: "São Paulo".to_owned(),
                state: "SP".to_owned(),
                postal_code: "01001000".to_owned(),
            }),
        }),
        notification_opt_out: true,
        ..CreateBoletoRequest::default()
    };
    let made = BoletoServiceClient::new(way(house, token)).create_boleto(request).await.expect("a boleto");
    made.into_inner().boleto.expect("a boleto in the answer").id
}

async fn lists(house: &Opened, token: &ApiToken) -> Vec<String> {
    let listed =
        BoletoServiceClient::new(way(house, token)).list_boletos(ListBoletosRequest::default()).await;
    listed.expect("a list").into_inner().boletos.into_iter().map(|boleto| boleto.id).collect()
}

async fn each_sees_its_own(kind: Kind) {
    let all = "boleto.write transfer.write openbanking.write";
    let (house, tokens) = house(kind, &[("default", all), ("elsewhere", all)]).await;
    let (one, other) = (&tokens[0], &tokens[1]);
    let boletos = [issues(&house, one).await, issues(&house, other).await];
    assert_eq!(lists(&house, one).await, boletos[..1]);
    assert_eq!(lists(&house, other).await, boletos[1..]);
    let request = GetBoletoRequest { id: boletos[0].clone() };
    let refused = BoletoServiceClient::new(way(&house, other)).get_boleto(request).await;
    assert_eq!(refused.expect_err("somebody else's").reason(), "BOLETO_NOT_FOUND");

    let watch = WatchBoletosRequest { cursor: "0".to_owned(), ..WatchBoletosRequest::default() };
    let watched = BoletoServiceClient::new(way(&house, other)).watch_boletos(watch).await;
    let mut watched = watched.expect("a stream").into_inner();
    let mut changes = Vec::new();
    // The first answer may only say from where the watch goes on.
    while changes.is_empty() {
        let answer = timeout(PATIENCE, watched.message()).await.expect("news");
        changes = answer.expect("no error").expect("no end").changes;
    }
    assert!(changes.iter().all(|change| change.boleto_id == boletos[1]), "{changes:?}");
    drop(watched);

    let user = NewUser { external_id: "ana".to_owned(), ..NewUser::default() };
    let put = PutUsersRequest { users: vec![user] };
    UserServiceClient::new(way(&house, one)).put_users(put).await.expect("a customer");
    for (token, known) in [(one, 1), (other, 0)] {
        let users = UserServiceClient::new(way(&house, token)).list_users(ListUsersRequest::default()).await;
        assert_eq!(users.expect("a list").into_inner().users.len(), known);
        let mut transfers = TransferServiceClient::new(way(&house, token));
        let listed = transfers.list_transfers(ListTransfersRequest::default()).await.expect("a list");
        assert!(listed.into_inner().transfers.is_empty());
        transfers.list_feeds(ListFeedsRequest::default()).await.expect("a list");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_company_sees_its_own_on_sqlite() {
    each_sees_its_own(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_company_sees_its_own_on_postgresql() {
    each_sees_its_own(Kind::PostgreSql).await;
}

/// Ends a stream by reading it out, and tells how.
async fn ends(mut stream: tonic::Streaming<bursar::proto::boleto::v1::WatchBoletosResponse>) -> Status {
    loop {
        match timeout(PATIENCE, stream.message()).await.expect("an end") {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(status) => return status,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_revoked_is_shown_out_within_a_second() {
    let (house, tokens) = house(Kind::Sqlite, &[("default", "admin"), ("default", "boleto.read")]).await;
    let (admin, watcher) = (&tokens[0], &tokens[1]);
    let mut boletos = BoletoServiceClient::new(way(&house, watcher));
    let mut stream =
        boletos.watch_boletos(WatchBoletosRequest::default()).await.expect("a stream").into_inner();
    timeout(PATIENCE, stream.message()).await.expect("an answer").expect("no error").expect("no end");
    let mut others = BoletoServiceClient::new(way(&house, admin));
    let mut stays =
        others.watch_boletos(WatchBoletosRequest::default()).await.expect("a stream").into_inner();
    timeout(PATIENCE, stays.message()).await.expect("an answer").expect("no error").expect("no end");

    let revoke =
        RevokeTokenRequest { prefix: watcher.prefix().to_string(), reason: "it has leaked".to_owned() };
    let mut keeper = TokenServiceClient::new(way(&house, admin));
    let began = Instant::now();
    let revoked =
        keeper.revoke_token(revoke.clone()).await.expect("revoked").into_inner().token.expect("a token");
    assert_eq!((revoked.state(), revoked.prefix.as_str()), (State::Revoked, watcher.prefix().as_str()));
    let status = ends(stream).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!((status.code(), status.reason().as_str()), (Code::Unauthenticated, "NOT_AUTHENTICATED"));
    let refused = boletos.list_boletos(ListBoletosRequest::default()).await.expect_err("revoked");
    assert_eq!(refused.code(), Code::Unauthenticated);
    keeper.revoke_token(revoke).await.expect("once more changes nothing");
    // Nobody else has noticed.
    lists(&house, admin).await;
    let silent = futures_util::FutureExt::now_or_never(stays.message());
    assert!(silent.is_none(), "{silent:?}");
    drop(stays);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_another_process_has_revoked_ends_here_as_well() {
    let (house, tokens) = house(Kind::PostgreSql, &[("default", "boleto.read")]).await;
    let mut boletos = BoletoServiceClient::new(way(&house, &tokens[0]));
    let mut stream =
        boletos.watch_boletos(WatchBoletosRequest::default()).await.expect("a stream").into_inner();
    timeout(PATIENCE, stream.message()).await.expect("an answer").expect("no error").expect("no end");
    let elsewhere = house.store_beside().await;
    callers::revoke(&elsewhere, &tokens[0]).await;
    let began = Instant::now();
    let status = ends(stream).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(status.code(), Code::Unauthenticated);
    elsewhere.close().await.expect("it closes");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_gives_what_it_was_given_and_ends_in_its_time() {
    let (house, tokens) = house(Kind::Sqlite, &[("default", "admin"), ("elsewhere", "admin")]).await;
    let asked = |scopes: &[&str], tenant: &str| CreateTokenRequest {
        name: "the shop".to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        lifetime: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        tenant_id: tenant.to_owned(),
        reason: "a new till".to_owned(),
    };
    let mut keeper = TokenServiceClient::new(way(&house, &tokens[0]));
    let made = keeper.create_token(asked(&["boleto.read"], "")).await.expect("a token").into_inner();
    let shop = ApiToken::parse(&made.secret).expect("a token");
    let made = made.token.expect("what is known of it");
    assert_eq!((made.prefix.as_str(), made.created_by), (shop.prefix().as_str(), keeper_name(&tokens[0])));
    assert!(lists(&house, &shop).await.is_empty());
    let refused = BoletoServiceClient::new(way(&house, &shop))
        .create_boleto(CreateBoletoRequest::default())
        .await
        .expect_err("it may read only");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::PermissionDenied, "SCOPE_MISSING"));
    assert!(refused.message().contains("boleto.write"), "{refused:?}");
    let used = eventually("the last use", async || {
        let listed = keeper.list_tokens(ListTokensRequest::default()).await.expect("a list").into_inner();
        assert_eq!(listed.tokens.len(), 3);
        listed.tokens.into_iter().find(|token| token.prefix == made.prefix)?.last_use_time
    })
    .await;
    assert!(used.seconds >= made.create_time.expect("a time").seconds);

    let wrong = CreateTokenRequest { name: String::new(), ..asked(&["boleto.reed"], "No") };
    let violations = keeper.create_token(wrong).await.expect_err("three rules broken");
    for field in ["name", "scopes[0]", "tenant_id"] {
        assert!(violations.message().contains(field), "{violations:?}");
    }
    let mut stranger = TokenServiceClient::new(way(&house, &tokens[1]));
    let refused = stranger.create_token(asked(&["boleto.read"], "default")).await.expect_err("not theirs");
    assert_eq!(refused.reason(), "HOUSE_ONLY");
    let revoke = RevokeTokenRequest { prefix: made.prefix.clone(), reason: "mischief".to_owned() };
    assert_eq!(stranger.revoke_token(revoke).await.expect_err("not theirs").reason(), "TOKEN_NOT_FOUND");
    let own = stranger.list_tokens(ListTokensRequest::default()).await.expect("a list").into_inner();
    assert_eq!(own.tokens.len(), 1);
    house.close().await;
}

fn keeper_name(token: &ApiToken) -> String {
    format!("token:{}", token.prefix())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_tries_tokens_is_told_to_wait_and_nobody_else_is() {
    let surroundings = House::new()
        .without_account()
        .with("access.mode", "tokens")
        .with("access.failures_per_minute_max", "3")
        .prepare()
        .await;
    let store = surroundings.database.open().await;
    let known = callers::make(&store, "default", "boleto.read", TimeDelta::hours(1)).await;
    let new = callers::make(&store, "default", "boleto.read", TimeDelta::hours(1)).await;
    callers::leave(store).await;
    let house = surroundings.open().await;
    lists(&house, &known).await;
    let tries = |text: String| {
        let way = InterceptedService::new(house.channel(), Showing::text(&text));
        async move { BoletoServiceClient::new(way).list_boletos(ListBoletosRequest::default()).await }
    };
    for number in 0..3 {
        let wrong = ApiToken::of_bits([number; 6], [7; 32]).reveal();
        assert_eq!(tries(wrong).await.expect_err("wrong").code(), Code::Unauthenticated);
    }
    let refused = tries(new.reveal()).await.expect_err("the address has to wait");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::ResourceExhausted, "TOO_MANY_FAILURES"));
    lists(&house, &known).await;
    house.close().await;
}
