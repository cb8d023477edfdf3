//! What the house measures of itself: how often, how long, and how it ended.
//!
//! What happens is recorded where it happens, by one call of a function here ([`calls`]). How things stand is told by whoever
//! can see it, as [`Reading`]s, anew for every exposition. [`exposition`] writes both for Prometheus, [`otlp`] tells both to a
//! collector; names and units are the semantic conventions of OpenTelemetry, and `bursar_…` where they have none.
//!
//! **Owns** the process's histograms, which begin anew with it. **Fails** never: what cannot be measured is left out.
//! **Limits**: a label's value is a name of the program's or of its configuration; anything else counts as [`OTHER`], so that
//! nobody outside can make series, and no id, no address and no personal data ever stands in one.

pub mod calls;
mod config;
pub mod exposition;
pub mod methods;
pub mod otlp;
pub mod process;
mod reading;

pub use self::config::MetricsConfig;
pub use self::reading::{Kind, Reading, Series};

/// The value of a label whose own is not of a known set.
pub const OTHER: &str = "other";
