//! What a claim of notifications costs where many wait, beside one where few do.
//!
//! **Owns** both stores while it measures. **Fails** as the stores do. **Limits**: one claim at a time, the stores in turn, so that
//! what disturbs the machine disturbs both alike. What was claimed is ended outside the clock and as much put in behind it, as
//! deliveries come and go: rows that went back would be changed again and again where few wait, and once where many do, and
//! it is that difference that would be measured.

use anyhow::ensure;
use chrono::Utc;
use tokio::time::Instant;
use uuid::Uuid;

use super::FEW;
use super::fill::{Owner, fill, open};
use crate::cli::bench::report::{Begun, Bound, Row, median};
use crate::cli::bench::site::Site;
use crate::cli::bench::{Bench, Store as Kind};
use crate::connectors::channels::ChannelKind;
use crate::domain::ids::{RunnerId, WorkId};
use crate::domain::work::{Claim, NewWork, WorkState, kind};
use crate::store::Store;
use crate::store::work::{ClaimRequest, Ending, end_of_prefix};

const OWNERS: usize = 10;
/// Rows of a claim: what a notifier takes at a time unless it is told otherwise.
const BATCH: usize = 64;
const PREFIX: &str = "delivery/sqs/";
/// Claims before the first that counts, for caches and plans.
const WARM_UP: usize = 30;

/// One store, its process, and what its claims took, in milliseconds by round.
struct Stage {
    _site: Site,
    store: Store,
    runner: RunnerId,
    claims: Vec<f64>,
    reads: Vec<f64>,
}

/// Measures one kind of store.
pub(super) async fn measure(bench: &Bench, kind: Kind, begun: &Begun) -> anyhow::Result<Vec<Row>> {
    let waiting = bench.args.waiting;
    let mut few = Stage::prepare(bench, kind, FEW).await?;
    let mut many = Stage::prepare(bench, kind, waiting).await?;
    for _ in 0..WARM_UP {
        few.claim().await?;
        many.claim().await?;
    }
    for _ in 0..bench.args.rounds {
        let ended = Instant::now() + bench.window();
        let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
        while Instant::now() < ended {
            of_few.push(few.claim().await?);
            of_many.push(many.claim().await?);
        }
        few.keep(&of_few);
        many.keep(&of_many);
    }
    let name = kind.name();
    let row = |measure: &'static str, many: &[f64], few: &[f64]| {
        let row = Row::new(measure, name, "ms p50", many, begun).against("1,000 waiting", few);
        let ratio = row.ratio;
        row.note(format!("{waiting} waiting, {BATCH} rows")).goal("ratio", Bound::AtMost(1.3), ratio)
    };
    let rows = vec![
        row("claim of notifications", &many.claims, &few.claims),
        row("… and what they have to tell", &many.reads, &few.reads),
    ];
    few.store.close().await?;
    many.store.close().await?;
    Ok(rows)
}

impl Stage {
    async fn prepare(bench: &Bench, kind: Kind, waiting: usize) -> anyhow::Result<Self> {
        let site = Site::make(bench, kind).await?;
        let owner = |number: usize| {
            let target = format!("http://127.0.0.1/000000000000/owner-{number}");
            let destination = serde_json::json!({"channel": "sqs", "queue_url": target}).to_string();
            Owner { channel: ChannelKind::Sqs, destination, target }
        };
        let owners: Vec<Owner> = (0..OWNERS).map(owner).collect();
        fill(&site, &owners, waiting).await?;
        let store = open(&site).await?;
        let runner = RunnerId(Uuid::now_v7());
        store.enter_runner(runner, "bench", Utc::now()).await?;
        Ok(Self { _site: site, store, runner, claims: Vec::new(), reads: Vec::new() })
    }

    /// Claims, reads what is to be told, ends it and puts in as much again: the milliseconds of the first two.
    async fn claim(&self) -> anyhow::Result<(f64, f64)> {
        let request = ClaimRequest {
            runner_id: self.runner,
            kind: kind::NOTIFICATION_DELIVER,
            queue_from: PREFIX.to_owned(),
            queue_until: end_of_prefix(PREFIX),
            free_per_queue: 128,
            busy: vec![],
            tenants_full: vec![],
            limit: BATCH as i64,
        };
        let asked = Instant::now();
        let claims = self.store.claim(&request).await?;
        let claimed = asked.elapsed();
        let due = self.store.due_deliveries(&claims).await?;
        let read = asked.elapsed() - claimed;
        ensure!(claims.len() == BATCH, "{} rows were claimed", claims.len());
        let told = due.iter().flatten().map(|due| due.events.len()).sum::<usize>();
        ensure!(told == BATCH, "{told} events are to be told");
        let endings: Vec<Ending> =
            claims.iter().map(|claim| Ending::of(claim, WorkState::Completed, None)).collect();
        ensure!(self.store.end_alone(&endings, Utc::now()).await?.len() == BATCH, "not all were ended");
        let next: Vec<NewWork> = claims.into_iter().map(one_more).collect();
        ensure!(self.store.insert_work_alone(&next).await?.len() == BATCH, "not all were put in");
        Ok((claimed.as_secs_f64() * 1_000.0, read.as_secs_f64() * 1_000.0))
    }

    fn keep(&mut self, round: &[(f64, f64)]) {
        let (claims, reads): (Vec<f64>, Vec<f64>) = round.iter().copied().unzip();
        self.claims.push(median(&claims));
        self.reads.push(median(&reads));
    }
}

/// The same once more, at the end of its queue.
fn one_more(claim: Claim) -> NewWork {
    let (id, now) = (Uuid::now_v7(), Utc::now());
    NewWork {
        id: WorkId(id),
        tenant_id: claim.tenant_id,
        kind: kind::NOTIFICATION_DELIVER,
        queue: claim.queue,
        priority: 0,
        run_at: now,
        attempts_max: claim.attempts_max,
        unique_key: Some(format!("deliver:{id}")),
        subject_id: claim.subject_id,
        payload: claim.payload,
        traceparent: None,
        claimed_by: None,
        sent_at: None,
        created_at: now,
    }
}
