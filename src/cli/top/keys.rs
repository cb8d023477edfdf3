//! What each key does.
//!
//! **Owns** nothing. **Fails** never: a key that means nothing does nothing. **Limits**: a filter holds [`FILTER_MAX`] characters, a
//! reason [`REASON_MAX`].

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::news::Wish;
use super::state::{Act, Mode, Question, State};

const FILTER_MAX: usize = 100;
const REASON_MAX: usize = 300;
/// Rows of a leap.
const LEAP: isize = 10;

/// The keys, as the help shows them.
pub const HELP: [(&str, &str); 11] = [
    ("Tab, Shift-Tab", "the next pane, the one before"),
    ("↑ ↓ or k j", "the row above, the row below"),
    ("PgUp PgDn, Home End", "ten rows on, the first or the last row"),
    ("Enter", "everything about the row; of a boleto or transfer, its history"),
    ("/", "show only rows with a text in them; Esc shows all again"),
    ("p", "pause: the screen stays as it is; p again goes on"),
    ("r", "retry what is chosen in Failing: asks why, and whether"),
    ("c", "cancel what is to be tried again: asks why, and whether"),
    ("?", "this"),
    ("Esc", "back; where there is no back, leave"),
    ("q, Ctrl-C", "leave"),
];

/// What comes of a key besides what is seen.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Stay,
    Leave,
    Wish(Wish),
}

/// Takes a key.
pub fn press(state: &mut State, key: KeyEvent) -> Outcome {
    if key.kind == KeyEventKind::Release {
        return Outcome::Stay;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Outcome::Leave,
            _ => Outcome::Stay,
        };
    }
    match state.mode {
        Mode::Looking => look(state, key.code),
        Mode::Filtering => filter(state, key.code),
        Mode::Reading(_) => read(state, key.code),
        Mode::Help => help(state, key.code),
        Mode::Asking(_) => answer(state, key.code),
    }
}

fn look(state: &mut State, key: KeyCode) -> Outcome {
    // Whoever presses a key has read what stood there.
    let notice = state.notice.take();
    match key {
        KeyCode::Char('q') => return Outcome::Leave,
        KeyCode::Esc if notice.is_some() => {}
        KeyCode::Esc if !state.filter.is_empty() => state.filter.clear(),
        KeyCode::Esc => return Outcome::Leave,
        KeyCode::Tab | KeyCode::Right => state.go_on(false),
        KeyCode::BackTab | KeyCode::Left => state.go_on(true),
        KeyCode::Char('?') => state.mode = Mode::Help,
        KeyCode::Char('/') => state.mode = Mode::Filtering,
        KeyCode::Char('p') => state.is_paused = !state.is_paused,
        KeyCode::Char('r') => state.ask(Act::Retry),
        KeyCode::Char('c') => state.ask(Act::Cancel),
        KeyCode::Enter if state.settle() => state.mode = Mode::Reading(0),
        key => {
            if let Some(step) = step(key) {
                state.choose(step);
            }
        }
    }
    Outcome::Stay
}

/// How far a key goes.
fn step(key: KeyCode) -> Option<isize> {
    match key {
        KeyCode::Down | KeyCode::Char('j') => Some(1),
        KeyCode::Up | KeyCode::Char('k') => Some(-1),
        KeyCode::PageDown => Some(LEAP),
        KeyCode::PageUp => Some(-LEAP),
        KeyCode::Home => Some(isize::MIN),
        KeyCode::End => Some(isize::MAX),
        _ => None,
    }
}

fn filter(state: &mut State, key: KeyCode) -> Outcome {
    match key {
        KeyCode::Enter => state.mode = Mode::Looking,
        KeyCode::Esc => {
            state.filter.clear();
            state.mode = Mode::Looking;
        }
        key => write(&mut state.filter, FILTER_MAX, key),
    }
    Outcome::Stay
}

fn read(state: &mut State, key: KeyCode) -> Outcome {
    let Mode::Reading(passed) = state.mode else { return Outcome::Stay };
    match (key, step(key)) {
        (KeyCode::Char('q'), _) => return Outcome::Leave,
        (KeyCode::Esc | KeyCode::Enter, _) => state.mode = Mode::Looking,
        (_, Some(step)) => {
            let last = state.read_detail().map_or(0, |detail| detail.len().saturating_sub(1));
            state.mode = Mode::Reading(passed.saturating_add_signed(step).min(last));
        }
        _ => {}
    }
    Outcome::Stay
}

fn help(state: &mut State, key: KeyCode) -> Outcome {
    match key {
        KeyCode::Char('q') => Outcome::Leave,
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('?') => {
            state.mode = Mode::Looking;
            Outcome::Stay
        }
        _ => Outcome::Stay,
    }
}

/// A reason, then the word: only `y` after both does anything.
fn answer(state: &mut State, key: KeyCode) -> Outcome {
    let Mode::Asking(question) = &mut state.mode else { return Outcome::Stay };
    match (question.is_confirming, key) {
        (_, KeyCode::Esc) => {
            state.notice = Some(format!("{}: left", question.act.word()));
            state.mode = Mode::Looking;
        }
        (false, KeyCode::Enter) => question.is_confirming = !question.reason.trim().is_empty(),
        (false, key) => write(&mut question.reason, REASON_MAX, key),
        (true, KeyCode::Char('y' | 'Y')) => {
            let reason = question.reason.trim().to_owned();
            let wish = Wish { act: question.act, work_id: question.work_id.clone(), reason };
            state.notice = Some(format!("{} of {}: asked for", wish.act.word(), wish.work_id));
            state.mode = Mode::Looking;
            return Outcome::Wish(wish);
        }
        (true, KeyCode::Char('n' | 'N')) => {
            state.notice = Some(format!("{}: left", question.act.word()));
            state.mode = Mode::Looking;
        }
        (true, _) => {}
    }
    Outcome::Stay
}

/// Takes a text that was pasted, where one is being written: none of it is a key, so that no line of it confirms anything.
pub fn paste(state: &mut State, pasted: &str) {
    let (text, characters_max) = match &mut state.mode {
        Mode::Filtering => (&mut state.filter, FILTER_MAX),
        Mode::Asking(Question { is_confirming: false, reason, .. }) => (reason, REASON_MAX),
        _ => return,
    };
    for c in pasted.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        write(text, characters_max, KeyCode::Char(c));
    }
}

fn write(text: &mut String, characters_max: usize, key: KeyCode) {
    match key {
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Char(c) if !c.is_control() && text.chars().count() < characters_max => text.push(c),
        _ => {}
    }
}
