//! The process ends at a step boundary of a run that asks about payments, at each one that there is: around the page, the call and what is
//! written down of its answer. Afterwards the same run goes on. Each payment ends as its bank says, its owner hears of it once, and the
//! bank was asked about nothing twice but for what was under way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bursar::proto::control::v1::JobRunState;
use bursar::proto::openbanking::v1::NewPayment;
use bursar::proto::openbanking::v1::payment::Kind as PaymentKind;
use bursar::sandbox::{AspspConsent, AspspPayment, AspspStep};
use bursar::store::pool;

use crate::bank_customers;
use crate::boundaries::{self, Boundary, Day, days};
use crate::customers::{BERLIN, POLISH, bank};
use crate::database::Kind;
use crate::judge;
use crate::process::{PATIENCE, eventually};
use crate::stage::{House, Stage};

const JOB: &str = "payment_update";
const RUN: &str = "the-only-run";
const CONSENT: &str = "payments";

/// What every play must come by.
const NEEDED: [&str; 5] = [
    "payment.page.after",
    "payment.call.before",
    "payment.call.after",
    "payment.settle.before",
    "payment.settle.after",
];

/// Which bank is asked: one payment a call, or all in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    OneByOne,
    Together,
}

/// Payments, how they end, and as what their owner hears of it.
const PAYMENTS: [(&str, &str, &str); 3] = [
    ("paid", "ACSC", "payment.done"),
    ("refused", "RJCT", "payment.rejected"),
    ("taken-back", "CANC", "payment.cancelled"),
];

impl Asked {
    fn bank(self) -> &'static str {
        if self == Self::Together { POLISH } else { BERLIN }
    }

    /// Payments that have ended at their bank, of which the house does not know yet.
    async fn prepare(self, stage: &Stage, house: &House) {
        let theirs = bank(&stage.world, self.bank());
        let tokens = theirs.put_consent(AspspConsent::of(CONSENT, &[], stage.world.aspsp().now()));
        let product = if self == Self::OneByOne { "payments/sepa-credit-transfers" } else { "" };
        let mut tracked = Vec::new();
        for (name, status, _) in PAYMENTS {
            let settling = AspspPayment::settling(name, &[(Duration::ZERO, status)]);
            theirs.put_payment(AspspPayment { consent: Some(CONSENT.to_owned()), ..settling });
            tracked.push(NewPayment {
                aspsp: self.bank().to_owned(),
                kind: PaymentKind::Single.into(),
                external_id: name.to_owned(),
                product: product.to_owned(),
                access_token: tokens.access.clone(),
                ..NewPayment::default()
            });
        }
        bank_customers::subscribe(stage, house, &["payment.*"]).await;
        bank_customers::customers(house).await.tracks(tracked).await;
    }

    /// How often the bank has to be asked.
    fn calls(self) -> usize {
        if self == Self::Together { 1 } else { PAYMENTS.len() }
    }
}

/// Calls that the bank has answered.
fn asked(stage: &Stage) -> usize {
    stage.world.aspsp().count(|call| matches!(call.step, AspspStep::Payment | AspspStep::Payments))
}

/// What owners were told: events by their payment and their type.
fn told(stage: &Stage) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut told: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for message in stage.world.messages().into_iter().filter(|message| message.channel == "webhook") {
        let body: serde_json::Value = serde_json::from_str(&message.body).expect("JSON");
        let text = |field: &str| body[field].as_str().expect("a text").to_owned();
        let name = body["data"]["external_id"].as_str().expect("a name").to_owned();
        told.entry((name, text("event_type"))).or_default().insert(text("event_id"));
    }
    told
}

/// What must not be in the database of a house that has ended in good order.
const NOT_THERE: [(&str, &str); 4] = [
    ("work", "select count(*) as n from work"),
    ("payments in progress", "select count(*) as n from payment where state = 'in_progress'"),
    ("deliveries that were not made", "select count(*) as n from delivery where state <> 'delivered'"),
    (
        "dead letters",
        "select count(*) as n from work_archive where kind like 'delivery%' and state <> 'completed'",
    ),
];

async fn all_is_well(day: Asked, stage: &Stage, mut house: House, once_more: usize) {
    let run = bank_customers::run_of(&mut house, JOB, RUN).await.expect("a run that ended");
    assert_eq!(run.state(), JobRunState::Completed, "{run:?}\n{}", house.program.said());
    let is_told = |_: &[bursar::sandbox::Effect]| told(stage).len() >= PAYMENTS.len();
    let waited = stage.world.wait_for_effects(is_told, PATIENCE).await;
    assert!(waited.is_ok(), "{:?} was told", told(stage));
    eventually("the end of all work", async || {
        crate::shop::work(&house.channel().await?).await.ok()?.is_empty().then_some(())
    })
    .await;
    house.close().await;
    let expected: BTreeSet<(String, String)> =
        PAYMENTS.iter().map(|(name, _, event)| ((*name).to_owned(), (*event).to_owned())).collect();
    let told = told(stage);
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), expected, "each end, and nothing else");
    assert!(told.values().all(|events| events.len() == 1), "each under one id: {told:?}");
    let calls = asked(stage);
    assert!((day.calls()..=day.calls() + once_more).contains(&calls), "asked {calls} times");
    assert_eq!(stage.world.aspsp().complaints(), [""; 0]);
    let connection = pool::connect(&stage.database_url).await.expect("a database without its house");
    for (what, question) in NOT_THERE {
        assert_eq!(judge::count(&connection, question).await, 0, "{what} in the database");
    }
    let events = "select count(*) as n from subject_event";
    assert_eq!(judge::count(&connection, events).await, PAYMENTS.len() as i64);
    connection.close().await.expect("the database lets go");
}

impl Day for Asked {
    async fn rehearse(self, kind: Kind) -> Vec<Boundary> {
        let stage = Stage::open(kind).await;
        let mut house = bank_customers::house(&stage, &[boundaries::logged(&stage)]).await;
        self.prepare(&stage, &house).await;
        bank_customers::run_of(&mut house, JOB, RUN).await.expect("a run");
        let points = boundaries::reached(&stage);
        all_is_well(self, &stage, house, 0).await;
        stage.close().await;
        boundaries::enumerate(&points, 0, |point| NEEDED.contains(&point))
    }

    async fn crash(self, kind: Kind, boundary: &Boundary) -> bool {
        let stage = Stage::open(kind).await;
        let mut house = bank_customers::house(&stage, &[boundaries::armed(boundary)]).await;
        self.prepare(&stage, &house).await;
        bank_customers::run_of(&mut house, JOB, RUN).await;
        let crashed = bank_customers::leaves(house).await;
        let house = bank_customers::house(&stage, &[]).await;
        // Of calls that were under way side by side, a crash costs each once more.
        all_is_well(self, &stage, house, self.calls()).await;
        stage.close().await;
        crashed
    }

    fn judge(self, boundaries: &[Boundary], missed: &[&Boundary]) {
        let names: BTreeSet<&str> = boundaries.iter().map(|(point, _)| point.as_str()).collect();
        assert_eq!(names, NEEDED.into_iter().collect(), "these are the steps");
        assert!(missed.iter().all(|(_, time)| *time > 1), "never reached: {missed:?}");
        assert!(missed.len() * 5 <= boundaries.len(), "reached too seldom: {missed:?} of {boundaries:?}");
    }
}

days! {
    a_crash_at_any_step_of_asking_about_payments_one_by_one_tells_each_end_once: super::Asked::OneByOne,
    a_crash_at_any_step_of_asking_about_payments_together_tells_each_end_once: super::Asked::Together,
}
