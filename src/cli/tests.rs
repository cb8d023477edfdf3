//! The command line as its users meet it: arguments, what is shown, exit codes.

mod audit;
mod decisions;
mod deployment;
mod jobs;
mod notifications;
mod openbanking;
mod reconciliation;
mod runbook;
mod scripted;
mod top;
mod transfers;

use clap::CommandFactory;
use serde_json::{Value, json};
use tonic::Code;

use self::scripted::{Shown, house, nobody};
use super::{Cli, Exit};

/// Whether clap takes these arguments.
fn taken(arguments: &[&str]) -> bool {
    <Cli as clap::Parser>::try_parse_from([&["bursar"], arguments].concat()).is_ok()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn the_arguments_make_sense() {
    Cli::command().debug_assert();
}

#[test]
fn arguments_that_exclude_each_other_are_refused() {
    assert!(taken(&["boleto", "create", "--file", "-", "--request-id", "r"]));
    assert!(taken(&["boleto", "create", "--amount-cents", "-1", "--payer-name", "Ana"]));
    assert!(!taken(&["boleto", "create", "--file", "-", "--amount-cents", "1"]));
    assert!(!taken(&["boleto", "create", "--file", "-", "--payer-name", "Ana"]));
    assert!(!taken(&["boleto", "create", "--payer-file", "-", "--payer-name", "Ana"]));
    assert!(taken(&["boleto", "create", "--fine-percentage", "2", "--discount", "2027-01-05=5%"]));
    assert!(!taken(&["boleto", "create", "--fine-percentage", "2", "--fine-amount-cents", "1"]));
    assert!(!taken(&["boleto", "create", "--file", "-", "--hold-registration"]));
    assert!(!taken(&["boleto", "create", "--file", "-", "--abatement-cents", "1"]));
    assert!(!taken(&["boleto", "record-payment", "b"]), "an amount is required, and may be 0");
    assert!(taken(&["boleto", "export", "--format", "csv", "--status", "paid", "--after-id", "b"]));
    assert!(!taken(&["boleto", "render", "b"]) && taken(&["boleto", "render", "b", "-o", "-"]));
    assert!(!taken(&["account", "create", "--file", "-", "--when-fine-or-interest", "x"]));
    assert!(taken(&["account", "update", "a", "--when-fine-or-interest", ""]));
    assert!(taken(&["account", "create", "--file", "-"]));
    assert!(taken(&["account", "create", "--issuer", "banco_do_brasil", "--convenio", "3128557"]));
    assert!(!taken(&["account", "create"]));
    assert!(!taken(&["account", "update", "a"]));
    assert!(taken(&["account", "update", "a", "--is-default", "--display-name", "x"]));
    assert!(!taken(&["account", "update", "a", "--file", "-", "--display-name", "x"]));
    assert!(!taken(&["account", "get"]));
    assert!(!taken(&["endpoint", "create", "--queue-url", "q", "--webhook-url", "w", "--event-type", "*"]));
    assert!(!taken(&["endpoint", "rotate-secret", "e"]), "a reason is required");
    assert!(taken(&["endpoint", "rotate-secret", "e", "--overlap", "2h", "--reason", "r"]));
    assert!(!taken(&["work", "cancel", "w"]), "a reason is required");
    assert!(taken(&["store", "copy", "--from", "a", "--to", "b"]));
    assert!(!taken(&["store", "copy", "--from", "a"]));
    assert!(!taken(&["work", "retry"]) && !taken(&["work", "retry", "w", "--all"]), "one, or all that match");
    assert!(!taken(&["work", "retry", "w", "--queue", "q"]), "a filter is for all");
    assert!(taken(&["work", "cancel", "--all", "--queue", "q", "--state", "retryable", "--reason", "r"]));
    assert!(
        taken(&["queue", "pause", "delivery/", "--reason", "r"]) && !taken(&["queue", "pause", "delivery/"])
    );
    assert!(!taken(&["ps", "--all", "--watch"]));
}

#[test]
fn filters_take_short_names_only() {
    assert!(taken(&["boleto", "list", "--status", "registered,needs_review", "--status", "paid"]));
    assert!(taken(&["work", "list", "--state", "discarded", "--json", "--timeout", "500ms"]));
    assert!(!taken(&["boleto", "list", "--status", "REGISTERED"]));
    assert!(!taken(&["boleto", "list", "--status", "unspecified"]));
    assert!(taken(&["boleto", "list", "--create-time-from", "2026-11-22T00:00:00Z"]));
    assert!(!taken(&["boleto", "list", "--create-time-from", "yesterday"]));
}

#[test]
fn the_help_documents_the_exit_codes() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("Exit codes:") && help.contains("70  the house melted"), "{help}");
}

#[tokio::test]
async fn ps_shows_the_tree_to_people_and_to_programs() {
    let house = house().await;
    let Shown { exit, out, err } = house.shows(&["ps"]).await;
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(out.starts_with("NAME ") && out.contains("\n  registrars  melted    11 "), "{out}");
    assert!(out.ends_with("\ndelivery/sqs/1  half_open  9\n"), "the breaker that is not closed: {out}");

    let document = json_of(&house.shows(&["ps", "--json"]).await.out);
    assert_eq!(document["root"]["children"][0]["status"], "melted");
    assert_eq!(document["root"]["children"][0]["last_exit"]["kind"], "panic");
    assert_eq!(document["root"]["uptime"], "3723.000000005s");
    assert_eq!(document["open_breakers"][0]["breaker"]["failures"], 9);
}

#[tokio::test]
async fn ps_watches_a_picture_for_each_change_until_the_service_ends() {
    let house = house().await;
    let Shown { exit, out, .. } = house.shows(&["ps", "--watch"]).await;
    assert_eq!((exit, out.matches("NAME ").count()), (Exit::Unavailable, 2), "{out}");
    let lines = house.shows(&["ps", "--watch", "--json"]).await.out;
    let statuses: Vec<Value> = lines.lines().map(|line| json_of(line)["root"]["status"].clone()).collect();
    assert_eq!(statuses, ["running", "running"]);
}

#[tokio::test]
async fn ps_shows_every_process_above_the_tree() {
    let house = house().await;
    let out = house.shows(&["ps", "--all"]).await.out;
    let first = out.lines().nth(1).unwrap();
    assert!(
        first.starts_with("host:1 *") && first.contains("5/64") && first.ends_with("archiver@3"),
        "{out}"
    );
    assert!(out.lines().nth(2).unwrap().contains("dead") && out.contains("\nNAME "), "{out}");
    let document = json_of(&house.shows(&["ps", "--all", "--json"]).await.out);
    assert_eq!(document["processes"][0]["offices"][0]["term"], 3);
    assert_eq!(document["root"]["status"], "running");
}

#[tokio::test]
async fn queues_are_listed_paused_and_resumed() {
    let house = house().await;
    let out = house.shows(&["queue", "list"]).await.out;
    let row = out.lines().nth(1).unwrap();
    assert!(row.contains("61s") && row.contains("open after 5"), "{out}");
    assert!(row.ends_with("registration/: maintenance"), "{out}");
    let pause = ["queue", "pause", "delivery/", "--reason", "moving", "--json"];
    let paused = json_of(&house.shows(&pause).await.out);
    assert_eq!(paused["pause"], json!({"name": "delivery/", "reason": "moving", "time": null}));
    let resumed = house.shows(&["queue", "resume", "delivery/"]).await;
    assert_eq!((resumed.exit, resumed.out.as_str()), (Exit::Success, "resumed\n"));
}

#[tokio::test]
async fn work_by_a_filter_is_steered_slice_by_slice() {
    let retry = ["work", "retry", "--all", "--state", "discarded", "--reason", "r"];
    let out = house().await.shows(&[&retry[..], &["--json"]].concat()).await.out;
    assert_eq!(json_of(&out), json!({"retried": 30, "in_hand": 2, "superseded": 1}));
    let Shown { exit, err, .. } = house().await.shows(&[&retry[..], &["--queue", "full"]].concat()).await;
    assert_eq!(exit, Exit::Unavailable);
    assert!(err.starts_with("retried before this: 2000\n"), "{err}");
    let cancel = ["work", "cancel", "--all", "--queue", "q", "--reason", "r"];
    let out = house().await.shows(&cancel).await.out;
    assert_eq!(out, "cancelled     4\nleft in hand  1\n");
}

#[tokio::test]
async fn one_piece_of_work_is_shown_with_its_attempts() {
    let out = house().await.shows(&["work", "get", "w"]).await.out;
    assert!(out.contains("\n\nATTEMPT  ENDED  BY  ERROR\n1                   status 500\n"), "{out}");
}

#[tokio::test]
async fn an_actor_is_named_by_its_whole_path() {
    let house = house().await;
    let restarted = house.shows(&["actor", "restart", "house/notifiers", "--json"]).await;
    assert_eq!(restarted.exit, Exit::Success);
    assert_eq!(json_of(&restarted.out)["node"]["restarts"], 1);
    assert_eq!(house.shows(&["actor", "restart", "notifiers"]).await.exit, Exit::NotFound);
}

#[tokio::test]
async fn a_pool_is_resized_and_what_it_had_is_shown() {
    let house = house().await;
    let resized = house.shows(&["actor", "resize", "analysis", "8", "--json"]).await;
    assert_eq!(resized.exit, Exit::Success);
    let document = json_of(&resized.out);
    assert_eq!(document, json!({"pool": "analysis", "slots_before": 16, "slots": 8, "in_hand": 20}));
    let shown = house.shows(&["actor", "resize", "analysis", "8"]).await.out;
    assert!(shown.ends_with("analysis  16            8      20\n"), "{shown}");
}

#[tokio::test]
async fn a_boleto_is_created_from_flags_under_a_request_id_that_is_shown() {
    let house = house().await;
    let arguments = ["boleto", "create", "--amount-cents", "12590", "--due-date", "2026-12-01"];
    let payer = ["--payer-name", "Ana", "--payer-city", "Recife", "--queue-url", "q", "--request-id", "r-1"];
    let Shown { exit, out, .. } = house.shows(&[&arguments[..], &payer, &["--json"]].concat()).await;
    assert_eq!(exit, Exit::Success);
    let document = json_of(&out);
    assert_eq!(document["request_id"], "r-1");
    assert_eq!(document["bank_account_resolution"], "default");
    assert_eq!(document["boleto"]["amount_cents"], 12_590);
    assert_eq!(document["boleto"]["status"], "registered");
    assert_eq!(document["boleto"]["payer"]["address"]["city"], "Recife");

    let without = house.shows(&arguments).await.out;
    let shown = without.lines().find_map(|line| line.strip_prefix("request id")).unwrap().trim();
    assert_eq!(shown.parse::<uuid::Uuid>().map(|id| id.get_version_num()), Ok(7), "{without}");
    assert!(without.contains("R$ 125.90"), "{without}");
}

#[tokio::test]
async fn invalid_input_shows_every_violation_and_the_way_to_repeat() {
    let house = house().await;
    let arguments = ["boleto", "create", "--amount-cents", "0", "--request-id", "r-2"];
    let Shown { exit, out, err } = house.shows(&arguments).await;
    assert_eq!((exit, out.as_str()), (Exit::InvalidInput, ""));
    let golden = "\
bursar: 2 fields are invalid (INVALID_ARGUMENT, INVALID_FIELDS)
  amount_cents: must be positive
  payer: is required
help: correct every field of BadRequest
to send the same request again safely, give --request-id r-2
";
    assert_eq!(err, golden);

    let Shown { err, .. } = house.shows(&[&arguments[..], &["--json"]].concat()).await;
    let golden = json!({ "error": {
        "code": "INVALID_ARGUMENT",
        "reason": "INVALID_FIELDS",
        "message": "2 fields are invalid",
        "violations": [
            { "field": "amount_cents", "description": "must be positive" },
            { "field": "payer", "description": "is required" },
        ],
        "retry_after": null,
        "request_id": "r-2",
        "trace_id": null,
        "help": "correct every field of BadRequest",
    }});
    assert_eq!(json_of(&err), golden);
}

#[tokio::test]
async fn each_kind_of_failure_has_its_exit() {
    let house = house().await;
    let table = [
        (Code::NotFound, Exit::NotFound),
        (Code::FailedPrecondition, Exit::Conflict),
        (Code::AlreadyExists, Exit::Conflict),
        (Code::Unavailable, Exit::Unavailable),
        (Code::ResourceExhausted, Exit::Exhausted),
        (Code::Internal, Exit::Failure),
    ];
    for (code, exit) in table {
        // The scripted service answers with the code whose number is asked for.
        let id = i32::from(code).to_string();
        assert_eq!(house.shows(&["boleto", "get", &id]).await.exit, exit, "{code:?}");
    }
}

#[tokio::test]
async fn an_exhausted_limit_says_when_to_ask_again() {
    let id = i32::from(Code::ResourceExhausted).to_string();
    let err = house().await.shows(&["boleto", "get", &id]).await.err;
    assert!(err.ends_with("\nask again in 2s\n"), "{err}");
}

#[tokio::test]
async fn our_own_fault_names_the_trace_under_which_the_logs_tell_more() {
    let (house, id) = (house().await, i32::from(Code::Internal).to_string());
    let golden = "\
bursar: scripted (INTERNAL, INTERNAL)
trace: 0af7651916cd43dd8448eb211c80319c; the service's logs tell more under it
help: report the trace id it carries; a bug of ours
";
    assert_eq!(house.shows(&["boleto", "get", &id]).await.err, golden);
    let error = json_of(&house.shows(&["boleto", "get", &id, "--json"]).await.err)["error"].take();
    assert_eq!(error["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(error["help"], "report the trace id it carries; a bug of ours");
}

#[tokio::test]
async fn a_list_is_followed_page_by_page_only_when_asked() {
    let house = house().await;
    let one = json_of(&house.shows(&["boleto", "list", "--json"]).await.out);
    assert_eq!((one["boletos"].as_array().unwrap().len(), &one["next_page_token"]), (1, &json!("2")));
    let all = json_of(&house.shows(&["boleto", "list", "--all", "--json"]).await.out);
    assert_eq!((all["boletos"].as_array().unwrap().len(), &all["next_page_token"]), (3, &json!("")));
    let text = house.shows(&["boleto", "list", "--status", "registered"]).await.out;
    assert!(text.ends_with("more: --page-token 2\n"), "{text}");
}

#[tokio::test]
async fn a_watch_that_the_service_ends_says_where_to_go_on() {
    let Shown { exit, out, err } = house().await.shows(&["boleto", "watch", "--json"]).await;
    assert_eq!(exit, Exit::Unavailable);
    let cursors: Vec<Value> = out.lines().map(|line| json_of(line)["cursor"].clone()).collect();
    assert_eq!(cursors, ["7", "8"]);
    assert!(err.starts_with("to go on from here, give --cursor 9\n"), "{err}");
}

#[tokio::test]
async fn a_code_that_breaks_a_rule_is_shown_and_fails() {
    let Shown { exit, out, err } = house().await.shows(&["boleto", "parse", "123"]).await;
    assert_eq!(exit, Exit::InvalidInput);
    assert!(out.contains("general_dv") && err.contains("code: breaks the rule general_dv"), "{out}{err}");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_not_waited_for() {
    let Shown { exit, err, .. } = house().await.shows(&["info", "--timeout", "20ms"]).await;
    assert_eq!(exit, Exit::Unavailable);
    assert!(err.contains("no answer within 20ms") && err.contains("DEADLINE_EXCEEDED"), "{err}");
}

#[tokio::test]
async fn where_nobody_listens_the_address_is_told() {
    let nobody = nobody().await;
    let Shown { exit, err, .. } = nobody.shows(&["ps"]).await;
    assert_eq!(exit, Exit::Unavailable);
    assert!(err.contains(&format!("no connection to {}", nobody.address)), "{err}");
}

#[tokio::test]
async fn a_configuration_is_checked_without_a_service() {
    let nobody = nobody().await;
    let check = ["config", "check", "--set", "work.lanes=2"];
    assert_eq!(nobody.shows(&check).await.exit, Exit::Success);
    let wrong = ["config", "check", "--set", "work.lains=2", "--set", "api.listen=nowhere"];
    let Shown { exit, err, .. } = nobody.shows(&wrong).await;
    assert_eq!(exit, Exit::InvalidInput);
    assert!(err.contains("work.lains") && err.contains("api.listen"), "both at once: {err}");
}

#[tokio::test]
async fn a_configuration_is_shown_without_its_password() {
    let nobody = nobody().await;
    let show = ["config", "show", "--json", "--set", "store.url=postgres://bursar:hunter2@db/bursar"];
    let Shown { exit, out, .. } = nobody.shows(&show).await;
    assert_eq!(exit, Exit::Success);
    assert!(json_of(&out)["store"]["url"].is_string());
    assert!(!out.contains("hunter2"), "{out}");
}

#[tokio::test]
async fn an_export_that_is_cut_off_says_where_to_go_on() {
    let Shown { exit, out, err } = house().await.shows(&["boleto", "export"]).await;
    assert_eq!(exit, Exit::Unavailable);
    let ids: Vec<Value> = out.lines().map(|line| json_of(line)["id"].clone()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(err.starts_with("to go on from here, give --after-id c\n"), "{err}");
    let csv = house().await.shows(&["boleto", "export", "--format", "csv"]).await.out;
    assert_eq!(csv.lines().count(), 4, "a heading and three lines: {csv}");
    let rest = house().await.shows(&["boleto", "export", "--format", "csv", "--after-id", "0"]).await.out;
    assert_eq!(rest.lines().count(), 3, "what goes on has its heading already: {rest}");
}

#[tokio::test]
async fn a_batch_says_a_line_what_became_of_each() {
    let path = std::env::temp_dir().join(format!("bursar-batch-{}.jsonl", uuid::Uuid::now_v7()));
    let text = "{\"amount_cents\":1,\"reference_id\":\"x\"}\n\n{\"amount_cents\":0}\n";
    std::fs::write(&path, text).unwrap();
    let file = path.display().to_string();
    let Shown { exit, out, err } = house().await.shows(&["boleto", "batch", "--file", &file, "--json"]).await;
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<Value> = out.lines().map(json_of).collect();
    assert_eq!((lines[0]["line"].clone(), lines[0]["boleto"]["id"].clone()), (json!(1), json!("x")));
    assert_eq!(
        (lines[1]["line"].clone(), lines[1]["error"]["reason"].clone()),
        (json!(3), json!("INVALID_FIELDS"))
    );
    assert_eq!((exit, lines.len()), (Exit::InvalidInput, 2), "{err}");
}

#[tokio::test]
async fn payments_quotes_and_pages_are_shown() {
    let house = house().await;
    let paid = house.shows(&[
        "boleto",
        "record-payment",
        "b",
        "--paid-amount-cents",
        "5",
        "--request-id",
        "r",
        "--json",
    ]);
    let paid = json_of(&paid.await.out);
    assert_eq!(
        (paid["payment"]["amount_cents"].clone(), paid["boleto"]["id"].clone()),
        (json!(5), json!("b"))
    );
    assert_eq!((paid["payment"]["payment_id"].clone(), paid["request_id"].clone()), (json!("r"), json!("r")));
    let quote = house.shows(&["boleto", "quote", "b", "--on", "2027-01-16"]).await.out;
    assert!(quote.contains("102,16") || quote.contains("102.16"), "{quote}");
    let page = house.shows(&["boleto", "render", "b", "--output", "-"]).await;
    assert_eq!((page.exit, page.out.as_str()), (Exit::Success, "a page"));
}

#[tokio::test]
async fn links_are_made_and_ended() {
    let house = house().await;
    let link = ["boleto", "link", "b", "--lifetime", "1h", "--format", "pdf", "--request-id", "r"];
    let Shown { exit, out, err } = house.shows(&[&link[..], &["--json"]].concat()).await;
    assert_eq!(exit, Exit::Success, "{err}");
    let link_of = |out: &str| json_of(out)["link"].clone();
    assert_eq!(
        (link_of(&out)["boleto_id"].clone(), link_of(&out)["format"].clone()),
        (json!("b"), json!("pdf"))
    );
    assert_eq!(link_of(&out)["expire_time"], "1970-01-01T01:00:00Z");
    assert_eq!(json_of(&out)["url"], "https://pay.example/d/secret");
    assert_eq!(json_of(&out)["request_id"], "r");
    let shown = house.shows(&["boleto", "link", "b"]).await.out;
    assert!(shown.contains("https://pay.example/d/secret") && shown.contains("all"), "{shown}");
    let Shown { exit, out, .. } = house.shows(&["boleto", "unlink", "b"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Success, "2 links revoked\n"));
    assert!(!taken(&["boleto", "link", "b", "--lifetime", "soon"]) && !taken(&["boleto", "unlink"]));
}
