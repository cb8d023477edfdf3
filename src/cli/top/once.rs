//! One picture of everything, as text or as a document: for scripts, for a screen that somebody else refreshes, and for reports.
//!
//! **Owns** nothing. **Fails** as the first question does that was not answered, after the rest was shown.
//! **Limits**: one look, so that no queue has a pace.

use serde_json::{Value, json};

use super::feed::{self, QUESTIONS, Way};
use super::news::{News, Reading};
use super::state::{Pane, State};
use crate::cli::failure::Failure;
use crate::cli::render::{job, node, queue, work};
use crate::cli::screen::Screen;
use crate::cli::table::{Cell, aligned};

/// Shows it.
pub async fn run(way: Way<'_>, screen: &mut Screen) -> Result<(), Failure> {
    let connection = way.open().await?;
    let mut state = State::new(way.address.to_string());
    let (mut document, mut first) = (json!({}), None);
    for pane in QUESTIONS {
        match feed::ask(pane, &connection).await {
            Ok(readings) => {
                for reading in readings {
                    note(&reading, &mut document);
                    state.hear(News::Read(reading));
                }
            }
            Err(failure) => {
                state.hear(News::Refused(pane, failure.to_string()));
                first = first.or(Some(failure));
            }
        }
    }
    let colour = screen.colour();
    screen.show(&document, |_| text(&state, colour))?;
    first.map_or(Ok(()), Err)
}

/// Adds what was read to the document, under the protocol's names.
fn note(reading: &Reading, document: &mut Value) {
    match reading {
        Reading::House(info) => document["info"] = node::info(info),
        Reading::Tree(root) => document["root"] = node::node(root),
        Reading::Breakers(open) => document["open_breakers"] = open.iter().map(queue::open_breaker).collect(),
        Reading::Queues { queues, .. } => document["queues"] = queues.iter().map(queue::queue).collect(),
        Reading::Timetable(schedules) => {
            document["schedules"] = schedules.iter().map(job::schedule).collect()
        }
        Reading::Failing { work, .. } => document["work"] = work.iter().map(work::work).collect(),
    }
}

fn text(state: &State, colour: bool) -> String {
    let mut text = match &state.house {
        Some(house) => format!("{}  {}  {}\n", house.line, state.address, house.standing),
        None => format!("bursar at {}\n", state.address),
    };
    for pane in Pane::ALL {
        let (shelf, rows) = (state.shelf(pane), state.rows(pane));
        text.push_str(&format!("\n{}\n", pane.title().to_uppercase()));
        match (&shelf.fault, rows.is_empty()) {
            (Some(fault), _) => text.push_str(&format!("{fault}\n")),
            (None, true) => text.push_str("none\n"),
            (None, false) => {
                let mut lines = vec![pane.columns().iter().map(|(title, _)| Cell::new(title)).collect()];
                lines.extend(rows.iter().map(|row| row.cells.clone()));
                text.push_str(&aligned(&lines, colour));
                if shelf.has_more {
                    text.push_str("and more\n");
                }
            }
        }
    }
    text
}
