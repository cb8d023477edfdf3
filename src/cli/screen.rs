//! Where a command writes: JSON for programs, text for people.
//!
//! **Owns** the two output streams. **Fails** when they cannot be written; a stream that is not read any more
//! (`| head`) is not a fault of ours and not told.
//! **Limits**: colour only on a terminal, and never under `NO_COLOR`.

use std::env;
use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::failure::Failure;
use super::table::safe_lines;

/// Both streams of the process, and how to write to them.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    json: bool,
    colour: bool,
    /// Whether what was written can be drawn over.
    terminal: bool,
    /// Whether somebody looks at the other stream, so that it is worth saying how far something has come.
    watched: bool,
}

impl Screen {
    /// The process's own streams.
    pub fn of_process(json: bool) -> Self {
        // https://no-color.org: set and not empty means no colour, whatever the value.
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = env::var_os("TERM").is_none_or(|value| value != "dumb");
        let terminal = able && io::stdout().is_terminal();
        let watched = able && !json && io::stderr().is_terminal();
        let screen = Self::new(Box::new(io::stdout()), Box::new(io::stderr()), json, wanted && terminal);
        Self { terminal, watched, ..screen }
    }

    /// Streams of the caller's choice.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, json: bool, colour: bool) -> Self {
        Self { out, err, json, colour, terminal: false, watched: false }
    }

    /// Whether a person may see colours.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Whether what is written can be drawn over.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether documents are wanted instead of text.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Says how far something has come, over what was said of it before; nothing takes the line away again.
    pub fn progress(&mut self, line: &str) {
        if self.watched {
            // To the first column, and the line cleared (ECMA-48: CR, EL).
            let _ = write!(self.err, "\r\u{1b}[K{}", safe_lines(line));
            let _ = self.err.flush();
        }
    }

    /// Writes a result: the document, or what a person sees of it.
    pub fn show(&mut self, document: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        let text = if self.json { format!("{document:#}\n") } else { text(document) };
        self.write(&text)
    }

    /// Writes one line of a stream of results: a compact document, or what a person sees of it.
    pub fn show_line(
        &mut self,
        document: &Value,
        text: impl FnOnce(&Value) -> String,
    ) -> Result<(), Failure> {
        let line = if self.json { document.to_string() } else { text(document) };
        self.write(&format!("{line}\n"))
    }

    /// Writes one picture of a stream of them: a compact document in a line, or what a person sees of it, on a terminal over
    /// the picture before.
    pub fn redraw(&mut self, document: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        if self.json {
            return self.show_line(document, text);
        }
        // To the first column of the first line, and everything from there on cleared (ECMA-48: CUP, ED).
        let begin = if self.terminal { "\u{1b}[H\u{1b}[2J" } else { "" };
        let end = if self.terminal { "" } else { "\n" };
        let text = text(document);
        self.write(&format!("{begin}{text}{end}"))
    }

    /// Tells a person something that is not part of the result.
    pub fn remark(&mut self, text: &str) {
        // A closed stderr leaves nobody to complain to.
        let _ = writeln!(self.err, "{}", safe_lines(text));
    }

    /// Tells why the command failed, on stderr.
    pub fn failure(&mut self, failure: &Failure) {
        let Some(document) = failure.to_json() else { return };
        match self.json {
            true => self.remark(&document.to_string()),
            false => self.remark(&format!("bursar: {failure}")),
        }
    }

    /// Writes what is not for a terminal: a document, or lines in a format of the caller's choice.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes)?;
        self.out.flush()?;
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        // A watcher behind a pipe wants each line now.
        self.out.flush()?;
        Ok(())
    }
}
