//! `bursar config check --probe`: whether everything that the configuration names can be reached from here.
//!
//! The store is asked what it is; of the others only a connection is opened, with TLS where they speak it from the start. No
//! credential is shown to anybody, and nothing is asked for but the first page of an `https` host.
//!
//! **Owns** nothing. **Fails** never: what went wrong is what is told. **Limits**: [`PATIENCE`] for each, all at the same time.

use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::future::join_all;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::table::plain;
use crate::config::{Config, Outside};
use crate::connectors::http::{BodyLimit, HttpClient, Request};
use crate::store::StoreConfig;
use crate::store::connect::default_url;
use crate::store::examine::{Examined, examine};

/// How long anybody is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store of a configuration, as it is opened.
pub(in crate::cli) fn store_of(config: &Config) -> StoreConfig {
    let mut store = config.store.clone();
    if store.url.is_empty() {
        store.url = default_url(&config.data_dir);
    }
    store
}

/// Tries everything; a document for each, the store first.
pub(super) async fn probe(config: &Config) -> Vec<Value> {
    let begun = Instant::now();
    let settings = StoreConfig { timeout: config.store.timeout.min(PATIENCE), ..store_of(config) };
    let store = match examine(&settings, Utc::now()).await {
        Ok(found) => {
            Ok(found.as_ref().map_or_else(|| "a new file, made at the first start".to_owned(), named))
        }
        Err(error) => Err(error.to_string()),
    };
    let mut probed = vec![document("store.url", "", store, begun.elapsed())];
    let client = HttpClient::trusted(&config.http).ok();
    let outside = config.outside();
    let tried = outside.iter().map(async |place| {
        let begun = Instant::now();
        let outcome = match timeout(PATIENCE, reach(place, client.as_ref())).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        let address = format!("{}://{}:{}", place.scheme, place.host, place.port);
        document(&place.key, &address, outcome, begun.elapsed())
    });
    probed.extend(join_all(tried).await);
    probed
}

/// Whether everything was reached.
pub(super) fn all_reached(probed: &[Value]) -> bool {
    probed.iter().all(|one| one["reached"] == true)
}

/// A line for each.
pub(super) fn text(probed: &[Value]) -> String {
    let line = |one: &Value| {
        let mark = if one["reached"] == true { "reached    " } else { "NOT REACHED" };
        let (key, address, said) = (plain(&one["key"]), plain(&one["address"]), plain(&one["said"]));
        let address = if address.is_empty() { String::new() } else { format!(" ({address})") };
        format!("{mark}  {key}{address}: {said}\n")
    };
    probed.iter().map(line).collect()
}

fn named(store: &Examined) -> String {
    match store.schema {
        Some((version, _)) => format!("{}, schema {version}", store.server),
        None => format!("{}, empty", store.server),
    }
}

/// Says what was reached, or why nothing was.
async fn reach(place: &Outside, client: Option<&HttpClient>) -> Result<String, String> {
    let host = place.host.trim_matches(['[', ']']);
    let connected = TcpStream::connect((host, place.port)).await;
    connected.map_err(|error| format!("no connection: {error}"))?;
    match client {
        Some(client) if place.scheme == "https" && !place.has_own_authority => greet(place, client).await,
        _ if place.scheme == "https" => {
            Ok("a connection; TLS was not tried, for it has an authority of its own".to_owned())
        }
        _ => Ok("a connection".to_owned()),
    }
}

async fn greet(place: &Outside, client: &HttpClient) -> Result<String, String> {
    let url = format!("https://{}:{}/", place.host, place.port);
    let url: Url = url.parse().map_err(|_| "its address cannot be read".to_owned())?;
    let request =
        Request { timeout: Some(PATIENCE), body_limit: BodyLimit::Cut(0), ..Request::new(Method::GET, url) };
    match client.send(request).await {
        Ok(_) => Ok("a connection with TLS".to_owned()),
        // Whoever asks for a certificate of ours ends the connection after the handshake.
        Err(error) if error.may_have_been_sent() => {
            Ok("a connection with TLS, which was then closed".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn document(key: &str, address: &str, outcome: Result<String, String>, took: Duration) -> Value {
    let reached = outcome.is_ok();
    let said = outcome.unwrap_or_else(|why| why);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    json!({ "key": key, "address": address, "reached": reached, "said": said, "took_ms": took_ms })
}
