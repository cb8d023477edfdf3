//! The line to one ASPSP: who we are on it, how long it may take, what is kept of each call.
//!
//! **Owns** a pool of connections under our certificate (mTLS). Certificate and key are read anew for each call and told apart by
//! their content, so that renewed ones count from the next call on. **Fails** as [`AspspError`] says; the record says whether
//! bytes left. **Limits**: the settings' deadline and longest answer; an answer that was packed is as long as it is unpacked.

use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::config::{AspspConfig, ExtraHeader, IdentityConfig};
use super::error::{misconfigured, of_lost, unreadable};
use super::{AspspError, CallRecord, Told};
use crate::connectors::http::{
    Answer, HttpClient, HttpClientError, HttpConfig, HttpError, Identity, Request,
};
use crate::connectors::secret::SecretRef;

/// What a packed body begins with (RFC 1952); no text does.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// How the names of headers begin that tell of a PSU.
const OF_PSU: &str = "psu-";

#[derive(Debug)]
pub(super) struct Line {
    http: HttpClient,
    identity: IdentityConfig,
    headers: Vec<ExtraHeader>,
    plain_http: bool,
    timeout: Duration,
    body_max_bytes: usize,
    identified: Mutex<Option<([u8; 32], HttpClient)>>,
}

impl Line {
    pub(super) fn new(config: &AspspConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        let limits = (config.timeout, config.body_max_bytes);
        let line = Self::with(config.identity.clone(), config.plain_http, limits, http)?;
        let http = line.http.named(config.standard.as_str());
        Ok(Self { headers: config.headers.clone(), http, ..line })
    }

    pub(super) fn with(
        identity: IdentityConfig,
        plain_http: bool,
        (timeout, body_max_bytes): (Duration, usize),
        http: &HttpConfig,
    ) -> Result<Self, HttpClientError> {
        let http = HttpClient::trusted(&HttpConfig { body_max_bytes, ..http.clone() })?.named("internal_api");
        let (headers, identified) = (Vec::new(), Mutex::default());
        Ok(Self { http, identity, headers, plain_http, timeout, body_max_bytes, identified })
    }

    /// Makes a call, and keeps what is known of it. An answer of any status is one.
    pub(super) async fn ask(&self, mut call: CallRecord, mut request: Request) -> Told<Answer> {
        let ready = self.check(&request.url).and_then(|()| self.add_headers(&mut request.headers));
        let client = match ready.and_then(|()| self.client()) {
            Ok(client) => client,
            Err(error) => return Told::unsent(call, error),
        };
        request.timeout = Some(self.timeout);
        let begun = Instant::now();
        let came = client.send(request).await;
        let outcome = match came {
            Ok(answer) => {
                call.status = Some(answer.status.as_u16());
                call.may_have_been_sent = true;
                call.keep_limits(&answer.headers);
                call.retry_after = answer.retry_after(call.begun_at);
                self.unpacked(answer)
            }
            Err(lost) => {
                call.may_have_been_sent = lost.may_have_been_sent();
                if let HttpError::BodyTooLarge { status, .. } = &lost {
                    call.status = Some(*status);
                }
                Err(of_lost(&lost))
            }
        };
        call.duration = begun.elapsed();
        call.answer_bytes = outcome.as_ref().map_or(0, |answer| answer.body.len());
        Told { call, outcome }
    }

    /// Whether tokens may go to this address: behind TLS, on this machine, or where the operator says so.
    fn check(&self, url: &Url) -> Result<(), AspspError> {
        let is_local = match url.host_str().unwrap_or_default() {
            "localhost" | "[::1]" => true,
            host => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        };
        if url.scheme() == "https" || self.plain_http || is_local {
            return Ok(());
        }
        Err(misconfigured("the aspsp's address is not https, and plain_http is off"))
    }

    /// Adds what this ASPSP wants besides. The standard's own headers stay as they are.
    fn add_headers(&self, headers: &mut HeaderMap) -> Result<(), AspspError> {
        for header in &self.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes())
                .map_err(|_| misconfigured("headers: a name is no header's"))?;
            if name.as_str().starts_with(OF_PSU) {
                return Err(misconfigured(format!("headers: {name} would claim that a psu is there")));
            }
            let value = resolve(&header.value)?;
            headers.entry(name).or_insert(sensitive(value.expose_secret())?);
        }
        Ok(())
    }

    fn client(&self) -> Result<HttpClient, AspspError> {
        let identity = &self.identity;
        let (Some(certificate), Some(private_key)) = (&identity.certificate, &identity.private_key) else {
            let is_empty = *identity == IdentityConfig::default();
            let needs_both = "identity needs both a certificate and a private_key";
            return if is_empty { Ok(self.http.clone()) } else { Err(misconfigured(needs_both)) };
        };
        let (certificate, private_key) = (resolve(certificate)?, resolve(private_key)?);
        let extra_roots = match identity.ca_file.as_str() {
            "" => None,
            path => Some(
                std::fs::read(path)
                    .map_err(|error| misconfigured(format!("ca_file {path}: {}", error.kind())))?,
            ),
        };
        let digest = digest(&certificate, &private_key, extra_roots.as_deref());
        // A pair is put there whole, so that it is whole even if a holder of the lock panicked. Making a client takes
        // milliseconds, and fifty callers that arrive together are to make one and not fifty.
        let mut known = self.identified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = known.as_ref()
            && *of == digest
        {
            return Ok(client.clone());
        }
        let known_by = Identity {
            certificate: &certificate,
            private_key: &private_key,
            extra_roots: extra_roots.as_deref(),
        };
        let client = self.http.identified(&known_by).map_err(|error| misconfigured(error.to_string()))?;
        *known = Some((digest, client.clone()));
        Ok(client)
    }

    /// What an answer says of how it is packed is not believed: one standard lets it be any text.
    fn unpacked(&self, answer: Answer) -> Result<Answer, AspspError> {
        if !answer.body.starts_with(&GZIP) {
            return Ok(answer);
        }
        let limit_bytes = self.body_max_bytes;
        let mut body = Vec::new();
        let longest = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
        MultiGzDecoder::new(&answer.body[..])
            .take(longest)
            .read_to_end(&mut body)
            .map_err(|_| unreadable("the packed answer is damaged"))?;
        if body.len() > limit_bytes {
            return Err(AspspError::TooLarge { limit_bytes });
        }
        Ok(Answer { body: Bytes::from(body), ..answer })
    }
}

fn resolve(reference: &SecretRef) -> Result<SecretString, AspspError> {
    reference.resolve().map_err(|error| misconfigured(error.to_string()))
}

fn digest(certificate: &SecretString, private_key: &SecretString, roots: Option<&[u8]>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [
        certificate.expose_secret().as_bytes(),
        private_key.expose_secret().as_bytes(),
        roots.unwrap_or_default(),
    ] {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The body, whatever it is said to be.
pub(super) fn json<T: DeserializeOwned>(answer: &Answer) -> Result<T, AspspError> {
    // A list would be read as an object's values, in whatever order we have them.
    if !answer.body.trim_ascii_start().starts_with(b"{") {
        return Err(unreadable("it is no object in JSON"));
    }
    // The parser's own words may repeat what it read.
    serde_json::from_slice(&answer.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        unreadable(format!("it is not what the standard says, at line {line} column {column}"))
    })
}

/// A header that no log shows.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, AspspError> {
    let mut value = plain(text)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A header.
pub(super) fn plain(text: &str) -> Result<HeaderValue, AspspError> {
    HeaderValue::from_str(text).map_err(|_| misconfigured("a header's value holds control characters"))
}

/// The header of a token.
pub(super) fn bearer(token: &SecretString) -> Result<HeaderValue, AspspError> {
    sensitive(&format!("Bearer {}", token.expose_secret()))
}

#[cfg(test)]
mod tests;
