//! What a database has said, judged: whether it keeps its word, whether its clock is ours, whether anything piles up.
//!
//! **Owns** nothing. **Fails** never: a database that is away is a finding. **Limits**: the constants below.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Finding, Level};
use crate::config::Config;
use crate::store::connect::OpenError;
use crate::store::examine::{DueQueue, Examined, OUR_SCHEMA};

/// Past it a clock is wrong: banks and queues refuse what was signed five minutes ago, and tokens of a minute end at once.
const CLOCK_OFF_MS: i64 = 5_000;
/// Past it somebody should look.
const CLOCK_DRIFTS_MS: i64 = 1_000;
/// Due for so long, work is not merely next in turn.
const DUE_FOR: TimeDelta = TimeDelta::minutes(5);
/// A house keeps two connections for its lease and one that listens, beside those of `store.connections_max`.
const CONNECTIONS_BESIDE: i64 = 3;

/// What there is to say of it.
pub(super) fn findings(
    config: &Config,
    examined: Result<Option<Examined>, OpenError>,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    match examined {
        Ok(Some(examined)) => judge(config, &examined, now),
        Ok(None) => {
            vec![Finding::well("store", "there is none yet; the first start makes it"), clock_alone()]
        }
        Err(error) => {
            let why = "without its store the house takes no requests";
            let remedy = "see that the server runs, that store.url leads to it from here, and that the user may sign in";
            vec![Finding::new(Level::Wrong, "store", error.to_string(), why, remedy)]
        }
    }
}

fn judge(config: &Config, examined: &Examined, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings = vec![schema(examined)];
    if let Some((name, value)) = &examined.forgets {
        findings.push(Finding::new(
            Level::Wrong,
            "store",
            format!("the server has {name} = {value}"),
            "after a power cut it may have forgotten what callers were told; no house is opened on it",
            format!("set {name} to on for the server, the database and the user"),
        ));
    }
    if examined.is_read_only {
        findings.push(Finding::new(
            Level::Wrong,
            "store",
            "the server takes no changes: a standby, or one that was made read-only",
            "nothing can be created, claimed or settled",
            "let store.url lead to the primary",
        ));
    }
    findings.push(examined.clock_ahead_ms.map_or_else(clock_alone, clock));
    findings.extend(examined.connections.map(|counts| connections(config, counts)));
    findings.extend(queues(&examined.due, now));
    findings.push(match examined.dead_letters {
        0 => Finding::well("work", "nothing was given up"),
        count => Finding::new(
            Level::Soon,
            "work",
            format!("{count} pieces of work were given up"),
            "nobody does them unless somebody says so",
            "`bursar work list --state discarded` shows them with their last error; `bursar work retry` has them done",
        ),
    });
    findings
}

fn schema(examined: &Examined) -> Finding {
    let server = &examined.server;
    match examined.schema {
        None => Finding::well("store", format!("{server}, empty; the first start makes its tables")),
        Some((version, least)) if least > i64::from(OUR_SCHEMA) => Finding::new(
            Level::Wrong,
            "store",
            format!(
                "{server}, schema {version}, which needs a program that knows schema {least}; this one knows {OUR_SCHEMA}"
            ),
            "this program does not open it",
            "install the release that wrote it, or a newer one",
        ),
        Some((version, _)) if version < i64::from(OUR_SCHEMA) => Finding::new(
            Level::Soon,
            "store",
            format!("{server}, schema {version}; this program brings it to {OUR_SCHEMA} when it starts"),
            "programs older than the release before this one can then no longer open it",
            "take a backup before the first start",
        ),
        Some((version, _)) => Finding::well("store", format!("{server}, schema {version}")),
    }
}

/// Of a database that has no clock of its own.
fn clock_alone() -> Finding {
    let what =
        "not looked at: SQLite goes by this machine's clock, and there is no other here to hold it against";
    let why = "banks and queues refuse what is signed five minutes off, and tokens of a minute end at once";
    Finding::new(Level::Well, "clock", what, why, "`timedatectl` says whether it is kept by NTP")
}

fn clock(ahead_ms: i64) -> Finding {
    let level = match ahead_ms.abs() {
        0..=CLOCK_DRIFTS_MS => Level::Well,
        ahead if ahead <= CLOCK_OFF_MS => Level::Soon,
        _ => Level::Wrong,
    };
    let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let what = format!("the database's clock is {} ms {side} this machine's", ahead_ms.abs());
    if level == Level::Well {
        return Finding::well("clock", what);
    }
    let why = "tokens, signatures and certificates are judged by this machine's clock, waits and leases by the database's";
    Finding::new(level, "clock", what, why, "keep both by NTP; `timedatectl` says whether this one is")
}

fn connections(config: &Config, (used, most): (i64, i64)) -> Finding {
    let wanted = i64::from(config.store.connections_max) + CONNECTIONS_BESIDE;
    let what = format!("{used} of {most} connections are in use; a house takes up to {wanted}");
    match wanted > most - used {
        true => Finding::new(
            Level::Soon,
            "store",
            what,
            "one more process may find no connection and wait",
            "raise max_connections, lower store.connections_max, or put a pooler before the server; \
             where a house runs already its own are among those in use",
        ),
        false => Finding::well("store", what),
    }
}

fn queues(due: &[DueQueue], now: DateTime<Utc>) -> Vec<Finding> {
    let late: Vec<Finding> = due
        .iter()
        .filter(|queue| now - queue.oldest_due_at > DUE_FOR)
        .map(|queue| {
            let minutes = (now - queue.oldest_due_at).num_minutes();
            let paused = if queue.is_paused { ", and the queue is paused" } else { "" };
            let what = format!("{} rows are due, the first for {minutes} min{paused}", queue.rows);
            let remedy = match queue.is_paused {
                true => format!("`bursar queue resume {}` lets it go on", queue.name),
                false => "see that a house runs (`bursar ps`), that the party behind the queue answers \
                          (`bursar work list`), and that work.lanes are enough"
                    .to_owned(),
            };
            let why = "what was asked for is not done, and the queue grows";
            Finding::new(Level::Soon, format!("queue {}", queue.name), what, why, remedy)
        })
        .collect();
    match late.is_empty() {
        true => {
            vec![Finding::well("queues", format!("nothing has been due for {} min", DUE_FOR.num_minutes()))]
        }
        false => late,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(examined: &Examined, now: DateTime<Utc>) -> Vec<(String, Level)> {
        let found = judge(&Config::default(), examined, now);
        found
            .into_iter()
            .map(|one| (one.subject, one.level))
            .filter(|(_, level)| *level != Level::Well)
            .collect()
    }

    #[test]
    fn a_database_is_judged_by_what_it_says() {
        let now: DateTime<Utc> = "2026-05-01T12:00:00Z".parse().unwrap();
        let well = Examined {
            server: "PostgreSQL 15".to_owned(),
            schema: Some((i64::from(OUR_SCHEMA), 1)),
            clock_ahead_ms: Some(-40),
            forgets: None,
            is_read_only: false,
            connections: Some((3, 100)),
            due: vec![DueQueue {
                name: "boleto".to_owned(),
                rows: 9,
                oldest_due_at: now - TimeDelta::minutes(1),
                is_paused: false,
            }],
            dead_letters: 0,
            bank_certificates: Vec::new(),
        };
        assert_eq!(levels(&well, now), []);
        let of = |subject: &str, level| (subject.to_owned(), level);
        let off = Examined { clock_ahead_ms: Some(-6_000), ..well.clone() };
        assert_eq!(levels(&off, now), [of("clock", Level::Wrong)]);
        let alone = Examined { clock_ahead_ms: None, ..well.clone() };
        assert_eq!(levels(&alone, now), []);
        let found = judge(&Config::default(), &alone, now);
        let clock = found.iter().find(|one| one.subject == "clock").unwrap();
        assert!(clock.what.starts_with("not looked at") && clock.remedy.contains("timedatectl"));
        let forgetful = Examined {
            forgets: Some(("synchronous_commit".to_owned(), "off".to_owned())),
            is_read_only: true,
            ..well.clone()
        };
        assert_eq!(levels(&forgetful, now), [of("store", Level::Wrong), of("store", Level::Wrong)]);
        let newer = Examined { schema: Some((99, 99)), ..well.clone() };
        assert_eq!(levels(&newer, now), [of("store", Level::Wrong)]);
        let full = Examined { connections: Some((99, 100)), dead_letters: 2, ..well.clone() };
        assert_eq!(levels(&full, now), [of("store", Level::Soon), of("work", Level::Soon)]);
        assert_eq!(levels(&well, now + TimeDelta::minutes(10)), [of("queue boleto", Level::Soon)]);
    }
}
