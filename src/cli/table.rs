//! Aligned columns for people, cut out of JSON documents.
//!
//! **Owns** nothing. **Fails** never: what is missing is shown as nothing.
//! **Limits**: widths count characters; whatever a text from outside says, it cannot steer the terminal.

use serde_json::Value;

/// What a person sees of one field.
pub(super) struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Where it stands in the document, as a JSON pointer (RFC 6901).
    pub pointer: &'static str,
    /// How it is written.
    pub show: fn(&Value) -> String,
}

impl Column {
    /// A field shown as it is.
    pub const fn plain(title: &'static str, pointer: &'static str) -> Self {
        Self { title, pointer, show: plain }
    }

    /// An amount in cents, shown in reais.
    pub const fn reais(title: &'static str, pointer: &'static str) -> Self {
        Self { title, pointer, show: reais }
    }

    /// A point in time, shown to the second.
    pub const fn time(title: &'static str, pointer: &'static str) -> Self {
        Self { title, pointer, show: to_the_second }
    }

    /// What a person sees of it in this document; nothing where it is missing.
    pub fn of(&self, document: &Value) -> String {
        document.pointer(self.pointer).map_or_else(String::new, self.show)
    }
}

/// A colour of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tint {
    Red,
    Green,
    Yellow,
    Dim,
}

/// One field of a table, with its colour if it has one.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    tint: Option<Tint>,
}

impl Cell {
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: safe(text.as_ref()), tint: None }
    }

    pub fn tinted(text: impl AsRef<str>, tint: Option<Tint>) -> Self {
        Self { tint, ..Self::new(text) }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn tint(&self) -> Option<Tint> {
        self.tint
    }
}

/// A table with a row for each document; a sentence when there is none.
pub(super) fn rows(columns: &[Column], documents: &[Value]) -> String {
    if documents.is_empty() {
        return "none\n".to_owned();
    }
    let mut cells = vec![columns.iter().map(|column| Cell::new(column.title)).collect::<Vec<_>>()];
    cells.extend(
        documents
            .iter()
            .map(|document| columns.iter().map(|column| Cell::new(column.of(document))).collect()),
    );
    aligned(&cells, false)
}

/// One document, a line for each field that has something to say.
pub(super) fn detail(columns: &[Column], document: &Value) -> String {
    let cells: Vec<Vec<Cell>> = columns
        .iter()
        .map(|column| (column.title, column.of(document)))
        .filter(|(_, text)| !text.is_empty())
        .map(|(title, text)| vec![Cell::new(title), Cell::new(text)])
        .collect();
    aligned(&cells, false)
}

/// Pads all but the last column of each row to the widest cell of that column.
pub(super) fn aligned(rows: &[Vec<Cell>], colour: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = " ".repeat(width - cell.text.chars().count() + 2);
            line.push_str(&painted(cell, colour));
            line.push_str(&padding);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn painted(cell: &Cell, colour: bool) -> String {
    let Some(tint) = cell.tint.filter(|_| colour) else { return cell.text.clone() };
    let code = match tint {
        Tint::Red => "31",
        Tint::Green => "32",
        Tint::Yellow => "33",
        Tint::Dim => "2",
    };
    format!("\u{1b}[{code}m{}\u{1b}[0m", cell.text)
}

/// The text in one line and without what a terminal would obey: it may come from a bank or a stranger.
pub(super) fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// As [`safe`], but lines stay lines.
pub(super) fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// A value without quotes; lists joined by commas, maps as `key=value`.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let pairs =
                map.iter().map(|(key, value)| (key, plain(value))).filter(|(_, text)| !text.is_empty());
            pairs.map(|(key, text)| format!("{key}={text}")).collect::<Vec<_>>().join(", ")
        }
    }
}

fn reais(value: &Value) -> String {
    let Some(cents) = value.as_i64() else { return String::new() };
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}R$ {}.{:02}", cents / 100, cents % 100)
}

fn to_the_second(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_by_characters_and_lines_end_clean() {
        let columns = [Column::plain("NAME", "/name"), Column::reais("AMOUNT", "/cents")];
        let documents =
            [json!({"name": "ação", "cents": 12590}), json!({"name": "a longer one", "cents": null})];
        assert_eq!(
            rows(&columns, &documents),
            "NAME          AMOUNT\nação          R$ 125.90\na longer one\n"
        );
        assert_eq!(rows(&columns, &[]), "none\n");
    }

    #[test]
    fn a_detail_leaves_out_what_is_empty() {
        let columns = [
            Column::plain("id", "/id"),
            Column::plain("note", "/note"),
            Column::time("created", "/create_time"),
        ];
        let document = json!({"id": "7", "note": "", "create_time": "2026-11-22T02:03:18.123456Z"});
        assert_eq!(detail(&columns, &document), "id       7\ncreated  2026-11-22T02:03:18Z\n");
    }

    #[test]
    fn amounts_are_shown_in_reais() {
        assert_eq!(reais(&json!(5)), "R$ 0.05");
        assert_eq!(reais(&json!(-12_590)), "-R$ 125.90");
        assert_eq!(reais(&json!(9_999_999_999_i64)), "R$ 99999999.99");
    }

    #[test]
    fn a_text_from_outside_cannot_steer_the_terminal() {
        let hostile = json!({"name": "a\u{1b}[2J\nb\u{9b}c"});
        assert_eq!(rows(&[Column::plain("NAME", "/name")], &[hostile]), "NAME\na [2J b c\n");
        assert_eq!(safe_lines("one\u{7}\ntwo"), "one \ntwo");
    }

    #[test]
    fn colour_does_not_count_as_width() {
        let row = vec![Cell::tinted("up", Some(Tint::Green)), Cell::new("x")];
        let other = vec![Cell::new("longer"), Cell::new("y")];
        assert_eq!(aligned(&[row.clone(), other.clone()], true), "\u{1b}[32mup\u{1b}[0m      x\nlonger  y\n");
        assert_eq!(aligned(&[row, other], false), "up      x\nlonger  y\n");
    }
}
