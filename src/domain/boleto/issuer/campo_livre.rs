//! How each bank lays out the 25 digits of its campo livre, its nosso número, and what the number's check digit covers.
//!
//! **Owns** nothing. A layout is one table of fields; what was written is read back by writing it again, so that both
//! cannot drift apart.
//! **Fails** with the number that does not fit its field.
//! **Limits**: Banco do Brasil (Doc. 5175), Bradesco (4008-524-0121), Itaú (CNAB 400 of 2016), Santander (layout v2.9),
//! Caixa (MO67119 v009). The layouts of eight-digit convênios, of 17 free digits and of Itaú's seu número are here to be
//! read; no configuration may issue under them.

use super::IssueError;
use crate::domain::boleto::barcode::write_number;
use crate::domain::boleto::check_digit;
use crate::domain::boleto::digits::{Digits, number};

/// The most digits that a number or what its check digit covers has.
const NUMBER_DIGITS_MAX: usize = 20;

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
    /// The number's check digit covers agency, account, carteira and number.
    ItauCommon,
    /// The number's check digit covers carteira and number alone.
    ItauCarteiraAndNumber,
    #[cfg_attr(not(test), expect(dead_code, reason = "only read back: no agreement here has a client code"))]
    ItauSeuNumero,
    Santander,
    CaixaBeneficiary6,
    CaixaBeneficiary7,
}

/// The numbers that a layout puts in place. A layout takes what it needs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers<'a> {
    pub agency: &'a str,
    pub account: &'a str,
    pub carteira: &'a str,
    pub convenio: &'a str,
    pub beneficiary: &'a str,
    pub ios: &'a str,
    pub seu_numero: &'a str,
    pub client_code: &'a str,
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
    Beneficiary(usize),
    Ios(usize),
    /// At most so many digits, zeros before them.
    SeuNumero(usize),
    /// At most so many digits, zeros before them.
    ClientCode(usize),
    Sequence(usize),
    /// So many digits of the sequence, of which so many more stand in fields behind.
    Part(usize, u32),
    Literal(&'static str),
    /// The check digit of the nosso número.
    NumberDv,
    /// A check digit over so many digits right before it.
    Check(usize, Rule),
}

type Rule = fn(&[u8]) -> u8;

use Field::{
    Account, Agency, Beneficiary, Carteira, Check, ClientCode, Convenio, Ios, Literal, NumberDv, Part,
    Sequence, SeuNumero,
};
use check_digit::{above_nine_is_zero, banco_do_brasil, bradesco, mod10};

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

    /// Caixa's layout for a beneficiary's code: one of seven digits leaves no room for its check digit.
    pub fn of_caixa_beneficiary(beneficiary: &str) -> Option<Self> {
        match beneficiary.len() {
            6 => Some(Self::CaixaBeneficiary6),
            7 => Some(Self::CaixaBeneficiary7),
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
            Self::ItauCommon | Self::ItauCarteiraAndNumber => {
                &[Carteira(3), Sequence(8), NumberDv, Agency(4), Account(5), Check(9, mod10), Literal("000")]
            }
            Self::ItauSeuNumero => {
                &[Carteira(3), Sequence(8), SeuNumero(7), ClientCode(5), Check(23, mod10), Literal("0")]
            }
            Self::Santander => &[Literal("9"), Beneficiary(7), Sequence(12), NumberDv, Ios(1), Carteira(3)],
            // Caixa takes the number apart: the 1 (registered) and the 4 (issued by the beneficiary) are its first two.
            Self::CaixaBeneficiary6 => &[
                Beneficiary(6),
                Check(6, above_nine_is_zero),
                Part(3, 12),
                Literal("1"),
                Part(3, 9),
                Literal("4"),
                Part(9, 0),
                Check(24, above_nine_is_zero),
            ],
            Self::CaixaBeneficiary7 => &[
                Beneficiary(7),
                Part(3, 12),
                Literal("1"),
                Part(3, 9),
                Literal("4"),
                Part(9, 0),
                Check(24, above_nine_is_zero),
            ],
        }
    }

    /// What the full nosso número is made of, without its check digit.
    fn number_fields(self) -> &'static [Field] {
        match self {
            Self::Bradesco => &[Sequence(11)],
            Self::BbConvenio4 => &[Convenio(4), Sequence(7)],
            Self::BbConvenio6 => &[Convenio(6), Sequence(5)],
            Self::BbConvenio7 => &[Convenio(7), Sequence(10)],
            Self::BbConvenio8 => &[Convenio(8), Sequence(9)],
            Self::BbConvenio6Free17 => &[Sequence(17)],
            Self::ItauCommon | Self::ItauCarteiraAndNumber | Self::ItauSeuNumero => &[Sequence(8)],
            Self::Santander => &[Sequence(12)],
            Self::CaixaBeneficiary6 | Self::CaixaBeneficiary7 => &[Literal("14"), Sequence(15)],
        }
    }

    /// What the number's own check digit covers and by which rule, where the bank has one.
    fn number_check(self) -> Option<(&'static [Field], Rule)> {
        match self {
            Self::Bradesco => Some((&[Carteira(2), Sequence(11)], bradesco)),
            Self::BbConvenio4 | Self::BbConvenio6 => Some((self.number_fields(), banco_do_brasil)),
            Self::BbConvenio7 | Self::BbConvenio8 | Self::BbConvenio6Free17 | Self::ItauSeuNumero => None,
            Self::ItauCommon => Some((&[Agency(4), Account(5), Carteira(3), Sequence(8)], mod10)),
            Self::ItauCarteiraAndNumber => Some((&[Carteira(3), Sequence(8)], mod10)),
            Self::Santander | Self::CaixaBeneficiary6 | Self::CaixaBeneficiary7 => {
                Some((self.number_fields(), above_nine_is_zero))
            }
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
            Self::ItauCommon | Self::ItauCarteiraAndNumber | Self::ItauSeuNumero => 99_999_999,
            Self::Santander => 999_999_999_999,
            Self::CaixaBeneficiary6 | Self::CaixaBeneficiary7 => 999_999_999_999_999,
        }
    }

    /// Lays the numbers out.
    pub fn write(self, numbers: &Numbers<'_>) -> Result<Digits<25>, IssueError> {
        self.check_sequence(numbers)?;
        let mut digits = [b'0'; 25];
        self.lay(self.fields(), numbers, &mut digits)?;
        Ok(Digits::new(digits).expect("every field writes digits only"))
    }

    /// The sequence in a campo livre, where everything else in it is as in `numbers`.
    pub fn read(self, campo_livre: &str, numbers: &Numbers<'_>) -> Option<i64> {
        let mut sequence = 0;
        let mut rest = campo_livre.as_bytes();
        for field in self.fields() {
            let (place, behind) = rest.split_at_checked(field.width())?;
            rest = behind;
            match field {
                Sequence(_) => sequence = number(place),
                Part(_, more) => sequence += number(place) * 10_i64.pow(*more),
                _ => {}
            }
        }
        let written = self.write(&Numbers { sequence, ..*numbers }).ok()?;
        (written.as_str() == campo_livre).then_some(sequence)
    }

    /// The full number without its check digit, and the check digit where the bank has one.
    pub fn number(self, numbers: &Numbers<'_>) -> Result<(String, Option<String>), IssueError> {
        self.check_sequence(numbers)?;
        let mut digits = [b'0'; NUMBER_DIGITS_MAX];
        let count = self.lay(self.number_fields(), numbers, &mut digits)?;
        let number = digits[..count].iter().copied().map(char::from).collect();
        let check_digit = self.number_dv(numbers)?.map(|digit| char::from(digit).to_string());
        Ok((number, check_digit))
    }

    fn number_dv(self, numbers: &Numbers<'_>) -> Result<Option<u8>, IssueError> {
        let Some((fields, rule)) = self.number_check() else { return Ok(None) };
        let mut digits = [b'0'; NUMBER_DIGITS_MAX];
        let count = self.lay(fields, numbers, &mut digits)?;
        Ok(Some(rule(&digits[..count])))
    }

    fn check_sequence(self, numbers: &Numbers<'_>) -> Result<(), IssueError> {
        let max = self.sequence_max();
        if (1..=max).contains(&numbers.sequence) { Ok(()) } else { Err(IssueError::Sequence { max }) }
    }

    /// Writes fields one behind the other over zeros, and says how many digits they took.
    fn lay(self, fields: &[Field], numbers: &Numbers<'_>, into: &mut [u8]) -> Result<usize, IssueError> {
        let mut at = 0;
        for field in fields {
            let (before, rest) = into.split_at_mut(at);
            let place = &mut rest[..field.width()];
            match field {
                NumberDv => {
                    if let Some(digit) = self.number_dv(numbers)? {
                        place[0] = digit;
                    }
                }
                Check(over, rule) => place[0] = rule(&before[at - over..]),
                _ => field.write(place, numbers)?,
            }
            at += place.len();
        }
        Ok(at)
    }
}

impl Field {
    fn width(self) -> usize {
        match self {
            Agency(width) | Account(width) | Carteira(width) | Convenio(width) | Beneficiary(width) => width,
            Ios(width) | SeuNumero(width) | ClientCode(width) | Sequence(width) | Part(width, _) => width,
            Literal(text) => text.len(),
            NumberDv | Check(..) => 1,
        }
    }

    /// Writes what does not depend on other digits; check digits are the layout's to write.
    fn write(self, place: &mut [u8], numbers: &Numbers<'_>) -> Result<(), IssueError> {
        match self {
            Agency(_) => write_exact(place, numbers.agency, "agency"),
            Account(_) => write_padded(place, numbers.account, "account"),
            Carteira(_) => write_exact(place, numbers.carteira, "carteira"),
            Convenio(_) => write_exact(place, numbers.convenio, "convenio"),
            Beneficiary(_) => write_exact(place, numbers.beneficiary, "beneficiary"),
            Ios(_) => write_exact(place, numbers.ios, "ios"),
            SeuNumero(_) => write_padded(place, numbers.seu_numero, "seu_numero"),
            ClientCode(_) => write_padded(place, numbers.client_code, "client_code"),
            Literal(text) => write_exact(place, text, "layout"),
            Sequence(_) => {
                write_number(place, numbers.sequence);
                Ok(())
            }
            // What stands before these digits in the sequence is cut off by the width.
            Part(_, more) => {
                write_number(place, numbers.sequence / 10_i64.pow(more));
                Ok(())
            }
            NumberDv | Check(..) => Ok(()),
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
