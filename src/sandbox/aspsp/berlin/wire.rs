//! What the standard's answers look like.
//!
//! **Owns** nothing. **Fails** never.
//! **Limits**: the fields that a bank usually tells.

use chrono::NaiveDate;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Messages<'a> {
    pub tpp_messages: [Message<'a>; 1],
}

#[derive(Serialize)]
pub struct Message<'a> {
    pub category: &'static str,
    pub code: &'a str,
    pub text: &'a str,
}

#[derive(Serialize)]
pub struct Link {
    pub href: String,
}

#[derive(Serialize)]
pub struct Amount<'a> {
    pub currency: &'a str,
    pub amount: String,
}

#[derive(Serialize)]
pub struct Reference<'a> {
    pub iban: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance<'a> {
    pub balance_amount: Amount<'a>,
    pub balance_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_date: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_change_date_time: Option<String>,
}

#[derive(Serialize)]
pub struct AccountList<'a> {
    pub accounts: Vec<Account<'a>>,
}

#[derive(Serialize)]
pub struct AccountDetails<'a> {
    pub account: Account<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account<'a> {
    pub resource_id: String,
    pub iban: &'a str,
    pub currency: &'a str,
    pub name: &'static str,
    pub product: &'static str,
    pub cash_account_type: &'static str,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balances: Option<Vec<Balance<'a>>>,
    #[serde(rename = "_links")]
    pub links: AccountLinks,
}

#[derive(Serialize)]
pub struct AccountLinks {
    pub balances: Link,
    pub transactions: Link,
}

#[derive(Serialize)]
pub struct Balances<'a> {
    pub account: Reference<'a>,
    pub balances: Vec<Balance<'a>>,
}

#[derive(Serialize)]
pub struct Transactions<'a> {
    pub account: Reference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Report<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balances: Option<Vec<Balance<'a>>>,
    #[serde(rename = "_links", skip_serializing_if = "Option::is_none")]
    pub links: Option<Download>,
}

#[derive(Serialize)]
pub struct Download {
    pub download: Link,
}

#[derive(Serialize)]
pub struct Report<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booked: Option<Vec<Transaction<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Vec<Transaction<'a>>>,
    #[serde(rename = "_links")]
    pub links: ReportLinks,
}

#[derive(Serialize)]
pub struct ReportLinks {
    pub account: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Link>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booking_date: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_date: Option<NaiveDate>,
    pub transaction_amount: Amount<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creditor_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creditor_account: Option<Reference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debtor_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debtor_account: Option<Reference<'a>>,
    pub remittance_information_unstructured: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_after_transaction: Option<Balance<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsentStatus<'a> {
    pub consent_status: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consent<'a> {
    pub access: Access<'a>,
    pub recurring_indicator: bool,
    pub valid_until: NaiveDate,
    pub frequency_per_day: u32,
    pub last_action_date: NaiveDate,
    pub consent_status: &'a str,
}

#[derive(Serialize)]
pub struct Access<'a> {
    pub accounts: Vec<Reference<'a>>,
    pub balances: Vec<Reference<'a>>,
    pub transactions: Vec<Reference<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentStatus<'a> {
    pub transaction_status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funds_available: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment<'a> {
    pub end_to_end_identification: &'a str,
    pub debtor_account: Reference<'static>,
    pub instructed_amount: Amount<'static>,
    pub creditor_account: Reference<'static>,
    pub creditor_name: &'static str,
    pub transaction_status: &'a str,
}
