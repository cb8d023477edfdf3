//! The calls themselves: sign in, register, look up, change.
//!
//! **Owns** the tokens. **Fails** as the tables in `error` say.
//! **Limits**: each call is made once, or twice where a token had lost its validity.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connectors::banks::credentials::secret;
use crate::connectors::banks::oauth::{self, Door, Failure, Login, Style};
use crate::connectors::banks::token::Tokens;
use crate::connectors::banks::{
    AmendRequest, BankError, CancelRequest, LookUp, LookUpRequest, MovementPage, MovementsRequest,
    RegisterRequest, Registration, faults, unsupported,
};
use crate::connectors::http::{Answer, HttpClient, Request};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::{BankResponse, Boleto};

use super::config::BancoDoBrasilConfig;
use super::movements::{Holder, ListBody, Place};
use super::wire::{
    AmendBody, Amended, RegisterBody, RegisteredBody, TitleBody, TitleKey, WriteOffBody, WrittenOffBody,
};
use super::{agreement, error};

#[derive(Debug)]
pub(super) struct Client {
    config: BancoDoBrasilConfig,
    secrets: SecretPolicy,
    http: HttpClient,
    door: Door,
    tokens: Tokens,
}

impl Client {
    pub(super) fn new(config: BancoDoBrasilConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        let door = Door {
            url: config.token_url.url().clone(),
            style: Style::Basic,
            scope: config.scope.clone(),
            headers: HeaderMap::new(),
            timeout: config.token_timeout,
            leeway: config.token_leeway,
        };
        Self { config, secrets, http, door, tokens: Tokens::default() }
    }

    pub(super) fn config(&self) -> &BancoDoBrasilConfig {
        &self.config
    }

    pub(super) async fn register(&self, request: &RegisterRequest<'_>) -> Result<Registration, BankError> {
        let body = RegisterBody::of(request, self.config.pix).map_err(unsupported)?;
        let key = title_key(request.account, request.boleto)?;
        let body = serde_json::to_vec(&body).expect("a structure of text and numbers can be written as JSON");
        let url = self.config.api_url.join(&["boletos"]);
        let answer = self.call(request.account, Method::POST, url, Bytes::from(body)).await;
        let answer = answer.map_err(Failure::of_change)?;
        if !answer.status.is_success() {
            return Err(error::of_registration(&answer, &self.config));
        }
        let status = answer.status.as_u16();
        let body: RegisteredBody = serde_json::from_slice(&answer.body).map_err(|_| {
            BankError::OutcomeUnknown { reason: format!("unreadable answer with status {status}") }
        })?;
        agreement::registration(body, request.boleto, &key, status)
    }

    pub(super) async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        let key = title_key(request.account, request.boleto)?;
        let mut url = self.config.api_url.join(&["boletos", &key.number]);
        url.query_pairs_mut().append_pair("numeroConvenio", key.convenio);
        let answer = self.call(request.account, Method::GET, url, Bytes::new()).await;
        let answer = answer.map_err(Failure::of_question)?;
        if !answer.status.is_success() {
            return error::of_look_up(&answer, &self.config).map_or(Ok(LookUp::NotFound), Err);
        }
        let body: TitleBody = serde_json::from_slice(&answer.body)
            .map_err(|_| faults::unavailable(&answer, "unreadable answer to a look-up"))?;
        agreement::title(body, request.boleto)
    }

    pub(super) async fn cancel(&self, request: &CancelRequest<'_>) -> Result<BankResponse, BankError> {
        let key = title_key(request.account, request.boleto)?;
        let body = WriteOffBody::of(&key).map_err(unsupported)?;
        let url = self.config.api_url.join(&["boletos", &key.number, "baixar"]);
        let (body, status): (WrittenOffBody, _) =
            self.change(request.account, Method::POST, url, &body).await?;
        if body.on.is_none_or(|on| on.trim().is_empty()) {
            let reason = format!("a write-off without its date, with status {status}");
            return Err(BankError::OutcomeUnknown { reason });
        }
        Ok(BankResponse { code: status.to_string(), message: String::new() })
    }

    pub(super) async fn amend(
        &self,
        request: &AmendRequest<'_>,
        change: Amended,
    ) -> Result<BankResponse, BankError> {
        let key = title_key(request.account, request.boleto)?;
        let body = AmendBody::of(&key, change).map_err(unsupported)?;
        let url = self.config.api_url.join(&["boletos", &key.number]);
        // Any object: what the bank says besides its status is not known.
        let (_, status): (serde_json::Map<String, serde_json::Value>, _) =
            self.change(request.account, Method::PATCH, url, &body).await?;
        Ok(BankResponse { code: status.to_string(), message: String::new() })
    }

    pub(super) async fn payments_since(
        &self,
        request: &MovementsRequest<'_>,
    ) -> Result<MovementPage, BankError> {
        let holder = Holder::of(&request.account.issuer)
            .ok_or_else(|| unsupported("listing titles needs the account's agency and number"))?;
        let place = Place::of(request.cursor).ok_or_else(|| unsupported("a cursor of another listing"))?;
        let mut url = self.config.api_url.join(&["boletos"]);
        place.ask(&mut url, holder, request, &self.config);
        let answer = self.call(request.account, Method::GET, url, Bytes::new()).await;
        let answer = answer.map_err(Failure::of_question)?;
        if !answer.status.is_success() {
            let no_title = || faults::unavailable(&answer, "a listing that is not found");
            return Err(error::of_look_up(&answer, &self.config).unwrap_or_else(no_title));
        }
        let body: ListBody = serde_json::from_slice(&answer.body)
            .map_err(|_| faults::unavailable(&answer, "unreadable answer to a listing"))?;
        place.read(body)
    }

    /// Changes something that is on file. Only a success that can be read is one.
    async fn change<T: DeserializeOwned>(
        &self,
        account: &BankAccount,
        method: Method,
        url: Url,
        body: &impl Serialize,
    ) -> Result<(T, u16), BankError> {
        let body = serde_json::to_vec(body).expect("a structure of text and numbers can be written as JSON");
        let answer = self.call(account, method, url, Bytes::from(body)).await.map_err(Failure::of_change)?;
        if !answer.status.is_success() {
            return Err(error::of_change(&answer, &self.config));
        }
        let status = answer.status.as_u16();
        let read = serde_json::from_slice(&answer.body).map_err(|_| BankError::OutcomeUnknown {
            reason: format!("unreadable answer with status {status}"),
        })?;
        Ok((read, status))
    }

    /// Makes a call under a token.
    async fn call(
        &self,
        account: &BankAccount,
        method: Method,
        mut url: Url,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let app_key = secret(account, "app_key", &self.secrets).map_err(Failure::Bank)?;
        let login = Login::of(account, &self.secrets).map_err(Failure::Bank)?;
        url.query_pairs_mut().append_pair(&self.config.app_key_parameter, app_key.expose_secret());
        oauth::call(&self.http, &self.tokens, &self.door, &login, || {
            let mut request = Request::new(method.clone(), url.clone());
            request.timeout = Some(self.config.timeout);
            request.body = body.clone();
            request
        })
        .await
    }
}

fn title_key<'a>(account: &'a BankAccount, boleto: &Boleto) -> Result<TitleKey<'a>, BankError> {
    TitleKey::of(&account.issuer, boleto.codes.nosso_numero.as_deref()).map_err(unsupported)
}
