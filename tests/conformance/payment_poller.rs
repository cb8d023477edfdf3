//! What a run that follows payments owes, at banks of both standards and on both databases: every payment is asked about and ends by
//! its bank's own word, several in one call where the bank lets them, and nothing is guessed.

use std::time::Duration;

use bursar::domain::openbanking::payment::{PaymentKind, PaymentState};
use bursar::messages::jobs::JobEnd;
use bursar::sandbox::{AspspBundle, AspspPayment, AspspPaymentStep, AspspRecurring, AspspStep, Behaviour};
use bursar::store::openbanking::payment::PaymentDraft;
use secrecy::SecretString;

use crate::aspsp_scene::CONSENT;
use crate::on_both_databases;
use crate::poll_scene::{BERLIN, POLISH, PollScene, as_a, of_berlin, of_polish, old};
use crate::support::database::Kind;

on_both_databases!(
    payments_end_by_their_banks_own_word,
    several_are_asked_about_in_one_call,
    a_bundle_is_followed_with_all_that_is_in_it,
    a_payment_that_no_bank_ends_is_unresolved,
    a_bank_that_wants_to_be_left_alone_is,
    a_bank_that_says_when_it_opens_is_left_alone,
    one_bank_that_is_away_keeps_no_other_waiting,
    a_bank_that_stumbles_is_not_left,
    a_bank_that_is_not_configured_fails_nothing,
);

async fn payments_end_by_their_banks_own_word(kind: Kind) {
    let scene = PollScene::set(kind).await;
    let (berlin, polish) = (&scene.berlin, &scene.polish);
    let mut followed = Vec::new();
    for (number, (word, state)) in [
        ("ACSC", PaymentState::Done),
        ("RJCT", PaymentState::Rejected),
        ("CANC", PaymentState::Cancelled),
        ("ACSP", PaymentState::InProgress),
        ("ACXX", PaymentState::InProgress),
    ]
    .into_iter()
    .enumerate()
    {
        let (one, other) = (of_berlin(&format!("b-{number}")), of_polish(&format!("p-{number}")));
        followed.push((scene.follows_known(berlin, one, word).await, word, state));
        followed.push((scene.follows_known(polish, other, word).await, word, state));
    }
    let periodic = as_a(PaymentKind::Recurring, of_berlin("periodic"));
    followed.push((scene.follows_known(berlin, periodic, "ACSC").await, "ACSC", PaymentState::Done));
    let recurring = as_a(PaymentKind::Recurring, of_polish("recurring"));
    polish.bank().put_recurring(AspspRecurring {
        id: "recurring".to_owned(),
        tpp_id: "tpp-recurring".to_owned(),
        consent: CONSENT.to_owned(),
        steps: vec![AspspPaymentStep { after_ms: 0, status: "close".to_owned() }],
    });
    let recurring = scene.follows(recurring, Some(&polish.token)).await;

    let ran = scene.runs().await;
    assert_eq!(ran.end, JobEnd::Completed, "{:?}", ran.progress);
    for (id, word, state) in &followed {
        let payment = scene.payment(*id).await;
        assert_eq!(payment.state, *state, "{word} of {payment:?}");
        assert_eq!(payment.is_unknown, *word == "ACXX", "{payment:?}");
        assert!(!payment.is_unverifiable && payment.asks == 1, "{payment:?}");
        assert_eq!(
            payment.token_sealed.is_some(),
            *state == PaymentState::InProgress,
            "of what ended no token is kept"
        );
        if payment.aspsp == BERLIN {
            assert_eq!(payment.raw_status.as_deref(), Some(*word));
        }
    }
    assert_eq!(scene.payment(recurring).await.raw_status.as_deref(), Some("close"));
    assert_eq!(scene.payment(recurring).await.state, PaymentState::Done);
    let mut news = scene.bank.news().await;
    news.sort();
    let told = |name: &str, times: usize| vec![format!("payment.{name}"); times];
    assert_eq!(news, [told("cancelled", 2), told("done", 4), told("rejected", 2)].concat(), "each end once");
    assert_eq!((ran.progress.done, ran.progress.total), (12, Some(12)));
    assert_eq!(ran.progress.counts["done"], 4);
    assert_eq!((ran.progress.counts["in_progress"], ran.progress.counts["unknown_word"]), (4, 2));

    let again = scene.runs().await;
    assert_eq!(again.end, JobEnd::Completed);
    assert_eq!((again.progress.done, again.progress.total), (4, Some(4)), "only what is in progress");
    assert_eq!(scene.bank.news().await.len(), 8, "nobody is told twice");
    scene.close().await;
}

async fn several_are_asked_about_in_one_call(kind: Kind) {
    let scene = PollScene::set(kind).await;
    let polish = &scene.polish;
    let mut known = Vec::new();
    for number in 0..7 {
        let draft = of_polish(&format!("p-{number}"));
        known.push(scene.follows_known(polish, draft, "ACSC").await);
    }
    // One goes by our name until the bank has told its own.
    let ours = AspspPayment {
        consent: Some(CONSENT.to_owned()),
        ..AspspPayment::settling("theirs", &[(Duration::ZERO, "ACSP")])
    };
    polish.bank().put_payment(ours);
    let ours = PaymentDraft { is_our_name: true, ..of_polish("tpp-theirs") };
    let ours = scene.follows(ours, Some(&polish.token)).await;
    scene.runs().await;
    for id in known {
        assert_eq!(scene.payment(id).await.state, PaymentState::Done);
    }
    let ours = scene.payment(ours).await;
    assert_eq!(
        (ours.external_id.as_str(), ours.is_our_name, ours.state),
        ("theirs", false, PaymentState::InProgress)
    );
    assert_eq!(scene.calls().await, ["payments", "payments", "payments"], "of eight, three at a time");
    assert_eq!((polish.bank().asked(AspspStep::Payments), polish.bank().asked(AspspStep::Payment)), (3, 0));

    // What spoils a group does so once: the bank says of neither why it left it out, until it is asked about alone.
    let stranger = SecretString::from("no token of anybody's");
    let locked = of_polish("locked");
    let locked = {
        let there = AspspPayment {
            consent: Some(CONSENT.to_owned()),
            ..AspspPayment::settling("locked", &[(Duration::ZERO, "ACSC")])
        };
        polish.bank().put_payment(there);
        scene.follows(locked, Some(&stranger)).await
    };
    let lost = scene.follows(of_polish("lost"), Some(&polish.token)).await;
    let bare = scene.follows(of_polish("bare"), None).await;
    let ran = scene.runs().await;
    assert_eq!(ran.end, JobEnd::Completed);
    for id in [locked, lost, bare] {
        let payment = scene.payment(id).await;
        assert_eq!((payment.state, payment.is_unverifiable), (PaymentState::InProgress, true), "{payment:?}");
    }
    let reason = |payment: bursar::store::openbanking::payment::Payment| payment.reason.unwrap_or_default();
    assert!(reason(scene.payment(locked).await).starts_with("unauthorised: "));
    assert!(reason(scene.payment(lost).await).starts_with("not_found: "));
    assert!(
        reason(scene.payment(bare).await).starts_with("unauthorised: "),
        "without a token nobody is let in"
    );
    // One group of three, then two of them alone; the one without a token is not sent at all.
    assert_eq!((polish.bank().asked(AspspStep::Payments), polish.bank().asked(AspspStep::Payment)), (4, 2));
    scene.close().await;
}

async fn a_bundle_is_followed_with_all_that_is_in_it(kind: Kind) {
    let scene = PollScene::set(kind).await;
    let polish = &scene.polish;
    for (name, word) in [("c-1", "ACSC"), ("c-2", "ACSP")] {
        polish.bank().put_payment(AspspPayment {
            consent: Some(CONSENT.to_owned()),
            ..AspspPayment::settling(name, &[(Duration::ZERO, word)])
        });
    }
    polish.bank().put_bundle(AspspBundle {
        id: "bundle".to_owned(),
        tpp_id: "tpp-bundle".to_owned(),
        consent: CONSENT.to_owned(),
        payments: vec!["c-1".to_owned(), "c-2".to_owned()],
    });
    let bundle = scene.follows(as_a(PaymentKind::Bundle, of_polish("bundle")), Some(&polish.token)).await;
    let bulk = as_a(PaymentKind::Bundle, of_berlin("bulk"));
    let bulk = scene.follows_known(&scene.berlin, bulk, "PART").await;

    let ran = scene.runs().await;
    assert_eq!(ran.end, JobEnd::Completed);
    let children = scene.children(bundle).await;
    let states: Vec<_> = children.iter().map(|child| (child.external_id.as_str(), child.state)).collect();
    assert_eq!(states, [("c-1", PaymentState::Done), ("c-2", PaymentState::InProgress)]);
    let parent = scene.payment(bundle).await;
    assert_eq!((parent.state, parent.asks_children), (PaymentState::InProgress, true), "{parent:?}");
    assert_eq!(polish.bank().asked(AspspStep::Payment), 0, "the bundle has told of its payments");
    let bulk = scene.payment(bulk).await;
    assert_eq!((bulk.state, bulk.asks_children), (PaymentState::InProgress, true), "{bulk:?}");

    polish.bank().settle("c-2", "RJCT");
    scene.runs().await;
    assert_eq!(scene.children(bundle).await[1].state, PaymentState::Rejected);
    let parent = scene.payment(bundle).await;
    assert_eq!(parent.state, PaymentState::Mixed, "{parent:?}");
    assert_eq!(polish.bank().asked(AspspStep::Bundle), 2);
    assert_eq!(polish.bank().asked(AspspStep::Payment) + polish.bank().asked(AspspStep::Payments), 0);
    let mut news = scene.bank.news().await;
    news.sort();
    assert_eq!(news, ["payment.done", "payment.mixed", "payment.rejected"]);
    scene.close().await;
}

async fn a_payment_that_no_bank_ends_is_unresolved(kind: Kind) {
    let scene = PollScene::set(kind).await;
    let slow = scene.follows_known(&scene.berlin, old(31, of_berlin("slow")), "ACSP").await;
    let late = scene.follows_known(&scene.berlin, old(31, of_berlin("late")), "ACSC").await;
    let lost = scene.follows(old(31, of_berlin("lost")), None).await;
    // Of these nobody has been able to ask about for long.
    let nobody = |name: &str| PaymentDraft { aspsp: "nobody".to_owned(), ..of_berlin(name) };
    let overdue = scene.follows(old(32, nobody("overdue")), None).await;
    let due = scene.follows(old(30, nobody("due")), None).await;
    scene.runs().await;
    let payment = scene.payment(slow).await;
    assert_eq!(
        (payment.state, payment.raw_status.as_deref()),
        (PaymentState::Unresolved, Some("ACSP")),
        "{payment:?}"
    );
    assert!(payment.token_sealed.is_some(), "a person may still look");
    assert!(payment.reason.is_some_and(|reason| reason.starts_with("age_limit: ")));
    assert_eq!(scene.payment(late).await.state, PaymentState::Done, "the last question was answered");
    assert_eq!(scene.payment(lost).await.state, PaymentState::Unresolved);
    assert_eq!(scene.payment(overdue).await.state, PaymentState::Unresolved);
    assert_eq!(scene.payment(due).await.state, PaymentState::InProgress);
    scene.close().await;
}

async fn a_bank_that_wants_to_be_left_alone_is(kind: Kind) {
    left_alone(kind, 429).await;
}

async fn a_bank_that_says_when_it_opens_is_left_alone(kind: Kind) {
    left_alone(kind, 503).await;
}

async fn left_alone(kind: Kind, code: u16) {
    let scene = PollScene::set(kind).await;
    let berlin = scene.berlin.bank();
    let mut followed = Vec::new();
    for number in 0..20 {
        let draft = of_berlin(&format!("b-{number}"));
        followed.push(scene.follows_known(&scene.berlin, draft, "ACSC").await);
    }
    let enough = Behaviour::status_retry_after(code, 3_600);
    berlin.always(AspspStep::Payment, enough);
    let ran = scene.runs().await;
    assert!(matches!(ran.end, JobEnd::RateLimited { .. }), "{:?}", ran.end);
    let asked = berlin.asked(AspspStep::Payment);
    assert!((1..=4).contains(&asked), "{asked} were under way at the most");
    assert_eq!(ran.progress.note.as_deref(), Some("left alone: berlin"));
    assert_eq!((ran.progress.done, ran.progress.counts["left"]), (20, 20));
    for id in &followed {
        let payment = scene.payment(*id).await;
        assert_eq!((payment.asks, payment.is_unverifiable), (0, false), "{payment:?}");
    }
    // Whoever comes next knows it from the store.
    let ran = scene.runs().await;
    assert!(matches!(ran.end, JobEnd::RateLimited { .. }), "{:?}", ran.end);
    assert_eq!(berlin.asked(AspspStep::Payment), asked, "nobody asked");
    // Another bank is nobody's loss.
    let other = scene.follows_known(&scene.polish, of_polish("other"), "ACSC").await;
    assert_eq!(scene.runs().await.end, JobEnd::Completed);
    assert_eq!(scene.payment(other).await.state, PaymentState::Done);
    assert_eq!(berlin.asked(AspspStep::Payment), asked);
    scene.close().await;
}

async fn one_bank_that_is_away_keeps_no_other_waiting(kind: Kind) {
    let scene = PollScene::set(kind).await;
    let polish = scene.polish.bank();
    polish.always(AspspStep::Payment, Behaviour::Reset);
    let mut away = Vec::new();
    // As many as it takes to be left, and more.
    for number in 0..40 {
        let draft = PaymentDraft { token_sealed: None, ..of_polish(&format!("p-{number}")) };
        away.push(scene.follows_known(&scene.polish, as_a(PaymentKind::Single, draft), "ACSC").await);
    }
    polish.always(AspspStep::Payments, Behaviour::Reset);
    let one = scene.follows_known(&scene.berlin, of_berlin("b-1"), "ACSC").await;
    let ran = scene.runs().await;
    assert_eq!(ran.end, JobEnd::Completed, "{:?}", ran.progress);
    assert_eq!(scene.payment(one).await.state, PaymentState::Done);
    assert_eq!((ran.progress.done, ran.progress.total), (41, Some(41)));
    for id in away {
        let payment = scene.payment(id).await;
        assert_eq!(
            (payment.state, payment.is_unverifiable),
            (PaymentState::InProgress, false),
            "{payment:?}"
        );
    }
    assert_eq!(ran.progress.counts["unavailable"], 1, "{:?}", ran.progress);
    assert_eq!(ran.progress.note, Some(format!("unavailable: {POLISH}")));
    scene.close().await;
}

async fn a_bank_that_stumbles_is_not_left(kind: Kind) {
    let scene = PollScene::with_breakers(kind, Duration::from_millis(20)).await;
    let berlin = scene.berlin.bank();
    for _ in 0..3 {
        berlin.once(AspspStep::Payment, Behaviour::Reset);
    }
    let mut followed = Vec::new();
    for number in 0..30 {
        let draft = of_berlin(&format!("b-{number}"));
        followed.push(scene.follows_known(&scene.berlin, draft, "ACSC").await);
    }
    let ran = scene.runs().await;
    assert_eq!(ran.end, JobEnd::Completed);
    assert_eq!((ran.progress.done, ran.progress.counts["done"]), (30, 27), "{:?}", ran.progress);
    assert_eq!(ran.progress.counts["no_answer"], 3);
    assert_eq!(ran.progress.note, None);
    scene.runs().await;
    for id in followed {
        assert_eq!(scene.payment(id).await.state, PaymentState::Done);
    }
    scene.close().await;
}

async fn a_bank_that_is_not_configured_fails_nothing(kind: Kind) {
    let scene = PollScene::set(kind).await;
    let stray = PaymentDraft { aspsp: "closed-bank".to_owned(), ..of_berlin("stray") };
    let stray = scene.follows(stray, None).await;
    let ran = scene.runs().await;
    assert_eq!(ran.end, JobEnd::Completed);
    assert_eq!((ran.progress.counts["not_configured"], ran.progress.counts["left"]), (1, 1));
    assert_eq!(ran.progress.note.as_deref(), Some("not configured: closed-bank"));
    assert_eq!(scene.payment(stray).await.asks, 0);
    scene.close().await;
}
