//! The Pix text as a QR code: dark stretches, row by row.
//!
//! **Owns** nothing. **Fails** by being absent where the text is longer than a code can hold, which the limits keep away.
//! **Limits**: error correction M, never more or less; the quiet zone of four modules is part of the size.

use qrcodegen::{DataTooLong, Mask, QrCode, QrCodeEcc, QrSegment, Version};

/// Modules of white around the code.
const QUIET: u16 = 4;

/// A code in modules.
pub struct Qr {
    /// Of one side, quiet zones included.
    pub modules: u16,
    pub stretches: Vec<Stretch>,
}

/// Dark modules side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub x: u16,
    pub y: u16,
    pub length: u16,
}

/// The code of a text; nothing where the text is too long for any.
pub fn encode(text: &str) -> Option<Qr> {
    let code = code(text).ok()?;
    let side = u16::try_from(code.size()).ok()?;
    let mut stretches: Vec<Stretch> = Vec::new();
    for y in 0..side {
        let mut dark_before = false;
        for x in 0..side {
            let dark = code.get_module(x.into(), y.into());
            match stretches.last_mut() {
                Some(last) if dark && dark_before => last.length += 1,
                _ if dark => stretches.push(Stretch { x: x + QUIET, y: y + QUIET, length: 1 }),
                _ => {}
            }
            dark_before = dark;
        }
    }
    Some(Qr { modules: side + 2 * QUIET, stretches })
}

/// The mask is left to the library, which tries all; the correction is not raised where there would be room for it.
fn code(text: &str) -> Result<QrCode, DataTooLong> {
    let segments = QrSegment::make_segments(text);
    let mask: Option<Mask> = None;
    QrCode::encode_segments_advanced(&segments, QrCodeEcc::Medium, Version::MIN, Version::MAX, mask, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::limits::PIX_EMV_BYTES_MAX;

    #[test]
    fn stretches_cover_the_dark_modules_and_keep_the_quiet_zone() {
        let text = "00020101021226pix";
        let (qr, code) = (encode(text).unwrap(), code(text).unwrap_or_else(|_| panic!("short enough")));
        let dark: i32 = qr.stretches.iter().map(|stretch| i32::from(stretch.length)).sum();
        let side = code.size();
        let expected = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
        assert_eq!(dark as usize, expected.filter(|(x, y)| code.get_module(*x, *y)).count());
        for stretch in &qr.stretches {
            assert!(stretch.x >= QUIET && stretch.y >= QUIET);
            assert!(stretch.x + stretch.length <= qr.modules - QUIET && stretch.y < qr.modules - QUIET);
        }
    }

    #[test]
    fn the_longest_allowed_text_has_a_code() {
        let qr = encode(&"~".repeat(PIX_EMV_BYTES_MAX)).unwrap();
        assert!(qr.modules <= 17 + 4 * 20 + 8, "{} modules on 34 mm", qr.modules);
    }
}
