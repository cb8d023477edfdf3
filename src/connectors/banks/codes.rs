//! Whether the codes in a bank's answer may be believed.
//!
//! **Owns** nothing. **Fails** towards doubt: codes that break a check digit, contradict each other, or are for another
//! amount, date, bank or number than ours are never shown to a payer.

use crate::domain::boleto::Boleto;
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::linha_digitavel::LinhaDigitavel;

/// Reads the barcode and the line of an answer, as far as they are there, by our own rules.
///
/// # Errors
/// What is wrong with them, in a few words.
pub(super) fn read(barcode: Option<&str>, line: Option<&str>) -> Result<Option<Barcode>, &'static str> {
    let filled = |text: &&str| !text.trim().is_empty();
    let barcode = match barcode.filter(filled) {
        Some(text) => Some(Barcode::parse(text.trim()).map_err(|_| "a barcode that fails its check")?),
        None => None,
    };
    let line = match line.filter(filled) {
        Some(text) => {
            Some(LinhaDigitavel::parse(text.trim()).map_err(|_| "a line that fails its check")?.to_barcode())
        }
        None => None,
    };
    match (barcode, line) {
        (Some(barcode), Some(line)) if barcode != line => {
            Err("a line and a barcode that contradict each other")
        }
        (barcode, line) => Ok(barcode.or(line)),
    }
}

/// As [`read`], for an answer that must bring both.
///
/// # Errors
/// What is wrong with them, or missing, in a few words.
pub(super) fn read_both(barcode: Option<&str>, line: Option<&str>) -> Result<Barcode, &'static str> {
    let blank = |text: Option<&str>| text.is_none_or(|text| text.trim().is_empty());
    if blank(barcode) {
        return Err("no barcode");
    }
    if blank(line) {
        return Err("no line");
    }
    read(barcode, line)?.ok_or("no codes")
}

/// In what a barcode differs from the boleto that we hold: its bank, amount and due date always, the campo livre where
/// we made one ourselves.
pub(super) fn differences(theirs: &Barcode, boleto: &Boleto, bank_code: &str) -> Vec<&'static str> {
    let ours = boleto.codes.barcode.as_ref();
    let due = crate::domain::boleto::due_date_factor::DueDateFactor::of(boleto.due_date).ok();
    let parts = [
        ("bank_code", theirs.bank_code() == bank_code),
        ("amount", theirs.amount() == boleto.amount),
        ("due_date", theirs.factor() == due),
        ("nosso_numero", ours.is_none_or(|ours| theirs.campo_livre() == ours.campo_livre())),
    ];
    parts.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}
