//! An operator has the dashboard open in a browser: sees an actor die and come back, has a dead letter tried again without a mouse,
//! and is shown whatever anybody has written as text.

use std::path::Path;

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::boleto::v1::RecordPaymentRequest;
use bursar::proto::control::v1::{
    GetTreeRequest, ListSchedulesRequest, NodeStatus, PauseQueueRequest, TriggerJobRequest, WorkState,
};
use bursar::proto::transfer::v1::transfer::State;
use bursar::proto::transfer::v1::{ListTransferChangesRequest, TransferChange};
use bursar::sandbox::{Behaviour, Party, VendorName};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::callers;
use crate::support::house::{House, Opened, a_boleto, eventually};

const REGISTRAR: &str = "house/workers/registrars/banco_do_brasil";
/// The name on whose answers a build for fault tests panics.
const POISON: &str = "panic";
/// Would leave a mark if any part of it were anything but text.
const HOSTILE: &str =
    "<img src=x onerror=\"document.title='owned'\"></td><script>document.title='owned'</script>{{ 7 * 7 }}";

fn with_dashboard() -> House {
    let compiled_in = cfg!(feature = "failpoints");
    assert!(compiled_in, "these stories need `--features failpoints`, as .ci/test has it");
    House::new()
        .with_dashboard()
        .with("registration.attempts_max", "1")
        .with("registration.inline_deadline", "100ms")
}

/// The row of an actor, as the page's script finds it.
fn row_of(path: &str) -> String {
    format!("document.getElementById({})", json!(format!("node-{path}")))
}

async fn looks(house: &Opened, path: &str) -> Browser {
    let mut browser = Browser::open(1280, 800).await;
    browser.opens(&house.dashboard().url(path)).await;
    browser
}

async fn content(browser: Browser) {
    assert_eq!(browser.complaints(), [] as [&str; 0], "no page did what its policy forbids");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_dies_is_red_within_two_seconds_and_green_when_it_is_back() {
    let house = with_dashboard()
        .with("supervision.backoff_base", "4s")
        .with("supervision.backoff_cap", "4s")
        .open()
        .await;
    let mut browser = looks(&house, "/").await;
    let row = row_of(REGISTRAR);
    browser.sees("a registrar that runs", &format!("{row}.classList.contains('good')")).await;
    // The page itself writes down when it first shows what: to ask it takes time of its own.
    browser
        .finds(&format!(
            "window.shown = []; window.same = document.querySelector('main'); \
             new MutationObserver(() => {{ const row = {row}; \
             if (row) window.shown.push([row.className, Date.now()]); }}) \
             .observe(document.body, {{ attributes: true, childList: true, subtree: true }}); true"
        ))
        .await;
    house.shop().creates(a_boleto().called(POISON)).await;
    let down = house.operator().sees(REGISTRAR, NodeStatus::BackingOff).await;
    let died = down.last_exit.and_then(|exit| exit.time).expect("the time of its end");
    let died_ms = died.seconds * 1_000 + i64::from(died.nanos) / 1_000_000;

    browser.sees("a red row", &format!("{row}.classList.contains('bad')")).await;
    let words = browser.finds(&format!("{row}.innerText")).await;
    let words = words.as_str().expect("text");
    assert!(words.contains("restarting") && words.contains("panic"), "{words}");
    assert!(words.contains("an answer that the connector cannot bear"), "{words}");
    let shown = browser.finds("window.shown.find(([mood]) => mood === 'bad')[1]").await;
    let took_ms = shown.as_i64().expect("a time") - died_ms;
    assert!((0..2_000).contains(&took_ms), "shown {took_ms} ms after its end");

    browser.sees("a green row again", &format!("{row}.classList.contains('good')")).await;
    let words = browser.finds(&format!("{row}.innerText")).await;
    let words = words.as_str().expect("text");
    assert!(words.contains("running") && words.contains("ago: error"), "{words}");
    assert_eq!(browser.finds(&format!("{row}.children[2].innerText")).await, json!("1"), "one restart");
    let same = browser.finds("window.same === document.querySelector('main')").await;
    assert_eq!(same, json!(true), "all that without a new page");
    content(browser).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_tried_again_from_the_page_without_a_mouse() {
    let house = with_dashboard().open().await;
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let mut browser = looks(&house, "/dead-letters").await;
    browser.sees("an empty page", "document.body.innerText.includes('Nothing was given up')").await;
    let boleto = house.shop().creates(a_boleto()).await;
    let letter = house.operator().finds_work_in(&boleto.id, WorkState::Discarded).await;
    let row = format!("document.getElementById('work-{}')", letter.id);
    browser.sees("the letter, by itself", &format!("{row} !== null")).await;
    let words = browser.finds(&format!("{row}.innerText")).await;
    assert!(words.as_str().expect("text").contains("status 500"), "{words}");

    house.script().clear(Party::BankRegister);
    browser.opens(&house.dashboard().url(&format!("/dead-letters?queue={}", letter.queue))).await;
    browser.sees("the letter in its queue", &format!("{row} !== null")).await;
    let field = format!("#work-{} input[name=reason]", letter.id);
    browser.tabs_to(&field).await;
    browser.writes("the bank is back").await;
    // The page asks anew meanwhile, and what is being written stays.
    browser.finds("window.before = document.getElementById('as-of').dateTime; true").await;
    browser.sees("a later page", "document.getElementById('as-of').dateTime > window.before").await;
    let written = browser.finds("[document.activeElement.name, document.activeElement.value]").await;
    assert_eq!(written, json!(["reason", "the bank is back"]));
    browser.presses("Enter", 13).await;
    browser
        .sees(
            "the news of it",
            "document.getElementById('done')?.innerText.includes('was made to live again')",
        )
        .await;
    let queue = browser.finds("new URLSearchParams(location.search).get('queue')").await;
    assert_eq!(queue, json!(letter.queue), "in the list that they were in");
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    browser.sees("no letter", "document.body.innerText.includes('Nothing was given up')").await;
    content(browser).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_sent_twice_is_the_same_form_however_often_the_page_has_asked_anew() {
    let house = with_dashboard().with("dashboard.refresh_every", "100ms").open().await;
    let mut browser = looks(&house, "/timetable").await;
    browser.sees("a job", "document.querySelector('#job-sync_update form') !== null").await;
    // Sent as a page sends it, before and after it has asked anew: as two clicks do it, one second apart.
    let sent = "(async () => { \
                const form = document.querySelector('#job-sync_update form'); \
                const fields = new URLSearchParams(new FormData(form)); fields.set('reason', 'twice'); \
                return (await fetch(form.action, { method: 'POST', body: fields })).ok })()";
    assert_eq!(browser.finds(sent).await, json!(true));
    browser.sees("the run, on a later page", "document.body.innerText.includes('twice')").await;
    assert_eq!(browser.finds(sent).await, json!(true));
    browser.opens(&house.dashboard().url("/timetable")).await;
    let runs = browser.finds("document.body.innerText.split('twice').length - 1").await;
    assert_eq!(runs, json!(1));
    content(browser).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_anybody_has_written_is_shown_as_text() {
    let house = with_dashboard().open().await;
    let boleto = house
        .shop()
        .creates(a_boleto().called(HOSTILE).with(|request| {
            if let Some(payer) = &mut request.payer {
                payer.name = "<b>Maria</b> <script>1</script>".to_owned();
            }
        }))
        .await;
    let name = format!("delivery/{}/", HOSTILE.replace('/', "|"));
    let pause = PauseQueueRequest { name: name.clone(), reason: HOSTILE.to_owned() };
    house.operator().control.clone().pause_queue(pause).await.expect("a paused queue");
    let trigger = TriggerJobRequest {
        job: "sync_update".to_owned(),
        reason: HOSTILE.to_owned(),
        ..TriggerJobRequest::default()
    };
    house.operator().control.clone().trigger_job(trigger).await.expect("a run");

    let mut browser = looks(&house, "/").await;
    let says = |words: &str| format!("document.body.textContent.includes({})", json!(words));
    let asked = "<script>document.title='owned'</script>";
    let pages = [
        ("/".to_owned(), says(&name)),
        ("/queues".to_owned(), says(HOSTILE)),
        ("/boletos".to_owned(), says(HOSTILE)),
        (format!("/boletos/{}", boleto.id), says(HOSTILE)),
        ("/timetable".to_owned(), says(HOSTILE)),
        (
            "/dead-letters?queue=%3Cscript%3Edocument.title%3D'owned'%3C%2Fscript%3E".to_owned(),
            format!("document.getElementById('queue').value === {}", json!(asked)),
        ),
    ];
    for (path, is_text) in pages {
        browser.opens(&house.dashboard().url(&path)).await;
        browser.sees("the words", &is_text).await;
        // Once more, as the script of the page takes it over.
        browser.finds("window.before = document.getElementById('as-of').dateTime; true").await;
        browser.sees("a later page", "document.getElementById('as-of').dateTime > window.before").await;
        assert_eq!(browser.finds(&is_text).await, json!(true), "{path}");
        let marks = "[document.title.endsWith('· bursar'), document.querySelectorAll('main img, main script, main b').length]";
        assert_eq!(browser.finds(marks).await, json!([true, 0]), "{path}");
        let masked = browser.finds("document.body.textContent.includes('Maria')").await;
        assert_eq!(masked, json!(false), "{path}: personal data is masked");
    }
    content(browser).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_and_is_shown_out_when_the_token_is_revoked() {
    let settings = House::new().without_account().with_dashboard().with("access.mode", "tokens");
    let surroundings = settings.with("access.check_interval", "50ms").prepare().await;
    let store = surroundings.database.open().await;
    let admin = callers::make(&store, "default", "admin", TimeDelta::hours(1)).await;
    let token = callers::make(&store, "default", "control.read", TimeDelta::hours(1)).await;
    callers::leave(store).await;
    let house = surroundings.open().await;
    let mut browser = looks(&house, "/timetable").await;
    browser.sees("the way in", "location.pathname === '/sign-in'").await;
    browser.sees("where to write", "document.activeElement.id === 'token'").await;
    browser.writes("bursar_000000000000_no").await;
    browser.presses("Enter", 13).await;
    browser
        .sees("why not", "document.querySelector('[role=alert]')?.innerText.startsWith('This is no token')")
        .await;
    browser.sees("where to write", "document.activeElement.id === 'token'").await;
    browser.writes(&token.reveal()).await;
    browser.presses("Enter", 13).await;
    browser.sees("what was asked for", "document.getElementById('job-sync_update') !== null").await;
    assert_eq!(browser.finds("location.pathname").await, json!("/timetable"));
    assert_eq!(browser.finds("document.cookie").await, json!(""), "no script sees the session");

    callers::ends(house.channel(), &admin, &token).await;
    browser.sees("the way in, by itself", "location.pathname === '/sign-in'").await;
    let left = browser.finds("document.body.innerText.includes('sync_update')").await;
    assert_eq!(left, json!(false));
    content(browser).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_says_since_when_nothing_answers() {
    let house = with_dashboard().with("dashboard.refresh_every", "200ms").open().await;
    let mut browser = looks(&house, "/").await;
    let operator = house.operator();
    operator.stops("web/dashboard").await.expect("a stopped actor");
    let stale = "!document.getElementById('stale').hidden && \
                 /^Nothing has answered since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC/.test(document.getElementById('stale').innerText)";
    browser.sees("that nothing answers", stale).await;
    let kept = browser.finds("document.getElementById('node-house') !== null").await;
    assert_eq!(kept, json!(true), "what was known is still there");
    operator.starts("web/dashboard").await.expect("a started actor");
    browser.sees("that it answers again", "document.getElementById('stale').hidden").await;
    content(browser).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_not_shown_anew_says_why() {
    let house = with_dashboard().with("dashboard.refresh_every", "200ms").open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    let mut browser = looks(&house, &format!("/boletos/{}", boleto.id)).await;
    // The answer may be lost with the connection that it would come by.
    drop(house.operator().stops("api").await);
    let told = "document.getElementById('stale').innerText";
    browser.sees("why", &format!("{told}.includes('UTC: the API of this process is down;')")).await;
    let kept = browser.finds(&format!("document.body.innerText.includes('{}')", boleto.id)).await;
    assert_eq!(kept, json!(true), "what was known is still there");
    content(browser).await;
    house.close().await;
}

/// What the cells of a row say, of a row that the page's script finds by its name.
fn cells_of(row: &str) -> String {
    format!("[...document.getElementById({}).children].map((cell) => cell.innerText.trim())", json!(row))
}

/// A house whose vendor has fallen silent after it was asked about one transfer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_heard_what_waits_and_who_is_silent_is_shown_and_when_jobs_run_next() {
    let house = with_dashboard()
        .with_feed("main")
        .with("breaker.failures_max", "1")
        .with("breaker.wait_base", "1h")
        .with("breaker.wait_cap", "1h")
        .with("transfers.analysis.retry_base", "1h")
        .with("transfers.analysis.retry_cap", "1h")
        .open()
        .await;
    let (feed, operator) = (house.feed(), house.operator());
    feed.offers("-NsampleHeard", 2);
    let heard = operator.sees_transfer("-NsampleHeard", State::Done).await;
    house.script().always(Party::Vendor(VendorName::Ra7), Behaviour::status(503));
    let mut work = Vec::new();
    for (key, state) in [("-NsampleUnheard", WorkState::Retryable), ("-NsampleBehind", WorkState::Available)]
    {
        feed.offers(key, 1);
        let known = async || operator.finds_transfer(key).await.transfer;
        let transfer = eventually("a transfer that is known", known).await;
        work.push(operator.finds_work_in(&transfer.id, state).await);
    }
    let queue = &work[0].queue;
    assert_eq!(queue, &work[1].queue);

    let mut browser = looks(&house, "/").await;
    let tree = operator.control.clone().get_tree(GetTreeRequest {}).await.expect("the tree");
    let open = tree.into_inner().open_breakers.pop().expect("an open breaker");
    let row = cells_of(&format!("breaker-{}", open.queue));
    let probe = open.breaker.and_then(|breaker| breaker.probe_time).expect("a probe").to_string();
    let shown = browser.finds(&row).await;
    let at = probe[..19].replace('T', " ");
    assert_eq!(shown, json!([open.queue, "open", "1", at]));
    browser.opens(&house.dashboard().url("/queues")).await;
    let row = cells_of(&format!("queue-{queue}"));
    let shown = browser.finds(&row).await;
    let shown: Vec<&str> = shown.as_array().expect("cells").iter().filter_map(Value::as_str).collect();
    let [name, depth, due, later, retried, in_hand, oldest, per_minute] = shown[..] else {
        panic!("{shown:?}")
    };
    assert!(name.starts_with(queue.as_str()), "{shown:?}");
    assert_eq!([depth, due, later, retried, in_hand], ["2", "1", "0", "1", "0"], "{shown:?}");
    assert!(oldest.ends_with('s') && oldest != "0 s", "{shown:?}");
    let attempts: u32 = per_minute.parse().expect("a number");
    assert!(attempts >= 2, "one that heard, one that did not: {shown:?}");

    browser.opens(&house.dashboard().url(&format!("/transfers/{}", heard.id))).await;
    let request = ListTransferChangesRequest { id: heard.id.clone() };
    let changes = operator.transfers.clone().list_transfer_changes(request).await.expect("changes");
    let states: Vec<String> = changes.into_inner().changes.iter().map(words_of).collect();
    assert_eq!(states.first().zip(states.last()), Some((&"queued".to_owned(), &"done".to_owned())));
    let told = "[...document.querySelectorAll('.timeline .what')].map((it) => it.firstChild.data.trim())";
    assert_eq!(browser.finds(told).await, json!(states));
    let facts = browser.finds("document.querySelector('.facts').innerText").await;
    let facts = facts.as_str().expect("text");
    assert!(facts.contains("-NsampleHeard") && facts.contains("2 of 2"), "{facts}");

    let before = next_of(&house, "sync_update").await;
    browser.opens(&house.dashboard().url("/timetable")).await;
    let slots =
        "[...document.querySelectorAll('#job-sync_update td.time time')].map((slot) => slot.dateTime)";
    let shown = browser.finds(slots).await;
    let after = next_of(&house, "sync_update").await;
    assert!(before.len() == 3 && (shown == json!(before) || shown == json!(after)), "{shown}, {before:?}");

    let paths = [
        ("breaker", "/".to_owned()),
        ("feeds", "/transfers".to_owned()),
        ("transfer", format!("/transfers/{}", heard.id)),
    ];
    are_pictured(&house, &mut browser, &paths).await;
    content(browser).await;
    house.close().await;
}

/// A change's state as people say it.
fn words_of(change: &TransferChange) -> String {
    change.state().as_str_name().trim_start_matches("STATE_").to_lowercase().replace('_', " ")
}

/// When a job runs next, three times.
async fn next_of(house: &Opened, job: &str) -> Vec<String> {
    let request = ListSchedulesRequest { next_max: 3 };
    let answer = house.operator().control.clone().list_schedules(request).await.expect("schedules");
    let schedule = answer.into_inner().schedules.into_iter().find(|schedule| schedule.job == job);
    let slots = schedule.expect("the job").next;
    slots.iter().filter_map(|slot| slot.time).map(|time| time.to_string()).collect()
}

/// A house in which something has gone wrong and something has gone well, for the pictures; one of them stands in the README.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_it_are_legible_in_light_and_dark_and_on_a_telephone() {
    let house = with_dashboard()
        .with("supervision.restarts_max", "1")
        .with("supervision.park_retry_base", "1h")
        .with("supervision.park_retry_cap", "1h")
        .open()
        .await;
    let (shop, operator) = (house.shop(), house.operator());
    operator.subscribes_webhook(&["*"]).await;
    let mut paid = String::new();
    for number in 1..=6 {
        let boleto = shop.creates(a_boleto().called(&format!("order-{number}"))).await;
        shop.sees(&boleto.id, BoletoStatus::Registered).await;
        paid = boleto.id;
    }
    let payment = RecordPaymentRequest {
        id: paid.clone(),
        paid_amount_cents: 12_590,
        payment_id: "at the counter".to_owned(),
        ..RecordPaymentRequest::default()
    };
    shop.boletos.clone().record_payment(payment).await.expect("a payment");
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let letter = shop.creates(a_boleto().called("order-7")).await;
    operator.finds_work_in(&letter.id, WorkState::Discarded).await;
    house.script().clear(Party::BankRegister);
    let poison = shop.creates(a_boleto().called(POISON)).await;
    operator.finds_work_in(&poison.id, WorkState::Discarded).await;
    // One more than is borne.
    shop.creates(a_boleto().called(POISON)).await;
    operator.sees(REGISTRAR, NodeStatus::Melted).await;
    for number in 8..=12 {
        shop.creates(a_boleto().called(&format!("order-{number}"))).await;
    }
    let pause =
        PauseQueueRequest { name: "delivery/webhook/".to_owned(), reason: "their release night".to_owned() };
    operator.control.clone().pause_queue(pause).await.expect("a paused queue");
    eventually("work that waits for the bank", async || {
        (operator.work(&[WorkState::Available]).await.len() >= 5).then_some(())
    })
    .await;

    house.customers().runs("sync_update").await;

    let mut browser = looks(&house, "/").await;
    let paths = [
        ("overview", "/".to_owned()),
        ("queues", "/queues".to_owned()),
        ("dead-letters", "/dead-letters".to_owned()),
        ("timetable", "/timetable".to_owned()),
        ("boletos", "/boletos".to_owned()),
        ("boleto", format!("/boletos/{paid}")),
        ("transfers", "/transfers".to_owned()),
    ];
    are_pictured(&house, &mut browser, &paths).await;
    content(browser).await;
    house.close().await;
}

/// Takes a picture of each page in each form, where nothing is wider than the page and everything can be read.
async fn are_pictured(house: &Opened, browser: &mut Browser, pages: &[(&str, String)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dashboard");
    for (name, path) in pages {
        browser.opens(&house.dashboard().url(path)).await;
        for (form, width, height) in [("wide", 1_280, 800), ("tall", 1_280, 1_200), ("narrow", 400, 800)] {
            browser.is_sized(width, height).await;
            for scheme in ["light", "dark"] {
                browser.prefers(scheme).await;
                let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
                assert_eq!(browser.finds(fits).await, json!(true), "{path} is wider than {width} pixels");
                let faint = browser.finds(FAINT).await;
                assert_eq!(faint, Value::Array(Vec::new()), "{path} in {scheme}: too little contrast");
                browser.is_pictured(&folder.join(format!("{name}-{form}-{scheme}.png"))).await;
            }
        }
    }
}

/// Every piece of text whose contrast with what lies behind it is below 4.5 (WCAG 2.2, 1.4.3), with the ratio.
const FAINT: &str = r"(() => {
    const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const ground = parts(getComputedStyle(at).backgroundColor);
            if (ground.length < 4 || ground[3] === 1) return ground;
        }
        return [255, 255, 255];
    };
    document.getAnimations().forEach((animation) => animation.finish());
    const faint = [];
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
        const element = words.currentNode.parentElement;
        if (!words.currentNode.data.trim() || element.closest('.unseen, .skip, noscript, option')) continue;
        const [one, other] = [light(parts(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 4.5) faint.push(`${ratio.toFixed(2)}: ${words.currentNode.data.trim().slice(0, 40)}`);
    }
    return faint;
})()";
