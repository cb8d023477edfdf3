//! The process ends at a step boundary of a visit at a bank, at each one that there is: while a token is refreshed, between two pages of a
//! set, before and after a set is taken over, when the visit and the run end. Afterwards the same run goes on. The bank was asked for
//! nothing twice but for what was under way; every transaction is there once; and the newest token is the one that counts.

use std::collections::{BTreeMap, BTreeSet};

use bursar::proto::control::v1::JobRunState;
use bursar::sandbox::{AspspEntry, AspspRules, AspspStep, PageTrap};
use bursar::store::pool;
use chrono::TimeDelta;

use crate::bank_customers;
use crate::boundaries::{self, Boundary, Day, days};
use crate::customers::{BERLIN, POLISH, bank, iban};
use crate::database::Kind;
use crate::judge;
use crate::process::eventually;
use crate::stage::{House, Stage};

const JOB: &str = "sync_update";
const RUN: &str = "the-only-run";
const WHO: &str = "anna";
const BOOKED: i64 = 10;
/// The step at which what the bank has just given is lost, and it takes nothing else any more. Nobody can prevent that; the
/// customer is asked to allow it again.
const TOKEN_LOST: &str = "sync.refresh.answered";

/// What every play must come by.
const NEEDED: [&str; 13] = [
    "sync.session.opened",
    "sync.access.taken",
    "sync.call.before",
    "sync.call.after",
    "sync.refresh.before",
    "sync.refresh.answered",
    "sync.refresh.kept",
    "sync.page.kept",
    "sync.apply.before",
    "sync.apply.after",
    "sync.session.closed",
    "sync.users.synced",
    "sync.position.kept",
];

/// Which bank is visited, and how it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    Berlin,
    Polish,
    /// The second page comes twice.
    PageTwice,
}

impl Visit {
    fn bank(self) -> &'static str {
        if self == Self::Polish { POLISH } else { BERLIN }
    }

    /// A customer with an account of three pages, and a token that has just ended.
    async fn prepare(self, stage: &Stage, house: &House) {
        let (at, number, now) = (self.bank(), iban(1), stage.world.aspsp().now());
        let theirs = bank(&stage.world, at);
        theirs.set_rules(AspspRules { page_size: 4, ..AspspRules::default() });
        let customers = bank_customers::customers(house).await;
        customers.puts(WHO).await;
        let allowed = customers.allows(&stage.world, WHO, at, &[&number]).await;
        for item in 1..=BOOKED {
            // Some of them are twins.
            let made = now - TimeDelta::hours(100 - item);
            let entry = AspspEntry { id: None, ..AspspEntry::booked("", (item + 1) / 2, made) };
            theirs.put_entry(&number, entry);
        }
        if self == Self::PageTwice {
            theirs.set_trap(&number, Some(PageTrap::Repeated { page: 1 }));
        }
        theirs.end_access(&allowed.name);
        bank_customers::subscribe(stage, house, &["consent.*"]).await;
    }
}

/// Every answer of the bank's that says something, by what was asked and whether it was a further page.
fn told(stage: &Stage) -> BTreeMap<(String, bool), usize> {
    let mut told = BTreeMap::new();
    for call in stage.world.aspsp().calls() {
        if call.status == 200 && call.step != AspspStep::Token {
            *told.entry((format!("{:?}", call.step), call.is_page)).or_default() += 1;
        }
    }
    told
}

/// How often it told what it had told before.
fn told_again(visit: Visit, stage: &Stage) -> usize {
    let needed = |step: &str, is_page: bool| match (step, is_page, visit) {
        ("Transactions", true, Visit::PageTwice) => 3,
        ("Transactions", true, _) => 2,
        // Where it speaks Berlin Group, what is pending is asked for at the same place.
        ("Transactions", false, Visit::Berlin | Visit::PageTwice) => 2,
        _ => 1,
    };
    told(stage).iter().map(|((step, is_page), times)| times.saturating_sub(needed(step, *is_page))).sum()
}

/// What was told owners: once each.
fn news(stage: &Stage) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let bodies = stage.world.messages().into_iter().filter(|message| message.channel == "webhook");
    let bodies =
        bodies.map(|message| serde_json::from_str::<serde_json::Value>(&message.body).expect("JSON"));
    let new = bodies.filter(|body| seen.insert(body["event_id"].to_string()));
    new.map(|body| body["event_type"].as_str().expect("a type").to_owned()).collect()
}

/// What must not be in the database of a house that has ended in good order.
const NOT_THERE: [(&str, &str); 4] = [
    ("work", "select count(*) as n from work"),
    ("visits that are open", "select count(*) as n from api_session where state = 'open'"),
    ("visits that failed", "select count(*) as n from api_session where state <> 'ok'"),
    ("pages of an unfinished set", "select count(*) as n from account_page"),
];

async fn by_the_database(stage: &Stage, is_lost: bool) {
    let connection = pool::connect(&stage.database_url).await.expect("a database without its house");
    for (what, question) in NOT_THERE.into_iter().filter(|(what, _)| !(is_lost && what.starts_with("visits")))
    {
        assert_eq!(judge::count(&connection, question).await, 0, "{what} in the database");
    }
    for (what, question, times) in [
        ("visits", "select count(*) as n from api_session", 1),
        ("runs", "select count(*) as n from job_run", 1),
        ("transactions", "select count(*) as n from account_transaction", if is_lost { 0 } else { BOOKED }),
    ] {
        assert_eq!(judge::count(&connection, question).await, times, "{what} in the database");
    }
    connection.close().await.expect("the database lets go");
}

/// Judges what a run has left behind that went on to its end. `once_more` is how often the bank may have told what it had told.
async fn all_is_well(visit: Visit, stage: &Stage, mut house: House, once_more: usize, may_lose_token: bool) {
    let run = bank_customers::run_of(&mut house, JOB, RUN).await.expect("a run that ended");
    assert_eq!(run.state(), JobRunState::Completed, "{run:?}\n{}", house.program.said());
    assert!(told_again(visit, stage) <= once_more, "{:?}", told(stage));
    assert_eq!(stage.world.aspsp().complaints(), [""; 0]);
    let is_lost = may_lose_token
        && stage.world.aspsp().count(|call| call.status == 200 && call.step == AspspStep::Transactions) == 0;
    if is_lost {
        eventually("the owner is asked for another consent", async || {
            (!news(stage).is_empty()).then_some(())
        })
        .await;
        assert_eq!(news(stage), ["consent.revoked"]);
    } else {
        assert_eq!(news(stage), [""; 0]);
    }
    house.close().await;
    by_the_database(stage, is_lost).await;
    if is_lost {
        return;
    }
    // What the bank has given last is what lets us in next.
    let house = bank_customers::house(stage, &[]).await;
    let theirs = bank(&stage.world, visit.bank());
    let refused = stage.world.aspsp().count(|call| call.step == AspspStep::Token && call.status != 200);
    theirs.end_access(&format!("{}-of-{WHO}-{}", visit.bank(), iban(1)));
    let customers = bank_customers::customers(&house).await;
    let run = customers.syncs().await;
    let sessions = customers.sessions(&run).await;
    assert!(sessions.len() == 1 && sessions[0].reason.is_empty(), "{sessions:?}");
    assert_eq!(
        stage.world.aspsp().count(|call| call.step == AspspStep::Token && call.status != 200),
        refused
    );
    house.close().await;
}

impl Day for Visit {
    async fn rehearse(self, kind: Kind) -> Vec<Boundary> {
        let stage = Stage::open(kind).await;
        let mut house = bank_customers::house(&stage, &[boundaries::logged(&stage)]).await;
        self.prepare(&stage, &house).await;
        bank_customers::run_of(&mut house, JOB, RUN).await.expect("a run");
        let points = boundaries::reached(&stage);
        all_is_well(self, &stage, house, 0, false).await;
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
        all_is_well(self, &stage, house, 1, boundary.0 == TOKEN_LOST).await;
        stage.close().await;
        crashed
    }

    fn judge(self, boundaries: &[Boundary], missed: &[&Boundary]) {
        let names: BTreeSet<&str> = boundaries.iter().map(|(point, _)| point.as_str()).collect();
        assert_eq!(names, NEEDED.into_iter().collect(), "these are the steps");
        // One visit makes its steps one after the other; how often it tells how far it has come varies with the clock.
        let missed: Vec<_> = missed.iter().filter(|(point, _)| point != "sync.position.kept").collect();
        assert!(missed.is_empty(), "never reached: {missed:?}");
    }
}

days! {
    a_crash_at_any_step_of_a_visit_to_the_berlin_group_costs_one_call_and_no_transaction: super::Visit::Berlin,
    a_crash_at_any_step_of_a_visit_to_polish_api_costs_one_call_and_no_transaction: super::Visit::Polish,
    a_crash_at_any_step_doubles_nothing_though_a_page_comes_twice: super::Visit::PageTwice,
}
