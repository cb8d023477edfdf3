//! Who is let in by which certificate, what is kept of each call, and how answers are unpacked, on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::Method;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::*;
use crate::connectors::aspsps::Operation;
use crate::connectors::aspsps::config::Standard;
use crate::connectors::aspsps::testing::{Bank, config, said};
use crate::connectors::http::install_crypto_provider;
use crate::connectors::scripted::{Reply, Scripted, SecretFile, hanging_up, nobody};

fn line(config: &AspspConfig) -> Line {
    Line::new(config, &HttpConfig::default()).unwrap()
}

fn call() -> CallRecord {
    CallRecord::new(Operation::Balances, "balances", Uuid::nil())
}

async fn ask(config: &AspspConfig, url: &str) -> Told<Answer> {
    line(config).ask(call(), Request::new(Method::GET, Url::parse(url).unwrap())).await
}

fn at(address: SocketAddr) -> AspspConfig {
    config(Standard::BerlinGroup, address)
}

#[tokio::test]
async fn every_call_has_a_record_whatever_came_of_it() {
    let limited = said(429, "slow down").with("retry-after", "120").with("x-ratelimit-remaining", "0");
    let bank = Bank::saying(limited).await;
    let told = ask(&at(bank.address), &format!("http://{}/", bank.address)).await;
    assert!(told.outcome.is_ok());
    assert_eq!(
        (told.call.status, told.call.may_have_been_sent, told.call.answer_bytes),
        (Some(429), true, 9)
    );
    assert_eq!(told.call.retry_after, Some(Duration::from_secs(120)));
    assert_eq!(told.call.rate_limits, [("x-ratelimit-remaining".to_owned(), "0".to_owned())]);
    assert!(told.call.duration > Duration::ZERO);

    let address = nobody().await;
    let told = ask(&at(address), &format!("http://{address}/")).await;
    assert_eq!((told.call.status, told.call.may_have_been_sent), (None, false));
    assert_eq!(told.outcome.err().unwrap().kind(), "unavailable");

    let address = hanging_up().await;
    let told = ask(&at(address), &format!("http://{address}/")).await;
    assert_eq!((told.call.status, told.call.may_have_been_sent), (None, true));
    assert_eq!(told.outcome.err().unwrap().kind(), "unavailable");

    let silent = Scripted::start(|_| Reply::Hang).await;
    let impatient = AspspConfig { timeout: Duration::from_millis(30), ..at(silent.address) };
    let told = ask(&impatient, &silent.url("/")).await;
    assert!(told.call.may_have_been_sent && told.call.duration >= Duration::from_millis(30));
    assert_eq!(told.outcome.err().unwrap().kind(), "unavailable");
}

#[tokio::test]
async fn an_answer_is_no_longer_than_allowed_packed_or_not() {
    let small = |address| AspspConfig { body_max_bytes: 1_000, ..at(address) };
    for (answer, length) in [
        (said(200, "x".repeat(1_000)), Some(1_000)),
        (said(200, "x".repeat(1_000)).packed(), Some(1_000)),
        (said(200, "x".repeat(1_001)), None),
        (said(200, "x".repeat(1_000_000)).packed(), None),
    ] {
        let bank = Bank::saying(answer).await;
        let told = ask(&small(bank.address), &format!("http://{}/", bank.address)).await;
        let outcome = told.outcome.map(|answer| answer.body.len());
        assert_eq!(outcome, length.ok_or(AspspError::TooLarge { limit_bytes: 1_000 }));
        assert_eq!((told.call.status, told.call.may_have_been_sent), (Some(200), true));
    }
    let mut damaged = said(200, "{}").packed();
    damaged.body.truncate(12);
    let bank = Bank::saying(damaged).await;
    let told = ask(&small(bank.address), &format!("http://{}/", bank.address)).await;
    assert_eq!(told.outcome.err().unwrap().kind(), "unreadable");
    // What it is said to be is not believed.
    let bank = Bank::saying(said(200, "{}").with("content-encoding", "gzip")).await;
    let told = ask(&small(bank.address), &format!("http://{}/", bank.address)).await;
    assert_eq!(told.outcome.unwrap().body, "{}");
}

#[tokio::test]
async fn tokens_go_nowhere_without_tls() {
    let told = ask(&at("192.0.2.1:80".parse().unwrap()), "http://192.0.2.1/").await;
    assert!(!told.call.may_have_been_sent);
    assert!(told.outcome.err().unwrap().to_string().contains("plain_http"));
}

#[tokio::test]
async fn a_gateway_may_want_a_header_of_its_own_and_no_psu_s() {
    let bank = Bank::saying(said(200, "{}")).await;
    let secret = SecretFile::new("gateway-key");
    let with = |name: &str| {
        let value = SecretRef::parse(&secret.reference()).unwrap();
        let header = ExtraHeader { name: name.to_owned(), value };
        AspspConfig { headers: vec![header], ..at(bank.address) }
    };
    let url = format!("http://{}/", bank.address);
    assert!(ask(&with("X-IBM-Client-Id"), &url).await.outcome.is_ok());
    assert_eq!(bank.only().header("x-ibm-client-id"), "gateway-key");
    for name in ["PSU-IP-Address", "psu-accept", "two words"] {
        let told = ask(&with(name), &url).await;
        assert_eq!(
            (told.call.may_have_been_sent, told.outcome.err().unwrap().kind()),
            (false, "misconfigured")
        );
    }
    assert_eq!(bank.seen().len(), 1);
}

/// A bank that lets in who has a certificate of its authority, and tells by which one each call came.
struct Guarded {
    address: SocketAddr,
    seen: mpsc::UnboundedReceiver<Vec<u8>>,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issued(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

impl Guarded {
    async fn start(authority: &Authority) -> Self {
        install_crypto_provider();
        let root: &rcgen::Certificate = authority.as_ref();
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let (certificate, key) = issued(authority, "127.0.0.1");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let Ok(mut connection) = acceptor.accept(connection).await else { continue };
                let _ = tell.send(connection.get_ref().1.peer_certificates().unwrap()[0].to_vec());
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                connection.write_all(answer).await.unwrap();
                let _ = connection.shutdown().await;
            }
        });
        Self { address, seen }
    }
}

fn path(file: &SecretFile) -> String {
    file.reference().strip_prefix("file:").unwrap().to_owned()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_call_on() {
    let authority = authority();
    let root: &rcgen::Certificate = authority.as_ref();
    let ca_file = SecretFile::new(&root.pem());
    let mut bank = Guarded::start(&authority).await;
    let url = format!("https://{}/", bank.address);
    let (first, second) = (issued(&authority, "one.example"), issued(&authority, "two.example"));
    let certificate = SecretFile::new(&first.0.pem());
    let private_key = SecretFile::new(&first.1.serialize_pem());
    let mut config = at(bank.address);
    config.identity = IdentityConfig {
        certificate: Some(SecretRef::parse(&certificate.reference()).unwrap()),
        private_key: Some(SecretRef::parse(&private_key.reference()).unwrap()),
        ca_file: path(&ca_file),
    };
    let line = line(&config);
    let get = || Request::new(Method::GET, Url::parse(&url).unwrap());
    assert_eq!(line.ask(call(), get()).await.call.status, Some(200));
    assert_eq!(bank.seen.recv().await.unwrap(), first.0.der().to_vec());
    std::fs::write(path(&certificate), second.0.pem()).unwrap();
    std::fs::write(path(&private_key), second.1.serialize_pem()).unwrap();
    assert_eq!(line.ask(call(), get()).await.call.status, Some(200));
    assert_eq!(bank.seen.recv().await.unwrap(), second.0.der().to_vec());

    // Nothing is said to whom nobody trusts, and a stranger is not let in.
    config.identity.ca_file = String::new();
    let told = ask(&config, &url).await;
    assert!(!told.call.may_have_been_sent);
    assert_eq!(told.outcome.err().unwrap().kind(), "unavailable");
    assert!(bank.seen.try_recv().is_err());

    config.identity.private_key = None;
    let told = ask(&config, &url).await;
    assert_eq!((told.call.may_have_been_sent, told.outcome.err().unwrap().kind()), (false, "misconfigured"));
    config.identity = IdentityConfig { ca_file: path(&ca_file), ..IdentityConfig::default() };
    assert_eq!(ask(&config, &url).await.outcome.err().unwrap().kind(), "misconfigured");
    config.identity.certificate = Some(SecretRef::parse(&certificate.reference()).unwrap());
    std::fs::write(path(&certificate), "no pem").unwrap();
    config.identity.private_key = Some(SecretRef::parse(&private_key.reference()).unwrap());
    let error = ask(&config, &url).await.outcome.err().unwrap();
    assert!(error.kind() == "misconfigured" && !error.to_string().contains("no pem"), "{error}");
}
