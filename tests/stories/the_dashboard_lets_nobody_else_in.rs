//! Pages for operators stand on a port that every page of strangers can send to. Whoever has no token sees nothing, a stranger's page
//! can neither read nor send anything, and what somebody may not see is said to them and not shown.

use bursar::domain::token::ApiToken;
use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::WorkState;
use bursar::sandbox::{Behaviour, Party};
use chrono::TimeDelta;
use reqwest::header::{HOST, ORIGIN};
use reqwest::{Method, StatusCode};

use crate::support::callers;
use crate::support::house::dashboard::shown;
use crate::support::house::{House, Opened, a_boleto, eventually};

const PAGES: [&str; 8] = [
    "/",
    "/queues",
    "/dead-letters",
    "/dead-letters/00000000-0000-7000-8000-000000000000",
    "/timetable",
    "/boletos",
    "/transfers",
    "/nothing-of-the-kind",
];

/// A house that tells callers apart, with a token for each of these scopes.
async fn house(scopes: &[&str]) -> (Opened, Vec<ApiToken>) {
    house_with(House::new(), scopes).await
}

async fn house_with(house: House, scopes: &[&str]) -> (Opened, Vec<ApiToken>) {
    let settings = house.without_account().with_dashboard().with("access.mode", "tokens");
    let surroundings = settings.prepare().await;
    let store = surroundings.database.open().await;
    let mut tokens = Vec::new();
    for scopes in scopes {
        tokens.push(callers::make(&store, "default", scopes, TimeDelta::hours(1)).await);
    }
    callers::leave(store).await;
    (surroundings.open().await, tokens)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_forbids_what_pages_do_not_need() {
    let house = House::new().without_account().with_dashboard().open().await;
    let dashboard = house.dashboard();
    for path in PAGES.iter().chain(&["/assets/dashboard.css", "/assets/dashboard.js", "/assets/icon.svg"]) {
        let shown = dashboard.gets(path, None).await;
        let header = |name: &str| shown.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"));
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{path}: {policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(header("access-control-allow-origin"), "", "{path}");
        let kept = if path.starts_with("/assets/") { "no-cache, private" } else { "no-store, private" };
        assert_eq!(header("cache-control"), kept, "{path}");
        // It would take away what is being typed, and keep a session from ever being idle.
        assert!(!shown.text.contains("http-equiv"), "{path} asks anew by itself without a script");
        let is_there =
            !matches!(*path, "/nothing-of-the-kind" | "/dead-letters/00000000-0000-7000-8000-000000000000");
        assert_eq!(shown.status == StatusCode::OK, is_there, "{path}: {}", shown.status);
    }
    let style = dashboard.gets("/assets/dashboard.css", None).await;
    let known = style.headers["etag"].clone();
    let again = dashboard.request(Method::GET, "/assets/dashboard.css").header("if-none-match", known);
    assert_eq!(shown(again).await.status, StatusCode::NOT_MODIFIED);
    let deleted = shown(dashboard.request(Method::DELETE, "/").header(ORIGIN, dashboard.url(""))).await;
    assert_eq!(deleted.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(deleted.headers["allow"], "GET, HEAD, POST");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_page_can_neither_read_nor_send() {
    let house = House::new().with("registration.attempts_max", "1").with_dashboard();
    let house = house.with("registration.inline_deadline", "100ms");
    let house = house.with("dashboard.base_url", "https://bursar.example").open().await;
    let dashboard = house.dashboard();
    for (host, status) in [
        ("rebound.example", StatusCode::MISDIRECTED_REQUEST),
        ("localhost.example:80", StatusCode::MISDIRECTED_REQUEST),
        ("localhost:1234", StatusCode::OK),
        ("bursar.example", StatusCode::OK),
    ] {
        let answer = shown(dashboard.request(Method::GET, "/boletos").header(HOST, host)).await;
        assert_eq!(answer.status, status, "{host}");
    }

    // A letter that could be retried, and the form that does it.
    house.script().always(Party::BankRegister, Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    let letter = house.operator().finds_work_in(&boleto.id, WorkState::Discarded).await;
    let page = dashboard.gets("/dead-letters", None).await;
    assert!(page.text.contains(&letter.id), "{}", page.text);
    let key = page.form_key().to_owned();
    let body = format!("form_key={key}&id={}&reason=x", letter.id);
    let post = |body: String| {
        let request = dashboard.request(Method::POST, "/dead-letters/retry");
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    for (what, request) in [
        ("nobody says where it comes from", post(body.clone())),
        ("a stranger's page", post(body.clone()).header(ORIGIN, "https://strangers.example")),
        ("another port of this machine", post(body.clone()).header(ORIGIN, "http://127.0.0.1:1")),
        ("a hidden page", post(body.clone()).header(ORIGIN, "null")),
        ("what the browser says", post(body.clone()).header("sec-fetch-site", "cross-site")),
        ("no key", post(format!("id={}", letter.id)).header(ORIGIN, dashboard.url(""))),
        ("another key", post(format!("form_key=x&id={}", letter.id)).header(ORIGIN, dashboard.url(""))),
    ] {
        assert_eq!(shown(request).await.status, StatusCode::FORBIDDEN, "{what}");
    }
    let long = post(format!("{body}{}", "x".repeat(9_000))).header(ORIGIN, dashboard.url(""));
    assert_eq!(shown(long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let work = house.operator().gets_work(&letter.id).await.expect("work");
    assert_eq!(work, letter, "nothing has come of any of it");

    house.script().clear(Party::BankRegister);
    let own = shown(post(body).header(ORIGIN, dashboard.url(""))).await;
    assert_eq!(
        (own.status, own.location),
        (StatusCode::SEE_OTHER, format!("/dead-letters?retried={}", letter.id))
    );
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_not_signed_in_sees_nothing_and_whoever_has_is_let_out_again() {
    let (house, tokens) = house(&["control.read"]).await;
    let dashboard = house.dashboard();
    for path in PAGES {
        let by_sign_in = match path {
            "/" => "/sign-in".to_owned(),
            path => format!("/sign-in?next={}", path.replace('/', "%2F")),
        };
        let answer = dashboard.gets(path, None).await;
        assert_eq!((answer.status, &answer.location), (StatusCode::SEE_OTHER, &by_sign_in), "{path}");
        assert!(answer.text.is_empty(), "{path}");
        let made_up = dashboard.gets(path, Some("bursar=made-up")).await;
        assert_eq!(made_up.location, by_sign_in, "{path}");
    }
    let unsigned = dashboard.posts("/dead-letters/retry", None, &[("id", "x")]).await;
    assert_eq!((unsigned.status, unsigned.location.as_str()), (StatusCode::SEE_OTHER, "/sign-in"));

    for wrong in ["", "bursar_", "no token", "line\nbreak", &tokens[0].reveal().replace('_', "-")] {
        let answer = dashboard.posts("/sign-in", None, &[("token", wrong)]).await;
        assert_eq!((answer.status, answer.cookie), (StatusCode::UNAUTHORIZED, None), "{wrong}");
        assert!(answer.text.contains("This is no token, or one that has ended or was revoked."));
    }
    let token = tokens[0].reveal();
    let stranger = dashboard.request(Method::POST, "/sign-in").header(ORIGIN, "https://strangers.example");
    let stranger = stranger.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(shown(stranger.body(format!("token={token}"))).await.status, StatusCode::FORBIDDEN);

    let answer = dashboard.posts("/sign-in", None, &[("token", format!(" {token}\n").as_str())]).await;
    let given = answer.headers["set-cookie"].to_str().expect("ASCII").to_owned();
    assert!(given.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{given}");
    assert!(!given.contains(&token) && !given.contains(tokens[0].prefix().as_str()), "{given}");
    let cookie = answer.cookie.expect("a cookie");
    let page = dashboard.gets("/", Some(&cookie)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Supervision tree") && !page.text.contains(&token), "{}", page.text);
    for (next, place) in [("/queues?x=y", "/queues?x=y"), ("//strangers.example", "/"), ("/\\x", "/")] {
        let fields = [("token", token.as_str()), ("next", next)];
        assert_eq!(dashboard.posts("/sign-in", None, &fields).await.location, place, "{next}");
    }
    // Of several cookies that other services of this machine have given, ours is found.
    assert_eq!(dashboard.gets("/", Some(&format!("a=b; {cookie}; c=d"))).await.status, StatusCode::OK);

    let out = dashboard.posts("/sign-out", Some(&cookie), &[("form_key", "somebody else's")]).await;
    assert_eq!(out.status, StatusCode::FORBIDDEN);
    let out = dashboard.posts("/sign-out", Some(&cookie), &[("form_key", page.form_key())]).await;
    assert_eq!((out.status, out.location.as_str()), (StatusCode::SEE_OTHER, "/sign-in"));
    assert_eq!(dashboard.gets("/", Some(&cookie)).await.location, "/sign-in");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_its_token() {
    let (house, tokens) = house(&["admin", "control.read"]).await;
    let dashboard = house.dashboard();
    let cookie = dashboard.lets_in(&tokens[1].reveal()).await;
    assert_eq!(dashboard.gets("/", Some(&cookie)).await.status, StatusCode::OK);
    callers::ends(house.channel(), &tokens[0], &tokens[1]).await;
    let ended = dashboard.gets("/", Some(&cookie)).await;
    assert_eq!((ended.status, ended.location.as_str()), (StatusCode::SEE_OTHER, "/sign-in"));
    assert!(ended.headers["set-cookie"].to_str().expect("ASCII").contains("Max-Age=0"));
    let again = dashboard.posts("/sign-in", None, &[("token", tokens[1].reveal().as_str())]).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_token_does_not_allow_is_said_in_its_place() {
    let (house, tokens) = house(&["boleto.read", "control.read"]).await;
    let dashboard = house.dashboard();
    let seller = dashboard.lets_in(&tokens[0].reveal()).await;
    let overview = dashboard.gets("/", Some(&seller)).await;
    assert_eq!(overview.status, StatusCode::OK);
    assert!(overview.text.contains("this needs the scope control.read"), "{}", overview.text);
    assert!(!overview.text.contains("registrars"), "{}", overview.text);
    for tile in ["house", "actors", "letters", "processes"] {
        assert!(overview.text.contains(&format!("id=\"tile-{tile}\"")), "{tile}: {}", overview.text);
    }
    assert_eq!(overview.text.matches("<dd>unknown</dd>").count(), 4, "{}", overview.text);
    assert_eq!(dashboard.gets("/boletos", Some(&seller)).await.status, StatusCode::OK);

    let watcher = dashboard.lets_in(&tokens[1].reveal()).await;
    let page = dashboard.gets("/timetable", Some(&watcher)).await;
    assert!(
        dashboard.gets("/boletos", Some(&watcher)).await.text.contains("this needs the scope boleto.read")
    );
    let fields = [("form_key", page.form_key()), ("job", "sync_update"), ("request_id", "x")];
    let refused = dashboard.posts("/timetable/run", Some(&watcher), &fields).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("this needs the scope control.write"), "{}", refused.text);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_the_cookie_goes_by_tls_alone_and_wrong_tokens_count_for_whoever_tries_them() {
    let settings = House::new()
        .with("dashboard.base_url", "https://bursar.example")
        .with("dashboard.trusts_forwarded_for", "true")
        .with("access.failures_per_minute_max", "3");
    let (house, tokens) = house_with(settings, &["control.read"]).await;
    let dashboard = house.dashboard();
    let tries = async |token: &str, from: &str| {
        let request = dashboard.request(Method::POST, "/sign-in").header(ORIGIN, "https://bursar.example");
        let request = request.header(HOST, "bursar.example").header("x-forwarded-for", from);
        let form = request.header("content-type", "application/x-www-form-urlencoded");
        shown(form.body(format!("token={token}"))).await
    };
    let mut last = StatusCode::OK;
    // Somebody who tries tokens is told to wait in the end, however many requests that takes of a proxy's.
    for _ in 0..20 {
        last = tries(&bursar::access::mint::token().expect("bits").reveal(), "198.51.100.7").await.status;
        if last != StatusCode::UNAUTHORIZED {
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let other = tries(&tokens[0].reveal(), "198.51.100.8").await;
    assert_eq!(other.status, StatusCode::SEE_OTHER);
    let given = other.headers["set-cookie"].to_str().expect("ASCII");
    assert!(given.starts_with("__Host-bursar=") && given.ends_with("; Secure"), "{given}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_outlives_the_api_that_it_asks() {
    let house = House::new().without_account().with_dashboard().open().await;
    let dashboard = house.dashboard();
    house.operator().restarts("web/dashboard").await.expect("a restarted actor");
    assert_eq!(dashboard.gets("/", None).await.status, StatusCode::OK, "at the same port");
    // The answer may be lost with the connection that it would come by.
    drop(house.operator().restarts("api").await);
    eventually("the API that was started again is asked", async || {
        let page = dashboard.gets("/", None).await;
        let (_, row) = page.text.split_once("<tr id=\"node-api\"")?;
        let row = row.split("</tr>").next()?;
        (row.contains("running") && row.contains("ago</time>: normal")).then_some(())
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_begun_once_however_often_its_form_is_sent() {
    let house = House::new().without_account().with_dashboard().open().await;
    let dashboard = house.dashboard();
    let page = dashboard.gets("/timetable", None).await;
    let fields = [
        ("form_key", page.form_key()),
        ("job", "sync_update"),
        ("request_id", page.value("request_id")),
        ("reason", "before the weekend"),
    ];
    for _ in 0..2 {
        let sent = dashboard.posts("/timetable/run", None, &fields).await;
        assert_eq!(
            (sent.status, sent.location.as_str()),
            (StatusCode::SEE_OTHER, "/timetable?begun=sync_update")
        );
    }
    let page = dashboard.gets("/timetable?begun=sync_update", None).await;
    assert!(page.text.contains("A run of sync_update was begun."), "{}", page.text);
    assert_eq!(page.text.matches("before the weekend").count(), 1, "{}", page.text);
    let unknown = [("form_key", page.form_key()), ("job", "make_coffee")];
    assert_eq!(dashboard.posts("/timetable/run", None, &unknown).await.status, StatusCode::NOT_FOUND);
    house.close().await;
}
