//! Customers, consents and payments of open banking, with the field names of the protocol; times are RFC 3339.
//!
//! Enums are their short names in lower case, as our own `--json` prints them.

use prost_types::Timestamp;
use serde::Deserialize;

use crate::proto::openbanking::v1::consent::Status;
use crate::proto::openbanking::v1::new_consent::{AllowedAccount, Tokens};
use crate::proto::openbanking::v1::payment::{Kind, Vocabulary};
use crate::proto::openbanking::v1::{NewConsent, NewPayment, NewUser};

const NO_TIME: &str = "a time is RFC 3339, such as 2027-03-01T00:00:00Z";

/// `NewUser`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct UserInput {
    external_id: String,
    update_offline: bool,
    active: Option<bool>,
    sync_time: String,
    endpoint_id: String,
}

/// `NewConsent`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentInput {
    user_external_id: String,
    aspsp: String,
    external_id: String,
    status: String,
    valid_until_time: String,
    frequency_per_day: i32,
    tokens: Option<TokensInput>,
    accounts: Vec<AccountInput>,
}

/// `NewConsent.Tokens`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct TokensInput {
    access_token: String,
    refresh_token: String,
    expire_time: String,
}

/// `NewConsent.AllowedAccount`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct AccountInput {
    number: String,
    currency: String,
    name: String,
    resource_id: String,
    privileges: Vec<String>,
    history_days: i32,
}

/// `NewPayment`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentInput {
    aspsp: String,
    kind: String,
    external_id: String,
    is_our_name: bool,
    product: String,
    vocabulary: String,
    parent_external_id: String,
    user_external_id: String,
    reference_id: String,
    access_token: String,
    endpoint_id: String,
    made_time: String,
}

impl TryFrom<UserInput> for NewUser {
    type Error = &'static str;

    fn try_from(input: UserInput) -> Result<Self, &'static str> {
        Ok(Self {
            external_id: input.external_id,
            update_offline: input.update_offline,
            active: input.active,
            sync_time: time(&input.sync_time)?,
            endpoint_id: input.endpoint_id,
        })
    }
}

impl TryFrom<ConsentInput> for NewConsent {
    type Error = &'static str;

    fn try_from(input: ConsentInput) -> Result<Self, &'static str> {
        let tokens = |tokens: TokensInput| -> Result<Tokens, &'static str> {
            Ok(Tokens {
                access_token: tokens.access_token,
                refresh_token: tokens.refresh_token,
                expire_time: time(&tokens.expire_time)?,
            })
        };
        let account = |account: AccountInput| AllowedAccount {
            number: account.number,
            currency: account.currency,
            name: account.name,
            resource_id: account.resource_id,
            privileges: account.privileges,
            history_days: account.history_days,
        };
        let status = named("STATUS_", &input.status, Status::from_str_name);
        Ok(Self {
            user_external_id: input.user_external_id,
            aspsp: input.aspsp,
            external_id: input.external_id,
            status: status.ok_or("a status is received, valid, expired or revoked")?.into(),
            valid_until_time: time(&input.valid_until_time)?,
            frequency_per_day: input.frequency_per_day,
            tokens: input.tokens.map(tokens).transpose()?,
            accounts: input.accounts.into_iter().map(account).collect(),
        })
    }
}

impl TryFrom<PaymentInput> for NewPayment {
    type Error = &'static str;

    fn try_from(input: PaymentInput) -> Result<Self, &'static str> {
        let kind = named("KIND_", &input.kind, Kind::from_str_name);
        let vocabulary = named("VOCABULARY_", &input.vocabulary, Vocabulary::from_str_name);
        let words = "a vocabulary is iso20022, polish_payment, polish_bundle or polish_recurring";
        Ok(Self {
            aspsp: input.aspsp,
            kind: kind.ok_or("a kind is single, bundle or recurring")?.into(),
            external_id: input.external_id,
            is_our_name: input.is_our_name,
            product: input.product,
            vocabulary: vocabulary.ok_or(words)?.into(),
            parent_external_id: input.parent_external_id,
            user_external_id: input.user_external_id,
            reference_id: input.reference_id,
            access_token: input.access_token,
            endpoint_id: input.endpoint_id,
            made_time: time(&input.made_time)?,
        })
    }
}

/// The value of that short name; the first one, which says nothing, for no name.
fn named<E: Default>(prefix: &str, name: &str, value: fn(&str) -> Option<E>) -> Option<E> {
    if name.is_empty() {
        return Some(E::default());
    }
    value(&format!("{prefix}{}", name.to_ascii_uppercase()))
}

fn time(text: &str) -> Result<Option<Timestamp>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| NO_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::parse;

    #[test]
    fn a_consent_is_read_with_all_that_belongs_to_it() {
        let text = r#"{"user_external_id":"u","aspsp":"b","external_id":"c","status":"received",
            "valid_until_time":"2027-03-01T00:00:00Z","tokens":{"access_token":"a","expire_time":"2026-12-01T00:00:00Z"},
            "accounts":[{"number":"1","currency":"PLN","privileges":["ais:getAccount"],"history_days":90}]}"#;
        let consent = NewConsent::try_from(parse::<ConsentInput>(text, None, "a test").unwrap()).unwrap();
        assert_eq!((consent.status(), consent.accounts[0].history_days), (Status::Received, 90));
        assert_eq!(consent.valid_until_time.unwrap().to_string(), "2027-03-01T00:00:00Z");
        assert!(consent.tokens.unwrap().expire_time.is_some());
    }

    #[test]
    fn what_is_no_time_or_no_name_is_refused_and_what_is_absent_is_not() {
        let payment = |text: &str| NewPayment::try_from(parse::<PaymentInput>(text, None, "a test").unwrap());
        assert!(payment("{}").is_ok());
        assert_eq!(payment(r#"{"kind":"Bundle!"}"#).unwrap_err(), "a kind is single, bundle or recurring");
        assert_eq!(payment(r#"{"made_time":"yesterday"}"#).unwrap_err(), NO_TIME);
        assert!(parse::<UserInput>(r#"{"external":"x"}"#, None, "a test").is_err(), "a misspelt field");
    }
}
