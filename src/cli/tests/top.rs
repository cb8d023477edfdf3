//! `bursar top` where there is no terminal to draw on.

use super::scripted::{Shown, house, nobody};
use super::{json_of, taken};
use crate::cli::Exit;

/// The scripted service never says how it stands, and does not know of work.
#[tokio::test]
async fn one_picture_shows_what_is_answered_and_says_what_is_not() {
    let house = house().await;
    let Shown { exit, out, err } = house.shows(&["top", "--once", "--timeout", "200ms"]).await;
    assert_eq!(exit, Exit::Unavailable, "as the first question that was not answered: {err}");
    for pane in [
        "\nTREE\nno answer within 200ms",
        "\nQUEUES\nQUEUE ",
        "\nTIMETABLE\nJOB ",
        "\nFAILING\n",
        "\nBOLETOS\nCREATED ",
    ] {
        assert!(out.contains(pane), "{pane} in {out}");
    }
    assert!(out.contains("paused: maintenance") && err.contains("no answer within 200ms"), "{out}{err}");
    let document = json_of(&house.shows(&["top", "--once", "--json", "--timeout", "200ms"]).await.out);
    assert_eq!(document["queues"][0]["available"], 7);
    assert_eq!(document["schedules"][0]["job"], "sync_update");
    assert!(document.get("root").is_none() && document.get("work").is_none(), "{document}");
    assert_eq!(document["boletos"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&document["boletos_has_more"], &document["transfers_has_more"]),
        (&true.into(), &true.into())
    );
}

#[tokio::test]
async fn without_a_terminal_it_is_said_what_to_ask_for_instead() {
    let house = house().await;
    for arguments in [&["top"][..], &["top", "--json"]] {
        let Shown { exit, out, err } = house.shows(arguments).await;
        assert_eq!((exit, out.as_str()), (Exit::InvalidInput, ""), "{arguments:?}");
        assert!(err.contains("--once"), "{err}");
    }
    assert_eq!(nobody().await.shows(&["top", "--once"]).await.exit, Exit::Unavailable);
}

#[test]
fn an_interval_has_bounds() {
    assert!(taken(&["top", "--interval", "200ms"]) && taken(&["top", "--interval", "10min"]));
    assert!(!taken(&["top", "--interval", "199ms"]) && !taken(&["top", "--interval", "11min"]));
}
