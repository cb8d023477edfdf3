//! How each bank lays out the 25 digits of its campo livre.
//!
//! **Owns** nothing. A layout is one table of fields; writing and reading both follow it, and so cannot drift apart.
//! **Fails** with the number that does not fit its field.
//! **Limits**: Banco do Brasil (Doc. 5175) and Bradesco (4008-524-0121). The layouts of eight-digit convênios and of
//! 17 free digits are here to be read; no configuration may issue under them.

use std::ops::Range;

use super::IssueError;
use crate::domain::boleto::barcode::write_number;
use crate::domain::boleto::check_digit;
use crate::domain::boleto::digits::{Digits, number};

/// One bank's layout for one kind of agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Bradesco,
    BbConvenio4,
    BbConvenio6,
    BbConvenio7,
    BbConvenio8,
    #[cfg_attr(not(test), expect(dead_code, reason = "obsolete: only read back, to keep the table complete"))]
    BbConvenio6Free17,
}

/// The numbers that a layout puts in place. A layout takes what it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub agency: &'a str,
    pub account: &'a str,
    pub carteira: &'a str,
    pub convenio: &'a str,
    pub sequence: i64,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    /// Exactly so many digits.
    Agency(usize),
    /// At most so many digits, zeros before them.
    Account(usize),
    Carteira(usize),
    Convenio(usize),
    Sequence(usize),
    Literal(&'static str),
}

use Field::{Account, Agency, Carteira, Convenio, Literal, Sequence};

impl Layout {
    /// Banco do Brasil's layout for a convênio, which follows from its length.
    pub fn of_convenio(convenio: &str) -> Option<Self> {
        match convenio.len() {
            4 => Some(Self::BbConvenio4),
            6 => Some(Self::BbConvenio6),
            7 => Some(Self::BbConvenio7),
            8 => Some(Self::BbConvenio8),
            _ => None,
        }
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Self::Bradesco => &[Agency(4), Carteira(2), Sequence(11), Account(7), Literal("0")],
            Self::BbConvenio4 => &[Convenio(4), Sequence(7), Agency(4), Account(8), Carteira(2)],
            Self::BbConvenio6 => &[Convenio(6), Sequence(5), Agency(4), Account(8), Carteira(2)],
            Self::BbConvenio7 => &[Literal("000000"), Convenio(7), Sequence(10), Carteira(2)],
            Self::BbConvenio8 => &[Literal("000000"), Convenio(8), Sequence(9), Carteira(2)],
            Self::BbConvenio6Free17 => &[Convenio(6), Sequence(17), Literal("21")],
        }
    }

    /// The last sequence that its field holds.
    pub fn sequence_max(self) -> i64 {
        match self {
            Self::Bradesco => 99_999_999_999,
            Self::BbConvenio4 => 9_999_999,
            Self::BbConvenio6 => 99_999,
            Self::BbConvenio7 => 9_999_999_999,
            Self::BbConvenio8 => 999_999_999,
            Self::BbConvenio6Free17 => 99_999_999_999_999_999,
        }
    }

    /// Lays the numbers out.
    pub fn write(self, numbers: &Numbers<'_>) -> Result<Digits<25>, IssueError> {
        let max = self.sequence_max();
        if !(1..=max).contains(&numbers.sequence) {
            return Err(IssueError::Sequence { max });
        }
        let mut digits = [b'0'; 25];
        let mut rest = digits.as_mut_slice();
        for field in self.fields() {
            let (place, behind) = rest.split_at_mut(field.width());
            field.write(place, numbers)?;
            rest = behind;
        }
        Ok(Digits::new(digits).expect("every field writes digits only"))
    }

    /// The sequence in a campo livre, where everything else in it is as in `numbers`.
    pub fn read(self, campo_livre: &str, numbers: &Numbers<'_>) -> Option<i64> {
        let mut sequence = None;
        let mut rest = campo_livre.as_bytes();
        for field in self.fields() {
            let (place, behind) = rest.split_at_checked(field.width())?;
            rest = behind;
            if let Sequence(_) = field {
                sequence = Some(number(place)).filter(|sequence| *sequence > 0);
                continue;
            }
            let mut expected = [b'0'; 25];
            let expected = &mut expected[..place.len()];
            field.write(expected, numbers).ok()?;
            if expected != place {
                return None;
            }
        }
        sequence
    }

    /// The full number without its check digit, which every layout keeps in one piece.
    pub fn nosso_numero(self, campo_livre: &Digits<25>) -> &str {
        &campo_livre.as_str()[self.nosso_numero_place()]
    }

    /// The number's own check digit, where the bank has one.
    pub fn nosso_numero_dv(self, campo_livre: &Digits<25>) -> Option<String> {
        let digits = campo_livre.as_bytes();
        let check_digit = match self {
            // Bradesco's covers the carteira too, which stands right before the number.
            Self::Bradesco => check_digit::bradesco(&digits[4..17]),
            Self::BbConvenio4 | Self::BbConvenio6 => {
                check_digit::banco_do_brasil(&digits[self.nosso_numero_place()])
            }
            Self::BbConvenio7 | Self::BbConvenio8 | Self::BbConvenio6Free17 => return None,
        };
        Some(char::from(check_digit).to_string())
    }

    fn nosso_numero_place(self) -> Range<usize> {
        match self {
            Self::BbConvenio4 | Self::BbConvenio6 => 0..11,
            Self::Bradesco => 6..17,
            Self::BbConvenio7 | Self::BbConvenio8 | Self::BbConvenio6Free17 => 6..23,
        }
    }
}

impl Field {
    fn width(self) -> usize {
        match self {
            Agency(width) | Account(width) | Carteira(width) | Convenio(width) | Sequence(width) => width,
            Literal(text) => text.len(),
        }
    }

    fn write(self, place: &mut [u8], numbers: &Numbers<'_>) -> Result<(), IssueError> {
        match self {
            Agency(_) => write_exact(place, numbers.agency, "agency"),
            Account(_) => write_padded(place, numbers.account, "account"),
            Carteira(_) => write_exact(place, numbers.carteira, "carteira"),
            Convenio(_) => write_exact(place, numbers.convenio, "convenio"),
            Literal(text) => write_exact(place, text, "layout"),
            Sequence(_) => {
                write_number(place, numbers.sequence);
                Ok(())
            }
        }
    }
}

fn write_exact(place: &mut [u8], text: &str, field: &'static str) -> Result<(), IssueError> {
    if text.len() == place.len() {
        write_padded(place, text, field)
    } else {
        Err(IssueError::Issuer { field })
    }
}

/// Writes digits to the right end; the zeros before them are there already.
fn write_padded(place: &mut [u8], text: &str, field: &'static str) -> Result<(), IssueError> {
    let fits = (1..=place.len()).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !fits {
        return Err(IssueError::Issuer { field });
    }
    let start = place.len() - text.len();
    place[start..].copy_from_slice(text.as_bytes());
    Ok(())
}
