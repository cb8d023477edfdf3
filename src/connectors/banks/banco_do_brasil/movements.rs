//! What was paid and what was taken off file, out of the bank's listing (`GET /boletos`).
//!
//! The listing is asked for titles that ended and then for those that are paid in part, page by page; a cursor is the
//! situation and the index at which the next page begins.
//!
//! **Owns** nothing. **Fails** as `Unavailable` for a page that cannot be read: what a row does not tell is not guessed.
//! **Limits**: agency and account must be known, for the bank lists by them. How the days of a movement are asked for is not
//! in the bank's published tables, and neither are the names of a row's number, day and sum: the parameters are
//! configurable, and a row without those names is an error that an operator sees.

use chrono::NaiveDate;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connectors::banks::values::{cents, text};
use crate::connectors::banks::{BankError, Movement, MovementKind, MovementPage, MovementsRequest};
use crate::domain::boleto::BankResponse;
use crate::domain::boleto::issuer::Issuer;

use super::config::BancoDoBrasilConfig;
use super::wire::{DATE, date};

/// The bank's number for a title is ours behind so many zeros.
const NUMBER_PREFIX: &str = "000";
const PARTLY_PAID: &str = "18";

/// Which titles a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    /// Paid, or taken off file.
    Ended,
    /// Open and paid in part.
    PartlyPaid,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    situation: Situation,
    index: u64,
}

/// The answer to `GET /boletos`.
#[derive(Deserialize)]
pub(super) struct ListBody {
    #[serde(rename = "indicadorContinuidade")]
    more: Option<String>,
    #[serde(rename = "proximoIndice")]
    next_index: Option<u64>,
    #[serde(rename = "boletos")]
    rows: Option<Vec<RowBody>>,
}

#[derive(Deserialize)]
struct RowBody {
    #[serde(rename = "numeroBoletoBB")]
    number: Option<String>,
    #[serde(rename = "codigoEstadoTituloCobranca")]
    state: Option<Value>,
    #[serde(rename = "dataMovimento")]
    on: Option<String>,
    #[serde(rename = "valorPago")]
    paid: Option<Box<RawValue>>,
}

/// What the bank lists by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder<'a> {
    convenio: &'a str,
    agency: &'a str,
    account: &'a str,
}

impl<'a> Holder<'a> {
    /// None where the account's configuration does not tell it.
    pub(super) fn of(issuer: &'a Issuer) -> Option<Self> {
        match issuer {
            Issuer::BancoDoBrasil { convenio, agency: Some(agency), account: Some(account), .. } => {
                Some(Self { convenio, agency, account })
            }
            _ => None,
        }
    }
}

impl Place {
    pub(super) fn of(cursor: Option<&str>) -> Option<Self> {
        let Some(cursor) = cursor else { return Some(Self { situation: Situation::Ended, index: 0 }) };
        let (situation, index) = cursor.split_once(':')?;
        let situation = match situation {
            "ended" => Situation::Ended,
            "partly_paid" => Situation::PartlyPaid,
            _ => return None,
        };
        Some(Self { situation, index: index.parse().ok()? })
    }

    fn cursor(self) -> String {
        let situation = match self.situation {
            Situation::Ended => "ended",
            Situation::PartlyPaid => "partly_paid",
        };
        format!("{situation}:{}", self.index)
    }

    /// Asks for the page.
    pub(super) fn ask(
        self,
        url: &mut Url,
        holder: Holder<'_>,
        request: &MovementsRequest<'_>,
        config: &BancoDoBrasilConfig,
    ) {
        let mut query = url.query_pairs_mut();
        match self.situation {
            Situation::Ended => query.append_pair("indicadorSituacao", "B"),
            Situation::PartlyPaid => query
                .append_pair("indicadorSituacao", "A")
                .append_pair("codigoEstadoTituloCobranca", PARTLY_PAID),
        };
        let day = |day: NaiveDate| day.format(DATE).to_string();
        query
            .append_pair("agenciaBeneficiario", holder.agency)
            .append_pair("contaBeneficiario", holder.account)
            .append_pair("numeroConvenio", holder.convenio)
            .append_pair(&config.movements_from_parameter, &day(request.since))
            .append_pair(&config.movements_until_parameter, &day(request.until))
            .append_pair("indice", &self.index.to_string());
    }

    /// Reads the page.
    pub(super) fn read(self, body: ListBody) -> Result<MovementPage, BankError> {
        // A page that says neither what is on it nor whether another follows is no empty page.
        let (Some(rows), Some(more)) = (body.rows, body.more) else {
            return Err(unreadable("a page without its titles, or without word of the next"));
        };
        let rows = rows.into_iter().filter_map(|row| row.read().transpose());
        let movements = rows.collect::<Result<Vec<_>, _>>()?;
        let next = match (more.as_str(), body.next_index, self.situation) {
            ("S", Some(index), _) if index > self.index => Some(Self { index, ..self }),
            ("S", ..) => return Err(unreadable("more titles without an index that goes on")),
            (_, _, Situation::Ended) => Some(Self { situation: Situation::PartlyPaid, index: 0 }),
            (_, _, Situation::PartlyPaid) => None,
        };
        Ok(MovementPage { movements, next: next.map(Self::cursor) })
    }
}

impl RowBody {
    /// Nothing for a title whose state is neither paid nor off file, such as one at the notary.
    fn read(self) -> Result<Option<Movement>, BankError> {
        let code = self.state.and_then(text).ok_or_else(|| unreadable("a title without a state"))?;
        if !matches!(code.as_str(), "6" | "7" | "16" | PARTLY_PAID) {
            return Ok(None);
        }
        let number = self.number.ok_or_else(|| unreadable("a title without a number"))?;
        let nosso_numero = number.strip_prefix(NUMBER_PREFIX).unwrap_or(&number).to_owned();
        let on = self.on.as_deref().and_then(date).ok_or_else(|| unreadable("a title without its day"))?;
        let paid = self.paid.as_deref().and_then(cents);
        let sum = || paid.ok_or_else(|| unreadable("a paid title without its sum"));
        let kind = match code.as_str() {
            "7" => MovementKind::Cancelled { on },
            PARTLY_PAID => MovementKind::PartlyPaid { amount: sum()?, on },
            _ => MovementKind::Paid { amount: sum()?, on },
        };
        let response = BankResponse { code, message: String::new() };
        Ok(Some(Movement { nosso_numero, bank_reference: None, kind, response }))
    }
}

fn unreadable(what: &str) -> BankError {
    BankError::Unavailable { retry_after: None, reason: format!("unreadable listing: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Cents;

    fn page(cursor: Option<&str>, body: &str) -> Result<MovementPage, BankError> {
        Place::of(cursor).unwrap().read(serde_json::from_str(body).unwrap())
    }

    const ROW: &str = r#"{"numeroBoletoBB":"00031285570000000007","codigoEstadoTituloCobranca":STATE,
        "dataMovimento":"20.11.2026","valorPago":125.9}"#;

    fn one(state: &str) -> Option<MovementKind> {
        let body = format!(r#"{{"indicadorContinuidade":"N","boletos":[{}]}}"#, ROW.replace("STATE", state));
        let movement = page(None, &body).unwrap().movements.pop()?;
        assert_eq!(movement.nosso_numero, "31285570000000007");
        Some(movement.kind)
    }

    #[test]
    fn only_what_was_paid_or_taken_off_file_is_told() {
        let on = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let amount = Cents(12_590);
        assert_eq!(one("6"), Some(MovementKind::Paid { amount, on }));
        assert_eq!(one("16"), Some(MovementKind::Paid { amount, on }));
        assert_eq!(one("\"18\""), Some(MovementKind::PartlyPaid { amount, on }));
        assert_eq!(one("7"), Some(MovementKind::Cancelled { on }));
        assert_eq!(one("5"), None, "at the notary");
    }

    #[test]
    fn pages_go_on_within_a_situation_and_then_to_the_next() {
        let next = |cursor, body: &str| page(cursor, body).unwrap().next;
        let more = r#"{"indicadorContinuidade":"S","proximoIndice":100,"boletos":[]}"#;
        let last = r#"{"indicadorContinuidade":"N","proximoIndice":0,"boletos":[]}"#;
        assert_eq!(next(None, more).as_deref(), Some("ended:100"));
        assert_eq!(next(Some("ended:100"), last).as_deref(), Some("partly_paid:0"));
        assert_eq!(next(Some("partly_paid:0"), more).as_deref(), Some("partly_paid:100"));
        assert_eq!(next(Some("partly_paid:100"), last), None);
        assert_eq!(Place::of(Some("nowhere:1")), None);
    }

    #[test]
    fn what_a_row_does_not_tell_is_not_guessed() {
        for body in [
            r#"{"indicadorContinuidade":"S","proximoIndice":0,"boletos":[]}"#,
            r#"{"boletos":[{}]}"#,
            r#"{"boletos":[{"codigoEstadoTituloCobranca":6,"dataMovimento":"20.11.2026","valorPago":1}]}"#,
            r#"{"boletos":[{"codigoEstadoTituloCobranca":6,"numeroBoletoBB":"1","valorPago":1}]}"#,
            r#"{"boletos":[{"codigoEstadoTituloCobranca":6,"numeroBoletoBB":"1","dataMovimento":"20.11.2026"}]}"#,
        ] {
            assert!(matches!(page(None, body), Err(BankError::Unavailable { .. })), "{body}");
        }
    }
}
