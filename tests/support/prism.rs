//! A validating proxy written by others: it stands before a server and holds both sides to a public specification.
//!
//! **Owns** the process that it starts, which ends with it, and what that process has written down.
//! **Fails** a test that cannot find the program: the README's test command brings it. The specifications lie beside the
//! repository, not in it; where there are none nobody can judge, and the test's output says so, also when it passes.
//! **Limits**: a minute for the start, because it reads a long specification before it listens, and as long for a verdict.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);
const LISTENS: &str = "Prism is listening on ";
/// No specification has it, so that the proxy must find fault with it.
const NOWHERE: &str = "/asked-only-to-hear-a-verdict";

/// A proxy of one specification. What it finds wrong it says by 422 of a request, and by 500 and the header
/// `sl-violations` of an answer.
pub struct Prism {
    /// Where it listens, without a path.
    pub url: String,
    book: watch::Receiver<Verdict>,
    // Ends with this.
    _child: Child,
}

/// What a proxy has written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many requests it took.
    pub received: usize,
    /// What it found wrong, in its own words.
    pub faults: Vec<String>,
}

impl Verdict {
    fn note(&mut self, line: &str) {
        if line.contains("Request received") {
            self.received += 1;
        } else if [" error ", " warning ", "Violation"].iter().any(|word| line.contains(word)) {
            self.faults.push(line.trim().to_owned());
        }
    }
}

impl Prism {
    /// Starts one and waits until it listens.
    pub async fn before(upstream: &str, specification: &Path) -> Self {
        let mut child = Command::new(program())
            .args(["proxy", "-h", "127.0.0.1", "-p", "0", "--errors"])
            .arg(specification)
            .arg(upstream)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the proxy starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let listening = async {
            loop {
                let line = lines.next_line().await.expect("its lines can be read");
                let line = line.expect("the proxy listens before it ends");
                if let Some((_, address)) = line.split_once(LISTENS) {
                    return address.trim().to_owned();
                }
            }
        };
        let url = timeout(PATIENCE, listening).await.expect("the proxy listens in time");
        let (writer, book) = watch::channel(Verdict::default());
        // It writes lines for each request, and would wait for ever once nobody took them.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writer.send_modify(|book| book.note(&line));
            }
        });
        Prism { url, book, _child: child }
    }

    /// What it has found wrong, and how many requests it took. It is asked for something that is wrong: once it has found that,
    /// it has written down whatever came before.
    pub async fn verdict(mut self) -> Verdict {
        let address = self.url.strip_prefix("http://").expect("a plain address");
        let mut line = TcpStream::connect(address).await.expect("the proxy still listens");
        let request = format!("GET {NOWHERE} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        line.write_all(request.as_bytes()).await.expect("it takes a request");
        let mut answer = Vec::new();
        line.read_to_end(&mut answer).await.expect("it answers");
        let is_told = |book: &Verdict| book.faults.iter().any(|fault| fault.contains(NOWHERE));
        let told = timeout(PATIENCE, self.book.wait_for(is_told)).await.expect("a verdict in time");
        let mut verdict = told.expect("the proxy goes on writing").clone();
        verdict.received -= 1;
        verdict.faults.retain(|fault| !fault.contains(NOWHERE));
        verdict
    }
}

fn program() -> String {
    std::env::var("BURSAR_TEST_PRISM")
        .expect("BURSAR_TEST_PRISM names a program; the README's test command sets it")
}

/// A specification's file; nothing where there are no specifications.
pub fn specification(name: &str) -> Option<PathBuf> {
    // Whoever has no proxy hears of it, with specifications or without.
    let _ = program();
    let Some(folder) = std::env::var_os("BURSAR_SPECS") else {
        // Not by `eprintln`, which is kept back where a test passes.
        let _ = writeln!(std::io::stderr(), "NOT JUDGED by {name}: BURSAR_SPECS names no folder");
        return None;
    };
    let file = PathBuf::from(folder).join(name);
    assert!(file.is_file(), "BURSAR_SPECS has no {name}");
    Some(file)
}
