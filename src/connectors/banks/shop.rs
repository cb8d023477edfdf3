//! A shop with an account, a boleto of it, and the files in which its secrets lie, for the tests of every connector.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::{
    AmendRequest, BankError, CancelRequest, LookUpRequest, MovementsRequest, Proposal, RegisterAnswer,
    RegisterRequest, Registration,
};
use crate::connectors::scripted::SecretFile;
use crate::domain::bank_account::{AccountRules, BankAccount, Beneficiary, Provider};
use crate::domain::boleto::amendment::Amendment;
use crate::domain::boleto::issuer::{Issuer, Numbering};
use crate::domain::boleto::status::Status;
use crate::domain::boleto::terms::Terms;
use crate::domain::boleto::{Boleto, Codes};
use crate::domain::ids::{BankAccountId, BoletoId, TenantId};
use crate::domain::money::{Cents, Rounding};
use crate::domain::payer::{Address, Payer};
use crate::domain::tax_id::TaxId;

/// An account, a boleto of R$ 125.90 due on 2026-04-10, and the files in which the account's secrets lie.
pub(super) struct Shop {
    pub(super) account: BankAccount,
    pub(super) boleto: Boleto,
    _secrets: Vec<SecretFile>,
}

impl Shop {
    /// A shop whose credentials, by their keys, are these. The boleto has every code that can be made of the agreement.
    pub(super) fn of(issuer: Issuer, provider: Provider, credentials: &[(&str, &str)]) -> Self {
        let secrets: Vec<_> = credentials.iter().map(|(_, value)| SecretFile::new(value)).collect();
        let pairs = credentials.iter().zip(&secrets);
        let account = BankAccount {
            id: BankAccountId(Uuid::nil()),
            tenant_id: TenantId::default(),
            external_id: None,
            display_name: "Shop".into(),
            beneficiary: Beneficiary { name: "Shop".into(), tax_id: TaxId::parse("11222333000181").unwrap() },
            issuer,
            provider,
            credentials: pairs.map(|((key, _), file)| ((*key).to_owned(), file.reference())).collect(),
            is_default: true,
            rounding: Rounding::Truncate,
            rules: AccountRules::default(),
            version: 1,
            created_at: DateTime::<Utc>::UNIX_EPOCH,
            updated_at: DateTime::<Utc>::UNIX_EPOCH,
        };
        let due_date = NaiveDate::from_ymd_opt(2026, 4, 10).unwrap();
        let codes = match account.issuer.numbering() {
            Numbering::Ours => account.issuer.compose(1, Cents(12_590), due_date).unwrap(),
            Numbering::TheBanks => Codes::default(),
        };
        let boleto = boleto(&account, codes, due_date);
        Self { account, boleto, _secrets: secrets }
    }

    pub(super) fn request(&self) -> RegisterRequest<'_> {
        RegisterRequest {
            account: &self.account,
            boleto: &self.boleto,
            attempt_key: "attempt-1",
            issue_date: NaiveDate::from_ymd_opt(2026, 3, 1).unwrap(),
        }
    }

    pub(super) fn question(&self) -> LookUpRequest<'_> {
        LookUpRequest { account: &self.account, boleto: &self.boleto }
    }

    pub(super) fn amendment<'a>(&'a self, amendment: &'a Amendment) -> AmendRequest<'a> {
        AmendRequest { account: &self.account, boleto: &self.boleto, amendment, attempt_key: "attempt-1" }
    }

    pub(super) fn cancellation(&self) -> CancelRequest<'_> {
        CancelRequest {
            account: &self.account,
            boleto: &self.boleto,
            reason: "sold twice",
            attempt_key: "attempt-1",
        }
    }

    pub(super) fn movements<'a>(&'a self, cursor: Option<&'a str>) -> MovementsRequest<'a> {
        MovementsRequest {
            account: &self.account,
            since: NaiveDate::from_ymd_opt(2026, 4, 1).unwrap(),
            until: NaiveDate::from_ymd_opt(2026, 4, 30).unwrap(),
            cursor,
        }
    }

    pub(super) fn proposal(&self) -> Proposal<'_> {
        Proposal {
            account: &self.account,
            payer: &self.boleto.payer,
            amount: self.boleto.amount,
            due_date: self.boleto.due_date,
            terms: &self.boleto.terms,
            instructions: self.boleto.instructions.as_deref(),
        }
    }

    pub(super) fn recomposed(&self, sequence: i64, cents: i64, due_date: NaiveDate) -> Codes {
        self.account.issuer.compose(sequence, Cents(cents), due_date).unwrap()
    }
}

/// The barcode and the line of codes that have both.
pub(super) fn both(codes: &Codes) -> (String, String) {
    let barcode = codes.barcode.unwrap();
    (barcode.as_str().to_owned(), barcode.to_linha().as_str().to_owned())
}

/// The registration in an answer that brought one.
pub(super) fn on_file(answer: RegisterAnswer) -> Registration {
    match answer {
        RegisterAnswer::Registered(registration) => registration,
        RegisterAnswer::Accepted { bank_reference } => panic!("only accepted: {bank_reference}"),
    }
}

/// Of what kind an error is, without the words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Refused(String),
    AlreadyOnFile(String),
    Disagrees(Vec<&'static str>),
    OutcomeUnknown,
    Unavailable(Option<Duration>),
    Misconfigured,
    Unsupported,
}

pub(super) fn kind(error: BankError) -> Kind {
    match error {
        BankError::Refused { response } => Kind::Refused(response.code),
        BankError::AlreadyOnFile { response } => Kind::AlreadyOnFile(response.code),
        BankError::Disagrees { parts, .. } => Kind::Disagrees(parts),
        BankError::OutcomeUnknown { .. } => Kind::OutcomeUnknown,
        BankError::Unavailable { retry_after, .. } => Kind::Unavailable(retry_after),
        BankError::Misconfigured { .. } => Kind::Misconfigured,
        BankError::Unsupported { .. } => Kind::Unsupported,
    }
}

fn boleto(account: &BankAccount, codes: Codes, due_date: NaiveDate) -> Boleto {
    Boleto {
        id: BoletoId(Uuid::nil()),
        tenant_id: TenantId::default(),
        bank_account_id: account.id,
        status: Status::Issued,
        version: 1,
        amount: Cents(12_590),
        due_date,
        codes,
        terms: Terms::default(),
        payer: Payer {
            name: "Ana Maria".into(),
            tax_id: TaxId::parse("529.982.247-25").unwrap(),
            address: Address {
                street: "Rua das Flores".into(),
                number: "308".into(),
                complement: "apto 12".into(),
                district: "Centro".into(),
                city: "Sao Paulo".into(),
                state: "SP".into(),
                postal_code: "01001000".into(),
            },
        },
        instructions: Some("Nao receber apos o vencimento".into()),
        reference_id: None,
        token: None,
        bank_response: None,
        pix_emv: None,
        bank_reference: None,
        url: None,
        paid: Cents::ZERO,
        paid_on: None,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        updated_at: DateTime::<Utc>::UNIX_EPOCH,
    }
}
