//! Who is let in by which certificate, against a server on loopback that wants one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::connectors::banks::oauth::Style;
use crate::connectors::banks::shop::{Kind, Shop, kind};
use crate::connectors::http::{HttpConfig, install_crypto_provider};
use crate::connectors::scripted::{SecretFile, any_secret};
use crate::domain::bank_account::Provider;
use crate::domain::boleto::issuer::Issuer;

/// A certificate and its private key, made for this run, for banks on loopback that speak plainly.
pub(in crate::connectors::banks) fn pair() -> (&'static str, &'static str) {
    static PAIR: OnceLock<(String, String)> = OnceLock::new();
    let (certificate, key) = PAIR.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    });
    (certificate, key)
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of an authority, and its private key.
struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Issued {
    fn by(authority: &Authority, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        Self { certificate: params.signed_by(&key, authority).unwrap(), key }
    }
}

/// A server that lets in who has a certificate of its authority, grants everybody a token, and remembers by which
/// certificate each call came.
struct Guarded {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Guarded {
    async fn start(authority: &Authority) -> Self {
        install_crypto_provider();
        let root: &rcgen::Certificate = authority.as_ref();
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let own = Issued::by(authority, "127.0.0.1");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key.serialize_der()));
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![own.certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                if let Ok(connection) = acceptor.accept(connection).await {
                    answer(connection, &log).await;
                }
            }
        });
        Self { address, seen, task }
    }

    fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request to its end, and closes with an answer.
async fn answer(
    mut connection: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    log: &Mutex<Vec<Vec<u8>>>,
) {
    let by = connection.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = connection.read(&mut chunk).await.unwrap_or(0);
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if whole {
            break;
        }
        if read == 0 {
            return;
        }
    }
    log.lock().unwrap().push(by);
    let body = r#"{"access_token":"t","expires_in":600}"#;
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
}

fn shop(certificate: &str, key: &str) -> Shop {
    let credentials = [
        ("client_id", "client-id"),
        ("client_secret", "client-secret"),
        ("certificate", certificate),
        ("private_key", key),
    ];
    Shop::of(Issuer::Inter { account: "1".into(), agency: None }, Provider::Inter, &credentials)
}

fn way_in(address: &SocketAddr, ca_file: &str) -> Secured {
    let door = Door {
        url: Url::parse(&format!("https://{address}/token")).unwrap(),
        style: Style::Form,
        scope: String::new(),
        headers: HeaderMap::new(),
        timeout: Duration::from_secs(10),
        leeway: Duration::ZERO,
    };
    let http = HttpClient::trusted(&HttpConfig::default()).unwrap();
    Secured::new(http, ca_file.to_owned(), any_secret(), door)
}

async fn ask(way_in: &Secured, address: &SocketAddr, shop: &Shop) -> Result<u16, Kind> {
    let url = Url::parse(&format!("https://{address}/titles")).unwrap();
    let answer = way_in.call(&shop.account, || Request::new(Method::GET, url.clone())).await;
    answer.map(|answer| answer.status.as_u16()).map_err(|failure| kind(failure.of_change()))
}

fn path(reference: &str) -> &str {
    reference.strip_prefix("file:").unwrap()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_call_on() {
    let authority = authority();
    let root: &rcgen::Certificate = authority.as_ref();
    let ca_file = SecretFile::new(&root.pem());
    let server = Guarded::start(&authority).await;
    let way_in = way_in(&server.address, path(&ca_file.reference()));
    let (first, second) = (Issued::by(&authority, "one.example"), Issued::by(&authority, "two.example"));
    let shop = shop(&first.certificate.pem(), &first.key.serialize_pem());
    assert_eq!(ask(&way_in, &server.address, &shop).await, Ok(200));
    std::fs::write(path(&shop.account.credentials["certificate"]), second.certificate.pem()).unwrap();
    std::fs::write(path(&shop.account.credentials["private_key"]), second.key.serialize_pem()).unwrap();
    assert_eq!(ask(&way_in, &server.address, &shop).await, Ok(200));
    // The token is the same client's, so that it is asked for once.
    let (first, second) = (first.certificate.der().to_vec(), second.certificate.der().to_vec());
    assert_eq!(server.seen(), [first.clone(), first, second]);
    assert_eq!(way_in.clients.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn who_is_not_let_in_has_sent_no_boleto() {
    let ours = authority();
    let root: &rcgen::Certificate = ours.as_ref();
    let ca_file = SecretFile::new(&root.pem());
    let server = Guarded::start(&ours).await;
    let stranger = Issued::by(&authority(), "one.example");
    let shop = shop(&stranger.certificate.pem(), &stranger.key.serialize_pem());
    let known = way_in(&server.address, path(&ca_file.reference()));
    assert_eq!(ask(&known, &server.address, &shop).await, Err(Kind::Unavailable(None)));
    // Nor is anything said to a server whose authority nobody trusts.
    let unknown = way_in(&server.address, "");
    assert_eq!(ask(&unknown, &server.address, &shop).await, Err(Kind::Unavailable(None)));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_a_misconfiguration_and_stays_secret() {
    let address = "127.0.0.1:1".parse().unwrap();
    let (certificate, key) = pair();
    let other = KeyPair::generate().unwrap().serialize_pem();
    for (certificate, key) in [("no pem", key), (certificate, "no pem"), (certificate, other.as_str())] {
        let shop = shop(certificate, key);
        let error = way_in(&address, "").client(&shop.account).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains("BEGIN") && !text.contains("no pem"), "{text}");
        assert_eq!(kind(error), Kind::Misconfigured);
    }
    let right = shop(certificate, key);
    let error = way_in(&address, "/nowhere/ca.pem").client(&right.account).unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    let no_authority = SecretFile::new("no pem");
    let error = way_in(&address, path(&no_authority.reference())).client(&right.account).unwrap_err();
    assert_eq!(kind(error), Kind::Misconfigured);
    way_in(&address, "").client(&right.account).unwrap();
}
