//! A bounded reader of server-sent events, by the rules of the WHATWG's HTML standard (section "Parsing an event stream").
//!
//! Why our own: a widely used crate slices inside a character when a byte-order mark leads, so that the other side can crash
//! us, and none was found that bounds lines and events while it reads.
//!
//! **Owns** the unfinished line and event. Bytes come in pieces of any size, and the events do not depend on where the pieces
//! end; an event comes out as soon as its empty line does, also behind a lone CR.
//! **Fails** with [`SseError`] once a line or an event is longer than it may be; nothing is ever cut silently, and nothing
//! comes out after a failure. **Limits**: [`SseLimits`]. Bytes that are no UTF-8 become U+FFFD, as the standard says.

use std::collections::VecDeque;

/// What is borne of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseLimits {
    /// The longest line, without its end, in bytes.
    pub line_bytes_max: usize,
    /// The most text of one event's data, in bytes, line feeds included.
    pub event_bytes_max: usize,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// `message` where the stream names none.
    pub event: String,
    pub data: String,
    /// The last id that the stream gave, also in an earlier event.
    pub last_event_id: String,
}

/// The stream is not read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    #[error("a line of the event stream is longer than {0} bytes")]
    LineTooLong(usize),
    #[error("an event of the stream is longer than {0} bytes")]
    EventTooLong(usize),
}

/// The reader.
#[derive(Debug)]
pub struct SseReader {
    limits: SseLimits,
    line: Vec<u8>,
    /// Bytes of a leading byte-order mark that were seen so far; `None` once the stream has begun.
    mark: Option<usize>,
    /// The last byte was a CR that has ended a line: an LF right behind it belongs to it.
    after_cr: bool,
    data: String,
    has_data: bool,
    event: String,
    last_event_id: String,
    retry_ms: Option<u64>,
    ready: VecDeque<SseEvent>,
    failed: Option<SseError>,
}

/// How a line of an event's data begins.
const DATA: &[u8] = b"data:";
const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The room for a line that is kept from line to line.
const LINE_BYTES_KEPT: usize = 64 * 1024;
/// A line that is longer is a snapshot's, and may become as long as a line may be.
const LONG_LINE_BYTES: usize = 1024 * 1024;

impl SseReader {
    pub fn new(limits: SseLimits) -> Self {
        Self {
            limits,
            line: Vec::new(),
            mark: Some(0),
            after_cr: false,
            data: String::new(),
            has_data: false,
            event: String::new(),
            last_event_id: String::new(),
            retry_ms: None,
            ready: VecDeque::new(),
            failed: None,
        }
    }

    /// Takes the next piece of the stream. The events that it completes come out of [`Self::next_event`].
    ///
    /// # Errors
    /// A bound was passed, now or before. What was complete before it can still be taken.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), SseError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if self.mark.is_some() {
            bytes = self.skip_mark(bytes)?;
        }
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.extend_line(part)?;
            let Some(ending) = rest.first() else { break };
            self.after_cr = *ending == b'\r';
            self.end_line()?;
            bytes = &rest[1..];
        }
        Ok(())
    }

    /// The next complete event.
    pub fn next_event(&mut self) -> Option<SseEvent> {
        self.ready.pop_front()
    }

    /// How long the other side wants us to wait before we come again, in milliseconds, if it said so.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Removes one byte-order mark at the very beginning, however it is cut.
    fn skip_mark<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], SseError> {
        let mut seen = self.mark.unwrap_or_default();
        let mut rest = bytes;
        while let (Some(byte), true) = (rest.first(), seen < MARK.len()) {
            if *byte != MARK[seen] {
                // No mark after all: what looked like one is text.
                self.mark = None;
                self.extend_line(&MARK[..seen])?;
                return Ok(rest);
            }
            seen += 1;
            rest = &rest[1..];
        }
        self.mark = (seen < MARK.len()).then_some(seen);
        Ok(rest)
    }

    fn extend_line(&mut self, part: &[u8]) -> Result<(), SseError> {
        if self.line.len() + part.len() > self.limits.line_bytes_max {
            return self.fail(SseError::LineTooLong(self.limits.line_bytes_max));
        }
        let bytes = self.line.len() + part.len();
        if bytes > self.line.capacity() && bytes > LONG_LINE_BYTES {
            // All the room that it may need: what is not written to is no memory yet, and twice as much each time would leave as
            // much again behind.
            self.line.reserve_exact(self.limits.line_bytes_max - self.line.len());
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            self.dispatch();
        } else if line.capacity() > LINE_BYTES_KEPT && !self.has_data && line.starts_with(DATA) {
            return self.keep_data(line);
        } else {
            let text = String::from_utf8_lossy(&line);
            let (name, value) = text.split_once(':').unwrap_or((&text, ""));
            self.field(name, value.strip_prefix(' ').unwrap_or(value))?;
        }
        // The next line takes the room of this one, unless it was a snapshot's, of which there is one to a stream.
        if line.capacity() <= LINE_BYTES_KEPT {
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    /// Makes a long line the event's data where it is, for a snapshot is too large to be there twice.
    fn keep_data(&mut self, mut line: Vec<u8>) -> Result<(), SseError> {
        let begins = DATA.len() + usize::from(line.get(DATA.len()) == Some(&b' '));
        line.drain(..begins);
        let text = String::from_utf8(line)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if text.len() > self.limits.event_bytes_max {
            return self.fail(SseError::EventTooLong(self.limits.event_bytes_max));
        }
        self.data = text;
        self.has_data = true;
        Ok(())
    }

    fn field(&mut self, name: &str, value: &str) -> Result<(), SseError> {
        match name {
            "data" => {
                let separator = usize::from(self.has_data);
                if self.data.len() + separator + value.len() > self.limits.event_bytes_max {
                    return self.fail(SseError::EventTooLong(self.limits.event_bytes_max));
                }
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "event" => value.clone_into(&mut self.event),
            "id" if !value.contains('\0') => value.clone_into(&mut self.last_event_id),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok().or(self.retry_ms);
            }
            // A comment, whose name is empty, or a field that nobody knows.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        let event = std::mem::take(&mut self.event);
        if !std::mem::take(&mut self.has_data) {
            return;
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        let data = std::mem::take(&mut self.data);
        self.ready.push_back(SseEvent { event, data, last_event_id: self.last_event_id.clone() });
    }

    fn fail(&mut self, error: SseError) -> Result<(), SseError> {
        self.failed = Some(error);
        self.line = Vec::new();
        self.data = String::new();
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: SseLimits = SseLimits { line_bytes_max: 256, event_bytes_max: 512 };

    type Read = (Vec<(String, String)>, Option<SseError>);

    fn read_in_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Read, SseReader) {
        let mut reader = SseReader::new(LIMITS);
        let mut events = Vec::new();
        let mut failed = None;
        for piece in pieces {
            let pushed = reader.push(piece);
            while let Some(event) = reader.next_event() {
                events.push((event.event, event.data));
            }
            if let Err(error) = pushed {
                failed = Some(error);
                break;
            }
        }
        ((events, failed), reader)
    }

    fn read(bytes: &[u8]) -> (Read, SseReader) {
        read_in_pieces(std::iter::once(bytes))
    }

    fn events(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(event, data)| ((*event).to_owned(), (*data).to_owned())).collect()
    }

    /// What is sent, and the events that are read of it.
    type Vector = (Vec<u8>, Vec<(String, String)>);

    fn vectors() -> Vec<Vector> {
        let message =
            |data: &[&str]| data.iter().map(|text| ("message".to_owned(), (*text).to_owned())).collect();
        let put = "event: put\ndata: {\"path\":\"/\",\"data\":null}\n\n";
        vec![
            (put.into(), events(&[("put", "{\"path\":\"/\",\"data\":null}")])),
            ("event: keep-alive\ndata: null\n\n".into(), events(&[("keep-alive", "null")])),
            ("data: 1\r\rdata: 2\r\r".into(), message(&["1", "2"])),
            ("data: 1\r\n\r\ndata: 2\r\ndata: 3\r\n\r\n".into(), message(&["1", "2\n3"])),
            ("data: 1\n\r\ndata: 2\r\n\n".into(), message(&["1", "2"])),
            ("\u{feff}data: 1\n\n".into(), message(&["1"])),
            ("\u{feff}\u{feff}data: 1\n\ndata: 2\n\n".into(), message(&["2"])),
            ("data:\n\n".into(), message(&[""])),
            ("data\n\ndata\ndata\n\n".into(), message(&["", "\n"])),
            ("event: x\n\ndata: 1\n\n".into(), message(&["1"])),
            ("event: x\nevent:\ndata: 1\n\n".into(), message(&["1"])),
            ("id: a\0b\ndata: 1\n\n".into(), message(&["1"])),
            ("data: 1\n\ndata: 2\n".into(), message(&["1"])),
            ("data: €豆腐\n\n".into(), message(&["€豆腐"])),
            (b"data: a\xffb\n\n".to_vec(), message(&["a\u{fffd}b"])),
            (": hi\n\ndata: 1\n: x\ndata: 2\n\n".into(), message(&["1\n2"])),
            ("data:  x\n\n".into(), message(&[" x"])),
            (" data: x\ndata : y\ndata: z\n\n".into(), message(&["z"])),
            ("retry: 10x\ndata: 1\n\n".into(), message(&["1"])),
            ("data: 1\n\ndata: 2\n\r".into(), message(&["1", "2"])),
            ([b"\xef\xbb".as_slice(), b"data: 1\n\ndata: 2\n\n"].concat(), message(&["2"])),
            (": comment\n".repeat(10_000).into_bytes(), vec![]),
        ]
    }

    #[test]
    fn every_vector_is_read_the_same_in_pieces_of_any_size() {
        for (bytes, wanted) in vectors() {
            for size in [1, 2, 3, 7, bytes.len()] {
                let ((read, failed), _) = read_in_pieces(bytes.chunks(size));
                assert_eq!(
                    (read, failed),
                    (wanted.clone(), None),
                    "{:?} by {size}",
                    String::from_utf8_lossy(&bytes)
                );
            }
        }
    }

    #[test]
    fn an_id_lasts_and_a_wait_is_digits() {
        let mut reader = SseReader::new(LIMITS);
        reader
            .push(b"id: a\nretry: 1500\ndata: 1\n\nretry: 2s\nid: b\0\ndata: 2\n\nid\ndata: 3\n\n")
            .unwrap();
        let ids: Vec<String> =
            std::iter::from_fn(|| reader.next_event()).map(|event| event.last_event_id).collect();
        assert_eq!(ids, ["a", "a", ""]);
        assert_eq!(reader.retry_ms(), Some(1_500));
    }

    #[test]
    fn a_cr_at_the_end_of_a_piece_is_not_held_back() {
        let mut reader = SseReader::new(LIMITS);
        reader.push(b"data: 1\r\r").unwrap();
        assert_eq!(reader.next_event().unwrap().data, "1");
        reader.push(b"\ndata: 2\r\n\r").unwrap();
        assert_eq!(reader.next_event().unwrap().data, "2");
    }

    #[test]
    fn what_is_too_long_is_a_named_error_and_the_end() {
        let fits = format!("data: {}\n\n", "x".repeat(250));
        assert_eq!(read(fits.as_bytes()).0.1, None);
        let long = format!("data: 1\n\ndata: {}\n\n", "x".repeat(251));
        let ((read_events, failed), mut reader) = read(long.as_bytes());
        assert_eq!(read_events, events(&[("message", "1")]));
        assert_eq!(failed, Some(SseError::LineTooLong(256)));
        assert_eq!(reader.push(b"data: 2\n\n"), Err(SseError::LineTooLong(256)));
        assert_eq!(reader.next_event(), None);
        // Many short lines make a long event, also of nothing but their line feeds.
        assert_eq!(read("data: 0123456789\n".repeat(47).as_bytes()).0.1, Some(SseError::EventTooLong(512)));
        assert_eq!(read("data\n".repeat(514).as_bytes()).0.1, Some(SseError::EventTooLong(512)));
        assert_eq!(read("data\n".repeat(513).as_bytes()).0.1, None);
    }

    #[test]
    fn a_long_line_is_read_as_a_short_one() {
        let limits = SseLimits { line_bytes_max: 1_000_000, event_bytes_max: 200_000 };
        let long = "x".repeat(LINE_BYTES_KEPT * 2);
        let all = |text: &[u8]| {
            let mut reader = SseReader::new(limits);
            let pushed = text.chunks(4_096).try_for_each(|chunk| reader.push(chunk));
            (std::iter::from_fn(|| reader.next_event()).map(|event| event.data).collect::<Vec<_>>(), pushed)
        };
        for begin in ["data:", "data: ", "event: put\ndata: "] {
            let sent = format!("{begin}{long}\n\ndata: 2\n\n");
            assert_eq!(all(sent.as_bytes()), (vec![long.clone(), "2".to_owned()], Ok(())), "{begin}");
        }
        let (spaced, lines) = (format!("data:  {long}\n\n"), format!("data: {long}\ndata: 2\n\n"));
        assert_eq!(all(spaced.as_bytes()).0, [format!(" {long}")]);
        assert_eq!(all(lines.as_bytes()).0, [format!("{long}\n2")]);
        assert_eq!(all(format!("data: 1\ndata: {long}\n\n").as_bytes()).0, [format!("1\n{long}")]);
        assert!(all(format!("data_{long}\n\n").as_bytes()).0.is_empty(), "another field's name");
        let garbled = [b"data: ", long.as_bytes(), b"\xff\n\n"].concat();
        assert_eq!(all(&garbled).0, [format!("{long}\u{fffd}")]);
        let too_long = format!("data: {long}{long}\n\n");
        assert_eq!(all(too_long.as_bytes()), (Vec::new(), Err(SseError::EventTooLong(200_000))));
    }

    proptest! {
        /// Whatever the bytes and wherever they are cut, the events are the same, and nothing panics.
        #[test]
        fn cuts_change_nothing(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), Just(0xef), Just(0xbb),
                    Just(0xbf), any::<u8>()], 0..400),
            lines in proptest::collection::vec(
                prop_oneof![Just("data: x\n"), Just("data\r"), Just("\n"), Just("\r\n"), Just("event: put\n"),
                    Just("id: 7\n"), Just(": c\n")], 0..40),
            size in 1_usize..9,
        ) {
            let whole: Vec<u8> = lines.concat().into_bytes().into_iter().chain(bytes).collect();
            let (at_once, _) = read(&whole);
            let (in_pieces, _) = read_in_pieces(whole.chunks(size));
            prop_assert_eq!(at_once, in_pieces);
        }
    }
}
