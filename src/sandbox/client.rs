//! A plain HTTP client and a directory that goes away, for this room's tests.
//!
//! **Owns** the directory that it made.
//! **Fails** as the connection does.
//! **Limits**: ten seconds for each request.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::TlsFiles;

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
        Self::built(|builder| builder)
    }

    /// One that believes the sandbox's authority, and shows its certificate if it is to.
    pub fn behind_tls(files: &TlsFiles, with_certificate: bool) -> Self {
        let read = |path: &Path| std::fs::read(path).unwrap();
        Self::built(|builder| {
            let authority = reqwest::Certificate::from_pem(&read(&files.ca_file)).unwrap();
            let builder = builder.tls_certs_only([authority]);
            if !with_certificate {
                return builder;
            }
            let pem = [read(&files.certificate), read(&files.private_key)].concat();
            builder.identity(reqwest::Identity::from_pem(&pem).unwrap())
        })
    }

    fn built(with: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        PROVIDER.call_once(|| {
            // Another test of this process may have installed it first.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10));
        Client(with(builder).build().unwrap())
    }

    pub async fn get(&self, url: &str, headers: Vec<(&str, String)>) -> reqwest::Result<Answer> {
        send(self.0.get(url), headers).await
    }

    pub async fn post(&self, url: &str, headers: Vec<(&str, String)>, body: &str) -> reqwest::Result<Answer> {
        send(self.0.post(url).body(body.to_owned()), headers).await
    }

    pub async fn patch(
        &self,
        url: &str,
        headers: Vec<(&str, String)>,
        body: &str,
    ) -> reqwest::Result<Answer> {
        self.call(Method::PATCH, url, headers, body).await
    }

    /// By any method.
    pub async fn call(
        &self,
        method: Method,
        url: &str,
        headers: Vec<(&str, String)>,
        body: &str,
    ) -> reqwest::Result<Answer> {
        send(self.0.request(method, url).body(body.to_owned()), headers).await
    }

    /// An answer whose body is to be read as it comes.
    pub async fn open(&self, url: &str, headers: Vec<(&str, String)>) -> reqwest::Result<reqwest::Response> {
        with_headers(self.0.get(url), headers).send().await
    }
}

fn with_headers(
    mut request: reqwest::RequestBuilder,
    headers: Vec<(&str, String)>,
) -> reqwest::RequestBuilder {
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
}

async fn send(request: reqwest::RequestBuilder, headers: Vec<(&str, String)>) -> reqwest::Result<Answer> {
    let response = with_headers(request, headers).send().await?;
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
