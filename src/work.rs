//! The durable engine's policy: who holds what, for how long, and what becomes of it.
//!
//! The rows are the store's; here is what a process does about them. It holds a [`lease`] that it beats, claims under it,
//! keeps each claim in a [`guard`] that gives the row back when it is dropped, and settles in groups through a [`lane`].
//! The [`reaper`] returns what dead processes held and makes due what has waited; [`hints`] wake who may find work.
//! The [`bell`] carries hints to the other processes on the same store, and the [`leader`] holds the offices in which one
//! of them acts for all.
//!
//! **Owns** the process's identity and what it has claimed under it. **Fails** softly: a row that cannot be given back is
//! given back by whoever buries this process. **Limits**: `[work]` in the configuration.

pub mod acknowledge;
pub mod ahead;
pub mod archiver;
pub mod bell;
pub mod breaker;
pub mod claimer;
pub mod config;
pub mod erasing;
pub mod guard;
pub mod hints;
pub mod lane;
pub mod leader;
pub mod lease;
pub mod pace;
pub mod places;
pub mod rate;
pub mod reaper;
pub mod retention;
pub mod tenants;
pub mod ticker;

pub use self::claimer::Claimer;
pub use self::config::WorkConfig;
pub use self::guard::{ClaimGuard, Held, Returns};
pub use self::hints::Hints;
pub use self::lane::Lane;
pub use self::lease::Lease;
pub use self::places::{Limits, Place, Places};
