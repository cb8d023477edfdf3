//! What the screen looks like, character by character, and what the keys make of it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};

use super::super::keys::{Outcome, paste, press};
use super::super::news::{News, Reading, Wish};
use super::super::state::{Act, Mode, Pane, State};
use super::draw;
use crate::cli::render::node::tests::house;
use crate::proto::control::v1::{
    Attempt, Breaker, BreakerState, GetInfoResponse, OpenBreaker, Queue, QueuePause, Schedule, Slot, Work,
    WorkState,
};

mod records;

const HOSTILE: &str = "x\u{1b}[2J\u{9b}31m\u{7}y";

fn info() -> GetInfoResponse {
    GetInfoResponse {
        version: "0.1.0".to_owned(),
        store: "sqlite".to_owned(),
        uptime: Some(prost_types::Duration { seconds: 3_723, nanos: 0 }),
        ready: true,
        ..GetInfoResponse::default()
    }
}

fn queue(name: &str, available: i64, oldest_s: Option<i64>) -> Queue {
    let oldest_due_age = oldest_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    Queue { name: name.to_owned(), available, oldest_due_age, ..Queue::default() }
}

fn work(id: &str, state: WorkState, error: &str) -> Work {
    Work {
        id: id.to_owned(),
        kind: "boleto.register".to_owned(),
        queue: "registration/itau/1".to_owned(),
        state: state.into(),
        attempt: 3,
        attempts_max: 20,
        run_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 5 }),
        end_time: Some(prost_types::Timestamp { seconds: 1_790_000_000, nanos: 5 }),
        subject_id: "0197-a-boleto".to_owned(),
        last_error: error.to_owned(),
        attempts: vec![Attempt { attempt: 3, error: error.to_owned(), ..Attempt::default() }],
        ..Work::default()
    }
}

/// A screen that has heard everything once.
fn screen() -> State {
    let mut state = State::new("127.0.0.1:7400".to_owned());
    let paused = QueuePause { name: "delivery/".to_owned(), reason: "moving".to_owned(), time: None };
    let queues = vec![
        queue("delivery/sqs/1", 4, Some(2)),
        Queue { pause: Some(paused), ..queue("delivery/mail/2", 12, Some(61)) },
    ];
    let breaker = Breaker { state: BreakerState::Open.into(), failures: 5, probe_time: None };
    let open = OpenBreaker { queue: "registration/itau/1".to_owned(), breaker: Some(breaker) };
    let slot = Slot { local_time: "2026-11-24T06:00:00-03:00".to_owned(), ..Slot::default() };
    let schedule = Schedule {
        job: "sync_update".to_owned(),
        enabled: true,
        is_done: true,
        every: Some(prost_types::Duration { seconds: 21_600, nanos: 0 }),
        next: vec![slot],
        ..Schedule::default()
    };
    let dead = work("w-dead", WorkState::Discarded, HOSTILE);
    let again = work("w-again", WorkState::Retryable, "status 500");
    for reading in [
        Reading::House(info()),
        Reading::Tree(Box::new(house())),
        Reading::Breakers(vec![open]),
        Reading::Queues { queues, has_more: false, at: Instant::now() },
        Reading::Timetable(vec![schedule]),
        Reading::Failing { work: vec![dead, again], dead_has_more: true, has_more: true },
        Reading::Boletos { boletos: vec![records::boleto()], has_more: true },
        Reading::Transfers { transfers: vec![records::transfer()], has_more: false },
    ] {
        state.hear(News::Read(reading));
    }
    state
}

fn drawn(state: &State, width: u16, height: u16, colour: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(state, colour, frame)).unwrap();
    terminal.backend().clone()
}

/// The screen's lines without the blanks at their ends.
fn lines(state: &State, width: u16, height: u16) -> Vec<String> {
    let text = drawn(state, width, height, true).to_string();
    text.lines().map(|line| line.trim_matches('"').trim_end().to_owned()).collect()
}

fn presses(state: &mut State, keys: &str) -> Outcome {
    let mut outcome = Outcome::Stay;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            c => KeyCode::Char(c),
        };
        outcome = press(state, KeyEvent::from(code));
    }
    outcome
}

#[test]
fn the_tree_stands_on_a_small_screen_in_words() {
    let rule = "─".repeat(80);
    let mut expected = vec![
        "bursar 0.1.0  sqlite  up 1h 2m 3s  127.0.0.1:7400  ready",
        "[Tree 4, 1 to look at] Queues  Breakers, 1 open  Timetable  Failing, 1+ dead  B…",
        "NAME                         STATUS      RESTARTS MAILBOX   UPTIME    NOTE",
        "house                        running     0                  1h 2m 3s",
        "  registrars                 melted      11       3/1024              tried aga…",
        "  notifiers                  running     0        0/1024    1h 2m 3s  in hand f…",
        "  feed                       disabled    0                            no feed i…",
    ];
    expected.extend([""; 13]);
    expected.extend([
        rule.as_str(),
        "actor: house  status: running  restarts: 0  uptime: 1h 2m 3s",
        "",
        "? help  q leave  Tab pane  Enter more  / filter  p pause  r retry  c cancel",
    ]);
    assert_eq!(lines(&screen(), 80, 24), expected);
}

#[test]
fn each_pane_says_what_it_is_about() {
    let mut state = screen();
    presses(&mut state, "\t");
    assert_eq!(
        lines(&state, 80, 24)[2..5],
        [
            "QUEUE                              DUE    LATER  RUNS OLDEST  GROWS/S STATE",
            "delivery/mail/2                    12     0      0    1m 1s           paused: m…",
            "delivery/sqs/1                     4      0      0    2s              flows",
        ]
    );
    presses(&mut state, "\t");
    assert_eq!(
        lines(&state, 80, 24)[2..4],
        [
            "BREAKER OF                         STATE     FAILURES NEXT PROBE",
            "registration/itau/1                open      5",
        ]
    );
    presses(&mut state, "\t");
    assert_eq!(
        lines(&state, 80, 24)[2..4],
        [
            "JOB                    STATE         EVERY    NEXT                      RUN",
            "sync_update            on            6h       2026-11-24T06:00:00-03:00",
        ]
    );
    presses(&mut state, "\t");
    assert_eq!(
        lines(&state, 80, 24)[2..5],
        [
            "KIND                 STATE       TRIED  SINCE, OR AGAIN AT   ERROR",
            "boleto.register      dead letter 3/20   2026-09-21T14:13:20Z x [2J 31m y",
            "boleto.register      retryable   3/20   2027-01-15T08:00:00Z status 500",
        ]
    );
    presses(&mut state, "\t");
    assert_eq!(
        lines(&state, 80, 24)[2..4],
        [
            "CREATED              STATUS               AMOUNT          DUE        REFERENCE",
            "2026-09-21T14:13:20Z registered           R$ 125.90       2026-12-01 x [2J 31m y",
        ]
    );
    presses(&mut state, "\t");
    assert_eq!(
        lines(&state, 80, 24)[2..4],
        [
            "RECORDED             STATE        ANSWERED FEED         KEY",
            "2026-09-21T14:13:20Z failed       1        north        -Nabc",
        ]
    );
}

#[test]
fn colours_say_what_needs_a_look_and_words_do_where_there_are_none() {
    let coloured = drawn(&screen(), 80, 24, true);
    let melted = &coloured.buffer()[(29, 4)];
    assert_eq!((melted.symbol(), melted.fg), ("m", Color::Red));
    let plain = drawn(&screen(), 80, 24, false);
    assert!(plain.buffer().content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(
        plain.buffer()[(0, 3)].modifier.contains(Modifier::REVERSED),
        "the chosen row is seen all the same"
    );
}

#[test]
fn a_narrow_screen_loses_columns_and_a_low_one_the_foot() {
    let narrow = lines(&screen(), 45, 24);
    assert_eq!(narrow[4], "  registrars                 melted      11");
    let low = lines(&screen(), 80, 8);
    assert!(!low.iter().any(|line| line.contains('─')) && low[4].contains("registrars"), "{low:#?}");
    for (width, height) in [(1, 1), (3, 2), (10, 3), (300, 100)] {
        drawn(&screen(), width, height, true);
    }
}

#[test]
fn hostile_texts_never_reach_the_terminal_as_more_than_texts() {
    let mut state = screen();
    state.hear(News::Steered(format!("retry: {HOSTILE}")));
    state.hear(News::Refused(Pane::Queues, HOSTILE.to_owned()));
    state.hear(News::Lost { why: HOSTILE.to_owned(), at: DateTime::<Utc>::UNIX_EPOCH });
    // What draws leaves control characters out by itself; whatever else may print these texts one day does not.
    let said = [&state.notice, &state.lost, &state.shelf(Pane::Queues).fault];
    let mut texts: Vec<&str> = said.into_iter().map(|text| text.as_deref().unwrap()).collect();
    for row in Pane::ALL.into_iter().flat_map(|pane| state.rows(pane)) {
        texts.extend(row.detail.iter().map(String::as_str));
        texts.extend(row.cells.iter().map(|cell| cell.text()));
    }
    assert!(texts.iter().filter(|text| text.contains("[2J")).count() >= 6, "{texts:#?}");
    for text in texts {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

#[test]
fn a_service_that_is_away_is_said_above_what_was_last_seen_and_forgotten_when_it_is_back() {
    let mut state = screen();
    let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    state.hear(News::Lost { why: "connection refused".to_owned(), at });
    state.hear(News::Lost { why: "once more".to_owned(), at: at + chrono::TimeDelta::minutes(1) });
    let seen = lines(&state, 80, 24);
    assert_eq!(seen[1], "not connected since 2026-09-21T14:13:20Z, trying again: connection refused");
    assert!(seen[5].contains("registrars"), "{seen:#?}");
    state.hear(News::Read(Reading::House(info())));
    assert!(lines(&state, 80, 24)[1].starts_with("[Tree 4"));
}

#[test]
fn a_pane_says_which_scope_is_missing_until_it_is_told_something() {
    let mut state = State::new("h:1".to_owned());
    assert_eq!(lines(&state, 80, 24)[3], "not asked yet");
    let why = "this needs the scope control.read (PERMISSION_DENIED, SCOPE_MISSING)";
    state.hear(News::Refused(Pane::Tree, why.to_owned()));
    assert_eq!(lines(&state, 80, 24)[2], why);
    state.hear(News::Read(Reading::Tree(Box::new(house()))));
    assert!(lines(&state, 80, 24)[2].starts_with("NAME"));
}

#[test]
fn a_filter_leaves_what_has_the_text_in_it() {
    let mut state = screen();
    presses(&mut state, "/MELT");
    assert_eq!(state.rows(Pane::Tree).len(), 1);
    assert!(lines(&state, 80, 24).last().unwrap().starts_with("filter: MELT_"));
    presses(&mut state, "x\n");
    assert_eq!(lines(&state, 80, 24)[3], "none that the filter lets through");
    assert_eq!(presses(&mut state, "\u{1b}"), Outcome::Stay);
    assert_eq!((state.rows(Pane::Tree).len(), state.filter.as_str()), (4, ""));
    assert_eq!(presses(&mut state, "\u{1b}"), Outcome::Leave);
}

#[test]
fn a_dead_letter_is_retried_with_a_reason_and_a_word() {
    let mut state = screen();
    presses(&mut state, "r");
    assert_eq!(state.mode, Mode::Looking, "the tree has no work");
    state.focus = Pane::Failing;
    presses(&mut state, "c");
    assert!(state.notice.as_ref().unwrap().contains("has ended"), "{:?}", state.notice);
    presses(&mut state, "r\n");
    assert!(matches!(&state.mode, Mode::Asking(question) if !question.is_confirming), "a reason is needed");
    presses(&mut state, "the bank is bacl\u{8}k");
    let last = lines(&state, 80, 24).pop().unwrap();
    assert_eq!(last, "retry boleto.register w-dead; why? the bank is back_");
    presses(&mut state, "\n");
    let last = lines(&state, 80, 24).pop().unwrap();
    assert_eq!(last, "retry boleto.register w-dead? y or n (because: the bank is back)");
    assert_eq!(presses(&mut state, "x"), Outcome::Stay);
    let wish = Wish { act: Act::Retry, work_id: "w-dead".to_owned(), reason: "the bank is back".to_owned() };
    assert_eq!(presses(&mut state, "y"), Outcome::Wish(wish));
    assert_eq!(presses(&mut state, "jcbecause\nn"), Outcome::Stay);
    assert_eq!(state.notice.as_deref(), Some("cancel: left"));
}

#[test]
fn what_is_chosen_stays_chosen_while_rows_come_and_go() {
    let mut state = screen();
    state.focus = Pane::Failing;
    presses(&mut state, "j");
    assert_eq!(state.chosen_row().unwrap().key, "w-again");
    let read = |ids: &[&str]| {
        let work = ids.iter().map(|id| work(id, WorkState::Retryable, "")).collect();
        News::Read(Reading::Failing { work, dead_has_more: false, has_more: false })
    };
    state.hear(read(&["w-new", "w-dead", "w-again"]));
    assert_eq!(state.chosen_row().unwrap().key, "w-again");
    state.hear(read(&["w-new", "w-dead"]));
    assert_eq!(state.chosen_row().unwrap().key, "w-dead", "what stands in its place");
    state.hear(read(&[]));
    assert!(state.chosen_row().is_none());
    presses(&mut state, "jk\nr");
    assert_eq!(state.mode, Mode::Looking);
}

#[test]
fn a_pause_keeps_what_is_seen_but_not_that_nobody_answers() {
    let mut state = screen();
    presses(&mut state, "p");
    state.hear(News::Read(Reading::Breakers(vec![])));
    assert_eq!(state.count(Pane::Breakers), 1);
    assert!(lines(&state, 80, 24)[0].starts_with("PAUSED  bursar 0.1.0"));
    let mut unknown = State::new("h:1".to_owned());
    presses(&mut unknown, "p");
    assert_eq!(lines(&unknown, 12, 24)[0], "PAUSED  bur…", "whoever looks, and however narrowly");
    state.hear(News::Lost { why: "gone".to_owned(), at: DateTime::<Utc>::UNIX_EPOCH });
    assert!(state.lost.is_some());
    state.hear(News::Read(Reading::Breakers(vec![])));
    assert_eq!((state.count(Pane::Breakers), state.lost.is_some()), (1, false));
    presses(&mut state, "p");
    state.hear(News::Read(Reading::Breakers(vec![])));
    assert_eq!(state.count(Pane::Breakers), 0);
}

#[test]
fn everything_about_a_row_and_the_help_take_the_screen_until_they_are_left() {
    let mut state = screen();
    state.focus = Pane::Failing;
    presses(&mut state, "j\n");
    let seen = lines(&state, 80, 24);
    assert_eq!(seen[2..5], ["kind: boleto.register", "error: status 500", "state: retryable"]);
    assert!(seen.iter().any(|line| line == "tried: 3, ended : status 500"), "{seen:#?}");
    presses(&mut state, "j");
    assert_eq!(lines(&state, 80, 24)[2], "error: status 500");
    presses(&mut state, "\u{1b}?");
    assert!(lines(&state, 80, 24)[2].starts_with("Tab, Shift-Tab       the next pane"));
    assert_eq!(presses(&mut state, "?"), Outcome::Stay);
    assert_eq!(state.mode, Mode::Looking);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(press(&mut state, control_c), Outcome::Leave);
}

#[test]
fn what_is_read_is_the_row_that_was_opened_and_said_to_be_gone_when_it_is() {
    let mut state = screen();
    state.focus = Pane::Failing;
    presses(&mut state, "\n");
    assert!(lines(&state, 80, 24).iter().any(|line| line == "work: w-dead"));
    let read = |ids: &[&str]| {
        let work = ids.iter().map(|id| work(id, WorkState::Discarded, "")).collect();
        News::Read(Reading::Failing { work, dead_has_more: false, has_more: false })
    };
    state.hear(read(&["w-new", "w-dead"]));
    assert!(lines(&state, 80, 24).iter().any(|line| line == "work: w-dead"), "nobody has chosen another");
    state.hear(read(&["w-new"]));
    assert_eq!(lines(&state, 80, 24)[2..4], ["it is listed no more", ""]);
    presses(&mut state, "jk\u{1b}");
    assert_eq!(state.mode, Mode::Looking);
}

#[test]
fn what_is_pasted_is_text_and_presses_no_key() {
    let mut state = screen();
    paste(&mut state, "q");
    assert_eq!((&state.mode, state.filter.as_str()), (&Mode::Looking, ""), "nothing is being written");
    state.focus = Pane::Failing;
    presses(&mut state, "r");
    paste(&mut state, "as agreed\nby order\u{1b}[2J\n");
    let Mode::Asking(question) = &state.mode else { panic!("{:?}", state.mode) };
    assert_eq!((question.reason.as_str(), question.is_confirming), ("as agreed by order [2J", false));
    presses(&mut state, "\n");
    paste(&mut state, "y");
    assert!(matches!(&state.mode, Mode::Asking(question) if question.is_confirming), "only a key says yes");
    presses(&mut state, "n/");
    paste(&mut state, &"long ".repeat(100));
    assert_eq!(state.filter.chars().count(), 100);
}

#[test]
fn a_filter_says_where_it_sees_a_part_only() {
    let mut state = screen();
    presses(&mut state, "/w\n");
    assert_eq!(lines(&state, 80, 24)[23], "filter: w  (Esc shows all)");
    state.focus = Pane::Failing;
    assert_eq!(lines(&state, 80, 24)[23], "filter: w  (of the first 2; Esc shows all)");
}

#[test]
fn queues_show_their_pace_from_the_second_look_on() {
    let mut state = State::new("h:1".to_owned());
    let begun = Instant::now();
    for (available, seconds) in [(4, 0), (34, 10)] {
        let queues = vec![queue("delivery/sqs/1", available, None)];
        let at = begun + Duration::from_secs(seconds);
        state.hear(News::Read(Reading::Queues { queues, has_more: false, at }));
    }
    assert_eq!(state.rows(Pane::Queues)[0].cells[5].text(), "+3.0");
}
