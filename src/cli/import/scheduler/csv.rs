//! CSV as RFC 4180 has it: a heading, then records; fields in quotes may hold commas, quotes and line ends.
//!
//! Columns are found by their names: the case of letters, blanks, hyphens and underscores in them do not count, so that `updateOffline`
//! is `update_offline`. Columns that nobody asks for are passed over.
//!
//! **Owns** the file that is read. **Fails** per record ([`Broken::Record`]) where the next line begins another, and for good where it
//! cannot be known where that would be. **Limits**: a record of 64 KiB, one in memory at a time; UTF-8.

use std::collections::HashMap;
use std::io::{self, BufRead};

/// The longest record, in bytes.
const RECORD_BYTES_MAX: usize = 64 * 1024;
/// What some programs begin a file with.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Why there is no record.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// This one is no good, and what follows may be.
    Record { line: u64, why: &'static str },
    /// Nothing can be read from here on.
    File { line: u64, why: String },
}

/// A file, read record by record.
pub struct Csv<R> {
    source: R,
    columns: HashMap<String, usize>,
    count: usize,
    /// Lines read so far.
    line: u64,
    raw: String,
    fields: Vec<String>,
}

/// One record.
pub struct Record<'a> {
    /// The line that it begins in.
    pub line: u64,
    columns: &'a HashMap<String, usize>,
    fields: &'a [String],
}

impl<R: BufRead> Csv<R> {
    /// Reads the heading.
    ///
    /// # Errors
    /// No heading, two columns of one name, or one that is required and not there.
    pub fn open(source: R, required: &[&str]) -> Result<Self, Broken> {
        let mut csv = Self {
            source,
            columns: HashMap::new(),
            count: 0,
            line: 0,
            raw: String::new(),
            fields: Vec::new(),
        };
        let of_file = |line, why: &str| Broken::File { line, why: why.to_owned() };
        match csv.read() {
            Ok(Some(_)) => {}
            Ok(None) => return Err(of_file(1, "there is no heading")),
            Err(Broken::Record { line, why }) => return Err(of_file(line, why)),
            Err(broken) => return Err(broken),
        }
        csv.count = csv.fields.len();
        for (place, name) in csv.fields.iter().enumerate() {
            if csv.columns.insert(plain(name), place).is_some() {
                return Err(of_file(1, "two columns have one name"));
            }
        }
        let missing: Vec<&str> =
            required.iter().copied().filter(|name| !csv.columns.contains_key(&plain(name))).collect();
        if !missing.is_empty() {
            return Err(of_file(1, &format!("columns are missing: {}", missing.join(", "))));
        }
        Ok(csv)
    }

    /// The next record; none at the end.
    ///
    /// # Errors
    /// As [`Broken`] says.
    pub fn next(&mut self) -> Result<Option<Record<'_>>, Broken> {
        let Some(line) = self.read()? else { return Ok(None) };
        if self.fields.len() != self.count {
            return Err(Broken::Record { line, why: "it has not as many fields as the heading" });
        }
        Ok(Some(Record { line, columns: &self.columns, fields: &self.fields }))
    }

    /// Reads one record into the fields, and returns the line that it begins in; none at the end. Empty lines are records of one empty field where there is one column, and
    /// passed over elsewhere.
    fn read(&mut self) -> Result<Option<u64>, Broken> {
        loop {
            let first = self.line + 1;
            self.raw.clear();
            let mut quotes = 0;
            loop {
                let begin = self.raw.len();
                let broken = |line, why: String| Broken::File { line, why };
                let room = RECORD_BYTES_MAX.saturating_sub(self.raw.len()) as u64 + 1;
                let read = io::Read::take(&mut self.source, room).read_line(&mut self.raw);
                let read = read.map_err(|error| broken(self.line + 1, error.kind().to_string()))?;
                if self.raw.len() > RECORD_BYTES_MAX {
                    return Err(broken(
                        first,
                        "a record longer than 64 KiB, or a quote that is never closed".to_owned(),
                    ));
                }
                quotes += self.raw[begin..].matches('"').count();
                let is_open = quotes % 2 == 1;
                if read == 0 {
                    if is_open {
                        return Err(broken(first, "a quote that is never closed".to_owned()));
                    }
                    break;
                }
                self.line += 1;
                if !is_open {
                    break;
                }
            }
            if self.raw.is_empty() {
                return Ok(None);
            }
            if first == 1 && self.raw.starts_with(BYTE_ORDER_MARK) {
                self.raw.drain(..BYTE_ORDER_MARK.len());
            }
            let text = self.raw.strip_suffix('\n').unwrap_or(&self.raw);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if text.is_empty() && self.count != 1 {
                continue;
            }
            self.fields = split(text).map_err(|why| Broken::Record { line: first, why })?;
            return Ok(Some(first));
        }
    }
}

impl Record<'_> {
    /// A field without blanks around it; empty where there is no such column.
    pub fn get(&self, column: &str) -> &str {
        let place = self.columns.get(&plain(column)).copied();
        place.and_then(|place| self.fields.get(place)).map_or("", |field| field.trim())
    }
}

/// A column's name without what does not count.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err("a quote in a field that has none around it");
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None if behind.is_empty() => return Ok(fields),
            None => return Err("something behind a closing quote"),
        }
    }
}

/// The field up to its closing quote, and what stands behind that.
fn quoted_field(text: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"').ok_or("a quote that is never closed")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str, columns: &[&str]) -> Vec<Result<(u64, Vec<String>), Broken>> {
        let mut csv = Csv::open(text.as_bytes(), &[]).unwrap();
        let mut all = Vec::new();
        loop {
            match csv.next() {
                Ok(Some(record)) => {
                    let fields = columns.iter().map(|column| record.get(column).to_owned());
                    all.push(Ok((record.line, fields.collect())));
                }
                Ok(None) => return all,
                Err(broken @ Broken::Record { .. }) => all.push(Err(broken)),
                Err(broken) => {
                    all.push(Err(broken));
                    return all;
                }
            }
        }
    }

    fn good(line: u64, fields: &[&str]) -> Result<(u64, Vec<String>), Broken> {
        Ok((line, fields.iter().map(|field| (*field).to_owned()).collect()))
    }

    #[test]
    fn quotes_commas_line_ends_and_other_columns_are_read_as_the_standard_says() {
        let text = "\u{feff}UserId,Other,updateOffline\r\n a ,x,true\r\n\r\n\"b, \"\"B\"\"\",\"two\nlines\",\n\"\",,c";
        assert_eq!(
            records(text, &["user_id", "update_offline", "not there"]),
            [good(2, &["a", "true", ""]), good(4, &["b, \"B\"", "", ""]), good(6, &["", "c", ""])]
        );
    }

    #[test]
    fn a_broken_record_is_told_with_its_line_and_the_next_one_is_read() {
        let text = "a,b\n1\n\"x\"y,2\nx\"\"y,2\n3,4\n";
        let broken = |line, why| Err(Broken::Record { line, why });
        assert_eq!(
            records(text, &["a", "b"]),
            [
                broken(2, "it has not as many fields as the heading"),
                broken(3, "something behind a closing quote"),
                broken(4, "a quote in a field that has none around it"),
                good(5, &["3", "4"]),
            ]
        );
    }

    #[test]
    fn what_never_ends_is_not_read_into_memory() {
        let text = format!("a\n\"{}", "x\n".repeat(RECORD_BYTES_MAX));
        let told = records(&text, &["a"]);
        let [Err(Broken::File { line: 2, why })] = told.as_slice() else { panic!("{told:?}") };
        assert!(why.starts_with("a record longer than 64 KiB"), "{why}");
        assert!(matches!(records("a\n\"x", &["a"])[..], [Err(Broken::File { line: 2, .. })]));
    }

    #[test]
    fn a_heading_is_needed_and_names_each_column_once() {
        let why = |text: &str, required: &[&str]| match Csv::open(text.as_bytes(), required) {
            Err(Broken::File { why, .. }) => why,
            _ => "it was taken".to_owned(),
        };
        assert_eq!(why("", &[]), "there is no heading");
        assert_eq!(why("user_id,UserID\n", &[]), "two columns have one name");
        assert_eq!(why("a\n", &["a", "b_c", "d"]), "columns are missing: b_c, d");
    }
}
