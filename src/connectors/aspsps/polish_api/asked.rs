//! What PolishAPI's ASPSPs are asked, in its own names.
//!
//! **Owns** nothing. **Limits**: of the standard's fields those that an unattended question has. The address and the browser of a
//! PSU, and an address to call back, have no place here.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

/// `requestHeader`
#[derive(Serialize)]
pub(super) struct RequestHeader<'a> {
    #[serde(rename = "requestId")]
    pub(super) request_id: Uuid,
    #[serde(rename = "sendDate")]
    pub(super) sent_at: String,
    #[serde(rename = "tppId", skip_serializing_if = "Option::is_none")]
    pub(super) tpp_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<&'a str>,
    #[serde(rename = "isDirectPsu", skip_serializing_if = "Option::is_none")]
    pub(super) is_direct_psu: Option<bool>,
}

/// A request: the header, and what the operation takes besides.
#[derive(Serialize)]
pub(super) struct Asked<'a, B> {
    #[serde(rename = "requestHeader")]
    pub(super) header: RequestHeader<'a>,
    #[serde(flatten)]
    pub(super) body: B,
}

#[derive(Serialize)]
pub(super) struct AccountsAsked<'a> {
    #[serde(rename = "pageId", skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<&'a str>,
    #[serde(rename = "perPage", skip_serializing_if = "Option::is_none")]
    pub(super) per_page: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct AccountAsked<'a> {
    #[serde(rename = "accountNumber")]
    pub(super) number: &'a str,
}

#[derive(Serialize)]
pub(super) struct ItemsAsked<'a> {
    #[serde(rename = "accountNumber")]
    pub(super) number: &'a str,
    #[serde(rename = "itemIdFrom", skip_serializing_if = "Option::is_none")]
    pub(super) after_item: Option<&'a str>,
    /// The two names of the days, and the days.
    #[serde(flatten)]
    pub(super) days: BTreeMap<&'static str, String>,
    #[serde(flatten)]
    pub(super) page: AccountsAsked<'a>,
}

#[derive(Serialize)]
pub(super) struct PaymentAsked<'a> {
    #[serde(rename = "paymentId", skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "tppTransactionId", skip_serializing_if = "Option::is_none")]
    pub(super) tpp_id: Option<&'a str>,
    #[serde(rename = "accessToken", skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct PaymentsAsked<'a> {
    pub(super) payments: Vec<PaymentAsked<'a>>,
}

#[derive(Serialize)]
pub(super) struct BundleAsked<'a> {
    #[serde(rename = "bundleId", skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "tppBundleId", skip_serializing_if = "Option::is_none")]
    pub(super) tpp_id: Option<&'a str>,
    #[serde(rename = "transactionsIncluded")]
    pub(super) with_children: bool,
}

#[derive(Serialize)]
pub(super) struct RecurringAsked<'a> {
    #[serde(rename = "recurringPaymentId", skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "tppRecurringPaymentId", skip_serializing_if = "Option::is_none")]
    pub(super) tpp_id: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct TokenAsked<'a> {
    pub(super) grant_type: &'static str,
    pub(super) refresh_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<&'a str>,
    pub(super) is_user_session: bool,
}
