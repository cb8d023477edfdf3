//! Clients who send a byte and wait, who open more connections than they may, who ask too often or send nonsense: each is
//! told so or let go, and everybody else is served meanwhile.

use std::net::SocketAddr;

use bursar::proto::control::v1::NodeStatus;
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::house::{BASE_URL, House, PATIENCE, a_boleto, eventually, path_of};

const PAGES: &str = "web/document_links";

fn with_links() -> House {
    House::new()
        .with("documents.links.enabled", "true")
        .with("documents.links.address", "127.0.0.1:0")
        .with("documents.links.base_url", BASE_URL)
        .with("documents.links.rate_per_second", "0")
}

/// A connection of another machine's, as far as the house can tell.
async fn from(own: [u8; 4], house: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((own, 0))).expect("an address of this machine's loopback");
    socket.connect(house).await.expect("a connection")
}

/// Everything that is answered until the other side closes.
async fn heard(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("it is closed in time")
        .expect("it is read");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn asked(mut stream: TcpStream) -> String {
    let sent = stream.write_all(b"GET /d/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    // Whoever is turned away may be told before everything is sent.
    drop(sent);
    heard(&mut stream).await
}

/// Waits until a connection from there is taken in.
async fn is_taken_in(own: [u8; 4], pages: SocketAddr) {
    eventually("a place", async || {
        asked(from(own, pages).await).await.starts_with("HTTP/1.1 404 ").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_next_to_nothing_holds_up_nobody_else() {
    let house = with_links()
        .with("documents.links.connections_max", "6")
        .with("documents.links.connections_per_address_max", "4")
        .with("documents.links.header_timeout", "1min")
        .open()
        .await;
    let pages = house.payer().address();
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = from([127, 0, 0, 2], pages).await;
        stream.write_all(b"GET /d/").await.expect("half a request");
        slow.push(stream);
    }
    let one_too_many = asked(from([127, 0, 0, 2], pages).await).await;
    assert!(one_too_many.starts_with("HTTP/1.1 503 "), "{one_too_many}");
    assert!(one_too_many.contains("\r\nRetry-After: "), "{one_too_many}");
    let other = asked(from([127, 0, 0, 3], pages).await).await;
    assert!(other.starts_with("HTTP/1.1 404 "), "others are served meanwhile: {other}");
    drop(slow);
    is_taken_in([127, 0, 0, 2], pages).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_come_to_an_end_is_let_go() {
    let house = with_links()
        .with("documents.links.header_timeout", "200ms")
        .with("documents.links.connection_timeout", "400ms")
        .open()
        .await;
    let pages = house.payer().address();
    let mut slow = from([127, 0, 0, 2], pages).await;
    slow.write_all(b"GET /d/").await.expect("half a request");
    let said = heard(&mut slow).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
    let mut idle = from([127, 0, 0, 2], pages).await;
    assert_eq!(heard(&mut idle).await, "");
    // One that asks and asks is never idle; its connection ends all the same.
    let mut busy = from([127, 0, 0, 2], pages).await;
    let asking = async {
        let mut bytes = [0; 4_096];
        while busy.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.is_ok() {
            if !matches!(busy.read(&mut bytes).await, Ok(1..)) {
                break;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("it is closed in time");
    is_taken_in([127, 0, 0, 2], pages).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_connections_than_there_are_places_are_told_so() {
    let house = with_links()
        .with("documents.links.connections_max", "3")
        .with("documents.links.connections_per_address_max", "3")
        .open()
        .await;
    let pages = house.payer().address();
    let mut idle = Vec::new();
    for last in 2..5 {
        idle.push(from([127, 0, 0, last], pages).await);
    }
    // Connections are taken in the order in which they come, so the fourth finds three there.
    for _ in 0..5 {
        let said = asked(from([127, 0, 0, 9], pages).await).await;
        assert!(said.starts_with("HTTP/1.1 503 ") && said.ends_with("Tente de novo logo.\n"), "{said}");
    }
    idle.clear();
    is_taken_in([127, 0, 0, 9], pages).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_refused_and_costs_its_own_connection() {
    let house = with_links().with("documents.links.header_bytes_max", "8192").open().await;
    let payer = house.payer();
    let boleto = house.shop().creates(a_boleto()).await;
    let url = house.shop().links(&boleto.id, |_| ()).await.expect("a link").url;
    let long = format!("GET /d/{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(64 * 1_024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200));
    for nonsense in ["\u{16}\u{3}\u{1} a handshake of TLS\r\n\r\n", "GET\r\n\r\n", &long, &many] {
        let mut stream = from([127, 0, 0, 1], payer.address()).await;
        // The other side may have closed before all of it was sent.
        drop(stream.write_all(nonsense.as_bytes()).await);
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("it is closed in time");
        let said = String::from_utf8_lossy(&bytes).into_owned();
        // What was sent and not read may cost the answer; what there is of it is no page.
        assert!(read.is_err() || said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
        assert_eq!(payer.opens(&url, "").await.status, StatusCode::OK);
    }
    assert_eq!(house.operator().actor(PAGES).await.restarts, 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_to_wait_and_others_are_not() {
    let house = with_links()
        .with("documents.links.rate_per_second", "1")
        .with("documents.links.trusts_forwarded_for", "true")
        .open()
        .await;
    let pages = house.payer().address();
    let asks = async |of: &str| {
        let mut stream = from([127, 0, 0, 1], pages).await;
        let request = format!(
            "GET /d/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1, {of}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        heard(&mut stream).await
    };
    let answers = futures_util::future::join_all((0..40).map(|_| asks("198.51.100.7"))).await;
    let waiting: Vec<&String> = answers.iter().filter(|said| said.starts_with("HTTP/1.1 429 ")).collect();
    assert!(!waiting.is_empty() && waiting.len() < 40, "{} of 40 are told to wait", waiting.len());
    assert!(waiting.iter().all(|said| said.contains("\r\nretry-after: ")), "{}", waiting[0]);
    // Of several others one may share a bucket with the first, and not all of them.
    let mut served = 0;
    for last in 8..16 {
        served += usize::from(asks(&format!("198.51.100.{last}")).await.starts_with("HTTP/1.1 404 "));
    }
    assert!(served >= 6, "{served} of 8 others are served");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_stop_and_start_by_themselves() {
    let house = with_links().open().await;
    let (payer, operator) = (house.payer(), house.operator());
    let boleto = house.shop().creates(a_boleto()).await;
    let url = house.shop().links(&boleto.id, |_| ()).await.expect("a link").url;
    // A connection that does nothing does not keep them from stopping.
    let idle = from([127, 0, 0, 1], payer.address()).await;
    assert_eq!(operator.stops(PAGES).await.expect("a stopped actor").status(), NodeStatus::Stopped);
    assert!(TcpStream::connect(payer.address()).await.is_err(), "nobody listens");
    assert!(house.shop().links(&boleto.id, |_| ()).await.is_ok(), "links are made all the same");
    operator.starts(PAGES).await.expect("a started actor");
    assert_eq!(
        payer.asks(Method::GET, path_of(&url), "*/*").await.status,
        StatusCode::OK,
        "at the same port"
    );
    drop(idle);
    house.close().await;
}
