//! Signed requests: `Digest`, `Signature` and `TPP-Signature-Certificate`.
//!
//! The signature is that of draft-cavage-http-signatures, over the headers that the settings name.
//!
//! **Owns** nothing. **Fails** as misconfigured where a header is to be signed that the request does not have.
//! **Limits**: headers only, and `(request-target)`; what is signed of the body is its digest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderName};
use ring::digest::{SHA256, digest};

use crate::connectors::aspsps::AspspError;
use crate::connectors::aspsps::config::Algorithm;
use crate::connectors::aspsps::error::misconfigured;
use crate::connectors::aspsps::line::plain;
use crate::connectors::aspsps::signing::Signer;
use crate::connectors::http::Request;

const DIGEST: HeaderName = HeaderName::from_static("digest");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const CERTIFICATE: HeaderName = HeaderName::from_static("tpp-signature-certificate");
const TARGET: &str = "(request-target)";

/// Signs a request that has all its other headers.
pub(super) fn sign(
    request: &mut Request,
    signer: &Signer,
    names: &[String],
    now: DateTime<Utc>,
) -> Result<(), AspspError> {
    let of_body = STANDARD.encode(digest(&SHA256, &request.body));
    request.headers.insert(DIGEST, plain(&format!("SHA-256={of_body}"))?);
    request.headers.insert(DATE, plain(&now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())?);
    let certificate =
        signer.certificate()?.ok_or_else(|| misconfigured("signature.certificate is not set"))?;
    request.headers.insert(CERTIFICATE, plain(&STANDARD.encode(certificate))?);
    let lines: Result<Vec<String>, AspspError> = names.iter().map(|name| line(request, name)).collect();
    let signature = STANDARD.encode(signer.sign(lines?.join("\n").as_bytes())?);
    let algorithm = match signer.algorithm() {
        Algorithm::Rs256 => "rsa-sha256",
        Algorithm::Es256 => "ecdsa-sha256",
        // The draft has no other name for it.
        Algorithm::Ps256 => "hs2019",
    };
    let value = format!(
        r#"keyId="{}",algorithm="{algorithm}",headers="{}",signature="{signature}""#,
        signer.key_id(),
        names.join(" "),
    );
    request.headers.insert(SIGNATURE, plain(&value)?);
    Ok(())
}

/// One line of what is signed.
fn line(request: &Request, name: &str) -> Result<String, AspspError> {
    let name = name.to_ascii_lowercase();
    if name == TARGET {
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let method = request.method.as_str().to_ascii_lowercase();
        return Ok(format!("{TARGET}: {method} {}{query}", request.url.path()));
    }
    let value = request.headers.get(&name).and_then(|value| value.to_str().ok());
    let value =
        value.ok_or_else(|| misconfigured(format!("header {name} is to be signed and is not sent")))?;
    Ok(format!("{name}: {}", value.trim()))
}
