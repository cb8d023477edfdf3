//! What Berlin Group's ASPSPs answer, in its own names.
//!
//! **Owns** nothing. Unknown fields are ignored, and what tells of nobody's money is read with patience; an amount that is none, or
//! a day of booking that is no day, makes the answer unreadable, because half a transaction is worse than a late one.
//! **Limits**: at which end somebody is, is told by the sign. The number of a card in full is never read.

use std::time::Duration;

use chrono::NaiveDate;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::connectors::aspsps::amount::{Amount, amount};
use crate::connectors::aspsps::day::Zone;
use crate::connectors::aspsps::error::unreadable;
use crate::connectors::aspsps::text::{
    flag, kept, list, list_if_told, object, object_or_none, whole, word, words,
};
use crate::connectors::aspsps::{
    Account, AspspError, Balance, ConsentStatus, ConsentTold, Counterparty, Grant, PaymentKind, PaymentTold,
    ToldStatus, Transaction, TransactionState,
};

/// Links that lead on.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Links {
    #[serde(deserialize_with = "href")]
    pub(super) next: Option<String>,
    #[serde(deserialize_with = "href")]
    pub(super) download: Option<String>,
}

/// `GET /consents/{consentId}`
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ConsentBody {
    #[serde(rename = "consentStatus", deserialize_with = "word")]
    status: Option<String>,
    #[serde(rename = "validUntil", deserialize_with = "word")]
    valid_until: Option<String>,
    #[serde(rename = "frequencyPerDay", deserialize_with = "whole")]
    frequency_per_day: Option<u64>,
    #[serde(rename = "recurringIndicator", deserialize_with = "flag")]
    recurring: Option<bool>,
}

/// `GET /accounts`
#[derive(Deserialize)]
pub(super) struct AccountsBody {
    #[serde(deserialize_with = "list")]
    pub(super) accounts: Vec<AccountBody>,
    #[serde(rename = "_links", default, deserialize_with = "links")]
    pub(super) links: Links,
}

/// `GET /accounts/{account-id}`
#[derive(Deserialize)]
pub(super) struct AccountDetailsBody {
    #[serde(deserialize_with = "object")]
    pub(super) account: Option<AccountBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct AccountBody {
    #[serde(rename = "resourceId", deserialize_with = "word")]
    resource_id: Option<String>,
    #[serde(deserialize_with = "word")]
    iban: Option<String>,
    #[serde(deserialize_with = "word")]
    bban: Option<String>,
    #[serde(rename = "maskedPan", deserialize_with = "word")]
    masked_pan: Option<String>,
    #[serde(deserialize_with = "word")]
    msisdn: Option<String>,
    #[serde(deserialize_with = "word")]
    currency: Option<String>,
    #[serde(deserialize_with = "word")]
    name: Option<String>,
    #[serde(rename = "displayName", deserialize_with = "word")]
    display_name: Option<String>,
    #[serde(deserialize_with = "word")]
    product: Option<String>,
    #[serde(rename = "cashAccountType", deserialize_with = "word")]
    kind: Option<String>,
    #[serde(deserialize_with = "word")]
    status: Option<String>,
    #[serde(deserialize_with = "list")]
    pub(super) balances: Vec<BalanceBody>,
}

/// `GET /accounts/{account-id}/balances`
#[derive(Deserialize)]
pub(super) struct BalancesBody {
    #[serde(deserialize_with = "list")]
    pub(super) balances: Vec<BalanceBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct BalanceBody {
    #[serde(rename = "balanceAmount", deserialize_with = "object")]
    amount: Option<AmountBody>,
    #[serde(rename = "balanceType", deserialize_with = "word")]
    kind: Option<String>,
    #[serde(rename = "creditLimitIncluded", deserialize_with = "flag")]
    credit_limit_included: Option<bool>,
    #[serde(rename = "lastChangeDateTime", deserialize_with = "word")]
    changed_at: Option<String>,
    #[serde(rename = "referenceDate", deserialize_with = "word")]
    reference_date: Option<String>,
    #[serde(rename = "lastCommittedTransaction", deserialize_with = "word")]
    last_transaction: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AmountBody {
    #[serde(deserialize_with = "word")]
    currency: Option<String>,
    #[serde(deserialize_with = "amount")]
    amount: Option<Amount>,
}

/// `GET /accounts/{account-id}/transactions`
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct TransactionsBody {
    #[serde(deserialize_with = "object")]
    pub(super) transactions: Option<ReportBody>,
    #[serde(deserialize_with = "list")]
    pub(super) balances: Vec<BalanceBody>,
    #[serde(rename = "_links", deserialize_with = "links")]
    pub(super) links: Links,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ReportBody {
    #[serde(deserialize_with = "list_if_told")]
    pub(super) booked: Option<Vec<TransactionBody>>,
    #[serde(deserialize_with = "list_if_told")]
    pub(super) pending: Option<Vec<TransactionBody>>,
    #[serde(rename = "_links", deserialize_with = "links")]
    pub(super) links: Links,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct TransactionBody {
    #[serde(rename = "transactionId", deserialize_with = "word")]
    transaction_id: Option<String>,
    #[serde(rename = "entryReference", deserialize_with = "word")]
    entry_reference: Option<String>,
    #[serde(rename = "bookingDate", deserialize_with = "word")]
    booking_date: Option<String>,
    #[serde(rename = "valueDate", deserialize_with = "word")]
    value_date: Option<String>,
    #[serde(rename = "transactionDate", deserialize_with = "word")]
    trade_date: Option<String>,
    #[serde(rename = "transactionAmount", deserialize_with = "object")]
    amount: Option<AmountBody>,
    #[serde(rename = "creditorName", deserialize_with = "word")]
    creditor_name: Option<String>,
    #[serde(rename = "creditorAccount", deserialize_with = "object_or_none")]
    creditor_account: Option<ReferenceBody>,
    #[serde(rename = "debtorName", deserialize_with = "word")]
    debtor_name: Option<String>,
    #[serde(rename = "debtorAccount", deserialize_with = "object_or_none")]
    debtor_account: Option<ReferenceBody>,
    #[serde(rename = "remittanceInformationUnstructured", deserialize_with = "words")]
    text: Vec<String>,
    #[serde(rename = "remittanceInformationUnstructuredArray", deserialize_with = "words")]
    texts: Vec<String>,
    #[serde(rename = "remittanceInformationStructured", deserialize_with = "words")]
    reference: Vec<String>,
    #[serde(rename = "remittanceInformationStructuredArray", deserialize_with = "words")]
    references: Vec<String>,
    #[serde(rename = "additionalInformation", deserialize_with = "words")]
    additional: Vec<String>,
    #[serde(rename = "bankTransactionCode", deserialize_with = "word")]
    code: Option<String>,
    #[serde(rename = "proprietaryBankTransactionCode", deserialize_with = "word")]
    own_code: Option<String>,
    #[serde(rename = "merchantCategoryCode", deserialize_with = "word")]
    merchant_category: Option<String>,
    #[serde(rename = "balanceAfterTransaction", deserialize_with = "object_or_none")]
    balance_after: Option<BalanceBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReferenceBody {
    #[serde(deserialize_with = "word")]
    iban: Option<String>,
    #[serde(deserialize_with = "word")]
    bban: Option<String>,
    #[serde(rename = "maskedPan", deserialize_with = "word")]
    masked_pan: Option<String>,
    #[serde(deserialize_with = "word")]
    msisdn: Option<String>,
}

/// A payment, its status alone or all of it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PaymentBody {
    #[serde(rename = "transactionStatus", deserialize_with = "word")]
    status: Option<String>,
    #[serde(rename = "endToEndIdentification", deserialize_with = "word")]
    tpp_id: Option<String>,
    #[serde(deserialize_with = "list")]
    payments: Vec<PaymentBody>,
}

/// What was granted (RFC 6749, section 5.1).
#[derive(Deserialize)]
pub(super) struct GrantBody {
    access_token: String,
    #[serde(default, deserialize_with = "word")]
    refresh_token: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    expires_in: Option<u64>,
}

impl ConsentBody {
    pub(super) fn told(self, zone: Zone) -> Result<ConsentTold, AspspError> {
        let raw_status = self.status.ok_or_else(|| unreadable("the consent has no status"))?;
        Ok(ConsentTold {
            status: ConsentStatus::berlin(&raw_status),
            raw_status,
            valid_until: self.valid_until.and_then(|text| zone.day(&text)),
            frequency_per_day: self.frequency_per_day.and_then(|times| u32::try_from(times).ok()),
            is_recurring: self.recurring,
        })
    }
}

impl AccountBody {
    pub(super) fn told(self) -> Account {
        Account {
            resource_id: self.resource_id,
            iban: self.iban,
            number: self.bban.or(self.masked_pan).or(self.msisdn),
            currency: self.currency,
            name: self.display_name.or(self.name),
            product: self.product,
            kind: self.kind,
            status: self.status,
        }
    }
}

impl BalanceBody {
    pub(super) fn told(self, zone: Zone) -> Result<Balance, AspspError> {
        let told = self.amount.unwrap_or_default();
        Ok(Balance {
            kind: self.kind.ok_or_else(|| unreadable("a balance has no type"))?,
            amount: told.amount.ok_or_else(|| unreadable("a balance has no amount"))?,
            currency: told.currency,
            credit_limit_included: self.credit_limit_included,
            reference_date: self.reference_date.and_then(|text| zone.day(&text)),
            changed_at: self.changed_at.and_then(|text| zone.moment(&text)),
            last_transaction: self.last_transaction,
        })
    }
}

/// All balances of a list.
pub(super) fn balances(bodies: Vec<BalanceBody>, zone: Zone) -> Result<Vec<Balance>, AspspError> {
    bodies.into_iter().map(|body| body.told(zone)).collect()
}

impl TransactionBody {
    pub(super) fn told(self, state: TransactionState, zone: Zone) -> Result<Transaction, AspspError> {
        let told = self.amount.unwrap_or_default();
        let amount = told.amount.ok_or_else(|| unreadable("a transaction has no amount"))?;
        let creditor = party(self.creditor_name, self.creditor_account);
        let debtor = party(self.debtor_name, self.debtor_account);
        // Money that left went to the creditor; whoever is named at our own end is no counterparty.
        let counterparty = if amount.is_negative() { creditor } else { debtor };
        let mut texts: Vec<String> = Vec::new();
        for text in
            [self.text, self.texts, self.reference, self.references, self.additional].into_iter().flatten()
        {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        Ok(Transaction {
            state,
            item_id: None,
            entry_reference: self.entry_reference,
            transaction_id: self.transaction_id,
            booking_date: booked_on(self.booking_date, zone)?,
            value_date: self.value_date.and_then(|text| zone.day(&text)),
            trade_date: self.trade_date.and_then(|text| zone.day(&text)),
            amount,
            currency: told.currency,
            texts,
            counterparty,
            balance_after: self.balance_after.and_then(|balance| balance.amount?.amount),
            category: self.code.or(self.own_code),
            merchant_category: self.merchant_category,
            held_until: None,
        })
    }
}

impl PaymentBody {
    pub(super) fn told(self, id: Option<&str>, kind: PaymentKind) -> Result<PaymentTold, AspspError> {
        let raw = self.status.ok_or_else(|| unreadable("the payment has no status"))?;
        // A payment of a bundle that is told without a status tells nothing.
        let children = self.payments.into_iter().filter(|child| child.status.is_some());
        Ok(PaymentTold {
            id: id.map(str::to_owned),
            tpp_id: self.tpp_id,
            status: ToldStatus::iso(&raw, kind),
            detail: None,
            is_future_dated: None,
            children: children
                .map(|child| child.told(None, PaymentKind::Single))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl GrantBody {
    pub(super) fn told(self) -> Result<Grant, AspspError> {
        if self.access_token.trim().is_empty() {
            return Err(unreadable("the granted token is empty"));
        }
        Ok(Grant {
            access_token: SecretString::from(self.access_token),
            refresh_token: self.refresh_token.map(SecretString::from),
            expires_in: self.expires_in.map(Duration::from_secs),
            consent: None,
        })
    }
}

fn booked_on(text: Option<String>, zone: Zone) -> Result<Option<NaiveDate>, AspspError> {
    text.map(|text| zone.day(&text).ok_or_else(|| unreadable("a transaction's booking date is no date")))
        .transpose()
}

fn party(name: Option<String>, account: Option<ReferenceBody>) -> Counterparty {
    let account = account.unwrap_or_default();
    Counterparty { name, account: account.iban.or(account.bban).or(account.masked_pan).or(account.msisdn) }
}

/// A link, as an object or as bare text.
fn href<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => kept(&text),
        Value::Object(object) => object.get("href").and_then(Value::as_str).and_then(kept),
        _ => None,
    })
}

fn links<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Links, D::Error> {
    object(deserializer).map(Option::unwrap_or_default)
}
