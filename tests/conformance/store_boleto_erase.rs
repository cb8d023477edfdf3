//! What both databases must do when the payer of a boleto is taken away: by hand only once nobody wants it kept, by itself then, and
//! nothing else with it.

use bursar::domain::boleto::terms::{Guarantor, Terms};
use bursar::domain::document_link::Token;
use bursar::domain::ids::{BoletoId, EventId, TenantId};
use bursar::domain::work::WorkState;
use bursar::store::Store;
use bursar::store::boleto::{BoletoDraft, Created, Notify};
use bursar::store::boleto_erase::{BoletoErased, BoletoErasure};
use bursar::store::boleto_erase_aged::AgedBoletos;
use bursar::store::delivery::{AttemptOutcome, DeliveryAttempt, DeliveryChange, DeliverySettlement};
use bursar::store::document_link::{LinkDraft, LinkMade};
use bursar::store::pool;
use bursar::store::request_key::RequestKey;
use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectOptions, ConnectionTrait, DbBackend};
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_deliveries::{a_registered_boleto, deliveries, endpoint};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now, payer, runner};

on_both_databases!(
    by_hand_it_is_erased_once_its_years_are_over,
    what_is_open_or_another_tenants_is_left_alone,
    what_its_bank_is_asked_about_is_not_erased,
    nothing_that_may_name_a_person_is_left_in_any_table,
    a_sending_that_goes_on_leaves_no_words,
    its_links_open_no_more_and_their_requests_answer_as_before,
    by_itself_what_is_old_goes_slice_by_slice_and_of_each_tenant_as_set,
);

const YEARS: u32 = 5;

pub fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

/// A boleto of this tenant that came to this state then.
pub async fn boleto(
    database: &TestDatabase,
    store: &Store,
    tenant: &str,
    status: &str,
    then: &str,
) -> BoletoId {
    let mut account = bank_account(&format!("{:07}", Uuid::now_v7().as_u128() % 10_000_000));
    account.tenant_id = TenantId::parse(tenant).expect("a tenant");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let guarantor = Guarantor { name: "Joana Exemplo".to_owned(), tax_id: payer().tax_id, address: None };
    let draft = BoletoDraft {
        tenant_id: account.tenant_id.clone(),
        terms: Terms { guarantor: Some(guarantor), ..Terms::default() },
        instructions: Some("for Maria Exemplo".to_owned()),
        notify: Notify::Nobody,
        ..draft(&account)
    };
    let made = store.create_boletos(&[draft]).await.pop().expect("an outcome").expect("no trouble");
    let Created::New { boleto, .. } = made else { panic!("not made: {made:?}") };
    // Its registration has ended, and nobody waits five years for a test.
    let id = literal(database, boleto.id.0);
    let age = aged(database, boleto.id, status, then);
    change(database, &[&format!("delete from work where subject_id = {id}"), &age]).await;
    boleto.id
}

fn aged(database: &TestDatabase, id: BoletoId, status: &str, then: &str) -> String {
    let (id, then) = (literal(database, id.0), at(then).timestamp_micros());
    format!("update boleto set status = '{status}', updated_at_us = {then} where id = {id}")
}

/// An id as the database writes it.
fn literal(database: &TestDatabase, id: Uuid) -> String {
    match database.url.starts_with("postgres") {
        true => format!("'{id}'"),
        false => format!("x'{}'", id.simple()),
    }
}

/// Does to the database what no verb does, or what would take too many of them.
async fn change(database: &TestDatabase, statements: &[&str]) {
    let alone = ConnectOptions::new(&database.url).max_connections(1).to_owned();
    let connection = pool::connect(alone).await.expect("a second connection");
    if connection.get_database_backend() == DbBackend::Sqlite {
        // As the store does, so that what is left is left by the store.
        connection.execute_unprepared("pragma secure_delete = on").await.expect("set");
    }
    for statement in statements {
        let done = connection.execute_unprepared(statement).await;
        done.unwrap_or_else(|error| panic!("{error} in {statement}"));
    }
    connection.close().await.expect("the database lets go");
}

fn erasure(tenant: &str, boleto_id: BoletoId, now: &str) -> BoletoErasure {
    BoletoErasure {
        id: Uuid::now_v7(),
        tenant_id: TenantId::parse(tenant).expect("a tenant"),
        boleto_id,
        request: None,
        reason: "asked for by the person".to_owned(),
        kept_years: YEARS,
        traceparent: None,
        now: at(now),
    }
}

pub async fn is_erased(store: &Store, tenant: &str, id: BoletoId) -> bool {
    let tenant = TenantId::parse(tenant).expect("a tenant");
    store.boleto(&tenant, id).await.expect("no trouble").expect("it is still there").boleto.is_erased()
}

async fn by_hand_it_is_erased_once_its_years_are_over(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let id = boleto(&database, &store, "default", "paid", "2019-06-01T12:00:00Z").await;
    let early =
        store.erase_boleto(&erasure("default", id, "2024-12-31T12:00:00Z")).await.expect("no trouble");
    assert_eq!(early, BoletoErased::KeptUntil(NaiveDate::from_ymd_opt(2024, 12, 31).expect("a day")));
    assert!(!is_erased(&store, "default", id).await);
    let wish = erasure("default", id, "2025-01-01T12:00:00Z");
    assert_eq!(store.erase_boleto(&wish).await.expect("no trouble"), BoletoErased::Done);
    let again = erasure("default", id, "2025-01-02T12:00:00Z");
    assert_eq!(store.erase_boleto(&again).await.expect("no trouble"), BoletoErased::Already);

    let kept = store.boleto(&TenantId::default(), id).await.expect("no trouble").expect("it is there").boleto;
    assert!(kept.is_erased() && kept.terms.guarantor.is_none() && kept.instructions.is_none());
    assert_eq!(kept.amount.0, 12_590);
    assert!(kept.codes.nosso_numero.is_some() && kept.codes.barcode.is_some(), "what the books need stays");
    let everything = database.everything().await.join("\n");
    for person in ["Maria Exemplo", "Joana Exemplo", "52998224725", "Rua das Flores"] {
        assert!(!everything.contains(person), "{person} is still there");
    }
    let audit = database.texts("select method as text from audit order by sequence").await;
    assert_eq!(audit.iter().filter(|method| *method == "EraseBoleto").count(), 1, "{audit:?}");
}

async fn what_is_open_or_another_tenants_is_left_alone(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let open = boleto(&database, &store, "default", "registered", "2010-06-01T12:00:00Z").await;
    let erased = store.erase_boleto(&erasure("default", open, "2026-01-01T12:00:00Z")).await;
    assert!(matches!(erased.expect("no trouble"), BoletoErased::StillOpen(_)));
    let erased = store.erase_boleto(&erasure("elsewhere", open, "2026-01-01T12:00:00Z")).await;
    assert_eq!(erased.expect("no trouble"), BoletoErased::NotFound);
    let now = at("2026-01-01T12:00:00Z");
    assert_eq!(looked(&store, "default", now, 100).await, [0]);
    assert!(!is_erased(&store, "default", open).await);
}

/// Looks through all of a tenant's boletos; how many each slice erased.
async fn looked(store: &Store, tenant: &str, ended_before: DateTime<Utc>, limit: u32) -> Vec<usize> {
    let tenant_id = TenantId::parse(tenant).expect("a tenant");
    let now = at("2026-02-01T12:00:00Z");
    let mut slice = AgedBoletos { tenant_id, ended_before, after: None, limit, now };
    let mut erased = Vec::new();
    loop {
        let done = store.erase_aged_boletos(&slice).await.expect("no trouble");
        erased.push(done.erased);
        slice.after = done.until;
        if done.until.is_none() {
            return erased;
        }
    }
}

async fn what_its_bank_is_asked_about_is_not_erased(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let asked = draft(&account);
    store.create_boletos(std::slice::from_ref(&asked)).await.remove(0).expect("made");
    change(&database, &[&aged(&database, asked.id, "cancelled", "2010-06-01T12:00:00Z")]).await;
    let erased = store.erase_boleto(&erasure("default", asked.id, "2026-01-01T12:00:00Z")).await;
    assert_eq!(erased.expect("no trouble"), BoletoErased::UnderWay);
    assert_eq!(looked(&store, "default", at("2021-01-01T03:00:00Z"), 100).await, [0]);
    assert!(!is_erased(&store, "default", asked.id).await);
    let ended = format!("delete from work where subject_id = {}", literal(&database, asked.id.0));
    change(&database, &[&ended]).await;
    assert_eq!(looked(&store, "default", at("2021-01-01T03:00:00Z"), 100).await, [1]);
    assert!(is_erased(&store, "default", asked.id).await);
}

/// Words that stand in every column in which words about a boleto may stand, each its own.
const CANARY: &str = "canary of ";
const WORDS: [&str; 14] = [
    "instructions",
    "the bank",
    "pix",
    "url",
    "an event",
    "an order",
    "the bank about an order",
    "a difference",
    "an endpoint",
    "an attempt",
    "ended work",
    "its history",
    "waiting work",
    "waiting history",
];

async fn nothing_that_may_name_a_person_is_left_in_any_table(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let by_hand = boleto(&database, &store, "default", "paid", "2018-06-01T12:00:00Z").await;
    let by_age = boleto(&database, &store, "default", "paid", "2018-06-01T12:00:00Z").await;
    let wanted = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint").id;
    for id in [by_hand, by_age] {
        let subject = literal(&database, id.0);
        let endpoint = literal(&database, wanted.0);
        let new = || literal(&database, Uuid::now_v7());
        let is = |place: usize| format!("'{CANARY}{}'", WORDS[place]);
        let statements = [
            format!(
                "update boleto set instructions = {}, response_message = {}, pix_emv = {}, url = {} where id = {subject}",
                is(0), is(1), is(2), is(3)
            ),
            format!("update boleto_event set reason = {} where boleto_id = {subject}", is(4)),
            format!(
                "insert into boleto_order (id, tenant_id, boleto_id, kind, state, reason, response_message, created_at_us)
                 values ({}, 'default', {subject}, 'cancel', 'refused', {}, {}, 1)",
                new(), is(5), is(6)
            ),
            format!(
                "insert into reconciliation_difference (id, tenant_id, bank_account_id, boleto_id, subject, kind, detail,
                    found_at_us, settled_at_us, settled_reason)
                 values ({0}, 'default', {0}, {subject}, 'title', 'paid_unknown', 'the bank has it', 1, 2, {1})",
                new(), is(7)
            ),
            format!(
                "insert into delivery (tenant_id, endpoint_id, subject_id, wanted_version, sent_version, state, attempts,
                    last_answer, updated_at_us) values ('default', {endpoint}, {subject}, 2, 2, 'pending', 1, {}, 1)",
                is(8)
            ),
            format!(
                "insert into delivery_attempt (id, tenant_id, endpoint_id, subject_id, event_id, event_type, version,
                    started_at_us, ended_at_us, outcome, answer, is_resend)
                 values ({0}, 'default', {endpoint}, {subject}, {0}, 'boleto.paid', 2, 1, 2, 'refused', {1}, 0)",
                new(), is(9)
            ),
            format!(
                "insert into work_archive (id, tenant_id, kind, queue, state, attempt, attempts_max, fence, unique_key, subject_id,
                    payload, last_error, history, created_at_us, ended_at_us)
                 values ({}, 'default', 'boleto.order', 'q', 'discarded', 1, 1, 1, 'order:{id}', {subject}, '', {}, {}, 1, 2)",
                new(), is(10), is(11)
            ),
            format!(
                "insert into work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, fence, unique_key,
                    subject_id, payload, last_error, history, created_at_us)
                 values ({}, 'default', 'notification.deliver', 'q', 0, 1, 'retryable', 1, 9, 1, 'deliver:{wanted}:{id}', {subject},
                    '', {}, {}, 1)",
                new(), is(12), is(13)
            ),
        ];
        change(&database, &statements.each_ref().map(String::as_str)).await;
    }
    let count = async |words: &str| {
        let everything = database.everything().await.join("\n");
        everything.matches(words).count()
    };
    for words in WORDS {
        assert!(count(&format!("{CANARY}{words}")).await >= 2, "{words} was planted twice");
    }
    assert!(count("Maria Exemplo").await > 1 && count("Joana Exemplo").await > 1);
    let wish = erasure("default", by_hand, "2026-02-01T12:00:00Z");
    assert_eq!(store.erase_boleto(&wish).await.expect("no trouble"), BoletoErased::Done);
    assert_eq!(count(&format!("{CANARY}a difference")).await, 1, "the other's stays");
    assert_eq!(looked(&store, "default", at("2021-01-01T03:00:00Z"), 100).await, [1]);
    for person in [CANARY, "Maria Exemplo", "Joana Exemplo", "52998224725", "Rua das Flores"] {
        assert_eq!(count(person).await, 0, "{person} is still there");
    }
    // What a person settled does not come back as if nobody had looked.
    let settled =
        "select settled_reason as text from reconciliation_difference where settled_at_us is not null";
    assert_eq!(database.texts(settled).await, ["", ""]);
}

/// Its owner is being told of it while it is erased, and answers with whatever it was told.
async fn a_sending_that_goes_on_leaves_no_words(kind: Kind) {
    let changes = [
        DeliveryChange::Delivered,
        DeliveryChange::GivenUp,
        DeliveryChange::Later { run_at: now(), state: WorkState::Retryable, attempt_counts: true },
    ];
    for change_to in changes {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let runner = runner(&store).await;
        let own = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint");
        let id = a_registered_boleto(&store, runner, Notify::Owner(Some(own.id))).await;
        let claim = deliveries(&store, runner).await.remove(0);
        change(&database, &[&aged(&database, id, "paid", "2010-06-01T12:00:00Z")]).await;
        let wish = erasure("default", id, "2026-02-01T12:00:00Z");
        assert_eq!(store.erase_boleto(&wish).await.expect("no trouble"), BoletoErased::Done);
        let attempt = DeliveryAttempt {
            id: Uuid::now_v7(),
            event_id: EventId(Uuid::now_v7()),
            event_type: "boleto.registered".to_owned(),
            version: 2,
            started_at: now(),
            ended_at: now(),
            outcome: AttemptOutcome::Refused,
            status: None,
            answer: Some(format!("{CANARY}an attempt")),
            provider_message_id: None,
            is_resend: false,
        };
        let settlement = DeliverySettlement {
            claim,
            endpoint_id: own.id,
            sent_version: 2,
            wanted_version: 2,
            answer: format!("{CANARY}an endpoint"),
            resend: None,
            attempts: vec![attempt],
            change: change_to.clone(),
            now: now(),
        };
        assert!(matches!(store.settle_deliveries(&[settlement]).await[0], Ok(true)));
        let words = database.everything().await;
        let words: Vec<&String> = words.iter().filter(|row| row.contains(CANARY)).collect();
        assert!(words.is_empty(), "{change_to:?}: {words:#?}");
        let outcomes = database.texts("select outcome as text from delivery_attempt").await;
        assert_eq!(outcomes, ["refused"], "that there was one stays");
    }
}

async fn its_links_open_no_more_and_their_requests_answer_as_before(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let id = boleto(&database, &store, "default", "paid", "2018-06-01T12:00:00Z").await;
    let (now, hash) = (at("2026-01-31T12:00:00Z"), Token::of_bits([7; 32]).hash());
    let key = RequestKey {
        tenant_id: TenantId::default(),
        method: "CreateDocumentLink",
        request_id: "once".to_owned(),
        body_hash: vec![1],
    };
    let link = LinkDraft {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        boleto_id: id,
        token_hash: hash,
        format: None,
        created_at: now,
        expires_at: at("2026-03-01T12:00:00Z"),
        request: Some(key),
    };
    let LinkMade::New(made) = store.create_document_link(&link).await.expect("no trouble") else {
        panic!("it is new");
    };
    assert!(store.open_document_link(hash, now).await.expect("no trouble").is_some());
    let wish = erasure("default", id, "2026-02-01T12:00:00Z");
    assert_eq!(store.erase_boleto(&wish).await.expect("no trouble"), BoletoErased::Done);
    assert!(store.open_document_link(hash, now).await.expect("no trouble").is_none());
    let again = LinkDraft { id: Uuid::now_v7(), ..link };
    let again = store.create_document_link(&again).await.expect("no trouble");
    assert_eq!(again, LinkMade::Before(made));
    let later = at("2026-04-01T12:00:00Z");
    assert_eq!(store.forget_old_links(later, 10).await.expect("no trouble"), 1, "forgotten in its time");
}

async fn by_itself_what_is_old_goes_slice_by_slice_and_of_each_tenant_as_set(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let mut old = Vec::new();
    for status in ["paid", "refused", "cancelled"] {
        old.push(boleto(&database, &store, "default", status, "2018-06-01T12:00:00Z").await);
    }
    let young = boleto(&database, &store, "default", "paid", "2025-06-01T12:00:00Z").await;
    let theirs = boleto(&database, &store, "patient", "paid", "2018-06-01T12:00:00Z").await;
    let before = at("2021-01-01T03:00:00Z");
    assert_eq!(looked(&store, "default", before, 2).await, [2, 1, 0]);
    assert_eq!(looked(&store, "default", before, 2).await, [0, 0, 0]);
    for id in &old {
        assert!(is_erased(&store, "default", *id).await);
    }
    assert!(!is_erased(&store, "default", young).await && !is_erased(&store, "patient", theirs).await);
    let mut tenants = Vec::new();
    let mut behind = String::new();
    while let Some(tenant) = store.boleto_tenant_behind(&behind).await.expect("no trouble") {
        behind = tenant.as_str().to_owned();
        tenants.push(tenant);
    }
    assert_eq!(tenants.iter().map(TenantId::as_str).collect::<Vec<_>>(), ["default", "patient"]);
    assert_eq!(looked(&store, "patient", before, 2).await, [1]);
    assert!(is_erased(&store, "patient", theirs).await && !is_erased(&store, "default", young).await);
    // Each tenant finds in its own audit whom it was.
    let audit = database
        .texts("select tenant_id || after as text from audit where method = 'EraseBoletos' order by sequence")
        .await;
    let of = |tenant: &str, ids: &[BoletoId]| {
        let ids: Vec<String> = ids.iter().map(BoletoId::to_string).collect();
        format!("{tenant}{}", serde_json::json!({ "erased": ids }))
    };
    assert_eq!(audit, [of("default", &old[..2]), of("default", &old[2..]), of("patient", &[theirs])]);
}

/// What was erased is not only out of reach: the bytes are gone from the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_an_erased_payer_is_left_in_the_file() {
    let database = TestDatabase::furnished(Kind::Sqlite).await;
    let store = database.open().await;
    let id = boleto(&database, &store, "default", "paid", "2018-06-01T12:00:00Z").await;
    let file = database.url.strip_prefix("sqlite:").expect("a file");
    let holds = |text: &str| {
        let log = std::fs::read(format!("{file}-wal")).unwrap_or_default();
        let bytes = [std::fs::read(file).expect("the database"), log].concat();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let told = ["Maria Exemplo", "Joana Exemplo", "Rua das Flores", "52998224725"];
    assert!(told.iter().all(|text| holds(text)));
    let wish = erasure("default", id, "2026-02-01T12:00:00Z");
    assert_eq!(store.erase_boleto(&wish).await.expect("no trouble"), BoletoErased::Done);
    // Its end is a checkpoint, behind which there is no log.
    store.close().await.expect("closed");
    assert!(!told.iter().any(|text| holds(text)));
}
