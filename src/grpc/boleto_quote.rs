//! `QuoteBoleto`: what is owed on a day.
//!
//! **Owns** nothing. **Fails** where there is no such boleto. **Limits**: our own sum by the account's rounding and the
//! configured calendar; the bank's is the one that counts.

use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::boleto::quote::quote as quote_of;
use crate::domain::ids::BoletoId;
use crate::domain::violation::Violation;
use crate::messages::bank_accounts::AccountKey;
use crate::proto::boleto::v1 as proto;

pub(super) async fn quote(
    gate: &Gate,
    request: proto::QuoteBoletoRequest,
) -> Result<proto::QuoteBoletoResponse, ApiError> {
    let mut violations = Vec::new();
    let id: Option<BoletoId> = request.id.parse().ok();
    if id.is_none() {
        violations.push(Violation::new("id", "must be a UUID"));
    }
    let on = request::optional_date("on", &request.on, &mut violations).unwrap_or_else(request::today);
    let Some(id) = id.filter(|_| violations.is_empty()) else { return Err(ApiError::Invalid(violations)) };
    let house = gate.house()?;
    let boleto = super::boleto_service::find(gate, id).await?;
    let key = AccountKey::Id(boleto.bank_account_id);
    let account = house.accounts.find(&boleto.tenant_id, &key).await?;
    let account = account.ok_or(ApiError::NotFound("BANK_ACCOUNT"))?;
    let charges = &boleto.terms.charges;
    let calendar = &house.calendar;
    let quote =
        quote_of(boleto.amount, boleto.due_date, charges, on, boleto.paid, account.rounding, calendar);
    Ok(proto::QuoteBoletoResponse {
        on: quote.on.to_string(),
        principal_cents: quote.principal.0,
        abatement_cents: quote.abatement.0,
        discount_cents: quote.discount.0,
        fine_cents: quote.fine.0,
        interest_cents: quote.interest.0,
        paid_cents: quote.paid.0,
        total_cents: quote.total.0,
        days_late: i32::try_from(quote.days_late).unwrap_or(i32::MAX),
        effective_due_date: quote.effective_due_date.to_string(),
        payable: boleto.payable(),
    })
}
