//! Every field of every answer in which text may stand is either declared to tell something of a person, or somebody has decided that it
//! does not: at the field itself where its name suggests a person, and here by its name where it suggests none. A field with a new name
//! fails until somebody decides.

use std::collections::{BTreeMap, BTreeSet};

use bursar::access::descriptor::{Field, FileSet, MessageType};
use bursar::proto::DESCRIPTOR_SET;
use bursar::proto::access::v1::Personal;
use prost::Message as _;

/// `google.protobuf.FieldDescriptorProto.Type`.
const STRING: i32 = 9;
const BYTES: i32 = 12;

/// What a name says that may well be a person's: such a field is decided about where it stands.
const SUGGEST_A_PERSON: [&str; 26] = [
    "name",
    "names",
    "address",
    "street",
    "city",
    "district",
    "complement",
    "postal",
    "phone",
    "mail",
    "tax",
    "cpf",
    "cnpj",
    "iban",
    "number",
    "account",
    "counterparty",
    "remittance",
    "beneficiary",
    "message",
    "url",
    "text",
    "document",
    "body",
    "details",
    "instructions",
];

/// What no person is known by. Owners' own names for their things (`external_id`, `reference_id`, `token`, `user_external_id`) and the
/// keys of a feed (`person_key`, `user_key`) are made up by owners, who are told to put nothing of a person into them; by them methods are
/// asked. `reason` and the like are the words of staff and of ours, `last_answer` and `last_error` are cleaned where they are made.
const PLAIN: &[&str] = &[
    "account_dac",
    "account_id",
    "account_ids",
    "actor",
    "after",
    "agency",
    "alias_key",
    "amount",
    "analyzer",
    "answer",
    "asked_until",
    "aspsp",
    "attribute",
    "audio_key",
    "balance_after",
    "bank_account_id",
    "bank_code",
    "bank_ids",
    "bank_reference",
    "bank_response_code",
    "barcode",
    "before",
    "boleto_id",
    "booked_on",
    "breaker",
    "campo_livre",
    "cancel_reason",
    "carteira",
    "channel",
    "code",
    "company_key",
    "consent_id",
    "content_type",
    "convenio",
    "created_by",
    "currency",
    "cursor",
    "description",
    "detail",
    "disabled_reason",
    "due_date",
    "effective_due_date",
    "endpoint",
    "endpoint_id",
    "entered_on",
    "error",
    "errors",
    "etag",
    "event_id",
    "event_type",
    "event_types",
    "external_id",
    "feed",
    "feed_error",
    "field",
    "formula",
    "hash",
    "id",
    "ios",
    "job",
    "key",
    "kind",
    "language",
    "last_answer",
    "last_error",
    "limits",
    "linha_digitavel",
    "linha_digitavel_formatted",
    "local_date",
    "local_time",
    "location",
    "method",
    "next_page_token",
    "nosso_numero",
    "nosso_numero_dv",
    "not_ready_reason",
    "note",
    "on",
    "operations",
    "overlap",
    "paid_on",
    "parent_id",
    "path",
    "pause_reason",
    "payment_id",
    "percentage",
    "percentage_per_month",
    "person_key",
    "prefix",
    "product",
    "provider",
    "provider_message_id",
    "queue",
    "queue_url",
    "raw_status",
    "reason",
    "reconciled_by",
    "reference_id",
    "request_id",
    "rounding",
    "run_id",
    "run_ids",
    "runner_id",
    "scopes",
    "secret",
    "secrets",
    "segment",
    "session_id",
    "settle_reason",
    "source",
    "standard",
    "store",
    "subject",
    "subject_id",
    "subject_kind",
    "survey_key",
    "synced_through",
    "tenant_id",
    "time_zone",
    "token",
    "trace_id",
    "traceparent",
    "transfer_id",
    "type",
    "until",
    "user_id",
    "user_key",
    "value",
    "value_id",
    "value_on",
    "values",
    "variacao",
    "vendor_id",
    "version",
    "waiting",
    "when_fine_or_interest",
    "when_late_payment_accepted",
    "when_late_payment_refused",
    "waiting",
    "window",
    "workspace_id",
    "write_back",
];

/// Every message of ours under its full name.
fn messages() -> BTreeMap<String, MessageType> {
    fn flatten(prefix: &str, messages: &[MessageType], into: &mut BTreeMap<String, MessageType>) {
        for message in messages {
            let name = format!("{prefix}.{}", message.name);
            flatten(&name, &message.messages, into);
            into.insert(name, message.clone());
        }
    }
    let set = FileSet::decode(DESCRIPTOR_SET).expect("the protocol");
    let mut found = BTreeMap::new();
    for file in set.files.iter().filter(|file| file.package.starts_with("bursar.")) {
        flatten(&format!(".{}", file.package), &file.messages, &mut found);
    }
    found
}

/// Every field that an answer may have, with its message.
fn answered() -> Vec<(String, Field)> {
    let messages = messages();
    let set = FileSet::decode(DESCRIPTOR_SET).expect("the protocol");
    let services = set.files.iter().flat_map(|file| &file.services);
    let mut waiting: Vec<String> =
        services.flat_map(|service| &service.methods).map(|method| method.answer.clone()).collect();
    let (mut seen, mut fields) = (BTreeSet::new(), Vec::new());
    while let Some(name) = waiting.pop() {
        let Some(message) = messages.get(&name).filter(|_| seen.insert(name.clone())) else { continue };
        for field in &message.fields {
            waiting.push(field.type_name.clone());
            fields.push((name.clone(), field.clone()));
        }
    }
    assert!(seen.len() > 150 && fields.len() > 600, "the whole protocol was read");
    fields
}

fn suggests_a_person(name: &str) -> bool {
    name.split('_').any(|word| SUGGEST_A_PERSON.contains(&word))
}

#[test]
fn of_every_text_somebody_has_decided_whether_it_is_a_person_s() {
    let plain: BTreeSet<&str> = PLAIN.iter().copied().collect();
    let (mut undecided, mut found) = (Vec::new(), BTreeSet::new());
    for (message, field) in answered() {
        if ![STRING, BYTES].contains(&field.kind) {
            continue;
        }
        let is_plain = plain.contains(field.name.as_str()) && field.kind == STRING;
        match field.declared() {
            Personal::Unspecified if !is_plain => undecided.push(format!("{message}.{}", field.name)),
            Personal::Unspecified => {
                found.insert(field.name);
            }
            _ => {}
        }
    }
    assert!(undecided.is_empty(), "is it a person's? {undecided:#?}");
    let gone: Vec<&&str> = plain.iter().filter(|name| !found.contains(**name)).collect();
    assert!(gone.is_empty(), "no field is called so: {gone:?}");
}

#[test]
fn what_suggests_a_person_is_decided_about_where_it_stands() {
    // Ids, tokens and codes of our own, and owners' queues, whatever they are of.
    let ours =
        |name: &str| ["_id", "_ids", "_dac", "_token", "queue_url"].iter().any(|end| name.ends_with(end));
    let wrong: Vec<&&str> = PLAIN.iter().filter(|name| suggests_a_person(name) && !ours(name)).collect();
    assert!(wrong.is_empty(), "to be declared at the field: {wrong:?}");
    assert!(suggests_a_person("payer_name") && suggests_a_person("mail") && !suggests_a_person("cursor"));
}

#[test]
fn what_is_declared_is_in_some_answer_and_of_a_form_that_can_be_masked() {
    let answered: BTreeSet<(String, String)> =
        answered().into_iter().map(|(message, field)| (message, field.name)).collect();
    let mut declared = 0;
    for (message, known) in messages() {
        for field in &known.fields {
            let personal = field.declared();
            if matches!(personal, Personal::Unspecified | Personal::None) {
                continue;
            }
            declared += 1;
            let place = format!("{message}.{}", field.name);
            assert!(answered.contains(&(message.clone(), field.name.clone())), "{place} is in no answer");
            assert!(personal == Personal::LeftOut || field.kind == STRING, "{place} cannot be masked so");
        }
    }
    assert!(declared > 25, "{declared}");
}
