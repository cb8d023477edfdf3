//! Boletos and transfers: their lists, and one of them with what happened to it.

use prost_types::Timestamp;

use super::*;
use crate::cli::top::news::Wanted;
use crate::proto::boleto::v1::{
    Boleto, BoletoChange, BoletoOrder, BoletoOrderKind, BoletoOrderState, BoletoStatus,
    GetBoletoHistoryResponse, Payment,
};
use crate::proto::transfer::v1::{Transfer, TransferChange, transfer};

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_790_000_000 + seconds, nanos: 7 })
}

pub(super) fn boleto() -> Boleto {
    Boleto {
        id: "b-1".to_owned(),
        status: BoletoStatus::Registered.into(),
        amount_cents: 12_590,
        due_date: "2026-12-01".to_owned(),
        reference_id: HOSTILE.to_owned(),
        create_time: at(0),
        ..Boleto::default()
    }
}

pub(super) fn transfer() -> Transfer {
    Transfer {
        id: "t-1".to_owned(),
        feed: "north".to_owned(),
        key: "-Nabc".to_owned(),
        state: transfer::State::Failed.into(),
        reason: "the vendor is down".to_owned(),
        questions: 2,
        answered: 1,
        record_time: at(0),
        ..Transfer::default()
    }
}

fn history() -> GetBoletoHistoryResponse {
    let change = |seconds, event_type: &str, version, reason: &str| BoletoChange {
        occur_time: at(seconds),
        event_type: event_type.to_owned(),
        version,
        reason: reason.to_owned(),
        ..BoletoChange::default()
    };
    GetBoletoHistoryResponse {
        changes: vec![change(1, "boleto.issued", 1, ""), change(9, "boleto.cancelled", 3, HOSTILE)],
        payments: vec![Payment {
            create_time: at(5),
            id: "p-1".to_owned(),
            amount_cents: 700,
            ..Payment::default()
        }],
        orders: vec![BoletoOrder {
            create_time: at(3),
            end_time: at(8),
            kind: BoletoOrderKind::Cancel.into(),
            state: BoletoOrderState::Done.into(),
            ..BoletoOrder::default()
        }],
    }
}

fn listed(boletos: Vec<Boleto>) -> News {
    News::Read(Reading::Boletos { boletos, has_more: true })
}

#[test]
fn a_boleto_that_is_read_is_asked_for_with_its_history_and_stays_when_the_list_goes_on() {
    let mut state = screen();
    state.focus = Pane::Boletos;
    assert_eq!(state.wanted(), None, "nobody reads it yet");
    presses(&mut state, "\n");
    let wanted = Wanted::Boleto("b-1".to_owned());
    assert_eq!(state.wanted(), Some(wanted));
    assert_eq!(lines(&state, 80, 24)[2..4], ["id: b-1", "status: registered"], "what the list has told");
    let boleto = Boleto { status: BoletoStatus::Cancelled.into(), ..boleto() };
    state.hear(News::Read(Reading::Boleto(Box::new(boleto), history())));
    state.hear(listed(vec![Boleto { id: "b-2".to_owned(), ..Boleto::default() }]));
    let seen = lines(&state, 80, 40);
    assert_eq!(seen[2..4], ["id: b-1", "status: cancelled"]);
    let begins = seen.iter().position(String::is_empty).expect("a line between the two");
    assert_eq!(
        seen[begins + 1..begins + 5],
        [
            "2026-09-21T14:13:21Z  boleto.issued, version 1",
            "2026-09-21T14:13:23Z  order cancel, state done since 2026-09-21T14:13:28Z",
            "2026-09-21T14:13:25Z  payment p-1, paid R$ 7.00, partial no",
            "2026-09-21T14:13:29Z  boleto.cancelled, version 3, because: x [2J 31m y",
        ]
    );
    presses(&mut state, "\u{1b}");
    assert_eq!(state.wanted(), None);
    assert_eq!(state.chosen_row().map(|row| row.key.as_str()), Some("b-2"));
}

#[test]
fn a_transfer_that_is_not_told_more_of_says_why_above_what_its_list_tells() {
    let mut state = screen();
    state.focus = Pane::Transfers;
    presses(&mut state, "\n");
    let wanted = state.wanted().expect("it is being read");
    state.hear(News::Untold(wanted.clone(), HOSTILE.to_owned()));
    let seen = lines(&state, 80, 24);
    assert_eq!(seen[2..4], ["x [2J 31m y", "id: t-1"]);
    let change = TransferChange {
        r#type: "transfer.failed".to_owned(),
        version: 3,
        occur_time: at(2),
        ..TransferChange::default()
    };
    state.hear(News::Read(Reading::Transfer(Box::new(transfer()), vec![change])));
    let seen = lines(&state, 80, 24);
    assert_eq!(seen[2], "id: t-1");
    assert!(seen.iter().any(|line| line == "2026-09-21T14:13:22Z  transfer.failed, version 3"), "{seen:#?}");
    // It is forgotten meanwhile: what was known of it stays, and the reason stands above it.
    state.hear(News::Untold(wanted.clone(), "there is no such transfer".to_owned()));
    assert_eq!(lines(&state, 80, 24)[2..4], ["there is no such transfer", "id: t-1"]);
    // An answer that comes late is about a row that nobody reads any more.
    presses(&mut state, "\u{1b}");
    state.focus = Pane::Boletos;
    presses(&mut state, "\n");
    state.hear(News::Untold(wanted, "too late".to_owned()));
    assert_eq!(lines(&state, 80, 24)[2], "id: b-1");
}

#[test]
fn who_has_paused_sees_the_history_once_and_what_grew_shorter_is_still_seen() {
    let mut state = screen();
    state.focus = Pane::Boletos;
    presses(&mut state, "p\n");
    state.hear(News::Read(Reading::Boleto(Box::new(boleto()), history())));
    let seen = lines(&state, 80, 40);
    assert!(seen.iter().any(|line| line.ends_with("boleto.issued, version 1")), "{seen:#?}");
    state.hear(News::Read(Reading::Boleto(Box::new(boleto()), GetBoletoHistoryResponse::default())));
    assert_eq!(lines(&state, 80, 40), seen, "the screen stays as it is");
    press(&mut state, KeyEvent::from(KeyCode::End));
    presses(&mut state, "\u{1b}p\n");
    press(&mut state, KeyEvent::from(KeyCode::End));
    let shorter = Boleto { id: "b-1".to_owned(), ..Boleto::default() };
    state.hear(News::Read(Reading::Boleto(Box::new(shorter), GetBoletoHistoryResponse::default())));
    press(&mut state, KeyEvent::from(KeyCode::Up));
    assert!(lines(&state, 80, 40)[2..].iter().any(|line| !line.is_empty()));
}

#[test]
fn the_focused_pane_is_named_on_the_narrowest_screen() {
    let mut state = screen();
    let whole = "[Tree 4, 1 to look at] Queues 2  Breakers 1, 1 open  Timetable 1  Failing 2+, 1+ dead  Boletos 1+  Transfers 1";
    assert_eq!(lines(&state, 111, 24)[1], whole);
    state.focus = Pane::Transfers;
    assert_eq!(
        lines(&state, 80, 24)[1],
        "… Queues  Breakers, 1 open  Timetable  Failing, 1+ dead  Boletos [Transfers 1]"
    );
    assert_eq!(lines(&state, 20, 24)[1], "…[Transfers 1]");
    state.focus = Pane::Failing;
    assert_eq!(lines(&state, 30, 24)[1], "…[Failing 2+, 1+ dead] Boletos");
}
