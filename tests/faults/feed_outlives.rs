//! Who listens to a feed: it gives the stream up while the database is away and misses nothing of what was recorded meanwhile,
//! and another process listens on where it was killed. Two never listen at a time.

use crate::cluster::Cluster;
use crate::database::Kind;
use crate::process::PATIENCE;
use crate::recordings::{self, Offered};
use crate::stage::{House, Stage};

const MEANWHILE: usize = 40;

async fn opened(stage: &Stage, settings: &[&str]) -> House {
    let house = recordings::house(stage, settings, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_offered_while_the_database_is_away_is_taken_in_afterwards() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    recordings::subscribe(&stage).await;
    let house = opened(&stage, &["work.fence_after=30s", "work.reap_after=1h"]).await;
    let mut offered = vec![Offered::on(&stage, "-NsampleBefore", 1)];
    recordings::owners_told(&stage, 1).await;

    cluster.crash().await;
    offered.extend((0..MEANWHILE).map(|number| Offered::on(&stage, &format!("-Nsample{number:03}"), 1)));
    house.program.line(|line| line.contains("the store is away")).await.expect("a stream that is given up");
    stage.world.firebase().wait_for_listeners(0, PATIENCE).await.expect("nobody listens in vain");
    cluster.come_back().await;
    recordings::all_is_well(&stage, house, &offered, 1).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_listens_where_the_one_before_was_killed() {
    let stage = Stage::open(Kind::PostgreSql).await;
    recordings::subscribe(&stage).await;
    let mut first = opened(&stage, &[]).await;
    let mut offered = vec![Offered::on(&stage, "-NsampleBefore", 2)];
    recordings::owners_told(&stage, 1).await;
    let second = opened(&stage, &[]).await;
    offered.push(Offered::on(&stage, "-NsampleBeside", 2));
    recordings::owners_told(&stage, 2).await;
    assert_eq!(stage.world.firebase().listeners(), 1, "the office is one's alone");

    first.program.kill().await;
    offered.push(Offered::on(&stage, "-NsampleUnheard", 2));
    stage.world.firebase().wait_for_listeners(1, PATIENCE).await.expect("the other one listens");
    offered.push(Offered::on(&stage, "-NsampleBehind", 2));
    recordings::all_is_well(&stage, second, &offered, 1).await;
    stage.close().await;
}
