//! What is on the screen, apart from how it is drawn: the panes with their rows, what is chosen in them, and what is being asked.
//!
//! **Owns** the last answer to each question, and to the one about the row that is read. **Fails** never: what the service refused is
//! what the pane says, above what it last had to show. **Limits**: knows no clock, no terminal and no connection; all of it is said to
//! it.

use std::collections::HashSet;

use chrono::{DateTime, SecondsFormat, Utc};

use super::history;
use super::news::{News, Reading, Wanted};
use super::pace::Pace;
use super::rows::{self, Row};
use crate::cli::render::node;
use crate::cli::table::{Tint, safe};
use crate::proto::control::v1::{GetInfoResponse, WorkState};

/// What there is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Tree,
    Queues,
    Breakers,
    Timetable,
    Failing,
    Boletos,
    Transfers,
}

impl Pane {
    /// In the order of Tab.
    pub const ALL: [Self; 7] = [
        Self::Tree,
        Self::Queues,
        Self::Breakers,
        Self::Timetable,
        Self::Failing,
        Self::Boletos,
        Self::Transfers,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::Tree => "Tree",
            Self::Queues => "Queues",
            Self::Breakers => "Breakers",
            Self::Timetable => "Timetable",
            Self::Failing => "Failing",
            Self::Boletos => "Boletos",
            Self::Transfers => "Transfers",
        }
    }

    /// The heading of each column, and how many characters wide it is; the last one takes what is left.
    pub fn columns(self) -> &'static [(&'static str, u16)] {
        match self {
            Self::Tree => {
                &[("NAME", 28), ("STATUS", 11), ("RESTARTS", 8), ("MAILBOX", 9), ("UPTIME", 9), ("NOTE", 0)]
            }
            Self::Queues => &[
                ("QUEUE", 34),
                ("DUE", 6),
                ("LATER", 6),
                ("RUNS", 4),
                ("OLDEST", 7),
                ("GROWS/S", 7),
                ("STATE", 0),
            ],
            Self::Breakers => &[("BREAKER OF", 34), ("STATE", 9), ("FAILURES", 8), ("NEXT PROBE", 0)],
            Self::Timetable => &[("JOB", 22), ("STATE", 13), ("EVERY", 8), ("NEXT", 25), ("RUN", 0)],
            Self::Failing => {
                &[("KIND", 20), ("STATE", 11), ("TRIED", 6), ("SINCE, OR AGAIN AT", 20), ("ERROR", 0)]
            }
            Self::Boletos => {
                &[("CREATED", 20), ("STATUS", 20), ("AMOUNT", 15), ("DUE", 10), ("REFERENCE", 0)]
            }
            Self::Transfers => &[("RECORDED", 20), ("STATE", 12), ("ANSWERED", 8), ("FEED", 12), ("KEY", 0)],
        }
    }

    fn after(self, steps: usize) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or_default();
        Self::ALL[(at + steps) % Self::ALL.len()]
    }
}

/// One pane's rows, and the one that is chosen.
#[derive(Debug, Default)]
pub struct Shelf {
    rows: Vec<Row>,
    /// Whether the service has more than it was asked for.
    pub has_more: bool,
    /// Why the service does not answer.
    pub fault: Option<String>,
    /// Whether it has ever answered.
    pub is_known: bool,
    chosen: Option<String>,
    /// Where the chosen one stood, for when it is gone.
    at: usize,
}

/// What the keys mean just now.
#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    Looking,
    /// The filter is being written.
    Filtering,
    /// All about one row; so many lines of it were passed over.
    Reading(usize),
    Help,
    /// Something is to be done, and is asked about first.
    Asking(Question),
}

/// What the service said when it was asked for more of a row than its list tells.
#[derive(Debug)]
struct Opened {
    wanted: Wanted,
    /// All that is known of it, its history last.
    detail: Vec<String>,
    /// Why the service does not tell.
    fault: Option<String>,
}

/// What is to be done to one piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Retry,
    Cancel,
}

/// Something that is to be done once it has a reason and was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub act: Act,
    pub work_id: String,
    /// What it is, for people.
    pub about: String,
    pub reason: String,
    /// Whether the reason is given, and only the word is missing.
    pub is_confirming: bool,
}

/// How the service stands.
#[derive(Debug)]
pub struct House {
    pub line: String,
    pub standing: String,
    pub tint: Tint,
}

/// The whole screen.
#[derive(Debug)]
pub struct State {
    pub address: String,
    pub house: Option<House>,
    pub focus: Pane,
    pub mode: Mode,
    pub filter: String,
    pub is_paused: bool,
    /// Since when nobody answers, and why.
    pub lost: Option<String>,
    /// What came of the last thing that was done.
    pub notice: Option<String>,
    /// Nodes that need a look.
    pub troubled: usize,
    /// The work that has ended as a dead letter, by its id, as far as it was asked for.
    pub dead: HashSet<String>,
    /// Whether there are more dead letters.
    pub dead_has_more: bool,
    shelves: [Shelf; Pane::ALL.len()],
    opened: Option<Opened>,
    pace: Pace,
}

impl State {
    pub fn new(address: String) -> Self {
        Self {
            address,
            house: None,
            focus: Pane::Tree,
            mode: Mode::Looking,
            filter: String::new(),
            is_paused: false,
            lost: None,
            notice: None,
            troubled: 0,
            dead: HashSet::new(),
            dead_has_more: false,
            shelves: Default::default(),
            opened: None,
            pace: Pace::default(),
        }
    }

    pub fn shelf(&self, pane: Pane) -> &Shelf {
        &self.shelves[pane as usize]
    }

    fn shelf_mut(&mut self, pane: Pane) -> &mut Shelf {
        &mut self.shelves[pane as usize]
    }

    /// Takes something that was heard from the service, or about it.
    pub fn hear(&mut self, news: News) {
        match news {
            News::Lost { why, at } => self.lose(&why, at),
            News::Steered(what) => self.notice = Some(safe(&what)),
            News::Refused(pane, why) => {
                self.lost = None;
                let why = safe(&why);
                if pane == Pane::Tree {
                    // They come with it.
                    self.shelf_mut(Pane::Breakers).fault = Some(why.clone());
                }
                self.shelf_mut(pane).fault = Some(why);
            }
            News::Untold(wanted, why) => {
                self.lost = None;
                let known = self.opened.take().filter(|opened| opened.wanted == wanted);
                let detail = known.map_or_else(Vec::new, |opened| opened.detail);
                self.opened = Some(Opened { wanted, detail, fault: Some(safe(&why)) });
            }
            News::Read(reading) => {
                self.lost = None;
                // Whoever pauses wants to read what stands there, all of it.
                let is_first =
                    matches!(reading, Reading::Boleto(..) | Reading::Transfer(..)) && self.opened().is_none();
                if !self.is_paused || is_first {
                    self.read(reading);
                }
            }
        }
    }

    fn lose(&mut self, why: &str, at: DateTime<Utc>) {
        // The first word of it counts: since when, not since the last time that somebody tried.
        if self.lost.is_none() {
            let since = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            self.lost = Some(safe(&format!("not connected since {since}, trying again: {why}")));
        }
    }

    fn read(&mut self, reading: Reading) {
        match reading {
            Reading::House(info) => self.house = Some(House::of(&info)),
            Reading::Tree(root) => {
                self.troubled = rows::troubled(&root);
                self.fill(Pane::Tree, rows::tree(&root), false);
            }
            Reading::Breakers(breakers) => self.fill(Pane::Breakers, rows::breakers(&breakers), false),
            Reading::Queues { queues, has_more, at } => {
                self.pace.look(&queues, at);
                let rows = rows::queues(queues, &self.pace);
                self.fill(Pane::Queues, rows, has_more);
            }
            Reading::Timetable(schedules) => self.fill(Pane::Timetable, rows::timetable(&schedules), false),
            Reading::Failing { work, dead_has_more, has_more } => {
                self.dead_has_more = dead_has_more;
                let dead = work.iter().filter(|one| one.state() == WorkState::Discarded);
                self.dead = dead.map(|one| one.id.clone()).collect();
                self.fill(Pane::Failing, rows::failing(&work), has_more);
            }
            Reading::Boletos { boletos, has_more } => {
                self.fill(Pane::Boletos, rows::boletos(&boletos), has_more);
            }
            Reading::Transfers { transfers, has_more } => {
                self.fill(Pane::Transfers, rows::transfers(&transfers), has_more);
            }
            Reading::Boleto(boleto, history) => {
                let detail = history::of_boleto(&boleto, &history);
                self.opened = Some(Opened { wanted: Wanted::Boleto(boleto.id), detail, fault: None });
            }
            Reading::Transfer(transfer, changes) => {
                let detail = history::of_transfer(&transfer, &changes);
                self.opened = Some(Opened { wanted: Wanted::Transfer(transfer.id), detail, fault: None });
            }
        }
    }

    fn fill(&mut self, pane: Pane, rows: Vec<Row>, has_more: bool) {
        let shelf = self.shelf_mut(pane);
        *shelf = Shelf { rows, has_more, fault: None, is_known: true, ..std::mem::take(shelf) };
    }

    /// The rows of a pane that the filter lets through.
    pub fn rows(&self, pane: Pane) -> Vec<&Row> {
        let wanted = self.filter.to_lowercase();
        self.shelf(pane).rows.iter().filter(|row| wanted.is_empty() || row.contains(&wanted)).collect()
    }

    /// How many rows a pane has, whatever the filter.
    pub fn count(&self, pane: Pane) -> usize {
        self.shelf(pane).rows.len()
    }

    /// Which of the focused pane's rows is chosen: the one that was, or what stands in its place.
    pub fn chosen(&self) -> Option<usize> {
        let (rows, shelf) = (self.rows(self.focus), self.shelf(self.focus));
        let same = rows.iter().position(|row| Some(&row.key) == shelf.chosen.as_ref());
        same.or_else(|| rows.len().checked_sub(1).map(|last| shelf.at.min(last)))
    }

    pub fn chosen_row(&self) -> Option<&Row> {
        self.chosen().and_then(|at| self.rows(self.focus).get(at).copied())
    }

    /// The row that is read, by its name: what stands in its place meanwhile is another.
    fn read_row(&self) -> Option<&Row> {
        let shelf = self.shelf(self.focus);
        shelf.rows.iter().find(|row| Some(&row.key) == shelf.chosen.as_ref())
    }

    /// What is being read, where there is more of it than its list tells.
    pub fn wanted(&self) -> Option<Wanted> {
        let key = self.shelf(self.focus).chosen.clone().filter(|_| matches!(self.mode, Mode::Reading(_)))?;
        match self.focus {
            Pane::Boletos => Some(Wanted::Boleto(key)),
            Pane::Transfers => Some(Wanted::Transfer(key)),
            Pane::Tree | Pane::Queues | Pane::Breakers | Pane::Timetable | Pane::Failing => None,
        }
    }

    fn opened(&self) -> Option<&Opened> {
        let wanted = self.wanted()?;
        self.opened.as_ref().filter(|opened| opened.wanted == wanted)
    }

    /// All that is known of the row that is read, whether or not it is still listed; nothing where it is gone.
    pub fn read_detail(&self) -> Option<&[String]> {
        let asked = self.opened().map(|opened| opened.detail.as_slice()).filter(|detail| !detail.is_empty());
        asked.or_else(|| self.read_row().map(|row| row.detail.as_slice()))
    }

    /// Why the service does not tell more of the row that is read.
    pub fn read_fault(&self) -> Option<&str> {
        self.opened()?.fault.as_deref()
    }

    /// Chooses the row that stands there, if there is one, so that it stays chosen whatever comes.
    pub fn settle(&mut self) -> bool {
        self.choose(0);
        self.chosen().is_some()
    }

    /// Chooses another row of the focused pane, so many further down or up.
    pub fn choose(&mut self, step: isize) {
        let Some(at) = self.chosen() else { return };
        let rows = self.rows(self.focus);
        let at = at.saturating_add_signed(step).min(rows.len().saturating_sub(1));
        let key = rows.get(at).map(|row| row.key.clone());
        let shelf = self.shelf_mut(self.focus);
        (shelf.at, shelf.chosen) = (at, key);
    }

    /// Goes on to another pane.
    pub fn go_on(&mut self, backwards: bool) {
        self.focus = self.focus.after(if backwards { Pane::ALL.len() - 1 } else { 1 });
    }

    /// Begins to ask whether something is to be done to the chosen work; says why where it cannot be.
    pub fn ask(&mut self, act: Act) {
        self.settle();
        let is_work = self.focus == Pane::Failing;
        let Some(row) = self.chosen_row().filter(|_| is_work) else {
            self.notice = Some("choose a row of the pane Failing first".to_owned());
            return;
        };
        if act == Act::Cancel && self.dead.contains(&row.key) {
            let words = "a dead letter has ended; only what is to be tried again can be cancelled";
            self.notice = Some(words.to_owned());
            return;
        }
        if self.lost.is_some() {
            self.notice = Some("nobody answers just now".to_owned());
            return;
        }
        let kind = row.cells.first().map_or("", |kind| kind.text());
        let question = Question {
            act,
            work_id: row.key.clone(),
            about: format!("{kind} {}", safe(&row.key)),
            reason: String::new(),
            is_confirming: false,
        };
        (self.notice, self.mode) = (None, Mode::Asking(question));
    }
}

impl House {
    fn of(info: &GetInfoResponse) -> Self {
        let uptime =
            info.uptime.as_ref().map_or_else(String::new, |span| format!("  up {}", node::span(span)));
        let (standing, tint) = match (info.draining, info.ready) {
            (true, _) => ("draining".to_owned(), Tint::Yellow),
            (false, true) => ("ready".to_owned(), Tint::Green),
            (false, false) => (format!("not ready: {}", info.not_ready_reason), Tint::Red),
        };
        let line = safe(&format!("bursar {}  {}{uptime}", info.version, info.store));
        Self { line, standing: safe(&standing), tint }
    }
}

impl Act {
    pub fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }
}
