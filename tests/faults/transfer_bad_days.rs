//! Bad days of a feed and of a vendor, while the process lives: a vendor that stumbles, a line on which nothing comes any more, a
//! stream that talks nonsense, records that are none, and records that are larger than anybody should write. What is sound among
//! them is done, once, and the process goes on.

use bursar::sandbox::{Behaviour, Party, StreamNews, Times, VendorName};
use bursar::store::pool;
use serde_json::json;

use crate::database::Kind;
use crate::feed::{Feed, a_record};
use crate::judge;
use crate::proxy::Proxy;
use crate::recordings::{self, Offered};
use crate::stage::Stage;

const VENDOR: Party = Party::Vendor(VendorName::Ra7);

async fn vendor_stumbles(kind: Kind) {
    let stage = Stage::open(kind).await;
    let house = recordings::opened(&stage, &["breaker.wait_base=20ms", "breaker.wait_cap=200ms"], &[]).await;
    let script = stage.world.script();
    for (trouble, times) in [
        (Behaviour::Latency { ms: 50 }, 4),
        (Behaviour::status(503), 6),
        (Behaviour::Normal, 5),
        (Behaviour::Reset, 4),
        (Behaviour::Garbage, 3),
        (Behaviour::Normal, 2),
        (Behaviour::status_retry_after(429, 0), 4),
        (Behaviour::accept_then_drop(), 2),
        (Behaviour::status(500), 4),
    ] {
        script.add(VENDOR, trouble, Times::Count(times));
    }
    let offered: Vec<Offered> =
        (0..12).map(|number| Offered::on(&stage, &format!("-Nsample{number:02}"), 3)).collect();
    // Twice a recording was heard, and the word about it lost.
    recordings::all_is_well(&stage, house, &offered, 2).await;
    let heard: usize = offered.iter().map(|offered| Feed(&stage.world).analysed(&offered.key)).sum();
    assert_eq!(heard, 12 * 3 + 2, "nothing more than what was lost is heard again");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_stumbles_hears_everything_in_the_end() {
    vendor_stumbles(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_stumbles_hears_everything_in_the_end_on_postgresql() {
    vendor_stumbles(Kind::PostgreSql).await;
}

/// The database's door behind a line that a test can have fall silent.
async fn line_to_the_feed(stage: &Stage) -> (Proxy, String) {
    let door = stage.world.addresses().firebase.url.trim_start_matches("http://").to_owned();
    // A line is asked for by a URL with a user and a name, which nobody looks at.
    let line = Proxy::to(&format!("feed@{door}/database")).await;
    let address = line.url.trim_start_matches("feed@").trim_end_matches("/database").to_owned();
    (line, format!("transfers.feeds.main.firebase_rtdb.database_url=http://{address}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_stream_is_given_up_and_what_was_recorded_meanwhile_is_found() {
    let stage = Stage::open(Kind::Sqlite).await;
    let (line, database) = line_to_the_feed(&stage).await;
    let prefix = "transfers.feeds.main.firebase_rtdb";
    let (idle, patience) = (format!("{prefix}.idle_timeout=700ms"), format!("{prefix}.timeout=700ms"));
    let house = recordings::opened(&stage, &[&database, &idle, &patience], &[]).await;
    let mut offered = vec![Offered::on(&stage, "-NsampleBefore", 2)];
    recordings::owners_told(&stage, 1).await;
    // In the middle of an analysis nothing comes through any more: no event, no answer, no end.
    stage.world.script().once(VENDOR, Behaviour::Hold);
    offered.push(Offered::on(&stage, "-NsampleCut", 2));
    stage.world.wait_for_held(1, crate::process::PATIENCE).await.expect("the vendor is asked");
    line.fall_silent();
    offered.push(Offered::on(&stage, "-NsampleUnheard", 2));
    stage.world.script().release();
    house.program.line(|line| line.contains("feed") && line.contains("lost")).await.expect("it is noticed");
    line.come_back_for_new_ones();
    // What hung on the old line may have been done, and is done again to the same effect.
    recordings::all_is_well(&stage, house, &offered, 1).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_talks_nonsense_stops_nothing() {
    let stage = Stage::open(Kind::Sqlite).await;
    let house = recordings::opened(&stage, &[], &[]).await;
    let mut offered = vec![Offered::on(&stage, "-Nsample00", 1)];
    recordings::owners_told(&stage, 1).await;
    let feed = Feed(&stage.world);
    let events = |name: &str, data: &str| format!("event: {name}\ndata: {data}\n\n");
    let nonsense = [
        events("put", "no JSON"),
        events("put", r#"{"path":5,"data":null}"#),
        events("put", r#"{"path":"/","data":[null,null,{"processed":true}]}"#),
        events("patch", r#"{"path":"/","data":"text"}"#),
        events("patch", r#"{"path":"/-NsampleX/../..","data":{"a//b":{"processed":false}}}"#),
        events("of_tomorrow", r#"{"path":"/","data":{}}"#),
        format!("{}\n\n", "data: x".repeat(20_000)),
        "\u{0}\u{1}: \u{feff}\r\r\n\n".to_owned(),
        format!("event: put\ndata: {}\n\n", "[".repeat(50_000)),
    ];
    for (number, text) in nonsense.into_iter().enumerate() {
        feed.database().tell(StreamNews::Raw(text));
        // The process has to take the next one in all the same.
        let key = format!("-Nsample{:02}", number + 1);
        offered.push(Offered::on(&stage, &key, 1));
        recordings::owners_told(&stage, offered.len()).await;
    }
    recordings::all_is_well(&stage, house, &offered, 0).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_none_have_failed_and_say_so() {
    let stage = Stage::open(Kind::Sqlite).await;
    let house = recordings::opened(&stage, &[], &[]).await;
    Offered::on(&stage, "-Nsample00", 1);
    recordings::owners_told(&stage, 1).await;
    let feed = Feed(&stage.world);
    let none =
        [("-NsampleNumber", "5"), ("-NsampleText", "\"text\""), ("-NsampleList", "[1,2]"), ("0", "true")];
    for (key, data) in none {
        // No rule of a database lets them be found by a query; a stream tells what it likes.
        let event = format!("event: put\ndata: {{\"path\":\"/{key}\",\"data\":{data}}}\n\n");
        feed.database().tell(StreamNews::Raw(event));
    }
    recordings::owners_told(&stage, 1 + none.len()).await;
    Offered::on(&stage, "-Nsample01", 1);
    recordings::owners_told(&stage, 2 + none.len()).await;
    assert_eq!(stage.world.script().asked(VENDOR), 2, "nobody hears of what is none");
    judge::no_work_left(&house).await;
    house.close().await;
    let connection = pool::connect(&stage.database_url).await.expect("a database without its house");
    for (question, times) in [
        (
            "select count(*) as n from transfer where state = 'failed' and reason like 'unreadable:%'",
            none.len(),
        ),
        ("select count(*) as n from transfer where state = 'done'", 2),
        ("select count(*) as n from subject_event where event_type = 'transfer.failed'", none.len()),
        ("select count(*) as n from work", 0),
    ] {
        assert_eq!(judge::count(&connection, question).await, times as i64, "{question}");
    }
    connection.close().await.expect("the database lets go");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_ten_megabytes_are_taken_in_beside_all_others() {
    let stage = Stage::open(Kind::Sqlite).await;
    // Whoever comes back finds a backlog.
    recordings::subscribe(&stage).await;
    let feed = Feed(&stage.world);
    let mut offered = Vec::new();
    // Both at once are longer than an event or an answer may be, so that they are read by pages, and one by one.
    let filling = "x".repeat(10_000_000);
    for number in 0..2 {
        let key = format!("-NsampleLarge{number}");
        let mut record = a_record(1);
        record["nota"] = json!(filling);
        let result = feed.offers_record(&key, 1, record);
        offered.push(Offered { key, answers: 1, result });
        offered.push(Offered::on(&stage, &format!("-NsampleSmall{number}"), 1));
    }
    let pages = "transfers.feeds.main.firebase_rtdb.group_records_max=4";
    let house = recordings::house(&stage, &[pages], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    recordings::owners_told(&stage, offered.len()).await;
    for large in offered.iter().step_by(2) {
        let record = feed.record(&large.key);
        assert_eq!(record["nota"].as_str().map(str::len), Some(filling.len()), "it is left as it was");
    }
    recordings::all_is_well(&stage, house, &offered, 0).await;
    stage.close().await;
}
