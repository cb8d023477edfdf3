//! Interleaved 2 of 5: the bars of a boleto.
//!
//! **Owns** the patterns. **Fails** never. **Limits**: 44 digits; wide to narrow 3 to 1, so that the code is 405 modules wide.

use crate::domain::boleto::barcode::Barcode;

/// How wide the whole code is, in narrow bars: start 4, 22 pairs of 18, stop 5.
pub const MODULES: u16 = 4 + 22 * 18 + 5;
const WIDE: u16 = 3;

/// Which of a digit's five elements are wide, from the first.
const PATTERNS: [[bool; 5]; 10] = [
    [false, false, true, true, false],
    [true, false, false, false, true],
    [false, true, false, false, true],
    [true, true, false, false, false],
    [false, false, true, false, true],
    [true, false, true, false, false],
    [false, true, true, false, false],
    [false, false, false, true, true],
    [true, false, false, true, false],
    [false, true, false, true, false],
];

/// A bar: where it begins and how wide it is, in modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    pub start: u16,
    pub width: u16,
}

/// The bars of a code, from left to right.
pub fn bars(barcode: &Barcode) -> Vec<Bar> {
    let mut writer = Writer { bars: Vec::with_capacity(2 + 22 * 5 + 2), at: 0 };
    writer.pair(false, false);
    writer.pair(false, false);
    for pair in barcode.as_bytes().chunks_exact(2) {
        // The first digit of a pair sets the bars, the second the spaces between them.
        let (dark, light) = (pattern(pair[0]), pattern(pair[1]));
        for (bar, space) in dark.iter().zip(light) {
            writer.pair(*bar, *space);
        }
    }
    writer.pair(true, false);
    writer.pair(false, false);
    writer.bars
}

fn pattern(digit: u8) -> &'static [bool; 5] {
    &PATTERNS[usize::from(digit.wrapping_sub(b'0') % 10)]
}

struct Writer {
    bars: Vec<Bar>,
    at: u16,
}

impl Writer {
    fn pair(&mut self, bar_is_wide: bool, space_is_wide: bool) {
        let width = |wide: bool| if wide { WIDE } else { 1 };
        self.bars.push(Bar { start: self.at, width: width(bar_is_wide) });
        self.at += width(bar_is_wide) + width(space_is_wide);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vectors::VECTORS;

    /// Reads the bars back by the widths alone.
    fn read(bars: &[Bar]) -> String {
        let inner = &bars[2..bars.len() - 2];
        let mut digits = String::new();
        for (at, group) in inner.chunks_exact(5).enumerate() {
            let next = |within: usize| bars[2 + at * 5 + within + 1].start;
            let dark: Vec<bool> = group.iter().map(|bar| bar.width == WIDE).collect();
            let light: Vec<bool> =
                group.iter().enumerate().map(|(n, bar)| next(n) - bar.start - bar.width == WIDE).collect();
            for elements in [dark, light] {
                let digit = PATTERNS.iter().position(|pattern| pattern[..] == elements[..]).unwrap();
                digits.push_str(&digit.to_string());
            }
        }
        digits
    }

    #[test]
    fn every_published_barcode_is_read_back_from_its_bars() {
        for vector in &VECTORS.valid {
            let bars = bars(&Barcode::parse(&vector.barcode).unwrap());
            assert_eq!(read(&bars), vector.barcode);
            let last = bars.last().unwrap();
            assert_eq!(last.start + last.width, MODULES);
        }
    }

    #[test]
    fn every_digit_has_two_wide_elements() {
        assert!(PATTERNS.iter().all(|pattern| pattern.iter().filter(|wide| **wide).count() == 2));
    }
}
