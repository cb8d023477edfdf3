//! The canary: what all stories log, trace and measure, at the finest level, and the pages for operators that they see, written into a
//! folder in which somebody looks for what must not be there (`tests/judges/canary.py`).
//!
//! **Owns** the process's telemetry, from the first story on and for as long as the process lives. **Fails** a story whose telemetry
//! cannot be set up. **Limits**: nothing at all where `BURSAR_TEST_CANARY_DIR` is not set; `.ci/test` sets it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::{env, process, thread};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use bursar::config::{Config, Sources};
use bursar::sandbox::{EMOTION_LOGIC_KEY, EMOTION_LOGIC_PASSWORD, MAIL_PASSWORD, VENDOR_AUTH};
use bursar::telemetry;
use serde_json::json;
use tokio::net::TcpListener;

const FOLDER: &str = "BURSAR_TEST_CANARY_DIR";

/// What stories plant wherever they do not care: a person's name, tax id and address, and what the house signs in with outside.
const PLANTED: &[(&str, &str)] = &[
    ("name", "Maria Exemplo"),
    ("tax id", "52998224725"),
    ("street", "Rua das Flores"),
    ("postal code", "01001000"),
    ("bank's client secret", "sandbox-secret"),
    ("bank's application key", "sandbox-app-key"),
    ("mail server's password", MAIL_PASSWORD),
    ("vendor's key", VENDOR_AUTH),
    ("other vendor's key", EMOTION_LOGIC_KEY),
    ("other vendor's password", EMOTION_LOGIC_PASSWORD),
];

static CANARY: OnceLock<Option<Canary>> = OnceLock::new();

struct Canary {
    planted: Mutex<File>,
    pages: Mutex<File>,
}

/// Watches what the process tells from here on, if somebody wants to know.
pub fn watches() {
    CANARY.get_or_init(|| env::var_os(FOLDER).map(|folder| Canary::open(&PathBuf::from(folder))));
}

/// Says that something is known to the house from here on which it must not tell.
pub fn plants(kind: &str, value: &str) {
    if let Some(Some(canary)) = CANARY.get() {
        let line = json!({ "kind": kind, "value": value });
        let mut planted = canary.planted.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(planted, "{line}").expect("a line about what is planted");
    }
}

/// Keeps a page for operators as it was shown.
pub fn saw(page: &str) {
    if let Some(Some(canary)) = CANARY.get() {
        let mut pages = canary.pages.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pages, "{page}").expect("a page is kept");
    }
}

/// A file of this process's own.
fn file(folder: &Path, name: &str) -> File {
    let path = folder.join(format!("{}-{name}", process::id()));
    OpenOptions::new().create(true).append(true).open(path).expect("a file in the canary's folder")
}

impl Canary {
    fn open(folder: &Path) -> Self {
        let lines = Mutex::new(file(folder, "lines.log"));
        let exported = Arc::new(Mutex::new(file(folder, "exported.bin")));
        let (begun, begins) = mpsc::channel();
        // Stories have runtimes of their own, which end with them; this one stays.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let address = listener.local_addr().expect("an address");
                let config = config(&format!("http://{address}"));
                let guard = telemetry::init_to(&config.telemetry, &config.metrics, lines);
                let _guard = guard.expect("the first to set up telemetry");
                begun.send(()).expect("somebody waits");
                let collector = Router::new()
                    .route("/v1/traces", post(keep))
                    .route("/v1/metrics", post(keep))
                    .with_state(exported);
                axum::serve(listener, collector).await.expect("a collector");
            });
        });
        begins.recv().expect("telemetry that has begun");
        let mut planted = file(folder, "planted.jsonl");
        for (kind, value) in PLANTED {
            writeln!(planted, "{}", json!({ "kind": kind, "value": value })).expect("a line");
        }
        Self { planted: Mutex::new(planted), pages: Mutex::new(file(folder, "pages.html")) }
    }
}

/// A collector that writes down all that it is sent. Texts stand in OTLP's encoding as they are.
async fn keep(State(exported): State<Arc<Mutex<File>>>, body: Bytes) {
    let mut file = exported.lock().unwrap_or_else(PoisonError::into_inner);
    file.write_all(&body).expect("what was exported is kept");
}

/// Everything that may be told is told, soon.
fn config(collector: &str) -> Config {
    let settings = [
        ("telemetry.log_level", "trace"),
        ("telemetry.log_format", "json"),
        ("telemetry.trace_filter", "trace"),
        ("telemetry.otlp_endpoint", collector),
        ("telemetry.otlp_protocol", "http"),
        ("telemetry.export_interval", "100ms"),
        ("telemetry.export_queue_max", "100000"),
        ("metrics.otlp", "true"),
        ("metrics.export_interval", "2s"),
    ];
    let sources = settings.iter().fold(Sources::default(), |sources, (key, value)| sources.with(key, *value));
    Config::load(&sources).expect("settings of telemetry")
}
