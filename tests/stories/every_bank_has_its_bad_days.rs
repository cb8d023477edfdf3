//! One table: every bad day of a bank by every way to a bank. Whatever the day, a boleto is registered once in the end
//! without anybody asking, or, where nobody can find out what became of it, a person is asked. It is never called refused,
//! never called registered while nobody knows, and the bank has one title of it at most.

mod days;
mod orders;
mod place;

use bursar::proto::boleto::v1::{Boleto, BoletoStatus};
use bursar::sandbox::{Act, BankName, Behaviour, EffectKind, Party};
use chrono::DateTime;

use self::days::{Day, Leaves};
use self::place::{Finds, Place, Way};
use crate::support::house::eventually;

/// One day at one bank, from the request to the end.
async fn live_through(place: &Place, way: &Way, day: &Day, cents: i64, counts: bool) {
    let what = format!("{} on a day of {:?}", way.name, day.happens);
    let registrations = Party::Bank(way.bank, Act::Register);
    let before = place.house.script().asked(registrations);
    place.told(way, Act::Register, &day.happens);
    let boleto = place.creates(way, cents).await;
    let at_once = way.at_once(day);
    assert_eq!(boleto.status(), at_once, "{what}: {boleto:?}");
    assert_eq!(boleto.payable, at_once == BoletoStatus::Registered, "{what}: {boleto:?}");
    if let [Behaviour::Status { retry_after_s: Some(seconds), code: 429, .. }] = day.happens[..] {
        waits_as_asked(place, &boleto, seconds, &what).await;
        place.house.shop().registers_again(&boleto.id).await.expect("asked again");
    }
    place.ends(&boleto, way.end(day.leaves), &what).await;
    if counts {
        let (asked, duplicates) = way.asked(day);
        assert_eq!(place.house.script().asked(registrations) - before, asked, "asked: {what}");
        let repeated = place.effects(EffectKind::BankDuplicateRefused, cents);
        assert_eq!(repeated, duplicates, "told what it had: {what}");
    }
}

/// A bank that says when to come back is left alone until then, however short our own waits are.
async fn waits_as_asked(place: &Place, boleto: &Boleto, seconds: u64, what: &str) {
    let work = place.house.operator().finds_work(&boleto.id, &[]).await.pop().expect("work that waits");
    let moment = |at: &Option<prost_types::Timestamp>| {
        let at = at.as_ref().expect("a moment");
        DateTime::from_timestamp(at.seconds, 0).expect("a moment")
    };
    let wait = moment(&work.run_time) - moment(&boleto.create_time);
    assert!(wait.num_seconds() >= seconds as i64, "{what}: again after {wait}");
    assert_eq!(work.attempt, 0, "{what}: it cost an attempt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_answer_comes_to_a_registration() {
    let place = Place::open(&[]).await;
    place
        .everywhere(async |way| {
            for (row, day) in days::quick(&place.elsewhere, way.has_tokens).iter().enumerate() {
                live_through(&place, way, day, place.cents(way, row), true).await;
            }
        })
        .await;
    place.close().await;
}

/// Settings of a house that waits a second for a bank, and no longer.
const IMPATIENT: [(&str, &str); 8] = [
    ("banks.banco_do_brasil.timeout", "1s"),
    ("banks.boleto_api.timeout", "1s"),
    ("banks.boleto_api.caixa_timeout", "1s"),
    ("banks.bradesco_apiregistro.timeout", "1s"),
    ("banks.bradesco_shopfacil.timeout", "1s"),
    ("banks.inter.timeout", "1s"),
    ("banks.itau.timeout", "1s"),
    ("banks.santander.timeout", "1s"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_no_answer_comes_to_a_registration() {
    let place = Place::open(&IMPATIENT).await;
    place
        .everywhere(async |way| {
            for (row, day) in days::slow().iter().enumerate() {
                live_through(&place, way, day, place.cents(way, row), false).await;
            }
        })
        .await;
    place.close().await;
}

/// The bank takes up what it was asked long after we stopped waiting, when all has been decided without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_is_later_than_anybody_waits() {
    let place = Place::open(&IMPATIENT).await;
    place
        .everywhere(async |way| {
            let what = format!("{} in the morning", way.name);
            place.told(way, Act::Register, &[Behaviour::Hold]);
            let boleto = place.creates(way, place.cents(way, 0)).await;
            assert_eq!(boleto.status(), BoletoStatus::PendingRegistration, "{what}");
            place.ends(&boleto, way.end(Leaves::Doubt { kept: false }), &what).await;
        })
        .await;
    place.house.script().release();
    for way in &place.ways {
        let cents = place.cents(way, 0);
        let came = |kind| place.effects(kind, cents);
        // What comes late is refused where there is a title; where a person looks there is one now to be found. Santander
        // knows the request by its own key, and does nothing for it the second time.
        let wanted = match way.finds {
            Finds::Never => 1,
            _ if way.bank == BankName::Santander => 1,
            _ => 2,
        };
        eventually(&format!("the late request at {}", way.name), async || {
            let effects = came(EffectKind::BankRegistered) + came(EffectKind::BankDuplicateRefused);
            (effects == wanted).then_some(())
        })
        .await;
        assert_eq!(came(EffectKind::BankRegistered), 1, "{}", way.name);
    }
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_where_we_sign_in() {
    let place = Place::open(&[]).await;
    place
        .everywhere(async |way| {
            if !way.has_tokens {
                return;
            }
            for (row, trouble) in days::of_signing_in(&place.elsewhere).into_iter().enumerate() {
                let what = format!("{} signing in on a day of {trouble:?}", way.name);
                // The bank takes the token no more, and the next one is not easily had.
                place.told(way, Act::Register, &[Behaviour::status(401)]);
                place.told(way, Act::Token, &[trouble]);
                let boleto = place.creates(way, place.cents(way, row)).await;
                place.ends(&boleto, (BoletoStatus::Registered, 1), &what).await;
            }
        })
        .await;
    for way in place.ways.iter().filter(|way| way.has_tokens) {
        // Every token ends in the middle of a call.
        place.told(way, Act::Register, &[Behaviour::ExpireTokens]);
        let boleto = place.creates(way, place.cents(way, 1_000)).await;
        place.ends(&boleto, (BoletoStatus::Registered, 1), &format!("{} without a token", way.name)).await;
    }
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_a_question() {
    let place = Place::open(&[]).await;
    place
        .everywhere(async |way| {
            // At Inter every registration is followed by questions; elsewhere a lost answer is.
            let lost = match way.finds {
                Finds::ByLooking => Behaviour::accept_then_drop(),
                Finds::Never => Behaviour::Normal,
                _ => return,
            };
            for (row, trouble) in days::of_looking(&place.elsewhere).into_iter().enumerate() {
                let what = format!("{} asked on a day of {trouble:?}", way.name);
                let registrations = Party::Bank(way.bank, Act::Register);
                let before = place.house.script().asked(registrations);
                place.told(way, Act::Register, std::slice::from_ref(&lost));
                place.told(way, Act::LookUp, &[trouble]);
                let boleto = place.creates(way, place.cents(way, row)).await;
                assert_eq!(boleto.status(), BoletoStatus::PendingRegistration, "{what}");
                place.ends(&boleto, (BoletoStatus::Registered, 1), &what).await;
                assert_eq!(place.house.script().asked(registrations) - before, 1, "asked: {what}");
            }
        })
        .await;
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_at_home() {
    let place = Place::open(&[]).await;
    for way in &place.ways {
        place.house.world().shut(way.bank).await;
    }
    let mut waiting = Vec::new();
    for way in &place.ways {
        let boleto = place.creates(way, place.cents(way, 0)).await;
        assert_eq!(boleto.status(), BoletoStatus::PendingRegistration, "{}", way.name);
        waiting.push((way, boleto));
    }
    for way in &place.ways {
        assert_eq!(place.house.script().asked(Party::Bank(way.bank, Act::Register)), 0, "{}", way.name);
        place.house.world().reopen(way.bank);
    }
    for (way, boleto) in waiting {
        // Nothing has left the house, so that there is no doubt even where nobody could be asked.
        let what = format!("{} behind a shut door", way.name);
        place.ends(&boleto, (BoletoStatus::Registered, 1), &what).await;
        assert_eq!(place.effects(EffectKind::BankDuplicateRefused, boleto.amount_cents), 0, "{what}");
    }
    place.close().await;
}
