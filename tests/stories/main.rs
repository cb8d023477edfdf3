//! What the house does for those who use it: one story a file, the whole house open on a real store and real sockets.

#[path = "../support"]
mod support {
    #[expect(dead_code, reason = "stories open houses, not stores")]
    pub mod database;
    pub mod house;
}

mod a_bank_that_crashes_us_is_parked;
mod a_boleto_needs_somebody_to_tell;
mod a_caller_that_hangs_up_changes_nothing;
mod a_dead_bank_is_probed_and_not_hammered;
mod a_house_moves_to_postgresql;
mod a_shop_finds_its_boletos_again;
mod a_slow_bank_does_not_keep_the_shop_waiting;
mod a_watcher_misses_nothing;
mod an_operator_holds_queues_back;
mod an_operator_keeps_bank_accounts;
mod an_operator_pauses_actors;
mod an_operator_sees_every_process;
mod an_operator_steers_actors;
mod an_operator_steers_work;
mod an_operator_steers_work_by_a_filter;
mod an_operator_watches_the_tree;
mod an_owner_who_stumbles_is_told_again;
mod anybody_reads_any_line;
mod every_bank_numbers_in_its_own_way;
mod everything_wrong_is_said_at_once;
mod health_tells_life_from_readiness;
mod silence_is_never_a_no;
mod the_bank_has_another_title_under_our_number;
mod the_bank_wants_to_be_asked_otherwise;
mod the_owner_is_told_of_a_registered_boleto;
mod the_same_request_makes_one_boleto;
mod the_shop_asks_to_try_again_now;
mod the_shop_learns_why_the_bank_refused;
mod too_many_at_once_are_told_to_wait;
