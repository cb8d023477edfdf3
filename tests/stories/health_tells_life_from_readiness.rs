//! Whoever looks after processes asks two things: does it live, and does it serve. A house whose store is away lives and
//! does not serve; it opens by itself when the store comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bursar::cli::house;
use bursar::proto::boleto::v1::GetBoletoRequest;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::control::v1::GetInfoRequest;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::database::Kind;
use crate::support::house::{House, Refusal as _, a_boleto, eventually};

const SERVICES: [&str; 11] = [
    "",
    "bursar.boleto.v1.BoletoService",
    "bursar.boleto.v1.BankAccountService",
    "bursar.control.v1.ControlService",
    "bursar.notification.v1.NotificationService",
    "bursar.openbanking.v1.AccountService",
    "bursar.openbanking.v1.ConsentService",
    "bursar.openbanking.v1.PaymentService",
    "bursar.openbanking.v1.SyncService",
    "bursar.openbanking.v1.UserService",
    "bursar.transfer.v1.TransferService",
];

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel.clone()).check(request).await.expect("an answer about health");
    answer.into_inner().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_house_lives_and_serves() {
    let house = House::new().open().await;
    assert_eq!(health(&house.channel(), "liveness").await, ServingStatus::Serving);
    for service in SERVICES {
        assert_eq!(health(&house.channel(), service).await, ServingStatus::Serving, "{service:?}");
    }
    let request = HealthCheckRequest { service: "nobody".to_owned() };
    let unknown = HealthClient::new(house.channel()).check(request).await.expect_err("no such service");
    assert_eq!(unknown.code(), Code::NotFound);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_whose_store_is_away_lives_and_opens_when_it_comes() {
    let surroundings = House::new().on(Kind::PostgreSql).prepare().await;
    let door = Door::open(&surroundings.database.url).await;
    let store_url = door.url(&surroundings.database.url);
    let listen = free_address().await;
    let surroundings = surroundings
        .with("api.listen", &listen.to_string())
        .with("store.url", &store_url)
        .with("store.timeout", "1s");
    let config = surroundings.config();
    let opening = tokio::spawn(async move { house::open(&config).await });

    let address = format!("http://{listen}");
    let channel = eventually("the server listens", async || {
        Channel::from_shared(address.clone()).expect("an address").connect().await.ok()
    })
    .await;
    eventually("liveness is known", async || {
        let request = HealthCheckRequest { service: "liveness".to_owned() };
        let answer = HealthClient::new(channel.clone()).check(request).await.ok()?;
        (answer.into_inner().status() == ServingStatus::Serving).then_some(())
    })
    .await;
    for service in SERVICES {
        assert_eq!(health(&channel, service).await, ServingStatus::NotServing, "{service:?}");
    }
    let id = "00000000-0000-7000-8000-000000000000".to_owned();
    let status = BoletoServiceClient::new(channel.clone())
        .get_boleto(GetBoletoRequest { id })
        .await
        .expect_err("not open yet");
    assert_eq!((status.code(), status.reason().as_str()), (Code::Unavailable, "NOT_READY"));
    assert!(status.retry_after().is_some_and(|wait| wait > Duration::ZERO));
    let info = ControlServiceClient::new(channel.clone()).get_info(GetInfoRequest {}).await.expect("info");
    assert!(!info.get_ref().ready && !info.get_ref().not_ready_reason.is_empty());
    assert!(!opening.is_finished());

    door.lets_in();
    let house = opening.await.expect("no panic").expect("an open house");
    let house = surroundings.moved_in(house).await;
    for service in SERVICES {
        eventually("it serves", async || {
            (health(&channel, service).await == ServingStatus::Serving).then_some(())
        })
        .await;
    }
    assert!(house.shop().creates(a_boleto()).await.payable);
    drop(channel);
    house.close().await;
}

/// An address that nobody has now, for a server that must be reached before it has said where it listens.
async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("its address")
}

/// A way to the database that is shut at first.
struct Door {
    address: SocketAddr,
    is_open: Arc<AtomicBool>,
}

impl Door {
    async fn open(database_url: &str) -> Self {
        let behind = authority(database_url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let is_open = Arc::new(AtomicBool::new(false));
        let lets_in = is_open.clone();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                if !lets_in.load(Ordering::SeqCst) {
                    continue;
                }
                let behind = behind.clone();
                tokio::spawn(async move {
                    let mut database = TcpStream::connect(behind).await.expect("the database");
                    // However it ends, both ends notice.
                    let _ = tokio::io::copy_bidirectional(&mut caller, &mut database).await;
                });
            }
        });
        Self { address, is_open }
    }

    fn url(&self, database_url: &str) -> String {
        database_url.replace(authority(database_url), &self.address.to_string())
    }

    fn lets_in(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

/// The host and port in a URL such as `postgres://user@host:port/name`.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}
