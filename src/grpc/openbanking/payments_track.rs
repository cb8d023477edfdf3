//! `TrackPayments`: payments that are followed from here on.
//!
//! **Owns** nothing. **Fails** with every violation at once, and with `SECRETS_NOT_KEPT` where tokens come in and nobody can seal them;
//! then nothing is written. What fails on the way is made good by the same call again. **Limits**: a bundle's own payments are
//! written behind it, so that its name stands before theirs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    GROUP, NAME_CHARS_MAX, aspsp, check_endpoints, checked, checked_size, moment, name, tokens, users,
};
use crate::connectors::aspsps::config::Standard;
use crate::domain::ids::{EndpointId, PaymentId, PsuUserId, TenantId};
use crate::domain::openbanking::payment::{PaymentKind, PaymentState, Vocabulary};
use crate::domain::violation::Violation;
use crate::grpc::convert::openbanking as convert;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::openbanking::v1 as proto;
use crate::store::openbanking::payment::{PaymentDraft, Tracked};

/// Bank, and the name there.
type Named = (String, String);

/// A payment that breaks no rule of form.
struct Given {
    aspsp: String,
    kind: PaymentKind,
    vocabulary: Vocabulary,
    product: String,
    external_id: String,
    is_our_name: bool,
    parent: Option<String>,
    user: Option<String>,
    reference_id: Option<String>,
    token: Option<SecretString>,
    endpoint: Option<EndpointId>,
    made_at: DateTime<Utc>,
}

/// What all of a batch have in common.
struct Common<'a> {
    house: &'a House,
    tenant: TenantId,
    users: HashMap<String, PsuUserId>,
    parents: HashMap<Named, PaymentId>,
    now: DateTime<Utc>,
}

pub(super) async fn track(
    gate: &Gate,
    request: proto::TrackPaymentsRequest,
) -> Result<proto::TrackPaymentsResponse, ApiError> {
    let house = gate.house_for_change()?;
    checked_size("payments", request.payments.len())?;
    let (tenant, now) = (gate.tenant()?, request::now());
    let mut violations = Vec::new();
    let standards = |name: &str| house.aspsps.find(name).map(|desk| desk.standard());
    let mut given = Vec::with_capacity(request.payments.len());
    for (place, payment) in request.payments.into_iter().enumerate() {
        let field = |field: &str| format!("payments[{place}].{field}");
        given.push(Given::read(payment, now, &field, &standards, &mut violations));
    }
    let field = |place: usize, field: &str| format!("payments[{place}].{field}");
    let whose = given.iter().enumerate();
    let whose = whose.filter_map(|(at, one)| Some((field(at, "user_external_id"), one.user.clone()?)));
    let users = users(house, &tenant, whose.collect(), &mut violations).await?;
    let endpoints = given.iter().enumerate();
    let endpoints = endpoints.filter_map(|(at, one)| Some((field(at, "endpoint_id"), one.endpoint?)));
    check_endpoints(house, &tenant, endpoints.collect(), &mut violations).await?;
    let parents = parents(house, &tenant, &given, &mut violations).await?;
    checked(violations)?;
    if given.iter().any(|one| one.token.is_some()) {
        tokens::keeper(house)?;
    }
    let users = users.into_iter().map(|(name, user)| (name, user.id)).collect();
    let mut common = Common { house, tenant, users, parents, now };
    let mut results: Vec<proto::TrackPaymentResult> = vec![Default::default(); given.len()];
    // Those without a parent first, for a parent may be among them.
    let (children, alone): (Vec<usize>, Vec<usize>) =
        (0..given.len()).partition(|place| given[*place].parent.is_some());
    for group in alone.chunks(GROUP).chain(children.chunks(GROUP)) {
        common.write(&given, group, &mut results).await?;
    }
    Ok(proto::TrackPaymentsResponse { results })
}

/// The parents that are known already. One that is neither known nor comes with these is a violation.
async fn parents(
    house: &House,
    tenant: &TenantId,
    given: &[Given],
    violations: &mut Vec<Violation>,
) -> Result<HashMap<Named, PaymentId>, ApiError> {
    let wanted: Vec<Named> = given.iter().filter_map(Given::parent_name).collect();
    let known = house.store.payments_named_at(tenant, &wanted).await?;
    for (place, one) in given.iter().enumerate() {
        let Some(name) = one.parent_name() else { continue };
        let field = format!("payments[{place}].parent_external_id");
        let comes_along = given.iter().find(|other| other.name() == name);
        match (known.get(&name).map(|known| known.kind), comes_along.map(|other| other.kind)) {
            (None, None) => violations.push(Violation::new(field, "no such payment")),
            (Some(PaymentKind::Single), _) | (None, Some(PaymentKind::Single)) => {
                violations.push(Violation::new(field, "is neither a bundle nor a recurring payment"));
            }
            _ if comes_along.is_some_and(|other| other.parent.is_some()) => {
                violations.push(Violation::new(field, "has a parent itself"));
            }
            _ => {}
        }
    }
    Ok(known.into_iter().map(|(name, payment)| (name, payment.id)).collect())
}

impl Common<'_> {
    async fn write(
        &mut self,
        given: &[Given],
        places: &[usize],
        results: &mut [proto::TrackPaymentResult],
    ) -> Result<(), ApiError> {
        let drafts = places.iter().map(|place| self.draft(&given[*place])).collect::<Result<Vec<_>, _>>()?;
        for (place, tracked) in places.iter().zip(self.house.store.track_payments(&drafts).await) {
            let (id, is_new, state) = match tracked? {
                Tracked::New(id) => (id, true, PaymentState::InProgress),
                Tracked::Known(id, state) => (id, false, state),
            };
            self.parents.insert(given[*place].name(), id);
            let state = convert::payment_state(state).into();
            results[*place] = proto::TrackPaymentResult { id: id.to_string(), is_new, state };
        }
        Ok(())
    }

    fn draft(&self, given: &Given) -> Result<PaymentDraft, ApiError> {
        let id = PaymentId(Uuid::now_v7());
        let seal =
            |token: &SecretString| tokens::seal(tokens::keeper(self.house)?, &tokens::of_payment(id), token);
        Ok(PaymentDraft {
            id,
            tenant_id: self.tenant.clone(),
            user_id: given.user.as_ref().and_then(|name| self.users.get(name).copied()),
            aspsp: given.aspsp.clone(),
            kind: given.kind,
            vocabulary: given.vocabulary,
            product: given.product.clone(),
            external_id: given.external_id.clone(),
            is_our_name: given.is_our_name,
            parent_id: given.parent_name().and_then(|name| self.parents.get(&name).copied()),
            reference_id: given.reference_id.clone(),
            state: PaymentState::InProgress,
            raw_status: None,
            token_sealed: given.token.as_ref().map(seal).transpose()?,
            endpoint_id: given.endpoint,
            traceparent: crate::telemetry::traceparent(),
            made_at: given.made_at,
            now: self.now,
        })
    }
}

impl Given {
    fn read(
        payment: proto::NewPayment,
        now: DateTime<Utc>,
        field: &impl Fn(&str) -> String,
        standard: &impl Fn(&str) -> Option<Standard>,
        violations: &mut Vec<Violation>,
    ) -> Self {
        let kind = match (payment.kind, convert::kind_from_proto(payment.kind)) {
            (0, _) => PaymentKind::Single,
            (_, Some(kind)) => kind,
            (_, None) => {
                violations.push(Violation::new(field("kind"), "is no kind"));
                PaymentKind::Single
            }
        };
        let aspsp = aspsp(&field("aspsp"), payment.aspsp, violations);
        let standard = standard(&aspsp);
        let vocabulary = match (payment.vocabulary, convert::vocabulary_from_proto(payment.vocabulary)) {
            (_, Some(vocabulary)) => Some(vocabulary),
            (0, None) => standard.map(|standard| vocabulary_of(standard, kind)),
            (_, None) => None,
        };
        if vocabulary.is_none() {
            let rule = "required where the bank is not configured; one of those that there are";
            violations.push(Violation::new(field("vocabulary"), rule));
        }
        let made_at = moment(&field("made_time"), payment.made_time.as_ref(), violations).unwrap_or(now);
        if made_at > now {
            violations.push(Violation::new(field("made_time"), "must not lie in the future"));
        }
        let external_id = name(&field("external_id"), payment.external_id, violations);
        let mut text =
            |name: &str, text: String| request::optional_text(&field(name), text, NAME_CHARS_MAX, violations);
        let product = text("product", payment.product).unwrap_or_default();
        let parent = text("parent_external_id", payment.parent_external_id);
        let user = text("user_external_id", payment.user_external_id);
        let reference_id = text("reference_id", payment.reference_id);
        if standard == Some(Standard::BerlinGroup) && product.is_empty() {
            let rule =
                "required: the bank keeps payments by their product, such as payments/sepa-credit-transfers";
            violations.push(Violation::new(field("product"), rule));
        }
        if parent.is_some() && kind != PaymentKind::Single {
            violations.push(Violation::new(field("parent_external_id"), "is for single payments alone"));
        }
        Self {
            aspsp,
            kind,
            vocabulary: vocabulary.unwrap_or(Vocabulary::Iso20022),
            product,
            external_id,
            is_our_name: payment.is_our_name,
            parent,
            user,
            reference_id,
            token: tokens::optional(&field("access_token"), payment.access_token, violations),
            endpoint: request::optional_id(&field("endpoint_id"), &payment.endpoint_id, violations),
            made_at,
        }
    }

    fn name(&self) -> Named {
        (self.aspsp.clone(), self.external_id.clone())
    }

    fn parent_name(&self) -> Option<Named> {
        Some((self.aspsp.clone(), self.parent.clone()?))
    }
}

/// In whose words a bank of that standard tells of payments of that kind.
fn vocabulary_of(standard: Standard, kind: PaymentKind) -> Vocabulary {
    match (standard, kind) {
        (Standard::BerlinGroup, _) => Vocabulary::Iso20022,
        (Standard::PolishApi, PaymentKind::Single) => Vocabulary::PolishPayment,
        (Standard::PolishApi, PaymentKind::Bundle) => Vocabulary::PolishBundle,
        (Standard::PolishApi, PaymentKind::Recurring) => Vocabulary::PolishRecurring,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::openbanking::v1::payment::Kind;

    fn read(payment: proto::NewPayment, standard: Option<Standard>) -> (Given, Vec<String>) {
        let mut violations = Vec::new();
        let given = Given::read(payment, Utc::now(), &str::to_owned, &|_| standard, &mut violations);
        (given, violations.into_iter().map(|one| one.field).collect())
    }

    #[test]
    fn all_that_is_wrong_with_a_payment_is_said_at_once() {
        let wrong = proto::NewPayment {
            kind: 99,
            vocabulary: 99,
            endpoint_id: "x".to_owned(),
            made_time: Some(prost_types::Timestamp { seconds: 99_999_999_999, nanos: 0 }),
            ..proto::NewPayment::default()
        };
        let (_, fields) = read(wrong, Some(Standard::BerlinGroup));
        let expected = ["kind", "aspsp", "vocabulary", "made_time", "external_id", "product", "endpoint_id"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn the_words_are_those_of_the_bank_s_standard_and_of_the_kind() {
        let bundle = proto::NewPayment {
            aspsp: "bank".to_owned(),
            kind: Kind::Bundle.into(),
            external_id: "b".to_owned(),
            product: "bulk-payments/sepa-credit-transfers".to_owned(),
            ..proto::NewPayment::default()
        };
        for (standard, vocabulary) in
            [(Standard::BerlinGroup, Vocabulary::Iso20022), (Standard::PolishApi, Vocabulary::PolishBundle)]
        {
            let (given, fields) = read(bundle.clone(), Some(standard));
            assert_eq!((given.vocabulary, fields), (vocabulary, vec![]));
        }
        assert_eq!(read(bundle, None).1, ["vocabulary"], "nobody knows the bank");
    }
}
