//! Owners told from a store in which many messages wait: what a claim costs, how many go out, and what that takes.
//!
//! The messages are written straight into the store (`fill`). A claim is measured on two stores side by side, one with 1,000
//! waiting and one with `--waiting`; webhooks and queues are told by a service of its own, from `--notifications` waiting, and
//! once more from 1,000, for the memory that it takes.
//!
//! **Owns** nothing beyond its run. **Fails** when nothing arrives for a long time. **Limits**: the receiver is this process and
//! shares the machine (`sink`); it does nothing with what it is told.

mod claim;
mod drain;
mod fill;
mod sink;

use super::report::{Begun, Row};
use super::{Bench, Store, remark};

/// What few is.
const FEW: usize = 1_000;

/// Measures one store.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    remark(&format!("claiming from {} notifications on {}", bench.args.waiting, store.name()));
    let mut rows = claim::measure(bench, store, &begun).await?;
    for receiver in [drain::Receiver::Webhooks, drain::Receiver::Queue] {
        let begun = Begun::now();
        remark(&format!(
            "telling {} owners by {} on {}",
            bench.args.notifications,
            receiver.name(),
            store.name()
        ));
        rows.push(drain::measure(bench, store, receiver, &begun).await?);
    }
    Ok(rows)
}
