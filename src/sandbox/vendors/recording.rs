//! Recordings: fetched from this machine, or handed over.
//!
//! **Owns** a client, made when it is first needed.
//! **Fails** by having no recording: another machine, no answer within ten seconds, a status other than 200, too much.
//! **Limits**: 64 MiB; no redirect is followed.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Bytes;
use sha2::{Digest, Sha256};

use super::BODY_MAX;
use super::query::unescaped;

const PATIENCE: Duration = Duration::from_secs(10);

/// A recording and what it is called.
pub struct Recording {
    /// The storage object, the path of an address that names none, or the uploaded file's name.
    pub object: String,
    pub bytes: Bytes,
}

impl Recording {
    /// Enough of a digest to tell recordings apart.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for byte in &Sha256::digest(&self.bytes)[..8] {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// Whoever fetches recordings.
#[derive(Default)]
pub struct Fetcher(OnceLock<Option<reqwest::Client>>);

impl Fetcher {
    pub async fn fetch(&self, address: &str) -> Option<Recording> {
        let url = reqwest::Url::parse(address).ok()?;
        // The world believes every caller, so that it must not be sent anywhere else.
        let local = matches!(url.host_str()?, "127.0.0.1" | "localhost" | "[::1]");
        if !local || url.scheme() != "http" {
            return None;
        }
        let mut response = self.client()?.get(url.clone()).send().await.ok()?;
        if response.status() != reqwest::StatusCode::OK {
            return None;
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BODY_MAX {
                return None;
            }
        }
        Some(Recording { object: object(url.path()), bytes: bytes.into() })
    }

    fn client(&self) -> Option<&reqwest::Client> {
        let made = self.0.get_or_init(|| {
            // Another part of this process may have chosen it first.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            builder.timeout(PATIENCE).build().ok()
        });
        made.as_ref()
    }
}

/// The storage object that a path names: what comes behind `/o/`, without its escapes; the whole path otherwise.
fn object(path: &str) -> String {
    let named = path.split_once("/o/").map(|(_, object)| object);
    named.and_then(unescaped).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_its_path() {
        assert_eq!(object("/v0/b/bucket/o/cloud%2Fuid%2F0.wav"), "cloud/uid/0.wav");
        assert_eq!(object("/audio/0.wav"), "/audio/0.wav");
        assert_eq!(object("/v0/b/bucket/o/%zz"), "/v0/b/bucket/o/%zz");
    }
}
