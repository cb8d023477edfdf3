//! Bundles, and what a bank tells along of their payments.
//!
//! A bank that is asked about a bundle and tells of its payments spares us asking about each: what it tells is settled, children
//! first, and payments that we did not know are followed from then on. A child that its bundle tells of is asked about by itself only
//! when the bundle has said nothing of it for a whole step of the age ladder.
//!
//! **Owns** nothing. **Fails** as asking does. **Limits**: children that the bank gives no name are not followed, and neither are those
//! of which two have the same; a bank that tells of them too much at once is asked about the bundle alone. One that we know by
//! our own name and outside its bundle becomes two.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tracing::{error, warn};
use uuid::Uuid;

use super::asking::Left;
use super::reading::{is_name, key, of_told, of_word};
use super::round::Round;
use super::settling::About;
use crate::connectors::aspsps::{Aspsp as _, AspspError, PaymentTold};
use crate::domain::ids::PaymentId;
use crate::domain::openbanking::payment::{Meaning, PaymentKind, PaymentState, Vocabulary};
use crate::messages::aspsps::AspspDesk;
use crate::store::openbanking::outcome::Answer;
use crate::store::openbanking::payment::{Payment, PaymentDraft, Tracked};

/// Children that are read, or tracked, at a time.
const SLICE: usize = 64;

/// A child as its bundle tells of it.
struct Child<'a> {
    name: String,
    is_our_name: bool,
    told: &'a PaymentTold,
}

/// A child as we know it.
struct Known {
    id: PaymentId,
    is_our_name: bool,
    is_open: bool,
}

impl Round {
    /// Asks about a bundle, and about what is in it where that helps.
    pub async fn ask_bundle(&self, desk: &AspspDesk, bundle: &Payment) {
        let Some(token) = self.usable_token(bundle).await else { return };
        let Ok(outcome) = self.told_of_bundle(desk, bundle, token.as_ref()).await else { return };
        // By one moment for all, so that the bundle is due before its children.
        let now = self.shared.means.store.now();
        if let Ok(told) = &outcome
            && matches!(of_told(bundle, told), Answer::Status { .. })
        {
            self.hear_children(bundle, &told.children, token.as_ref(), now).await;
        }
        self.hear(bundle, outcome).await;
    }

    async fn told_of_bundle(
        &self,
        desk: &AspspDesk,
        bundle: &Payment,
        token: Option<&SecretString>,
    ) -> Result<Result<PaymentTold, AspspError>, Left> {
        let (key, connector, tenant) = (key(bundle, token), desk.connector(), &bundle.tenant_id);
        // One standard tells of the children in the same call; the other has another for it, which is seldom worth making.
        let at_once = bundle.vocabulary == Vocabulary::PolishBundle;
        let first = self.call(desk, tenant, || connector.bundle(&key, at_once)).await?.outcome;
        match first {
            Err(AspspError::TooLarge { .. } | AspspError::Unreadable { .. }) if at_once => {
                Ok(self.call(desk, tenant, || connector.bundle(&key, false)).await?.outcome)
            }
            Ok(told) if !at_once && asks_children(bundle, &told) => {
                let more = self.call(desk, tenant, || connector.bundle(&key, true)).await?.outcome;
                let children = more.map(|more| more.children).unwrap_or_default();
                Ok(Ok(PaymentTold { children, ..told }))
            }
            outcome => Ok(outcome),
        }
    }

    async fn hear_children(
        &self,
        bundle: &Payment,
        told: &[PaymentTold],
        token: Option<&SecretString>,
        now: DateTime<Utc>,
    ) {
        let children = named(bundle, told);
        if children.len() < told.len() {
            let without = told.len() - children.len();
            warn!(payment_id = %bundle.id, without, "payments of a bundle that cannot be told apart are not followed");
        }
        if children.is_empty() {
            return;
        }
        let Some(mut known) = self.known_children(bundle).await else { return };
        let (there, new): (Vec<_>, Vec<_>) =
            children.into_iter().partition(|child| find(&known, child).is_some());
        for slice in new.chunks(SLICE) {
            let drafts: Vec<PaymentDraft> =
                slice.iter().map(|child| self.draft(bundle, child, token, now)).collect();
            for (child, tracked) in slice.iter().zip(self.track(&drafts).await) {
                known.extend(tracked.map(|tracked| (child.name.clone(), tracked)));
            }
        }
        let config = self.shared.means.config.get();
        let later = TimeDelta::from_std(config.then_every).ok().and_then(|wait| now.checked_add_signed(wait));
        let next = later.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let all: Vec<Child<'_>> = there.into_iter().chain(new).collect();
        for slice in all.chunks(SLICE) {
            let hearing =
                slice.iter().map(|child| self.hear_child(bundle, child, find(&known, child), next, now));
            futures_util::future::join_all(hearing).await;
        }
    }

    async fn hear_child(
        &self,
        bundle: &Payment,
        child: &Child<'_>,
        known: Option<&Known>,
        next: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        let Some(known) = known.filter(|known| known.is_open) else { return };
        let answer = of_word(&as_child(bundle), &child.told.status.raw);
        if let Answer::Status { raw, meaning: Meaning::Unknown } = &answer {
            self.alarm(&as_child(bundle), raw);
        }
        let about = About {
            id: known.id,
            tenant_id: &bundle.tenant_id,
            made_at: bundle.made_at,
            traceparent: bundle.traceparent.as_deref(),
            external_id: child.told.id.clone().filter(|_| known.is_our_name && !child.is_our_name),
        };
        self.settle_about(&about, answer, next, now).await;
    }

    /// The payments of a bundle that are followed, by their names; nothing where the run is to end.
    async fn known_children(&self, bundle: &Payment) -> Option<HashMap<String, Known>> {
        let store = &self.shared.means.store;
        let mut known = HashMap::new();
        let mut after = None;
        loop {
            let read = || store.payment_children(&bundle.tenant_id, bundle.id, after, SLICE as i64);
            let page = self.shared.patiently(read).await.ok()?;
            let is_last = page.len() < SLICE;
            after = page.last().map(|child| child.id);
            known.extend(page.into_iter().map(|child| {
                let is_open = child.state == PaymentState::InProgress;
                (child.external_id, Known { id: child.id, is_our_name: child.is_our_name, is_open })
            }));
            if is_last {
                return Some(known);
            }
        }
    }

    async fn track(&self, drafts: &[PaymentDraft]) -> Vec<Option<Known>> {
        let store = &self.shared.means.store;
        let mut tracked = Vec::with_capacity(drafts.len());
        for (draft, result) in drafts.iter().zip(store.track_payments(drafts).await) {
            tracked.push(match result {
                Ok(Tracked::New(id)) => Some(Known { id, is_our_name: draft.is_our_name, is_open: true }),
                Ok(Tracked::Known(id, state)) => {
                    Some(Known { id, is_our_name: false, is_open: state == PaymentState::InProgress })
                }
                // The bundle tells of it again in the next run.
                Err(error) => {
                    error!(%error, "a payment of a bundle is not followed yet");
                    None
                }
            });
        }
        tracked
    }

    fn draft(
        &self,
        bundle: &Payment,
        child: &Child<'_>,
        token: Option<&SecretString>,
        now: DateTime<Utc>,
    ) -> PaymentDraft {
        let id = PaymentId(Uuid::now_v7());
        let like = as_child(bundle);
        // Each token is bound to its payment's row. Without a key of today there is none, and the bundle tells all the same.
        let seal = |token| self.shared.means.secrets.seal(&format!("payment:{id}"), token).ok();
        PaymentDraft {
            id,
            tenant_id: like.tenant_id,
            user_id: like.user_id,
            aspsp: like.aspsp,
            kind: like.kind,
            vocabulary: like.vocabulary,
            product: like.product,
            external_id: child.name.clone(),
            is_our_name: child.is_our_name,
            parent_id: Some(bundle.id),
            reference_id: None,
            state: PaymentState::InProgress,
            raw_status: None,
            token_sealed: token.and_then(seal).map(|sealed| sealed.as_str().to_owned()),
            endpoint_id: like.endpoint_id,
            traceparent: like.traceparent,
            made_at: like.made_at,
            now,
        }
    }
}

/// A payment like the bundle's own: where it is kept, by what words, and whose it is.
fn as_child(bundle: &Payment) -> Payment {
    let vocabulary = match bundle.vocabulary {
        Vocabulary::PolishBundle => Vocabulary::PolishPayment,
        other => other,
    };
    let product = bundle.product.rsplit('/').next().unwrap_or_default();
    let product = if product.is_empty() { String::new() } else { format!("payments/{product}") };
    Payment { kind: PaymentKind::Single, vocabulary, product, ..bundle.clone() }
}

fn asks_children(bundle: &Payment, told: &PaymentTold) -> bool {
    matches!(of_told(bundle, told), Answer::Status { meaning: Meaning::AskChildren, .. })
}

/// The children that have a name of their own: the bank's, or ours within the bundle.
fn named<'a>(bundle: &Payment, told: &'a [PaymentTold]) -> Vec<Child<'a>> {
    let name = |told: &'a PaymentTold| {
        let filled = |text: &Option<String>| text.clone().filter(|text| is_name(text));
        if let Some(name) = filled(&told.id) {
            return Some(Child { name, is_our_name: false, told });
        }
        // Ours is told from others' by the bundle that it is in.
        let ours = filled(&told.tpp_id)?;
        Some(Child { name: format!("{}/{ours}", bundle.external_id), is_our_name: true, told })
    };
    let children: Vec<Child<'a>> = told.iter().filter_map(name).collect();
    let mut times: HashMap<String, usize> = HashMap::new();
    for child in &children {
        *times.entry(child.name.clone()).or_default() += 1;
    }
    children.into_iter().filter(|child| times.get(&child.name) == Some(&1)).collect()
}

/// The payment that a child is, by the bank's name or by ours.
fn find<'a>(known: &'a HashMap<String, Known>, child: &Child<'_>) -> Option<&'a Known> {
    let by_name = known.get(&child.name);
    by_name.or_else(|| known.get(child.told.tpp_id.as_deref()?).filter(|known| known.is_our_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::payment_poller::testing::payment;
    use crate::connectors::aspsps::{PaymentStatus, ToldStatus};

    fn told(id: Option<&str>, tpp_id: Option<&str>) -> PaymentTold {
        let status = ToldStatus { status: PaymentStatus::Done, raw: "done".to_owned(), is_known: true };
        let (id, tpp_id) = (id.map(str::to_owned), tpp_id.map(str::to_owned));
        PaymentTold { id, tpp_id, status, detail: None, is_future_dated: None, children: vec![] }
    }

    fn bundle() -> Payment {
        Payment {
            kind: PaymentKind::Bundle,
            vocabulary: Vocabulary::PolishBundle,
            product: "bulk-payments/sepa-credit-transfers".to_owned(),
            external_id: "bundle-1".to_owned(),
            ..payment(1)
        }
    }

    #[test]
    fn children_have_names_of_their_own() {
        let children = [
            told(Some("p-1"), Some("t-1")),
            told(None, Some("t-2")),
            told(None, None),
            told(Some(" "), Some("twin")),
            told(None, Some("twin")),
        ];
        let named: Vec<(String, bool)> =
            named(&bundle(), &children).into_iter().map(|child| (child.name, child.is_our_name)).collect();
        assert_eq!(named, [("p-1".to_owned(), false), ("bundle-1/t-2".to_owned(), true)]);
    }

    #[test]
    fn a_child_that_goes_by_our_name_is_found_by_it() {
        let known = |is_our_name| Known { id: PaymentId(Uuid::now_v7()), is_our_name, is_open: true };
        let there = HashMap::from([
            ("t-1".to_owned(), known(true)),
            ("t-2".to_owned(), known(false)),
            ("p-3".to_owned(), known(false)),
        ]);
        let children =
            [told(Some("p-1"), Some("t-1")), told(Some("p-2"), Some("t-2")), told(Some("p-3"), Some("t-3"))];
        let found: Vec<Option<PaymentId>> = named(&bundle(), &children)
            .iter()
            .map(|child| find(&there, child).map(|known| known.id))
            .collect();
        assert_eq!(found, [Some(there["t-1"].id), None, Some(there["p-3"].id)]);
    }

    #[test]
    fn a_child_is_read_by_the_words_of_single_payments() {
        let child = as_child(&bundle());
        assert_eq!((child.kind, child.vocabulary), (PaymentKind::Single, Vocabulary::PolishPayment));
        assert_eq!(child.product, "payments/sepa-credit-transfers");
        let iso = Payment { vocabulary: Vocabulary::Iso20022, product: String::new(), ..bundle() };
        assert_eq!(
            (as_child(&iso).vocabulary, as_child(&iso).product),
            (Vocabulary::Iso20022, String::new())
        );
    }
}
