//! The standard's bodies: requests as closed schemas, answers as a bank gives them.
//!
//! **Owns** nothing. **Fails** never.
//! **Limits**: the fields that a bank usually tells; what a request may have and is of no use here is read and left.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The head of every request. A token and what follows it are not in every one; who wants which is checked apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestHeader {
    pub request_id: String,
    #[serde(rename = "userAgent")]
    _user_agent: Option<String>,
    pub ip_address: Option<String>,
    pub send_date: Option<String>,
    #[serde(rename = "tppId")]
    _tpp_id: Option<String>,
    pub token: Option<String>,
    pub is_direct_psu: Option<bool>,
    #[serde(rename = "callbackURL")]
    pub callback_url: Option<String>,
    pub api_key: Option<String>,
    #[serde(rename = "isCompanyContext")]
    _is_company_context: Option<bool>,
    #[serde(rename = "psuIdentifierType")]
    _psu_identifier_type: Option<String>,
    #[serde(rename = "psuIdentifierValue")]
    _psu_identifier_value: Option<String>,
    #[serde(rename = "psuContextIdentifierType")]
    _psu_context_identifier_type: Option<String>,
    #[serde(rename = "psuContextIdentifierValue")]
    _psu_context_identifier_value: Option<String>,
}

/// Anything with that head.
pub trait Headed {
    fn header(&self) -> &RequestHeader;
}

macro_rules! headed {
    ($($request:ident),*) => {
        $(impl Headed for $request {
            fn header(&self) -> &RequestHeader {
                &self.request_header
            }
        })*
    };
}

headed!(
    TokenRequest,
    AccountsRequest,
    AccountRequest,
    ItemsRequest,
    PaymentRequest,
    PaymentsRequest,
    BundleRequest,
    RecurringRequest
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    #[serde(rename = "requestHeader")]
    pub request_header: RequestHeader,
    pub grant_type: String,
    pub client_id: Option<String>,
    pub refresh_token: Option<String>,
    pub is_user_session: Option<bool>,
    pub user_ip: Option<String>,
    #[serde(rename = "user_agent")]
    _user_agent: Option<String>,
    #[serde(rename = "scope")]
    _scope: Option<String>,
    #[serde(rename = "redirect_uri")]
    _redirect_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountsRequest {
    pub request_header: RequestHeader,
    #[serde(rename = "typeOfPsuRelation")]
    _type_of_psu_relation: Option<String>,
    pub page_id: Option<String>,
    pub per_page: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountRequest {
    pub request_header: RequestHeader,
    pub account_number: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Category {
    Credit,
    Debit,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemsRequest {
    pub request_header: RequestHeader,
    pub account_number: String,
    pub item_id_from: Option<String>,
    pub transaction_date_from: Option<NaiveDate>,
    pub transaction_date_to: Option<NaiveDate>,
    pub booking_date_from: Option<NaiveDate>,
    pub booking_date_to: Option<NaiveDate>,
    pub min_amount: Option<String>,
    pub max_amount: Option<String>,
    #[serde(rename = "type")]
    pub category: Option<Category>,
    pub page_id: Option<String>,
    pub per_page: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentRequest {
    pub request_header: RequestHeader,
    pub payment_id: Option<String>,
    pub tpp_transaction_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentsRequest {
    pub request_header: RequestHeader,
    pub payments: Vec<PaymentEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentEntry {
    pub access_token: String,
    pub payment_id: Option<String>,
    pub tpp_transaction_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleRequest {
    pub request_header: RequestHeader,
    pub bundle_id: Option<String>,
    pub tpp_bundle_id: Option<String>,
    pub transactions_included: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecurringRequest {
    pub request_header: RequestHeader,
    pub recurring_payment_id: Option<String>,
    pub tpp_recurring_payment_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseHeader<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    pub send_date: String,
    pub is_callback: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Error<'a> {
    pub response_header: ResponseHeader<'a>,
    pub code: &'a str,
    pub message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bare<'a> {
    pub response_header: ResponseHeader<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page: Option<String>,
}

#[derive(Serialize)]
pub struct DictionaryItem {
    pub code: &'static str,
    pub description: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Relation {
    pub type_of_relation: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accounts<'a> {
    pub response_header: ResponseHeader<'a>,
    pub accounts: Vec<AccountBase>,
    pub page_info: PageInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountBase {
    pub account_number: String,
    pub account_type_name: &'static str,
    pub account_type: DictionaryItem,
    pub psu_relations: [Relation; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountAnswer<'a> {
    pub response_header: ResponseHeader<'a>,
    pub account: AccountInfo<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountInfo<'a> {
    pub account_number: &'a str,
    pub name_address: Names<'a>,
    pub account_type: DictionaryItem,
    pub account_type_name: &'static str,
    pub account_holder_type: &'static str,
    pub currency: &'a str,
    pub available_balance: String,
    pub booking_balance: String,
    pub psu_relations: [Relation; 1],
}

#[derive(Serialize)]
pub struct Names<'a> {
    pub value: [&'a str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Items<'a> {
    pub response_header: ResponseHeader<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Vec<ItemInfo<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<Vec<ItemInfo<'a>>>,
    pub page_info: PageInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemInfo<'a> {
    pub item_id: &'a str,
    pub amount: String,
    pub currency: &'a str,
    pub description: &'a str,
    pub trade_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_category: Option<Category>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booking_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_transaction_balance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_expiration_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Party<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Party<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Party<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_number: Option<&'a str>,
    pub name_address: Names<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentInfo<'a> {
    pub payment_id: &'a str,
    pub tpp_transaction_id: &'a str,
    pub general_status: &'a str,
    pub detailed_status: &'a str,
    pub execution_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentAnswer<'a> {
    pub response_header: ResponseHeader<'a>,
    #[serde(flatten)]
    pub payment: PaymentInfo<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentsAnswer<'a> {
    pub response_header: ResponseHeader<'a>,
    pub payments: Vec<PaymentInfo<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleAnswer<'a> {
    pub response_header: ResponseHeader<'a>,
    pub bundle_id: &'a str,
    pub tpp_bundle_id: &'a str,
    pub bundle_status: &'a str,
    pub bundle_detailed_status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payments: Option<Vec<PaymentInfo<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecurringAnswer<'a> {
    pub response_header: ResponseHeader<'a>,
    pub recurring_payment_id: &'a str,
    pub tpp_recurring_payment_id: &'a str,
    pub recurring_payment_status: &'a str,
    pub recurring_payment_detailed_status: &'a str,
}
