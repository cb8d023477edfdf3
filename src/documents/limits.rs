//! How much text the form holds: within these lengths everything is printed in full somewhere on the page.
//!
//! **Owns** the numbers. **Fails** with all violations at once.
//! **Limits**: lengths are counted in characters, the Pix text in bytes. They are far above what a boleto may be created with
//! and end where text would have to be smaller than can be read, were every letter a `W`.

use super::document::{BoletoDocument, DocumentError, Party, Standing};
use crate::domain::violation::Violation;

/// A Pix text that a phone still reads from a square of 34 mm.
pub const PIX_EMV_BYTES_MAX: usize = 512;
/// A name on the form.
pub const NAME_CHARS_MAX: usize = 150;
/// An address in one line.
pub const ADDRESS_CHARS_MAX: usize = 240;
/// All instructions together.
pub const INSTRUCTIONS_CHARS_MAX: usize = 1_000;
/// Paragraphs of instructions.
pub const INSTRUCTIONS_MAX: usize = 16;
/// What stands in one of the small boxes.
pub const BOX_CHARS_MAX: usize = 40;
/// Where it may be paid, or why it may not be.
pub const SENTENCE_CHARS_MAX: usize = 120;

/// Checks every text of a document.
///
/// # Errors
/// Each text that is too long.
pub fn check(document: &BoletoDocument) -> Result<(), DocumentError> {
    let mut found = Vec::new();
    let boxes = [
        ("bank.name", &document.bank.name),
        ("bank.code", &document.bank.code),
        ("agency_and_code", &document.agency_and_code),
        ("nosso_numero", &document.nosso_numero),
        ("document_number", &document.document_number),
        ("document_kind", &document.document_kind),
        ("acceptance", &document.acceptance),
        ("carteira", &document.carteira),
    ];
    for (field, text) in boxes {
        chars(&mut found, field, text, BOX_CHARS_MAX);
    }
    chars(&mut found, "payment_place", &document.payment_place, SENTENCE_CHARS_MAX);
    party(&mut found, "beneficiary", &document.beneficiary);
    party(&mut found, "payer", &document.payer);
    if let Some(guarantor) = &document.guarantor {
        party(&mut found, "guarantor", guarantor);
    }
    instructions(&mut found, &document.instructions);
    match &document.standing {
        Standing::NotPayable { reason } => chars(&mut found, "reason", reason, SENTENCE_CHARS_MAX),
        Standing::Payable { pix_emv: Some(emv), .. } if emv.len() > PIX_EMV_BYTES_MAX => {
            found.push(Violation::new("pix_emv", format!("at most {PIX_EMV_BYTES_MAX} bytes")));
        }
        Standing::Payable { .. } => {}
    }
    if found.is_empty() { Ok(()) } else { Err(DocumentError::TooLong(found)) }
}

fn party(found: &mut Vec<Violation>, field: &str, party: &Party) {
    chars(found, &format!("{field}.name"), &party.name, NAME_CHARS_MAX);
    if let Some(address) = &party.address {
        chars(found, &format!("{field}.address"), address, ADDRESS_CHARS_MAX);
    }
}

fn instructions(found: &mut Vec<Violation>, paragraphs: &[String]) {
    let count: usize = paragraphs.iter().map(|paragraph| paragraph.chars().count()).sum();
    if count > INSTRUCTIONS_CHARS_MAX || paragraphs.len() > INSTRUCTIONS_MAX {
        let rule = format!(
            "at most {INSTRUCTIONS_CHARS_MAX} characters in {INSTRUCTIONS_MAX} paragraphs altogether"
        );
        found.push(Violation::new("instructions", rule));
    }
}

fn chars(found: &mut Vec<Violation>, field: &str, text: &str, max: usize) {
    if text.chars().count() > max {
        found.push(Violation::new(field, format!("at most {max} characters")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::samples;

    #[test]
    fn everything_that_is_too_long_is_said_at_once() {
        let mut document = samples::document();
        document.payer.name = "á".repeat(NAME_CHARS_MAX + 1);
        document.instructions = vec!["x".repeat(INSTRUCTIONS_CHARS_MAX + 1)];
        document.carteira = "1".repeat(BOX_CHARS_MAX + 1);
        if let Standing::Payable { pix_emv, .. } = &mut document.standing {
            *pix_emv = Some("0".repeat(PIX_EMV_BYTES_MAX + 1));
        }
        let Err(DocumentError::TooLong(found)) = check(&document) else { panic!("it fits") };
        let fields: Vec<&str> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["carteira", "payer.name", "instructions", "pix_emv"]);
    }

    #[test]
    fn the_longest_texts_pass() {
        assert_eq!(check(&samples::longest('W')), Ok(()));
    }
}
