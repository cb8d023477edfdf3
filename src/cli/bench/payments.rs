//! What it costs to take payments in progress up and to write down that they go on, where many are, beside where few are.
//!
//! A page is what a round of the poller reads at a time; its answers are then written down in the groups in which the poller writes
//! them. Both stores are measured in turn, one with 1,000 in progress and one with `--waiting`.
//!
//! **Owns** both stores while it measures. **Fails** as the stores do. **Limits**: all of them at one bank, none of them ends, and what
//! was asked about is due again at once, behind all others: so there are always as many. They are written straight into the store,
//! because a million of the store's own verbs would take an hour.

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectOptions, ConnectionTrait as _, DbBackend};
use tokio::time::Instant;

use super::report::{Begun, Bound, Row, median};
use super::site::Site;
use super::{Bench, Store as Kind, remark};
use crate::actors::payment_poller::PAGE_ROWS;
use crate::domain::ids::PaymentId;
use crate::domain::openbanking::payment::{Meaning, PaymentState};
use crate::store::openbanking::outcome::{Answer, Answered, PaymentAnswer};
use crate::store::openbanking::payment::Payment;
use crate::store::pool;
use crate::store::{Store, StoreConfig};

/// What few is.
const FEW: usize = 1_000;
const ASPSP: &str = "bank-0";
/// Answers that the poller writes down together.
const GROUP: usize = 64;
/// Pages before the first that counts, for caches and plans.
const WARM_UP: usize = 20;
const RATIO_MAX: f64 = 1.3;
const CONNECTIONS: u32 = 4;
const STORE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// One store, how far it has been gone through, and what a page took, in milliseconds by round.
struct Stage {
    _site: Site,
    store: Store,
    after: Option<(DateTime<Utc>, PaymentId)>,
    pages: Vec<f64>,
    answers: Vec<f64>,
}

/// Measures one kind of store.
pub(super) async fn measure(bench: &Bench, kind: Kind) -> anyhow::Result<Vec<Row>> {
    let (begun, waiting) = (Begun::now(), bench.args.waiting);
    remark(&format!("taking up payments of {waiting} in progress on {}", kind.name()));
    let mut few = Stage::prepare(bench, kind, FEW).await?;
    let mut many = Stage::prepare(bench, kind, waiting).await?;
    for _ in 0..WARM_UP {
        few.page().await?;
        many.page().await?;
    }
    for _ in 0..bench.args.rounds {
        let ended = Instant::now() + bench.window();
        let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
        while Instant::now() < ended {
            of_few.push(few.page().await?);
            of_many.push(many.page().await?);
        }
        few.keep(&of_few);
        many.keep(&of_many);
    }
    let name = kind.name();
    let row = |measure: &'static str, many: &[f64], few: &[f64]| {
        let row = Row::new(measure, name, "ms p50", many, &begun).against("1,000 in progress", few);
        let ratio = row.ratio;
        row.note(format!("{waiting} in progress, {PAGE_ROWS} rows")).goal(
            "ratio",
            Bound::AtMost(RATIO_MAX),
            ratio,
        )
    };
    let rows = vec![
        row("a page of payments due", &many.pages, &few.pages),
        row("… and that they go on", &many.answers, &few.answers),
    ];
    few.store.close().await?;
    many.store.close().await?;
    Ok(rows)
}

impl Stage {
    async fn prepare(bench: &Bench, kind: Kind, payments: usize) -> anyhow::Result<Self> {
        let site = Site::make(bench, kind).await?;
        let config =
            StoreConfig { url: site.store_url(), connections_max: CONNECTIONS, timeout: STORE_PATIENCE };
        // It makes the tables.
        Store::open(&config).await.context("cannot open the store")?.close().await?;
        fill(&site, payments).await.context("cannot fill the store")?;
        let store = Store::open(&config).await.context("cannot open the filled store")?;
        Ok(Self { _site: site, store, after: None, pages: Vec::new(), answers: Vec::new() })
    }

    /// Takes a page up and writes down that all on it go on: the milliseconds of both.
    async fn page(&mut self) -> anyhow::Result<(f64, f64)> {
        let asked = Instant::now();
        let page = self.store.payments_due(ASPSP, Utc::now(), self.after, PAGE_ROWS).await?;
        let read = asked.elapsed();
        ensure!(page.len() as i64 == PAGE_ROWS, "{} payments are due", page.len());
        self.after = page.last().map(|last| (last.next_ask_at, last.id));
        let now = self.store.now();
        let answers: Vec<PaymentAnswer> = page.iter().map(|payment| goes_on(payment, now)).collect();
        let asked = Instant::now();
        for group in answers.chunks(GROUP) {
            for answered in self.store.settle_payments(group).await {
                ensure!(answered? == Answered::InProgress, "one has ended");
            }
        }
        let written = asked.elapsed();
        Ok((read.as_secs_f64() * 1_000.0, written.as_secs_f64() * 1_000.0))
    }

    fn keep(&mut self, round: &[(f64, f64)]) {
        let (pages, answers): (Vec<f64>, Vec<f64>) = round.iter().copied().unzip();
        self.pages.push(median(&pages));
        self.answers.push(median(&answers));
    }
}

fn goes_on(payment: &Payment, now: DateTime<Utc>) -> PaymentAnswer {
    PaymentAnswer {
        id: payment.id,
        tenant_id: payment.tenant_id.clone(),
        answer: Answer::Status { raw: "ACSP".to_owned(), meaning: Meaning::State(PaymentState::InProgress) },
        external_id: None,
        next_ask_at: now,
        traceparent: None,
        delivery_attempts_max: 1,
        now,
    }
}

/// Fills a site's store with payments that are due, oldest first.
async fn fill(site: &Site, payments: usize) -> anyhow::Result<()> {
    let mut options = ConnectOptions::new(site.store_url());
    options.max_connections(1).sqlx_logging(false);
    let connection = pool::connect(options).await?;
    let is_sqlite = connection.get_database_backend() == DbBackend::Sqlite;
    if is_sqlite {
        // What is lost with this machine is made anew.
        connection.execute_unprepared("pragma synchronous = off").await?;
    }
    let id = match is_sqlite {
        true => "unhex(printf('%032x', i))",
        false => "cast(lpad(to_hex(i), 32, '0') as uuid)",
    };
    let now = Utc::now().timestamp_micros();
    let insert = format!(
        "with recursive s(i) as (select cast(1 as bigint) union all select i + 1 from s where i < {payments})
         insert into payment (id, tenant_id, aspsp, kind, vocabulary, product, external_id, is_our_name, state, raw_status,
           is_unknown, is_unverifiable, asks_children, asks, next_ask_at_us, version, made_at_us, created_at_us, updated_at_us)
         select {id}, 'default', '{ASPSP}', 'single', 'iso20022', 'payments/sepa-credit-transfers', 'payment-' || i, 0,
           'in_progress', 'ACSP', 0, 0, 0, 1, {first} + i, 1, {first} + i, {first} + i, {first} + i from s",
        first = now - i64::try_from(payments)? - 1
    );
    connection.execute_unprepared(&insert).await?;
    // What a server does by itself within a minute.
    let settle = if is_sqlite { "pragma wal_checkpoint(truncate)" } else { "vacuum analyze" };
    connection.execute_unprepared(settle).await?;
    connection.close().await.context("cannot close the filled store")
}
