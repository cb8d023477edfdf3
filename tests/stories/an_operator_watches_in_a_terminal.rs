//! An operator keeps the house in sight in a terminal: sees an actor end, tries a dead letter again by a key, stays while the house
//! goes away and comes back, and has the terminal again as it was, however the watching ends.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::WorkState;
use bursar::sandbox::{Behaviour, Party};

use crate::support::database::Kind;
use crate::support::house::{House, a_boleto, eventually};
use crate::support::terminal::Terminal;

/// Of the terminal's palette.
const GREEN: u8 = 2;
const NOTIFIER: &str = "house/workers/notifiers/sqs";

async fn top(address: &str) -> Terminal {
    Terminal::running(&["top", "--interval", "200ms", "--address", &format!("http://{address}")]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_ends_is_seen_at_once_and_leaving_gives_the_terminal_back() {
    let house = House::new().open().await;
    let mut terminal = top(&house.address().to_string()).await;
    terminal.sees("  house ").await;
    terminal.types("/notifiers/sqs\r").await;
    let line = terminal.sees("filter: notifiers/sqs  (Esc shows all)").await;
    assert!(line.contains("  sqs ") && line.contains("running"), "{line}");
    assert!(terminal.is_in("running", GREEN), "{line}");
    house.operator().stops(NOTIFIER).await.expect("a stopped actor");
    let seen = terminal.sees("stopped").await;
    assert!(seen.contains("1 not running"), "{seen}");
    house.operator().starts(NOTIFIER).await.expect("a started actor");
    terminal.sees_no_more("not running").await;

    terminal.types("q").await;
    assert_eq!(terminal.ended().await, Some(0));
    terminal.is_as_it_was().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_tried_again_by_a_key() {
    let house = House::new().with("registration.attempts_max", "1").open().await;
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    let letter = eventually("a dead letter", async || {
        house.operator().finds_work(&boleto.id, &[WorkState::Discarded]).await.into_iter().next()
    })
    .await;
    let mut terminal = top(&house.address().to_string()).await;
    terminal.sees("1 dead").await;
    terminal.types("\t\t\t\t").await;
    // A screen is drawn from its top to its bottom: what stands above it is there as well.
    let why: String = letter.last_error.chars().take(20).collect();
    let seen = terminal.sees(&format!("error: {why}")).await;
    assert!(seen.contains("[Failing 1, 1 dead]") && seen.contains("dead letter"), "{seen}");

    house.script().clear(Party::BankRegister);
    terminal.types("r").await;
    terminal.sees("why?").await;
    terminal.types("the bank is back\r").await;
    terminal.sees("y or n (because: the bank is back)").await;
    terminal.types("y").await;
    terminal.sees(": done").await;
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    terminal.sees("[Failing 0]").await;
    assert_eq!(house.operator().gets_work(&letter.id).await.expect("work").state(), WorkState::Completed);

    terminal.signal("TERM");
    assert_eq!(terminal.ended().await, Some(0));
    terminal.is_as_it_was().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_goes_away_is_waited_for() {
    let house = House::new().on(Kind::PostgreSql).open().await;
    let address = house.address().to_string();
    let mut terminal = top(&address).await;
    terminal.sees("  house ").await;
    let surroundings = house.leave().await;
    terminal.sees("not connected since").await;
    // What was last seen stays.
    terminal.sees("  house ").await;
    let house = surroundings.with("api.listen", &address).open().await;
    terminal.sees_no_more("not connected since").await;
    terminal.types("\u{3}").await;
    assert_eq!(terminal.ended().await, Some(0));
    terminal.is_as_it_was().await;
    house.close().await;
}
