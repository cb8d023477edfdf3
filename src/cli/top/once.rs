//! One picture of everything, as text or as a document: for scripts, for a screen that somebody else refreshes, and for reports.
//!
//! **Owns** nothing. **Fails** as the first question does that was not answered, after the rest was shown; that a token does not show
//! boletos or transfers is said in their place, and is no failure.
//! **Limits**: one look, so that no queue has a pace.

use serde_json::{Value, json};
use tonic::Code;

use super::feed::{self, QUESTIONS, Way};
use super::news::{News, Reading};
use super::state::{Pane, State};
use crate::cli::failure::Failure;
use crate::cli::render::{boleto, job, node, queue, transfer, work};
use crate::cli::screen::Screen;
use crate::cli::table::{Cell, aligned};

/// Whoever keeps a house need not see what goes through it.
const OPTIONAL: [Pane; 2] = [Pane::Boletos, Pane::Transfers];

/// Shows it.
pub async fn run(way: Way<'_>, screen: &mut Screen) -> Result<(), Failure> {
    let connection = way.open().await?;
    let mut state = State::new(way.address.to_string());
    let (mut document, mut first) = (json!({}), None);
    for pane in QUESTIONS {
        let mut heard = Vec::new();
        let failed = feed::ask(pane, &connection, &mut heard).await.err();
        for reading in heard {
            note(&reading, &mut document);
            state.hear(News::Read(reading));
        }
        if let Some(failure) = failed {
            state.hear(News::Refused(pane, failure.to_string()));
            let is_optional =
                OPTIONAL.contains(&pane) && feed::code(&failure) == Some(Code::PermissionDenied);
            first = first.or((!is_optional).then_some(failure));
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
        Reading::Queues { queues, has_more, .. } => {
            document["queues"] = queues.iter().map(queue::queue).collect();
            document["queues_has_more"] = json!(has_more);
        }
        Reading::Timetable(schedules) => {
            document["schedules"] = schedules.iter().map(job::schedule).collect()
        }
        Reading::Failing { work, has_more, .. } => {
            document["work"] = work.iter().map(work::work).collect();
            document["work_has_more"] = json!(has_more);
        }
        Reading::Boletos { boletos, has_more } => {
            document["boletos"] = boletos.iter().map(boleto::boleto).collect();
            document["boletos_has_more"] = json!(has_more);
        }
        Reading::Transfers { transfers, has_more } => {
            document["transfers"] = transfers.iter().map(transfer::transfer).collect();
            document["transfers_has_more"] = json!(has_more);
        }
        // Whoever wants one asks for it by its own command.
        Reading::Boleto(..) | Reading::Transfer(..) => {}
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
        match (&shelf.fault, shelf.is_known, rows.is_empty()) {
            (Some(fault), _, _) => text.push_str(&format!("{fault}\n")),
            (None, false, _) => text.push_str("not told\n"),
            (None, true, true) => text.push_str("none\n"),
            (None, true, false) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::control::v1::GetInfoResponse;

    #[test]
    fn what_was_not_told_is_not_said_to_be_none() {
        let mut state = State::new("h:1".to_owned());
        let info = GetInfoResponse { version: "0.1.0".to_owned(), ready: true, ..GetInfoResponse::default() };
        state.hear(News::Read(Reading::House(info)));
        state.hear(News::Refused(Pane::Tree, "this needs the scope control.read".to_owned()));
        state.hear(News::Read(Reading::Timetable(Vec::new())));
        let expected = "\
bursar 0.1.0    h:1  ready

TREE
this needs the scope control.read

QUEUES
not told

BREAKERS
this needs the scope control.read

TIMETABLE
none

FAILING
not told

BOLETOS
not told

TRANSFERS
not told
";
        assert_eq!(text(&state, false), expected);
    }
}
