//! What the house does for those who use it: one story a file, the whole house open on a real store and real sockets.

#[path = "../support"]
mod support {
    #[expect(dead_code, reason = "stories open houses, not stores")]
    pub mod database;
    pub mod house;
}

mod a_caller_that_hangs_up_changes_nothing;
mod a_slow_bank_does_not_keep_the_shop_waiting;
mod everything_wrong_is_said_at_once;
mod silence_is_never_a_no;
mod the_bank_wants_to_be_asked_otherwise;
mod the_owner_is_told_of_a_registered_boleto;
mod the_same_request_makes_one_boleto;
mod the_shop_learns_why_the_bank_refused;
