//! A registration at Bradesco ShopFacil by the gateway.
//!
//! **Owns** nothing. **Limits**: the recipient is whoever the money is collected for, as in the replaced service: the
//! guarantor where there is one, for the body has no other place for it.

use crate::connectors::banks::RegisterRequest;
use crate::connectors::banks::text::latin1;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::tax_id::TaxIdKind;

use super::wire::{AgreementBody, AuthenticationBody, DocumentBody, PartyBody, RegisterBody, TitleBody};

/// # Errors
/// What there is no number or no agreement for.
pub(super) fn body<'a>(
    request: &RegisterRequest<'a>,
    authentication: Option<AuthenticationBody<'a>>,
    agreement_number: u64,
) -> Result<RegisterBody<'a>, &'static str> {
    let boleto = request.boleto;
    let Issuer::Bradesco { agency, account, carteira } = &request.account.issuer else {
        return Err("the account's agreement is with another bank");
    };
    let number = boleto.codes.nosso_numero.as_deref().and_then(|digits| digits.parse().ok());
    let number: u64 = number.ok_or("the boleto has no number of ours")?;
    let beneficiary = &request.account.beneficiary;
    let recipient = match &boleto.terms.guarantor {
        Some(guarantor) => PartyBody::of(&guarantor.name, &guarantor.tax_id, guarantor.address.as_ref()),
        None => PartyBody::of(&beneficiary.name, &beneficiary.tax_id, None),
    };
    let payer = &boleto.payer;
    let mut buyer = PartyBody::of(&payer.name, &payer.tax_id, Some(&payer.address));
    // The payer's document alone is named in lower case here.
    buyer.document = DocumentBody {
        kind: match payer.tax_id.kind() {
            TaxIdKind::Cpf => "cpf",
            TaxIdKind::Cnpj => "cnpj",
        },
        number: payer.tax_id.as_str(),
    };
    Ok(RegisterBody {
        bank_number: 237,
        authentication,
        agreement: AgreementBody {
            agreement_number,
            wallet: Some(carteira.parse().map_err(|_| "the carteira is no number")?),
            agency,
            account: Some(account),
        },
        title: TitleBody {
            expire_date: boleto.due_date,
            amount_in_cents: boleto.amount.0,
            our_number: number,
            instructions: latin1(boleto.instructions.as_deref().unwrap_or_default()),
            document_number: number.to_string(),
            conditions: None,
        },
        recipient,
        payee_guarantor: None,
        buyer,
        request_key: request.attempt_key,
    })
}
