//! From the gateway's answers to what the caller does next.
//!
//! **Owns** nothing. Every error of an answer is read, not the first alone. **Fails** towards the unknown: a yes without
//! its codes, a no without a code, a yes and a no at once, and a 4xx that names no error all decide nothing.

use crate::connectors::banks::bradesco::codes::{Class, Table};
use crate::connectors::banks::{BankError, GivenCodes, RegisterRequest, Registration, basic, codes, values};
use crate::connectors::http::Answer;
use crate::domain::boleto::BankResponse;
use crate::domain::boleto::issuer::Issuer;

use super::caixa;
use super::config::BoletoApiConfig;
use super::wire::{AnswerBody, ErrorBody, LinkBody};

/// What the gateway's own complaints begin with: it looked at the request and let nothing through to the bank.
const OF_THE_GATEWAY: &str = "MP";
/// The code of a yes; the gateway gives none.
const YES: &str = "0";

/// What an answer means that the status alone does not decide.
pub(super) fn registration(
    answer: &Answer,
    request: &RegisterRequest<'_>,
    config: &BoletoApiConfig,
) -> Result<Registration, BankError> {
    let body: AnswerBody =
        serde_json::from_slice(&answer.body).map_err(|_| basic::unknown(answer, "unreadable answer"))?;
    let success = answer.status.is_success();
    match body.errors.as_deref() {
        None | Some([]) if success => of_yes(answer, &body, request),
        None | Some([]) => Err(basic::unknown(answer, "a complaint that names no error")),
        Some(_) if body.digitable_line.is_some() || body.bar_code_number.is_some() => {
            Err(basic::unknown(answer, "errors and codes at once"))
        }
        // An address or a method that a server does not know says nothing about the boleto.
        Some(_) if !success && !matches!(answer.status.as_u16(), 400 | 409 | 422) => {
            Err(basic::unknown(answer, "errors"))
        }
        Some(errors) => {
            let response = of_errors(answer, errors, &request.account.issuer, config)?;
            Ok(of(response, None, html_link(body.links.as_deref())))
        }
    }
}

fn of(response: BankResponse, codes: Option<GivenCodes>, url: Option<String>) -> Registration {
    Registration { response, codes, pix_emv: None, bank_reference: None, url }
}

/// A yes counts with a line and a barcode that are for this boleto.
fn of_yes(
    answer: &Answer,
    body: &AnswerBody,
    request: &RegisterRequest<'_>,
) -> Result<Registration, BankError> {
    let (boleto, issuer) = (request.boleto, &request.account.issuer);
    let is_caixa = matches!(issuer, Issuer::Caixa { .. });
    let filled = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    let url = html_link(body.links.as_deref());
    // Caixa's page is a part of its yes.
    if !filled(&body.digitable_line) || !filled(&body.bar_code_number) || is_caixa && url.is_none() {
        return Err(basic::unknown(answer, "an incomplete yes"));
    }
    let response = BankResponse { code: YES.to_owned(), message: String::new() };
    let read = codes::read(body.bar_code_number.as_deref(), body.digitable_line.as_deref());
    let Ok(Some(theirs)) = read else {
        return Err(BankError::Disagrees { response, parts: vec!["codes"] });
    };
    let mut parts = codes::differences(&theirs, boleto, issuer.bank_code());
    // The barcode is the bank's, the number in it ours: under another one somebody else's boleto would be paid.
    let number = issuer.sequence_of(&theirs).and_then(|sequence| u64::try_from(sequence).ok());
    if is_caixa && number != caixa::sequence(boleto) {
        parts.push("nosso_numero");
    }
    if !parts.is_empty() {
        return Err(BankError::Disagrees { response, parts });
    }
    let given = is_caixa.then_some(GivenCodes { nosso_numero: None, barcode: theirs });
    Ok(of(response, given, url))
}

/// What errors mean together. A title that is on file outweighs all else; one error that decides nothing leaves all
/// open. ShopFacil has codes among its errors that say yes.
fn of_errors(
    answer: &Answer,
    errors: &[ErrorBody],
    issuer: &Issuer,
    config: &BoletoApiConfig,
) -> Result<BankResponse, BankError> {
    let said: Vec<(String, String)> = errors
        .iter()
        .map(|error| {
            let text = |value: &Option<_>| value.clone().and_then(values::text).unwrap_or_default();
            (text(&error.code), text(&error.message))
        })
        .collect();
    let classes: Vec<_> = said.iter().map(|(code, _)| class(code, issuer, config)).collect();
    let response = |class: Class| {
        let first = classes.iter().position(|known| *known == class)?;
        let words: Vec<_> = said.iter().map(|(code, message)| format!("{code} {message}")).collect();
        // One error keeps its own words; of several each is told by its code.
        let message = if let [(_, message)] = &said[..] { message.clone() } else { words.join("; ") };
        Some(BankResponse { code: said[first].0.clone(), message })
    };
    if let Some(response) = response(Class::OnFile) {
        return Err(BankError::AlreadyOnFile { response });
    }
    if let Some(response) = response(Class::Unknown) {
        return Err(basic::unknown(answer, &format!("code {}", response.code)));
    }
    match (response(Class::Registered), response(Class::Refused)) {
        (Some(response), None) => Ok(response),
        (None, Some(response)) => Err(BankError::Refused { response }),
        _ => Err(basic::unknown(answer, "yes and no at once")),
    }
}

/// Caixa has no table: what it says by a code is a no, unless an operator knows better.
fn class(code: &str, issuer: &Issuer, config: &BoletoApiConfig) -> Class {
    let is_among = |codes: &[String]| codes.iter().any(|known| known == code);
    match issuer {
        _ if code.is_empty() => Class::Unknown,
        Issuer::Caixa { .. } if is_among(&config.caixa_already_on_file_codes) => Class::OnFile,
        Issuer::Caixa { .. } if is_among(&config.caixa_unknown_codes) => Class::Unknown,
        Issuer::Caixa { .. } => Class::Refused,
        _ if code.starts_with(OF_THE_GATEWAY) => Class::Refused,
        _ => Table::ShopFacil.class(code),
    }
}

/// Where the bank shows the boleto as a page; there may be one to print beside it.
fn html_link(links: Option<&[LinkBody]>) -> Option<String> {
    let links = links.unwrap_or_default();
    let page = links.iter().find(|link| link.rel.as_deref() == Some("html"))?;
    values::page(page.href.as_deref()?)
}
