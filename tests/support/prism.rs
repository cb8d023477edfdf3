//! A validating proxy written by others: it stands before a server and holds both sides to a public specification.
//!
//! **Owns** the process that it starts, which ends with it.
//! **Fails** a test that cannot find the program: the README's test command brings it. The specifications lie beside the
//! repository, not in it; where there are none nobody can judge, and the test command says so.
//! **Limits**: a minute for the start, because it reads a long specification before it listens.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const START_PATIENCE: Duration = Duration::from_secs(60);

/// A proxy of one specification. What it finds wrong it says by 422 of a request, and by 500 and the header
/// `sl-violations` of an answer.
pub struct Prism {
    /// Where it listens, without a path.
    pub url: String,
    // Ends with this.
    _child: Child,
}

impl Prism {
    /// Starts one and waits until it listens.
    pub async fn before(upstream: &str, specification: &PathBuf) -> Self {
        let program = std::env::var("BURSAR_TEST_PRISM")
            .expect("BURSAR_TEST_PRISM names a program; the README's test command sets it");
        let mut child = Command::new(program)
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
                if let Some((_, address)) = line.split_once("Prism is listening on ") {
                    return address.trim().to_owned();
                }
            }
        };
        let url = timeout(START_PATIENCE, listening).await.expect("the proxy listens in time");
        // It writes lines for each request, and would wait for ever once nobody took them.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Prism { url, _child: child }
    }
}

/// A specification's file; nothing where there are no specifications.
pub fn specification(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("BURSAR_SPECS") else {
        eprintln!("not judged: BURSAR_SPECS names no folder of specifications");
        return None;
    };
    Some(PathBuf::from(folder).join(name))
}
