//! How the outside misbehaves: for each party a queue of behaviours, used up one request at a time.
//!
//! **Owns** the queues, the counts of how often each party was asked, and the gate at which requests are held.
//! **Fails** never by itself; with an empty script every party does its work.
//! **Limits**: none; a script is as long as its test.

mod party;
mod play;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use party::{Act, AspspStep, BankName, FirebaseStep, Party, SmtpStep, VendorName};

use super::outside::News;

/// How often a charge of Inter is asked for before it has a number, unless it is said otherwise.
const INTER_POLLS: u32 = 1;

/// What a party does instead of simply answering. Without [`Behaviour::AcceptThen`] nothing is accepted,
/// except by `Latency` and `Hold`, which do the work late, also when the caller has hung up meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Does its work as usual; fills a place in a queue of behaviours.
    Normal,
    /// Waits, then does its work.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// Waits for the release, then does its work.
    Hold,
    /// Waits for the release, then resets the connection.
    Hang,
    /// Resets the connection without an answer.
    Reset,
    /// Answers with bytes that are no HTTP.
    Garbage,
    /// Answers 200 with a page for people.
    Html,
    /// Answers 200 with nothing.
    Empty,
    /// Breaks off in the middle of the body, behind a header that promises all of it.
    Truncated,
    /// Answers 200 with a body that goes on for as long as anybody reads it, and much longer than anybody should.
    Endless,
    /// Sends the caller somewhere else.
    Redirect {
        /// HTTP status, 300 to 399.
        code: u16,
        /// Where to.
        to: String,
    },
    /// Answers with this status.
    Status {
        /// HTTP status, 200 to 599.
        code: u16,
        /// Sent as JSON; nothing when absent.
        #[serde(default)]
        body: Option<String>,
        /// Seconds for the `Retry-After` header.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// Refuses for this business reason, in a bank's own shape; parties that have no such reasons answer 400.
    Refuse {
        /// The bank's code.
        code: String,
    },
    /// Makes all tokens that anybody has issued invalid, then goes on as usual.
    ExpireTokens,
    /// Does its work, then behaves so instead of answering.
    AcceptThen(Box<Behaviour>),
}

impl Behaviour {
    /// The effect is recorded, then the connection closes without an answer.
    pub fn accept_then_drop() -> Self {
        Behaviour::AcceptThen(Box::new(Behaviour::Reset))
    }

    /// The effect is recorded, and its answer waits for the release.
    pub fn accept_then_hold() -> Self {
        Behaviour::AcceptThen(Box::new(Behaviour::Hold))
    }

    /// An answer with only a status.
    pub fn status(code: u16) -> Self {
        Behaviour::Status { code, body: None, retry_after_s: None }
    }

    /// Too many requests, or a rest for a while.
    pub fn status_retry_after(code: u16, seconds: u64) -> Self {
        Behaviour::Status { code, body: None, retry_after_s: Some(seconds) }
    }

    /// An answer with only a status and a body.
    pub fn saying(code: u16, body: impl Into<String>) -> Self {
        Behaviour::Status { code, body: Some(body.into()), retry_after_s: None }
    }

    /// A refusal by the bank.
    pub fn refuse(code: impl Into<String>) -> Self {
        Behaviour::Refuse { code: code.into() }
    }
}

/// How long a behaviour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Until the party's script is cleared.
    Always,
    /// For so many requests.
    #[serde(untagged)]
    Count(u32),
}

#[derive(Default)]
struct Part {
    asked: u64,
    behaviours: VecDeque<(Behaviour, Times)>,
}

impl Part {
    fn next(&mut self) -> Option<Behaviour> {
        self.asked += 1;
        let (behaviour, times) = self.behaviours.front_mut()?;
        match times {
            Times::Always => Some(behaviour.clone()),
            Times::Count(left) if *left > 1 => {
                *left -= 1;
                Some(behaviour.clone())
            }
            Times::Count(_) => self.behaviours.pop_front().map(|(behaviour, _)| behaviour),
        }
    }
}

/// What the gate says to those who wait at it.
#[derive(Clone, Copy, Default)]
struct Gate {
    releases: u64,
    closed: bool,
    held: usize,
}

struct Inner {
    parts: Mutex<BTreeMap<Party, Part>>,
    gate: watch::Sender<Gate>,
    token_epoch: watch::Sender<u64>,
    inter_polls: AtomicU32,
    news: News,
}

/// The script of the whole world; clones share it.
#[derive(Clone)]
pub struct Script(Arc<Inner>);

impl Script {
    pub(super) fn new(news: News) -> Self {
        let parts = Party::all().map(|party| (party, Part::default())).collect();
        Script(Arc::new(Inner {
            parts: Mutex::new(parts),
            gate: watch::Sender::new(Gate::default()),
            token_epoch: watch::Sender::new(0),
            inter_polls: AtomicU32::new(INTER_POLLS),
            news,
        }))
    }

    /// The party's next request that has no behaviour yet gets this one.
    pub fn once(&self, party: Party, behaviour: Behaviour) {
        self.add(party, behaviour, Times::Count(1));
    }

    /// All requests to the party after those with a behaviour get this one, until [`Script::clear`].
    pub fn always(&self, party: Party, behaviour: Behaviour) {
        self.add(party, behaviour, Times::Always);
    }

    /// Adds a behaviour at the end of the party's queue; zero times adds nothing.
    pub fn add(&self, party: Party, behaviour: Behaviour, times: Times) {
        if times != Times::Count(0) {
            self.part(party, |part| part.behaviours.push_back((behaviour, times)));
        }
    }

    /// The next registration behaves so.
    pub fn bank_register(&self, behaviour: Behaviour) {
        self.once(Party::BankRegister, behaviour);
    }

    /// The next look-up behaves so.
    pub fn bank_look_up(&self, behaviour: Behaviour) {
        self.once(Party::BankLookUp, behaviour);
    }

    /// The next token request behaves so.
    pub fn bank_token(&self, behaviour: Behaviour) {
        self.once(Party::BankToken, behaviour);
    }

    /// The next call of the queue service behaves so.
    pub fn sqs(&self, behaviour: Behaviour) {
        self.once(Party::Sqs, behaviour);
    }

    /// The next webhook behaves so.
    pub fn webhook(&self, behaviour: Behaviour) {
        self.once(Party::Webhook, behaviour);
    }

    /// Forgets what the party was told; held requests stay held.
    pub fn clear(&self, party: Party) {
        self.part(party, |part| part.behaviours.clear());
    }

    /// Forgets what every party was told.
    pub fn clear_all(&self) {
        Party::all().for_each(|party| self.clear(party));
    }

    /// Lets everything go on that is held now; what comes later is held again.
    pub fn release(&self) {
        self.0.gate.send_modify(|gate| gate.releases += 1);
    }

    /// Makes every token that any bank or the database has issued invalid.
    pub fn expire_tokens(&self) {
        self.0.token_epoch.send_modify(|epoch| *epoch += 1);
    }

    /// How often each party was asked, refused requests included.
    pub fn counts(&self) -> BTreeMap<Party, u64> {
        self.lock().iter().map(|(party, part)| (*party, part.asked)).collect()
    }

    /// How often this party was asked.
    pub fn asked(&self, party: Party) -> u64 {
        self.part(party, |part| part.asked)
    }

    /// How many requests are held or hang at this moment.
    pub fn held(&self) -> usize {
        self.0.gate.borrow().held
    }

    /// How often each new charge of Inter is found in process before it has a number; `u32::MAX` is for ever.
    pub fn set_inter_polls(&self, polls: u32) {
        self.0.inter_polls.store(polls, Ordering::Relaxed);
    }

    pub(super) fn inter_polls(&self) -> u32 {
        self.0.inter_polls.load(Ordering::Relaxed)
    }

    pub(super) fn token_epoch(&self) -> u64 {
        *self.0.token_epoch.borrow()
    }

    /// Changes when all tokens of that moment become invalid.
    pub(super) fn token_epochs(&self) -> watch::Receiver<u64> {
        self.0.token_epoch.subscribe()
    }

    /// Sends everything home that is held, for good.
    pub(super) fn close(&self) {
        self.0.gate.send_modify(|gate| gate.closed = true);
    }

    fn part<T>(&self, party: Party, act: impl FnOnce(&mut Part) -> T) -> T {
        act(self.lock().entry(party).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Party, Part>> {
        // Each holder makes one small change, which a panic cannot leave half done.
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn behaviours_are_used_up_in_order_and_a_standing_one_stays() {
        let script = Script::new(News::new());
        script.bank_register(Behaviour::Reset);
        script.add(Party::BankRegister, Behaviour::Empty, Times::Count(2));
        script.add(Party::BankRegister, Behaviour::Hang, Times::Count(0));
        script.always(Party::BankRegister, Behaviour::Html);
        let taken: Vec<_> = (0..5).map(|_| script.part(Party::BankRegister, Part::next).unwrap()).collect();
        let expected =
            [Behaviour::Reset, Behaviour::Empty, Behaviour::Empty, Behaviour::Html, Behaviour::Html];
        assert_eq!(taken, expected);
        assert_eq!(script.asked(Party::BankRegister), 5);
        assert_eq!(script.asked(Party::Sqs), 0);
        script.clear_all();
        assert_eq!(script.part(Party::BankRegister, Part::next), None);
    }

    #[test]
    fn behaviours_and_times_are_written_by_name() {
        let cases = [
            (json!("hang"), Behaviour::Hang),
            (json!({"latency": {"ms": 5}}), Behaviour::Latency { ms: 5 }),
            (json!({"status": {"code": 429, "retry_after_s": 7}}), Behaviour::status_retry_after(429, 7)),
            (json!({"accept_then": "reset"}), Behaviour::accept_then_drop()),
            (json!({"refuse": {"code": "48"}}), Behaviour::refuse("48")),
            (json!("truncated"), Behaviour::Truncated),
            (
                json!({"redirect": {"code": 307, "to": "/"}}),
                Behaviour::Redirect { code: 307, to: "/".to_owned() },
            ),
        ];
        for (written, behaviour) in cases {
            assert_eq!(serde_json::from_value::<Behaviour>(written).unwrap(), behaviour);
        }
        assert_eq!(serde_json::from_value::<Times>(json!("always")).unwrap(), Times::Always);
        assert_eq!(serde_json::from_value::<Times>(json!(3)).unwrap(), Times::Count(3));
        assert!(serde_json::from_value::<Behaviour>(json!("sulk")).is_err());
    }
}
