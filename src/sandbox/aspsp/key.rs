//! The one caller whose signatures count: its key, its certificate, and whether what it signed was signed by it.
//!
//! PolishAPI signs a body by a detached JWS (RFC 7515 appendix F; RFC 7797 where the body is not encoded), the Berlin
//! Group a list of headers and the body's digest.
//!
//! **Owns** the key's two files below the data directory.
//! **Fails** at opening when the key cannot be read; later with what is wrong with a signature.
//! **Limits**: RSA with PKCS #1 v1.5 or PSS, or ECDSA on P-256, all with SHA-256.

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::ask::Ask;
use super::options::AspspSigning;
use crate::sandbox::tls;

/// The caller's public key and certificate.
pub struct Keys {
    public: Vec<u8>,
    is_rsa: bool,
    certificate: Vec<u8>,
}

/// A JWS's head. What else is in it is the signer's own.
#[derive(Deserialize)]
struct Head {
    alg: String,
    b64: Option<bool>,
    #[serde(default)]
    crit: Vec<String>,
}

impl Keys {
    /// Reads a key, or makes one, and writes it and its certificate to the folder.
    pub fn open(given: Option<&Path>, folder: &Path) -> io::Result<(Self, AspspSigning)> {
        let key = match given {
            Some(file) => KeyPair::from_pem(&std::fs::read_to_string(file)?).map_err(io::Error::other)?,
            None => KeyPair::generate().map_err(io::Error::other)?,
        };
        let is_rsa = key.is_compatible(&PKCS_RSA_SHA256);
        if !is_rsa && !key.is_compatible(&PKCS_ECDSA_P256_SHA256) {
            return Err(io::Error::other("a signing key is of RSA or on P-256"));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Sandbox TPP");
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        std::fs::create_dir_all(folder)?;
        let files =
            AspspSigning { private_key: folder.join("signing.key"), certificate: folder.join("signing.pem") };
        tls::write(&files.private_key, &key.serialize_pem())?;
        tls::write(&files.certificate, &certificate.pem())?;
        let public = key.public_key_raw().to_vec();
        Ok((Keys { public, is_rsa, certificate: certificate.der().to_vec() }, files))
    }

    /// Whether a detached JWS is of this body and by this caller.
    pub fn check_jws(&self, jws: &str, body: &[u8]) -> Result<(), &'static str> {
        let parts: Vec<_> = jws.split('.').collect();
        let [head, "", signature] = parts[..] else {
            return Err("a detached JWS has a head, nothing, and a signature");
        };
        let decoded = URL_SAFE_NO_PAD.decode(head).map_err(|_| "the JWS's head is not base64url")?;
        let read: Head = serde_json::from_slice(&decoded).map_err(|_| "the JWS's head is not understood")?;
        let algorithm: &'static dyn VerificationAlgorithm = match (self.is_rsa, read.alg.as_str()) {
            (true, "RS256") => &RSA_PKCS1_2048_8192_SHA256,
            (true, "PS256") => &RSA_PSS_2048_8192_SHA256,
            (false, "ES256") => &ECDSA_P256_SHA256_FIXED,
            _ => return Err("the JWS's algorithm is not the key's"),
        };
        let as_it_is = read.b64 == Some(false);
        if read.crit.iter().any(|name| name != "b64")
            || as_it_is != read.crit.iter().any(|name| name == "b64")
        {
            return Err("the JWS's critical names are not understood");
        }
        let mut signed = format!("{head}.").into_bytes();
        if as_it_is {
            signed.extend_from_slice(body);
        } else {
            signed.extend(URL_SAFE_NO_PAD.encode(body).into_bytes());
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the signature is not base64url")?;
        self.verify(algorithm, &signed, &signature)
    }

    /// Whether the message's headers are signed by this caller, the body's digest among them.
    pub fn check_message(&self, ask: &Ask) -> Result<(), &'static str> {
        let text = |name: &str| ask.header(name);
        let digest = text("digest").and_then(|digest| digest.strip_prefix("SHA-256="));
        if digest.and_then(|digest| STANDARD.decode(digest).ok()) != Some(Sha256::digest(ask.body).to_vec()) {
            return Err("Digest is not the body's");
        }
        let certificate = text("tpp-signature-certificate").and_then(|text| STANDARD.decode(text).ok());
        if !certificate.is_some_and(|certificate| self.is_certificate(&certificate)) {
            return Err("TPP-Signature-Certificate is not the caller's");
        }
        let signature = text("signature").ok_or("Signature is missing")?;
        let parameter = |name: &str| {
            let (_, rest) = signature.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let algorithm: &'static dyn VerificationAlgorithm = match (self.is_rsa, parameter("algorithm")) {
            (true, Some("rsa-sha256")) => &RSA_PKCS1_2048_8192_SHA256,
            (true, Some("hs2019")) => &RSA_PSS_2048_8192_SHA256,
            (false, Some("ecdsa-sha256")) => &ECDSA_P256_SHA256_ASN1,
            _ => return Err("Signature's algorithm is not the key's"),
        };
        if parameter("keyId").is_none() {
            return Err("Signature has no keyId");
        }
        let names: Vec<_> = parameter("headers").unwrap_or_default().split(' ').collect();
        if !names.contains(&"digest") || !names.contains(&"x-request-id") {
            return Err("Signature leaves out digest or x-request-id");
        }
        let lines: Option<Vec<_>> = names.iter().map(|name| line(ask, name)).collect();
        let signed = lines.ok_or("Signature names a header that is not there")?.join("\n");
        let signature = parameter("signature").and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.ok_or("Signature's signature is not base64")?;
        self.verify(algorithm, signed.as_bytes(), &signature)
    }

    /// In its bytes, or in a file's form, which some banks want.
    fn is_certificate(&self, shown: &[u8]) -> bool {
        let from_pem = || {
            let text = std::str::from_utf8(shown).ok()?;
            let inner: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
            STANDARD.decode(inner).ok()
        };
        shown == self.certificate || from_pem().is_some_and(|der| der == self.certificate)
    }

    fn verify(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), &'static str> {
        let key = UnparsedPublicKey::new(algorithm, &self.public);
        key.verify(signed, signature).map_err(|_| "the signature is not the key's")
    }
}

/// One line of what the Berlin Group signs, as draft-cavage-http-signatures writes it.
fn line(ask: &Ask, name: &str) -> Option<String> {
    if name == "(request-target)" {
        let query = ask.query.map(|query| format!("?{query}")).unwrap_or_default();
        return Some(format!("{name}: {} {}{query}", ask.method.as_str().to_lowercase(), ask.path));
    }
    ask.header(name).map(|value| format!("{name}: {value}"))
}
