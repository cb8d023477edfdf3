//! The detached signature of a message: a JWS without its payload (RFC 7515, appendix F).
//!
//! **Owns** nothing. **Fails** as misconfigured where the key or the certificate cannot be used.
//! **Limits**: the standard's file says no more than "detached JWS of the body"; what its header holds besides the algorithm is for
//! the settings to say.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::config::PolishApiConfig;
use crate::connectors::aspsps::AspspError;
use crate::connectors::aspsps::config::Algorithm;
use crate::connectors::aspsps::error::misconfigured;
use crate::connectors::aspsps::signing::Signer;

/// `header..signature` of a body.
pub(super) fn detached(body: &[u8], signer: &Signer, config: &PolishApiConfig) -> Result<String, AspspError> {
    let header = URL_SAFE_NO_PAD.encode(Value::Object(header(signer, config)?).to_string());
    let mut signed = header.clone().into_bytes();
    signed.push(b'.');
    if config.signs_plain_body {
        signed.extend_from_slice(body);
    } else {
        signed.extend_from_slice(URL_SAFE_NO_PAD.encode(body).as_bytes());
    }
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(&signed)?);
    Ok(format!("{header}..{signature}"))
}

fn header(signer: &Signer, config: &PolishApiConfig) -> Result<Map<String, Value>, AspspError> {
    let mut header = Map::new();
    let algorithm = match signer.algorithm() {
        Algorithm::Rs256 => "RS256",
        Algorithm::Ps256 => "PS256",
        Algorithm::Es256 => "ES256",
    };
    header.insert("alg".to_owned(), json!(algorithm));
    if !signer.key_id().is_empty() {
        header.insert("kid".to_owned(), json!(signer.key_id()));
    }
    if config.names_certificate || config.holds_certificate {
        let certificate =
            signer.certificate()?.ok_or_else(|| misconfigured("signature.certificate is not set"))?;
        if config.names_certificate {
            let name = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
            header.insert("x5t#S256".to_owned(), json!(name));
        }
        if config.holds_certificate {
            header.insert("x5c".to_owned(), json!([STANDARD.encode(&certificate)]));
        }
    }
    if config.signs_plain_body {
        header.insert("b64".to_owned(), json!(false));
        header.insert("crit".to_owned(), json!(["b64"]));
    }
    Ok(header)
}
