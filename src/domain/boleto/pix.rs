//! The text behind a Pix QR code (BR Code, EMV tag-length-value), read to check what a bank gave.
//!
//! **Owns** nothing. A value of this type has the right check sum and a sound structure, by construction.
//! **Fails** with the first rule that is broken, never with the text.
//! **Limits**: at most 2,000 bytes; lengths count characters; the check sum is in upper case, as published; codes are
//! read and never made, because a code of our own would not settle a registered boleto.

use crate::domain::money::Cents;

/// More than any printable code has.
const BYTES_MAX: usize = 2_000;
/// The tag and length of the check sum, which ends every code.
const CHECK_SUM: &str = "6304";
/// The most characters that an amount has.
const AMOUNT_CHARS_MAX: usize = 13;
const PIX: &str = "br.gov.bcb.pix";
/// What stands for "no transaction id".
const NO_TXID: &str = "***";

/// A Pix code whose check sum and structure are right.
#[derive(Clone, PartialEq, Eq)]
pub struct BrCode {
    amount: Option<Cents>,
    txid: Option<String>,
    receiver: Receiver,
}

/// Where the money goes to.
#[derive(Clone, PartialEq, Eq)]
enum Receiver {
    /// A key, by which anybody may pay any number of times.
    Key(String),
    /// An address, without scheme, at which the charge lies.
    Url(String),
}

/// Why text is no Pix code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PixError {
    /// Not made of fields, too long, or a field twice.
    #[error("not a sequence of fields that ends in a check sum")]
    Structure,
    /// Wrong, or not in upper case.
    #[error("the check sum is wrong")]
    CheckSum,
    /// Of another version of the standard than 01.
    #[error("the version is not 01")]
    Version,
    /// No receiver whom Pix knows.
    #[error("no receiver of a Pix")]
    Receiver,
    /// Another currency than BRL.
    #[error("the currency is not BRL")]
    Currency,
    /// Not a number with at most two decimals.
    #[error("the amount is not a number of reais and cents")]
    Amount,
}

impl BrCode {
    /// Reads a code exactly as it is encoded, without white space around it.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(text: &str) -> Result<Self, PixError> {
        check_sum(text)?;
        let fields = Fields::parse(text)?;
        // The check sum covers what stands before it, and so may not stand anywhere else.
        if fields.0.last().is_none_or(|(id, _)| *id != 63) {
            return Err(PixError::Structure);
        }
        if fields.0.first() != Some(&(0, "01")) {
            return Err(PixError::Version);
        }
        if fields.get(53) != Some("986") {
            return Err(PixError::Currency);
        }
        Ok(Self {
            amount: fields.get(54).map(amount).transpose()?,
            txid: txid(&fields)?,
            receiver: receiver(&fields)?,
        })
    }

    /// The amount; nothing where the payer or the address says it.
    pub fn amount(&self) -> Option<Cents> {
        self.amount
    }

    /// The transaction's id; nothing where the code leaves it out (`***`), as dynamic codes do.
    pub fn txid(&self) -> Option<&str> {
        self.txid.as_deref()
    }

    /// Whether it points to a charge at a bank; only such a code can settle a boleto.
    pub fn is_dynamic(&self) -> bool {
        self.url().is_some()
    }

    /// The address of the charge, without `https://`.
    pub fn url(&self) -> Option<&str> {
        match &self.receiver {
            Receiver::Url(url) => Some(url),
            Receiver::Key(_) => None,
        }
    }

    /// The receiver's key in a static code.
    pub fn key(&self) -> Option<&str> {
        match &self.receiver {
            Receiver::Key(key) => Some(key),
            Receiver::Url(_) => None,
        }
    }
}

/// Keys are tax ids, telephones and addresses of persons.
impl std::fmt::Debug for BrCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrCode").field("amount", &self.amount).finish_non_exhaustive()
    }
}

/// Fields in the order of the text, each id once.
struct Fields<'a>(Vec<(u8, &'a str)>);

impl<'a> Fields<'a> {
    fn parse(mut text: &'a str) -> Result<Self, PixError> {
        let mut fields: Vec<(u8, &str)> = Vec::new();
        while !text.is_empty() {
            let id = two_digits(text, 0)?;
            let length = two_digits(text, 2)?;
            let value = &text[4..];
            let end = match value.char_indices().nth(length.into()) {
                Some((end, _)) => end,
                None if value.chars().count() == usize::from(length) => value.len(),
                None => return Err(PixError::Structure),
            };
            if fields.iter().any(|(known, _)| *known == id) {
                return Err(PixError::Structure);
            }
            fields.push((id, &value[..end]));
            text = &value[end..];
        }
        Ok(Self(fields))
    }

    fn get(&self, id: u8) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, value)| *value)
    }
}

fn two_digits(text: &str, at: usize) -> Result<u8, PixError> {
    match text.as_bytes().get(at..at + 2) {
        Some([tens @ b'0'..=b'9', units @ b'0'..=b'9']) => Ok((tens - b'0') * 10 + (units - b'0')),
        _ => Err(PixError::Structure),
    }
}

fn check_sum(text: &str) -> Result<(), PixError> {
    if text.len() > BYTES_MAX {
        return Err(PixError::Structure);
    }
    let start = text.len().checked_sub(4).filter(|start| text.is_char_boundary(*start));
    let (covered, found) = text.split_at(start.ok_or(PixError::Structure)?);
    if !covered.ends_with(CHECK_SUM) {
        return Err(PixError::Structure);
    }
    if format!("{:04X}", crc16(covered.as_bytes())) == found { Ok(()) } else { Err(PixError::CheckSum) }
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021 from 0xFFFF.
fn crc16(bytes: &[u8]) -> u16 {
    let mut sum = 0xFFFF_u16;
    for byte in bytes {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = sum & 0x8000 != 0;
            sum <<= 1;
            if carry {
                sum ^= 0x1021;
            }
        }
    }
    sum
}

/// `123`, `123.4` and `123.45`, exactly.
fn amount(text: &str) -> Result<Cents, PixError> {
    let (reais, cents) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > AMOUNT_CHARS_MAX || !is_digits(reais) || !is_digits(cents) || cents.len() > 2 {
        return Err(PixError::Amount);
    }
    let number = |digits: &str| digits.parse::<i64>().map_err(|_| PixError::Amount);
    let scale = if cents.len() == 1 { 10 } else { 1 };
    Ok(Cents(number(reais)? * 100 + number(cents)? * scale))
}

fn txid(fields: &Fields<'_>) -> Result<Option<String>, PixError> {
    let Some(additional) = fields.get(62) else { return Ok(None) };
    let txid = Fields::parse(additional)?.get(5);
    Ok(txid.filter(|txid| *txid != NO_TXID && !txid.is_empty()).map(str::to_owned))
}

fn receiver(fields: &Fields<'_>) -> Result<Receiver, PixError> {
    let account = Fields::parse(fields.get(26).ok_or(PixError::Receiver)?)?;
    // Some banks write the name of the arrangement in capitals.
    if !account.get(0).is_some_and(|name| name.eq_ignore_ascii_case(PIX)) {
        return Err(PixError::Receiver);
    }
    match (account.get(25), account.get(1)) {
        (Some(url), None) if !url.is_empty() => Ok(Receiver::Url(url.to_owned())),
        (None, Some(key)) if !key.is_empty() => Ok(Receiver::Key(key.to_owned())),
        // With both it is not known which of the two is paid.
        _ => Err(PixError::Receiver),
    }
}

#[cfg(test)]
mod tests;
