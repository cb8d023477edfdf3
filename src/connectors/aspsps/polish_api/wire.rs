//! What PolishAPI's ASPSPs answer, in its own names.
//!
//! **Owns** nothing. Unknown fields are ignored, and what tells of nobody's money is read with patience; an amount that is none, or
//! one of which nobody says whether it came or went, makes the answer unreadable.
//! **Limits**: amounts are unsigned and balances signed, also the one whose pattern forbids it, for overdrafts there are.

use serde::Deserialize;
use serde_json::Value;

use crate::connectors::aspsps::amount::{Amount, amount};
use crate::connectors::aspsps::day::Zone;
use crate::connectors::aspsps::error::unreadable;
use crate::connectors::aspsps::text::{flag, list, list_if_told, object, object_or_none, whole, word, words};
use crate::connectors::aspsps::{
    Account, AccountDetails, AspspError, Balance, Counterparty, GrantedAccount, GrantedConsent, PaymentKind,
    PaymentTold, Privilege, ToldStatus, Transaction, TransactionState,
};

/// Shorter than any number of an account in full.
const ACCOUNT_DIGITS_MIN: usize = 10;

/// `responseHeader`
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ResponseHeader {
    #[serde(rename = "requestId", deserialize_with = "word")]
    pub(super) request_id: Option<String>,
    #[serde(rename = "isCallback", deserialize_with = "flag")]
    pub(super) is_callback: Option<bool>,
}

/// The header alone, which is read before the rest is.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct HeaderOnly {
    #[serde(rename = "responseHeader", deserialize_with = "object")]
    pub(super) header: Option<ResponseHeader>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PageInfo {
    #[serde(rename = "nextPage", deserialize_with = "word")]
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct AccountsBody {
    #[serde(default, deserialize_with = "list")]
    pub(super) accounts: Vec<AccountBody>,
    #[serde(rename = "pageInfo", default, deserialize_with = "object")]
    pub(super) page: Option<PageInfo>,
}

#[derive(Deserialize)]
pub(super) struct AccountDetailsBody {
    #[serde(deserialize_with = "object")]
    pub(super) account: Option<AccountBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct AccountBody {
    #[serde(rename = "accountNumber", deserialize_with = "word")]
    number: Option<String>,
    #[serde(rename = "accountType", deserialize_with = "object_or_none")]
    kind: Option<Item>,
    #[serde(rename = "accountTypeName", deserialize_with = "word")]
    type_name: Option<String>,
    #[serde(rename = "accountNameClient", deserialize_with = "word")]
    name: Option<String>,
    #[serde(deserialize_with = "word")]
    currency: Option<String>,
    #[serde(rename = "availableBalance", deserialize_with = "amount")]
    available: Option<Amount>,
    #[serde(rename = "bookingBalance", deserialize_with = "amount")]
    booked: Option<Amount>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Item {
    #[serde(deserialize_with = "word")]
    code: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ItemsBody {
    /// Of transactions; holds stand elsewhere.
    #[serde(default, deserialize_with = "list_if_told")]
    pub(super) transactions: Option<Vec<ItemBody>>,
    #[serde(default, deserialize_with = "list_if_told")]
    pub(super) holds: Option<Vec<ItemBody>>,
    #[serde(rename = "pageInfo", default, deserialize_with = "object")]
    pub(super) page: Option<PageInfo>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ItemBody {
    #[serde(rename = "itemId", deserialize_with = "word")]
    id: Option<String>,
    #[serde(deserialize_with = "amount")]
    amount: Option<Amount>,
    #[serde(rename = "transactionCategory", deserialize_with = "word")]
    direction: Option<String>,
    #[serde(deserialize_with = "word")]
    currency: Option<String>,
    #[serde(deserialize_with = "words")]
    description: Vec<String>,
    #[serde(rename = "transactionType", deserialize_with = "word")]
    kind: Option<String>,
    #[serde(rename = "tradeDate", deserialize_with = "word")]
    trade_date: Option<String>,
    #[serde(rename = "bookingDate", deserialize_with = "word")]
    booking_date: Option<String>,
    #[serde(rename = "postTransactionBalance", deserialize_with = "amount")]
    balance_after: Option<Amount>,
    #[serde(deserialize_with = "word")]
    mcc: Option<String>,
    #[serde(deserialize_with = "object_or_none")]
    sender: Option<PartyBody>,
    #[serde(deserialize_with = "object_or_none")]
    recipient: Option<PartyBody>,
    #[serde(rename = "holdExpirationDate", deserialize_with = "word")]
    held_until: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PartyBody {
    #[serde(rename = "accountNumber", deserialize_with = "word")]
    number: Option<String>,
    #[serde(rename = "accountMassPayment", deserialize_with = "word")]
    mass_payment: Option<String>,
    #[serde(rename = "nameAddress", deserialize_with = "object_or_none")]
    name: Option<NameBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NameBody {
    #[serde(deserialize_with = "words")]
    value: Vec<String>,
}

/// A payment, a bundle, a recurring payment, or a list of payments: each has names of its own, and may tell another's besides.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PaymentBody {
    #[serde(rename = "paymentId", deserialize_with = "word")]
    pub(super) id: Option<String>,
    #[serde(rename = "tppTransactionId", deserialize_with = "word")]
    pub(super) tpp_id: Option<String>,
    #[serde(rename = "generalStatus", deserialize_with = "word")]
    status: Option<String>,
    #[serde(rename = "detailedStatus", deserialize_with = "word")]
    detail: Option<String>,
    #[serde(rename = "executionMode", deserialize_with = "word")]
    mode: Option<String>,
    #[serde(rename = "bundleId", deserialize_with = "word")]
    bundle_id: Option<String>,
    #[serde(rename = "tppBundleId", deserialize_with = "word")]
    bundle_tpp_id: Option<String>,
    #[serde(rename = "bundleStatus", deserialize_with = "word")]
    bundle_status: Option<String>,
    #[serde(rename = "bundleDetailedStatus", deserialize_with = "word")]
    bundle_detail: Option<String>,
    #[serde(rename = "recurringPaymentId", deserialize_with = "word")]
    recurring_id: Option<String>,
    #[serde(rename = "tppRecurringPaymentId", deserialize_with = "word")]
    recurring_tpp_id: Option<String>,
    #[serde(rename = "recurringPaymentStatus", deserialize_with = "word")]
    recurring_status: Option<String>,
    #[serde(rename = "recurringPaymentDetailedStatus", deserialize_with = "word")]
    recurring_detail: Option<String>,
    #[serde(deserialize_with = "list")]
    pub(super) payments: Vec<PaymentBody>,
}

#[derive(Deserialize)]
pub(super) struct TokenBody {
    pub(super) access_token: String,
    #[serde(default, deserialize_with = "word")]
    pub(super) refresh_token: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    pub(super) expires_in: Option<u64>,
    #[serde(rename = "scope_details", default, deserialize_with = "object_or_none")]
    pub(super) scope: Option<ScopeBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ScopeBody {
    #[serde(rename = "consentId", deserialize_with = "word")]
    consent_id: Option<String>,
    #[serde(rename = "scopeTimeLimit", deserialize_with = "word")]
    valid_until: Option<String>,
    /// A list by the schema, one object by its example.
    #[serde(rename = "privilegeList")]
    privileges: Value,
}

impl AccountBody {
    pub(super) fn told(self) -> Account {
        let number = self.number;
        let has_country = |number: &String| number.bytes().take(2).all(|byte| byte.is_ascii_uppercase());
        let is_iban = number.as_ref().is_some_and(|number| has_country(number) && is_whole(number));
        Account {
            resource_id: number.clone().filter(|number| is_whole(number)),
            iban: number.clone().filter(|_| is_iban),
            number: number.filter(|_| !is_iban),
            currency: self.currency,
            name: self.name,
            product: self.type_name,
            kind: self.kind.and_then(|kind| kind.code),
            status: None,
        }
    }

    pub(super) fn told_in_full(self) -> AccountDetails {
        let kinds = [("availableBalance", self.available), ("bookingBalance", self.booked)];
        let balance = |(kind, amount): (&str, Option<Amount>)| {
            Some(Balance {
                kind: kind.to_owned(),
                amount: amount?,
                currency: self.currency.clone(),
                credit_limit_included: None,
                reference_date: None,
                changed_at: None,
                last_transaction: None,
            })
        };
        let balances = kinds.into_iter().filter_map(balance).collect();
        AccountDetails { account: self.told(), balances }
    }
}

impl ItemBody {
    pub(super) fn told(self, state: TransactionState, zone: Zone) -> Result<Transaction, AspspError> {
        let size = self.amount.ok_or_else(|| unreadable("a transaction has no amount"))?;
        if size.is_negative() {
            return Err(unreadable("an unsigned amount has a sign"));
        }
        let is_debit = match (self.direction.as_deref(), state) {
            (Some("DEBIT"), _) | (None, TransactionState::Held) => true,
            (Some("CREDIT"), _) => false,
            _ => return Err(unreadable("a transaction is neither a credit nor a debit")),
        };
        let booking_date = self
            .booking_date
            .map(|text| zone.day(&text).ok_or_else(|| unreadable("a transaction's booking date is no date")));
        let other = if is_debit { self.recipient } else { self.sender };
        Ok(Transaction {
            state,
            item_id: self.id,
            entry_reference: None,
            transaction_id: None,
            booking_date: booking_date.transpose()?,
            value_date: None,
            trade_date: self.trade_date.and_then(|text| zone.day(&text)),
            amount: if is_debit { size.negated() } else { size },
            currency: self.currency,
            texts: self.description,
            counterparty: other.map(PartyBody::told).unwrap_or_default(),
            balance_after: self.balance_after,
            category: self.kind,
            merchant_category: self.mcc,
            held_until: self.held_until.and_then(|text| zone.moment(&text)),
        })
    }
}

impl PartyBody {
    fn told(self) -> Counterparty {
        let lines = self.name.unwrap_or_default().value;
        let name = (!lines.is_empty()).then(|| lines.join(" "));
        Counterparty { name, account: self.number.or(self.mass_payment) }
    }
}

impl PaymentBody {
    pub(super) fn told(self, kind: PaymentKind) -> Result<PaymentTold, AspspError> {
        let (id, tpp_id, status, detail) = match kind {
            PaymentKind::Single => (self.id, self.tpp_id, self.status, self.detail),
            PaymentKind::Bundle => {
                (self.bundle_id, self.bundle_tpp_id, self.bundle_status, self.bundle_detail)
            }
            PaymentKind::Recurring => {
                (self.recurring_id, self.recurring_tpp_id, self.recurring_status, self.recurring_detail)
            }
        };
        let raw = status.ok_or_else(|| unreadable("the payment has no status"))?;
        let children = self.payments.into_iter().filter(|_| kind == PaymentKind::Bundle);
        Ok(PaymentTold {
            id,
            tpp_id,
            status: ToldStatus::polish(&raw, kind),
            detail,
            is_future_dated: match self.mode.as_deref() {
                Some("FutureDated") => Some(true),
                Some("Immediate") => Some(false),
                _ => None,
            },
            children: children.map(|child| child.told(PaymentKind::Single)).collect::<Result<_, _>>()?,
        })
    }
}

impl ScopeBody {
    pub(super) fn told(self, zone: Zone) -> GrantedConsent {
        let entries = match self.privileges {
            Value::Array(entries) => entries,
            one @ Value::Object(_) => vec![one],
            _ => Vec::new(),
        };
        GrantedConsent {
            consent_id: self.consent_id,
            valid_until: self.valid_until.and_then(|text| zone.moment(&text)),
            accounts: entries.iter().filter_map(granted).collect(),
        }
    }
}

fn granted(entry: &Value) -> Option<GrantedAccount> {
    let entry = entry.as_object()?;
    let number =
        entry.get("accountNumber").and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let privileges = entry.iter().filter_map(|(name, privilege)| {
        let privilege = privilege.as_object().filter(|_| name.contains(':'))?;
        let history = privilege.get("maxAllowedHistoryLong").and_then(Value::as_u64);
        Some(Privilege {
            operation: name.clone(),
            // Where nothing is said nothing is promised.
            is_repeatable: privilege.get("scopeUsageLimit").and_then(Value::as_str) == Some("multiple"),
            history_days_max: history.and_then(|days| u32::try_from(days).ok()),
        })
    });
    Some(GrantedAccount { number: number.map(str::to_owned), privileges: privileges.collect() })
}

/// Whether a number is told in full: lists mask a part of it.
fn is_whole(number: &str) -> bool {
    let bare: String = number.chars().filter(|sign| !sign.is_whitespace()).collect();
    let digits = bare.trim_start_matches(|sign: char| sign.is_ascii_uppercase());
    bare.len() - digits.len() <= 2
        && digits.len() >= ACCOUNT_DIGITS_MIN
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}
