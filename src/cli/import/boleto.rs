//! From a boleto of the service before to ours, or to every reason why it cannot be one.
//!
//! **Owns** nothing. **Fails** with our own rules, by the names of the other database's columns; no value is repeated, for
//! most are somebody's. Three things of that service are known to be wrong and are put right, each with a note: a refusal
//! that no bank pronounced needs a review, a boleto of Caixa has no code before the bank gave one, and what was left
//! `issued` may be at the bank, so that its registration, should anybody ask for it, looks first.
//! **Limits**: the day of a payment is the day of the row's last change in São Paulo, for no other was kept.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::America::Sao_Paulo;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use uuid::{NoContext, Timestamp, Uuid};

use super::accounts::Agreement;
use super::charges::{charges, late_payment};
use super::party::{self, Given};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::due_date_factor::DueDateFactor;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::payment::{Payment, PaymentSource, status_after};
use crate::domain::boleto::status::Status;
use crate::domain::boleto::terms::Terms;
use crate::domain::boleto::{BankResponse, Boleto, Codes};
use crate::domain::ids::BoletoId;
use crate::domain::money::Cents;
use crate::domain::violation::Violation;

const INSTRUCTIONS_CHARS_MAX: usize = 165;
const TEXT_CHARS_MAX: usize = 255;
/// What a payment of the service before is called, so that it is written down once.
const PAYMENT_NAME: &str = "superbowleto";

/// A row of the other database, of which nothing is believed yet.
#[derive(Debug, Deserialize)]
pub(super) struct LegacyBoleto {
    pub queue_url: String,
    pub external_id: Option<String>,
    issuer: String,
    issuer_wallet: Option<String>,
    issuer_agency: Option<String>,
    issuer_account: Option<String>,
    status: String,
    #[serde(deserialize_with = "moment")]
    expiration_date: DateTime<Utc>,
    amount: i64,
    paid_amount: Option<i64>,
    title_id: i64,
    token: Option<String>,
    reference_id: Option<String>,
    instructions: Option<String>,
    interest: Option<Value>,
    fine: Option<Value>,
    rules: Option<Vec<String>>,
    barcode: Option<String>,
    boleto_url: Option<String>,
    bank_response_code: Option<String>,
    issuer_response_code: Option<String>,
    payer_name: Option<String>,
    payer_document_type: Option<String>,
    payer_document_number: Option<String>,
    payer_address: Option<Value>,
    company_name: Option<String>,
    company_document_number: Option<String>,
    company_address: Option<Value>,
    #[serde(deserialize_with = "moment")]
    created_at: DateTime<Utc>,
    #[serde(deserialize_with = "moment")]
    updated_at: DateTime<Utc>,
}

/// What a row became.
pub(super) struct Mapped {
    pub boleto: Boleto,
    pub payment: Option<Payment>,
    /// What was put right.
    pub note: Option<&'static str>,
}

impl LegacyBoleto {
    pub fn agreement(&self) -> Agreement {
        Agreement::new(&self.issuer, &self.issuer_agency, &self.issuer_account, &self.issuer_wallet)
    }

    /// The boleto under its account; `found` holds what was found wrong with it already.
    pub fn map(&self, account: &BankAccount, mut found: Vec<Violation>) -> Result<Mapped, Vec<Violation>> {
        let payer = party::payer(&self.payer(), &mut found);
        let terms = self.terms(&mut found);
        let instructions =
            text("instructions", self.instructions.as_deref(), INSTRUCTIONS_CHARS_MAX, &mut found);
        let reference_id = text("reference_id", self.reference_id.as_deref(), TEXT_CHARS_MAX, &mut found);
        let token = text("token", self.token.as_deref(), TEXT_CHARS_MAX, &mut found);
        let status = self.status(&mut found);
        let codes = self.codes(&account.issuer, &mut found);
        let paid = Cents(self.paid_amount.unwrap_or(0));
        if paid < Cents::ZERO {
            found.push(Violation::new("paid_amount", "must not be negative"));
        }
        let (Some(payer), Some((status, note)), Some((due_date, codes))) = (payer, status, codes) else {
            return Err(found);
        };
        found.extend(terms.charges.violations("", Cents(self.amount), due_date));
        if !found.is_empty() {
            return Err(found);
        }
        let id = BoletoId(self.id());
        let paid_on = self.updated_at.with_timezone(&Sao_Paulo).date_naive();
        let payment = (paid > Cents::ZERO).then(|| self.payment(id, paid, paid_on));
        let response = |code: &String| BankResponse { code: code.clone(), message: String::new() };
        let boleto = Boleto {
            id,
            tenant_id: account.tenant_id.clone(),
            bank_account_id: account.id,
            status: status_after(status, paid, false),
            version: 1,
            amount: Cents(self.amount),
            due_date,
            codes,
            terms,
            payer,
            instructions,
            reference_id,
            token,
            bank_response: self.issuer_response_code.as_ref().map(response),
            pix_emv: None,
            bank_reference: None,
            url: self.boleto_url.clone().filter(|url| !url.is_empty()),
            paid,
            paid_on: payment.as_ref().map(|payment| payment.paid_on),
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        Ok(Mapped { boleto, payment, note })
    }

    /// A new id of the old age: lists go by the age of ids.
    fn id(&self) -> Uuid {
        let seconds = u64::try_from(self.created_at.timestamp()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, self.created_at.timestamp_subsec_nanos()))
    }

    fn payer(&self) -> Given<'_> {
        Given {
            name: self.payer_name.as_deref(),
            number: self.payer_document_number.as_deref(),
            kind: self.payer_document_type.as_deref(),
            address: self.payer_address.as_ref(),
        }
    }

    fn terms(&self, found: &mut Vec<Violation>) -> Terms {
        let company = Given {
            name: self.company_name.as_deref(),
            number: self.company_document_number.as_deref(),
            kind: None,
            address: self.company_address.as_ref(),
        };
        Terms {
            charges: charges(self.fine.as_ref(), self.interest.as_ref(), found),
            guarantor: party::guarantor(&company, found),
            late_payment: late_payment(self.rules.as_deref().unwrap_or_default()),
        }
    }

    fn payment(&self, id: BoletoId, amount: Cents, paid_on: NaiveDate) -> Payment {
        Payment {
            id: Uuid::now_v7(),
            boleto_id: id,
            amount,
            paid_on,
            is_partial: false,
            source: PaymentSource::Owner,
            external_id: PAYMENT_NAME.to_owned(),
            response_code: self.bank_response_code.clone().filter(|code| !code.is_empty()),
            created_at: self.updated_at,
        }
    }

    fn status(&self, found: &mut Vec<Violation>) -> Option<(Status, Option<&'static str>)> {
        match self.status.as_str() {
            "issued" => Some((Status::Issued, None)),
            "pending_registration" => Some((Status::PendingRegistration, None)),
            "registered" => Some((Status::Registered, None)),
            "refused" if self.nobody_refused() => {
                Some((Status::NeedsReview, Some("it was called refused, and no bank had said so")))
            }
            "refused" => Some((Status::Refused, None)),
            _ => {
                found.push(Violation::new("status", "none of the four that the service before had"));
                None
            }
        }
    }

    /// Time-outs, broken lines and unreadable answers were written down as refusals there.
    fn nobody_refused(&self) -> bool {
        let code = self.issuer_response_code.as_deref().unwrap_or_default();
        let of_the_line =
            code.starts_with('E') && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let is_http = code.len() == 3
            && (code.starts_with('4') || code.starts_with('5'))
            && code.bytes().all(|byte| byte.is_ascii_digit());
        let is_caixa = self.issuer == "boleto-api-caixa";
        of_the_line || matches!(code, "NOT_FOUND_PARAMS" | "defaultErrorCode") || (is_caixa && is_http)
    }

    /// The codes, and the civil date that they were made for. The service before read one moment in two time zones: what
    /// the payer sees in the barcode is the date.
    fn codes(&self, issuer: &Issuer, found: &mut Vec<Violation>) -> Option<(NaiveDate, Codes)> {
        let before = found.len();
        if !(1..=9_999_999_999).contains(&self.amount) {
            found.push(Violation::new("amount", "from 1 to 9999999999 cents"));
        }
        let barcode = match self.barcode.as_deref().filter(|text| !text.is_empty()).map(Barcode::parse) {
            None => None,
            Some(Ok(barcode)) => Some(barcode),
            Some(Err(_)) => {
                found.push(Violation::new("barcode", "is no barcode"));
                None
            }
        };
        if found.len() > before {
            return None;
        }
        let made = match issuer {
            Issuer::Caixa { .. } => self.codes_of_the_bank(issuer, barcode),
            _ => self.codes_of_ours(issuer, barcode),
        };
        made.map_err(|violation| found.push(violation)).ok()
    }

    fn dates(&self) -> [NaiveDate; 2] {
        [self.expiration_date.date_naive(), self.expiration_date.with_timezone(&Sao_Paulo).date_naive()]
    }

    fn codes_of_ours(
        &self,
        issuer: &Issuer,
        barcode: Option<Barcode>,
    ) -> Result<(NaiveDate, Codes), Violation> {
        for date in self.dates() {
            let codes = issuer
                .compose(self.title_id, Cents(self.amount), date)
                .map_err(|error| Violation::new("title_id", error.to_string()))?;
            if barcode.is_none() || codes.barcode == barcode {
                return Ok((date, codes));
            }
        }
        Err(Violation::new("barcode", "does not compose from the agreement, title_id, amount and date"))
    }

    /// The bank made the barcode; what stood there before its answer was another bank's, and nobody's to pay.
    fn codes_of_the_bank(
        &self,
        issuer: &Issuer,
        barcode: Option<Barcode>,
    ) -> Result<(NaiveDate, Codes), Violation> {
        let number = issuer.number(self.title_id);
        let (number, digit) = number.map_err(|error| Violation::new("title_id", error.to_string()))?;
        let codes =
            |barcode| Codes { nosso_numero: Some(number.clone()), nosso_numero_dv: digit.clone(), barcode };
        let of_the_bank = barcode.filter(|barcode| barcode.bank_code() == issuer.bank_code());
        let Some(barcode) = of_the_bank else {
            return match self.status.as_str() {
                "registered" => Err(Violation::new("barcode", "registered without a code of the bank's")),
                _ => Ok((self.dates()[0], codes(None))),
            };
        };
        let fits = |date: &NaiveDate| barcode.factor() == DueDateFactor::of(*date).ok();
        let date = self.dates().into_iter().find(fits);
        let same_number = issuer.sequence_of(&barcode) == Some(self.title_id);
        match date {
            Some(date) if same_number && barcode.amount() == Cents(self.amount) => {
                Ok((date, codes(Some(barcode))))
            }
            _ => Err(Violation::new("barcode", "does not agree with title_id, amount and date")),
        }
    }
}

fn text(field: &str, given: Option<&str>, chars_max: usize, found: &mut Vec<Violation>) -> Option<String> {
    let given = given.filter(|text| !text.is_empty())?;
    if given.chars().count() > chars_max {
        found.push(Violation::new(field, format!("at most {chars_max} characters")));
    }
    if given.chars().any(|character| character.is_control() && character != '\n') {
        found.push(Violation::new(field, "no control characters"));
    }
    Some(given.to_owned())
}

/// A moment with its offset, or one without, which is UTC: the other database was asked in that zone. Our database keeps
/// microseconds.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let with_offset = DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc());
    let at = with_offset.or_else(|_| text.parse::<NaiveDateTime>().map(|at| at.and_utc()));
    at.map_err(|_| de::Error::custom("no moment"))
}

#[cfg(test)]
mod tests;
