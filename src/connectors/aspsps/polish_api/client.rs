//! The calls themselves: each is a POST of one JSON object, signed, under an id of version 1.
//!
//! **Owns** the line and the signing key. **Fails** as `error` says.
//! **Limits**: each call is made once. Headers are written exactly as the standard's enumerations have them: `gzip` and not a list of
//! encodings, `utf-8` in small letters.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use chrono::SecondsFormat;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HeaderName,
    HeaderValue,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::asked::{
    AccountAsked, AccountsAsked, Asked, BundleAsked, ItemsAsked, PaymentAsked, PaymentsAsked, RecurringAsked,
    RequestHeader, TokenAsked,
};
use super::wire::{
    AccountDetailsBody, AccountsBody, HeaderOnly, ItemsBody, PageInfo, PaymentBody, TokenBody,
};
use super::{error, jws};
use crate::connectors::aspsps::config::AspspConfig;
use crate::connectors::aspsps::error::{misconfigured, unreadable, unsupported};
use crate::connectors::aspsps::line::{Line, bearer, json, plain};
use crate::connectors::aspsps::request_id;
use crate::connectors::aspsps::signing::{Encoding, Signer};
use crate::connectors::aspsps::{
    Access, AccountDetails, AccountPage, AspspError, CallRecord, ConsentTold, Cursor, Grant, Operation,
    PaymentKey, PaymentKind, PaymentTold, Told, TransactionList, TransactionPage, TransactionState,
    TransactionsRequest,
};
use crate::connectors::http::{HttpClientError, HttpConfig, Request};

const JWS_SIGNATURE: HeaderName = HeaderName::from_static("x-jws-signature");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const ACCOUNTS: &str = "accounts";
const PAYMENTS: &str = "payments";
const AUTH: &str = "auth";

#[derive(Debug)]
pub(super) struct Client {
    config: AspspConfig,
    line: Line,
    signer: Option<Signer>,
}

/// What kind of header a request has.
#[derive(Clone, Copy)]
struct Asking<'a> {
    service: &'static str,
    /// Whether the operation declares a token, which goes into both headers.
    needs_token: bool,
    token: Option<&'a SecretString>,
    /// Whether it says that no PSU is there; only questions about accounts can.
    says_unattended: bool,
}

impl Client {
    pub(super) fn new(config: AspspConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        let line = Line::new(&config, http)?;
        let signer = Signer::of(&config.signature, Encoding::Fixed);
        Ok(Self { config, line, signer })
    }

    pub(super) fn config(&self) -> &AspspConfig {
        &self.config
    }

    pub(super) fn no_consent_status(&self) -> Told<ConsentTold> {
        let call = begin(Operation::ConsentStatus, "consent_status");
        Told::unsent(call, unsupported("the standard has no status of a consent"))
    }

    pub(super) async fn accounts(&self, access: &Access<'_>, cursor: Option<&Cursor>) -> Told<AccountPage> {
        let call = begin(Operation::Accounts, "getAccounts");
        let page = match cursor.map(page_id).transpose() {
            Ok(page) => page,
            Err(error) => return Told::unsent(call, error),
        };
        let body = AccountsAsked { page, per_page: self.per_page() };
        let told = self.ask::<_, AccountsBody>(call, of_accounts(access), body).await;
        told.read(|body, _| {
            let next = self.next(body.page, page)?;
            Ok(AccountPage {
                accounts: body.accounts.into_iter().map(|account| account.told()).collect(),
                next,
            })
        })
    }

    pub(super) async fn account(&self, access: &Access<'_>, account: &str) -> Told<AccountDetails> {
        let call = begin(Operation::AccountDetails, "getAccount");
        let told =
            self.ask::<_, AccountDetailsBody>(call, of_accounts(access), AccountAsked { number: account });
        told.await.read(|body, _| {
            let account = body.account.ok_or_else(|| unreadable("the answer has no account"))?;
            Ok(account.told_in_full())
        })
    }

    pub(super) async fn transactions(
        &self,
        access: &Access<'_>,
        list: TransactionList,
        request: &TransactionsRequest<'_>,
    ) -> Told<TransactionPage> {
        let (operation, method, state) = match list {
            TransactionList::Booked | TransactionList::Both => {
                (Operation::Transactions, "getTransactionsDone", TransactionState::Booked)
            }
            TransactionList::Pending => {
                (Operation::TransactionsPending, "getTransactionsPending", TransactionState::Pending)
            }
            TransactionList::Scheduled => {
                (Operation::TransactionsScheduled, "getTransactionsScheduled", TransactionState::Scheduled)
            }
            TransactionList::Rejected => {
                (Operation::TransactionsRejected, "getTransactionsRejected", TransactionState::Rejected)
            }
            TransactionList::Cancelled => {
                (Operation::TransactionsCancelled, "getTransactionsCancelled", TransactionState::Cancelled)
            }
        };
        let call = begin(operation, method);
        if !self.config.polish_api.lists().contains(&list) {
            return Told::unsent(call, unsupported("the aspsp has no such list"));
        }
        self.items(call, access, state, request).await
    }

    pub(super) async fn holds(
        &self,
        access: &Access<'_>,
        request: &TransactionsRequest<'_>,
    ) -> Told<TransactionPage> {
        let call = begin(Operation::Holds, "getHolds");
        if !self.config.polish_api.holds {
            return Told::unsent(call, unsupported("the aspsp tells of no holds"));
        }
        self.items(call, access, TransactionState::Held, request).await
    }

    async fn items(
        &self,
        call: CallRecord,
        access: &Access<'_>,
        state: TransactionState,
        request: &TransactionsRequest<'_>,
    ) -> Told<TransactionPage> {
        let page = match request.cursor.map(page_id).transpose() {
            Ok(page) => page,
            Err(error) => return Told::unsent(call, error),
        };
        // Days of booking are ignored for what is not booked.
        let (from, to) = match state {
            TransactionState::Booked => ("bookingDateFrom", "bookingDateTo"),
            _ => ("transactionDateFrom", "transactionDateTo"),
        };
        let days = [(from, Some(request.from)), (to, request.to)];
        let days = days.into_iter().filter_map(|(name, day)| Some((name, day?.to_string())));
        let body = ItemsAsked {
            number: request.account,
            after_item: request.after_item,
            days: days.collect::<BTreeMap<_, _>>(),
            page: AccountsAsked { page, per_page: self.per_page() },
        };
        let told = self.ask::<_, ItemsBody>(call, of_accounts(access), body).await;
        told.read(|body, _| {
            let is_held = state == TransactionState::Held;
            let items = if is_held { body.holds } else { body.transactions };
            let tells_pending = items.is_some() && (is_held || state == TransactionState::Pending);
            let zone = self.config.zone;
            let items = items.into_iter().flatten().map(|item| item.told(state, zone));
            Ok(TransactionPage {
                transactions: items.collect::<Result<_, _>>()?,
                tells_pending,
                balances: Vec::new(),
                next: self.next(body.page, page)?,
            })
        })
    }

    pub(super) async fn payment(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        let call = begin(Operation::Payment, "getPayment");
        let (id, tpp_id) = match ids(key) {
            Ok(ids) => ids,
            Err(error) => return Told::unsent(call, error),
        };
        let told =
            self.ask::<_, PaymentBody>(call, of_payment(key), PaymentAsked { id, tpp_id, token: None }).await;
        told.read(|body, _| body.told(PaymentKind::Single))
    }

    pub(super) async fn payments(
        &self,
        keys: &[PaymentKey<'_>],
    ) -> Told<Vec<Result<PaymentTold, AspspError>>> {
        if let [key] = keys {
            return self.payment(key).await.read(|payment, _| Ok(vec![Ok(payment)]));
        }
        let call = begin(Operation::Payments, "getMultiplePayments");
        if keys.len() > self.config.polish_api.payments_max {
            return Told::unsent(call, unsupported("more payments than one call may ask about"));
        }
        let asked: Vec<Result<PaymentAsked<'_>, AspspError>> = keys.iter().map(one_of_many).collect();
        let payments: Vec<PaymentAsked<'_>> = keys.iter().filter_map(|key| one_of_many(key).ok()).collect();
        if payments.is_empty() {
            return Told::unsent(call, unsupported("no payment has an id and the token that started it"));
        }
        // The tokens are the payments' own: the request itself has none.
        let asking = Asking { service: PAYMENTS, needs_token: false, token: None, says_unattended: false };
        let told = self.ask::<_, PaymentBody>(call, asking, PaymentsAsked { payments }).await;
        told.read(|body, _| {
            let mut by_id = BTreeMap::new();
            let mut by_tpp_id = BTreeMap::new();
            for (place, payment) in body.payments.iter().enumerate() {
                by_id.extend(payment.id.clone().map(|id| (id, place)));
                by_tpp_id.extend(payment.tpp_id.clone().map(|id| (id, place)));
            }
            let told: Vec<_> =
                body.payments.into_iter().map(|payment| payment.told(PaymentKind::Single)).collect();
            let found = |asked: PaymentAsked<'_>| {
                let place = match (asked.id, asked.tpp_id) {
                    (Some(id), _) => by_id.get(id),
                    (None, Some(id)) => by_tpp_id.get(id),
                    (None, None) => None,
                };
                let place =
                    place.ok_or_else(|| AspspError::NotFound { code: "not in the answer".to_owned() })?;
                told[*place].clone()
            };
            Ok(asked.into_iter().map(|asked| asked.and_then(found)).collect())
        })
    }

    pub(super) async fn bundle(&self, key: &PaymentKey<'_>, with_children: bool) -> Told<PaymentTold> {
        let call = begin(Operation::Bundle, "getBundle");
        let (id, tpp_id) = match ids(key) {
            Ok(ids) => ids,
            Err(error) => return Told::unsent(call, error),
        };
        let asked = BundleAsked { id, tpp_id, with_children };
        let told = self.ask::<_, PaymentBody>(call, of_payment(key), asked).await;
        told.read(|body, _| body.told(PaymentKind::Bundle))
    }

    pub(super) async fn recurring(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        let call = begin(Operation::Recurring, "getRecurringPayment");
        let (id, tpp_id) = match ids(key) {
            Ok(ids) => ids,
            Err(error) => return Told::unsent(call, error),
        };
        let told = self.ask::<_, PaymentBody>(call, of_payment(key), RecurringAsked { id, tpp_id }).await;
        told.read(|body, _| body.told(PaymentKind::Recurring))
    }

    pub(super) async fn refresh(&self, refresh_token: &SecretString) -> Told<Grant> {
        let call = begin(Operation::TokenRefresh, "token");
        let asked = TokenAsked {
            grant_type: "refresh_token",
            refresh_token: refresh_token.expose_secret(),
            client_id: told_or_not(&self.config.polish_api.client_id),
            is_user_session: false,
        };
        let asking = Asking { service: AUTH, needs_token: false, token: None, says_unattended: false };
        let told = self.ask::<_, TokenBody>(call, asking, asked).await;
        told.read(|body, _| {
            if body.access_token.trim().is_empty() {
                return Err(unreadable("the granted token is empty"));
            }
            Ok(Grant {
                access_token: SecretString::from(body.access_token),
                refresh_token: body.refresh_token.map(SecretString::from),
                expires_in: body.expires_in.map(Duration::from_secs),
                consent: body.scope.map(|scope| scope.told(self.config.zone)),
            })
        })
    }

    /// Asks, and lets through what is an answer to this very request, and a whole one.
    async fn ask<B: Serialize, A: DeserializeOwned>(
        &self,
        call: CallRecord,
        asking: Asking<'_>,
        body: B,
    ) -> Told<A> {
        let told = match self.request(&call, asking, body) {
            Ok(request) => self.line.ask(call, request).await,
            Err(error) => return Told::unsent(call, error),
        };
        told.read(|answer, call| {
            if !answer.status.is_success() {
                return Err(error::of_answer(&answer, &self.config, call));
            }
            let header = json::<HeaderOnly>(&answer)?.header.unwrap_or_default();
            call.keep_answer_id(header.request_id.as_deref());
            self.config.answer_id.check(call.request_id, header.request_id.as_deref())?;
            if header.is_callback == Some(true) {
                return Err(AspspError::Pending);
            }
            json(&answer)
        })
    }

    fn request<B: Serialize>(
        &self,
        call: &CallRecord,
        asking: Asking<'_>,
        body: B,
    ) -> Result<Request, AspspError> {
        if asking.needs_token && asking.token.is_none() {
            return Err(AspspError::Unauthorised { code: "no token".to_owned() });
        }
        let own = &self.config.polish_api;
        let base = self.config.base_url.as_ref().ok_or_else(|| misconfigured("base_url is not set"))?;
        let segments = own.path_of(asking.service, call.method);
        let url = base.join(&segments.iter().map(String::as_str).collect::<Vec<_>>());
        let header = RequestHeader {
            request_id: call.request_id,
            sent_at: call.begun_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            tpp_id: told_or_not(&own.tpp_id),
            token: asking.token.map(ExposeSecret::expose_secret),
            is_direct_psu: asking.says_unattended.then_some(false),
        };
        let body = serde_json::to_vec(&Asked { header, body })
            .map_err(|_| misconfigured("the request cannot be written as JSON"))?;
        let mut request = Request::new(Method::POST, url);
        let headers = &mut request.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(ACCEPT_CHARSET, HeaderValue::from_static("utf-8"));
        headers.insert(ACCEPT_LANGUAGE, plain(&own.language)?);
        headers.insert(REQUEST_ID, plain(&call.request_id.to_string())?);
        if let Some(token) = asking.token {
            headers.insert(AUTHORIZATION, bearer(token)?);
        }
        match &self.signer {
            Some(signer) => headers.insert(JWS_SIGNATURE, plain(&jws::detached(&body, signer, own)?)?),
            None if own.unsigned => None,
            None => return Err(misconfigured("signature.private_key is not set")),
        };
        request.body = Bytes::from(body);
        Ok(request)
    }

    /// The page behind the one that was asked for.
    fn next(&self, info: Option<PageInfo>, asked: Option<&str>) -> Result<Option<Cursor>, AspspError> {
        let Some(next) = info.and_then(|info| info.next) else { return Ok(None) };
        if Some(next.as_str()) == asked {
            if self.config.self_link_ends {
                return Ok(None);
            }
            return Err(unreadable("the page names itself as the next one"));
        }
        Ok(Some(Cursor::Page(next)))
    }

    fn per_page(&self) -> Option<u32> {
        Some(self.config.page_size).filter(|size| *size > 0)
    }
}

fn begin(operation: Operation, method: &'static str) -> CallRecord {
    let mut call = CallRecord::new(operation, method, uuid::Uuid::nil());
    call.request_id = request_id::of_time(call.begun_at);
    call
}

fn of_accounts<'a>(access: &Access<'a>) -> Asking<'a> {
    Asking { service: ACCOUNTS, needs_token: true, token: access.token, says_unattended: true }
}

fn of_payment<'a>(key: &PaymentKey<'a>) -> Asking<'a> {
    Asking { service: PAYMENTS, needs_token: true, token: key.token, says_unattended: false }
}

/// The ASPSP's id where it gave one, otherwise ours.
fn ids<'a>(key: &PaymentKey<'a>) -> Result<(Option<&'a str>, Option<&'a str>), AspspError> {
    match (key.id, key.tpp_id) {
        (Some(id), _) => Ok((Some(id), None)),
        (None, Some(tpp_id)) => Ok((None, Some(tpp_id))),
        (None, None) => Err(unsupported("the payment has no id")),
    }
}

fn one_of_many<'a>(key: &PaymentKey<'a>) -> Result<PaymentAsked<'a>, AspspError> {
    let (id, tpp_id) = ids(key)?;
    let token = key.token.ok_or_else(|| unsupported("the payment has no token that started it"))?;
    Ok(PaymentAsked { id, tpp_id, token: Some(token.expose_secret()) })
}

fn page_id(cursor: &Cursor) -> Result<&str, AspspError> {
    match cursor {
        Cursor::Page(page) => Ok(page),
        Cursor::Link(_) | Cursor::Download(_) => Err(unreadable("the cursor is another standard's")),
    }
}

fn told_or_not(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
