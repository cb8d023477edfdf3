//! The tree of supervisors and actors, and the service that it runs in.

use std::time::Duration;

use serde_json::{Value, json};

use super::{duration, short, time};
use crate::cli::table::{Cell, Column, Tint, aligned};
use crate::proto::control::v1::{Exit, GetInfoResponse, Node, NodeKind, NodeStatus};

/// What is shown of the service.
pub const INFO: [Column; 8] = [
    Column::plain("version", "/version"),
    Column::plain("store", "/store"),
    Column::plain("schema", "/schema_version"),
    Column::plain("runner", "/runner_id"),
    Column::plain("uptime", "/uptime"),
    Column::plain("ready", "/ready"),
    Column::plain("not ready", "/not_ready_reason"),
    Column::plain("draining", "/draining"),
];

const HEADINGS: [&str; 7] = ["NAME", "STATUS", "RESTARTS", "LAST EXIT", "MAILBOX", "UPTIME", "NOTE"];

/// The node and its branch as a document.
pub fn node(node: &Node) -> Value {
    json!({
        "path": node.path,
        "kind": kind(node.kind),
        "status": status(node.status),
        "restarts": node.restarts,
        "last_exit": node.last_exit.as_ref().map(exit),
        "mailbox_depth": node.mailbox_depth,
        "mailbox_depth_max": node.mailbox_depth_max,
        "mailbox_capacity": node.mailbox_capacity,
        "uptime": duration(node.uptime.as_ref()),
        "in_flight": duration(node.in_flight.as_ref()),
        "note": node.note,
        "children": node.children.iter().map(self::node).collect::<Vec<_>>(),
    })
}

/// The service as a document.
pub fn info(info: &GetInfoResponse) -> Value {
    json!({
        "version": info.version,
        "store": info.store,
        "runner_id": info.runner_id,
        "uptime": duration(info.uptime.as_ref()),
        "ready": info.ready,
        "not_ready_reason": info.not_ready_reason,
        "schema_version": info.schema_version,
        "draining": info.draining,
    })
}

/// The branch as an indented table; with `paths`, each line names the whole path instead.
pub fn tree(root: &Node, paths: bool, colour: bool) -> String {
    let mut rows = vec![HEADINGS.map(Cell::new).to_vec()];
    branch(root, 0, paths, &mut rows);
    aligned(&rows, colour)
}

/// Recursion ends with the tree: the service does not send one deeper than gRPC's own limit of nesting.
fn branch(node: &Node, depth: usize, paths: bool, rows: &mut Vec<Vec<Cell>>) {
    rows.push(vec![
        Cell::new(if paths { node.path.clone() } else { name(node, depth) }),
        Cell::tinted(status(node.status), tint(node)),
        Cell::new(node.restarts.to_string()),
        Cell::new(node.last_exit.as_ref().map_or_else(String::new, exit_text)),
        Cell::new(mailbox(node)),
        Cell::new(node.uptime.as_ref().map_or_else(String::new, span)),
        Cell::new(note(node)),
    ]);
    for child in &node.children {
        branch(child, depth + 1, paths, rows);
    }
}

/// The last part of its path, below its supervisor's.
pub fn name(node: &Node, depth: usize) -> String {
    format!("{}{}", "  ".repeat(depth), node.path.rsplit('/').next().unwrap_or_default())
}

/// What lies in its mailbox, of what it holds. Nothing of a supervisor, whose mailbox is not told, nor of what does not run.
pub fn mailbox(node: &Node) -> String {
    match node.mailbox_capacity {
        0 => String::new(),
        capacity => format!("{}/{capacity}", node.mailbox_depth),
    }
}

pub(super) fn kind(number: i32) -> String {
    short(number, "NODE_KIND_", NodeKind::try_from(number).ok().map(|it| it.as_str_name()))
}

/// A status by its short name.
pub fn status(number: i32) -> String {
    short(number, "NODE_STATUS_", NodeStatus::try_from(number).ok().map(|it| it.as_str_name()))
}

pub(super) fn exit(exit: &Exit) -> Value {
    json!({
        "kind": exit.kind,
        "reason": exit.reason,
        "location": exit.location,
        "time": time(exit.time.as_ref()),
    })
}

/// The colour that says whether it needs a look. One that runs may be stuck or paused, which its note says.
pub fn tint(node: &Node) -> Option<Tint> {
    let is_noted = |wanted: &str| node.note.split("; ").any(|note| note == wanted);
    match NodeStatus::try_from(node.status).ok()? {
        NodeStatus::Running if is_noted("stuck") => Some(Tint::Red),
        NodeStatus::Running if is_noted("paused") => Some(Tint::Yellow),
        NodeStatus::Running => Some(Tint::Green),
        NodeStatus::Melted => Some(Tint::Red),
        NodeStatus::Starting | NodeStatus::BackingOff | NodeStatus::Stopping | NodeStatus::Stopped => {
            Some(Tint::Yellow)
        }
        NodeStatus::Disabled => Some(Tint::Dim),
        NodeStatus::Unspecified => None,
    }
}

/// Whether it needs a look: all but what runs as it should, and what is not wanted here.
pub fn needs_a_look(node: &Node) -> bool {
    !matches!(tint(node), Some(Tint::Green | Tint::Dim))
}

/// `kind: reason (location)`, without what is empty.
pub fn exit_text(exit: &Exit) -> String {
    let mut text = exit.kind.clone();
    if !exit.reason.is_empty() {
        text.push_str(&format!(": {}", exit.reason));
    }
    if !exit.location.is_empty() {
        text.push_str(&format!(" ({})", exit.location));
    }
    text
}

/// The note, and how long a message has been in hand: an actor that is stuck should be seen.
pub fn note(node: &Node) -> String {
    let in_hand = node.in_flight.as_ref().map(|time| format!("in hand for {}", span(time)));
    let note = Some(node.note.clone()).filter(|note| !note.is_empty());
    [note, in_hand].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Whole seconds, or milliseconds below one.
pub fn span(duration: &prost_types::Duration) -> String {
    let seconds = u64::try_from(duration.seconds).unwrap_or_default();
    let rounded = match seconds {
        0 => Duration::from_millis(u64::try_from(duration.nanos / 1_000_000).unwrap_or_default()),
        seconds => Duration::from_secs(seconds),
    };
    humantime::format_duration(rounded).to_string()
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;

    fn leaf(path: &str, status: NodeStatus) -> Node {
        Node {
            path: path.to_owned(),
            kind: NodeKind::Worker.into(),
            status: status.into(),
            mailbox_depth_max: 7,
            mailbox_capacity: 1024,
            ..Node::default()
        }
    }

    /// A house with a registrar that melted and a feed that is not configured.
    pub(in crate::cli) fn house() -> Node {
        let registrar = Node {
            restarts: 11,
            last_exit: Some(Exit {
                kind: "panic".to_owned(),
                reason: "answer\nwithout a code".to_owned(),
                location: "src/actors/boleto_registrar.rs:90".to_owned(),
                time: None,
            }),
            mailbox_depth: 3,
            note: "tried again in 5s".to_owned(),
            ..leaf("house/registrars", NodeStatus::Melted)
        };
        let notifier = Node {
            uptime: Some(prost_types::Duration { seconds: 3_723, nanos: 5 }),
            in_flight: Some(prost_types::Duration { seconds: 0, nanos: 12_000_000 }),
            ..leaf("house/notifiers", NodeStatus::Running)
        };
        let feed = Node {
            note: "no feed is configured".to_owned(),
            mailbox_capacity: 0,
            ..leaf("house/feed", NodeStatus::Disabled)
        };
        Node {
            path: "house".to_owned(),
            kind: NodeKind::Supervisor.into(),
            status: NodeStatus::Running.into(),
            uptime: Some(prost_types::Duration { seconds: 3_723, nanos: 5 }),
            children: vec![registrar, notifier, feed],
            ..Node::default()
        }
    }

    #[test]
    fn the_tree_is_an_indented_table() {
        let golden = "\
NAME          STATUS    RESTARTS  LAST EXIT                                                         MAILBOX  UPTIME    NOTE
house         running   0                                                                                    1h 2m 3s
  registrars  melted    11        panic: answer without a code (src/actors/boleto_registrar.rs:90)  3/1024             tried again in 5s
  notifiers   running   0                                                                           0/1024   1h 2m 3s  in hand for 12ms
  feed        disabled  0                                                                                              no feed is configured
";
        assert_eq!(tree(&house(), false, false), golden);
    }

    #[test]
    fn whole_paths_are_what_the_actor_commands_take() {
        let names: Vec<String> = tree(&house(), true, false)
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect();
        assert_eq!(names, ["house", "house/registrars", "house/notifiers", "house/feed"]);
    }

    #[test]
    fn colours_say_what_needs_a_look() {
        let text = tree(&house(), false, true);
        assert!(text.contains("\u{1b}[31mmelted\u{1b}[0m"), "melted is red");
        assert!(text.contains("\u{1b}[32mrunning\u{1b}[0m"), "running is green");
        assert!(text.contains("\u{1b}[2mdisabled\u{1b}[0m"), "disabled is dim");
    }

    #[test]
    fn what_runs_and_is_stuck_or_held_needs_a_look_as_well() {
        let noted = |note: &str| Node { note: note.to_owned(), ..leaf("house/a", NodeStatus::Running) };
        let seen = ["", "paused", "paused; stuck", "unstuck"].map(|note| {
            let node = noted(note);
            (tint(&node), needs_a_look(&node))
        });
        assert_eq!(
            seen,
            [
                (Some(Tint::Green), false),
                (Some(Tint::Yellow), true),
                (Some(Tint::Red), true),
                (Some(Tint::Green), false),
            ]
        );
        let seen = [NodeStatus::Starting, NodeStatus::Stopped, NodeStatus::Disabled, NodeStatus::Unspecified]
            .map(|status| needs_a_look(&leaf("house/a", status)));
        assert_eq!(seen, [true, true, false, true]);
    }

    #[test]
    fn a_status_from_a_newer_service_is_shown_as_its_number() {
        assert_eq!(status(99), "99");
        assert_eq!(tint(&Node { status: 99, ..Node::default() }), None);
    }
}
