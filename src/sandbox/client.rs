//! A plain HTTP client and a directory that goes away, for this room's tests.
//!
//! **Owns** the directory that it made.
//! **Fails** as the connection does.
//! **Limits**: ten seconds for each request.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use serde_json::Value;

static PROVIDER: Once = Once::new();

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not json: {}", self.body))
    }
}

#[derive(Clone)]
pub struct Client(reqwest::Client);

impl Client {
    pub fn new() -> Self {
        PROVIDER.call_once(|| {
            // Another test of this process may have installed it first.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        Client(client)
    }

    pub async fn get(&self, url: &str, headers: Vec<(&str, String)>) -> reqwest::Result<Answer> {
        send(self.0.get(url), headers).await
    }

    pub async fn post(&self, url: &str, headers: Vec<(&str, String)>, body: &str) -> reqwest::Result<Answer> {
        send(self.0.post(url).body(body.to_owned()), headers).await
    }
}

async fn send(mut request: reqwest::RequestBuilder, headers: Vec<(&str, String)>) -> reqwest::Result<Answer> {
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.text().await? })
}

pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        TempDir(std::env::temp_dir().join(format!("sandbox-{}", uuid::Uuid::now_v7())))
    }

    pub fn path(&self) -> &Path {
        std::fs::create_dir_all(&self.0).unwrap();
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Left behind, it only costs the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
