//! The call itself: which body, with which secrets, under which deadline.
//!
//! **Owns** nothing. **Fails** as the rules in `answer` say. **Limits**: each call is made once.

use secrecy::{ExposeSecret, SecretString};

use crate::connectors::banks::{BankError, RegisterRequest, Registration, basic, credentials, unsupported};
use crate::connectors::http::HttpClient;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::issuer::Issuer;

use super::config::BoletoApiConfig;
use super::wire::AuthenticationBody;
use super::{AGREEMENT_NUMBER, BANK_PASSWORD, BANK_USERNAME, PASSWORD, USERNAME, answer, caixa, shopfacil};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) config: BoletoApiConfig,
    pub(super) secrets: SecretPolicy,
    pub(super) http: HttpClient,
}

impl Client {
    pub(super) async fn register(&self, request: &RegisterRequest<'_>) -> Result<Registration, BankError> {
        let account = request.account;
        let api_url = self.config.api_url.as_ref().ok_or_else(|| BankError::Misconfigured {
            reason: "banks.boleto_api.api_url is not set".to_owned(),
        })?;
        let is_caixa = matches!(account.issuer, Issuer::Caixa { .. });
        let authorization = basic::authorization(account, USERNAME, PASSWORD, &self.secrets)?;
        let pair = self.pair(account, !is_caixa)?;
        let authentication = pair.as_ref().map(|(username, password)| AuthenticationBody {
            username: username.expose_secret(),
            password: password.expose_secret(),
        });
        let body = if is_caixa {
            caixa::body(request, authentication, &self.config).map_err(unsupported)?
        } else {
            let number = self.agreement_number(account)?;
            shopfacil::body(request, authentication, number).map_err(unsupported)?
        };
        let timeout = if is_caixa { self.config.caixa_timeout } else { self.config.timeout };
        let url = api_url.join(&["v1", "boleto", "register"]);
        let answer = basic::change(&self.http, url, timeout, authorization, &body).await?;
        answer::registration(&answer, request, &self.config)
    }

    /// What the bank behind the gateway is signed in with. Caixa is not known to want it, and gets it where it is set.
    fn pair(
        &self,
        account: &BankAccount,
        required: bool,
    ) -> Result<Option<(SecretString, SecretString)>, BankError> {
        let is_set = |key: &str| account.credentials.contains_key(key);
        if !required && !is_set(BANK_USERNAME) && !is_set(BANK_PASSWORD) {
            return Ok(None);
        }
        let username = credentials::secret(account, BANK_USERNAME, &self.secrets)?;
        Ok(Some((username, credentials::secret(account, BANK_PASSWORD, &self.secrets)?)))
    }

    /// The account's own, or else the installation's.
    fn agreement_number(&self, account: &BankAccount) -> Result<u64, BankError> {
        let fallback = &self.config.bradesco_agreement_number;
        let number = if !account.credentials.contains_key(AGREEMENT_NUMBER) && !fallback.is_empty() {
            fallback.clone().into()
        } else {
            credentials::secret(account, AGREEMENT_NUMBER, &self.secrets)?
        };
        number.expose_secret().trim().parse().map_err(|_| BankError::Misconfigured {
            reason: format!("credential {AGREEMENT_NUMBER} is not a number"),
        })
    }
}
