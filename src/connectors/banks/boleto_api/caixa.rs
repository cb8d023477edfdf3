//! A registration at Caixa by the gateway.
//!
//! **Owns** nothing. **Limits**: the number goes without the `14` with which Caixa's own form of it begins. A fine goes
//! as `fine` and interest as `interest`, as the names and units of their fields say; one source has the gateway's
//! words for the two the other way round, so that both are to be tried with the gateway before they are relied on.
//! Where nothing was agreed about a late payment, the agreement with the bank decides.

use serde_json::value::RawValue;

use crate::connectors::banks::RegisterRequest;
use crate::connectors::banks::text::latin1;
use crate::domain::boleto::Boleto;
use crate::domain::boleto::charges::{Charges, Fine, FineValue, Interest, InterestValue, Percent};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::terms::{Guarantor, LatePayment};

use super::config::BoletoApiConfig;
use super::wire::{
    AgreementBody, AuthenticationBody, ConditionsBody, DocumentBody, FeesBody, FineBody, InterestBody,
    PartyBody, RegisterBody, RulesBody, TitleBody,
};

/// A registered title that the beneficiary issues.
const KIND: &str = "14";

/// # Errors
/// What there is no number or no agreement for.
pub(super) fn body<'a>(
    request: &RegisterRequest<'a>,
    authentication: Option<AuthenticationBody<'a>>,
    config: &BoletoApiConfig,
) -> Result<RegisterBody<'a>, &'static str> {
    let boleto = request.boleto;
    let Issuer::Caixa { beneficiary: code, agency } = &request.account.issuer else {
        return Err("the account's agreement is with another bank");
    };
    let number = sequence(boleto).ok_or("the boleto has no number of ours")?;
    let beneficiary = &request.account.beneficiary;
    let guarantor = boleto.terms.guarantor.as_ref();
    let company_address = guarantor.and_then(|guarantor| guarantor.address.as_ref());
    let payer = &boleto.payer;
    let payer_address = Some(&payer.address).filter(|address| Some(*address) != company_address);
    Ok(RegisterBody {
        bank_number: 104,
        authentication,
        agreement: AgreementBody {
            agreement_number: code.parse().map_err(|_| "the beneficiary's code is no number")?,
            wallet: None,
            agency: agency.as_deref().ok_or("the agreement has no agency")?,
            account: None,
        },
        title: TitleBody {
            expire_date: boleto.due_date,
            amount_in_cents: boleto.amount.0,
            our_number: number,
            instructions: instructions(request, config),
            document_number: number.to_string(),
            conditions: Some(ConditionsBody {
                rules: boleto.terms.late_payment.map(rules),
                fees: fees(&boleto.terms.charges),
            }),
        },
        recipient: PartyBody::of(&beneficiary.name, &beneficiary.tax_id, company_address),
        payee_guarantor: Some(payee_guarantor(guarantor)),
        buyer: PartyBody::of(&payer.name, &payer.tax_id, payer_address),
        request_key: request.attempt_key,
    })
}

/// The number of a boleto as the gateway knows it: the sequence alone.
pub(super) fn sequence(boleto: &Boleto) -> Option<u64> {
    let number = boleto.codes.nosso_numero.as_deref()?;
    number.strip_prefix(KIND).filter(|digits| digits.len() == 15)?.parse().ok()
}

fn rules(late_payment: LatePayment) -> RulesBody {
    match late_payment {
        LatePayment::Refused => RulesBody { accept_divergent_amount: false, max_days_to_pay_past_due: 0 },
        LatePayment::Accepted { days } => {
            RulesBody { accept_divergent_amount: true, max_days_to_pay_past_due: days }
        }
    }
}

fn fees(charges: &Charges) -> Option<FeesBody> {
    if charges.fine.is_none() && charges.interest.is_none() {
        return None;
    }
    Some(FeesBody { fine: charges.fine.map(fine), interest: charges.interest.map(interest) })
}

fn fine(fine: Fine) -> FineBody {
    let (amount, percent) = match fine.value {
        FineValue::Amount(amount) => (amount.0, None),
        FineValue::Percentage(percent) => (0, Some(percent)),
    };
    FineBody {
        days_after_expiration_date: fine.after_days,
        amount_in_cents: amount,
        percentage_on_total: number(percent),
    }
}

fn interest(interest: Interest) -> InterestBody {
    let (amount, percent) = match interest.value {
        InterestValue::AmountPerDay(amount) => (amount.0, None),
        InterestValue::PercentagePerMonth(percent) => (0, Some(percent)),
    };
    InterestBody {
        days_after_expiration_date: interest.after_days,
        amount_per_day_in_cents: amount,
        percentage_per_month: number(percent),
    }
}

/// A percentage as a number in JSON, digit by digit; 0 where there is none.
fn number(percent: Option<Percent>) -> Box<RawValue> {
    let text = percent.map_or_else(|| "0".to_owned(), |percent| percent.to_string());
    RawValue::from_string(text).expect("digits, and a point with digits behind it, are a number in JSON")
}

/// On whose behalf the beneficiary collects; empty texts where it collects for itself.
fn payee_guarantor(guarantor: Option<&Guarantor>) -> PartyBody<'_> {
    match guarantor {
        Some(guarantor) => PartyBody::of(&guarantor.name, &guarantor.tax_id, None),
        None => {
            PartyBody { name: String::new(), document: DocumentBody { kind: "", number: "" }, address: None }
        }
    }
}

/// The owner's own words, and behind them the sentence of the configuration.
fn instructions(request: &RegisterRequest<'_>, config: &BoletoApiConfig) -> String {
    let own = request.boleto.instructions.as_deref().unwrap_or_default();
    let beneficiary = &request.account.beneficiary;
    let (name, tax_id) = match &request.boleto.terms.guarantor {
        Some(guarantor) => (&guarantor.name, &guarantor.tax_id),
        None => (&beneficiary.name, &beneficiary.tax_id),
    };
    // The number goes in before the name, in which somebody may have written a brace.
    let sentence = config.caixa_instructions.replace("{tax_id}", tax_id.as_str()).replace("{company}", name);
    latin1([own, &sentence].map(str::trim).join(" ").trim())
}
