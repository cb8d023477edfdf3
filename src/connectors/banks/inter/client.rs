//! The calls themselves: ask for a charge, ask what became of it, cancel it.
//!
//! **Owns** the way in. **Fails** as `complaints` says.
//! **Limits**: each call is made once, or twice where a token had lost its validity.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use crate::connectors::banks::complaints::{self, Known};
use crate::connectors::banks::oauth::{Door, Failure, Style};
use crate::connectors::banks::secured::{Secured, json};
use crate::connectors::banks::{
    BankError, CancelRequest, LookUp, LookUpRequest, RegisterAnswer, RegisterRequest, faults, text,
    unsupported,
};
use crate::connectors::http::{Answer, HttpClient, Request};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::{BankResponse, Boleto};

use super::agreement;
use super::config::InterConfig;
use super::wire::{self, AcceptedBody, AnswerBody, CancelBody, ChargeBody};

const CHARGES: &str = "cobrancas";

#[derive(Debug)]
pub(super) struct Client {
    config: InterConfig,
    way_in: Secured,
}

impl Client {
    pub(super) fn new(config: InterConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        let door = Door {
            url: config.token_url.url().clone(),
            style: Style::Form,
            scope: config.scope.clone(),
            headers: HeaderMap::new(),
            timeout: config.token_timeout,
            leeway: config.token_leeway,
        };
        let way_in = Secured::new(http, config.ca_file.clone(), secrets, door);
        Self { config, way_in }
    }

    pub(super) fn config(&self) -> &InterConfig {
        &self.config
    }

    pub(super) async fn register(&self, request: &RegisterRequest<'_>) -> Result<RegisterAnswer, BankError> {
        if !matches!(request.account.issuer, Issuer::Inter { .. }) {
            return Err(unsupported("the account's agreement is with another bank"));
        }
        let url = self.config.api_url.join(&[CHARGES]);
        let answer =
            self.call(request.account, Method::POST, url, json(&ChargeBody::of(request, &self.config))).await;
        let answer = answer.map_err(Failure::of_change)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            return Err(complaints::of_registration(&answer, &said, self.known()));
        }
        let reference =
            serde_json::from_slice::<AcceptedBody>(&answer.body).ok().and_then(|body| body.reference);
        let reference = reference.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let bank_reference = reference.ok_or_else(|| BankError::OutcomeUnknown {
            reason: format!("answer with status {} without codigoSolicitacao", answer.status.as_u16()),
        })?;
        Ok(RegisterAnswer::Accepted { bank_reference })
    }

    pub(super) async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        let url = self.config.api_url.join(&[CHARGES, reference(request.boleto)?]);
        let answer = self.call(request.account, Method::GET, url, Bytes::new()).await;
        let answer = answer.map_err(Failure::of_question)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            return complaints::of_question(&answer, &said, self.known()).map_or(Ok(LookUp::NotFound), Err);
        }
        let body: AnswerBody = serde_json::from_slice(&answer.body)
            .map_err(|_| faults::unavailable(&answer, "unreadable answer to a look-up"))?;
        agreement::title(body, request.boleto)
    }

    pub(super) async fn cancel(&self, request: &CancelRequest<'_>) -> Result<BankResponse, BankError> {
        let url = self.config.api_url.join(&[CHARGES, reference(request.boleto)?, "cancelar"]);
        let reason = text::plain(request.reason, self.config.reason_chars_max);
        let answer = self.call(request.account, Method::POST, url, json(&CancelBody { reason })).await;
        let answer = answer.map_err(Failure::of_change)?;
        if !answer.status.is_success() {
            let said = wire::complaints(&answer.body);
            return Err(complaints::of_change(&answer, &said, self.known()));
        }
        complaints::done(&answer)
    }

    fn known(&self) -> Known<'_> {
        Known { on_file: &[], not_found: &[], unknown: &self.config.unknown_codes }
    }

    async fn call(
        &self,
        account: &BankAccount,
        method: Method,
        url: Url,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let request = || {
            let mut request = Request::new(method.clone(), url.clone());
            request.timeout = Some(self.config.timeout);
            request.body = body.clone();
            request
        };
        self.way_in.call(account, request).await
    }
}

/// What the bank calls our request; it knows it by nothing else.
fn reference(boleto: &Boleto) -> Result<&str, BankError> {
    let reference = boleto.bank_reference.as_deref().filter(|reference| !reference.is_empty());
    reference.ok_or_else(|| unsupported("the bank is asked by its own reference, and none is known"))
}
