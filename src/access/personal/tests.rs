//! What of an answer is masked, and what it tells of whom.

use prost::Message;

use super::*;
use crate::proto::DESCRIPTOR_SET;
use crate::proto::boleto::v1::{
    Address, BankResponse, Boleto, Charges, Discount, GetBoletoResponse, ListBoletosResponse, Payer,
};
use crate::proto::control::v1::GetTreeResponse;
use crate::proto::notification::v1::endpoint::Destination;
use crate::proto::notification::v1::{Endpoint, GetEndpointResponse, MailDestination};
use crate::proto::transfer::v1::process_transfer_response::Step;
use crate::proto::transfer::v1::{Answer, ProcessTransferResponse};

fn protocol() -> PersonalFields {
    PersonalFields::of(&FileSet::decode(DESCRIPTOR_SET).unwrap())
}

fn masked<M: Message + Default>(name: &str, message: &M) -> M {
    let protocol = protocol();
    let shape = protocol.shape(name).expect("it tells something of a person");
    M::decode(protocol.mask(shape, &message.encode_to_vec()).unwrap().as_slice()).unwrap()
}

fn boleto(id: &str) -> Boleto {
    Boleto {
        id: id.to_owned(),
        amount_cents: 12_590,
        payer: Some(Payer {
            name: "Maria Exemplo".to_owned(),
            tax_id: "52998224725".to_owned(),
            address: Some(Address {
                state: "SP".to_owned(),
                city: "Santos".to_owned(),
                ..Address::default()
            }),
        }),
        charges: Some(Charges { discounts: vec![Discount::default()], ..Charges::default() }),
        bank_response: Some(BankResponse { code: "48".to_owned(), message: "unknown: Maria".to_owned() }),
        url: "https://bank.example/1".to_owned(),
        pix_emv: "00020101021226pix.example/v2/1".to_owned(),
        ..Boleto::default()
    }
}

#[test]
fn persons_are_masked_and_everything_else_stays() {
    let whole = GetBoletoResponse { boleto: Some(boleto("b-1")) };
    let seen = masked(".bursar.boleto.v1.GetBoletoResponse", &whole).boleto.unwrap();
    let payer = seen.payer.clone().unwrap();
    assert_eq!((payer.name.as_str(), payer.tax_id.as_str()), ("M*** E***", "*********25"));
    let address = payer.address.unwrap();
    assert_eq!((address.city.as_str(), address.state.as_str(), address.street.as_str()), ("***", "SP", ""));
    assert_eq!(seen.bank_response.clone().unwrap().message, "***");
    // By either of them whoever has it finds the charge, and its debtor.
    assert!(seen.url.is_empty() && seen.pix_emv.is_empty());
    let others = |boleto: Boleto| Boleto {
        payer: None,
        bank_response: None,
        url: String::new(),
        pix_emv: String::new(),
        ..boleto
    };
    assert_eq!(others(seen), others(boleto("b-1")));
}

#[test]
fn each_of_many_is_masked_within_whatever_it_stands() {
    let many = ListBoletosResponse { boletos: vec![boleto("b-1"), boleto("b-2")], ..Default::default() };
    let seen = masked(".bursar.boleto.v1.ListBoletosResponse", &many);
    let names: Vec<String> = seen.boletos.into_iter().map(|boleto| boleto.payer.unwrap().name).collect();
    assert_eq!(names, ["M*** E***", "M*** E***"]);

    let address = "maria@example.com".to_owned();
    let destination = Some(Destination::Mail(MailDestination { address, language: "pt-BR".to_owned() }));
    let whole = GetEndpointResponse { endpoint: Some(Endpoint { destination, ..Endpoint::default() }) };
    let seen = masked(".bursar.notification.v1.GetEndpointResponse", &whole);
    let Some(Destination::Mail(mail)) = seen.endpoint.unwrap().destination else { panic!("still a mailbox") };
    assert_eq!((mail.address.as_str(), mail.language.as_str()), ("m***@example.com", "pt-BR"));
}

#[test]
fn a_number_is_left_out() {
    let answer =
        Answer { position: 2, vendor_risk: Some(5), vendor_risk_score: Some(95), ..Answer::default() };
    let whole = ProcessTransferResponse { step: Some(Step::Answer(answer)) };
    let seen = masked(".bursar.transfer.v1.ProcessTransferResponse", &whole);
    let only = Answer { position: 2, ..Answer::default() };
    assert_eq!(seen.step, Some(Step::Answer(only)));
}

#[test]
fn whom_an_answer_tells_of_is_known_by_the_outermost_id() {
    let protocol = protocol();
    let shape = protocol.shape(".bursar.boleto.v1.ListBoletosResponse").unwrap();
    let nobodys = Boleto { id: "b-3".to_owned(), ..Boleto::default() };
    let many = ListBoletosResponse {
        boletos: vec![boleto("b-1"), nobodys, boleto("b-2")],
        ..ListBoletosResponse::default()
    };
    let told = protocol.told(shape, &many.encode_to_vec()).unwrap();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), ["b-1", "b-2"]);
    assert!(protocol.told(shape, &[]).unwrap().is_empty());
    assert_eq!(protocol.told(shape, &[0x0a, 0x05]), Err(Malformed), "a message that is cut off");
    assert_eq!(protocol.mask(shape, &[0x0a, 0x05]), Err(Malformed));
}

/// A mask is what is shown of somebody, and not whatever looks like one.
#[test]
fn whoever_has_stars_in_the_name_is_told_of_all_the_same() {
    let protocol = protocol();
    let shape = protocol.shape(".bursar.boleto.v1.GetBoletoResponse").unwrap();
    let named = |name: &str| {
        let payer = Payer { name: name.to_owned(), ..Payer::default() };
        let boleto = Boleto { id: "b-1".to_owned(), payer: Some(payer), ..Boleto::default() };
        protocol.told(shape, &GetBoletoResponse { boleto: Some(boleto) }.encode_to_vec()).unwrap().len()
    };
    assert_eq!((named("Maria Exemplo *** ME"), named("M*** E***"), named("***")), (1, 0, 0));
}

#[test]
fn what_tells_nothing_of_anybody_is_not_looked_at() {
    assert_eq!(protocol().shape(".bursar.control.v1.GetTreeResponse"), None);
    assert_eq!(GetTreeResponse::default().encoded_len(), 0);
}
