//! The documents carry the protocol's names: every one, and no other.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::Value;

use super::{
    bank_account, boleto, delivery, endpoint, node, parsed, process, queue, reconciliation, transfer, work,
};
use crate::proto::DESCRIPTOR_SET;

/// The names of a message's fields, as the protocol has them.
fn fields(package: &str, message: &str) -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let message = set
        .file
        .iter()
        .filter(|file| file.package() == package)
        .flat_map(|file| &file.message_type)
        .find(|one| one.name() == message)
        .unwrap_or_else(|| panic!("the protocol has no {package}.{message}"));
    message.field.iter().map(|field| field.name().to_owned()).collect()
}

/// The short names of an enum's values, all but the unspecified one.
fn values(package: &str, name: &str, prefix: &str) -> Vec<String> {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let values: Vec<String> = set
        .file
        .iter()
        .filter(|file| file.package() == package)
        .flat_map(|file| &file.enum_type)
        .filter(|one| one.name() == name)
        .flat_map(|one| &one.value)
        .map(|value| value.name().strip_prefix(prefix).unwrap().to_ascii_lowercase())
        .collect();
    values.into_iter().filter(|name| name != "unspecified").collect()
}

fn keys(document: &Value) -> BTreeSet<String> {
    document.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_names_of_every_document_are_the_protocols() {
    let boletos = "bursar.boleto.v1";
    let control = "bursar.control.v1";
    let notification = "bursar.notification.v1";
    let transfers = "bursar.transfer.v1";
    let documents = [
        (boletos, "Boleto", boleto::boleto(&Default::default())),
        (boletos, "Charges", boleto::charges(&Default::default())),
        (boletos, "Fine", boleto::fine(&Default::default())),
        (boletos, "Interest", boleto::interest(&Default::default())),
        (boletos, "Discount", boleto::discount(&Default::default())),
        (boletos, "Guarantor", boleto::guarantor(&Default::default())),
        (boletos, "LatePayment", boleto::late_payment(&Default::default())),
        (boletos, "Payment", boleto::payment(&Default::default())),
        (boletos, "QuoteBoletoResponse", boleto::quote(&Default::default())),
        (boletos, "ResolvedIssuer", boleto::resolved_issuer(&Default::default())),
        (boletos, "AccountRules", bank_account::rules(&Default::default())),
        (boletos, "BoletoChange", boleto::change(&Default::default())),
        (boletos, "Payer", boleto::payer(&Default::default())),
        (boletos, "Address", boleto::address(&Default::default())),
        (boletos, "BankResponse", boleto::bank_response(&Default::default())),
        (boletos, "ParseBoletoResponse", parsed::parsed(&Default::default())),
        (boletos, "ParsedCobranca", parsed::cobranca(&Default::default())),
        (boletos, "ParsedArrecadacao", parsed::arrecadacao(&Default::default())),
        (boletos, "BankAccount", bank_account::bank_account(&Default::default())),
        (boletos, "Beneficiary", bank_account::beneficiary(&Default::default())),
        (boletos, "BancoDoBrasilIssuer", bank_account::banco_do_brasil(&Default::default())),
        (boletos, "BradescoIssuer", bank_account::bradesco(&Default::default())),
        (boletos, "ItauIssuer", bank_account::itau(&Default::default())),
        (boletos, "SantanderIssuer", bank_account::santander(&Default::default())),
        (boletos, "CaixaIssuer", bank_account::caixa(&Default::default())),
        (boletos, "InterIssuer", bank_account::inter(&Default::default())),
        (boletos, "Reconciliation", reconciliation::reconciliation(&Default::default())),
        (boletos, "Difference", reconciliation::difference(&Default::default())),
        (notification, "Endpoint", endpoint::endpoint(&Default::default())),
        (notification, "SqsDestination", endpoint::sqs(&Default::default())),
        (notification, "WebhookDestination", endpoint::webhook(&Default::default())),
        (notification, "KeptSecret", endpoint::kept_secret(&Default::default())),
        (notification, "MailDestination", endpoint::mail(&Default::default())),
        (notification, "NatsDestination", endpoint::nats(&Default::default())),
        (notification, "EventFilter", endpoint::filter(&Default::default())),
        (notification, "Delivery", delivery::delivery(&Default::default())),
        (notification, "DeliveryAttempt", delivery::attempt(&Default::default())),
        (transfers, "Transfer", transfer::transfer(&Default::default())),
        (transfers, "Run", transfer::run(&Default::default())),
        (transfers, "Answer", transfer::answer(&Default::default())),
        (transfers, "TransferChange", transfer::change(&Default::default())),
        (transfers, "Feed", transfer::feed(&Default::default())),
        (control, "Node", node::node(&Default::default())),
        (control, "Exit", node::exit(&Default::default())),
        (control, "GetInfoResponse", node::info(&Default::default())),
        (control, "Work", work::work(&Default::default())),
        (control, "Attempt", work::attempt(&Default::default())),
        (control, "Queue", queue::queue(&Default::default())),
        (control, "QueuePause", queue::pause(&Default::default())),
        (control, "Breaker", queue::breaker(&Default::default())),
        (control, "OpenBreaker", queue::open_breaker(&Default::default())),
        (control, "Process", process::process(&Default::default())),
        (control, "Office", process::office(&Default::default())),
    ];
    for (package, message, document) in documents {
        assert_eq!(keys(&document), fields(package, message), "{package}.{message}");
    }
}

#[test]
fn enums_are_their_short_names() {
    assert_eq!(values("bursar.boleto.v1", "BoletoStatus", "BOLETO_STATUS_"), boleto::STATUSES);
    assert_eq!(values("bursar.control.v1", "WorkState", "WORK_STATE_"), work::STATES);
    let numbered: Vec<String> = (1..=7).map(boleto::status).collect();
    assert_eq!(numbered, boleto::STATUSES);
    let numbered: Vec<String> = (1..=7).map(work::state).collect();
    assert_eq!(numbered, work::STATES);
    let numbered: Vec<String> = (1..=4).map(delivery::state).collect();
    assert_eq!(numbered, delivery::STATES);
    let numbered: Vec<String> = (1..=7).map(transfer::state).collect();
    assert_eq!(numbered, transfer::STATES);
    assert_eq!(
        (transfer::outcome(5), transfer::feed_state(3)),
        ("vendor_refused".into(), "following".into())
    );
    assert_eq!((node::kind(2), boleto::resolution(2)), ("supervisor".to_owned(), "external_id".to_owned()));
    assert_eq!((process::state(2), queue::breaker_state(3)), ("dead".to_owned(), "half_open".to_owned()));
}

#[test]
fn every_pointer_of_a_view_points_into_its_document() {
    // A view that points past its document would silently show nothing for ever.
    let views: [(&[crate::cli::table::Column], Value); 25] = [
        (&boleto::DETAIL, boleto::boleto(&Default::default())),
        (&boleto::ROW, boleto::boleto(&Default::default())),
        (&bank_account::DETAIL, bank_account::bank_account(&Default::default())),
        (&bank_account::ROW, bank_account::bank_account(&Default::default())),
        (&reconciliation::ROW, reconciliation::reconciliation(&Default::default())),
        (&reconciliation::DIFFERENCE, reconciliation::difference(&Default::default())),
        (&endpoint::DETAIL, endpoint::endpoint(&Default::default())),
        (&delivery::DETAIL, delivery::delivery(&Default::default())),
        (&delivery::ROW, delivery::delivery(&Default::default())),
        (&delivery::ATTEMPT, delivery::attempt(&Default::default())),
        (&delivery::ATTEMPT_DETAIL, delivery::attempt(&Default::default())),
        (&transfer::DETAIL, transfer::transfer(&Default::default())),
        (&transfer::ROW, transfer::transfer(&Default::default())),
        (&transfer::RUN, transfer::run(&Default::default())),
        (&transfer::ANSWER, transfer::answer(&Default::default())),
        (&transfer::CHANGE, transfer::change(&Default::default())),
        (&transfer::FEED, transfer::feed(&Default::default())),
        (&work::DETAIL, work::work(&Default::default())),
        (&work::ROW, work::work(&Default::default())),
        (&node::INFO, node::info(&Default::default())),
        (&work::ATTEMPT, work::attempt(&Default::default())),
        (&queue::ROW, queue::queue(&Default::default())),
        (&queue::OPEN_BREAKER, queue::open_breaker(&Default::default())),
        (&queue::PAUSE, queue::pause(&Default::default())),
        (&process::ROW, process::process(&Default::default())),
    ];
    for (columns, document) in views {
        for column in columns {
            // An empty pointer is the whole document, for a column that is put together from several fields.
            let Some(first) = column.pointer.split('/').nth(1) else { continue };
            assert!(document.get(first).is_some(), "{} points nowhere", column.pointer);
        }
    }
}
