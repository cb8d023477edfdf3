//! Text into a box: as large as it may be, in lines at word boundaries, smaller where that is what makes it fit.
//!
//! **Owns** nothing. **Fails** never: what does not fit at the smallest size ends in `…` and says so by [`Fitted::cut`],
//! so that whoever lays out the page prints the whole text elsewhere. **Limits**: [`LEADING`] from line to line.

use super::font::{Font, Weight};
use super::latin::NO_BREAK;

/// From one line to the next, where the size is 1.
pub const LEADING: f32 = 1.15;
/// From the top of a line to its baseline, where the size is 1.
pub const ASCENT: f32 = 0.8;
/// By how much the size goes down at a time, in millimetres.
const STEP: f32 = 0.1;
/// Words up to this length are made smaller rather than broken; longer ones are no words.
const WORD_CHARS_MAX: usize = 24;
/// Widths are sums of rounded numbers.
const TOLERANCE: f32 = 0.001;

/// The box and how text may stand in it; lengths in millimetres.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub width: f32,
    pub height: f32,
    pub size_max: f32,
    pub size_min: f32,
    pub weight: Weight,
    pub breaks: Breaks,
}

/// Where a line may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaks {
    /// Between words.
    Words,
    /// After any sign; every sign is kept, blanks too. For codes that are copied.
    Anywhere,
}

/// Lines that fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    pub size: f32,
    pub lines: Vec<String>,
    /// Whether something was left out.
    pub cut: bool,
}

impl Fitted {
    /// How high the lines stand.
    pub fn height(&self) -> f32 {
        height(self.lines.len(), self.size)
    }
}

/// Sets paragraphs in a frame at the largest size that takes them.
pub fn fit(paragraphs: &[String], frame: &Frame) -> Fitted {
    let mut size = frame.size_max;
    loop {
        let (lines, broke_a_word) = wrap(paragraphs, size, frame, false);
        let smallest = size <= frame.size_min + TOLERANCE;
        let fits = |lines: &[String]| height(lines.len(), size) <= frame.height + TOLERANCE;
        if fits(&lines) && (smallest || !broke_a_word) {
            return Fitted { size, lines, cut: false };
        }
        if smallest {
            // A broken word is better than a lost one.
            let (lines, _) = wrap(paragraphs, size, frame, true);
            return if fits(&lines) { Fitted { size, lines, cut: false } } else { cut(lines, frame) };
        }
        size = (size - STEP).max(frame.size_min);
    }
}

fn height(lines: usize, size: f32) -> f32 {
    let lines = u16::try_from(lines).unwrap_or(u16::MAX);
    f32::from(lines) * size * LEADING
}

/// The lines at a size, and whether a word of usual length had to be broken. A full wrap leaves no line before it is full.
fn wrap(paragraphs: &[String], size: f32, frame: &Frame, full: bool) -> (Vec<String>, bool) {
    let room = frame.width / size + TOLERANCE;
    let font = frame.weight.font();
    let mut setter = Setter { font, room, full, lines: Vec::new(), line: String::new(), used: 0.0 };
    let mut broke_a_word = false;
    for paragraph in paragraphs {
        match frame.breaks {
            Breaks::Anywhere => setter.signs(paragraph),
            Breaks::Words => {
                for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
                    broke_a_word |= setter.word(word) && word.chars().count() <= WORD_CHARS_MAX;
                }
            }
        }
        setter.end_line();
    }
    (setter.lines, broke_a_word)
}

struct Setter {
    font: &'static Font,
    room: f32,
    full: bool,
    lines: Vec<String>,
    line: String,
    used: f32,
}

impl Setter {
    /// Adds a word, on a new line where that is needed; says whether it had to be broken.
    fn word(&mut self, word: &str) -> bool {
        let width = self.font.width(word);
        let blank = if self.line.is_empty() { 0.0 } else { self.font.advance(' ') };
        if self.used + blank + width <= self.room {
            if !self.line.is_empty() {
                self.line.push(' ');
            }
            self.line.push_str(word);
            self.used += blank + width;
            return false;
        }
        if self.full && !self.line.is_empty() {
            self.signs(" ");
        } else {
            self.end_line();
        }
        if self.full || width > self.room {
            self.signs(word);
            return true;
        }
        self.line.push_str(word);
        self.used = width;
        false
    }

    fn signs(&mut self, text: &str) {
        for sign in text.chars() {
            let width = self.font.advance(sign);
            if self.used + width > self.room {
                self.end_line();
            }
            self.line.push(sign);
            self.used += width;
        }
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            // Once the line ends elsewhere, a space is a space; readers that search the text expect it.
            self.lines.push(self.line.replace(NO_BREAK, " "));
            self.line.clear();
        }
        self.used = 0.0;
    }
}

/// The lines that there is room for, the last one ending in `…`.
fn cut(mut lines: Vec<String>, frame: &Frame) -> Fitted {
    let size = frame.size_min;
    let mut room = 1;
    while height(room + 1, size) <= frame.height + TOLERANCE {
        room += 1;
    }
    lines.truncate(room);
    if let Some(last) = lines.last_mut() {
        let font = frame.weight.font();
        while !last.is_empty() && font.width(last) + font.advance('…') > frame.width / size {
            last.pop();
        }
        last.push('…');
    }
    Fitted { size, lines, cut: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(width: f32, height: f32) -> Frame {
        Frame { width, height, size_max: 3.0, size_min: 1.5, weight: Weight::Regular, breaks: Breaks::Words }
    }

    fn text(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn what_fits_is_as_large_as_it_may_be() {
        let fitted = fit(&text("Maria"), &frame(40.0, 4.0));
        assert_eq!(fitted, Fitted { size: 3.0, lines: text("Maria"), cut: false });
    }

    #[test]
    fn words_wrap_and_shrink_before_anything_is_left_out() {
        let name = text("Associação Beneficente dos Amigos da Conceição");
        let wrapped = fit(&name, &frame(40.0, 7.0));
        assert_eq!((wrapped.size, wrapped.lines.len(), wrapped.cut), (3.0, 2, false));
        let shrunk = fit(&name, &frame(40.0, 4.0));
        assert!(shrunk.size < 3.0 && !shrunk.cut, "{shrunk:?}");
        let cut = fit(&name, &frame(20.0, 2.0));
        assert!(cut.cut && cut.lines == ["Associação Beneficente do…"], "{cut:?}");
    }

    #[test]
    fn a_word_is_made_smaller_rather_than_broken() {
        let fitted = fit(&text("Econômica"), &frame(12.0, 8.0));
        assert_eq!(fitted.lines, ["Econômica"]);
        assert!(fitted.size < 3.0);
    }

    #[test]
    fn a_code_keeps_every_sign() {
        let code = format!("00020126{}A  B6304ABCD", "x".repeat(80));
        let fitted = fit(&text(&code), &Frame { breaks: Breaks::Anywhere, ..frame(30.0, 40.0) });
        assert!(fitted.lines.len() > 2 && fitted.lines.concat() == code);
    }

    proptest! {
        #[test]
        fn nothing_stands_outside_its_frame(
            words in prop::collection::vec("[a-zA-ZÀ-ü0-9]{1,40}", 0..30), width in 10.0_f32..150.0, height in 2.0_f32..30.0
        ) {
            let paragraphs = text(&words.join(" "));
            let fitted = fit(&paragraphs, &frame(width, height));
            prop_assert!(fitted.height() <= height + 0.01);
            for line in &fitted.lines {
                prop_assert!(Weight::Regular.font().width(line) * fitted.size <= width + 0.01, "{line}");
            }
            if !fitted.cut {
                let squeezed = |text: &str| text.replace(' ', "");
                prop_assert_eq!(squeezed(&fitted.lines.concat()), squeezed(&paragraphs[0]));
            }
        }
    }
}
