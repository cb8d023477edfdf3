//! The calls themselves.
//!
//! **Owns** the line and the signing key. **Fails** as `error` says.
//! **Limits**: each call is made once. Headers are those that the standard asks for, and none that tells of a PSU.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::config::ClientStyle;
use super::wire::{
    AccountDetailsBody, AccountsBody, BalancesBody, ConsentBody, GrantBody, PaymentBody, TransactionsBody,
    balances,
};
use super::{error, link, report, signature};
use crate::connectors::aspsps::config::AspspConfig;
use crate::connectors::aspsps::error::{misconfigured, unreadable, unsupported};
use crate::connectors::aspsps::line::{Line, bearer, json, plain, sensitive};
use crate::connectors::aspsps::request_id;
use crate::connectors::aspsps::signing::{Encoding, Signer};
use crate::connectors::aspsps::{
    Access, AccountDetails, AccountPage, AspspError, Balance, CallRecord, ConsentTold, Cursor, Grant,
    Operation, PaymentKey, PaymentKind, PaymentTold, Told, TransactionList, TransactionPage,
    TransactionState, TransactionsRequest,
};
use crate::connectors::http::{Answer, HttpClientError, HttpConfig, Request, form};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CONSENT_ID: HeaderName = HeaderName::from_static("consent-id");

#[derive(Debug)]
pub(super) struct Client {
    config: AspspConfig,
    line: Line,
    signer: Option<Signer>,
}

/// Where a page is, whole.
pub(super) type Page = Result<Url, AspspError>;

impl Client {
    pub(super) fn new(config: AspspConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        let line = Line::new(&config, http)?;
        let signer = Signer::of(&config.signature, Encoding::Asn1);
        Ok(Self { config, line, signer })
    }

    pub(super) fn config(&self) -> &AspspConfig {
        &self.config
    }

    pub(super) async fn consent(&self, access: &Access<'_>) -> Told<ConsentTold> {
        let call = begin(Operation::ConsentStatus, "GET /consents/{consentId}");
        let url = self.resource(&["consents", access.consent_id.unwrap_or_default()]);
        // The consent is what is asked about, so that it is not in the header as well.
        let token = Access { consent_id: None, ..*access };
        let zone = self.config.zone;
        self.get(call, url, &token).await.read(|answer, _| read::<ConsentBody>(&answer)?.told(zone))
    }

    pub(super) async fn accounts(&self, access: &Access<'_>, cursor: Option<&Cursor>) -> Told<AccountPage> {
        let call = begin(Operation::Accounts, "GET /accounts");
        let url = match cursor {
            Some(cursor) => self.follow(cursor),
            None => self.resource(&["accounts"]).map(|url| self.with_balance(url)),
        };
        let page = url.clone();
        self.get(call, url, access).await.read(|answer, _| {
            let body: AccountsBody = read(&answer)?;
            let next = link::next(&body.links, &page?, &self.config)?;
            Ok(AccountPage {
                accounts: body.accounts.into_iter().map(|account| account.told()).collect(),
                next,
            })
        })
    }

    pub(super) async fn account(&self, access: &Access<'_>, account: &str) -> Told<AccountDetails> {
        let call = begin(Operation::AccountDetails, "GET /accounts/{account-id}");
        let url = self.resource(&["accounts", account]).map(|url| self.with_balance(url));
        self.get(call, url, access).await.read(|answer, _| {
            let body = read::<AccountDetailsBody>(&answer)?.account;
            let mut body = body.ok_or_else(|| unreadable("the answer has no account"))?;
            let balances = balances(std::mem::take(&mut body.balances), self.config.zone)?;
            Ok(AccountDetails { account: body.told(), balances })
        })
    }

    pub(super) async fn balances(&self, access: &Access<'_>, account: &str) -> Told<Vec<Balance>> {
        let call = begin(Operation::Balances, "GET /accounts/{account-id}/balances");
        let url = self.resource(&["accounts", account, "balances"]);
        let zone = self.config.zone;
        self.get(call, url, access)
            .await
            .read(|answer, _| balances(read::<BalancesBody>(&answer)?.balances, zone))
    }

    pub(super) async fn transactions(
        &self,
        access: &Access<'_>,
        list: TransactionList,
        request: &TransactionsRequest<'_>,
    ) -> Told<TransactionPage> {
        let operation = match list {
            TransactionList::Booked | TransactionList::Both => Operation::Transactions,
            TransactionList::Pending => Operation::TransactionsPending,
            TransactionList::Scheduled => Operation::TransactionsScheduled,
            TransactionList::Rejected => Operation::TransactionsRejected,
            TransactionList::Cancelled => Operation::TransactionsCancelled,
        };
        let call = begin(operation, "GET /accounts/{account-id}/transactions");
        let url = self.booking_status(list).and_then(|status| self.page_of(status, request));
        let page = url.clone();
        self.get(call, url, access).await.read(|answer, _| self.page(&answer, list, &page?))
    }

    pub(super) fn no_holds(&self) -> Told<TransactionPage> {
        let call = begin(Operation::Holds, "holds");
        Told::unsent(call, unsupported("the standard has no holds; they are among the pending transactions"))
    }

    pub(super) async fn payment_status(&self, key: &PaymentKey<'_>, kind: PaymentKind) -> Told<PaymentTold> {
        let (operation, method, service) = service(kind);
        let call = begin(operation, method);
        let url = self.payment_url(key, service).and_then(|mut url| {
            url.path_segments_mut().map_err(|()| misconfigured("base_url has no path"))?.push("status");
            Ok(url)
        });
        let told = self.get(call, url, &Access { consent_id: None, token: key.token }).await;
        told.read(|answer, _| {
            if report::is_xml(&answer.body) {
                return report::told(&answer.body, key.id, kind);
            }
            read::<PaymentBody>(&answer)?.told(key.id, kind)
        })
    }

    pub(super) async fn bundle_with_children(&self, key: &PaymentKey<'_>) -> Told<PaymentTold> {
        let call = begin(Operation::Bundle, "GET /bulk-payments/{payment-product}/{paymentId}");
        let url = self.payment_url(key, "bulk-payments");
        let told = self.get(call, url, &Access { consent_id: None, token: key.token }).await;
        told.read(|answer, _| read::<PaymentBody>(&answer)?.told(key.id, PaymentKind::Bundle))
    }

    pub(super) async fn payments(
        &self,
        keys: &[PaymentKey<'_>],
    ) -> Told<Vec<Result<PaymentTold, AspspError>>> {
        if let [key] = keys {
            let told = self.payment_status(key, PaymentKind::Single).await;
            return told.read(|payment, _| Ok(vec![Ok(payment)]));
        }
        let call = begin(Operation::Payments, service(PaymentKind::Single).1);
        Told::unsent(call, unsupported("the standard tells of one payment a call"))
    }

    pub(super) async fn refresh(&self, refresh_token: &SecretString) -> Told<Grant> {
        let call = begin(Operation::TokenRefresh, "POST token");
        let request = match self.token_request(refresh_token) {
            Ok(request) => request,
            Err(error) => return Told::unsent(call, error),
        };
        self.line.ask(call, request).await.read(|answer, _| {
            if !answer.status.is_success() {
                return Err(error::of_answer(&answer, &self.config));
            }
            read::<GrantBody>(&answer)?.told()
        })
    }

    fn token_request(&self, refresh_token: &SecretString) -> Result<Request, AspspError> {
        let token = &self.config.berlin_group.token;
        let url = token.url.as_ref().ok_or_else(|| unsupported("berlin_group.token.url is not set"))?;
        let secret = token.client_secret.as_ref().map(|reference| reference.resolve()).transpose();
        let secret = secret.map_err(|error| misconfigured(error.to_string()))?;
        let secret = secret.as_ref().map(ExposeSecret::expose_secret);
        let mut pairs =
            vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        let mut request = Request::new(Method::POST, url.url().clone());
        match (token.style, secret) {
            (ClientStyle::Basic, Some(secret)) => {
                let pair = STANDARD.encode(format!("{}:{secret}", token.client_id));
                request.headers.insert(AUTHORIZATION, sensitive(&format!("Basic {pair}"))?);
            }
            (ClientStyle::Basic, None) => {
                return Err(misconfigured("berlin_group.token.client_secret is not set"));
            }
            (ClientStyle::Form, secret) => {
                pairs.push(("client_id", &token.client_id));
                pairs.extend(secret.map(|secret| ("client_secret", secret)));
            }
        }
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.body = form(&pairs);
        Ok(request)
    }

    /// Reads a resource, and lets through what is an answer to this very request.
    async fn get(&self, call: CallRecord, url: Page, access: &Access<'_>) -> Told<Answer> {
        let request = url.and_then(|url| self.request(&call, url, access));
        let told = match request {
            Ok(request) => self.line.ask(call, request).await,
            Err(error) => return Told::unsent(call, error),
        };
        told.read(|answer, call| {
            let theirs = error::answer_id(&answer.headers);
            call.keep_answer_id(theirs);
            if !answer.status.is_success() {
                return Err(error::of_answer(&answer, &self.config));
            }
            self.config.answer_id.check(call.request_id, theirs)?;
            Ok(answer)
        })
    }

    fn request(&self, call: &CallRecord, url: Url, access: &Access<'_>) -> Result<Request, AspspError> {
        let mut request = Request::new(Method::GET, url);
        let headers = &mut request.headers;
        headers.insert(ACCEPT, HeaderValue::from_static(accepted(call.operation)));
        headers.insert(REQUEST_ID, plain(&call.request_id.to_string())?);
        if let Some(consent_id) = access.consent_id {
            headers.insert(CONSENT_ID, sensitive(consent_id)?);
        }
        if let Some(token) = access.token {
            headers.insert(AUTHORIZATION, bearer(token)?);
        }
        if let Some(signer) = &self.signer {
            let names = &self.config.berlin_group.signed_headers;
            signature::sign(&mut request, signer, names, call.begun_at)?;
        }
        Ok(request)
    }

    fn page(
        &self,
        answer: &Answer,
        list: TransactionList,
        page: &Url,
    ) -> Result<TransactionPage, AspspError> {
        let body: TransactionsBody = read(answer)?;
        let zone = self.config.zone;
        let Some(report) = body.transactions else {
            let download = link::download(&body.links, page, &self.config)?;
            let next = download.ok_or_else(|| unreadable("the answer has no transactions"))?;
            return Ok(TransactionPage { next: Some(next), ..TransactionPage::default() });
        };
        // Some tell more than they were asked for; a list that nobody asked for may be a part of itself.
        let booked = report.booked.filter(|_| list != TransactionList::Pending);
        let pending = report.pending.filter(|_| list != TransactionList::Booked);
        let tells_pending = pending.is_some();
        let booked = booked.into_iter().flatten().map(|body| body.told(TransactionState::Booked, zone));
        let pending = pending.into_iter().flatten().map(|body| body.told(TransactionState::Pending, zone));
        let transactions = booked.chain(pending).collect::<Result<Vec<_>, _>>()?;
        let mut next = link::next(&report.links, page, &self.config)?;
        if next.is_none() && transactions.is_empty() {
            let both = [&body.links, &report.links];
            for links in both {
                next = next.or(link::download(links, page, &self.config)?);
            }
        }
        Ok(TransactionPage { transactions, tells_pending, balances: balances(body.balances, zone)?, next })
    }

    fn booking_status(&self, list: TransactionList) -> Result<&'static str, AspspError> {
        let own = &self.config.berlin_group;
        match list {
            TransactionList::Booked => Ok("booked"),
            TransactionList::Pending if own.pending => Ok("pending"),
            TransactionList::Both if own.both => Ok("both"),
            _ => Err(unsupported("the aspsp has no such list")),
        }
    }

    fn page_of(&self, booking_status: &str, request: &TransactionsRequest<'_>) -> Page {
        let mut query = vec![("bookingStatus", booking_status.to_owned())];
        match request.after_item.filter(|_| self.config.berlin_group.delta) {
            // One or the other, the standard says.
            Some(item) => query.push(("entryReferenceFrom", item.to_owned())),
            None => {
                query.push(("dateFrom", request.from.to_string()));
                query.extend(request.to.map(|to| ("dateTo", to.to_string())));
            }
        }
        if self.config.page_size > 0 {
            query.push(("itemsPerPage", self.config.page_size.to_string()));
        }
        let Some(cursor) = request.cursor else {
            let mut url = self.resource(&["accounts", request.account, "transactions"])?;
            url.query_pairs_mut().extend_pairs(query);
            return Ok(self.with_balance(url));
        };
        let mut url = self.follow(cursor)?;
        if self.config.berlin_group.next_repeats_query && matches!(cursor, Cursor::Link(_)) {
            let known: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
            query.retain(|(name, _)| !known.iter().any(|known| known == name));
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn follow(&self, cursor: &Cursor) -> Page {
        match cursor {
            Cursor::Link(link) | Cursor::Download(link) => link::follow(link, &self.config),
            Cursor::Page(_) => Err(unreadable("the cursor is another standard's")),
        }
    }

    fn with_balance(&self, mut url: Url) -> Url {
        if self.config.berlin_group.with_balance {
            url.query_pairs_mut().append_pair("withBalance", "true");
        }
        url
    }

    fn payment_url(&self, key: &PaymentKey<'_>, service: &str) -> Page {
        let product = key.product.unwrap_or(&self.config.berlin_group.payment_product);
        let id =
            key.id.ok_or_else(|| unsupported("the standard asks for a payment by the aspsp's own id"))?;
        self.resource(&[service, product, id])
    }

    pub(super) fn resource(&self, segments: &[&str]) -> Page {
        let base = self.config.base_url.as_ref().ok_or_else(|| misconfigured("base_url is not set"))?;
        // These would name another resource than the one that is meant.
        if segments.iter().any(|segment| matches!(segment.trim(), "" | "." | "..")) {
            return Err(unsupported("an id is missing, or names no resource"));
        }
        let prefix = self.config.berlin_group.prefix.split('/').filter(|segment| !segment.is_empty());
        let whole: Vec<&str> = prefix.chain(segments.iter().copied()).collect();
        Ok(base.join(&whole))
    }
}

fn begin(operation: Operation, method: &'static str) -> CallRecord {
    CallRecord::new(operation, method, request_id::random())
}

fn service(kind: PaymentKind) -> (Operation, &'static str, &'static str) {
    match kind {
        PaymentKind::Single => {
            (Operation::Payment, "GET /payments/{payment-product}/{paymentId}/status", "payments")
        }
        PaymentKind::Bundle => {
            (Operation::Bundle, "GET /bulk-payments/{payment-product}/{paymentId}/status", "bulk-payments")
        }
        PaymentKind::Recurring => (
            Operation::Recurring,
            "GET /periodic-payments/{payment-product}/{paymentId}/status",
            "periodic-payments",
        ),
    }
}

/// Payments that began as XML may have their status told in nothing else.
fn accepted(operation: Operation) -> &'static str {
    match operation {
        Operation::Payment | Operation::Bundle | Operation::Recurring => {
            "application/json, application/xml;q=0.5"
        }
        _ => "application/json",
    }
}

/// The body, whatever it is said to be.
fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, AspspError> {
    if report::is_xml(&answer.body) {
        return Err(unsupported("the answer is in XML"));
    }
    json(answer)
}
