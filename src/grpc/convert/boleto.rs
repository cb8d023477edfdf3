//! Boletos, their payers, their changes, and codes that were read.

use super::charges::{charges_to_proto, guarantor_to_proto, late_payment_to_proto};
use super::timestamp;
use crate::domain::boleto::Boleto;
use crate::domain::boleto::parse::ParsedCode;
use crate::domain::boleto::status::Status;
use crate::domain::payer::{Address, Payer, name_violations};
use crate::domain::tax_id::TaxId;
use crate::domain::violation::Violation;
use crate::grpc::request::today;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_watch::BoletoChange;

pub fn to_proto(boleto: &Boleto) -> proto::Boleto {
    let response = boleto.bank_response.as_ref().map(|response| proto::BankResponse {
        code: response.code.clone(),
        message: response.message.clone(),
    });
    proto::Boleto {
        id: boleto.id.to_string(),
        bank_account_id: boleto.bank_account_id.to_string(),
        status: status(boleto.status).into(),
        version: boleto.version,
        amount_cents: boleto.amount.0,
        due_date: boleto.due_date.to_string(),
        payer: (!boleto.is_erased()).then(|| payer_to_proto(&boleto.payer)),
        erased: boleto.is_erased(),
        reference_id: boleto.reference_id.clone().unwrap_or_default(),
        token: boleto.token.clone().unwrap_or_default(),
        instructions: boleto.instructions.clone().unwrap_or_default(),
        nosso_numero: boleto.codes.nosso_numero.clone().unwrap_or_default(),
        nosso_numero_dv: boleto.codes.nosso_numero_dv.clone().unwrap_or_default(),
        barcode: boleto.codes.barcode.map(|barcode| barcode.as_str().to_owned()).unwrap_or_default(),
        linha_digitavel: boleto
            .codes
            .linha_digitavel()
            .map(|linha| linha.as_str().to_owned())
            .unwrap_or_default(),
        payable: boleto.payable(),
        bank_response: response,
        pix_emv: boleto.pix_emv.clone().unwrap_or_default(),
        create_time: Some(timestamp(boleto.created_at)),
        update_time: Some(timestamp(boleto.updated_at)),
        charges: charges_to_proto(&boleto.terms.charges),
        guarantor: boleto.terms.guarantor.as_ref().map(guarantor_to_proto),
        late_payment: boleto.terms.late_payment.map(late_payment_to_proto),
        paid_amount_cents: boleto.paid.0,
        paid_on: boleto.paid_on.map(|date| date.to_string()).unwrap_or_default(),
        overdue: boleto.is_overdue(today()),
        url: boleto.url.clone().unwrap_or_default(),
        bank_reference: boleto.bank_reference.clone().unwrap_or_default(),
        pending_order: None,
    }
}

pub fn status(status: Status) -> proto::BoletoStatus {
    match status {
        Status::Issued => proto::BoletoStatus::Issued,
        Status::PendingRegistration => proto::BoletoStatus::PendingRegistration,
        Status::Registered => proto::BoletoStatus::Registered,
        Status::Refused => proto::BoletoStatus::Refused,
        Status::NeedsReview => proto::BoletoStatus::NeedsReview,
        Status::Cancelled => proto::BoletoStatus::Cancelled,
        Status::Paid => proto::BoletoStatus::Paid,
    }
}

/// The status of that number; none for `UNSPECIFIED` and for numbers that we do not know.
pub fn status_from_proto(number: i32) -> Option<Status> {
    let wanted = proto::BoletoStatus::try_from(number).ok()?;
    Status::ALL.into_iter().find(|known| status(*known) == wanted)
}

fn payer_to_proto(payer: &Payer) -> proto::Payer {
    proto::Payer {
        name: payer.name.clone(),
        tax_id: payer.tax_id.as_str().to_owned(),
        address: Some(address_to_proto(&payer.address)),
    }
}

pub fn address_to_proto(address: &Address) -> proto::Address {
    proto::Address {
        street: address.street.clone(),
        number: address.number.clone(),
        complement: address.complement.clone(),
        district: address.district.clone(),
        city: address.city.clone(),
        state: address.state.clone(),
        postal_code: address.postal_code.clone(),
    }
}

/// The payer, if every part of it is as a bank wants it; else everything that is not.
pub fn payer_from_proto(payer: Option<proto::Payer>, violations: &mut Vec<Violation>) -> Option<Payer> {
    let Some(payer) = payer else {
        violations.push(Violation::new("payer", "required"));
        return None;
    };
    let right_so_far = violations.len();
    let name = payer.name.trim().to_owned();
    violations.extend(name_violations(&name));
    let tax_id = TaxId::parse(&payer.tax_id)
        .map_err(|error| violations.push(Violation::new("payer.tax_id", error.to_string())));
    let Some(address) = payer.address else {
        violations.push(Violation::new("payer.address", "required"));
        return None;
    };
    let address = address_from_proto(address);
    violations.extend(address.violations("payer.address"));
    let tax_id = tax_id.ok()?;
    (violations.len() == right_so_far).then_some(Payer { name, tax_id, address })
}

/// The address as banks write it; whether it is whole is judged by its own rules.
pub fn address_from_proto(address: proto::Address) -> Address {
    Address {
        street: address.street.trim().to_owned(),
        number: address.number.trim().to_owned(),
        complement: address.complement.trim().to_owned(),
        district: address.district.trim().to_owned(),
        city: address.city.trim().to_owned(),
        state: address.state.trim().to_uppercase(),
        postal_code: address
            .postal_code
            .chars()
            .filter(|character| !matches!(character, '-' | '.' | ' '))
            .collect(),
    }
}

/// A change, after which a watch goes on from `cursor`.
pub fn change_to_proto(change: &BoletoChange, cursor: String) -> proto::BoletoChange {
    proto::BoletoChange {
        cursor,
        event_id: change.id.to_string(),
        event_type: change.event_type.clone(),
        occur_time: Some(timestamp(change.occurred_at)),
        status: status(change.status).into(),
        version: change.version,
        boleto_id: change.boleto_id.to_string(),
        reference_id: change.reference_id.clone().unwrap_or_default(),
        reason: change.reason.clone().unwrap_or_default(),
    }
}

pub fn parsed_to_proto(parsed: ParsedCode) -> proto::parse_boleto_response::Code {
    match parsed {
        ParsedCode::Cobranca { barcode, linha, bank_code, amount, due_date, campo_livre, .. } => {
            proto::parse_boleto_response::Code::Cobranca(proto::ParsedCobranca {
                bank_code: bank_code.as_str().to_owned(),
                barcode: barcode.as_str().to_owned(),
                linha_digitavel: linha.as_str().to_owned(),
                linha_digitavel_formatted: linha.formatted(),
                amount_cents: amount.map(|amount| amount.0),
                due_date: due_date.map(|date| date.to_string()).unwrap_or_default(),
                campo_livre: campo_livre.as_str().to_owned(),
            })
        }
        ParsedCode::Arrecadacao { barcode, line, segment, value_id, amount } => {
            proto::parse_boleto_response::Code::Arrecadacao(proto::ParsedArrecadacao {
                barcode: barcode.as_str().to_owned(),
                linha_digitavel: line.as_str().to_owned(),
                segment: segment.to_string(),
                value_id: value_id.to_string(),
                amount_cents: amount.map(|amount| amount.0),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_with_a_payer_is_said_at_once() {
        let mut violations = vec![];
        let payer = proto::Payer { name: String::new(), tax_id: "111".to_owned(), address: None };
        assert!(payer_from_proto(Some(payer), &mut violations).is_none());
        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["payer.name", "payer.tax_id", "payer.address"]);
    }

    #[test]
    fn every_status_has_its_own_number() {
        for known in Status::ALL {
            assert_eq!(status_from_proto(status(known).into()), Some(known));
        }
        assert_eq!(status_from_proto(0), None);
    }
}
