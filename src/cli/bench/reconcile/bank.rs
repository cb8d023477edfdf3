//! A bank that has so many titles, all of them paid, and lists them page by page. It stands in this process, so that what is
//! measured in the service's is the service's.
//!
//! **Owns** its socket and a task, which end with it. **Fails** never: it answers whatever it is asked. **Limits**: it knows two
//! calls, and writes its pages out of nothing, so that it is flat and fast itself; it lets nobody in before it is open.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::Utc;
use chrono_tz::America::Sao_Paulo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Titles of a page, as the sandbox's bank has it.
pub(super) const PAGE: usize = 100;
/// The agreement under which the store was filled.
const CONVENIO: &str = "3128557";
const TOKEN: &str = r#"{"access_token":"bench","token_type":"Bearer","expires_in":3600}"#;

/// The bank.
pub(super) struct Bank {
    pub address: String,
    door: Arc<Door>,
    task: JoinHandle<()>,
}

struct Door {
    titles: usize,
    /// Whether somebody has come, and whether they are let in.
    came: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(rename = "indicadorSituacao")]
    situation: String,
    #[serde(default, rename = "indice")]
    index: usize,
}

impl Bank {
    /// Opens its socket and lets nobody in yet.
    pub async fn start(titles: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the bank finds no port")?;
        let address = format!("http://{}", listener.local_addr()?);
        let door =
            Arc::new(Door { titles, came: watch::Sender::new(false), open: watch::Sender::new(false) });
        let router = Router::new()
            .route("/token", post(token))
            .route("/v2/boletos", get(list))
            .with_state(door.clone());
        let task = tokio::spawn(async move {
            // It ends with its task; until then there is nothing that could go wrong with it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, door, task })
    }

    /// Waits until somebody stands before it.
    pub async fn came(&self) -> anyhow::Result<()> {
        self.door.came.subscribe().wait_for(|came| *came).await.context("the bank is gone")?;
        Ok(())
    }

    /// Lets everybody in.
    pub fn opens(&self) {
        self.door.open.send_replace(true);
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn token(State(door): State<Arc<Door>>) -> Response<String> {
    door.came.send_replace(true);
    // Whoever waits when the bank goes away is sent home with its socket.
    let _ = door.open.subscribe().wait_for(|open| *open).await;
    json(TOKEN.to_owned())
}

/// All titles are paid, and none in part.
async fn list(State(door): State<Arc<Door>>, Query(query): Query<ListQuery>) -> Response<String> {
    let titles = if query.situation == "B" { door.titles } else { 0 };
    let end = titles.min(query.index + PAGE);
    let day = Utc::now().with_timezone(&Sao_Paulo).format("%d.%m.%Y");
    let row = |index: usize| {
        let number = index + 1;
        format!(
            r#"{{"numeroBoletoBB":"000{CONVENIO}{number:010}","codigoEstadoTituloCobranca":6,"dataMovimento":"{day}","valorPago":125.90}}"#
        )
    };
    let rows: Vec<String> = (query.index..end).map(row).collect();
    let (more, next) = if end < titles { ("S", end) } else { ("N", 0) };
    let rows = rows.join(",");
    json(format!(r#"{{"indicadorContinuidade":"{more}","proximoIndice":{next},"boletos":[{rows}]}}"#))
}

fn json(body: String) -> Response<String> {
    let mut response = Response::new(body);
    let json = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_title_is_listed_once_and_none_is_open() {
        let door =
            Arc::new(Door { titles: 250, came: watch::Sender::new(false), open: watch::Sender::new(true) });
        let (mut index, mut numbers) = (0, Vec::new());
        loop {
            let query = ListQuery { situation: "B".to_owned(), index };
            let page: serde_json::Value =
                serde_json::from_str(list(State(door.clone()), Query(query)).await.body()).unwrap();
            let rows = page["boletos"].as_array().unwrap();
            numbers.extend(rows.iter().map(|row| row["numeroBoletoBB"].as_str().unwrap().to_owned()));
            if page["indicadorContinuidade"] == "N" {
                break;
            }
            index = usize::try_from(page["proximoIndice"].as_u64().unwrap()).unwrap();
        }
        numbers.dedup();
        assert_eq!(numbers.len(), 250);
        assert_eq!(numbers[0], "00031285570000000001");
        let query = ListQuery { situation: "A".to_owned(), index: 0 };
        assert!(list(State(door), Query(query)).await.body().ends_with("\"boletos\":[]}"));
    }
}
