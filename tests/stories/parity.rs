//! Every box of the replaced service's own tests, and the test of ours that holds it: what is the same, what differs because
//! the replaced service was wrong there, and what has no counterpart because it cannot be asked for here.
//!
//! **Owns** nothing but the list. **Fails** when a test that is named is no longer there. **Limits**: what a named test
//! proves stands in that test.

use std::path::Path;

/// How a box is answered.
enum Answer {
    /// As it was.
    Same,
    /// On purpose otherwise, in these words.
    Differs(&'static str),
}

use Answer::{Differs, Same};

/// A box, its answer, and where it is proved: a file and a test in it.
type Row = (&'static str, Answer, &'static str, &'static str);

const STORIES: &str = "tests/stories";
const BANKS: &str = "src/connectors/banks";

const CREATE: &[Row] = &[
    (
        "a full create, with the sample request, its barcode vector and its response code",
        Same,
        "the_replaced_services_request_is_understood.rs",
        "the_sample_request_gives_the_sample_codes",
    ),
    (
        "development: registered, refused, pending, by the amount",
        Differs("what is pending is tried again; there it was not even queued"),
        "the_replaced_services_request_is_understood.rs",
        "amounts_try_out_every_outcome",
    ),
    (
        "several faults are reported together",
        Same,
        "everything_wrong_is_said_at_once.rs",
        "all_mistakes_are_named_together",
    ),
    (
        "invalid data: amounts, dates and documents",
        Differs("amounts of nothing, days gone by and documents that do not check were taken there"),
        "everything_wrong_is_said_at_once.rs",
        "each_mistake_is_named_by_its_field",
    ),
    (
        "a provider outside the set is refused",
        Differs("it is the account that names its connector, and is refused when it is made"),
        "an_operator_keeps_bank_accounts.rs",
        "what_an_account_may_not_be_is_said_at_once",
    ),
    (
        "a create that is not registered stays issued",
        Differs("it can be registered later; there nothing could"),
        "a_registration_is_held_back.rs",
        "on_the_embedded_store",
    ),
    (
        "the same request twice",
        Differs("one boleto and one number; there it made two"),
        "the_same_request_makes_one_boleto.rs",
        "asked_twice_it_is_made_once",
    ),
    (
        "rules and charges move a boleto to another account",
        Differs("the accounts say so themselves, and the answer says which rule led where"),
        "an_account_leads_to_another.rs",
        "each_rule_leads_to_its_account_and_says_so",
    ),
    (
        "an account by external id, by default, and none at all",
        Same,
        "an_operator_keeps_bank_accounts.rs",
        "a_boleto_is_issued_under_the_account_that_is_named_or_the_default",
    ),
];

const READ_AND_CHANGE: &[Row] = &[
    (
        "a page of a default size, of a size that is asked for, and the next one",
        Differs("pages go by a token and have a largest size"),
        "a_shop_finds_its_boletos_again.rs",
        "pages_have_their_size_and_what_is_new_does_not_shift_them",
    ),
    (
        "filters by token and by number",
        Same,
        "a_shop_finds_its_boletos_again.rs",
        "each_filter_finds_what_it_names",
    ),
    (
        "filters that make no sense",
        Differs("they are named; there they were passed over, or an error of the server's"),
        "a_shop_finds_its_boletos_again.rs",
        "filters_that_make_no_sense_are_named_together",
    ),
    (
        "show: found and not found",
        Same,
        "everything_wrong_is_said_at_once.rs",
        "a_boleto_that_is_not_there_is_not_found",
    ),
    (
        "update of the paid amount and the bank's code: both, one, invalid, unknown",
        Differs("a payment is a fact of its own, written down once, and may be zero"),
        "a_payment_is_written_down_once.rs",
        "requests_versions_and_mistakes",
    ),
    (
        "configurations: create, read, update, list",
        Same,
        "an_operator_keeps_bank_accounts.rs",
        "an_account_is_found_listed_and_changed",
    ),
    (
        "configurations: several faults together, unknown",
        Same,
        "an_operator_keeps_bank_accounts.rs",
        "what_an_account_may_not_be_is_said_at_once",
    ),
];

const QUEUES: &[Row] = &[
    (
        "worker: a message becomes a registration (not covered there)",
        Same,
        "a_queue_asks_for_registrations.rs",
        "each_message_becomes_one_registration_on_the_embedded_store",
    ),
    (
        "worker: a boleto that was decided is not asked about",
        Same,
        "a_queue_asks_for_registrations.rs",
        "what_the_bank_has_decided_is_not_asked_about_again",
    ),
    (
        "worker: a message that is no JSON, or names no boleto",
        Differs("it is kept as a dead letter and blocks nobody; there it stopped the loop"),
        "a_queue_asks_for_registrations.rs",
        "poison_becomes_a_dead_letter_and_blocks_nobody",
    ),
    (
        "owner's message: body and destination (not covered there)",
        Differs("the same body and an event's id and version; also for what was decided at once"),
        "the_owner_is_told_of_a_registered_boleto.rs",
        "on_the_embedded_store",
    ),
    (
        "owner's queue is down (not covered there)",
        Differs("the message waits; there it was lost"),
        "an_owner_who_stumbles_is_told_again.rs",
        "a_queue_that_is_away_is_told_when_it_is_back",
    ),
    (
        "owner's queue is one that may not be reached",
        Differs("refused when it is named; there any address was taken"),
        "a_boleto_needs_somebody_to_tell.rs",
        "a_destination_that_may_not_be_reached_is_refused_when_it_is_named",
    ),
    (
        "the queue is down while it is read (not covered there)",
        Same,
        "a_queue_asks_for_registrations.rs",
        "a_queue_that_is_away_is_probed_and_seen_to_be_away",
    ),
];

const PROVIDERS: &[Row] = &[
    (
        "each provider registers",
        Same,
        "every_bank_speaks_its_own_protocol.rs",
        "a_boleto_under_each_account_is_registered_and_paid",
    ),
    ("each provider refuses", Same, "every_bank_speaks_its_own_protocol.rs", "each_banks_no_is_a_no"),
    (
        "a timeout at each provider",
        Differs("pending, and looked for before it is asked again; there two of three called it refused"),
        "every_bank_speaks_its_own_protocol.rs",
        "a_lost_answer_makes_no_second_title_anywhere",
    ),
];

/// Files below the connectors.
const PROVIDERS_PIECE_BY_PIECE: &[Row] = &[
    ("bradesco: every code of its table", Same, "bradesco/codes.rs", "the_tables_are_complete"),
    ("bradesco: the edges of its classes", Same, "bradesco/codes.rs", "each_edge_is_where_the_sheet_has_it"),
    (
        "bradesco: registered, refused, unknown, 4xx, 5xx, no code",
        Differs("codes that no table has stay open, as there; a refused sign-in is an operator's to mend"),
        "bradesco_apiregistro/tests.rs",
        "every_answer_has_its_class",
    ),
    (
        "bradesco: the payload, its header and its company",
        Same,
        "bradesco_apiregistro/tests.rs",
        "a_registration_reads_as_the_sheet_says",
    ),
    (
        "bradesco: carteiras 25 and 26",
        Same,
        "bradesco_apiregistro/tests.rs",
        "a_late_payment_is_the_carteiras_to_decide",
    ),
    (
        "percentages: whole, with decimals, tricky, no number",
        Differs("written digit by digit; there 0.29 lost a part on its way"),
        "bradesco/wire.rs",
        "percentages_are_written_digit_by_digit",
    ),
    (
        "shopfacil by the gateway: the payload",
        Same,
        "boleto_api/tests/wire.rs",
        "a_registration_at_shopfacil_reads_as_the_sheet_says",
    ),
    (
        "shopfacil by the gateway: every code",
        Same,
        "boleto_api/tests.rs",
        "shopfacils_errors_are_read_by_its_table_all_of_them",
    ),
    (
        "caixa: the payload, with its header",
        Same,
        "boleto_api/tests/wire.rs",
        "a_registration_at_caixa_reads_as_the_sheet_says",
    ),
    (
        "caixa: rules",
        Same,
        "boleto_api/tests/wire.rs",
        "caixas_rules_say_what_was_agreed_about_a_late_payment",
    ),
    ("caixa: fees", Same, "boleto_api/tests/wire.rs", "caixas_fees_are_written_digit_by_digit"),
    (
        "caixa: instructions, with and without the installation's sentence",
        Differs("the sentence is the installation's own, and there is none unless it is configured"),
        "boleto_api/tests/wire.rs",
        "the_installations_sentence_stands_behind_the_owners_own_words",
    ),
    (
        "caixa: an answer without line, barcode or link",
        Differs("its fate is unknown; there it was called refused"),
        "boleto_api/tests.rs",
        "a_yes_needs_all_its_parts_and_no_error",
    ),
    (
        "caixa: timeout, 4xx, 5xx with and without a body, unmapped errors",
        Differs("only a bank's own no is one; there every fault was"),
        "boleto_api/tests.rs",
        "what_the_gateway_says_means_the_same_for_either_bank",
    ),
    (
        "caixa: codes of its answer",
        Differs("shown only if they are for this boleto; there another bank's stood until they came"),
        "boleto_api/tests.rs",
        "codes_are_shown_only_if_they_are_for_this_boleto",
    ),
    ("names: what a bank's letters are", Same, "text.rs", "latin_1_keeps_what_it_has"),
];

/// Files below the crate.
const SMALL_RULES: &[Row] = &[
    (
        "barcode and line: the vector",
        Same,
        "src/domain/boleto/barcode.rs",
        "every_published_barcode_says_what_it_was_made_of",
    ),
    (
        "due factor beyond its cycle",
        Differs("it begins again in 2049; there it grew a fifth digit"),
        "src/domain/boleto/due_date_factor.rs",
        "a_code_is_read_on_both_sides_of_both_rollovers",
    ),
    (
        "percentage texts",
        Differs("what is no percentage is refused; there the field was left out"),
        "src/domain/boleto/charges/percent.rs",
        "what_is_no_percentage_is_refused_with_its_rule",
    ),
    (
        "document type by length, with blanks, of a wrong length, empty",
        Differs("check digits count as well"),
        "src/domain/tax_id.rs",
        "what_is_wrong_is_said",
    ),
    (
        "addresses: whole, incomplete, empty",
        Differs("an incomplete one is refused; there another company's was put in its place"),
        "src/domain/payer.rs",
        "everything_wrong_is_named_at_once",
    ),
    (
        "states by their full names",
        Differs("two letters are asked for; an import reads the names that the replaced service knew"),
        "src/cli/import/party.rs",
        "a_way_of_writing_is_no_fault",
    ),
    (
        "rules: late payment before charges",
        Same,
        "src/domain/bank_account/rules.rs",
        "what_is_said_of_late_payment_comes_before_charges",
    ),
    (
        "one date in two zones",
        Differs("a civil date and no moment; an import takes the day of the barcode"),
        "src/cli/import/boleto/tests.rs",
        "a_moment_in_the_evening_is_the_date_of_its_barcode",
    ),
    (
        "timeouts per provider",
        Differs("settings, in every environment"),
        "src/config/tests.rs",
        "every_number_and_duration_has_bounds_and_every_bound_a_key",
    ),
    ("errors, one and many", Same, "src/grpc/status.rs", "every_violation_is_named_at_once"),
    (
        "waiting for the database",
        Differs("it waits as long as it takes"),
        "tests/faults/database_away.rs",
        "a_house_that_starts_without_its_database_waits_for_it",
    ),
    (
        "signals that end the process",
        Differs("what is in hand is finished"),
        "tests/faults/drain.rs",
        "a_drain_finishes_what_is_in_hand_and_leaves_the_rest_to_be_claimed",
    ),
    (
        "crash and restart (not covered there)",
        Same,
        "tests/faults/crash_points.rs",
        "a_crash_at_any_step_of_a_fair_day_loses_and_repeats_nothing",
    ),
    (
        "crash of a worker between its two writes (not covered there)",
        Same,
        "tests/faults/queue_crash.rs",
        "a_crash_before_the_deletion",
    ),
    (
        "two processes at one boleto (not covered there)",
        Same,
        "tests/faults/two_processes.rs",
        "the_other_process_takes_over_what_a_killed_one_had_in_hand",
    ),
    (
        "taking everything over",
        Same,
        "tests/conformance/import_superbowleto.rs",
        "everything_comes_over_and_what_cannot_is_told",
    ),
];

/// What cannot be asked for here: boxes without a counterpart, and why.
const GONE: &[(&str, &str)] = &[
    ("unknown keys and filters of a request", "a typed request has none"),
    (
        "a key that is wrong or missing",
        "callers are told apart by tokens, which come with the operators' release",
    ),
    ("ids with and without a prefix", "ids are UUIDs; the old ones are kept beside them by an import"),
    ("look-alike issuers and an unknown provider at run time", "a provider is one of a closed set"),
    ("a null boleto handed to a connector", "cannot be written down in the first place"),
    ("the window of 2018 in which every answer was pending", "it was an incident, and is over"),
];

fn all() -> impl Iterator<Item = (String, &'static Row)> {
    let below = |folder: &'static str, rows: &'static [Row]| {
        rows.iter().map(move |row| {
            (if folder.is_empty() { row.2.to_owned() } else { format!("{folder}/{}", row.2) }, row)
        })
    };
    below(STORIES, CREATE)
        .chain(below(STORIES, READ_AND_CHANGE))
        .chain(below(STORIES, QUEUES))
        .chain(below(STORIES, PROVIDERS))
        .chain(below(BANKS, PROVIDERS_PIECE_BY_PIECE))
        .chain(below("", SMALL_RULES))
}

#[test]
fn every_box_has_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for (file, (name, _, _, test)) in all() {
        let text = std::fs::read_to_string(root.join(&file)).unwrap_or_default();
        // A test of its own, or one that a list of tests names.
        let is_there = [format!("fn {test}("), format!("{test}:"), format!("    {test},")];
        if !is_there.iter().any(|way| text.contains(way)) {
            missing.push(format!("{name}: {file} {test}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn what_differs_says_why() {
    let reasons = all().filter_map(|(_, (name, answer, ..))| match answer {
        Same => None,
        Differs(why) => Some((*name, *why)),
    });
    let reasons: Vec<_> = reasons.chain(GONE.iter().copied()).collect();
    assert!(reasons.len() > GONE.len());
    assert!(reasons.iter().all(|(_, why)| why.split(' ').count() > 1), "{reasons:?}");
}
