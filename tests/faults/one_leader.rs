//! Three processes share an office: one holds it; when it is killed another takes it in a new term, and when that one
//! leaves in good order the last has it at once. The work of the house goes on all the while.

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::eventually;
use crate::shop::Shop;
use crate::stage::{House, Stage};

const BOLETOS: usize = 6;

/// The term in which this process says that it has taken the office, if it has.
fn term_of(house: &House) -> Option<i64> {
    let line = house.program.find(|line| line.contains("\"office taken\""))?;
    let line: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
    line["fields"]["term"].as_i64()
}

/// Waits until one of these holds the office in this term, and returns its place among them.
async fn taken_in(houses: &[House], term: i64) -> usize {
    eventually(&format!("term {term}"), async || houses.iter().position(|house| term_of(house) == Some(term)))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_office_passes_on_when_its_holder_is_killed_and_when_it_leaves() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    let mut houses = Vec::new();
    for _ in 0..3 {
        let house = stage.house().await;
        assert!(house.opened().await, "{}", house.program.said());
        houses.push(house);
    }
    let first = taken_in(&houses, 1).await;
    assert_eq!(houses.iter().filter_map(term_of).collect::<Vec<_>>(), [1], "one holder");

    let mut killed = houses.swap_remove(first);
    killed.program.kill().await;
    let second = taken_in(&houses, 2).await;
    assert_eq!(houses.iter().filter_map(term_of).collect::<Vec<_>>(), [2], "one heir");
    let channel = houses[second].channel().await.expect("a house that listens");
    // A machine that is busy with other tests may have the house say that its store does not answer, for a moment.
    eventually("a bank account", async || shop.furnish(&channel).await.ok()).await;
    load::ask_for(&shop, &[channel], 0..BOLETOS).await;

    houses.swap_remove(second).close().await;
    taken_in(&houses, 3).await;
    judge::all_is_well(&stage, houses.remove(0), BOLETOS).await;
    stage.close().await;
}
