//! What an owner reads is made where the API's test of an endpoint finds it too: see [`crate::messages::notice`].

pub(super) use crate::messages::notice::{attempt, body};
