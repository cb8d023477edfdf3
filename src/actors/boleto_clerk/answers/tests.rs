//! Every status against every wish, and every state of a title against both.

use chrono::{Days, NaiveDate};

use super::*;
use crate::domain::boleto::Codes;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::terms::Terms;
use crate::domain::ids::{BankAccountId, BoletoId, OrderId, TenantId};
use crate::domain::payer::{Address, Payer};
use crate::domain::tax_id::TaxId;

const AMOUNT: Cents = Cents(12_590);

fn due_date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2031, 4, 10).unwrap()
}

fn codes(due_date: NaiveDate) -> Codes {
    let issuer = Issuer::BancoDoBrasil {
        convenio: "3128557".to_owned(),
        carteira: "17".to_owned(),
        variacao: "35".to_owned(),
        agency: None,
        account: None,
    };
    issuer.compose(1, AMOUNT, due_date).unwrap()
}

fn boleto(status: Status) -> Boleto {
    let address = Address {
        street: "Rua das Flores".to_owned(),
        number: "308".to_owned(),
        complement: String::new(),
        district: "Centro".to_owned(),
        city: "São Paulo".to_owned(),
        state: "SP".to_owned(),
        postal_code: "01001000".to_owned(),
    };
    let tax_id = TaxId::parse("52998224725").unwrap();
    Boleto {
        id: BoletoId(Uuid::nil()),
        tenant_id: TenantId::default(),
        bank_account_id: BankAccountId(Uuid::nil()),
        status,
        version: 2,
        amount: AMOUNT,
        due_date: due_date(),
        codes: codes(due_date()),
        terms: Terms::default(),
        payer: Payer { name: "Maria Exemplo".to_owned(), tax_id, address },
        instructions: None,
        reference_id: None,
        token: None,
        bank_response: None,
        pix_emv: None,
        bank_reference: None,
        url: None,
        paid: Cents::ZERO,
        paid_on: None,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

fn later() -> Amendment {
    let before = boleto(Status::Registered);
    Amendment { due_date: due_date() + Days::new(5), ..Amendment::of(&before) }
}

fn order(wish: Wish) -> Order {
    Order {
        id: OrderId(Uuid::nil()),
        boleto_id: BoletoId(Uuid::nil()),
        wish,
        state: OrderState::Pending,
        reason: "sold twice".to_owned(),
        response: None,
        created_at: DateTime::UNIX_EPOCH,
        ended_at: None,
    }
}

fn title(state: TitleState) -> Title {
    Title {
        response: BankResponse { code: "6".to_owned(), message: String::new() },
        state,
        agreement: Agreement::Agrees,
        barcode: None,
        nosso_numero: None,
        paid: None,
        paid_on: None,
        pix_emv: None,
    }
}

/// A word for what comes next, so that a table can be read.
fn said(next: Next) -> String {
    match next {
        Next::Ask => "ask".to_owned(),
        Next::Look => "look".to_owned(),
        Next::Wait => "wait".to_owned(),
        Next::End(OrderChange::Ended { state, response, effect: Effect::None }) => {
            format!("{} {}", state.as_str(), response.map(|response| response.code).unwrap_or_default())
        }
        Next::End(other) => panic!("{other:?}"),
    }
}

#[test]
fn every_status_says_what_is_left_to_be_done() {
    let table = [
        (Status::Issued, "wait", "look", "refused not_registered"),
        (Status::PendingRegistration, "wait", "look", "refused not_registered"),
        (Status::Registered, "ask", "ask", "ask"),
        (Status::Refused, "refused refused", "refused refused", "refused refused"),
        (Status::NeedsReview, "refused needs_review", "refused needs_review", "refused needs_review"),
        (Status::Cancelled, "done ", "done ", "refused cancelled"),
        (Status::Paid, "refused paid", "refused paid", "refused paid"),
    ];
    for (status, while_it_lives, cancel, amend) in table {
        let boleto = boleto(status);
        assert_eq!(said(next(&order(Wish::Cancel), &boleto, true)), while_it_lives, "{status:?}");
        assert_eq!(said(next(&order(Wish::Cancel), &boleto, false)), cancel, "{status:?}");
        let wish = Wish::Amend(Box::new(later()));
        assert_eq!(said(next(&order(wish), &boleto, false)), amend, "{status:?}");
    }
}

#[test]
fn a_title_that_has_ended_ends_the_order() {
    let boleto = boleto(Status::Registered);
    let now = DateTime::UNIX_EPOCH;
    let amend = order(Wish::Amend(Box::new(later())));
    let cancel = order(Wish::Cancel);
    for open in [TitleState::Open, TitleState::Other] {
        assert!(ended_at_the_bank(&cancel, &boleto, &title(open), now).is_none());
        assert!(ended_at_the_bank(&amend, &boleto, &title(open), now).is_none());
    }
    let gone = title(TitleState::Cancelled);
    for (order, expected) in [(&cancel, OrderState::Done), (&amend, OrderState::Refused)] {
        let change = ended_at_the_bank(order, &boleto, &gone, now);
        let Some(OrderChange::Ended { state, effect: Effect::Cancelled, .. }) = change else {
            panic!("{change:?}");
        };
        assert_eq!(state, expected);
    }
}

#[test]
fn a_payment_is_written_down_as_far_as_the_bank_tells_of_it() {
    let now = DateTime::UNIX_EPOCH;
    let mut boleto = boleto(Status::Registered);
    let mut title = title(TitleState::Settled);
    assert_eq!(payment(&boleto, &title, now), None, "nothing is guessed");
    title.paid = Some(AMOUNT);
    assert_eq!(payment(&boleto, &title, now), None, "on which day?");
    title.paid_on = Some(due_date());
    let paid = payment(&boleto, &title, now).unwrap();
    assert_eq!((paid.amount, paid.paid_on, paid.is_partial), (AMOUNT, due_date(), false));
    boleto.paid = Cents(2_590);
    assert_eq!(payment(&boleto, &title, now).unwrap().amount, Cents(10_000), "the rest alone");
    boleto.paid = AMOUNT;
    assert_eq!(payment(&boleto, &title, now), None, "all of it is known");
    let change = ended_at_the_bank(&order(Wish::Cancel), &boleto, &title, now);
    let Some(OrderChange::Ended { state: OrderState::Refused, effect: Effect::None, .. }) = change else {
        panic!("{change:?}");
    };
}

#[test]
fn codes_that_the_bank_makes_come_from_the_bank_alone() {
    let amendment = later();
    let ours = amendment.apply(&boleto(Status::Registered)).unwrap();
    assert_eq!(ours.codes, codes(amendment.due_date), "what we make ourselves is recomposed");
    let mut theirs = ours.clone();
    theirs.codes.barcode = None;
    let mut title = title(TitleState::Open);
    assert_eq!(with_codes(theirs.clone(), &title), None, "they are still to come");
    title.barcode = ours.codes.barcode;
    assert_eq!(with_codes(theirs.clone(), &title), Some(ours));
    title.agreement = Agreement::Differs(vec!["due_date"]);
    assert_eq!(with_codes(theirs, &title), None, "of the old date");
}

#[test]
fn a_look_shows_amount_and_date_and_little_else() {
    let before = boleto(Status::Registered);
    assert!(shows(&later(), &before));
    let mut charges = Amendment::of(&before);
    charges.charges.abatement = Some(Cents(100));
    assert!(!shows(&charges, &before));
    charges.amount = Cents(1);
    assert!(shows(&charges, &before));
}
