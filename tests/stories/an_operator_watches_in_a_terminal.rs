//! An operator keeps the house in sight in a terminal: sees an actor end, tries a dead letter again by a key, reads what happened to a
//! boleto, stays while the house goes away and comes back, and has the terminal again as it was, however the watching ends.

use std::net::SocketAddr;

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::WorkState;
use bursar::sandbox::{Behaviour, Party};
use chrono::TimeDelta;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::callers;
use crate::support::database::Kind;
use crate::support::house::{House, a_boleto, eventually};
use crate::support::terminal::Terminal;

/// Of the terminal's palette.
const GREEN: u8 = 2;
const NOTIFIER: &str = "house/workers/notifiers/sqs";

/// What is seen within this only was told by the tree itself.
const NEVER: &str = "10min";
const SOON: &str = "200ms";

async fn top(address: &str, interval: &str) -> Terminal {
    Terminal::running(&["top", "--interval", interval, "--address", &format!("http://{address}")]).await
}

/// A line to a house on which whoever comes while it is shut waits, and which may lead to another house.
async fn a_line(house: SocketAddr) -> (String, watch::Sender<bool>, watch::Sender<SocketAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    let (shut, is_shut) = watch::channel(false);
    let (lead, leads_to) = watch::channel(house);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (mut is_shut, leads_to) = (is_shut.clone(), leads_to.clone());
            tokio::spawn(async move {
                let is_open = is_shut.wait_for(|is_shut| !is_shut).await.is_ok();
                let house = *leads_to.borrow();
                if is_open && let Ok(mut far) = TcpStream::connect(house).await {
                    // Either side may hang up.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    (address, shut, lead)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_ends_is_seen_at_once_and_leaving_gives_the_terminal_back() {
    let house = House::new().open().await;
    let mut terminal = top(&house.address().to_string(), NEVER).await;
    terminal.sees("  house ").await;
    terminal.types("/notifiers/sqs\r").await;
    let line = terminal.sees("filter: notifiers/sqs  (Esc shows all)").await;
    assert!(line.contains("  sqs ") && line.contains("running"), "{line}");
    assert!(terminal.is_in("running", GREEN), "{line}");
    house.operator().stops(NOTIFIER).await.expect("a stopped actor");
    let seen = terminal.sees("stopped").await;
    assert!(seen.contains("1 to look at"), "{seen}");
    house.operator().starts(NOTIFIER).await.expect("a started actor");
    terminal.sees_no_more("to look at").await;

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
    let mut terminal = top(&house.address().to_string(), SOON).await;
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
async fn a_boleto_is_read_with_its_history_and_its_payer_masked() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    let mut terminal = top(&house.address().to_string(), SOON).await;
    terminal.sees("Boletos 1").await;
    // The pane before the first but one.
    terminal.types("\u{1b}[Z\u{1b}[Z").await;
    let row = terminal.sees("[Boletos 1]").await;
    assert!(row.contains("registered") && row.contains(&boleto.reference_id), "{row}");
    terminal.types("\r").await;
    terminal.sees(&format!("id: {}", boleto.id)).await;
    // What stands below the first lines is reached by the keys.
    terminal.types("\u{1b}[F").await;
    terminal.sees("boleto.registered, version").await;
    terminal.types("\u{1b}[H").await;
    let read = terminal.sees("payer: ").await;
    let name = &boleto.payer.as_ref().expect("a payer").name;
    assert!(read.contains("***") && !read.contains(name.as_str()), "{read}");
    terminal.types("\u{1b}").await;
    terminal.sees("[Boletos 1]").await;
    terminal.types("q").await;
    assert_eq!(terminal.ended().await, Some(0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_goes_away_is_waited_for() {
    let house = House::new().on(Kind::PostgreSql).open().await;
    // The house comes back elsewhere, for its port may be somebody else's by then.
    let (address, _shut, lead) = a_line(house.address()).await;
    let mut terminal = top(&address, SOON).await;
    terminal.sees("  house ").await;
    let surroundings = house.leave().await;
    terminal.sees("not connected since").await;
    // What was last seen stays.
    terminal.sees("  house ").await;
    let house = surroundings.open().await;
    lead.send_replace(house.address());
    terminal.sees_no_more("not connected since").await;
    terminal.types("\u{3}").await;
    assert_eq!(terminal.ended().await, Some(0));
    terminal.is_as_it_was().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_while_something_is_done_is_told_what_came_of_it() {
    let house = House::new().with("registration.attempts_max", "1").open().await;
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    house.operator().finds_work_in(&boleto.id, WorkState::Discarded).await;
    house.script().clear(Party::BankRegister);
    let (address, shut, _lead) = a_line(house.address()).await;
    let mut terminal = top(&address, SOON).await;
    terminal.sees("1 dead").await;
    shut.send_replace(true);
    terminal.types("\t\t\t\tr").await;
    terminal.sees("why?").await;
    // A text that is pasted answers nothing, whatever lines and letters it has.
    terminal.types("\u{1b}[200~as agreed\ry\u{1b}[201~").await;
    terminal.sees("why? as agreed y_").await;
    terminal.types("\r").await;
    terminal.sees("y or n").await;
    terminal.types("yq").await;
    let seen = terminal.sees("waiting for what comes of what was asked for").await;
    assert!(!seen.contains("Failing"), "the screen is given back before: {seen}");
    shut.send_replace(false);
    terminal.sees(": done").await;
    assert_eq!(terminal.ended().await, Some(0));
    terminal.is_as_it_was().await;
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_has_ended_is_looked_for_in_its_file_and_nobody_else_is_shut_out() {
    let settings = House::new().without_account().with("access.mode", "tokens");
    let settings = settings.with("access.check_interval", "50ms").with("access.failures_per_minute_max", "5");
    let surroundings = settings.prepare().await;
    let store = surroundings.database.open().await;
    let admin = callers::make(&store, "default", "admin", TimeDelta::hours(1)).await;
    let first = callers::make(&store, "default", "control.read", TimeDelta::hours(1)).await;
    let second = callers::make(&store, "default", "control.read", TimeDelta::hours(1)).await;
    callers::leave(store).await;
    let file = surroundings.file("token");
    std::fs::write(&file, first.reveal()).expect("a token's file");
    let house = surroundings.open().await;
    let (address, file) = (format!("http://{}", house.address()), file.display().to_string());
    // One picture is no failure for a token that shows the house and nothing that goes through it.
    let once = ["top", "--once", "--address", &address, "--token-file", &file];
    let mut picture = Terminal::running(&once).await;
    let seen = picture.sees("transfer.read").await;
    assert!(seen.contains("boleto.read"), "{seen}");
    assert_eq!(picture.ended().await, Some(0));
    let arguments = ["top", "--interval", SOON, "--address", &address, "--token-file", &file];
    let mut terminal = Terminal::running(&arguments).await;
    terminal.sees("  house ").await;
    callers::ends(house.channel(), &admin, &first).await;
    terminal.sees("not connected since").await;
    std::fs::write(&file, second.reveal()).expect("a token's file");
    terminal.sees_no_more("not connected since").await;
    terminal.types("q").await;
    assert_eq!(terminal.ended().await, Some(0));
    house.close().await;
}
