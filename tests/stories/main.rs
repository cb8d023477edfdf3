//! What the house does for those who use it: one story a file, the whole house open on a real store and real sockets.

#[path = "../support"]
mod support {
    #[expect(dead_code, reason = "stories open houses, not stores")]
    pub mod database;
    pub mod house;
    pub mod sender;
}

mod a_bad_receiver_delays_no_other;
mod a_bank_that_crashes_us_is_parked;
mod a_boleto_is_printed;
mod a_boleto_needs_somebody_to_tell;
mod a_caller_that_hangs_up_changes_nothing;
mod a_cancellation_meets_a_payment;
mod a_dead_bank_is_probed_and_not_hammered;
mod a_dead_endpoint_delays_no_other;
mod a_house_moves_to_postgresql;
mod a_payer_opens_a_link;
mod a_payment_is_written_down_once;
mod a_person_ends_a_review;
mod a_queue_asks_for_registrations;
mod a_registration_is_held_back;
mod a_shop_amends_a_boleto;
mod a_shop_asks_what_is_owed;
mod a_shop_cancels_a_boleto;
mod a_shop_exports_its_boletos;
mod a_shop_finds_its_boletos_again;
mod a_slow_bank_does_not_keep_the_shop_waiting;
mod a_stream_is_told;
mod a_watcher_misses_nothing;
mod a_webhook_is_tried_on_its_schedule;
mod a_webhook_s_secret_is_rotated;
mod an_account_leads_to_another;
mod an_endpoint_that_fails_for_days_is_left_alone;
mod an_operator_holds_queues_back;
mod an_operator_keeps_bank_accounts;
mod an_operator_keeps_endpoints;
mod an_operator_pauses_actors;
mod an_operator_sees_every_process;
mod an_operator_steers_actors;
mod an_operator_steers_deliveries;
mod an_operator_steers_work;
mod an_operator_steers_work_by_a_filter;
mod an_operator_watches_the_tree;
mod an_owner_hears_in_order;
mod an_owner_is_told_by_mail;
mod an_owner_who_stumbles_is_told_again;
mod anybody_reads_any_line;
mod boletos_of_the_service_before_are_registered;
mod every_bank_has_its_bad_days;
mod every_bank_numbers_in_its_own_way;
mod every_bank_speaks_its_own_protocol;
mod everything_wrong_is_said_at_once;
mod health_tells_life_from_readiness;
mod many_boletos_are_asked_for_at_once;
mod nothing_connects_where_it_may_not;
mod nothing_is_signed_for_a_host_of_somebody_elses;
mod pages_bear_bad_clients;
mod parity;
mod silence_is_never_a_no;
mod the_bank_has_another_title_under_our_number;
mod the_bank_wants_to_be_asked_otherwise;
mod the_owner_is_told_of_a_registered_boleto;
mod the_replaced_services_request_is_understood;
mod the_same_request_makes_one_boleto;
mod the_shop_asks_to_try_again_now;
mod the_shop_learns_why_the_bank_refused;
mod too_many_at_once_are_told_to_wait;
mod what_is_paid_at_a_bank_that_lists_nothing;
mod what_is_paid_at_the_bank_reaches_the_owner;
mod what_was_agreed_stays_with_the_boleto;
