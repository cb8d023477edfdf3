//! The calls themselves: register, look up, change, write off.
//!
//! **Owns** the way in. **Fails** as `complaints` says.
//! **Limits**: each call is made once, or twice where a token had lost its validity; a title that is written off is
//! asked about once more, because the bank says only among its settlements that a Pix paid it.

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;

use crate::connectors::banks::complaints::{self, Known};
use crate::connectors::banks::credentials::sensitive;
use crate::connectors::banks::oauth::{Door, Failure, Style};
use crate::connectors::banks::secured::{Secured, json};
use crate::connectors::banks::{
    AmendRequest, BankError, CancelRequest, LookUp, LookUpRequest, RegisterRequest, Registration, TitleState,
    faults, unsupported,
};
use crate::connectors::http::{Answer, HttpClient, Request};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::amendment::AmendPart;
use crate::domain::boleto::{BankResponse, Boleto};

use super::config::SantanderConfig;
use super::wire::{self, Change, ChangeBody, RegisteredBody, SlipBody, TitleBody, TitleKey};
use super::{APP_KEY, agreement};

const APP_KEY_HEADER: HeaderName = HeaderName::from_static("x-application-key");
/// The kind of look-up that tells how a title ended.
const SETTLEMENT: &str = "settlement";

#[derive(Debug)]
pub(super) struct Client {
    config: SantanderConfig,
    way_in: Secured,
}

/// A title, and whether the answer says that it was paid by Pix.
struct Found {
    title: TitleBody,
    by_pix: bool,
}

impl Client {
    pub(super) fn new(config: SantanderConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        let door = Door {
            url: config.token_url.url().clone(),
            style: Style::Form,
            scope: String::new(),
            headers: HeaderMap::new(),
            timeout: config.token_timeout,
            leeway: config.token_leeway,
        };
        let way_in = Secured::new(http, config.ca_file.clone(), secrets, door);
        Self { config, way_in }
    }

    pub(super) fn config(&self) -> &SantanderConfig {
        &self.config
    }

    pub(super) async fn register(&self, request: &RegisterRequest<'_>) -> Result<Registration, BankError> {
        let key = self.key(request.account, request.boleto)?;
        let body = SlipBody::of(request, &key, &self.config).map_err(unsupported)?;
        let answer = self.call(request.account, Method::POST, self.slips(&key), json(&body)).await;
        let answer = answer.map_err(Failure::of_change)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            return Err(complaints::of_registration(&answer, &said, self.known()));
        }
        let status = answer.status.as_u16();
        let body: RegisteredBody = serde_json::from_slice(&answer.body).map_err(|_| {
            BankError::OutcomeUnknown { reason: format!("unreadable answer with status {status}") }
        })?;
        agreement::registration(body, request.boleto, &key, status)
    }

    pub(super) async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        let key = self.key(request.account, request.boleto)?;
        let kind = &self.config.look_up_kind;
        let Some(found) = self.ask(request.account, &key, kind).await? else { return Ok(LookUp::NotFound) };
        let mut title = agreement::title(found.title, request.boleto, &key, found.by_pix)?;
        // One that a Pix has paid must never count as written off.
        if title.state == TitleState::Cancelled
            && kind != SETTLEMENT
            && let Some(ended) = self.ask(request.account, &key, SETTLEMENT).await?
            && ended.by_pix
        {
            title.state = TitleState::Settled;
            title.paid = title.paid.or(ended.title.paid());
            title.paid_on = title.paid_on.or(ended.title.paid_on());
        }
        Ok(LookUp::OnFile(Box::new(title)))
    }

    async fn ask(
        &self,
        account: &BankAccount,
        key: &TitleKey<'_>,
        kind: &str,
    ) -> Result<Option<Found>, BankError> {
        let mut url = self.config.api_url.join(&["bills", &format!("{}.{}", key.covenant, key.bank_number)]);
        url.query_pairs_mut().append_pair("tipoConsulta", kind);
        let answer = self.call(account, Method::GET, url, Bytes::new()).await;
        let answer = answer.map_err(Failure::of_question)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            return complaints::of_question(&answer, &said, self.known()).map_or(Ok(None), Err);
        }
        let titles = TitleBody::read(&answer.body)
            .ok_or_else(|| faults::unavailable(&answer, "unreadable answer to a look-up"))?;
        let Some(title) = titles.into_iter().next() else { return Ok(None) };
        // The bank's words for it stand in a field that differs from one kind of look-up to another.
        let words = String::from_utf8_lossy(&answer.body).to_uppercase();
        let by_pix = words.contains(&self.config.paid_by_pix_text.to_uppercase());
        Ok(Some(Found { title, by_pix }))
    }

    pub(super) async fn amend(&self, request: &AmendRequest<'_>) -> Result<BankResponse, BankError> {
        let parts = request.amendment.parts(request.boleto);
        if parts.iter().any(|part| !super::AMENDS.contains(part)) {
            return Err(unsupported("Santander changes the due date and the abatement alone"));
        }
        let mut last = None;
        for part in parts {
            let change = match part {
                AmendPart::DueDate => Change::DueDate(request.amendment.due_date),
                _ => Change::abatement(request.amendment.charges.abatement),
            };
            match self.change(request.account, request.boleto, change).await {
                Ok(response) => last = Some(response),
                Err(error) if last.is_some() => return Err(complaints::after_a_part(error, part)),
                Err(error) => return Err(error),
            }
        }
        last.ok_or_else(|| unsupported("there is nothing to change"))
    }

    pub(super) async fn cancel(&self, request: &CancelRequest<'_>) -> Result<BankResponse, BankError> {
        self.change(request.account, request.boleto, Change::Operation("BAIXAR")).await
    }

    async fn change(
        &self,
        account: &BankAccount,
        boleto: &Boleto,
        change: Change,
    ) -> Result<BankResponse, BankError> {
        let key = self.key(account, boleto)?;
        let body = ChangeBody { covenant: key.covenant, bank_number: &key.bank_number, change };
        let answer = self.call(account, Method::PATCH, self.slips(&key), json(&body)).await;
        let answer = answer.map_err(Failure::of_change)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            let known = Known { on_file: &[], ..self.known() };
            return Err(complaints::of_change(&answer, &said, known));
        }
        complaints::done(&answer)
    }

    fn key<'a>(&self, account: &'a BankAccount, boleto: &'a Boleto) -> Result<TitleKey<'a>, BankError> {
        TitleKey::of(&account.issuer, boleto, &self.config).map_err(unsupported)
    }

    fn known(&self) -> Known<'_> {
        Known {
            on_file: &self.config.already_on_file_codes,
            not_found: &self.config.not_found_codes,
            unknown: &self.config.unknown_codes,
        }
    }

    fn slips(&self, key: &TitleKey<'_>) -> Url {
        self.config.api_url.join(&["workspaces", key.workspace, "bank_slips"])
    }

    async fn call(
        &self,
        account: &BankAccount,
        method: Method,
        url: Url,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let app_key = self.way_in.secret(account, APP_KEY).map_err(Failure::Bank)?;
        let app_key = sensitive(app_key.expose_secret()).map_err(Failure::Bank)?;
        let request = || {
            let mut request = Request::new(method.clone(), url.clone());
            request.timeout = Some(self.config.timeout);
            request.headers.insert(APP_KEY_HEADER, app_key.clone());
            request.body = body.clone();
            request
        };
        self.way_in.call(account, request).await
    }
}
