//! Payments of the table `payment.Payment`: those in progress are followed on, the others are kept as they ended, and nobody is told.
//!
//! **Owns** nothing. **Fails** per record: a status that nobody knows is refused, and never guessed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::csv::Record;
use super::{Import, Kind, aspsp, moment, name, of_store, optional_name};
use crate::cli::failure::Failure;
use crate::domain::ids::PaymentId;
use crate::domain::openbanking::payment::{Meaning, PaymentKind, PaymentState, Vocabulary, meaning};
use crate::store::openbanking::payment::{PaymentDraft, Tracked};

/// As the table before wrote it.
const IN_PROGRESS: &str = "InProgress";

pub(super) struct Payments;

pub(super) struct Item {
    aspsp: String,
    kind: PaymentKind,
    vocabulary: Vocabulary,
    product: String,
    external_id: String,
    is_our_name: bool,
    user: Option<String>,
    reference_id: Option<String>,
    state: PaymentState,
    raw_status: Option<String>,
    made_at: Option<DateTime<Utc>>,
}

impl Kind for Payments {
    const NAME: &'static str = "payment";
    const WORDS: &'static str = "reading payments";
    const COLUMNS: &'static [&'static str] = &["aspsp", "payment_id", "status", "standard"];
    type Item = Item;

    fn read(record: &Record<'_>, import: &Import<'_>) -> Result<(Item, Option<String>), Vec<String>> {
        let mut reasons = Vec::new();
        let kind = match record.get("kind") {
            "" => Some(PaymentKind::Single),
            word => PaymentKind::parse(&word.to_lowercase()),
        };
        if kind.is_none() {
            reasons.push("kind: single, bundle or recurring".to_owned());
        }
        let kind = kind.unwrap_or(PaymentKind::Single);
        let vocabulary = vocabulary(record.get("standard"), kind);
        if vocabulary.is_none() {
            reasons.push("standard: berlin_group or polish_api".to_owned());
        }
        let vocabulary = vocabulary.unwrap_or(Vocabulary::Iso20022);
        let status = status(record.get("status"), vocabulary);
        if status.is_none() {
            reasons.push(
                "status: neither InProgress, one of ours, nor a word of the bank's standard".to_owned(),
            );
        }
        let (state, raw_status) = status.unwrap_or((PaymentState::InProgress, None));
        if state == PaymentState::Mixed && kind != PaymentKind::Bundle {
            reasons.push("status: mixed is for bundles alone".to_owned());
        }
        let made_at = moment(record, "created_at", &mut reasons);
        if made_at.is_some_and(|at| at > import.now) {
            reasons.push("created_at: lies in the future".to_owned());
        }
        let product = optional_name(record, "product", &mut reasons).unwrap_or_default();
        if vocabulary == Vocabulary::Iso20022 && product.is_empty() && state == PaymentState::InProgress {
            let rule =
                "product: required to ask a bank of Berlin Group, such as payments/sepa-credit-transfers";
            reasons.push(rule.to_owned());
        }
        let item = Item {
            aspsp: aspsp(record, &mut reasons),
            kind,
            vocabulary,
            product,
            external_id: name(record, "payment_id", &mut reasons),
            is_our_name: record.get("is_our_name") == "true",
            user: optional_name(record, "user_id", &mut reasons),
            reference_id: optional_name(record, "reference_id", &mut reasons),
            state,
            raw_status,
            made_at,
        };
        if reasons.is_empty() { Ok((item, None)) } else { Err(reasons) }
    }

    async fn write(import: &Import<'_>, items: &[Item]) -> Result<Vec<Result<bool, String>>, Failure> {
        let names: Vec<String> = items.iter().filter_map(|item| item.user.clone()).collect();
        let users = import.store.psu_users_named(&import.tenant, &names).await;
        let users = users.map_err(|error| of_store(&error))?;
        let is_refused = |item: &&Item| {
            let user = item.user.as_ref().map(|name| users.get(name));
            // In a rehearsal nobody of these files is there yet.
            !import.dry_run && user.is_some_and(|user| user.is_none_or(|user| user.erased_at.is_some()))
        };
        let own: Vec<&Item> = items.iter().filter(|item| !is_refused(item)).collect();
        let mut written = Vec::with_capacity(own.len());
        if import.dry_run {
            let names: Vec<(String, String)> =
                own.iter().map(|item| (item.aspsp.clone(), item.external_id.clone())).collect();
            let known = import.store.payments_named_at(&import.tenant, &names).await;
            let known = known.map_err(|error| of_store(&error))?;
            written.extend(names.iter().map(|name| !known.contains_key(name)));
        } else {
            let draft = |item: &&Item| {
                let user = item.user.as_ref().and_then(|name| users.get(name));
                item.draft(import, user.map(|user| user.id))
            };
            let drafts: Vec<PaymentDraft> = own.iter().map(draft).collect();
            for tracked in import.store.track_payments(&drafts).await {
                let tracked = tracked.map_err(|error| of_store(&error))?;
                written.push(matches!(tracked, Tracked::New(_)));
            }
        }
        let mut written = written.into_iter();
        let outcome = |item: &Item| match is_refused(&item) {
            true => Err("user_id: no such customer".to_owned()),
            false => Ok(written.next().unwrap_or_default()),
        };
        Ok(items.iter().map(outcome).collect())
    }
}

impl Item {
    fn draft(&self, import: &Import<'_>, user_id: Option<crate::domain::ids::PsuUserId>) -> PaymentDraft {
        PaymentDraft {
            id: PaymentId(Uuid::now_v7()),
            tenant_id: import.tenant.clone(),
            user_id,
            aspsp: self.aspsp.clone(),
            kind: self.kind,
            vocabulary: self.vocabulary,
            product: self.product.clone(),
            external_id: self.external_id.clone(),
            is_our_name: self.is_our_name,
            parent_id: None,
            reference_id: self.reference_id.clone(),
            state: self.state,
            raw_status: self.raw_status.clone(),
            token_sealed: None,
            endpoint_id: None,
            traceparent: None,
            made_at: self.made_at.unwrap_or(import.now),
            now: import.now,
        }
    }
}

fn vocabulary(standard: &str, kind: PaymentKind) -> Option<Vocabulary> {
    match (standard.to_lowercase().as_str(), kind) {
        ("berlin_group", _) => Some(Vocabulary::Iso20022),
        ("polish_api", PaymentKind::Single) => Some(Vocabulary::PolishPayment),
        ("polish_api", PaymentKind::Bundle) => Some(Vocabulary::PolishBundle),
        ("polish_api", PaymentKind::Recurring) => Some(Vocabulary::PolishRecurring),
        _ => None,
    }
}

/// The state that a word stands for, and the word where it is the bank's own.
fn status(word: &str, vocabulary: Vocabulary) -> Option<(PaymentState, Option<String>)> {
    if word == IN_PROGRESS {
        return Some((PaymentState::InProgress, None));
    }
    // The bank's own words come first: `done` is both one of them and one of ours, and means the same.
    match meaning(vocabulary, word) {
        Meaning::State(state) => return Some((state, Some(word.to_owned()))),
        Meaning::AskChildren => return Some((PaymentState::InProgress, Some(word.to_owned()))),
        Meaning::Unknown => {}
    }
    PaymentState::parse(&word.to_lowercase()).map(|state| (state, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_the_table_s_ours_or_the_bank_s_and_nothing_is_guessed() {
        let iso = |word| status(word, Vocabulary::Iso20022);
        assert_eq!(iso("InProgress"), Some((PaymentState::InProgress, None)));
        assert_eq!(iso("Rejected"), Some((PaymentState::Rejected, None)));
        assert_eq!(iso("ACSC"), Some((PaymentState::Done, Some("ACSC".to_owned()))));
        assert_eq!(iso("PART"), Some((PaymentState::InProgress, Some("PART".to_owned()))));
        assert_eq!(iso("unresolved"), Some((PaymentState::Unresolved, None)));
        assert_eq!(
            status("done", Vocabulary::PolishPayment),
            Some((PaymentState::Done, Some("done".to_owned())))
        );
        for guess in ["", "Inprogress?", "OK", "7", "Completed", "Failed"] {
            assert_eq!(iso(guess), None, "{guess}");
        }
    }
}
