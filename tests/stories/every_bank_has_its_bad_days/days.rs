//! The bad days, and what each leaves behind.
//!
//! **Owns** nothing. **Limits**: a day is one request's; those that need a deadline to pass are told apart, because a house
//! that is impatient with everything would doubt what a busy machine was merely slow at.

use bursar::sandbox::Behaviour;

/// What our side knows after such an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// An answer, in the end.
    NoDoubt,
    /// That the bank has kept nothing.
    Nothing,
    /// A doubt; what the bank did in truth is said here.
    Doubt { kept: bool },
}

/// One bad day at the door where boletos are registered.
#[derive(Clone, Debug)]
pub struct Day {
    /// What happens to one request after the other.
    pub happens: Vec<Behaviour>,
    pub leaves: Leaves,
}

impl Day {
    /// The bank says that there is something already, and not what.
    pub fn is_conflict(&self) -> bool {
        matches!(self.happens[..], [Behaviour::Status { code: 409, .. }])
    }
}

const HALF: &str = r#"{"status":{"codigo":"0","mens"#;
const OTHER_SHAPE: &str = r#"{"ok":true}"#;
const NO_SUCH_PATH: &str = r#"{"statusCode":404,"error":"Not Found"}"#;
const FIREWALL: &str = "<html><body>Acesso bloqueado</body></html>";

/// Neither yes nor no, at once. Whatever leads away leads to `elsewhere`.
fn silences(elsewhere: &str) -> Vec<Behaviour> {
    vec![
        Behaviour::Reset,
        Behaviour::Garbage,
        Behaviour::Html,
        Behaviour::Empty,
        Behaviour::Truncated,
        Behaviour::Endless,
        Behaviour::Redirect { code: 302, to: elsewhere.to_owned() },
        Behaviour::Redirect { code: 307, to: elsewhere.to_owned() },
        Behaviour::status(204),
        Behaviour::status(408),
        Behaviour::status(500),
        Behaviour::saying(502, FIREWALL),
        Behaviour::status_retry_after(503, 1),
        Behaviour::saying(200, HALF),
        Behaviour::saying(200, OTHER_SHAPE),
        Behaviour::saying(400, "{}"),
        Behaviour::saying(400, FIREWALL),
    ]
}

fn kept(then: Behaviour) -> Behaviour {
    Behaviour::AcceptThen(Box::new(then))
}

fn day(happens: Vec<Behaviour>, leaves: Leaves) -> Day {
    Day { happens, leaves }
}

/// Every day that is over at once. `has_tokens`: the bank signs callers in apart from the call.
pub fn quick(elsewhere: &str, has_tokens: bool) -> Vec<Day> {
    let mut days = vec![
        day(vec![Behaviour::Latency { ms: 40 }], Leaves::NoDoubt),
        day(vec![kept(Behaviour::Latency { ms: 40 })], Leaves::NoDoubt),
        day(vec![Behaviour::status_retry_after(429, 3_600)], Leaves::Nothing),
        day(vec![Behaviour::status(403)], Leaves::Nothing),
        day(vec![Behaviour::saying(404, NO_SUCH_PATH)], Leaves::Doubt { kept: false }),
        day(vec![Behaviour::saying(409, "{}")], Leaves::Doubt { kept: false }),
    ];
    days.extend(match has_tokens {
        // The first is the end of a token, which is nobody's trouble; the second is a bank that takes none.
        true => vec![
            day(vec![Behaviour::status(401)], Leaves::NoDoubt),
            day(vec![Behaviour::status(401), Behaviour::status(401)], Leaves::Nothing),
        ],
        false => vec![day(vec![Behaviour::status(401)], Leaves::Nothing)],
    });
    for silence in silences(elsewhere) {
        days.push(day(vec![silence.clone()], Leaves::Doubt { kept: false }));
        days.push(day(vec![kept(silence)], Leaves::Doubt { kept: true }));
    }
    days
}

/// The days on which somebody must lose patience.
pub fn slow() -> Vec<Day> {
    vec![
        day(vec![Behaviour::Hang], Leaves::Doubt { kept: false }),
        day(vec![kept(Behaviour::Hang)], Leaves::Doubt { kept: true }),
    ]
}

/// What may happen where a caller signs in: nothing of it is about a boleto.
pub fn of_signing_in(elsewhere: &str) -> Vec<Behaviour> {
    let mut days = silences(elsewhere);
    days.extend([401, 403, 429].map(Behaviour::status));
    days.extend([Behaviour::Latency { ms: 40 }, Behaviour::refuse("invalid_client")]);
    days
}

/// What may happen to a question about a title: nothing of it says anything about the title.
pub fn of_looking(elsewhere: &str) -> Vec<Behaviour> {
    let mut days = silences(elsewhere);
    days.extend([401, 403, 429].map(Behaviour::status));
    days.extend([Behaviour::saying(404, NO_SUCH_PATH), Behaviour::saying(404, FIREWALL)]);
    days.extend([Behaviour::status(404), Behaviour::Latency { ms: 40 }]);
    days
}

/// What may happen to a request that a title be changed or taken off file. Whether the bank did it, it shows itself. Some
/// banks say yes to it by a status alone, and none is known to say it in certain words.
pub fn of_orders(elsewhere: &str) -> Vec<Behaviour> {
    let is_a_yes = [Behaviour::status(204), Behaviour::saying(200, OTHER_SHAPE)];
    let mut silences = silences(elsewhere);
    silences.retain(|silence| !is_a_yes.contains(silence));
    let mut days: Vec<Behaviour> = silences.clone();
    days.extend(silences.into_iter().map(kept));
    days.extend(is_a_yes.map(kept));
    days.extend([401, 403, 429].map(Behaviour::status));
    days.extend([Behaviour::Latency { ms: 40 }, kept(Behaviour::Latency { ms: 40 })]);
    days
}
