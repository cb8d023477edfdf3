//! What processes use, as the kernel counts it: processor time and resident memory.
//!
//! **Owns** nothing. **Fails** with nothing at all: of a process that cannot be seen (another machine, another PID
//! namespace) no figure is known, and none is shown.
//! **Limits**: the kernel counts in ticks of 10 ms, so windows of seconds are meant; Linux only.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// `USER_HZ`: what `/proc` shows is in hundredths of a second on every architecture, whatever the kernel's own rate.
const TICKS_PER_SECOND: u64 = 100;
/// What a line of the effects ledger says when a queue took a message.
const TOLD: &str = "\"owner.sqs\"";

/// Which processes are watched, and where the outside writes what it took.
pub(super) struct Meters {
    pub service: u32,
    pub world: Option<u32>,
    /// The parent of all processes of a PostgreSQL cluster.
    pub postmaster: Option<u32>,
    pub ledger: Mutex<LedgerTail>,
}

/// All meters at one moment.
pub(super) struct Reading {
    pub service: Option<Duration>,
    pub world: Option<Duration>,
    pub database: Option<Duration>,
    pub client: Option<Duration>,
    /// Messages that owners' queues have taken so far.
    pub told: u64,
}

impl Meters {
    /// Reads them all.
    pub fn read(&self) -> Reading {
        Reading {
            told: self.ledger.lock().map_or(0, |mut tail| tail.count()),
            service: cpu_time(self.service),
            world: self.world.and_then(cpu_time),
            database: self.postmaster.and_then(cluster_cpu_time),
            client: cpu_time(std::process::id()),
        }
    }
}

/// Processor time of this process and of the cluster whose parent is named, at one moment.
pub(super) struct Usage {
    client: Option<Duration>,
    database: Option<Duration>,
}

impl Usage {
    pub fn now(postmaster: Option<u32>) -> Self {
        Self { client: cpu_time(std::process::id()), database: postmaster.and_then(cluster_cpu_time) }
    }

    /// Microseconds of this process since then.
    pub fn client_us_since(&self, earlier: &Self) -> Option<f64> {
        Some(self.client?.saturating_sub(earlier.client?).as_secs_f64() * 1e6)
    }

    /// Microseconds of the cluster since then.
    pub fn database_us_since(&self, earlier: &Self) -> Option<f64> {
        Some(self.database?.saturating_sub(earlier.database?).as_secs_f64() * 1e6)
    }
}

/// Counts the effects of one kind in a ledger that somebody else is writing, each byte once.
pub(super) struct LedgerTail {
    path: PathBuf,
    kind: &'static str,
    offset: u64,
    counted: u64,
}

impl LedgerTail {
    /// Counts the messages that queues took.
    pub fn new(path: PathBuf) -> Self {
        Self::of(path, TOLD)
    }

    /// Counts the lines that hold this text.
    pub fn of(path: PathBuf, kind: &'static str) -> Self {
        Self { path, kind, offset: 0, counted: 0 }
    }

    pub fn count(&mut self) -> u64 {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut fresh = Vec::new();
        let read = fs::File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut fresh)
        });
        // A ledger that is not there yet holds nothing; the end of a line may not be written yet.
        let whole = fresh.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if read.is_ok() {
            let text = String::from_utf8_lossy(&fresh[..whole]);
            self.counted += text.lines().filter(|line| line.contains(self.kind)).count() as u64;
            self.offset += whole as u64;
        }
        self.counted
    }
}

/// Processor time of a process so far, all its threads together.
fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = Stat::of(pid)?;
    Some(ticks(stat.own))
}

/// Processor time of a cluster so far: its parent, the children that live, and those that have ended.
fn cluster_cpu_time(postmaster: u32) -> Option<Duration> {
    let parent = Stat::of(postmaster)?;
    let children: u64 = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Stat::of)
        .filter(|stat| stat.parent == postmaster)
        .map(|stat| stat.own)
        .sum();
    Some(ticks(parent.own + parent.ended_children + children))
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1_000 / TICKS_PER_SECOND)
}

/// The parts of `/proc/PID/stat` (proc(5)) that are asked for here.
struct Stat {
    name: String,
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in parentheses and may hold some itself, so the fields are counted from the last one.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        // The first field after the name is the third of the manual's list.
        let number = |of_manual: usize| fields.get(of_manual - 3)?.parse::<u64>().ok();
        Some(Self {
            name: name.to_owned(),
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            ended_children: number(16)? + number(17)?,
        })
    }
}

/// The parent of a PostgreSQL server process, when that process is on this machine.
pub(super) fn postmaster_of(backend: u32) -> Option<u32> {
    let stat = Stat::of(backend)?;
    (stat.name == "postgres").then_some(stat.parent)
}

/// Resident memory of a process in MiB: what it is now, or the most that it ever was.
pub(super) fn resident_mib(pid: u32, peak: bool) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let name = if peak { "VmHWM:" } else { "VmRSS:" };
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// How busy the machine has been over the last minute.
pub(super) fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "77 (a (b) c) S 12 77 77 0 -1 0 1 2 3 4 500 60 7 8 20 0 9 0 1 2 3";
        let stat = Stat::parse(text).expect("a line of the kernel");
        assert_eq!((stat.name.as_str(), stat.parent), ("a (b) c", 12));
        assert_eq!((stat.own, stat.ended_children), (560, 15));
    }

    #[test]
    fn this_process_is_seen_and_one_that_is_not_there_is_not() {
        let own = std::process::id();
        assert!(cpu_time(own).is_some());
        // In this order, because the other tests of this process go on growing meanwhile.
        let now = resident_mib(own, false);
        assert!(now.is_some() && resident_mib(own, true) >= now);
        assert_eq!(cpu_time(u32::MAX), None);
        assert_eq!(postmaster_of(own), None);
    }

    #[test]
    fn a_ledger_is_counted_by_whole_lines_and_each_line_once() {
        use std::io::Write as _;
        let path = std::env::temp_dir().join(format!("bursar-bench-test-{}", uuid::Uuid::now_v7()));
        let mut tail = LedgerTail::new(path.clone());
        assert_eq!(tail.count(), 0);
        let mut file = fs::File::create(&path).expect("a file");
        let told = r#"{"kind":"owner.sqs"}"#;
        write!(file, "{told}\n{{\"kind\":\"bank.registered\"}}\n{told}").expect("written");
        assert_eq!(tail.count(), 1);
        writeln!(file).expect("written");
        assert_eq!((tail.count(), tail.count()), (2, 2));
        fs::remove_file(path).expect("removed");
    }
}
