//! A shop issues boletos and needs to read no names; somebody at the desk does, and is written down with whose they read. Where that
//! cannot be written down, nothing is read.

use bursar::domain::token::ApiToken;
use bursar::proto::access::v1::audit_service_client::AuditServiceClient;
use bursar::proto::access::v1::{AuditRecord, ListAuditRequest};
use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::boleto::v1::{
    Boleto, CreateBankAccountRequest, CreateDocumentLinkRequest, GetBoletoRequest, ListBoletosRequest,
    RenderBoletoRequest,
};
use bursar::store::pool;
use chrono::TimeDelta;
use sea_orm::ConnectionTrait as _;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::callers::{self, Showing};
use crate::support::database::Kind;
use crate::support::house::{House, Opened, Refusal as _, a_boleto, an_account};

type Way = InterceptedService<Channel, Showing>;

/// What the shop, the desk and an administrator show.
struct Tokens {
    shop: ApiToken,
    desk: ApiToken,
    admin: ApiToken,
}

async fn opened(kind: Kind) -> (Opened, Tokens) {
    let surroundings = House::new().on(kind).without_account().with("access.mode", "tokens").prepare().await;
    let store = surroundings.database.open().await;
    let hour = TimeDelta::hours(1);
    let tokens = Tokens {
        shop: callers::make(&store, "default", "boleto.write", hour).await,
        desk: callers::make(&store, "default", "boleto.read pii.read", hour).await,
        admin: callers::make(&store, "default", "admin", hour).await,
    };
    callers::leave(store).await;
    (surroundings.open().await, tokens)
}

fn boletos(house: &Opened, token: &ApiToken) -> BoletoServiceClient<Way> {
    BoletoServiceClient::new(InterceptedService::new(house.channel(), Showing::token(token)))
}

async fn issues(house: &Opened, token: &ApiToken) -> Boleto {
    let made = boletos(house, token).create_boleto(a_boleto().told_to_nobody().into_request()).await;
    made.expect("a boleto").into_inner().boleto.expect("a boleto in the answer")
}

async fn gets(house: &Opened, token: &ApiToken, id: &str) -> Result<Boleto, Status> {
    let answer = boletos(house, token).get_boleto(GetBoletoRequest { id: id.to_owned() }).await?;
    Ok(answer.into_inner().boleto.expect("a boleto in the answer"))
}

fn name(boleto: Boleto) -> String {
    boleto.payer.expect("a payer").name
}

/// The records of one method, oldest first.
async fn records(house: &Opened, token: &ApiToken, method: &str) -> Vec<AuditRecord> {
    let way = InterceptedService::new(house.channel(), Showing::token(token));
    let request = ListAuditRequest { method: method.to_owned(), ..ListAuditRequest::default() };
    let listed = AuditServiceClient::new(way).list_audit(request).await.expect("the audit");
    listed.into_inner().records.into_iter().rev().collect()
}

fn scope_missing(status: &Status) -> Option<String> {
    let details = status.get_error_details();
    let info = details.error_info()?;
    (status.code() == Code::PermissionDenied && info.reason == "SCOPE_MISSING")
        .then(|| info.metadata.get("scope").cloned())?
}

async fn the_desk_reads_and_the_shop_does_not(kind: Kind) {
    let (house, tokens) = opened(kind).await;
    let account = house.operator().with_credentials(an_account());
    let request = CreateBankAccountRequest { bank_account: Some(account), ..Default::default() };
    let way = InterceptedService::new(house.channel(), Showing::token(&tokens.shop));
    BankAccountServiceClient::new(way).create_bank_account(request).await.expect("a bank account");

    let (one, other) = (issues(&house, &tokens.shop).await, issues(&house, &tokens.shop).await);
    assert_eq!(name(one.clone()), "M*** E***", "even what it has sent itself");
    assert_eq!(name(gets(&house, &tokens.shop, &one.id).await.expect("a boleto")), "M*** E***");
    let render = RenderBoletoRequest { id: one.id.clone(), ..RenderBoletoRequest::default() };
    let refused = boletos(&house, &tokens.shop).render_boleto(render.clone()).await.expect_err("in clear");
    assert_eq!(scope_missing(&refused).as_deref(), Some("pii.read"));
    let link = CreateDocumentLinkRequest { id: one.id.clone(), ..CreateDocumentLinkRequest::default() };
    let refused = boletos(&house, &tokens.shop).create_document_link(link).await.expect_err("in clear");
    assert_eq!(scope_missing(&refused).as_deref(), Some("pii.read"));
    for method in ["CreateBoleto", "GetBoleto", "RenderBoleto"] {
        assert!(records(&house, &tokens.admin, method).await.is_empty(), "{method}: nothing was read");
    }

    assert_eq!(name(gets(&house, &tokens.desk, &one.id).await.expect("a boleto")), "Maria Exemplo");
    assert_eq!(name(gets(&house, &tokens.admin, &other.id).await.expect("a boleto")), "Maria Exemplo");
    gets(&house, &tokens.desk, "019a0000-0000-7000-8000-000000000000").await.expect_err("there is none");
    let read = records(&house, &tokens.admin, "GetBoleto").await;
    let by = |token: &ApiToken| format!("token:{}", token.prefix());
    let read: Vec<(String, String)> = read.into_iter().map(|record| (record.actor, record.subject)).collect();
    assert_eq!(read, [(by(&tokens.desk), one.id.clone()), (by(&tokens.admin), other.id.clone())]);

    boletos(&house, &tokens.desk).render_boleto(render).await.expect("a document");
    let drawn = records(&house, &tokens.admin, "RenderBoleto").await;
    assert_eq!(drawn.iter().map(|record| record.subject.as_str()).collect::<Vec<_>>(), [one.id.as_str()]);

    boletos(&house, &tokens.desk).list_boletos(ListBoletosRequest::default()).await.expect("a list");
    let listed = records(&house, &tokens.admin, "ListBoletos").await;
    let [record] = listed.as_slice() else { panic!("one record a call: {listed:?}") };
    let after: serde_json::Value = serde_json::from_str(&record.after).expect("JSON");
    let ids: Vec<&str> = after["ids"].as_array().into_iter().flatten().filter_map(|id| id.as_str()).collect();
    assert_eq!((after["read"].as_u64(), ids), (Some(2), vec![one.id.as_str(), other.id.as_str()]));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_reads_and_the_shop_does_not_on_sqlite() {
    the_desk_reads_and_the_shop_does_not(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_reads_and_the_shop_does_not_on_postgresql() {
    the_desk_reads_and_the_shop_does_not(Kind::PostgreSql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_down_is_not_read() {
    let (house, tokens) = opened(Kind::PostgreSql).await;
    let account = house.operator().with_credentials(an_account());
    let request = CreateBankAccountRequest { bank_account: Some(account), ..Default::default() };
    let way = InterceptedService::new(house.channel(), Showing::token(&tokens.shop));
    BankAccountServiceClient::new(way).create_bank_account(request).await.expect("a bank account");
    let boleto = issues(&house, &tokens.shop).await;
    let beside = pool::connect(house.database_url()).await.expect("the database of the house");
    beside.execute_unprepared("alter table audit rename to audit_elsewhere").await.expect("no audit");
    let refused = gets(&house, &tokens.desk, &boleto.id).await.expect_err("not written down");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::Internal, "INTERNAL"));
    assert_eq!(name(gets(&house, &tokens.shop, &boleto.id).await.expect("masked")), "M*** E***");
    beside.execute_unprepared("alter table audit_elsewhere rename to audit").await.expect("the audit");
    assert_eq!(name(gets(&house, &tokens.desk, &boleto.id).await.expect("a boleto")), "Maria Exemplo");
    beside.close().await.expect("the database lets go");
    house.close().await;
}
