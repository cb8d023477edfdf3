//! A caller of the banks who writes every request by hand, in either language, signed with the sandbox's key.
//!
//! **Owns** the connections. **Fails** a test when a request does not arrive.
//! **Limits**: it knows nothing of the crate, so that the conformance tests can have it too.

use std::io::Read as _;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid, Variant, Version};

static PROVIDER: Once = Once::new();

/// The first and the second half of PolishAPI's paths begin with it.
pub const POLISH_VERSION: &str = "v2_1_2.1";

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

pub struct Caller {
    http: reqwest::Client,
    key: Vec<u8>,
    certificate: Vec<u8>,
    /// Where it calls.
    pub url: String,
}

pub type Headers = Vec<(&'static str, String)>;

impl Caller {
    pub fn new(url: &str, private_key: &Path, certificate: &Path) -> Self {
        PROVIDER.call_once(|| {
            // Another test of this process may have installed it first.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let key = PrivatePkcs8KeyDer::from_pem_file(private_key).unwrap().secret_pkcs8_der().to_vec();
        let certificate = CertificateDer::from_pem_file(certificate).unwrap().to_vec();
        Caller { http, key, certificate, url: url.to_owned() }
    }

    /// A read in the Berlin Group's way.
    pub async fn reads(&self, path: &str, consent: Option<&str>, token: Option<&str>) -> Answer {
        let mut headers = vec![("X-Request-ID", Uuid::new_v4().to_string())];
        headers.extend(consent.map(|consent| ("Consent-ID", consent.to_owned())));
        headers.extend(token.map(|token| ("Authorization", format!("Bearer {token}"))));
        self.gets(path, headers).await
    }

    /// A read with just these headers.
    pub async fn gets(&self, path: &str, headers: Headers) -> Answer {
        send(self.http.get(format!("{}{path}", self.url)), headers).await
    }

    /// A body that is sent with just these headers.
    pub async fn posts(&self, path: &str, headers: Headers, body: String) -> Answer {
        send(self.http.post(format!("{}{path}", self.url)).body(body), headers).await
    }

    /// A call in PolishAPI's way; what is asked goes beside the head.
    pub async fn asks(&self, operation: &str, token: Option<&str>, body: Value) -> Answer {
        let request_id = version_one();
        self.asks_under(&request_id, operation, token, body, |_| {}).await
    }

    /// The same under a name, and with changed headers.
    pub async fn asks_under(
        &self,
        request_id: &str,
        operation: &str,
        token: Option<&str>,
        mut body: Value,
        change: impl FnOnce(&mut Headers),
    ) -> Answer {
        if body.get("requestHeader").is_none() {
            body["requestHeader"] = json!({"requestId": request_id, "sendDate": "2026-11-22T12:00:00.000Z"});
        }
        if let Some(token) = token {
            body["requestHeader"]["token"] = json!(token);
        }
        let body = body.to_string();
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Accept-Encoding", "gzip".to_owned()),
            ("Accept-Language", "en".to_owned()),
            ("Accept-Charset", "utf-8".to_owned()),
            ("X-REQUEST-ID", request_id.to_owned()),
            ("X-JWS-SIGNATURE", self.jws(body.as_bytes())),
        ];
        headers.extend(token.map(|token| ("Authorization", format!("Bearer {token}"))));
        change(&mut headers);
        let (service, operation) = operation.split_once('/').unwrap();
        let path = format!("/{POLISH_VERSION}/{service}/{POLISH_VERSION}/{operation}");
        self.posts(&path, headers, body).await
    }

    /// The headers by which a Berlin Group read is signed, over its place, its name and nothing.
    pub fn signature(&self, path: &str, request_id: &str) -> Headers {
        let digest = format!("SHA-256={}", STANDARD.encode(Sha256::digest(b"")));
        let signed = format!("(request-target): get {path}\ndigest: {digest}\nx-request-id: {request_id}");
        let (algorithm, signature) = self.sign(signed.as_bytes(), false);
        let algorithm = if algorithm == "RS256" { "rsa-sha256" } else { "ecdsa-sha256" };
        let signature = format!(
            "keyId=\"SN=1,CA=CN=Sandbox TPP\",algorithm=\"{algorithm}\",headers=\"(request-target) digest x-request-id\",signature=\"{}\"",
            STANDARD.encode(signature),
        );
        let certificate = STANDARD.encode(&self.certificate);
        vec![("Digest", digest), ("Signature", signature), ("TPP-Signature-Certificate", certificate)]
    }

    /// A detached JWS over a body.
    pub fn jws(&self, body: &[u8]) -> String {
        let (algorithm, _) = self.sign(b"", true);
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm, "kid": "sandbox"}).to_string());
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(body));
        let (_, signature) = self.sign(signed.as_bytes(), true);
        format!("{head}..{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn sign(&self, text: &[u8], fixed: bool) -> (&'static str, Vec<u8>) {
        let random = SystemRandom::new();
        if let Ok(rsa) = KeyPair::from_pkcs8(&self.key) {
            let mut signature = vec![0; rsa.public().modulus_len()];
            rsa.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).unwrap();
            return ("RS256", signature);
        }
        let form = if fixed { &ECDSA_P256_SHA256_FIXED_SIGNING } else { &ECDSA_P256_SHA256_ASN1_SIGNING };
        let key = EcdsaKeyPair::from_pkcs8(form, &self.key, &random).unwrap();
        ("ES256", key.sign(&random, text).unwrap().as_ref().to_vec())
    }
}

/// A UUID that says it is of version 1.
pub fn version_one() -> String {
    let bytes = Uuid::new_v4().into_bytes();
    Builder::from_bytes(bytes)
        .with_version(Version::Mac)
        .with_variant(Variant::RFC4122)
        .into_uuid()
        .to_string()
}

async fn send(mut request: reqwest::RequestBuilder, headers: Headers) -> Answer {
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.expect("a body");
    let mut text = String::new();
    let read = match headers.get("content-encoding").map(|encoding| encoding.to_str().unwrap()) {
        Some("gzip") => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text),
        Some("deflate") => flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut text),
        _ => (&bytes[..]).read_to_string(&mut text),
    };
    assert!(read.is_ok(), "{status}: what was answered is no text");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, headers, body }
}
