//! The agreement under which a bank lets a company issue boletos, and the codes that follow from it.
//!
//! **Owns** nothing; the sequence that makes a number new is allocated by the store and passed in.
//! **Fails** with every broken rule of a configuration at once, or with the one reason why a code cannot be made.
//! **Limits**: Banco do Brasil with convênios of 4, 6 and 7 digits, Bradesco; the layouts are in `campo_livre`.

mod campo_livre;

use std::fmt::Write as _;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use self::campo_livre::{Layout, Numbers};
use super::Codes;
use super::barcode::{Barcode, BarcodeParts, BarcodePartsError};
use super::due_date_factor::{DueDateFactor, NoDueDateFactor};
use crate::domain::money::Cents;
use crate::domain::violation::Violation;

/// An agreement with one bank, as the bank knows it. All numbers are text, because leading zeros matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "bank", rename_all = "snake_case", deny_unknown_fields)]
pub enum Issuer {
    /// Bank 001.
    BancoDoBrasil {
        /// 4, 6 or 7 digits.
        convenio: String,
        /// Two digits.
        carteira: String,
        /// One to three digits, as the bank's API wants it.
        variacao: String,
        /// Four digits, without check digit; part of the codes of convênios of 4 and 6 digits only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agency: Option<String>,
        /// At most eight digits, without check digit; part of the codes of convênios of 4 and 6 digits only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Bank 237.
    Bradesco {
        /// Four digits, without check digit.
        agency: String,
        /// At most seven digits, without check digit.
        account: String,
        /// Two digits.
        carteira: String,
    },
}

/// Why the codes of a boleto cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The agreement has no such number; when it is used up, the bank must give another agreement.
    #[error("the sequence must be from 1 to {max}")]
    Sequence {
        /// The last number that the agreement has.
        max: i64,
    },
    /// The amount does not fit a barcode.
    #[error("the amount must be from 1 to 9999999999 cents")]
    Amount,
    /// The due date lies before factors begin.
    #[error(transparent)]
    DueDate(#[from] NoDueDateFactor),
    /// The configuration breaks a rule that [`Issuer::violations`] names.
    #[error("the issuer's {field} does not fit its layout")]
    Issuer {
        /// Its name in the configuration.
        field: &'static str,
    },
}

impl Issuer {
    /// The bank's three digits.
    pub fn bank_code(&self) -> &'static str {
        match self {
            Self::BancoDoBrasil { .. } => "001",
            Self::Bradesco { .. } => "237",
        }
    }

    /// Every rule that the configuration breaks, with paths from `issuer.` on.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        match self {
            Self::BancoDoBrasil { convenio, carteira, variacao, agency, account } => {
                let known = matches!(convenio.len(), 4 | 6 | 7) && is_digits(convenio);
                // Seven digits that begin with 0 would be a shorter convênio with another layout.
                if !known || convenio.starts_with('0') {
                    found.push(violation("convenio", "4, 6 or 7 digits, the first not 0"));
                }
                require(&mut found, "carteira", carteira, 2..=2);
                require(&mut found, "variacao", variacao, 1..=3);
                let needed = matches!(convenio.len(), 4 | 6);
                require_if(&mut found, "agency", agency.as_deref(), 4..=4, needed);
                require_if(&mut found, "account", account.as_deref(), 1..=8, needed);
            }
            Self::Bradesco { agency, account, carteira } => {
                require(&mut found, "agency", agency, 4..=4);
                require(&mut found, "account", account, 1..=7);
                require(&mut found, "carteira", carteira, 2..=2);
            }
        }
        found
    }

    /// The last number of the agreement; the first is 1. Zero where the configuration fits no layout.
    pub fn sequence_max(&self) -> i64 {
        self.layout().map_or(0, Layout::sequence_max)
    }

    /// Within what a nosso número must be unique. Two issuers with one key share one counter.
    ///
    /// At Banco do Brasil the number is made of convênio and sequence alone, so that the carteira does not make
    /// another number of it; at Bradesco each account counts by carteira.
    pub fn range_key(&self) -> String {
        match self {
            Self::BancoDoBrasil { convenio, .. } => format!("001/{convenio}"),
            Self::Bradesco { agency, account, carteira } => format!("237/{agency}/{account:0>7}/{carteira}"),
        }
    }

    /// Makes all the codes of one boleto.
    ///
    /// # Errors
    /// A sequence, an amount or a date out of bounds, or a configuration that fits no layout.
    pub fn compose(&self, sequence: i64, amount: Cents, due_date: NaiveDate) -> Result<Codes, IssueError> {
        let layout = self.layout().ok_or(IssueError::Issuer { field: "convenio" })?;
        let written = layout.write(&self.numbers(sequence))?;
        let barcode = Barcode::compose(&BarcodeParts {
            bank_code: self.bank_code(),
            factor: DueDateFactor::of(due_date)?,
            amount,
            campo_livre: &written,
        })
        .map_err(|error| match error {
            BarcodePartsError::Amount => IssueError::Amount,
            BarcodePartsError::BankCode => unreachable!("the bank codes above are three digits"),
        })?;
        Ok(Codes {
            nosso_numero: layout.nosso_numero(&written).to_owned(),
            nosso_numero_dv: layout.nosso_numero_dv(&written),
            barcode,
            linha_digitavel: barcode.to_linha(),
        })
    }

    /// The sequence that a barcode was made of; nothing where it is not of this agreement.
    pub fn sequence_of(&self, barcode: &Barcode) -> Option<i64> {
        if barcode.bank_code() != self.bank_code() {
            return None;
        }
        self.layout()?.read(barcode.campo_livre(), &self.numbers(0))
    }

    fn layout(&self) -> Option<Layout> {
        match self {
            Self::Bradesco { .. } => Some(Layout::Bradesco),
            Self::BancoDoBrasil { convenio, .. } => Layout::of_convenio(convenio),
        }
    }

    fn numbers(&self, sequence: i64) -> Numbers<'_> {
        match self {
            Self::BancoDoBrasil { convenio, carteira, agency, account, .. } => Numbers {
                agency: agency.as_deref().unwrap_or_default(),
                account: account.as_deref().unwrap_or_default(),
                carteira,
                convenio,
                sequence,
            },
            Self::Bradesco { agency, account, carteira } => {
                Numbers { agency, account, carteira, convenio: "", sequence }
            }
        }
    }
}

/// The `numeroTituloCliente` of Banco do Brasil's Cobranças v2: three zeros and the 17 digits of a convênio of seven.
/// Nothing for numbers of other lengths, which that API does not take.
pub fn banco_do_brasil_title_number(nosso_numero: &str) -> Option<String> {
    if nosso_numero.len() != 17 || !is_digits(nosso_numero) {
        return None;
    }
    let mut number = String::with_capacity(20);
    write!(number, "000{nosso_numero}").expect("a string takes whatever is written");
    Some(number)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn violation(field: &str, description: &str) -> Violation {
    Violation::new(format!("issuer.{field}"), description)
}

fn require(found: &mut Vec<Violation>, field: &str, text: &str, lengths: std::ops::RangeInclusive<usize>) {
    if is_digits(text) && lengths.contains(&text.len()) {
        return;
    }
    let (min, max) = lengths.into_inner();
    let rule = if min == max { format!("{max} digits") } else { format!("{min} to {max} digits") };
    found.push(violation(field, &rule));
}

fn require_if(
    found: &mut Vec<Violation>,
    field: &str,
    text: Option<&str>,
    lengths: std::ops::RangeInclusive<usize>,
    needed: bool,
) {
    match text {
        Some(text) => require(found, field, text, lengths),
        None if needed => found.push(violation(field, "needed with a convênio of 4 or 6 digits")),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::boleto::digits::Digits;
    use crate::domain::boleto::due_date_factor::DAYS_AHEAD_MAX;
    use crate::domain::boleto::parse::{ParsedCode, parse};
    use crate::domain::vectors::{VECTORS, Valid};

    fn issuer_of(vector: &Valid) -> Issuer {
        let account = vector.account.clone();
        match vector.bank_code.as_str() {
            "237" => Issuer::Bradesco {
                agency: vector.agency.clone().unwrap(),
                account: account.unwrap(),
                carteira: vector.wallet.clone(),
            },
            _ => Issuer::BancoDoBrasil {
                convenio: vector.convenio.clone().unwrap(),
                carteira: vector.wallet.clone(),
                variacao: "35".to_owned(),
                agency: vector.agency.clone(),
                account,
            },
        }
    }

    #[test]
    fn every_published_code_of_our_banks_is_made_and_read_back() {
        let ours = |vector: &&Valid| matches!(vector.bank_code.as_str(), "001" | "237");
        let mut made = 0;
        for vector in
            VECTORS.valid.iter().filter(ours).filter(|vector| vector.layout != "bb_convenio6_free17")
        {
            assert_eq!(vector.checks, "full");
            let issuer = issuer_of(vector);
            let known = vector.layout != "bb_convenio8";
            assert_eq!(issuer.violations().is_empty(), known, "{}", vector.barcode);
            let sequence = vector.sequence.parse().unwrap();
            let codes = issuer.compose(sequence, Cents(vector.amount_cents), vector.due_date).unwrap();
            assert_eq!(codes.barcode.as_str(), vector.barcode);
            assert_eq!(codes.linha_digitavel.as_str(), vector.digitable_line);
            assert_eq!(codes.nosso_numero, vector.nosso_numero);
            assert_eq!(codes.nosso_numero_dv, vector.nosso_numero_dv);
            assert_eq!(issuer.sequence_of(&codes.barcode), Some(sequence));
            made += 1;
        }
        assert_eq!(made, 39);
    }

    #[test]
    fn the_obsolete_layout_of_17_free_digits_is_read_back() {
        let vector = VECTORS.valid.iter().find(|vector| vector.layout == "bb_convenio6_free17").unwrap();
        let layout = Layout::BbConvenio6Free17;
        let issuer = issuer_of(vector);
        let sequence = vector.sequence.parse().unwrap();
        let numbers = issuer.numbers(sequence);
        let written = layout.write(&numbers).unwrap();
        assert_eq!(Some(written), Digits::from_bare(&vector.campo_livre));
        assert_eq!(layout.read(&vector.campo_livre, &numbers), Some(sequence));
        assert_eq!(layout.nosso_numero(&written), vector.nosso_numero);
        assert_eq!(layout.nosso_numero_dv(&written), vector.nosso_numero_dv);
    }

    fn banco_do_brasil(convenio: &str) -> Issuer {
        Issuer::BancoDoBrasil {
            convenio: convenio.to_owned(),
            carteira: "17".to_owned(),
            variacao: "35".to_owned(),
            agency: Some("1234".to_owned()),
            account: Some("123456".to_owned()),
        }
    }

    #[test]
    fn every_broken_rule_of_a_configuration_is_named() {
        let fields = |issuer: &Issuer| -> Vec<_> {
            issuer.violations().into_iter().map(|found| found.field).collect()
        };
        let bradesco = Issuer::Bradesco {
            agency: "123".to_owned(),
            account: "12345678".to_owned(),
            carteira: "9a".to_owned(),
        };
        assert_eq!(fields(&bradesco), ["issuer.agency", "issuer.account", "issuer.carteira"]);
        for convenio in ["", "123", "12345", "12345678", "123456a", "0123456"] {
            assert_eq!(fields(&banco_do_brasil(convenio)), ["issuer.convenio"], "{convenio}");
        }
        let bare = Issuer::BancoDoBrasil {
            convenio: "123456".to_owned(),
            carteira: "17".to_owned(),
            variacao: String::new(),
            agency: None,
            account: None,
        };
        assert_eq!(fields(&bare), ["issuer.variacao", "issuer.agency", "issuer.account"]);
        let date = "2026-12-10".parse().unwrap();
        assert_eq!(bare.compose(1, Cents(1), date), Err(IssueError::Issuer { field: "agency" }));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let issuer = banco_do_brasil("1234567");
        let date: NaiveDate = "2026-12-10".parse().unwrap();
        let max = 9_999_999_999;
        assert_eq!(issuer.sequence_max(), max);
        assert_eq!(issuer.compose(0, Cents(1), date), Err(IssueError::Sequence { max }));
        assert_eq!(issuer.compose(max + 1, Cents(1), date), Err(IssueError::Sequence { max }));
        assert_eq!(issuer.compose(1, Cents(0), date), Err(IssueError::Amount));
        let early = "1999-12-31".parse().unwrap();
        assert_eq!(issuer.compose(1, Cents(1), early), Err(IssueError::DueDate(NoDueDateFactor)));
    }

    #[test]
    fn issuers_of_one_number_space_share_its_key() {
        let mut other_carteira = banco_do_brasil("1234567");
        if let Issuer::BancoDoBrasil { carteira, .. } = &mut other_carteira {
            "31".clone_into(carteira);
        }
        assert_eq!(other_carteira.range_key(), banco_do_brasil("1234567").range_key());
        let bradesco = |account: &str| Issuer::Bradesco {
            agency: "1234".to_owned(),
            account: account.to_owned(),
            carteira: "09".to_owned(),
        };
        assert_eq!(bradesco("345").range_key(), bradesco("0000345").range_key());
        assert_ne!(bradesco("345").range_key(), bradesco("346").range_key());
    }

    #[test]
    fn a_barcode_of_another_agreement_is_not_read() {
        let date = "2026-12-10".parse().unwrap();
        let barcode = banco_do_brasil("1234567").compose(7, Cents(1), date).unwrap().barcode;
        assert_eq!(banco_do_brasil("1234567").sequence_of(&barcode), Some(7));
        assert_eq!(banco_do_brasil("1234568").sequence_of(&barcode), None);
        assert_eq!(banco_do_brasil("1234").sequence_of(&barcode), None);
        let bradesco = Issuer::Bradesco {
            agency: "0000".to_owned(),
            account: "1".to_owned(),
            carteira: "17".to_owned(),
        };
        assert_eq!(bradesco.sequence_of(&barcode), None);
    }

    #[test]
    fn the_title_number_is_twenty_digits() {
        assert_eq!(
            banco_do_brasil_title_number("12345670000000005").as_deref(),
            Some("00012345670000000005")
        );
        assert_eq!(banco_do_brasil_title_number("12380123456"), None);
        assert_eq!(banco_do_brasil_title_number("1234567000000000X"), None);
    }

    #[test]
    fn configuration_is_read_strictly() {
        let text = r#"{"bank":"bradesco","agency":"1234","account":"345","carteira":"09"}"#;
        let issuer: Issuer = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&issuer).unwrap(), text);
        assert!(serde_json::from_str::<Issuer>(&text.replace("carteira", "wallet")).is_err());
        assert!(serde_json::from_str::<Issuer>(&text.replace("}", r#","x":1}"#)).is_err());
    }

    fn any_issuer() -> impl Strategy<Value = Issuer> {
        let convenio = prop_oneof!["[1-9][0-9]{3}", "[1-9][0-9]{5}", "[1-9][0-9]{6}"];
        let banco_do_brasil = (convenio, "[0-9]{2}", "[0-9]{1,3}", "[0-9]{4}", "[0-9]{1,8}").prop_map(
            |(convenio, carteira, variacao, agency, account)| Issuer::BancoDoBrasil {
                convenio,
                carteira,
                variacao,
                agency: Some(agency),
                account: Some(account),
            },
        );
        let bradesco = ("[0-9]{4}", "[0-9]{1,7}", "[0-9]{2}")
            .prop_map(|(agency, account, carteira)| Issuer::Bradesco { agency, account, carteira });
        prop_oneof![banco_do_brasil, bradesco]
    }

    proptest! {
        #[test]
        fn what_is_composed_is_parsed_back(
            issuer in any_issuer(),
            sequence in 1..=i64::MAX,
            amount in 1..=Cents::BOLETO_MAX.0,
            today in 8_000..60_000_i64,
            ahead in 0..=DAYS_AHEAD_MAX,
        ) {
            prop_assert_eq!(issuer.violations(), []);
            let sequence = 1 + sequence % issuer.sequence_max();
            let today = NaiveDate::from_ymd_opt(1997, 10, 7).unwrap() + chrono::TimeDelta::days(today);
            let due = today + chrono::TimeDelta::days(ahead);
            let codes = issuer.compose(sequence, Cents(amount), due).unwrap();
            prop_assert_eq!(issuer.sequence_of(&codes.barcode), Some(sequence));
            for code in [codes.barcode.to_string(), codes.linha_digitavel.to_string(), codes.linha_digitavel.formatted()] {
                let expected = ParsedCode::Cobranca {
                    barcode: codes.barcode,
                    linha: codes.linha_digitavel,
                    bank_code: Digits::from_bare(issuer.bank_code()).unwrap(),
                    amount: Some(Cents(amount)),
                    due_date: Some(due),
                    factor: Some(DueDateFactor::of(due).unwrap().get()),
                    campo_livre: Digits::from_bare(codes.barcode.campo_livre()).unwrap(),
                };
                prop_assert_eq!(parse(&code, today), Ok(expected));
            }
        }
    }
}
