//! How wide text is, and which outlines its signs have.
//!
//! The fonts are as wide, sign for sign, as the Helvetica that every PDF reader has and the Arial or Liberation Sans of
//! browsers, so that one layout fits all formats and no font travels in a file.
//!
//! **Owns** the two fonts, read once. **Fails** never: a sign that they do not have is as wide as nothing and draws nothing,
//! and [`super::latin`] lets none through. **Limits**: the signs of Windows-1252, without kerning.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId};

use super::latin;

/// Which of the two fonts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Bold,
}

/// A font with the advance of each code of Windows-1252, in its units.
pub struct Font {
    face: Face<'static>,
    advances: [u16; 256],
    units: f32,
}

static REGULAR: LazyLock<Font> = LazyLock::new(|| Font::read(include_bytes!("fonts/form-sans-regular.ttf")));
static BOLD: LazyLock<Font> = LazyLock::new(|| Font::read(include_bytes!("fonts/form-sans-bold.ttf")));

impl Weight {
    /// The font of this weight.
    pub fn font(self) -> &'static Font {
        match self {
            Self::Regular => &REGULAR,
            Self::Bold => &BOLD,
        }
    }
}

impl Font {
    fn read(file: &'static [u8]) -> Self {
        let face = Face::parse(file, 0)
            .expect("the font is a part of the program, and every test that draws reads it");
        let mut advances = [0; 256];
        for code in 0..=u8::MAX {
            let glyph = latin::sign(code).and_then(|sign| face.glyph_index(sign));
            let advance = glyph.and_then(|glyph| face.glyph_hor_advance(glyph));
            advances[usize::from(code)] = advance.unwrap_or(0);
        }
        let units = f32::from(face.units_per_em());
        Self { face, advances, units }
    }

    /// The width of a sign, where the font's size is 1.
    pub fn advance(&self, sign: char) -> f32 {
        latin::code(sign).map_or(0.0, |code| self.advance_of_code(code))
    }

    /// The same by its code.
    pub fn advance_of_code(&self, code: u8) -> f32 {
        f32::from(self.advances[usize::from(code)]) / self.units
    }

    /// The width of a text, where the font's size is 1.
    pub fn width(&self, text: &str) -> f32 {
        text.chars().map(|sign| self.advance(sign)).sum()
    }

    /// The font as it was parsed, for outlines, with the units of its square.
    pub fn face(&self) -> (&Face<'static>, f32) {
        (&self.face, self.units)
    }

    /// Which outline a sign has.
    pub fn glyph(&self, sign: char) -> Option<GlyphId> {
        self.face.glyph_index(sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each weight: Helvetica's own widths, in thousandths, as Adobe's metrics give them.
    #[test]
    fn the_fonts_are_as_wide_as_helvetica() {
        let widths = [
            (' ', 278, 278),
            ('0', 556, 556),
            ('.', 278, 278),
            ('A', 667, 722),
            ('W', 944, 944),
            ('i', 222, 278),
            ('m', 833, 889),
            ('ã', 556, 556),
            ('ç', 500, 556),
            ('Õ', 778, 778),
            ('@', 1015, 975),
        ];
        for (sign, regular, bold) in widths {
            for (weight, expected) in [(Weight::Regular, regular), (Weight::Bold, bold)] {
                let measured = weight.font().advance(sign) * 1_000.0;
                assert!((measured - expected as f32).abs() < 1.0, "{sign} {weight:?}: {measured}");
            }
        }
    }

    #[test]
    fn every_sign_that_can_be_printed_has_a_width_and_an_outline() {
        for code in 0..=u8::MAX {
            // The soft hyphen shows nothing and is never printed.
            let Some(sign) = latin::sign(code).filter(|sign| *sign != '\u{ad}') else { continue };
            for weight in [Weight::Regular, Weight::Bold] {
                assert!(weight.font().advance(sign) > 0.0, "{sign}");
                assert!(weight.font().glyph(sign).is_some(), "{sign}");
            }
        }
    }
}
