//! `AmendBoleto`: has the bank change what it allows to be changed.
//!
//! **Owns** nothing. **Fails** with every violation at once, by the rules that hold at creation; with
//! `NOT_SUPPORTED_BY_BANK` for what the bank's connector cannot change; and as an order does.
//! **Limits**: registered boletos alone. An amendment is made of the boleto as it was read, and is placed only if that is
//! still its version.

use super::boleto_create::check_due_date;
use super::boleto_order::{self, Asked};
use super::convert::charges::charges_from_proto;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::connectors::banks::{Bank as _, Proposal};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::Boleto;
use crate::domain::boleto::amendment::Amendment;
use crate::domain::boleto::order::Wish;
use crate::domain::boleto::status::Status;
use crate::domain::boleto::terms::Terms;
use crate::domain::money::Cents;
use crate::domain::violation::Violation;
use crate::messages::House;
use crate::proto::boleto::v1 as proto;

const METHOD: &str = "AmendBoleto";

/// What is to change; parts that are absent stay as they are.
struct Changes {
    amount_cents: Option<i64>,
    due_date: String,
    charges: Option<proto::Charges>,
}

pub(super) async fn amend(
    gate: &Gate,
    mut request: proto::AmendBoletoRequest,
) -> Result<proto::AmendBoletoResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, METHOD, &request_id, &request, &mut violations);
    let mut asked = Asked::read(&request.id, request.version, request.reason, key, &mut violations);
    let Some(id) = asked.id else { return Err(ApiError::Invalid(violations)) };
    if let Some((boleto, order)) = boleto_order::made_before(gate, house, id, asked.key.as_ref()).await? {
        return Ok(proto::AmendBoletoResponse { boleto: Some(boleto), order });
    }
    let boleto = super::boleto_service::find(gate, id).await?;
    let account = boleto_order::account(house, &boleto).await?;
    let changes =
        Changes { amount_cents: request.amount_cents, due_date: request.due_date, charges: request.charges };
    let amendment = check(house, &account, &boleto, changes, violations)?;
    if asked.version != 0 && asked.version != boleto.version {
        return Err(ApiError::VersionChanged { version: boleto.version });
    }
    if boleto.status != Status::Registered {
        return Err(ApiError::AmendNotOpen(boleto.status));
    }
    asked.version = boleto.version;
    let cannot = house
        .registrars
        .get(&account.provider)
        .and_then(|registrar| registrar.connector.cannot_amend(&account, &boleto, &amendment));
    let wish = Wish::Amend(Box::new(amendment));
    let (boleto, order) = boleto_order::place(gate, house, &boleto, asked, wish, cannot).await?;
    Ok(proto::AmendBoletoResponse { boleto: Some(boleto), order })
}

/// The terms as they are to be, checked as at creation. A due date that stays may lie in the past.
fn check(
    house: &House,
    account: &BankAccount,
    boleto: &Boleto,
    changes: Changes,
    mut violations: Vec<Violation>,
) -> Result<Amendment, ApiError> {
    let mut amendment = Amendment::of(boleto);
    if let Some(cents) = changes.amount_cents {
        amendment.amount = Cents(cents);
        if !amendment.amount.fits_a_boleto() {
            violations.push(Violation::new("amount_cents", "from 1 to 9999999999"));
        }
    }
    if !changes.due_date.is_empty() && changes.due_date != boleto.due_date.to_string() {
        amendment.due_date = check_due_date(&changes.due_date, &mut violations).unwrap_or(boleto.due_date);
    }
    match changes.charges {
        Some(charges) => {
            let due_date = Some(amendment.due_date);
            amendment.charges =
                charges_from_proto(Some(charges), amendment.amount, due_date, &mut violations);
        }
        // What was right for another amount or date may be wrong for these.
        None => {
            violations.extend(amendment.charges.violations("charges", amendment.amount, amendment.due_date))
        }
    }
    if violations.is_empty() && amendment.parts(boleto).is_empty() {
        let rule = "nothing changes: give another amount_cents, due_date or charges";
        violations.push(Violation::new("amount_cents", rule));
    }
    if violations.is_empty()
        && let Some(registrar) = house.registrars.get(&account.provider)
    {
        let terms = Terms { charges: amendment.charges.clone(), ..boleto.terms.clone() };
        violations.extend(registrar.connector.supports(&Proposal {
            account,
            payer: &boleto.payer,
            amount: amendment.amount,
            due_date: amendment.due_date,
            terms: &terms,
            instructions: boleto.instructions.as_deref(),
        }));
    }
    if violations.is_empty() { Ok(amendment) } else { Err(ApiError::Invalid(violations)) }
}
