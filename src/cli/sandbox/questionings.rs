//! What the sandbox shows of transfers: two recorded questionings that somebody else's client offers, and what came of them.
//!
//! **Owns** nothing. **Fails** when they are not analysed in time. **Limits**: twenty seconds; the people in them are nobody.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::Utc;
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::transfers::FEED;
use crate::proto::transfer::v1 as transfer;
use crate::proto::transfer::v1::transfer_service_client::TransferServiceClient;
use crate::sandbox::{Addresses, FIREBASE_BUCKET};

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The one questionnaire, company, person and user of the demonstration.
const NAME: &str = "sandbox";
const QUESTIONS: usize = 2;
/// As long as a recording's usual header.
const HEADER: [u8; 44] = [0; 44];

/// Somebody who records, and looks at what came of it.
pub(super) struct Recorder<'a> {
    outside: &'a Addresses,
    client: reqwest::Client,
}

impl<'a> Recorder<'a> {
    pub fn new(outside: &'a Addresses) -> Self {
        Self { outside, client: reqwest::Client::new() }
    }

    /// Offers two questionings, and waits until both have been analysed and written back. Returns what happened, for people,
    /// and the key of the first.
    pub async fn show(&self, channel: Channel) -> anyhow::Result<(String, String)> {
        let started = Instant::now();
        self.furnish().await?;
        let stamp = Utc::now().timestamp_millis();
        let keys = [format!("-sandbox{stamp}a"), format!("-sandbox{stamp}b")];
        for (key, is_silent_at_the_end) in keys.iter().zip([false, true]) {
            self.offer(key, is_silent_at_the_end).await?;
        }
        let mut text = String::new();
        let _ = writeln!(text, "Two recorded questionings, offered by a Firebase database (feed `{FEED}`):");
        for key in &keys {
            let _ = writeln!(text, "  {key}  {}", self.end_of(key, channel.clone()).await?);
        }
        let elapsed_ms = started.elapsed().as_millis();
        let _ =
            writeln!(text, "analysed by a voice-analysis vendor and written back within {elapsed_ms} ms.");
        let [first, _] = keys;
        Ok((text, first))
    }

    /// What every questioning refers to.
    async fn furnish(&self) -> anyhow::Result<()> {
        let question = |text: &str| json!({"tipo": "pregunta", "texto": text});
        let questions = json!([
            {"tipo": "texto", "texto": "Gracias por venir."},
            question("¿Ha leído el contrato?"),
            question("¿Está de acuerdo?"),
        ]);
        self.put(&format!("Encuestas/{NAME}"), json!({"cuestionario": questions})).await?;
        self.put(&format!("Cuenta/{NAME}"), json!({"NComercial": "Empresa Ejemplo"})).await?;
        let person = json!({"Nombre": "Ana", "ApPat": "Ejemplo", "ApMat": "Ejemplo"});
        self.put(&format!("Personas/{NAME}"), person).await?;
        self.put(&format!("Usuarios/{NAME}"), json!({"email": "user@shop.example.com"})).await
    }

    /// Stores the recordings first, then the record, as a producer does.
    async fn offer(&self, key: &str, is_silent_at_the_end: bool) -> anyhow::Result<()> {
        for position in 0..QUESTIONS {
            let mut recording = HEADER.to_vec();
            let is_silent = is_silent_at_the_end && position + 1 == QUESTIONS;
            // A vendor of the sandbox hears silence where all bytes are alike.
            let sound = if is_silent { "0000000000".to_owned() } else { format!("{key} answers {position}") };
            recording.extend_from_slice(sound.as_bytes());
            let object = format!("cloud/{key}/{position}.wav");
            let mut url = reqwest::Url::parse(&format!("{}/firebase/audio", self.outside.control_url))?;
            url.query_pairs_mut().append_pair("bucket", FIREBASE_BUCKET).append_pair("object", &object);
            self.client.post(url).body(recording).send().await?.error_for_status()?;
        }
        let record = json!({
            "date": Utc::now().format("%Y/%m/%d - %H:%M:%S").to_string(),
            "key_empresa": NAME, "key_encuesta": NAME, "key_persona": NAME, "key_usuario": NAME,
            "processed": false, "resultado": "", "status": "resultado", "visto": false,
        });
        self.put(&format!("Transfer/{key}"), record).await
    }

    async fn put(&self, path: &str, value: Value) -> anyhow::Result<()> {
        let body = json!({"path": path, "value": value}).to_string();
        let url = format!("{}/firebase/put", self.outside.control_url);
        let asked = self.client.post(url).header("content-type", "application/json").body(body);
        asked.send().await?.error_for_status()?;
        Ok(())
    }

    /// Waits until a transfer has ended, and says how.
    async fn end_of(&self, key: &str, channel: Channel) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut transfers = TransferServiceClient::new(channel);
        let (key, feed) = (key.to_owned(), FEED.to_owned());
        loop {
            let request =
                transfer::GetTransferRequest { key: key.clone(), feed: feed.clone(), ..Default::default() };
            match transfers.get_transfer(request).await {
                Ok(answer) if is_over(answer.get_ref()) => {
                    // Its answers are read once, for that is audited.
                    let request = transfer::FindTransferRequest { key, feed };
                    return Ok(told(&transfers.find_transfer(request).await?.into_inner()));
                }
                Err(status) if status.code() != tonic::Code::NotFound => {
                    return Err(status).context("the transfer cannot be read");
                }
                _ => {}
            }
            if Instant::now() >= deadline {
                bail!("the transfer {key} was not analysed within {PATIENCE:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn is_over(found: &transfer::GetTransferResponse) -> bool {
    use transfer::transfer::State;
    let state = found.transfer.as_ref().map(transfer::Transfer::state);
    matches!(state, Some(State::Done | State::Failed | State::Skipped))
}

fn told(found: &transfer::FindTransferResponse) -> String {
    let Some(transfer) = &found.transfer else { return String::new() };
    let state = transfer.state().as_str_name().trim_start_matches("STATE_").to_lowercase();
    let answer = |answer: &transfer::Answer| match answer.vendor_risk_score {
        Some(score) => score.to_string(),
        None => {
            answer.outcome().as_str_name().trim_start_matches("OUTCOME_").to_lowercase().replace('_', " ")
        }
    };
    let answers: Vec<String> = found.answers.iter().map(answer).collect();
    let reason = if transfer.reason.is_empty() { String::new() } else { format!(" ({})", transfer.reason) };
    format!("{state}{reason}; vendor risk scores: {}", answers.join(", "))
}
