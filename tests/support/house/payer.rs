//! Somebody who is to pay: has no account of ours, a browser, and whatever address they were sent.
//!
//! **Limits**: an answer is waited for as long as anything in a story.

use std::net::SocketAddr;

use bursar::proto::boleto::v1::{
    CreateDocumentLinkRequest, CreateDocumentLinkResponse, RevokeDocumentLinksRequest,
};
use reqwest::header::{ACCEPT, HeaderMap};
use reqwest::{Method, StatusCode};
use tonic::Status;

use super::{PATIENCE, Shop};
use crate::support::canary;

/// What a link begins with in every story; the proxy of the shop's own is not part of it.
pub const BASE_URL: &str = "https://pay.example/boletos";

/// A payer with a browser.
pub struct Payer {
    client: reqwest::Client,
    address: SocketAddr,
}

/// What the browser was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header in ASCII"))
    }

    /// HTML as its readers find it, with the spaces that no line ends at as spaces.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text").replace('\u{a0}', " ")
    }

    /// Without what tells the time.
    pub fn timeless(mut self) -> Self {
        self.headers.remove("date");
        self
    }
}

impl Payer {
    pub(super) fn at(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a browser");
        Self { client, address }
    }

    /// Where the pages are.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens an address as it was sent, by way of the shop's proxy; `ending` goes behind it.
    pub async fn opens(&self, url: &str, ending: &str) -> Page {
        self.asks(Method::GET, &format!("{}{ending}", path_of(url)), "text/html,*/*;q=0.8").await
    }

    /// Sends one request.
    pub async fn asks(&self, method: Method, path: &str, accept: &str) -> Page {
        let request = self.client.request(method, format!("http://{}{path}", self.address));
        let answer = request.header(ACCEPT, accept).send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.expect("a whole body").to_vec();
        Page { status, headers, body }
    }
}

/// What the proxy passes on of an address.
pub fn path_of(url: &str) -> &str {
    url.strip_prefix(BASE_URL).unwrap_or_else(|| panic!("{url} does not begin with what the proxy shows"))
}

impl Shop {
    /// Has a link made to a boleto's document.
    pub async fn links(
        &self,
        id: &str,
        change: impl FnOnce(&mut CreateDocumentLinkRequest),
    ) -> Result<CreateDocumentLinkResponse, Status> {
        let mut request =
            CreateDocumentLinkRequest { id: id.to_owned(), ..CreateDocumentLinkRequest::default() };
        change(&mut request);
        let made = self.boletos.clone().create_document_link(request).await?.into_inner();
        if let Some((_, token)) = made.url.rsplit_once('/') {
            canary::plants("link to a document", token);
        }
        Ok(made)
    }

    /// Has all links to a boleto's document end, and says how many that were.
    pub async fn unlinks(&self, id: &str, request_id: &str) -> Result<i64, Status> {
        let request = RevokeDocumentLinksRequest { request_id: request_id.to_owned(), id: id.to_owned() };
        Ok(self.boletos.clone().revoke_document_links(request).await?.into_inner().revoked)
    }
}
