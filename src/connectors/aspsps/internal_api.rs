//! The replaced scheduler's own route: an internal service that asks the banks itself, once for each user.
//!
//! `GET bankaccount` with `RefreshActiveAccounts=true`, as a drop-in. What the service then does with banks, consents and tokens
//! is its own business, and so is what it keeps.
//!
//! **Owns** connections. **Fails** as [`AspspError`] says; a refresh whose answer is lost may have happened.
//! **Limits**: it tells nothing of accounts or transactions, so that nothing of its answer is kept but its record. How it is told
//! whose accounts are meant, no page says: the settings name the parameter or the header.

pub mod config;

use std::sync::Arc;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;

use super::error::{Complaint, Meaning, misconfigured, of_answer, of_status, unsupported};
use super::line::{Line, plain, sensitive};
use super::{AspspError, CallRecord, Operation, Told, request_id};
use crate::connectors::http::{HttpClientError, HttpConfig, Request};
use config::InternalApiConfig;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const METHOD: &str = "GET bankaccount";
/// What the service is asked, in its own words.
const REFRESH: &str = "RefreshActiveAccounts";

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct InternalApi {
    config: Arc<InternalApiConfig>,
    line: Arc<Line>,
}

impl InternalApi {
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn new(config: InternalApiConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        let limits = (config.timeout, config.body_max_bytes);
        let line = Line::with(config.identity.clone(), config.plain_http, limits, http)?;
        Ok(Self { config: Arc::new(config), line: Arc::new(line) })
    }

    /// Has the accounts of a user refreshed.
    pub async fn refresh_active_accounts(&self, user: &str) -> Told<()> {
        let call = CallRecord::new(Operation::RefreshActiveAccounts, METHOD, request_id::random());
        let request = match self.request(&call, user) {
            Ok(request) => request,
            Err(error) => return Told::unsent(call, error),
        };
        self.line.ask(call, request).await.read(|answer, call| {
            call.keep_answer_id(answer.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()));
            if answer.status.is_success() {
                return Ok(());
            }
            let status = |status| of_status(status, Meaning::NotFound);
            Err(of_answer(&answer, &Complaint::default(), |_| None, |_, _| None, status))
        })
    }

    fn request(&self, call: &CallRecord, user: &str) -> Result<Request, AspspError> {
        let mut request = Request::new(Method::GET, self.url(user)?);
        let headers = &mut request.headers;
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(REQUEST_ID, plain(&call.request_id.to_string())?);
        if !self.config.user_header.is_empty() {
            let name = HeaderName::from_bytes(self.config.user_header.as_bytes())
                .map_err(|_| misconfigured("user_header is no header's name"))?;
            headers.insert(name, sensitive(user)?);
        }
        if let Some(reference) = &self.config.authorization {
            let secret = reference.resolve().map_err(|error| misconfigured(error.to_string()))?;
            headers.insert(AUTHORIZATION, sensitive(secret.expose_secret())?);
        }
        Ok(request)
    }

    fn url(&self, user: &str) -> Result<Url, AspspError> {
        let config = &self.config;
        let base =
            config.base_url.as_ref().ok_or_else(|| misconfigured("internal_api.base_url is not set"))?;
        if config.user_parameter.is_empty() && config.user_header.is_empty() {
            return Err(misconfigured(
                "neither user_parameter nor user_header says whose accounts are meant",
            ));
        }
        if user.trim().is_empty() {
            return Err(unsupported("the user has no id"));
        }
        let mut url = base.join(&config.path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>());
        let mut query = url.query_pairs_mut();
        query.append_pair(REFRESH, "true");
        if !config.user_parameter.is_empty() {
            query.append_pair(&config.user_parameter, user);
        }
        drop(query);
        Ok(url)
    }
}

#[cfg(test)]
mod tests;
