//! What a bank's answer about a payment means for it.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: a word that nobody knows ends nothing, and neither does a bank that does not let
//! us in or does not know the payment: that is said, and a person may end it.

use crate::connectors::aspsps::{AspspError, PaymentKey, PaymentTold};
use crate::domain::openbanking::payment::{Meaning, PaymentKind, meaning};
use crate::store::openbanking::outcome::Answer;
use crate::store::openbanking::payment::Payment;

use secrecy::SecretString;

/// Longer than any word of either standard.
const WORD_CHARS_MAX: usize = 64;
/// Longer than any name of either standard.
const NAME_BYTES_MAX: usize = 255;

/// By what a payment is asked for.
pub(super) fn key<'a>(payment: &'a Payment, token: Option<&'a SecretString>) -> PaymentKey<'a> {
    let name = Some(payment.external_id.as_str());
    let (id, tpp_id) = if payment.is_our_name { (None, name) } else { (name, None) };
    // What stands before the slash is the service, which the kind says.
    let product = payment.product.rsplit('/').next().filter(|product| !product.is_empty());
    PaymentKey { id, tpp_id, product, token }
}

/// What the bank tells of a payment.
pub(super) fn of_told(payment: &Payment, told: &PaymentTold) -> Answer {
    if !is_about(payment, told) {
        return Answer::Nothing { reason: "unreadable: the answer is about another payment".to_owned() };
    }
    of_word(payment, &told.status.raw)
}

/// What the bank's word says of a payment.
pub(super) fn of_word(payment: &Payment, word: &str) -> Answer {
    let meaning = match meaning(payment.vocabulary, word) {
        // Only a bundle has parts; of anything else nobody knows what is meant.
        Meaning::AskChildren if payment.kind != PaymentKind::Bundle => Meaning::Unknown,
        meaning => meaning,
    };
    let kept = word.trim().chars().filter(|letter| !letter.is_control()).take(WORD_CHARS_MAX);
    Answer::Status { raw: kept.collect(), meaning }
}

/// What it means that there is no status. Nothing where the bank wants to be left alone: the payment has not been asked about.
pub(super) fn of_error(error: &AspspError) -> Option<Answer> {
    let reason = format!("{}: {error}", error.kind());
    match error {
        AspspError::RateLimited { .. } | AspspError::Unavailable { retry_after: Some(_), .. } => None,
        AspspError::Unauthorised { .. }
        | AspspError::ConsentEnded { .. }
        | AspspError::NotFound { .. }
        | AspspError::Refused { .. }
        | AspspError::Unsupported { .. } => Some(Answer::Unverifiable { reason }),
        AspspError::Unavailable { .. }
        | AspspError::Pending
        | AspspError::Misconfigured { .. }
        | AspspError::Unreadable { .. }
        | AspspError::TooLarge { .. } => Some(Answer::Nothing { reason }),
    }
}

/// What is done about a group when its one call came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupFate {
    /// It says the same of each of them.
    OfEach,
    /// One of them may have spoilt it: each is asked about alone.
    Alone,
    /// The bank has no such call: no more groups in this run.
    NoGroups,
}

/// See [`GroupFate`].
pub(super) fn fate_of_group(error: &AspspError) -> GroupFate {
    match error {
        AspspError::RateLimited { .. } | AspspError::Unavailable { .. } | AspspError::Pending => {
            GroupFate::OfEach
        }
        AspspError::Unsupported { .. } | AspspError::Misconfigured { .. } => GroupFate::NoGroups,
        AspspError::Unauthorised { .. }
        | AspspError::ConsentEnded { .. }
        | AspspError::NotFound { .. }
        | AspspError::Refused { .. }
        | AspspError::Unreadable { .. }
        | AspspError::TooLarge { .. } => GroupFate::Alone,
    }
}

/// The bank's own name for a payment that went by ours until now.
pub(super) fn new_name(payment: &Payment, told: &PaymentTold) -> Option<String> {
    told.id.clone().filter(|id| payment.is_our_name && is_name(id))
}

/// Whether a text may be the name of a payment: one that the store can keep, and neither standard makes longer ones.
pub(super) fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

/// A word as it may be logged: what is no code may be anything.
pub(super) fn shown(word: &str) -> &str {
    let is_code = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code { word } else { "(no code)" }
}

/// Whether an answer is about the payment that was asked for. Where it does not say, it is.
fn is_about(payment: &Payment, told: &PaymentTold) -> bool {
    let theirs = if payment.is_our_name { &told.tpp_id } else { &told.id };
    theirs.as_ref().is_none_or(|name| *name == payment.external_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::payment_poller::testing::payment;
    use crate::connectors::aspsps::{ConsentEnd, PaymentStatus, ToldStatus};
    use crate::domain::openbanking::payment::PaymentState;

    fn told(id: Option<&str>, tpp_id: Option<&str>, raw: &str) -> PaymentTold {
        PaymentTold {
            id: id.map(str::to_owned),
            tpp_id: tpp_id.map(str::to_owned),
            status: ToldStatus { status: PaymentStatus::InProgress, raw: raw.to_owned(), is_known: true },
            detail: None,
            is_future_dated: None,
            children: vec![],
        }
    }

    fn meant(answer: Answer) -> Option<Meaning> {
        if let Answer::Status { meaning, .. } = answer { Some(meaning) } else { None }
    }

    #[test]
    fn a_word_is_kept_as_it_came_and_read_by_the_payments_own_vocabulary() {
        let payment = payment(1);
        let answer = of_told(&payment, &told(Some("payment-1"), None, " ACSC "));
        let meaning = Meaning::State(PaymentState::Done);
        assert_eq!(answer, Answer::Status { raw: "ACSC".to_owned(), meaning });
        assert_eq!(meant(of_word(&payment, "done")), Some(Meaning::Unknown));
        assert_eq!(meant(of_word(&payment, "PART")), Some(Meaning::Unknown), "only a bundle has parts");
        let bundle = Payment { kind: PaymentKind::Bundle, ..payment };
        assert_eq!(meant(of_word(&bundle, "PART")), Some(Meaning::AskChildren));
        let Answer::Status { raw, .. } = of_word(&bundle, &"x".repeat(1_000)) else { panic!("a status") };
        assert_eq!(raw.len(), WORD_CHARS_MAX);
        let Answer::Status { raw, .. } = of_word(&bundle, "AC\0XX") else { panic!("a status") };
        assert_eq!(raw, "ACXX", "no database keeps that letter");
    }

    #[test]
    fn an_answer_about_another_payment_says_nothing() {
        let theirs = payment(1);
        for other in [told(Some("payment-2"), None, "RJCT"), told(Some(""), None, "RJCT")] {
            assert!(matches!(of_told(&theirs, &other), Answer::Nothing { .. }));
        }
        assert!(meant(of_told(&theirs, &told(None, None, "RJCT"))).is_some(), "where it does not say");
        let ours = Payment { is_our_name: true, ..payment(1) };
        assert!(meant(of_told(&ours, &told(Some("theirs"), Some("payment-1"), "RJCT"))).is_some());
        assert!(matches!(of_told(&ours, &told(None, Some("another"), "RJCT")), Answer::Nothing { .. }));
    }

    #[test]
    fn a_payment_is_asked_for_by_the_name_that_it_has() {
        let theirs = payment(1);
        let asked = key(&theirs, None);
        assert_eq!((asked.id, asked.tpp_id), (Some("payment-1"), None));
        assert_eq!(asked.product, Some("sepa-credit-transfers"));
        let ours = Payment { is_our_name: true, product: String::new(), ..payment(1) };
        let asked = key(&ours, None);
        assert_eq!((asked.id, asked.tpp_id, asked.product), (None, Some("payment-1"), None));
        assert_eq!(new_name(&ours, &told(Some("theirs"), None, "")), Some("theirs".to_owned()));
        for no_name in [" ", "a\0b", &"x".repeat(256)] {
            assert_eq!(new_name(&ours, &told(Some(no_name), None, "")), None);
        }
        assert_eq!(new_name(&theirs, &told(Some("theirs"), None, "")), None, "it has one already");
    }

    #[test]
    fn no_error_ends_a_payment() {
        let text = || "x".to_owned();
        let unverifiable = [
            AspspError::Unauthorised { code: text() },
            AspspError::ConsentEnded { how: ConsentEnd::Unknown, code: text() },
            AspspError::NotFound { code: text() },
            AspspError::Refused { code: text() },
            AspspError::Unsupported { reason: text() },
        ];
        for error in &unverifiable {
            assert!(matches!(of_error(error), Some(Answer::Unverifiable { .. })), "{error}");
        }
        let nothing = [
            AspspError::Unavailable { retry_after: None, reason: text() },
            AspspError::Pending,
            AspspError::Misconfigured { reason: text() },
            AspspError::Unreadable { reason: text() },
            AspspError::TooLarge { limit_bytes: 1 },
        ];
        for error in &nothing {
            assert!(matches!(of_error(error), Some(Answer::Nothing { .. })), "{error}");
        }
        assert_eq!(of_error(&AspspError::RateLimited { retry_after: None, code: text() }), None);
    }

    #[test]
    fn one_payment_spoils_no_group() {
        let text = || "x".to_owned();
        assert_eq!(fate_of_group(&AspspError::Unauthorised { code: text() }), GroupFate::Alone);
        assert_eq!(fate_of_group(&AspspError::Refused { code: text() }), GroupFate::Alone);
        assert_eq!(fate_of_group(&AspspError::Unsupported { reason: text() }), GroupFate::NoGroups);
        assert_eq!(fate_of_group(&AspspError::Pending), GroupFate::OfEach);
    }

    #[test]
    fn only_a_code_is_shown() {
        assert_eq!((shown("ACXX"), shown("partlyDone")), ("ACXX", "partlyDone"));
        assert_eq!(
            (shown("see your bank"), shown("PL61109010140000071219812874"), shown("")),
            ("(no code)", "(no code)", "(no code)")
        );
    }
}
