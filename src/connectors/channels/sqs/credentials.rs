//! Where the AWS credentials come from, and how their provider reaches the outside.
//!
//! **Owns** nothing. **Fails** as "no credentials"; what was read is in no error.
//! **Limits**: the instance and container services are asked with a short deadline through a client of their own,
//! because they live at addresses that no owner's destination may have.

use std::time::Duration;

use bytes::Bytes;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider};
use reqsign_core::{Context, Error, FileRead, HttpSend, OsEnv, ProvideCredential};
use reqwest::Url;
use secrecy::ExposeSecret;

use crate::connectors::http::{HttpClient, Request};
use crate::connectors::secret::SecretRef;

use super::config::AccessKeys;

const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// What the providers may use: the environment, files, and the metadata services.
pub(super) fn context(http: HttpClient) -> Context {
    Context::new().with_env(OsEnv).with_file_read(Files).with_http_send(Metadata(http))
}

/// Configured keys, or else the usual chain.
#[derive(Debug)]
pub(super) enum Provider {
    Configured(AccessKeys),
    Usual(Box<DefaultCredentialProvider>),
}

impl Provider {
    pub(super) fn new(keys: Option<AccessKeys>) -> Self {
        match keys {
            Some(keys) => Self::Configured(keys),
            None => Self::Usual(Box::new(DefaultCredentialProvider::new())),
        }
    }
}

impl ProvideCredential for Provider {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<Credential>, Error> {
        let keys = match self {
            Self::Configured(keys) => keys,
            Self::Usual(chain) => return chain.provide_credential(context).await,
        };
        let read = |reference: &SecretRef| {
            let value = reference.resolve().map_err(|error| Error::config_invalid(error.to_string()))?;
            Ok::<_, Error>(value.expose_secret().to_owned())
        };
        Ok(Some(Credential {
            access_key_id: read(&keys.access_key_id)?,
            secret_access_key: read(&keys.secret_access_key)?,
            session_token: keys.session_token.as_ref().map(read).transpose()?,
            expires_in: None,
        }))
    }
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>, Error> {
        tokio::fs::read(path).await.map_err(|error| {
            Error::config_invalid(format!("a credential file cannot be read: {}", error.kind()))
        })
    }
}

#[derive(Debug)]
struct Metadata(HttpClient);

impl HttpSend for Metadata {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|_| Error::request_invalid("not an absolute address"))?;
        let mut question = Request::new(parts.method, url);
        question.headers = parts.headers;
        question.body = body;
        question.timeout = Some(METADATA_TIMEOUT);
        let answer = self
            .0
            .send(question)
            .await
            .map_err(|error| Error::unexpected(error.to_string()).set_retryable(true))?;
        let mut response = http::Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

#[cfg(test)]
mod tests;
