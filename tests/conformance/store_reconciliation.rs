//! What both databases must do with what banks say was paid: write it down once, tell owners, list what does not fit, and
//! never write under a lease that is lost. And with counters of numbers that are moved ahead.

use bursar::domain::bank_account::BankAccount;
use bursar::domain::boleto::Boleto;
use bursar::domain::boleto::status::Status;
use bursar::domain::ids::{BoletoId, EventId, RunnerId, TenantId};
use bursar::domain::money::Cents;
use bursar::domain::reconciliation::{Fact, Happened};
use bursar::domain::work::{Claim, kind};
use bursar::messages::reconciler::reconciliation_work;
use bursar::store::Store;
use bursar::store::boleto::{Created, Notify};
use bursar::store::boleto_settle::{Change, Settlement};
use bursar::store::difference::{Difference, DifferenceFilter, DifferenceSettled, SettleDraft};
use bursar::store::number_range::{Ahead, ResyncDraft, Resynced};
use bursar::store::reconciliation::{Counts, RunChange, RunEnd, RunEnded};
use bursar::store::reconciliation_apply::{Slice, Told};
use bursar::store::request_key::RequestKey;
use bursar::store::work::{ClaimRequest, end_of_prefix};
use chrono::{Duration, NaiveDate};
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now, runner};

on_both_databases!(
    what_was_paid_is_written_down_once_and_the_owner_is_told,
    parts_are_what_is_missing_of_the_banks_total,
    what_the_bank_took_off_file_is_cancelled_once,
    a_difference_is_listed_once_and_stays_settled,
    a_difference_that_is_gone_is_settled_by_the_run_that_no_longer_finds_it,
    accounts_of_one_agreement_know_each_others_titles,
    a_bank_that_names_boletos_itself_is_understood,
    a_run_that_lost_its_row_writes_nothing,
    the_end_of_a_run_makes_the_next_and_a_failed_one_says_why,
    an_account_is_asked_now_and_has_one_row,
    a_counter_moves_ahead_and_never_back,
    numbers_given_out_while_the_counter_moves_are_never_the_same,
);

/// A store with an account, and the row of a run in hand.
pub struct Scene {
    pub store: Store,
    pub account: BankAccount,
    pub runner: RunnerId,
    pub claim: Claim,
    _database: TestDatabase,
}

impl Scene {
    pub async fn set(kind: Kind) -> Self {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let runner = runner(&store).await;
        let account = bank_account("3128557");
        store.create_bank_account(&account, 1, None).await.expect("an account");
        let claim = run_of(&store, &account, runner).await;
        Self { store, account, runner, claim, _database: database }
    }

    /// Boletos that the bank has on file.
    pub async fn registered(&self, count: usize) -> Vec<Boleto> {
        let drafts: Vec<_> = (0..count).map(|_| draft(&self.account)).collect();
        let mut made = Vec::new();
        for created in self.store.create_boletos(&drafts).await {
            let Ok(Created::New { boleto, .. }) = created else { panic!("not made: {created:?}") };
            made.push(*boleto);
        }
        let claims = claims(&self.store, "registration/", kind::BOLETO_REGISTER, self.runner).await;
        let settlements: Vec<Settlement> = claims.into_iter().map(registered).collect();
        for settled in self.store.settle_registrations(&settlements).await {
            settled.expect("settled");
        }
        made
    }

    async fn hears(&self, facts: Vec<Fact>) -> Counts {
        self.hears_as(&self.claim, facts).await.expect("the row is held")
    }

    pub async fn hears_as(&self, claim: &Claim, facts: Vec<Fact>) -> Option<Counts> {
        let slice = Slice {
            claim: claim.clone(),
            range_key: self.account.issuer.range_key(),
            items: facts.into_iter().map(told).collect(),
            position: None,
            delivery_attempts_max: 30,
            now: now(),
        };
        self.store.apply_movements(&slice).await.expect("a store")
    }

    pub async fn reads(&self, id: BoletoId) -> Boleto {
        self.store.boleto(&self.account.tenant_id, id).await.expect("a store").expect("a boleto").boleto
    }

    pub async fn differences(&self, settled_too: bool) -> Vec<Difference> {
        let filter = DifferenceFilter { bank_account_id: Some(self.account.id), settled_too };
        self.store.differences(&self.account.tenant_id, filter, None, 100).await.expect("differences")
    }

    async fn settles(&self, difference: &Difference, reason: &str) -> DifferenceSettled {
        let draft = SettleDraft {
            audit_id: Uuid::now_v7(),
            tenant_id: self.account.tenant_id.clone(),
            id: difference.id,
            reason: reason.to_owned(),
            traceparent: None,
            now: now(),
        };
        self.store.settle_difference(&draft).await.expect("a store")
    }

    fn resync(&self, ahead: Ahead, request_id: Option<&str>) -> ResyncDraft {
        ResyncDraft {
            audit_id: Uuid::now_v7(),
            tenant_id: self.account.tenant_id.clone(),
            bank_account_id: self.account.id,
            range_key: self.account.issuer.range_key(),
            sequence_max: self.account.issuer.sequence_max(),
            ahead,
            request: request_id.map(|request_id| RequestKey {
                tenant_id: self.account.tenant_id.clone(),
                method: "ResyncBankAccount",
                request_id: request_id.to_owned(),
                body_hash: vec![1],
            }),
            reason: "restored from a backup".to_owned(),
            traceparent: None,
            now: now(),
        }
    }

    async fn next_sequence(&self) -> i64 {
        let next = self.store.next_sequence(&self.account.issuer.range_key()).await.expect("a store");
        next.expect("a counter")
    }
}

pub async fn claims(store: &Store, prefix: &str, kind: &'static str, runner_id: RunnerId) -> Vec<Claim> {
    let request = ClaimRequest {
        runner_id,
        queue_from: prefix.to_owned(),
        queue_until: end_of_prefix(prefix),
        free_per_queue: 1_000,
        busy: vec![],
        tenants_full: vec![],
        kind,
        limit: 1_000,
    };
    store.claim(&request).await.expect("claims")
}

async fn run_of(store: &Store, account: &BankAccount, runner: RunnerId) -> Claim {
    let work = reconciliation_work(account, now(), now());
    assert_eq!(store.add_reconciliations(vec![work]).await.expect("a store").len(), 1);
    claims(store, "reconciliation/", kind::BOLETO_RECONCILE, runner).await.remove(0)
}

fn registered(claim: Claim) -> Settlement {
    Settlement {
        claim,
        event_id: EventId(Uuid::now_v7()),
        change: Change::Decided { status: Status::Registered, response: None, given: Box::default() },
        delivery_attempts_max: 30,
        now: now(),
    }
}

pub fn told(fact: Fact) -> Told {
    Told {
        fact,
        asked: None,
        payment_id: Uuid::now_v7(),
        event_id: EventId(Uuid::now_v7()),
        difference_id: Uuid::now_v7(),
    }
}

pub fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 20).expect("a day")
}

pub fn number(boleto: &Boleto) -> String {
    boleto.codes.nosso_numero.clone().expect("a number")
}

pub fn fact(number: &str, happened: Happened) -> Fact {
    Fact { nosso_numero: number.to_owned(), bank_reference: None, happened, response_code: "6".to_owned() }
}

pub fn paid(boleto: &Boleto, cents: i64) -> Fact {
    fact(&number(boleto), Happened::Paid { total: Cents(cents), on: day() })
}

fn partly(boleto: &Boleto, cents: i64) -> Fact {
    fact(&number(boleto), Happened::PartlyPaid { total: Cents(cents), on: day() })
}

fn cancelled(boleto: &Boleto) -> Fact {
    fact(&number(boleto), Happened::Cancelled { on: Some(day()) })
}

pub fn counts(movements: i64, payments: i64, cancellations: i64, differences: i64) -> Counts {
    Counts { movements, payments, cancellations, differences }
}

async fn what_was_paid_is_written_down_once_and_the_owner_is_told(kind: Kind) {
    let scene = Scene::set(kind).await;
    let boletos = scene.registered(70).await;
    let facts = || boletos.iter().map(|boleto| paid(boleto, 12_590)).collect::<Vec<_>>();
    assert_eq!(scene.hears(facts()).await, counts(70, 70, 0, 0));
    assert_eq!(scene.hears(facts()).await, counts(70, 0, 0, 0), "the same page again");
    for boleto in &boletos {
        let read = scene.reads(boleto.id).await;
        assert_eq!((read.status, read.paid, read.version), (Status::Paid, Cents(12_590), 3));
    }
    let payments = scene.store.payments_of(&scene.account.tenant_id, boletos[0].id).await.expect("payments");
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0].source.as_str(), "bank");
    assert!(scene.differences(true).await.is_empty());
}

async fn parts_are_what_is_missing_of_the_banks_total(kind: Kind) {
    let scene = Scene::set(kind).await;
    let boleto = &scene.registered(1).await[0];
    assert_eq!(scene.hears(vec![partly(boleto, 5_000)]).await.payments, 1);
    let read = scene.reads(boleto.id).await;
    assert_eq!((read.status, read.paid), (Status::Registered, Cents(5_000)));
    let both = vec![partly(boleto, 5_000), paid(boleto, 12_590)];
    assert_eq!(scene.hears(both).await, counts(2, 1, 0, 0));
    let read = scene.reads(boleto.id).await;
    assert_eq!((read.status, read.paid, read.paid_on), (Status::Paid, Cents(12_590), Some(day())));
}

async fn what_the_bank_took_off_file_is_cancelled_once(kind: Kind) {
    let scene = Scene::set(kind).await;
    let boletos = scene.registered(3).await;
    let facts = || boletos.iter().map(cancelled).collect::<Vec<_>>();
    assert_eq!(scene.hears(facts()).await, counts(3, 0, 3, 0));
    assert_eq!(scene.hears(facts()).await, counts(3, 0, 0, 0));
    assert_eq!(scene.reads(boletos[1].id).await.status, Status::Cancelled);
    // Money that comes all the same is written down beside it.
    assert_eq!(scene.hears(vec![paid(&boletos[1], 100)]).await, counts(1, 1, 0, 1));
    let read = scene.reads(boletos[1].id).await;
    assert_eq!((read.status, read.paid), (Status::Cancelled, Cents(100)));
    assert_eq!(scene.differences(false).await[0].kind, "paid_cancelled");
}

async fn a_difference_is_listed_once_and_stays_settled(kind: Kind) {
    let scene = Scene::set(kind).await;
    let stranger = || vec![fact("31285570000099999", Happened::Paid { total: Cents(700), on: day() })];
    assert_eq!(scene.hears(stranger()).await.differences, 1);
    assert_eq!(scene.hears(stranger()).await.differences, 0);
    let open = scene.differences(false).await;
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].kind.as_str(), open[0].boleto_id), ("unknown_title", None));
    assert!(matches!(scene.settles(&open[0], "issued elsewhere").await, DifferenceSettled::Done(_)));
    assert!(matches!(scene.settles(&open[0], "again").await, DifferenceSettled::Before(_)));
    assert_eq!(scene.hears(stranger()).await.differences, 0, "somebody has looked at it");
    assert!(scene.differences(false).await.is_empty());
    let more = vec![fact("31285570000099999", Happened::Paid { total: Cents(900), on: day() })];
    assert_eq!(scene.hears(more).await.differences, 1, "another sum is another finding");
    assert_eq!(scene.differences(true).await.len(), 2);
    let nobodys = Difference { id: Uuid::now_v7(), ..open[0].clone() };
    assert_eq!(scene.settles(&nobodys, "x").await, DifferenceSettled::NotFound);
}

async fn a_difference_that_is_gone_is_settled_by_the_run_that_no_longer_finds_it(kind: Kind) {
    let scene = Scene::set(kind).await;
    // The bank knows of it before its registration is settled here.
    let drafted = draft(&scene.account);
    let made = scene.store.create_boletos(std::slice::from_ref(&drafted)).await.remove(0);
    let Ok(Created::New { boleto, .. }) = made else { panic!("not made: {made:?}") };
    assert_eq!(scene.hears(vec![paid(&boleto, 12_590)]).await, counts(1, 1, 0, 1));
    assert_eq!(scene.differences(false).await[0].kind, "paid_unregistered");
    let claim = claims(&scene.store, "registration/", kind::BOLETO_REGISTER, scene.runner).await.remove(0);
    scene.store.settle_registrations(&[registered(claim)]).await.remove(0).expect("settled");
    // A cancellation can show no payment's difference, nor settle one.
    assert_eq!(scene.hears(vec![paid(&boleto, 12_590)]).await, counts(1, 0, 0, 0));
    assert_eq!(scene.reads(boleto.id).await.status, Status::Paid);
    assert!(scene.differences(false).await.is_empty());
    let settled = scene.differences(true).await;
    assert_eq!(settled.len(), 1);
    assert!(settled[0].settled.is_some());
}

async fn accounts_of_one_agreement_know_each_others_titles(kind: Kind) {
    let scene = Scene::set(kind).await;
    let sibling = bank_account("3128557");
    scene.store.create_bank_account(&sibling, 1, None).await.expect("an account");
    let mut foreign = bank_account("3128557");
    foreign.tenant_id = TenantId::parse("another").expect("a tenant");
    scene.store.create_bank_account(&foreign, 1, None).await.expect("an account");
    let mut drafts = vec![draft(&sibling), draft(&foreign)];
    for draft in &mut drafts {
        draft.notify = Notify::Nobody;
    }
    let mut made = Vec::new();
    for created in scene.store.create_boletos(&drafts).await {
        let Ok(Created::New { boleto, .. }) = created else { panic!("not made: {created:?}") };
        made.push(*boleto);
    }
    let claims = claims(&scene.store, "registration/", kind::BOLETO_REGISTER, scene.runner).await;
    let settlements: Vec<Settlement> = claims.into_iter().map(registered).collect();
    scene.store.settle_registrations(&settlements).await;
    let facts = made.iter().map(|boleto| paid(boleto, 12_590)).collect();
    assert_eq!(scene.hears(facts).await, counts(2, 1, 0, 0), "the other tenant's is left alone");
    assert_eq!(scene.reads(made[0].id).await.status, Status::Paid);
    let foreign = scene.store.boleto(&foreign.tenant_id, made[1].id).await.expect("a store").expect("it");
    assert_eq!(foreign.boleto.status, Status::Registered);
}

async fn a_bank_that_names_boletos_itself_is_understood(kind: Kind) {
    let scene = Scene::set(kind).await;
    let drafted = draft(&scene.account);
    scene.store.create_boletos(std::slice::from_ref(&drafted)).await.remove(0).expect("made");
    let claim = claims(&scene.store, "registration/", kind::BOLETO_REGISTER, scene.runner).await.remove(0);
    let mut settlement = registered(claim);
    let Change::Decided { given, .. } = &mut settlement.change else { panic!("decided above") };
    given.bank_reference = Some("9d36b84f".to_owned());
    scene.store.settle_registrations(&[settlement]).await.remove(0).expect("settled");
    let named = Fact {
        nosso_numero: String::new(),
        bank_reference: Some("9d36b84f".to_owned()),
        happened: Happened::Paid { total: Cents(12_590), on: day() },
        response_code: "RECEBIDO".to_owned(),
    };
    let stranger = Fact { bank_reference: Some("00000000".to_owned()), ..named.clone() };
    assert_eq!(scene.hears(vec![named, stranger]).await, counts(2, 1, 0, 1));
    assert_eq!(scene.reads(drafted.id).await.status, Status::Paid);
    assert_eq!(scene.differences(false).await[0].subject, "00000000");
}

async fn a_run_that_lost_its_row_writes_nothing(kind: Kind) {
    let scene = Scene::set(kind).await;
    let boleto = &scene.registered(1).await[0];
    let stale = Claim { fence: scene.claim.fence + 1, ..scene.claim.clone() };
    assert_eq!(scene.hears_as(&stale, vec![paid(boleto, 12_590), cancelled(boleto)]).await, None);
    assert_eq!(scene.reads(boleto.id).await.version, 2);
    let end = RunEnd { claim: stale, change: RunChange::Moot, now: now() };
    assert_eq!(scene.store.end_reconciliation(&end).await.expect("a store"), RunEnded::LostLease);
    assert_eq!(scene.hears(vec![paid(boleto, 12_590)]).await.payments, 1, "who holds it goes on");
}

async fn the_end_of_a_run_makes_the_next_and_a_failed_one_says_why(kind: Kind) {
    let scene = Scene::set(kind).await;
    let (store, account) = (&scene.store, &scene.account);
    let known = || async {
        store.reconciliation(&account.tenant_id, account.id).await.expect("a store").expect("an account")
    };
    assert_eq!((known().await.runs, known().await.asked_until), (0, None));
    let later = RunChange::Later { run_at: now(), error: "bank unavailable".to_owned() };
    let end = RunEnd { claim: scene.claim.clone(), change: later, now: now() };
    assert_eq!(store.end_reconciliation(&end).await.expect("a store"), RunEnded::Done);
    let failed = known().await;
    assert_eq!(
        (failed.runs, failed.asked_until, failed.last_error.as_deref()),
        (0, None, Some("bank unavailable"))
    );
    assert!(failed.next_run_at.is_some() && failed.last_run_at.is_some());

    store.promote_due(now() + Duration::seconds(1)).await.expect("promoted");
    let claim = claims(store, "reconciliation/", kind::BOLETO_RECONCILE, scene.runner).await.remove(0);
    let next = Box::new(reconciliation_work(account, now() + Duration::hours(1), now()));
    let counts = counts(9, 4, 2, 1);
    let end =
        RunEnd { claim, change: RunChange::Done { asked_until: Some(day()), counts, next }, now: now() };
    assert_eq!(store.end_reconciliation(&end).await.expect("a store"), RunEnded::Done);
    assert_eq!(store.end_reconciliation(&end).await.expect("a store"), RunEnded::LostLease, "it ended once");
    assert!(store.work_ended_by(&end.claim).await.expect("a store"));
    let done = known().await;
    assert_eq!((done.runs, done.asked_until, done.last_error, done.counts), (1, Some(day()), None, counts));
    assert!(done.next_run_at.expect("a next run") > now() + Duration::minutes(30));
    let all = store.reconciliations(&account.tenant_id, &[account.id]).await.expect("a store");
    assert_eq!(all.len(), 1);
}

async fn an_account_is_asked_now_and_has_one_row(kind: Kind) {
    let scene = Scene::set(kind).await;
    let (store, account) = (&scene.store, &scene.account);
    let work = || reconciliation_work(account, now(), now());
    store.ask_reconciliation(&work()).await.expect("a store");
    let none = claims(store, "reconciliation/", kind::BOLETO_RECONCILE, scene.runner).await;
    assert!(none.is_empty(), "the run in hand goes on");
    let next = Box::new(reconciliation_work(account, now() + Duration::hours(1), now()));
    let change = RunChange::Done { asked_until: Some(day()), counts: Counts::default(), next };
    let end = RunEnd { claim: scene.claim.clone(), change, now: now() };
    store.end_reconciliation(&end).await.expect("a store");
    assert!(store.add_reconciliations(vec![work()]).await.expect("a store").is_empty(), "it has one");
    store.ask_reconciliation(&work()).await.expect("a store");
    let due = claims(store, "reconciliation/", kind::BOLETO_RECONCILE, scene.runner).await;
    assert_eq!(due.len(), 1, "what was due in an hour is due now");
}

async fn a_counter_moves_ahead_and_never_back(kind: Kind) {
    let scene = Scene::set(kind).await;
    let moved = |draft: ResyncDraft| {
        let store = scene.store.clone();
        async move { store.resync_numbers(&draft).await.expect("a store") }
    };
    assert_eq!(scene.next_sequence().await, 1);
    let past = scene.resync(Ahead::Past(500), None);
    assert_eq!(moved(past).await, Resynced::Done { before: 1, after: 501 });
    assert_eq!(moved(scene.resync(Ahead::Past(20), None)).await, Resynced::Done { before: 501, after: 501 });
    let by = || scene.resync(Ahead::By(99), Some("once"));
    assert_eq!(moved(by()).await, Resynced::Done { before: 501, after: 600 });
    assert_eq!(moved(by()).await, Resynced::Before, "the same request skips once");
    let mut other = by();
    other.request.as_mut().expect("a key").body_hash = vec![2];
    assert_eq!(moved(other).await, Resynced::OtherBody);
    let max = scene.account.issuer.sequence_max();
    assert_eq!(moved(scene.resync(Ahead::Past(max + 1), None)).await, Resynced::PastTheEnd);
    assert_eq!(
        moved(scene.resync(Ahead::Past(max), None)).await,
        Resynced::Done { before: 600, after: max + 1 }
    );
    let mut counted_there = scene.resync(Ahead::By(1), None);
    counted_there.range_key = "077/000000000001".to_owned();
    assert_eq!(moved(counted_there).await, Resynced::NoCounter);
}

async fn numbers_given_out_while_the_counter_moves_are_never_the_same(kind: Kind) {
    let scene = Scene::set(kind).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..50 {
        let (store, draft) = (scene.store.clone(), draft(&scene.account));
        let resync = scene.resync(Ahead::By(7), None);
        tasks.spawn(async move {
            if task % 10 == 0 {
                store.resync_numbers(&resync).await.expect("a store");
            }
            match store.create_boletos(&[draft]).await.remove(0) {
                Ok(Created::New { boleto, .. }) => boleto.codes.nosso_numero.expect("a number"),
                other => panic!("not made: {other:?}"),
            }
        });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 50, "a number was given out twice");
    assert_eq!(scene.next_sequence().await, 1 + 50 + 5 * 7);
}
