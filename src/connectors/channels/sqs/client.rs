//! The calls themselves: group, sign, send, and tell the answers apart.
//!
//! **Owns** a signer per region, all on one set of credentials.
//! **Fails** as the table in `error` says.
//! **Limits**: ten messages and 256 KiB a call; calls go one after another, so that order is kept. A FIFO queue takes or
//! refuses each message of a call on its own and keeps for good the order in which it took them: there a call holds a subject
//! once, and what follows a notice that was not taken is not sent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::{Context, Signer};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::connectors::channels::sending::sending;
use crate::connectors::channels::{ChannelError, Notice, Receipt};
use crate::connectors::egress::EgressPolicy;
use crate::connectors::http::{Answer, HttpClient, HttpClientError, HttpConfig, HttpError, Request};

use super::config::SqsConfig;
use super::queue::Queue;
use super::wire::{Batch, BatchBody, Message, SentBody, size_bytes};
use super::{credentials, error};

pub(super) const BATCH_MAX: usize = 10;
const CALL_BYTES_MAX: usize = 256 * 1024;
/// More regions than AWS has.
const REGIONS_MAX: usize = 64;

type Outcome = Result<Receipt, ChannelError>;

#[derive(Debug)]
pub(super) struct Client {
    config: SqsConfig,
    policy: EgressPolicy,
    http: HttpClient,
    signer: Signer<Credential>,
    signers: Mutex<HashMap<String, Signer<Credential>>>,
}

impl Client {
    pub(super) fn new(config: SqsConfig, http: &HttpConfig) -> Result<Self, HttpClientError> {
        let context = credentials::context(HttpClient::trusted(http)?.named("sqs"));
        Self::with_context(config, http, context)
    }

    /// A client whose credentials are found in these surroundings.
    pub(super) fn with_context(
        config: SqsConfig,
        http: &HttpConfig,
        context: Context,
    ) -> Result<Self, HttpClientError> {
        let policy = EgressPolicy::new(config.egress.clone());
        let outward = match config.endpoint {
            Some(_) => HttpClient::trusted(http)?,
            None => HttpClient::vetted(http, policy.clone())?,
        };
        let outward = outward.named("sqs");
        let provider = credentials::Provider::new(config.credentials.clone());
        // Which region it signs for is said anew for each region; the credentials are shared by all.
        let signer = Signer::new(context, provider, RequestSigner::new("sqs", "us-east-1"));
        Ok(Self { config, policy, http: outward, signer, signers: Mutex::default() })
    }

    pub(super) fn config(&self) -> &SqsConfig {
        &self.config
    }

    pub(super) fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// Sends notices to one queue, in their order, one outcome each.
    pub(super) async fn send(&self, queue: &Queue, notices: &[Notice<'_>]) -> Vec<Outcome> {
        let limit = self.config.message_max_bytes.min(CALL_BYTES_MAX);
        let sizes: Vec<usize> = notices.iter().map(size_bytes).collect();
        let refused =
            || ChannelError::Refused { reason: format!("the message is longer than {limit} bytes") };
        let mut outcomes: Vec<Option<Outcome>> =
            sizes.iter().map(|&size| (size > limit).then(|| Err(refused()))).collect();
        let fitting: Vec<usize> = (0..sizes.len()).filter(|&place| sizes[place] <= limit).collect();
        let subject_of = |place: usize| queue.fifo.map(|_| notices[place].subject);
        for mut wave in waves(&fitting, subject_of) {
            if queue.fifo.is_some() {
                hold_back(&mut wave, &mut outcomes, notices);
            }
            for group in groups(&wave, |place| sizes[place]) {
                let members: Vec<&Notice<'_>> = group.iter().map(|&place| &notices[place]).collect();
                let sent = self.send_group(queue, &members);
                let sent = sending("aws_sqs", Some(queue.name()), members.len(), sent).await;
                for (place, outcome) in group.iter().zip(sent) {
                    outcomes[*place] = Some(outcome);
                }
            }
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.expect("each notice was refused or is in one group"))
            .collect()
    }

    async fn send_group(&self, queue: &Queue, notices: &[&Notice<'_>]) -> Vec<Outcome> {
        let (target, body) = match notices {
            [alone] => ("AmazonSQS.SendMessage", serde_json::to_vec(&Message::alone(queue, alone))),
            _ => ("AmazonSQS.SendMessageBatch", serde_json::to_vec(&Batch::of(queue, notices))),
        };
        let body = body.expect("a structure of text can be written as JSON");
        let answer = match self.call(queue, target, Bytes::from(body)).await {
            Ok(answer) if answer.status.is_success() => answer,
            Ok(answer) => return vec![Err(error::of_answer(&answer)); notices.len()],
            Err(failure) => return vec![Err(failure); notices.len()],
        };
        if notices.len() == 1 { vec![of_sent(&answer)] } else { of_batch(&answer, notices.len()) }
    }

    async fn call(&self, queue: &Queue, target: &'static str, body: Bytes) -> Result<Answer, ChannelError> {
        let request = self.request(queue, target, body, Duration::ZERO).await?;
        self.exchange(request).await.map_err(|lost| error::of_lost(&lost))
    }

    /// A signed request. SQS may think about it for `wait` before the usual deadline begins.
    pub(super) async fn request(
        &self,
        queue: &Queue,
        target: &'static str,
        body: Bytes,
        wait: Duration,
    ) -> Result<Request, ChannelError> {
        let mut request = Request::new(Method::POST, queue.endpoint.clone());
        request.timeout = Some(wait + self.config.timeout);
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        request.headers.insert(HeaderName::from_static("x-amz-target"), HeaderValue::from_static(target));
        let digest =
            HeaderValue::from_str(&hex(&Sha256::digest(&body))).expect("hexadecimal digits are a header");
        request.headers.insert(HeaderName::from_static("x-amz-content-sha256"), digest);
        request.body = body;
        self.sign(&queue.region, &mut request).await?;
        Ok(request)
    }

    pub(super) async fn exchange(&self, request: Request) -> Result<Answer, HttpError> {
        self.http.send(request).await
    }

    async fn sign(&self, region: &str, request: &mut Request) -> Result<(), ChannelError> {
        let mut parts = http::Request::builder()
            .method(request.method.clone())
            .uri(request.url.as_str())
            .body(())
            .map_err(|_| ChannelError::Misconfigured {
                reason: "the endpoint is no HTTP address".to_owned(),
            })?
            .into_parts()
            .0;
        parts.headers = std::mem::take(&mut request.headers);
        self.signer(region).sign(&mut parts, None).await.map_err(|failure| error::of_signing(&failure))?;
        request.headers = parts.headers;
        Ok(())
    }

    fn signer(&self, region: &str) -> Signer<Credential> {
        // A map of clones is whole even if a holder of the lock panicked.
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signer) = signers.get(region) {
            return signer.clone();
        }
        if signers.len() >= REGIONS_MAX {
            signers.clear();
        }
        let signer = self.signer.clone().with_request_signer(RequestSigner::new("sqs", region));
        signers.insert(region.to_owned(), signer.clone());
        signer
    }
}

/// Cuts places into waves that hold each subject once, in order; one wave where there are no subjects to be told apart.
fn waves<'a>(places: &[usize], subject_of: impl Fn(usize) -> Option<&'a str>) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for &place in places {
        let wave = subject_of(place).map_or(0, |subject| {
            let times = seen.entry(subject).or_default();
            *times += 1;
            *times - 1
        });
        if wave == waves.len() {
            waves.push(Vec::new());
        }
        waves[wave].push(place);
    }
    waves
}

/// Takes out of a wave what follows a notice of its subject that was not taken.
fn hold_back(wave: &mut Vec<usize>, outcomes: &mut [Option<Outcome>], notices: &[Notice<'_>]) {
    let failed =
        outcomes.iter().zip(notices).enumerate().filter(|(_, (outcome, _))| matches!(outcome, Some(Err(_))));
    let mut stuck: HashMap<&str, usize> = HashMap::new();
    for (place, (_, notice)) in failed {
        stuck.entry(notice.subject).or_insert(place);
    }
    wave.retain(|&place| {
        let follows = stuck.get(notices[place].subject).is_some_and(|failed| *failed < place);
        if follows {
            let reason = "held back behind an earlier notice of its subject".to_owned();
            outcomes[place] = Some(Err(ChannelError::Unavailable { retry_after: None, reason }));
        }
        !follows
    });
}

/// Cuts places into groups of at most ten messages and 256 KiB, in order.
fn groups(places: &[usize], size_of: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for &place in places {
        let size = size_of(place);
        match groups.last_mut() {
            Some(group) if group.len() < BATCH_MAX && bytes + size <= CALL_BYTES_MAX => {
                group.push(place);
                bytes += size;
            }
            _ => {
                groups.push(vec![place]);
                bytes = size;
            }
        }
    }
    groups
}

fn of_sent(answer: &Answer) -> Outcome {
    match serde_json::from_slice::<SentBody>(&answer.body) {
        Ok(body) => Ok(receipt(answer, body.message_id)),
        Err(_) => Err(ChannelError::OutcomeUnknown { reason: "unreadable answer".to_owned() }),
    }
}

fn of_batch(answer: &Answer, count: usize) -> Vec<Outcome> {
    let unknown = |reason: &str| Err(ChannelError::OutcomeUnknown { reason: reason.to_owned() });
    let Ok(body) = serde_json::from_slice::<BatchBody>(&answer.body) else {
        return vec![unknown("unreadable answer"); count];
    };
    let mut outcomes = vec![unknown("the answer does not mention the message"); count];
    let place = |id: &str| id.parse::<usize>().ok().filter(|place| *place < count);
    for entry in body.successful {
        if let Some(place) = place(&entry.id) {
            outcomes[place] = Ok(receipt(answer, entry.message_id));
        }
    }
    for entry in body.failed {
        if let Some(place) = place(&entry.id) {
            outcomes[place] = Err(error::of_code(&entry.code, entry.sender_fault, None));
        }
    }
    outcomes
}

fn receipt(answer: &Answer, message_id: String) -> Receipt {
    Receipt { status: Some(answer.status.as_u16()), provider_message_id: Some(message_id), answer: None }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text in memory can always be written to");
        text
    })
}
