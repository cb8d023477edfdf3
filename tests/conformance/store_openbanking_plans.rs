//! What is read when a run asks about payments and takes over what banks tell, beside much that is nobody's business: PostgreSQL keeps
//! the plan that it made for a statement when the tables were empty, and must not read them by it later.
//!
//! The server's own counts are the judge; a session writes them down when it ends, so the store is closed first.

use std::time::Duration;

use bursar::domain::ids::{PaymentId, TenantId};
use bursar::domain::openbanking::quota::{Quota, Window};
use bursar::store::Store;
use bursar::store::openbanking::forget::Aged;
use bursar::store::openbanking::quota::{AccessWanted, QuotaKey};
use bursar::store::openbanking::user::DueOrder;
use bursar::store::pool;
use chrono::{DateTime, TimeDelta};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

use crate::bank_scene::{ATTEMPTS, BANK, BankScene, booked, payment, tokens, told_of, visit};
use crate::store_openbanking_payments::answer;
use crate::support::database::Kind;
use crate::support::drafts::now;

/// Rows of each table that are nobody's business.
const BYSTANDERS: i64 = 50_000;
/// Every table of open banking.
const TABLES: [&str; 17] = [
    "psu_user",
    "consent",
    "consent_token",
    "consent_account",
    "account",
    "balance",
    "account_page",
    "account_transaction",
    "pending_transaction",
    "payment",
    "api_session",
    "api_call",
    "quota",
    "quota_access",
    "back_off",
    "subject_event",
    "delivery",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_reads_what_is_its_own_whatever_the_plans_were_made_for() {
    let scene = BankScene::set(Kind::PostgreSql).await;
    let server = alone(&scene).await;
    live(&scene, 0).await;
    server.execute_unprepared("analyze").await.expect("known as all but empty");
    live(&scene, 1).await;
    fill(&server).await;
    for round in 2..=8 {
        live(&scene, round).await;
    }
    scene.store.close().await.expect("closed");
    let rows = read(&server).await;
    assert!(rows < BYSTANDERS, "{rows} rows were read");
}

/// Payments of one bank in progress, and how many times as many.
const IN_PROGRESS: i64 = 2_000;
const TIMES: i64 = 50;

/// What a claim reads at a great many payments in progress is what it reads at a thousand: 1.3 times as much at most, in rows and
/// in pages of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_due_payments_costs_its_page_however_many_wait() {
    let scene = BankScene::set(Kind::PostgreSql).await;
    let server = alone(&scene).await;
    // Nobody else reads the tables.
    server.execute_unprepared("alter table payment set (autovacuum_enabled = false)").await.expect("quiet");
    scene.store.close().await.expect("closed");
    let mut costs = Vec::new();
    for (count, state) in [(IN_PROGRESS, "in_progress"), (IN_PROGRESS * TIMES, "in_progress")] {
        server.execute_unprepared("truncate payment").await.expect("empty");
        fill_payments(&server, count, state).await;
        server.execute_unprepared("vacuum analyze payment").await.expect("known as it is");
        // A session tells what it has read once a second, as a rule; what the filling read is not the asking's.
        server.execute_unprepared("select pg_stat_force_next_flush()").await.expect("told now");
        let before = (read(&server).await, pages(&server).await);
        ask_about_a_thousand(&scene).await;
        costs.push((read(&server).await - before.0, pages(&server).await - before.1));
    }
    let [(few_rows, few_pages), (many_rows, many_pages)] = costs[..] else { panic!("two costs") };
    assert!(few_rows >= 1_000 && few_pages >= 10, "{costs:?}: it was counted");
    assert!(many_rows * 10 <= few_rows * 13, "{costs:?} rows");
    assert!(many_pages * 10 <= few_pages * 13, "{costs:?} pages");
}

/// What has ended is in nobody's way, however much that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_due_payments_reads_none_that_has_ended() {
    let scene = BankScene::set(Kind::PostgreSql).await;
    let server = alone(&scene).await;
    fill_payments(&server, BYSTANDERS, "done").await;
    fill_payments(&server, IN_PROGRESS, "in_progress").await;
    server.execute_unprepared("analyze payment").await.expect("known as full");
    scene.store.close().await.expect("closed");
    let before = read(&server).await;
    ask_about_a_thousand(&scene).await;
    let rows = read(&server).await - before;
    assert!(rows < 5_000, "{rows} rows were read for ten pages of 100 and their answers");
}

/// A run's way to a thousand payments in ten pages, of which each tenth is answered.
async fn ask_about_a_thousand(scene: &BankScene) {
    let store = scene.database.open().await;
    assert_eq!(store.aspsps_with_payments_due(now()).await.expect("banks"), ["other"]);
    let mut after = None;
    for _ in 0..10 {
        let page = store.payments_due("other", now(), after, 100).await.expect("a page");
        assert_eq!(page.len(), 100);
        after = page.last().map(|last| (last.next_ask_at, last.id));
        let answers: Vec<_> = page.iter().step_by(10).map(|one| answer(one.id, "ACSP")).collect();
        for answered in store.settle_payments(&answers).await {
            answered.expect("a store");
        }
    }
    store.close().await.expect("closed");
}

/// A customer is synced and a payment asked about, and it ends.
async fn live(scene: &BankScene, round: usize) {
    let (user, consent, account) = scene.an_account(&format!("customer {round}")).await;
    let store = &scene.store;
    store.keep_tokens(consent, 0, &tokens("1"), now()).await.expect("kept");
    let began = now();
    let order = DueOrder::LeastRecentlySynced;
    let due = store.due_psu_users(DateTime::UNIX_EPOCH, began, order, None, 100).await.expect("a page");
    let due: Vec<_> = due.into_iter().map(|one| one.id).collect();
    assert_eq!(due, [user]);
    assert_eq!(store.psu_users_to_sync(&due).await.expect("a batch").len(), 1);
    assert_eq!(store.valid_consents(&due, began).await.expect("consents").len(), 1);
    assert_eq!(store.allowed_accounts(&[consent]).await.expect("accounts").len(), 1);
    assert!(store.back_offs(&[consent], began).await.expect("a list").is_empty());
    let visit = visit(user, consent, Uuid::now_v7());
    store.open_api_sessions(std::slice::from_ref(&visit)).await.remove(0).expect("open");
    take(store, consent.0).await;
    for _ in 0..2 {
        scene.told(told_of(account, (1..=5).map(|day| booked(&day.to_string(), day, -1)).collect())).await;
    }
    scene.told(told_of(account, vec![])).await;
    store.psu_users_synced(&due, began).await.expect("synced");
    store.notice_consents(began, 10, ATTEMPTS).await.expect("a look");
    assert_eq!(store.api_calls(&TenantId::default(), visit.id, 10).await.expect("a page").len(), 0);
    let id = scene.tracks(payment(&format!("payment {round}"))).await;
    let due = store.payments_due(BANK, later(), None, 100).await.expect("a page");
    let due: Vec<PaymentId> = due.into_iter().map(|one| one.id).collect();
    assert_eq!(due, [id]);
    store.settle_payments(&[answer(id, "ACSC")]).await.remove(0).expect("a store");
    for what in Aged::ALL {
        assert_eq!(store.forget_aged(what, DateTime::UNIX_EPOCH, 100).await.expect("a store"), 0);
    }
}

fn later() -> DateTime<chrono::Utc> {
    now() + TimeDelta::seconds(1)
}

async fn take(store: &Store, holder: Uuid) {
    let wanted = AccessWanted {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        aspsp: BANK.to_owned(),
        key: QuotaKey { holder_id: holder, endpoint: "transactions".to_owned(), resource: String::new() },
        quota: Quota { limit: 4, window: Window::Rolling(Duration::from_hours(24)) },
        now: now(),
    };
    store.take_accesses(&[wanted]).await.remove(0).expect("a store");
}

async fn alone(scene: &BankScene) -> DatabaseConnection {
    // One and no more: whoever else is connected is the store.
    let alone = ConnectOptions::new(&scene.database.url).max_connections(1).to_owned();
    pool::connect(alone).await.expect("a second connection")
}

/// Customers who have taken the permission back, with all that hangs on them, and payments that have ended.
async fn fill(server: &DatabaseConnection) {
    let insert = format!(
        "with u as (insert into psu_user (id, tenant_id, external_id, update_offline, active, last_synced_at_us, shuffle_key,
                version, created_at_us, updated_at_us)
             select gen_random_uuid(), 'default', 'many ' || number, 0, 1, 1, number, 1, 0, 0
             from generate_series(1, {BYSTANDERS}) as number returning id, external_id),
         c as (insert into consent (id, tenant_id, user_id, aspsp, external_id, status, valid_until_us, frequency_per_day,
                notice_at_us, token_version, refresh_fence, version, created_at_us, updated_at_us)
             select gen_random_uuid(), 'default', id, 'other', external_id, 'valid', 9e15, 4, 9e15, 1, 0, 1, 0, 0 from u
             returning id, user_id),
         k as (insert into consent_token (consent_id, version, tenant_id, access_sealed, refused, created_at_us)
             select id, 1, 'default', '', 0, 0 from c),
         a as (insert into account (id, tenant_id, user_id, aspsp, number, currency, enabled, created_at_us, updated_at_us)
             select gen_random_uuid(), 'default', user_id, 'other', 'number', 'PLN', 1, 0, 0 from c returning id, user_id),
         l as (insert into consent_account (consent_id, account_id, tenant_id, privileges)
             select c.id, a.id, 'default', '[]' from c join a on a.user_id = c.user_id),
         b as (insert into balance (account_id, kind, tenant_id, amount, currency, updated_at_us)
             select id, 'expected', 'default', 0, 'PLN', 0 from a),
         g as (insert into account_page (account_id, number, tenant_id, body, created_at_us)
             select id, 0, 'default', '', 0 from a),
         t as (insert into account_transaction (id, tenant_id, account_id, booked_on, amount, currency, bank_ids, counterparty,
                remittance, details, created_at_us, updated_at_us)
             select gen_random_uuid(), 'default', id, date '2026-11-05', 1, 'PLN', '[]', '', '', '{{}}', 0, 0 from a),
         w as (insert into pending_transaction (account_id, place, tenant_id, amount, currency, counterparty, remittance, details)
             select id, 0, 'default', 1, 'PLN', '', '', '{{}}' from a),
         s as (insert into api_session (id, tenant_id, run_id, consent_id, user_id, aspsp, source, state, news, started_at_us)
             select gen_random_uuid(), 'default', gen_random_uuid(), id, user_id, 'other', 3, 'ok', 0, 1 from c returning id),
         h as (insert into api_call (id, tenant_id, session_id, aspsp, endpoint, duration_us, sent_at_us)
             select gen_random_uuid(), 'default', id, 'other', 'transactions', 0, 1 from s),
         q as (insert into quota (holder_id, endpoint, resource, tenant_id, aspsp)
             select id, 'transactions', '', 'default', 'other' from c),
         x as (insert into quota_access (id, holder_id, endpoint, resource, at_us)
             select gen_random_uuid(), id, 'transactions', '', 1 from c)
         insert into back_off (consent_id, endpoint, tenant_id, aspsp, blocked_until_us, reason, set_at_us)
         select id, 'transactions', 'default', 'other', 9e15, '', 0 from c"
    );
    server.execute_unprepared(&insert).await.unwrap_or_else(|error| panic!("{error} in {insert}"));
    fill_payments(server, BYSTANDERS, "done").await;
}

async fn fill_payments(server: &DatabaseConnection, count: i64, state: &str) {
    let insert = format!(
        "insert into payment (id, tenant_id, aspsp, kind, vocabulary, product, external_id, is_our_name, state, is_unknown,
            is_unverifiable, asks_children, asks, next_ask_at_us, version, made_at_us, created_at_us, updated_at_us)
         select gen_random_uuid(), 'default', 'other', 'single', 'iso20022', '', '{state} ' || number, 0, '{state}', 0,
            0, 0, 1, number, 2, number, 0, 0 from generate_series(1, {count}) as number"
    );
    server.execute_unprepared(&insert).await.unwrap_or_else(|error| panic!("{error} in {insert}"));
}

/// Rows of the tables read in any way, once the sessions of the store have written it down. The server's own look at what was
/// filled in is none of theirs.
async fn read(server: &DatabaseConnection) -> i64 {
    let names = TABLES.map(|name| format!("'{name}'")).join(", ");
    let text = format!(
        "select (select sum(t.seq_tup_read)::bigint from pg_stat_user_tables t where t.relname = any(n.names))
            + (select sum(i.idx_tup_read)::bigint from pg_stat_user_indexes i where i.relname = any(n.names)) as read,
            (select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                and backend_type = 'client backend') as others
         from (select array[{names}]::name[] as names) n"
    );
    let look = async {
        loop {
            let statement = Statement::from_string(server.get_database_backend(), text.as_str());
            let row = server.query_one_raw(statement).await.expect("an answer").expect("a row");
            if row.try_get::<i64>("", "others").expect("a number") == 0 {
                return row.try_get::<i64>("", "read").expect("a number");
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("the store's sessions end")
}

/// Pages of the payments and of their indexes that were read, wherever they lay.
async fn pages(server: &DatabaseConnection) -> i64 {
    let text = "select heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit as pages
         from pg_statio_user_tables where relname = 'payment'";
    let statement = Statement::from_string(server.get_database_backend(), text);
    let row = server.query_one_raw(statement).await.expect("an answer").expect("a row");
    row.try_get("", "pages").expect("a number")
}
