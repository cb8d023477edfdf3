//! Where each value in effect comes from: the defaults, a line of a file, a variable, the command line.
//!
//! **Owns** nothing that outlives one reading of the sources. **Fails** never: what no source set is a default.
//! **Limits**: those of the sources. What is told are names of keys, files and variables, never a value.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, ImDocument, Item, TableLike};

use super::schema::flatten;
use super::source::Setting;

const DEFAULT: &str = "default";

/// The origin of every key that a source has set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    set: BTreeMap<String, String>,
    /// For each entry with a name of the operator's own: how its keys begin, and how those begin that it has its values from.
    inherited: Vec<(String, String)>,
}

impl Origins {
    pub(super) fn note(&mut self, setting: &Setting) {
        let origin = match setting.line {
            Some(line) => format!("{}:{line}", setting.origin),
            None => setting.origin.clone(),
        };
        self.set.insert(setting.key(), in_one_line(&origin));
    }

    /// Takes down which entries have values of which table, as pairs of how the table's keys begin and how the entry's do.
    pub(super) fn inherit(&mut self, inheritance: Vec<(String, String)>) {
        self.inherited = inheritance.into_iter().map(|(shared, own)| (own, shared)).collect();
    }

    /// Where the value of a key, written with dots, comes from.
    pub fn of(&self, key: &str) -> String {
        if let Some(origin) = self.said(key) {
            return origin.to_owned();
        }
        let shared = self.inherited.iter().find_map(|(own, shared)| {
            let rest = key.strip_prefix(own.as_str())?;
            Some(format!("{shared}{rest}"))
        });
        match shared {
            Some(shared) => format!("{}, as {shared}", self.said(&shared).unwrap_or(DEFAULT)),
            None => DEFAULT.to_owned(),
        }
    }

    /// The origin of every key of a table of settings in effect.
    pub fn of_all(&self, settings: toml::Table) -> BTreeMap<String, String> {
        let keys = flatten(settings).into_iter().map(|(path, _)| path.join("."));
        keys.map(|key| (key.clone(), self.of(&key))).collect()
    }

    /// A variable may set a whole table; its keys come from there, too.
    fn said(&self, key: &str) -> Option<&str> {
        let ends = key.match_indices('.').map(|(at, _)| at).chain([key.len()]);
        let mut origins = ends.filter_map(|end| self.set.get(&key[..end]));
        origins.next_back().map(String::as_str)
    }

    /// The same settings, each with its origin as a comment behind it.
    pub(super) fn annotate(&self, text: &str) -> String {
        // What was not written by us is shown as it is.
        let Ok(mut document) = text.parse::<DocumentMut>() else { return text.to_owned() };
        self.annotate_table(document.as_table_mut(), "");
        document.to_string()
    }

    fn annotate_table(&self, table: &mut dyn TableLike, front: &str) {
        for (key, item) in table.iter_mut() {
            let key = format!("{front}{}", key.get());
            match item {
                Item::Value(value) => value.decor_mut().set_suffix(format!("  # {}", self.of(&key))),
                Item::Table(inner) => self.annotate_table(inner, &format!("{key}.")),
                Item::ArrayOfTables(entries) => {
                    if let Some(first) = entries.iter_mut().next() {
                        first.decor_mut().set_prefix(format!("\n# {}\n", self.of(&key)));
                    }
                }
                Item::None => {}
            }
        }
    }
}

/// On which line of a file each key stands, counted from 1.
pub(super) fn lines(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    if let Ok(document) = ImDocument::parse(text) {
        lines_of(document.as_table(), "", text, &mut found);
    }
    found
}

fn lines_of(table: &dyn TableLike, front: &str, text: &str, found: &mut BTreeMap<String, usize>) {
    for (key, item) in table.iter() {
        let path = format!("{front}{key}");
        if let Some(inner) = item.as_table_like().filter(|inner| !inner.is_empty()) {
            lines_of(inner, &format!("{path}."), text, found);
            continue;
        }
        let span = item.span().or_else(|| table.key(key)?.span());
        if let Some(before) = span.and_then(|span| text.get(..span.start)) {
            found.insert(path, before.matches('\n').count() + 1);
        }
    }
}

/// A file may have any name; a comment ends with its line.
fn in_one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_on_their_lines() {
        let text = "a = 1\n\n[b]\n# why\nc = 'x'\nd = { e = 2 }\n[b.f]\ng = \"\"\"\ntwo\nlines\"\"\"\nh = []\n[[i]]\nj = 1\n";
        let lines = lines(text);
        let found: Vec<_> = lines.iter().map(|(key, line)| (key.as_str(), *line)).collect();
        assert_eq!(found[..5], [("a", 1), ("b.c", 5), ("b.d.e", 6), ("b.f.g", 8), ("b.f.h", 11)]);
    }

    #[test]
    fn a_file_with_a_strange_name_stays_in_its_line() {
        assert_eq!(in_one_line("a\nb = 1"), "a?b = 1");
    }
}
