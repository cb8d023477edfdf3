//! Somebody's browser, without a screen: Chromium, which is told what to do by its own protocol over a pipe.
//!
//! It speaks to nobody but the addresses that it is given. What a page complains of is kept: a script that failed, a dialogue that was
//! opened, anything that the page's policy forbade.
//!
//! **Owns** the process, which ends with its pipe, and a folder for its profile. **Fails** a test that cannot find it: the README's
//! test command brings it. **Limits**: one page, one question at a time; [`PATIENCE`] for each.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, interval, timeout};
use uuid::Uuid;

use super::canary;

/// Chromium takes ten seconds to start on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The protocol is spoken over the descriptors 3 and 4, which a shell makes of its own input and output.
const LAUNCH: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
const FLAGS: [&str; 13] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--lang=en",
];

/// A browser with one page.
pub struct Browser {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    profile: PathBuf,
    session: String,
    asked: u64,
    complaints: Vec<String>,
}

impl Browser {
    /// Starts one, with an empty page of that size.
    pub async fn open(width: u32, height: u32) -> Self {
        let program = std::env::var("BURSAR_TEST_CHROMIUM")
            .expect("BURSAR_TEST_CHROMIUM names a program; the README's test command sets it");
        let profile = std::env::temp_dir().join(format!("bursar-browser-{}", Uuid::now_v7()));
        let mut child = Command::new("sh")
            .args(["-c", LAUNCH, &program])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the browser starts");
        let requests = child.stdin.take().expect("it was piped");
        let answers = BufReader::new(child.stdout.take().expect("it was piped"));
        let (session, complaints) = (String::new(), Vec::new());
        let mut browser = Self { child, requests, answers, profile, session, asked: 0, complaints };
        let made = browser.asks("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": made["targetId"], "flatten": true });
        let attached = browser.asks("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.asks(domain, json!({})).await;
        }
        browser.asks("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        browser.is_sized(width, height).await;
        browser
    }

    /// Has the page be that large, in pixels.
    pub async fn is_sized(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.asks("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Has its person like pages dark, or light.
    pub async fn prefers(&mut self, scheme: &str) {
        let wish = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.asks("Emulation.setEmulatedMedia", wish).await;
    }

    /// Opens an address, and waits until its page is there.
    pub async fn opens(&mut self, url: &str) {
        let answer = self.asks("Page.navigate", json!({ "url": url })).await;
        assert_eq!(answer.get("errorText"), None, "{url}");
        self.sees("a whole page", "document.readyState === 'complete'").await;
        self.is_kept().await;
    }

    /// What an expression of the page's script comes to.
    pub async fn finds(&mut self, expression: &str) -> Value {
        let found = self.tries(expression).await;
        found.unwrap_or_else(|why| panic!("{expression}: {why}"))
    }

    /// Waits until an expression of the page's script is true, over whatever pages come meanwhile.
    pub async fn sees(&mut self, what: &str, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let found = self.tries(expression).await;
            if found.as_ref().is_ok_and(|value| value == &Value::Bool(true)) {
                return;
            }
            if Instant::now() >= deadline {
                let page = self.finds("document.body.innerText").await;
                panic!(
                    "not within {PATIENCE:?}: {what} ({found:?}) on the page:\n{}",
                    page.as_str().unwrap_or_default()
                );
            }
        }
    }

    /// Presses a key, by its name and its number.
    pub async fn presses(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.asks("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Goes on with the tabulator until that element has the focus.
    pub async fn tabs_to(&mut self, selector: &str) {
        let is_there = format!("document.activeElement.matches({})", json!(selector));
        for _ in 0..100 {
            if self.finds(&is_there).await == Value::Bool(true) {
                return;
            }
            self.presses("Tab", 9).await;
        }
        panic!("the tabulator does not lead to {selector}");
    }

    /// Writes into what has the focus.
    pub async fn writes(&mut self, text: &str) {
        self.asks("Input.insertText", json!({ "text": text })).await;
    }

    /// Writes a picture of what is to be seen into a file.
    pub async fn is_pictured(&mut self, file: &Path) {
        let answer = self.asks("Page.captureScreenshot", json!({ "format": "png" })).await;
        let picture = STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("base64");
        tokio::fs::create_dir_all(file.parent().expect("a folder")).await.expect("a folder for pictures");
        tokio::fs::write(file, picture).await.expect("the picture is written");
    }

    /// What its pages have complained of.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Ends it in good order.
    pub async fn close(mut self) {
        self.is_kept().await;
        self.session.clear();
        self.asks("Browser.close", json!({})).await;
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it was ours to end");
    }

    /// Its page, as it stands by now, is looked through for what no page may show.
    async fn is_kept(&mut self) {
        // One that is just giving way to another has been kept, or will be.
        if let Ok(Value::String(page)) = self.tries("document.documentElement.outerHTML").await {
            canary::saw(&page);
        }
    }

    async fn tries(&mut self, expression: &str) -> Result<Value, String> {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.calls("Runtime.evaluate", asked).await?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(details.to_string()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    async fn asks(&mut self, method: &str, params: Value) -> Value {
        self.calls(method, params).await.unwrap_or_else(|why| panic!("{method}: {why}"))
    }

    async fn calls(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.asked += 1;
        let mut request = json!({ "id": self.asked, "method": method, "params": params });
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        let mut bytes = request.to_string().into_bytes();
        bytes.push(0);
        self.requests.write_all(&bytes).await.expect("the browser reads");
        loop {
            let message = timeout(PATIENCE, self.hears()).await.expect("the browser answers in time");
            if message["id"] != json!(self.asked) {
                self.notes(&message);
            } else if message["error"].is_null() {
                return Ok(message["result"].clone());
            } else {
                return Err(message["error"].to_string());
            }
        }
    }

    async fn hears(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.answers.read_until(0, &mut bytes).await.expect("the browser can be heard");
        assert_eq!(bytes.pop(), Some(0), "the browser has ended by itself");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// Keeps what a page complains of. That an answer of the service was an error is the service's word, and no complaint.
    fn notes(&mut self, message: &Value) {
        let (params, entry) = (&message["params"], &message["params"]["entry"]);
        let is_complaint = match message["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => true,
            "Log.entryAdded" => entry["level"] == "error" && entry["source"] != "network",
            _ => false,
        };
        if is_complaint {
            self.complaints.push(params.to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Left behind, it only costs the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
