//! How the screen is drawn, in words first and in colour where there is some.
//!
//! **Owns** nothing. **Fails** never: what has no room is cut off on the right, and lines that have none are left out.
//! **Limits**: meant for 80 columns and 24 lines and more.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};

use super::keys::HELP;
use super::rows::Row;
use super::state::{Mode, Pane, Question, State};
use crate::cli::table::Tint;

/// Lines of what is known of the chosen row, below the rows.
const FOOT_LINES: u16 = 2;
/// With fewer lines than that for both, rows alone are shown.
const FOOT_FROM_LINES: u16 = 12;
const KEYS: &str = "? help  q leave  Tab pane  Enter more  / filter  p pause  r retry  c cancel";

/// Draws all of it.
pub fn draw(state: &State, colour: bool, frame: &mut Frame) {
    let area = frame.area();
    Painter { colour, buffer: frame.buffer_mut() }.screen(state, area);
}

struct Painter<'a> {
    colour: bool,
    buffer: &'a mut Buffer,
}

impl Painter<'_> {
    fn screen(&mut self, state: &State, mut area: Rect) {
        let head = cut_top(&mut area, 1);
        self.head(state, head);
        if let Some(lost) = &state.lost {
            let line = cut_top(&mut area, 1);
            self.put(line, lost, self.tinted(Tint::Red).add_modifier(Modifier::REVERSED));
        }
        let tabs = cut_top(&mut area, 1);
        self.tabs(state, tabs);
        let last = cut_bottom(&mut area, 1);
        self.last_line(state, last);
        match &state.mode {
            Mode::Help => self.help(area),
            Mode::Reading(passed) => self.all_of_it(state, *passed, area),
            Mode::Looking | Mode::Filtering | Mode::Asking(_) => self.pane(state, area),
        }
    }

    fn head(&mut self, state: &State, mut area: Rect) {
        if state.is_paused {
            // First, for it has to be seen on the narrowest screen.
            let x = self.put(area, "PAUSED", Style::new().add_modifier(Modifier::REVERSED));
            area = from(area, x + 2);
        }
        let Some(house) = &state.house else {
            self.put(area, &format!("bursar at {}", state.address), Style::new());
            return;
        };
        let x = self.put(area, &format!("{}  {}  ", house.line, state.address), Style::new());
        self.put(from(area, x), &house.standing, self.tinted(house.tint).add_modifier(Modifier::BOLD));
    }

    /// All panes; with too little room only the focused one's rows are counted, and it is seen on the narrowest screen.
    fn tabs(&mut self, state: &State, mut area: Rect) {
        let width = usize::from(area.width);
        let mut tabs = Pane::ALL.map(|pane| Tab::of(state, pane, true));
        if Tab::width(&tabs) > width {
            tabs = Pane::ALL.map(|pane| Tab::of(state, pane, pane == state.focus));
        }
        let focus = state.focus as usize;
        // What is left out on the left has a sign there.
        let fits = |first: &usize| Tab::width(&tabs[*first..=focus]) + usize::from(*first > 0) <= width;
        let first = (0..focus).find(fits).unwrap_or(focus);
        if first > 0 {
            let x = self.put(area, "…", self.tinted(Tint::Dim));
            area = from(area, x);
        }
        for (at, Tab { title, ill }) in tabs.iter().enumerate().skip(first) {
            let (open, close) = if at == focus { ("[", "]") } else { (" ", " ") };
            let mut style = Style::new();
            if at == focus {
                style = style.add_modifier(Modifier::BOLD);
            }
            let x = self.put(area, &format!("{open}{title}"), style);
            let x = self.put(from(area, x), ill, self.tinted(Tint::Red).patch(style));
            let x = self.put(from(area, x), close, style);
            area = from(area, x);
        }
    }

    fn pane(&mut self, state: &State, mut area: Rect) {
        let shelf = state.shelf(state.focus);
        if let Some(fault) = &shelf.fault {
            let line = cut_top(&mut area, 1);
            self.put(line, fault, self.tinted(Tint::Red));
        }
        let heading = cut_top(&mut area, 1);
        let titles = state.focus.columns().iter().map(|(title, _)| (*title, None));
        self.line(heading, state.focus, titles, Style::new().add_modifier(Modifier::UNDERLINED));
        if area.height >= FOOT_FROM_LINES {
            let foot = cut_bottom(&mut area, FOOT_LINES + 1);
            self.foot(state.chosen_row(), foot);
        }
        let rows = state.rows(state.focus);
        if rows.is_empty() {
            let words = match (shelf.is_known, shelf.fault.is_some(), state.count(state.focus)) {
                (true, _, 0) => "none",
                (true, _, _) => "none that the filter lets through",
                (false, false, _) => "not asked yet",
                (false, true, _) => "",
            };
            self.put(area, words, self.tinted(Tint::Dim));
            return;
        }
        let chosen = state.chosen().unwrap_or_default();
        let height = usize::from(area.height);
        // The chosen row stays in the middle, but for the ends of the list.
        let first = chosen.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
        for (at, row) in rows.iter().enumerate().skip(first).take(height) {
            let line = cut_top(&mut area, 1);
            let cells = row.cells.iter().map(|cell| (cell.text(), cell.tint()));
            self.line(line, state.focus, cells, Style::new());
            if at == chosen {
                self.buffer.set_style(line, Style::new().add_modifier(Modifier::REVERSED));
            }
        }
    }

    /// One line of a table.
    fn line<'t>(
        &mut self,
        area: Rect,
        pane: Pane,
        cells: impl Iterator<Item = (&'t str, Option<Tint>)>,
        style: Style,
    ) {
        let mut x = area.x;
        for ((text, tint), (_, width)) in cells.zip(pane.columns()) {
            let mut cell = from(area, x);
            if *width > 0 {
                cell.width = cell.width.min(*width);
            }
            let style = tint.map_or(style, |tint| self.tinted(tint).patch(style));
            self.put(cell, text, style);
            x = x.saturating_add(*width + 1);
        }
    }

    /// The beginning of what is known of a row.
    fn foot(&mut self, row: Option<&Row>, mut area: Rect) {
        let rule = "─".repeat(usize::from(area.width));
        let line = cut_top(&mut area, 1);
        self.put(line, &rule, self.tinted(Tint::Dim));
        if let Some(row) = row {
            let text = row.detail.join("  ");
            Paragraph::new(text).wrap(Wrap { trim: true }).render(area, self.buffer);
        }
    }

    fn all_of_it(&mut self, state: &State, passed: usize, mut area: Rect) {
        if let Some(fault) = state.read_fault() {
            let line = cut_top(&mut area, 1);
            self.put(line, fault, self.tinted(Tint::Red));
        }
        let Some(detail) = state.read_detail() else {
            self.put(area, "it is listed no more", self.tinted(Tint::Dim));
            return;
        };
        // It may be shorter than when the keys went through it.
        let passed = passed.min(detail.len().saturating_sub(1));
        let text: Text = detail.iter().skip(passed).map(|line| Line::from(line.as_str())).collect();
        Paragraph::new(text).wrap(Wrap { trim: false }).render(area, self.buffer);
    }

    fn help(&mut self, mut area: Rect) {
        for (keys, what) in HELP {
            let line = cut_top(&mut area, 1);
            self.put(line, &format!("{keys:<20} {what}"), Style::new());
        }
    }

    /// What is being written or was said, and else the keys.
    fn last_line(&mut self, state: &State, area: Rect) {
        match (&state.mode, &state.notice) {
            (Mode::Filtering, _) => self.prompt(area, "filter: ", &state.filter),
            (Mode::Asking(Question { act, about, reason, is_confirming: false, .. }), _) => {
                self.prompt(area, &format!("{} {about}; why? ", act.word()), reason);
            }
            (Mode::Asking(Question { act, about, reason, .. }), _) => {
                let words = format!("{} {about}? y or n (because: {reason})", act.word());
                self.put(area, &words, Style::new().add_modifier(Modifier::BOLD));
            }
            (Mode::Looking, Some(notice)) => {
                self.put(area, notice, Style::new().add_modifier(Modifier::BOLD));
            }
            (Mode::Looking, None) if !state.filter.is_empty() => {
                // What was not asked for cannot be let through.
                let of = match state.shelf(state.focus).has_more {
                    true => format!("of the first {}; ", state.count(state.focus)),
                    false => String::new(),
                };
                self.put(area, &format!("filter: {}  ({of}Esc shows all)", state.filter), Style::new());
            }
            _ => {
                self.put(area, KEYS, self.tinted(Tint::Dim));
            }
        }
    }

    /// What is being written, its end always in sight.
    fn prompt(&mut self, area: Rect, question: &str, text: &str) {
        let style = Style::new().add_modifier(Modifier::BOLD);
        let written = u16::try_from(text.chars().count() + 1).unwrap_or(u16::MAX);
        let asked = Rect { width: area.width.saturating_sub(written).max(area.width / 2), ..area };
        let x = self.put(asked, question, style);
        let rest = from(area, x);
        let beyond = usize::from(written.saturating_sub(rest.width));
        let seen: String = text.chars().skip(beyond).collect();
        let x = self.put(rest, &seen, Style::new());
        self.put(from(area, x), "_", style);
    }

    /// Writes a text that may be too long, and says where it ends.
    fn put(&mut self, area: Rect, text: &str, style: Style) -> u16 {
        if area.is_empty() {
            return area.x;
        }
        let width = usize::from(area.width);
        if Line::raw(text).width() <= width {
            return self.buffer.set_stringn(area.x, area.y, text, width, style).0;
        }
        let (x, y) = self.buffer.set_stringn(area.x, area.y, text, width - 1, style);
        self.buffer.set_stringn(x, y, "…", 1, style).0
    }

    fn tinted(&self, tint: Tint) -> Style {
        match (tint, self.colour) {
            (Tint::Dim, _) => Style::new().add_modifier(Modifier::DIM),
            (_, false) => Style::new(),
            (Tint::Red, true) => Style::new().fg(Color::Red),
            (Tint::Green, true) => Style::new().fg(Color::Green),
            (Tint::Yellow, true) => Style::new().fg(Color::Yellow),
        }
    }
}

/// What stands on top of the screen for a pane.
struct Tab {
    title: String,
    /// What in it needs a look.
    ill: String,
}

impl Tab {
    fn of(state: &State, pane: Pane, is_counted: bool) -> Self {
        let shelf = state.shelf(pane);
        let more = if shelf.has_more { "+" } else { "" };
        let number = state.count(pane);
        let count = match shelf.is_known && is_counted {
            true => format!(" {number}{more}"),
            false => String::new(),
        };
        let ill = match pane {
            Pane::Breakers if number > 0 => format!(", {number} open"),
            Pane::Tree if state.troubled > 0 => format!(", {} to look at", state.troubled),
            Pane::Failing if !state.dead.is_empty() => {
                format!(", {}{} dead", state.dead.len(), if state.dead_has_more { "+" } else { "" })
            }
            _ => String::new(),
        };
        Self { title: format!("{}{count}", pane.title()), ill }
    }

    /// Of several beside each other; each has a bracket or a blank on either side.
    fn width(tabs: &[Self]) -> usize {
        tabs.iter().map(|tab| tab.title.len() + tab.ill.len() + 2).sum()
    }
}

/// So many lines from the top, which are then gone from the rest.
fn cut_top(area: &mut Rect, lines: u16) -> Rect {
    let lines = lines.min(area.height);
    let top = Rect { height: lines, ..*area };
    area.y += lines;
    area.height -= lines;
    top
}

/// So many lines from the bottom, which are then gone from the rest.
fn cut_bottom(area: &mut Rect, lines: u16) -> Rect {
    let lines = lines.min(area.height);
    area.height -= lines;
    Rect { y: area.y + area.height, height: lines, ..*area }
}

/// What is left of a line from a column on.
fn from(area: Rect, x: u16) -> Rect {
    let x = x.min(area.right());
    Rect { x, width: area.right() - x, ..area }
}

#[cfg(test)]
mod tests;
