//! How many owners are told a second from a store in which all of them wait, what each costs the service, and how much memory
//! that takes.
//!
//! **Owns** nothing beyond its run. **Fails** when nothing arrives for a long time. **Limits**: windows begin after a ramp and end
//! before the store is empty; there are fewer rounds where it was emptied sooner.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::FEW;
use super::fill::{Owner, fill};
use super::sink::Sink;
use crate::cli::bench::load::CpuMs;
use crate::cli::bench::process::resident_mib;
use crate::cli::bench::report::{Begun, Bound, Row, median};
use crate::cli::bench::site::{SQS_CREDENTIALS, Service, Site, WEBHOOK_SECRET, settings};
use crate::cli::bench::{Bench, Store};
use crate::connectors::channels::ChannelKind;

/// Endpoints that the webhooks are spread over, as they are in earnest.
const HOOKS: usize = 8;
const RAMP: Duration = Duration::from_secs(1);

/// Who is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiver {
    Webhooks,
    Queue,
}

/// What one window saw.
struct Window {
    rate: f64,
    cpu_ms: CpuMs,
}

/// What one drain came to.
struct Drained {
    windows: Vec<Window>,
    peak_mib: Option<f64>,
}

impl Receiver {
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhooks => "webhooks",
            Self::Queue => "a queue",
        }
    }

    fn owners(self, sink: &Sink) -> Vec<Owner> {
        let base = format!("http://{}", sink.address);
        match self {
            Self::Webhooks => (0..HOOKS)
                .map(|number| {
                    let target = format!("{base}/hooks/{number}");
                    let destination =
                        json!({"channel": "webhook", "url": target, "secrets": [WEBHOOK_SECRET]});
                    Owner { channel: ChannelKind::Webhook, destination: destination.to_string(), target }
                })
                .collect(),
            Self::Queue => {
                let target = format!("{base}/123456789012/owner");
                let destination = json!({"channel": "sqs", "queue_url": target}).to_string();
                vec![Owner { channel: ChannelKind::Sqs, destination, target }]
            }
        }
    }

    /// The settings of a service that reaches the sink.
    fn settings(self, site: &Site, sink: &Sink) -> String {
        let channel = match self {
            Self::Webhooks => {
                "[channels.webhook.egress]\nschemes = [\"http\"]\nhosts = [\"127.0.0.1\"]\nports = []\n\
                 allow_loopback = true\n"
                    .to_owned()
            }
            Self::Queue => format!(
                "[channels.sqs]\nendpoint = \"http://{}/\"\nregion = \"us-east-1\"\n{SQS_CREDENTIALS}",
                sink.address
            ),
        };
        settings(site, None, true) + &channel
    }
}

/// Measures one store and one way.
pub(super) async fn measure(
    bench: &Bench,
    store: Store,
    receiver: Receiver,
    begun: &Begun,
) -> anyhow::Result<Row> {
    let few = drain(bench, store, receiver, FEW).await?;
    let many = drain(bench, store, receiver, bench.args.notifications).await?;
    ensure!(!many.windows.is_empty(), "all were told before a window was over; give more --notifications");
    let rates: Vec<f64> = many.windows.iter().map(|window| window.rate).collect();
    let measure = match receiver {
        Receiver::Webhooks => "webhooks, from waiting to taken",
        Receiver::Queue => "SQS messages in tens, from waiting to taken",
    };
    let over = |figure: fn(&CpuMs) -> Option<f64>| {
        let known: Vec<f64> = many.windows.iter().filter_map(|window| figure(&window.cpu_ms)).collect();
        (!known.is_empty()).then(|| median(&known))
    };
    let cpu_ms = CpuMs {
        service: over(|cpu| cpu.service),
        world: None,
        database: over(|cpu| cpu.database),
        client: over(|cpu| cpu.client),
    };
    let row = Row { cpu_ms, ..Row::new(measure, store.name(), "/s", &rates, begun) }.resident(many.peak_mib);
    let flat = many.peak_mib.zip(few.peak_mib).map(|(many, few)| many / few);
    let few_mib = few.peak_mib.map_or_else(String::new, |mib| format!("; {mib:.0} MiB with {FEW}"));
    let row = row.note(format!("{} waiting{few_mib}; client: the receiver", bench.args.notifications)).goal(
        "peak MiB to that of 1,000 waiting",
        Bound::AtMost(1.25),
        flat,
    );
    Ok(match receiver {
        Receiver::Webhooks => row.result_goal(Bound::AtLeast(3_000.0)),
        Receiver::Queue => row.goal("service CPU ms", Bound::AtMost(0.3), cpu_ms.service),
    })
}

/// Fills a store, lets a service tell everybody, and watches.
async fn drain(
    bench: &Bench,
    store: Store,
    receiver: Receiver,
    notifications: usize,
) -> anyhow::Result<Drained> {
    let site = Site::make(bench, store).await?;
    let sink = Sink::open().await?;
    let owners = receiver.owners(&sink);
    let notifications = notifications / owners.len() * owners.len();
    fill(&site, &owners, notifications).await?;
    let service = Service::start(&site, &receiver.settings(&site, &sink), &bench.args.set).await?;
    let meters = service.meters(bench, &site, None);
    sink.until_taken(1).await?;
    sleep(RAMP).await;
    let mut windows = Vec::new();
    for _ in 0..bench.args.rounds {
        let (before, taken, opened) = (meters.read(), sink.taken(), Instant::now());
        sleep(bench.window()).await;
        let (after, messages, elapsed) = (meters.read(), sink.taken() - taken, opened.elapsed());
        if sink.taken() >= notifications as u64 {
            break;
        }
        let each = |after: Option<Duration>, before: Option<Duration>| {
            Some(after?.saturating_sub(before?).as_secs_f64() * 1_000.0 / messages as f64)
        };
        windows.push(Window {
            rate: messages as f64 / elapsed.as_secs_f64(),
            cpu_ms: CpuMs {
                service: each(after.service, before.service),
                world: None,
                database: each(after.database, before.database),
                client: each(after.client, before.client),
            },
        });
    }
    sink.until_taken(notifications as u64).await?;
    let peak_mib = resident_mib(service.pid(), true);
    service.close().await?;
    Ok(Drained { windows, peak_mib })
}
