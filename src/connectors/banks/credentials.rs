//! What an account signs in with: checked when it is configured, resolved when it is used.
//!
//! **Owns** nothing. **Fails** as a misconfiguration that names the key and never the value.

use reqwest::header::HeaderValue;
use secrecy::SecretString;

use super::BankError;
use crate::connectors::secret::SecretRef;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;
use crate::domain::violation::Violation;

/// Everything in which an account's credentials fall short: keys of `required` that are missing, values that are no
/// references, and keys that the bank does not know.
pub(super) fn check(
    account: &BankAccount,
    bank: &str,
    required: &[&str],
    optional: &[&str],
) -> Vec<Violation> {
    let mut found = Vec::new();
    for key in required.iter().chain(optional) {
        let described = match account.credentials.get(*key).map(|text| SecretRef::parse(text)) {
            Some(Ok(_)) => continue,
            Some(Err(error)) => error.to_string(),
            None if optional.contains(key) => continue,
            None => format!("is needed by {bank}, as env:NAME or file:path"),
        };
        found.push(Violation::new(format!("credentials[{key}]"), described));
    }
    for key in account.credentials.keys() {
        if required.contains(&key.as_str()) || optional.contains(&key.as_str()) {
            continue;
        }
        // A key is the caller's text and may be a secret in the wrong place, hence it is cut.
        let key: String = key.chars().take(40).collect();
        found.push(Violation::new(format!("credentials[{key}]"), format!("is not known to {bank}")));
    }
    found
}

/// The secret that an account's credential refers to.
pub(super) fn secret(
    account: &BankAccount,
    key: &str,
    secrets: &SecretPolicy,
) -> Result<SecretString, BankError> {
    let reason = match account.credentials.get(key).map(|text| SecretRef::parse(text)) {
        Some(Ok(reference)) => match secrets.resolve(&reference) {
            Ok(value) => return Ok(value),
            Err(error) => error.to_string(),
        },
        Some(Err(error)) => format!("credential {key}: {error}"),
        None => format!("credential {key} is not set"),
    };
    Err(BankError::Misconfigured { reason })
}

/// A header that no log shows.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, BankError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| BankError::Misconfigured {
        reason: "a credential holds control characters".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
