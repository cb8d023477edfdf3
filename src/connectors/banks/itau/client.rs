//! The calls themselves: register, look up, change, write off.
//!
//! **Owns** the way in. **Fails** as `complaints` says; while the bank only tries titles, none is ever registered.
//! **Limits**: each call is made once, or twice where a token had lost its validity, under one correlation id.

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::connectors::banks::complaints::{self, Known};
use crate::connectors::banks::credentials::sensitive;
use crate::connectors::banks::oauth::{Door, Failure, Style};
use crate::connectors::banks::secured::{Secured, json};
use crate::connectors::banks::{
    AmendRequest, BankError, CancelRequest, LookUp, LookUpRequest, RegisterRequest, Registration, faults,
    unsupported, values,
};
use crate::connectors::http::{Answer, HttpClient, Request};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::amendment::AmendPart;
use crate::domain::boleto::{BankResponse, Boleto};

use super::config::{ItauConfig, Stage};
use super::wire::{self, ChangeBody, FoundBody, RegisterBody, RegisteredBody, Several, TitleKey};
use super::{API_KEY, agreement};

const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-itau-apikey");
const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-itau-correlationid");
const TITLES: &str = "boletos";

#[derive(Debug)]
pub(super) struct Client {
    config: ItauConfig,
    way_in: Secured,
}

impl Client {
    pub(super) fn new(config: ItauConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
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

    pub(super) fn config(&self) -> &ItauConfig {
        &self.config
    }

    pub(super) async fn register(&self, request: &RegisterRequest<'_>) -> Result<Registration, BankError> {
        let key = TitleKey::of(&request.account.issuer, request.boleto).map_err(unsupported)?;
        let body = RegisterBody::of(request, &key, &self.config).map_err(unsupported)?;
        let url = self.config.api_url.join(&[TITLES]);
        let answer = self.call(request.account, Method::POST, url, json(&body)).await;
        let answer = answer.map_err(Failure::of_change)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            return Err(complaints::of_registration(&answer, &said, self.known()));
        }
        if self.config.stage == Stage::Validacao {
            let reason =
                "banks.itau.stage is validacao: the bank has tried the title and filed nothing".to_owned();
            return Err(BankError::Misconfigured { reason });
        }
        let status = answer.status.as_u16();
        let body: RegisteredBody = serde_json::from_slice(&answer.body).map_err(|_| {
            BankError::OutcomeUnknown { reason: format!("unreadable answer with status {status}") }
        })?;
        agreement::registration(body.data.data, request.boleto, status)
    }

    pub(super) async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        let key = TitleKey::of(&request.account.issuer, request.boleto).map_err(unsupported)?;
        let mut url = self.config.query_url.join(&[TITLES]);
        url.query_pairs_mut()
            .append_pair("id_beneficiario", &key.beneficiary)
            .append_pair("codigo_carteira", key.carteira)
            .append_pair("nosso_numero", key.nosso_numero);
        let answer = self.call(request.account, Method::GET, url, Bytes::new()).await;
        let answer = answer.map_err(Failure::of_question)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            return complaints::of_question(&answer, &said, self.known()).map_or(Ok(LookUp::NotFound), Err);
        }
        let found: FoundBody = serde_json::from_slice(&answer.body)
            .map_err(|_| faults::unavailable(&answer, "unreadable answer to a look-up"))?;
        let titles = match found.data {
            Several::List(titles) => titles,
            Several::One(title) => vec![*title],
        };
        // The bank is asked for one number, but lists what it likes: another number is not ours.
        for title in titles {
            let payments = title.data.payments.unwrap_or_default();
            let ours = title.data.each.into_iter().find(|each| {
                let number = values::given(each.nosso_numero.clone());
                number.is_none_or(|number| agreement::is_same(&number, &key))
            });
            if let Some(each) = ours {
                let title = agreement::title(each, payments, request.boleto, &key)?;
                return Ok(LookUp::OnFile(Box::new(title)));
            }
        }
        Ok(LookUp::NotFound)
    }

    pub(super) async fn amend(&self, request: &AmendRequest<'_>) -> Result<BankResponse, BankError> {
        let parts = request.amendment.parts(request.boleto);
        if parts.iter().any(|part| !super::AMENDS.contains(part)) {
            return Err(unsupported("Itaú changes the due date, the fine and the abatement alone"));
        }
        let charges = &request.amendment.charges;
        let mut changes = Vec::new();
        for part in parts {
            let change = match part {
                AmendPart::DueDate => ChangeBody::DueDate { data_vencimento: request.amendment.due_date },
                AmendPart::Fine => ChangeBody::fine(charges.fine, &self.config).map_err(unsupported)?,
                _ => ChangeBody::abatement(charges.abatement),
            };
            changes.push((part, change));
        }
        let mut last = None;
        for (part, change) in changes {
            match self.change(request.account, request.boleto, &change).await {
                Ok(response) => last = Some(response),
                Err(error) if last.is_some() => return Err(complaints::after_a_part(error, part)),
                Err(error) => return Err(error),
            }
        }
        last.ok_or_else(|| unsupported("there is nothing to change"))
    }

    pub(super) async fn cancel(&self, request: &CancelRequest<'_>) -> Result<BankResponse, BankError> {
        self.change(request.account, request.boleto, &ChangeBody::WriteOff {}).await
    }

    async fn change(
        &self,
        account: &BankAccount,
        boleto: &Boleto,
        change: &ChangeBody<'_>,
    ) -> Result<BankResponse, BankError> {
        let key = TitleKey::of(&account.issuer, boleto).map_err(unsupported)?;
        let url = self.config.api_url.join(&[TITLES, &key.id(), change.path()]);
        let answer = self.call(account, Method::PATCH, url, json(change)).await;
        let answer = answer.map_err(Failure::of_change)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            let known = Known { on_file: &[], ..self.known() };
            return Err(complaints::of_change(&answer, &said, known));
        }
        complaints::done(&answer)
    }

    fn known(&self) -> Known<'_> {
        Known {
            on_file: &self.config.already_on_file_codes,
            not_found: &self.config.not_found_codes,
            unknown: &self.config.unknown_codes,
        }
    }

    async fn call(
        &self,
        account: &BankAccount,
        method: Method,
        url: Url,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let api_key = self.way_in.secret(account, API_KEY).map_err(Failure::Bank)?;
        let api_key = sensitive(api_key.expose_secret()).map_err(Failure::Bank)?;
        let correlation = HeaderValue::from_str(&Uuid::new_v4().to_string());
        let correlation = correlation.expect("the digits and hyphens of a UUID are a header");
        let request = || {
            let mut request = Request::new(method.clone(), url.clone());
            request.timeout = Some(self.config.timeout);
            request.headers.insert(API_KEY_HEADER, api_key.clone());
            request.headers.insert(CORRELATION_HEADER, correlation.clone());
            request.body = body.clone();
            request
        };
        self.way_in.call(account, request).await
    }
}
