//! Which transfers: what `list`, `reprocess` and `export` have in common.

use clap::Args;
use prost_types::Timestamp;

use crate::cli::render::transfer;
use crate::proto::transfer::v1::TransferFilter;
use crate::proto::transfer::v1::transfer::State;

/// The names of the filters but `feed`, for whoever takes either one transfer or many.
pub(super) const FILTERS: [&str; 9] = [
    "state",
    "reason_begins",
    "alias_key",
    "person_key",
    "company_key",
    "recorded_from",
    "recorded_until",
    "formula",
    "analyzer",
];

/// Which transfers; what is left out asks for nothing.
#[derive(Args, Clone)]
pub(super) struct FilterArgs {
    /// Of this feed
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub feed: String,
    /// In this state
    #[arg(long, value_parser = transfer::state_parser())]
    state: Option<State>,
    /// Whose reason begins so, such as too_old
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason_begins: String,
    /// Aliases of this key
    #[arg(
        long = "alias",
        value_name = "KEY",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    alias_key: String,
    #[arg(
        long = "person",
        value_name = "KEY",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    person_key: String,
    #[arg(
        long = "company",
        value_name = "KEY",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    company_key: String,
    /// Recorded then or later, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    recorded_from: Option<Timestamp>,
    /// Recorded before then, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Timestamp>)]
    recorded_until: Option<Timestamp>,
    /// Whose newest run was scored by this formula
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    formula: String,
    /// Whose newest run this vendor analysed
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    analyzer: String,
}

impl FilterArgs {
    pub fn filter(&self) -> TransferFilter {
        TransferFilter {
            feed: self.feed.clone(),
            state: self.state.map_or(0, i32::from),
            reason: self.reason_begins.clone(),
            alias_key: self.alias_key.clone(),
            person_key: self.person_key.clone(),
            company_key: self.company_key.clone(),
            recorded_from: self.recorded_from,
            recorded_until: self.recorded_until,
            formula: self.formula.clone(),
            analyzer: self.analyzer.clone(),
        }
    }
}
