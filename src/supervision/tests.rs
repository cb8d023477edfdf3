//! Supervision as its users see it: trees of probes that are made to fail, and what becomes of them.
//!
//! Time is tokio's paused clock, and every wait is for a change of the tree.

mod control;
mod lifecycle;
mod machine_properties;
mod machine_steps;
mod meltdown;
mod messages;
mod observation;
mod restarts;
mod support;
