//! `GET /metrics`: what the house measures of itself, for Prometheus.
//!
//! Nothing in it tells of anybody: labels are names of the program and of its configuration. So it is served without a token,
//! and beyond loopback only where the configuration says so.
//!
//! **Owns** nothing that a crash may lose. **Fails** never while the process lives: what cannot be asked is left out, and
//! `bursar_store_sampled` says so. **Limits**: the store is asked once in `metrics.sample_every`, however many ask; whoever asks
//! waits for it for `metrics.sample_timeout` at most.

mod certificates;
mod sampler;
mod standing;
mod stored;
mod teller;
mod tree;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::watch;
use tracing::error;

pub use self::sampler::Sampler;
pub use self::teller::Teller;
use super::listener::{Limits, Listener, Site};
use crate::metrics::MetricsConfig;
use crate::metrics::exposition::{self, Format};
use crate::supervision::ChildSpec;

const ID: &str = "metrics";
const PATH: &str = "/metrics";
/// A few scrapers and a few people; each scrape is some 100 KiB for a moment.
const CONNECTIONS_MAX: usize = 32;
/// Scrapers keep their connection between two scrapes, which are a minute apart at most.
const IDLE_MAX: Duration = Duration::from_secs(150);
const HEADER_BYTES_MAX: usize = 16 * 1_024;
/// So that a scraper connects anew from time to time, as to a house that was moved.
const CONNECTION_MAX: Duration = Duration::from_hours(1);

/// The listener as a child, or the reason why there is none. `bound` is told its address.
pub fn spec(
    config: &MetricsConfig,
    sampler: &Sampler,
    bound: watch::Sender<Option<SocketAddr>>,
) -> ChildSpec {
    let Some(listen) = config.listen else {
        return ChildSpec::disabled(ID, "metrics.listen is not set");
    };
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        connections_per_address_max: None,
        header_timeout: IDLE_MAX,
        header_bytes_max: HEADER_BYTES_MAX,
        connection_timeout: CONNECTION_MAX,
    };
    Listener::spec(ID, listen, limits, Scrape { sampler: sampler.clone() }, bound)
}

#[derive(Clone)]
struct Scrape {
    sampler: Sampler,
}

impl Site for Scrape {
    async fn answer(&self, request: Request<Incoming>, _peer: IpAddr) -> Response<Full<Bytes>> {
        if request.uri().path() != PATH {
            return plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "GET it\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let format = Format::accepted(accept);
        match exposition::write(format, self.sampler.readings().await) {
            Ok(text) => answer(StatusCode::OK, format.content_type(), Bytes::from(text)),
            Err(error) => {
                error!(%error, "metrics not written: our fault");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written\n")
            }
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
