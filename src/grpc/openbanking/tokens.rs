//! Tokens as they come in: sealed at once, each for the one consent or payment that it is of.
//!
//! **Owns** nothing. **Fails** with `SECRETS_NOT_KEPT` before anything is written where there is no key; never with a token in its
//! words. **Limits**: 16,384 characters each.

use secrecy::{ExposeSecret as _, SecretString};

use crate::connectors::secret::sealed::{SealError, Sealed, SecretKeeper};
use crate::domain::ids::{ConsentId, PaymentId};
use crate::domain::violation::Violation;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::store::openbanking::token::KeptTokens;

const TOKEN_CHARS_MAX: usize = 16_384;

/// What a consent's tokens are sealed for.
pub(super) fn of_consent(id: ConsentId) -> String {
    format!("consent:{id}")
}

/// What a payment's token is sealed for.
pub(super) fn of_payment(id: PaymentId) -> String {
    format!("payment:{id}")
}

/// A token that may be left out.
pub(super) fn optional(field: &str, text: String, violations: &mut Vec<Violation>) -> Option<SecretString> {
    let text = request::optional_text(field, text, TOKEN_CHARS_MAX, violations)?;
    // A token is sent in a header: what does not fit there was never one.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        violations.push(Violation::new(field, "visible ASCII characters only"));
    }
    Some(SecretString::from(text))
}

/// Whoever seals, where somebody can.
pub(super) fn keeper(house: &House) -> Result<&SecretKeeper, ApiError> {
    let keeper = house.secrets.keeper();
    if keeper.has_key() { Ok(keeper) } else { Err(ApiError::SecretsNotKept) }
}

pub(super) fn seal(keeper: &SecretKeeper, purpose: &str, token: &SecretString) -> Result<String, ApiError> {
    let sealed = keeper.seal(purpose, token).map_err(|error| match error {
        SealError::NoKey => ApiError::SecretsNotKept,
        error => ApiError::Internal(error.to_string()),
    })?;
    Ok(sealed.as_str().to_owned())
}

/// Whether the tokens that are kept are these: then nothing is written. Those that cannot be opened are others.
pub(super) fn are_kept(
    keeper: &SecretKeeper,
    purpose: &str,
    kept: &KeptTokens,
    access: &SecretString,
    refresh: Option<&SecretString>,
) -> bool {
    let is = |sealed: &str, token: &SecretString| {
        let opened = keeper.open(purpose, &Sealed::from(sealed.to_owned()));
        opened.is_ok_and(|opened| opened.expose_secret() == token.expose_secret())
    };
    let same_refresh = match (&kept.refresh_sealed, refresh) {
        // What is not told stays as it was.
        (_, None) => true,
        (Some(sealed), Some(token)) => is(sealed, token),
        (None, Some(_)) => false,
    };
    same_refresh && is(&kept.access_sealed, access)
}
