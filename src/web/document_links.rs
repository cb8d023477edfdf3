//! Documents behind links: `GET /d/{token}`, and `/d/{token}.pdf` for a format by name.
//!
//! Whoever has the token sees the boleto as `RenderBoleto` would draw it now: one that was paid or cancelled says so and has
//! no codes. A token that never was, has ended or was revoked, and a format that the link does not show, are one and the same
//! page. No log and no trace holds the address that was asked for.
//!
//! **Owns** nothing that a crash may lose. **Fails** in words for people; 503 with a time to wait while the store is away.
//! **Limits**: requests a second of one address, documents drawn at a time; who waits to be drawn for holds a connection, and
//! those are counted.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tracing::{Instrument as _, error, info_span, warn};

use super::answer::{self, Answer};
use super::config::LinksConfig;
use super::door::Door;
use super::forwarded::forwarded_for;
use super::listener::{Limits, Listener, Site};
use super::rates::Rates;
use crate::documents::Format;
use crate::domain::document_link::{LinkFormat, TokenHash};
use crate::messages::House;
use crate::messages::drawing::DrawError;
use crate::store::StoreError;
use crate::store::document_link::DocumentLink;
use crate::supervision::ChildSpec;
use crate::telemetry;

const ID: &str = "document_links";
const FOLDER: &str = "/d/";
/// The path as traces name it, for what stands behind the folder opens the document.
const ROUTE: &str = "/d/{token}";

/// The listener for documents as a child, or the reason why there is none. `bound` is told its address.
pub fn spec(config: &LinksConfig, door: &Door, bound: watch::Sender<Option<SocketAddr>>) -> ChildSpec {
    if !config.enabled {
        return ChildSpec::disabled(ID, "documents.links.enabled is false");
    }
    let limits = Limits {
        connections_max: config.connections_max as usize,
        connections_per_address_max: (!config.trusts_forwarded_for)
            .then_some(config.connections_per_address_max as usize),
        header_timeout: config.header_timeout,
        header_bytes_max: config.header_bytes_max,
        connection_timeout: config.connection_timeout,
    };
    let site = DocumentLinks {
        door: door.clone(),
        rates: Arc::new(Rates::new(config.rate_per_second)),
        drawing: Arc::new(Semaphore::new(config.drawings_max as usize)),
        trusts_forwarded_for: config.trusts_forwarded_for,
    };
    Listener::spec(ID, config.address, limits, site, bound)
}

/// Why a link's document is not shown.
enum Trouble {
    /// There is nothing to be shown to this one.
    NotFound,
    /// The house is not open yet, or its store is away.
    Away,
    /// Our fault.
    Broken(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            warn!(%error, "document not shown: store away");
            return Self::Away;
        }
        Self::Broken(error.to_string())
    }
}

impl From<DrawError> for Trouble {
    fn from(error: DrawError) -> Self {
        match error {
            DrawError::Store(error) => error.into(),
            DrawError::Erased => Self::NotFound,
            error => Self::Broken(error.to_string()),
        }
    }
}

#[derive(Clone)]
struct DocumentLinks {
    door: Door,
    rates: Arc<Rates>,
    drawing: Arc<Semaphore>,
    trusts_forwarded_for: bool,
}

impl Site for DocumentLinks {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Full<Bytes>> {
        let asker = if self.trusts_forwarded_for { forwarded_for(request.headers()) } else { None };
        if let Err(wait) = self.rates.take(asker.unwrap_or(peer), Instant::now()) {
            return answer::too_many(wait.as_secs() + 1);
        }
        let is_head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => return answer::method_not_allowed(),
        };
        let method = if is_head { "HEAD" } else { "GET" };
        let span = info_span!(
            "http",
            otel.name = format_args!("{method} {ROUTE}"),
            otel.kind = "server",
            http.request.method = method,
            http.route = ROUTE,
            url.scheme = "http",
            http.response.status_code = tracing::field::Empty,
        );
        let answer = self.open(&request, is_head).instrument(span.clone()).await;
        let status = answer.status();
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.in_scope(|| telemetry::note_failure(status.as_u16().to_string()));
        }
        answer
    }
}

impl DocumentLinks {
    async fn open(&self, request: &Request<Incoming>, is_head: bool) -> Answer {
        match self.show(request.uri().path(), request.headers(), is_head).await {
            Ok(answer) => answer,
            Err(Trouble::NotFound) => answer::not_found(),
            Err(Trouble::Away) => answer::away(),
            Err(Trouble::Broken(why)) => {
                error!(error = %why, "document not shown: our fault");
                answer::broken()
            }
        }
    }

    async fn show(&self, path: &str, headers: &HeaderMap, is_head: bool) -> Result<Answer, Trouble> {
        let (token, named) = wanted(path).ok_or(Trouble::NotFound)?;
        let house = self.door.house().ok_or(Trouble::Away)?;
        let link = house.store.open_document_link(TokenHash::of(token), house.store.now()).await?;
        let link = link.ok_or(Trouble::NotFound)?;
        let format = match (link.format, named) {
            (None, None) => accepted(headers),
            (None, Some(named)) => named,
            (Some(shown), None) => shown,
            (Some(shown), Some(named)) if shown == named => shown,
            (Some(_), Some(_)) => return Err(Trouble::NotFound),
        };
        let stored = house.store.boleto(&link.tenant_id, link.boleto_id).await?;
        let boleto = stored.ok_or(Trouble::NotFound)?.boleto;
        // Nobody closes it, so that the wait ends with a place.
        let place = self.drawing.acquire().await;
        let format = Format::from(format);
        let content = house.draw(&boleto, format).await?;
        drop(place);
        if !is_head {
            note_use(house, &link).await;
        }
        Ok(answer::document(format, content))
    }
}

/// That a link was opened is news for its owner; that it could not be written down is none for the payer.
async fn note_use(house: &House, link: &DocumentLink) {
    if let Err(error) = house.store.note_link_use(link.id, house.store.now()).await {
        warn!(link_id = %link.id, %error, "use of a link not written down");
    }
}

/// The token in a path, and the format that it names; none for a path that can be no link's.
fn wanted(path: &str) -> Option<(&str, Option<LinkFormat>)> {
    let rest = path.strip_prefix(FOLDER).filter(|rest| !rest.is_empty())?;
    match rest.split_once('.') {
        None => Some((rest, None)),
        Some((token, name)) => Some((token, Some(LinkFormat::named(name)?))),
    }
}

/// The format that a browser or a program likes best; a page where it says nothing or likes nothing that there is.
fn accepted(headers: &HeaderMap) -> LinkFormat {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut best = (LinkFormat::Html, 0.0);
    for range in texts.flat_map(|text| text.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "text/html" | "text/*" | "*/*" => LinkFormat::Html,
            "application/pdf" | "application/*" => LinkFormat::Pdf,
            "image/png" | "image/*" => LinkFormat::Png,
            "image/svg+xml" => LinkFormat::Svg,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let quality = quality.map_or(1.0, |text| text.parse::<f32>().unwrap_or(0.0));
        // Of those that are liked alike the first one said is taken.
        if quality > best.1 {
            best = (format, quality);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn paths_name_a_token_and_perhaps_a_format() {
        assert_eq!(wanted("/d/abc"), Some(("abc", None)));
        assert_eq!(wanted("/d/abc.pdf"), Some(("abc", Some(LinkFormat::Pdf))));
        for path in ["/", "/d", "/d/", "/d/abc.exe", "/d/abc.pdf.png", "/D/abc", "/x/d/abc"] {
            assert_eq!(wanted(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_liked_best_is_shown_and_a_page_otherwise() {
        for (accept, format) in [
            (&[][..], LinkFormat::Html),
            (&["*/*"], LinkFormat::Html),
            (
                &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"],
                LinkFormat::Html,
            ),
            (&["application/pdf"], LinkFormat::Pdf),
            (&["text/html;q=0.5, application/pdf;q=0.9"], LinkFormat::Pdf),
            (&["image/svg+xml", "image/png;q=0.1"], LinkFormat::Svg),
            (&["IMAGE/PNG"], LinkFormat::Png),
            (&["text/csv"], LinkFormat::Html),
            (&["application/pdf;q=0"], LinkFormat::Html),
            (&["application/pdf;q=x"], LinkFormat::Html),
        ] {
            assert_eq!(accepted(&accepting(accept)), format, "{accept:?}");
        }
    }
}
