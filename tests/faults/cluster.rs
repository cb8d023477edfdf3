//! A PostgreSQL server of a test's own, which it may stop in the cruellest way and start again.
//!
//! **Owns** the server and its folder; both go when this is dropped. **Fails** a test whose server does not come up.
//! **Limits**: the programs and the start are those of `.ci/postgres`; its one database is named `postgres`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/postgres");

/// The server, up or down.
pub struct Cluster {
    pub url: String,
    folder: PathBuf,
    programs: PathBuf,
}

impl Cluster {
    /// A new server, up.
    pub async fn start() -> Self {
        Self::start_in(&std::env::temp_dir()).await
    }

    /// A new server whose folder is made in this one.
    pub async fn start_in(parent: &Path) -> Self {
        let parent = parent.to_owned();
        tokio::task::spawn_blocking(move || {
            let programs = said(Command::new(SCRIPT).arg("bin"));
            let started = said(Command::new(SCRIPT).arg("start").env("TMPDIR", &parent));
            let (folder, url) = started.split_once('\n').expect("a folder and a URL");
            Self { url: url.to_owned(), folder: folder.into(), programs: programs.into() }
        })
        .await
        .expect("a start that does not panic")
    }

    /// Stops it as a crash would: connections are cut, and nothing is written down any more.
    pub async fn crash(&self) {
        self.control(&["stop", "-m", "immediate"]).await;
    }

    /// Stops it as a crash would and starts it again at once.
    pub async fn restart(&self) {
        let log = self.folder.join("data/server.log").display().to_string();
        self.control(&["restart", "-m", "immediate", "-l", &log]).await;
    }

    /// Starts it again; it repairs itself first.
    pub async fn come_back(&self) {
        let log = self.folder.join("data/server.log").display().to_string();
        self.control(&["start", "-l", &log]).await;
    }

    async fn control(&self, arguments: &[&str]) {
        let mut command = as_owner(&self.programs.join("pg_ctl").display().to_string());
        // A server keeps the outputs that it is started with, so it gets none of ours.
        command.args(arguments).args(["-w", "-t", "60", "-s", "-D"]).arg(self.folder.join("data"));
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = tokio::task::spawn_blocking(move || command.status()).await.expect("no panic");
        assert!(status.as_ref().is_ok_and(|status| status.success()), "pg_ctl {arguments:?}: {status:?}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test that fails already is not to be aborted by a second panic; what is left is in the temporary folder.
        let _ = Command::new(SCRIPT).arg("stop").arg(&self.folder).output();
    }
}

/// The server refuses to run as root, so root hands it to the user that its package made.
fn as_owner(program: &str) -> Command {
    let who = said(Command::new("id").arg("-u"));
    if who == "0" {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", program]);
        command
    } else {
        Command::new(program)
    }
}

fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("a program that can be run");
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text").trim().to_owned()
}
