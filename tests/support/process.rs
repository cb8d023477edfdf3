//! The program itself as a process, started, signalled and killed by a test.
//!
//! **Owns** the child process, which is killed when this is dropped, and every line that it wrote. **Fails** a test with
//! those lines. **Limits**: nothing is waited for longer than [`PATIENCE`].

use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a test waits for something that should take a moment: a machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a state that sends no signal.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a failed test shows of them.
const LINES_SHOWN: usize = 20;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_bursar");

/// The program, running or ended.
pub struct Program {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    /// Starts the program. Its input stays open and empty.
    pub fn start<A: AsRef<OsStr>>(arguments: &[A], environment: &[(String, String)]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let (keep, lines) = watch::channel(Vec::new());
        let stdout = child.stdout.take().expect("a piped stdout");
        let stderr = child.stderr.take().expect("a piped stderr");
        let readers =
            vec![tokio::spawn(read(stdout, keep.clone())), tokio::spawn(read(stderr, keep.clone()))];
        Self { child, lines, readers }
    }

    /// The last lines that it has written so far, on both outputs.
    pub fn said(&self) -> String {
        let lines = self.lines.borrow();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    /// The first line that satisfies `wanted`, or nothing if the program ends without it.
    pub async fn line(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut lines = self.lines.clone();
        let found = |lines: &Vec<String>| lines.iter().find(|line| wanted(line)).cloned();
        let waited = tokio::time::timeout(PATIENCE, lines.wait_for(|lines| found(lines).is_some())).await;
        match waited {
            // What was found holds the lines: who asked for them once more would wait for a reader that waits for us.
            Ok(Ok(lines)) => found(&lines),
            // Both outputs have ended.
            Ok(Err(_)) => found(&self.lines.borrow()),
            Err(_) => panic!("the line did not come; the program said:\n{}", self.said()),
        }
    }

    /// The first line so far that satisfies `wanted`.
    pub fn find(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.lines.borrow().iter().find(|line| wanted(line)).cloned()
    }

    /// Begins to watch anew how much memory it takes at most (Linux: `proc_pid_clear_refs(5)`).
    pub fn watch_memory(&self) {
        let path = format!("/proc/{}/clear_refs", self.child.id().expect("a program that runs"));
        std::fs::write(path, "5").expect("a child's memory can be watched");
    }

    /// The most memory that it has taken since, in KiB.
    pub fn memory_peak_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().expect("a program that runs"));
        let status = std::fs::read_to_string(path).expect("a program that runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("what it has taken");
        peak.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Sends a signal by its name, such as `TERM`. A program that has ended gets none: who waits for it learns how it ended.
    pub fn signal(&self, name: &str) {
        let Some(pid) = self.child.id() else { return };
        let sent = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no SIG{name} could be sent");
    }

    /// Kills it as `kill -9` does, and waits for its end.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child that can be killed");
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child that can be waited for").is_none()
    }

    /// Waits for its end, and for the last line that it wrote.
    pub async fn ended(&mut self) -> ExitStatus {
        let Ok(status) = tokio::time::timeout(PATIENCE, self.child.wait()).await else {
            panic!("the program did not end; it said:\n{}", self.said())
        };
        for reader in self.readers.drain(..) {
            reader.await.expect("a reader that ends with its pipe");
        }
        status.expect("a child that can be waited for")
    }
}

async fn read(pipe: impl AsyncRead + Unpin, keep: watch::Sender<Vec<String>>) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        keep.send_modify(|lines| lines.push(line));
    }
}

/// Looks again and again until `look` finds something.
pub async fn eventually<T>(awaited: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let looking = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("{awaited} did not come within {PATIENCE:?}"),
    }
}
