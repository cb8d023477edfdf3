//! ASPSPs on loopback that do as a test tells them, and keys to sign with.
//!
//! **Owns** ports and files until they are dropped. For the tests of this folder alone.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::config::{Algorithm, AspspConfig, SignatureConfig, Standard};
use crate::connectors::http::HttpUrl;
use crate::connectors::scripted::{SecretFile, Seen};
use crate::connectors::secret::SecretRef;

/// What a bank says.
#[derive(Clone, Default)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the answer leaves out the id of the request.
    pub(super) forgets_id: bool,
}

pub(super) fn said(status: u16, body: impl ToString) -> Said {
    Said { status, body: body.to_string().into_bytes(), ..Said::default() }
}

impl Said {
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn packed(mut self) -> Self {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(&self.body).unwrap();
        self.body = packer.finish().unwrap();
        self.with("content-encoding", "gzip")
    }
}

/// A bank that repeats the id of each request in the header of its answer.
pub(super) struct Bank {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Bank {
    pub(super) async fn start(script: impl Fn(&Seen) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        let router = Router::new().fallback(move |request: Request| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let seen = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                log.lock().unwrap().push(seen.clone());
                let said = script(&seen);
                let mut response = Response::builder().status(said.status);
                if let Some(id) = seen.headers.get("x-request-id").filter(|_| !said.forgets_id) {
                    response = response.header("x-request-id", id);
                }
                for (name, value) in said.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(said.body)).unwrap()
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, task }
    }

    /// One that always says the same.
    pub(super) async fn saying(said: Said) -> Self {
        Self::start(move |_| said.clone()).await
    }

    pub(super) fn config(&self, standard: Standard) -> AspspConfig {
        config(standard, self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only call there was.
    pub(super) fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1);
        seen.remove(0)
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn config(standard: Standard, address: SocketAddr) -> AspspConfig {
    let mut config = AspspConfig {
        standard,
        base_url: Some(HttpUrl::parse(&format!("http://{address}/psd2")).unwrap()),
        timeout: Duration::from_secs(10),
        ..AspspConfig::default()
    };
    config.polish_api.unsigned = true;
    config
}

/// A key to sign with, its certificate, and what verifies what it signs.
pub(super) struct Seal {
    key: SecretFile,
    certificate: SecretFile,
    algorithm: Algorithm,
    public_key: Vec<u8>,
    pub(super) certificate_der: Vec<u8>,
}

impl Seal {
    /// The key is made by `openssl`, once a run: ring makes none of its kind.
    pub(super) fn rsa() -> Self {
        static KEY: OnceLock<String> = OnceLock::new();
        let pem = KEY.get_or_init(|| {
            let made = Command::new("openssl")
                .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
                .output()
                .expect("openssl is installed");
            assert!(made.status.success(), "openssl made no key");
            String::from_utf8(made.stdout).expect("a key is written in Base64")
        });
        let key = KeyPair::from_pem(pem).unwrap();
        let public = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap().public().as_ref().to_vec();
        Self::of(&key, pem, Algorithm::Rs256, public)
    }

    pub(super) fn p256() -> Self {
        let key = KeyPair::generate().unwrap();
        let der = key.serialize_der();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new()).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        Self::of(&key, &key.serialize_pem(), Algorithm::Es256, public)
    }

    fn of(key: &KeyPair, pem: &str, algorithm: Algorithm, public_key: Vec<u8>) -> Self {
        let params = CertificateParams::new(vec!["tpp.example".to_owned()]).unwrap();
        let certificate = params.self_signed(key).unwrap();
        Self {
            key: SecretFile::new(pem),
            certificate: SecretFile::new(&certificate.pem()),
            algorithm,
            public_key,
            certificate_der: certificate.der().to_vec(),
        }
    }

    pub(super) fn config(&self) -> SignatureConfig {
        let reference = |file: &SecretFile| Some(SecretRef::parse(&file.reference()).unwrap());
        SignatureConfig {
            private_key: reference(&self.key),
            certificate: reference(&self.certificate),
            algorithm: self.algorithm,
            key_id: "SN=1,CA=CN=Tests".to_owned(),
        }
    }

    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

/// JSON of any shape, of about so many values.
pub(super) fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let names = prop::sample::select(NAMES.to_vec());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            " ",
            "12.50",
            "-1",
            "2026-04-10",
            "2026-02-30",
            "DEBIT",
            "CREDIT",
            "valid",
            "done",
            "ACSC",
            "true",
            "\u{0}",
            "/x?page=2",
            "https://other.example/",
            "é".repeat(40).leak(),
        ])
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Names that one of the standards reads something under.
const NAMES: &[&str] = &[
    "responseHeader",
    "requestId",
    "isCallback",
    "transactions",
    "booked",
    "pending",
    "_links",
    "next",
    "download",
    "href",
    "transactionAmount",
    "amount",
    "currency",
    "bookingDate",
    "valueDate",
    "balances",
    "balanceAmount",
    "balanceType",
    "accounts",
    "account",
    "accountNumber",
    "holds",
    "itemId",
    "transactionCategory",
    "pageInfo",
    "nextPage",
    "payments",
    "paymentId",
    "generalStatus",
    "transactionStatus",
    "consentStatus",
    "access_token",
    "expires_in",
    "scope_details",
    "privilegeList",
    "tppMessages",
    "code",
    "text",
    "message",
    "sender",
    "recipient",
    "nameAddress",
    "value",
    "remittanceInformationUnstructuredArray",
    "postTransactionBalance",
    "iban",
];
