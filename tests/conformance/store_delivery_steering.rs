//! What both databases must do when people decide about deliveries: sent again, recovered, cancelled, each once and with its
//! record, and no dead letter left behind of what lives again.

use bursar::domain::ids::{EndpointId, EventId, RunnerId, TenantId, WorkId};
use bursar::domain::work::{Claim, NewWork, WorkState, kind};
use bursar::store::Store;
use bursar::store::boleto::Notify;
use bursar::store::delivery::{
    AttemptOutcome, DeliveryAttempt, DeliveryChange, DeliverySettlement, queue_of,
};
use bursar::store::delivery_list::{DeliveriesOf, DeliveryFilter, DeliveryState, DeliveryView};
use bursar::store::delivery_recover::SLICE;
use bursar::store::delivery_steer::DeliverySteered;
use bursar::store::endpoint::EndpointEnd;
use bursar::store::endpoint_steer::ByHand;
use bursar::store::pool;
use bursar::store::request_key::RequestKey;
use bursar::store::work_steer::WorkFilter;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, Statement, TransactionTrait, Value};
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_deliveries::{a_registered_boleto, deliveries, endpoint, events_left};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

on_both_databases!(
    what_was_given_up_is_sent_again_and_its_dead_letter_lives,
    what_waits_is_hastened_and_what_lost_its_work_gets_it_anew,
    one_event_is_sent_once_more_and_moves_nothing_on,
    what_is_cancelled_is_not_sent_until_somebody_wants_it_again,
    an_attempt_under_way_is_let_end,
    all_that_was_given_up_since_a_time_is_recovered_slice_by_slice,
    nothing_is_sent_to_who_is_disabled_nor_for_another_tenant,
    a_page_of_one_state_leads_to_all_of_them,
);

/// One endpoint that a boleto named, and what it is owed about it, claimed.
struct Owed {
    database: TestDatabase,
    store: Store,
    runner: RunnerId,
    endpoint_id: EndpointId,
    subject_id: Uuid,
    claim: Claim,
}

impl Owed {
    async fn of(kind: Kind) -> Self {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let runner = runner(&store).await;
        let own = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint");
        let subject_id = a_registered_boleto(&store, runner, Notify::Owner(Some(own.id))).await.0;
        let claim = deliveries(&store, runner).await.remove(0);
        Self { database, store, runner, endpoint_id: own.id, subject_id, claim }
    }

    fn by(&self, request_id: &str) -> ByHand {
        by_hand(self.endpoint_id, request_id, "r")
    }

    async fn is(&self) -> DeliveryView {
        let found = self.store.delivery(&TenantId::default(), self.endpoint_id, self.subject_id).await;
        found.expect("a store").expect("a delivery")
    }

    async fn ends(&self, claim: &Claim, change: DeliveryChange) {
        let item = tried(claim, self.endpoint_id, change);
        assert!(matches!(self.store.settle_deliveries(&[item]).await[0], Ok(true)));
    }

    async fn dead_letters(&self) -> usize {
        let filter = WorkFilter { states: vec![WorkState::Discarded], ..WorkFilter::default() };
        self.store.list_work(&filter, None, 2_000).await.expect("a list").len()
    }

    async fn live_work(&self) -> usize {
        self.store.list_work(&WorkFilter::default(), None, 2_000).await.expect("a list").len()
    }

    async fn records(&self) -> i64 {
        let connection = pool::connect(&self.database.url).await.expect("a second connection");
        // The account that the boleto is under was made by hand too.
        let find = "select count(*) as total from audit where method <> 'CreateBankAccount'";
        let find = Statement::from_string(connection.get_database_backend(), find);
        let row = connection.query_one_raw(find).await.expect("an answer").expect("a row");
        connection.close().await.expect("the database lets go");
        row.try_get("", "total").expect("a number")
    }
}

fn by_hand(endpoint_id: EndpointId, request_id: &str, body: &str) -> ByHand {
    let key = RequestKey {
        tenant_id: TenantId::default(),
        method: "Steer",
        request_id: request_id.to_owned(),
        body_hash: body.as_bytes().to_vec(),
    };
    ByHand {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        endpoint_id,
        request: Some(key),
        reason: "the owner asked for it".to_owned(),
        traceparent: None,
        delivery_attempts_max: 30,
        now: now(),
    }
}

/// The end of an attempt that sent something.
fn tried(claim: &Claim, endpoint_id: EndpointId, change: DeliveryChange) -> DeliverySettlement {
    let delivered = matches!(change, DeliveryChange::Delivered);
    let attempt = DeliveryAttempt {
        id: Uuid::now_v7(),
        event_id: EventId(Uuid::now_v7()),
        event_type: "boleto.registered".to_owned(),
        version: 2,
        started_at: now(),
        ended_at: now(),
        outcome: if delivered { AttemptOutcome::Accepted } else { AttemptOutcome::Unavailable },
        status: None,
        answer: None,
        provider_message_id: None,
        is_resend: false,
    };
    DeliverySettlement {
        claim: claim.clone(),
        endpoint_id,
        sent_version: if delivered { 2 } else { 0 },
        wanted_version: 2,
        answer: "said".to_owned(),
        resend: None,
        attempts: vec![attempt],
        change,
        now: now(),
    }
}

fn later() -> DeliveryChange {
    let run_at = now() + TimeDelta::hours(1);
    DeliveryChange::Later { run_at, state: WorkState::Retryable, attempt_counts: true }
}

async fn what_was_given_up_is_sent_again_and_its_dead_letter_lives(kind: Kind) {
    let owed = Owed::of(kind).await;
    owed.ends(&owed.claim, DeliveryChange::GivenUp).await;
    assert_eq!((owed.is().await.state, owed.dead_letters().await), (DeliveryState::GivenUp, 1));
    let hand = owed.by("again");
    let resent = owed.store.resend_delivery(&hand, owed.subject_id, None).await.expect("resent");
    assert_eq!(resent, DeliverySteered::Done(1));
    let is = owed.is().await;
    assert_eq!((is.state, is.next_attempt_at), (DeliveryState::Pending, Some(hand.now)));
    assert_eq!((owed.dead_letters().await, owed.records().await), (0, 1));

    let same = ByHand { id: Uuid::now_v7(), ..hand.clone() };
    let before = owed.store.resend_delivery(&same, owed.subject_id, None).await.expect("an answer");
    assert_eq!(before, DeliverySteered::Before(1));
    let other = by_hand(owed.endpoint_id, "again", "another body");
    let other = owed.store.resend_delivery(&other, owed.subject_id, None).await.expect("an answer");
    assert_eq!((other, owed.records().await), (DeliverySteered::OtherBody, 1));

    let again = deliveries(&owed.store, owed.runner).await.remove(0);
    assert_eq!((again.id, again.attempt), (owed.claim.id, 1));
    assert_eq!(events_left(&owed.store, &again).await, 1);
    owed.ends(&again, DeliveryChange::Delivered).await;
    let is = owed.is().await;
    assert_eq!((is.state, is.sent_version, is.attempts), (DeliveryState::Delivered, 2, 2));
    let nothing =
        owed.store.resend_delivery(&owed.by("more"), owed.subject_id, None).await.expect("an answer");
    assert_eq!(nothing, DeliverySteered::NothingToSend);
    let nothing = owed.store.cancel_delivery(&owed.by("end"), owed.subject_id).await.expect("an answer");
    assert_eq!((nothing, owed.records().await), (DeliverySteered::NothingToSend, 1));
}

async fn what_waits_is_hastened_and_what_lost_its_work_gets_it_anew(kind: Kind) {
    let owed = Owed::of(kind).await;
    owed.ends(&owed.claim, later()).await;
    assert!(owed.is().await.next_attempt_at.is_some_and(|at| at > now()));
    let hand = owed.by("now");
    owed.store.resend_delivery(&hand, owed.subject_id, None).await.expect("resent");
    assert_eq!(owed.is().await.next_attempt_at, Some(hand.now));
    let claim = deliveries(&owed.store, owed.runner).await.remove(0);
    assert_eq!(claim.id, owed.claim.id);

    // Somebody has it in hand: that is as much now as can be.
    let during =
        owed.store.resend_delivery(&owed.by("during"), owed.subject_id, None).await.expect("an answer");
    assert_eq!((during, owed.live_work().await), (DeliverySteered::Done(1), 1));
    owed.ends(&claim, later()).await;
    owed.store.cancel_work(claim.id, "by mistake", now()).await.expect("cancelled work");
    let is = owed.is().await;
    assert_eq!((is.state, is.next_attempt_at), (DeliveryState::Pending, None));
    owed.store.resend_delivery(&owed.by("anew"), owed.subject_id, None).await.expect("resent");
    let anew = deliveries(&owed.store, owed.runner).await.remove(0);
    assert_ne!(anew.id, claim.id);
    assert_eq!(events_left(&owed.store, &anew).await, 1);
}

async fn one_event_is_sent_once_more_and_moves_nothing_on(kind: Kind) {
    let owed = Owed::of(kind).await;
    let due = owed.store.due_deliveries(std::slice::from_ref(&owed.claim)).await.expect("deliveries");
    let event_id = EventId(due[0].as_ref().expect("a delivery").events[0].id);
    owed.ends(&owed.claim, DeliveryChange::Delivered).await;
    let before = owed.is().await;
    let unknown = Some(EventId(Uuid::now_v7()));
    let unknown = owed.store.resend_delivery(&owed.by("unknown"), owed.subject_id, unknown).await;
    assert_eq!(unknown.expect("an answer"), DeliverySteered::NoEvent);
    let connection = pool::connect(&owed.database.url).await.expect("a second connection");
    let find = Statement::from_string(
        connection.get_database_backend(),
        "select id from boleto_event where event_type = 'boleto.pending_registration' or event_type = 'boleto.issued'",
    );
    let row = connection.query_one_raw(find).await.expect("an answer").expect("an event of the house's own");
    let private = EventId(row.try_get("", "id").expect("an id"));
    connection.close().await.expect("the database lets go");
    let private = owed.store.resend_delivery(&owed.by("private"), owed.subject_id, Some(private)).await;
    assert_eq!(private.expect("an answer"), DeliverySteered::NoEvent, "owners are not told of it");

    for (request, outcome) in [("one", DeliverySteered::Done(1)), ("one more", DeliverySteered::Done(1))] {
        let resent = owed.store.resend_delivery(&owed.by(request), owed.subject_id, Some(event_id)).await;
        assert_eq!(resent.expect("resent"), outcome);
    }
    let mut claims = deliveries(&owed.store, owed.runner).await;
    assert_eq!(claims.len(), 1, "one wish at a time");
    let claim = claims.remove(0);
    let due = owed.store.due_deliveries(std::slice::from_ref(&claim)).await.expect("deliveries").remove(0);
    let due = due.expect("a delivery");
    assert_eq!((due.resend, due.events.len(), due.events[0].id), (Some(event_id), 1, event_id.0));
    let mut item = tried(&claim, owed.endpoint_id, DeliveryChange::Delivered);
    item.resend = Some(event_id);
    item.attempts[0].is_resend = true;
    assert!(matches!(owed.store.settle_deliveries(&[item]).await[0], Ok(true)));
    let is = owed.is().await;
    assert_eq!(
        (is.state, is.sent_version, is.attempts),
        (before.state, before.sent_version, before.attempts)
    );
    let (tenant, id) = (TenantId::default(), owed.endpoint_id);
    let attempts =
        owed.store.delivery_attempts(&tenant, id, owed.subject_id, None, 10).await.expect("attempts");
    let resends: Vec<bool> = attempts.iter().map(|attempt| attempt.is_resend).collect();
    assert_eq!(resends, [true, false], "newest first");
}

async fn what_is_cancelled_is_not_sent_until_somebody_wants_it_again(kind: Kind) {
    let owed = Owed::of(kind).await;
    owed.ends(&owed.claim, later()).await;
    let cancelled = owed.store.cancel_delivery(&owed.by("stop"), owed.subject_id).await.expect("cancelled");
    assert_eq!(cancelled, DeliverySteered::Done(1));
    let is = owed.is().await;
    assert_eq!((is.state, is.sent_version, owed.live_work().await), (DeliveryState::Cancelled, 0, 0));
    let again = owed.store.cancel_delivery(&owed.by("stop again"), owed.subject_id).await.expect("an answer");
    assert_eq!((again, owed.records().await), (DeliverySteered::Already, 1));

    // Work that somebody makes for it all the same has nothing to send, and ends without a trace on the delivery.
    let payload = serde_json::json!({ "endpoint_id": owed.endpoint_id }).to_string();
    let work = NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        kind: kind::NOTIFICATION_DELIVER,
        queue: queue_of("sqs", owed.endpoint_id.0),
        priority: 0,
        run_at: now(),
        attempts_max: 5,
        unique_key: None,
        subject_id: owed.subject_id,
        payload,
        traceparent: None,
        claimed_by: None,
        sent_at: None,
        created_at: now(),
    };
    owed.store.insert_work_alone(&[work]).await.expect("inserted");
    let idle = deliveries(&owed.store, owed.runner).await.remove(0);
    assert_eq!(events_left(&owed.store, &idle).await, 0);
    let mut item = tried(&idle, owed.endpoint_id, DeliveryChange::Delivered);
    item.attempts.clear();
    assert!(matches!(owed.store.settle_deliveries(&[item]).await[0], Ok(true)));
    let is = owed.is().await;
    assert_eq!((is.state, is.sent_version), (DeliveryState::Cancelled, 0));

    owed.store.resend_delivery(&owed.by("after all"), owed.subject_id, None).await.expect("resent");
    let claim = deliveries(&owed.store, owed.runner).await.remove(0);
    assert_eq!((owed.is().await.state, events_left(&owed.store, &claim).await), (DeliveryState::Pending, 1));
    owed.ends(&claim, DeliveryChange::GivenUp).await;
    owed.store.cancel_delivery(&owed.by("for good"), owed.subject_id).await.expect("cancelled");
    assert_eq!((owed.is().await.state, owed.dead_letters().await), (DeliveryState::Cancelled, 0));
}

async fn an_attempt_under_way_is_let_end(kind: Kind) {
    for (change, state) in [
        (later(), DeliveryState::Cancelled),
        (DeliveryChange::GivenUp, DeliveryState::Cancelled),
        (DeliveryChange::Delivered, DeliveryState::Delivered),
    ] {
        let owed = Owed::of(kind).await;
        let cancelled =
            owed.store.cancel_delivery(&owed.by("stop"), owed.subject_id).await.expect("cancelled");
        assert_eq!(cancelled, DeliverySteered::Done(1), "{change:?}");
        assert_eq!(owed.is().await.state, DeliveryState::Cancelled, "{change:?}");
        owed.ends(&owed.claim, change.clone()).await;
        assert_eq!(owed.is().await.state, state, "{change:?}");
        assert_eq!((owed.live_work().await, owed.dead_letters().await), (0, 0), "{change:?}");
    }
}

/// Deliveries that were given up, one a second from `since` on; of every other one there is a dead letter.
async fn given_up(url: &str, endpoint_id: EndpointId, count: i64, since: DateTime<Utc>) {
    let connection = pool::connect(url).await.expect("a second connection");
    let transaction = connection.begin().await.expect("a transaction");
    let backend = connection.get_database_backend();
    for number in 0..count {
        let subject_id = Uuid::now_v7();
        let at_us = (since + TimeDelta::seconds(number)).timestamp_micros();
        let owe = "insert into delivery (tenant_id, endpoint_id, subject_id, subject_kind, wanted_version, sent_version, state,
               attempts, updated_at_us, stopped_at_us)
             values ('default', $1, $2, 'boleto', 2, 0, 'given_up', 30, $3, $3)";
        let values: Vec<Value> = vec![endpoint_id.0.into(), subject_id.into(), at_us.into()];
        transaction
            .execute_raw(Statement::from_sql_and_values(backend, owe, values))
            .await
            .expect("a delivery");
        if number % 2 == 0 {
            let bury = "insert into work_archive (id, tenant_id, kind, queue, state, attempt, attempts_max, fence, unique_key,
                   subject_id, payload, created_at_us, ended_at_us)
                 values ($1, 'default', 'notification.deliver', $2, 'discarded', 30, 30, 30, $3, $4, $5, $6, $6)";
            let values: Vec<Value> = vec![
                Uuid::now_v7().into(),
                queue_of("sqs", endpoint_id.0).into(),
                format!("deliver:{endpoint_id}:{subject_id}").into(),
                subject_id.into(),
                serde_json::json!({ "endpoint_id": endpoint_id }).to_string().into(),
                at_us.into(),
            ];
            let letter = Statement::from_sql_and_values(backend, bury, values);
            transaction.execute_raw(letter).await.expect("a dead letter");
        }
    }
    transaction.commit().await.expect("committed");
    connection.close().await.expect("the database lets go");
}

async fn all_that_was_given_up_since_a_time_is_recovered_slice_by_slice(kind: Kind) {
    let owed = Owed::of(kind).await;
    owed.ends(&owed.claim, DeliveryChange::Delivered).await;
    let count = 2 * SLICE + 7;
    let since = now() - TimeDelta::hours(2);
    given_up(&owed.database.url, owed.endpoint_id, count, since).await;
    let hand = owed.by("all");
    let left = 4;
    let wanted = since + TimeDelta::seconds(left);
    let recovered = owed.store.recover_deliveries(&hand, wanted).await.expect("recovered");
    let expected = u64::try_from(count - left).expect("a small number");
    assert_eq!(recovered, DeliverySteered::Done(expected));
    assert_eq!(owed.live_work().await, usize::try_from(expected).expect("a small number"));
    assert_eq!(owed.dead_letters().await, 2, "of those before");
    assert_eq!(owed.records().await, 3, "a record a slice");
    let before = owed.store.recover_deliveries(&owed.by("all"), wanted).await.expect("an answer");
    assert_eq!(before, DeliverySteered::Before(expected));
    let rest = owed.store.recover_deliveries(&owed.by("nothing left"), wanted).await.expect("an answer");
    assert_eq!(rest, DeliverySteered::Done(0));
    let rest = owed.store.recover_deliveries(&owed.by("rest"), since).await.expect("recovered");
    assert_eq!((rest, owed.dead_letters().await), (DeliverySteered::Done(4), 0));
    let claims = deliveries(&owed.store, owed.runner).await;
    assert!(claims.len() == 100 && claims.iter().all(|claim| claim.kind == kind::NOTIFICATION_DELIVER));
}

async fn nothing_is_sent_to_who_is_disabled_nor_for_another_tenant(kind: Kind) {
    let owed = Owed::of(kind).await;
    owed.ends(&owed.claim, DeliveryChange::GivenUp).await;
    let stranger = |request: &str| ByHand {
        tenant_id: TenantId::parse("another").expect("a tenant"),
        request: None,
        ..owed.by(request)
    };
    let (store, subject_id) = (&owed.store, owed.subject_id);
    for answer in [
        store.resend_delivery(&stranger("a"), subject_id, None).await,
        store.cancel_delivery(&stranger("b"), subject_id).await,
        store.recover_deliveries(&stranger("c"), DateTime::UNIX_EPOCH).await,
    ] {
        assert_eq!(answer.expect("an answer"), DeliverySteered::NoEndpoint);
    }
    let other = TenantId::parse("another").expect("a tenant");
    assert_eq!(store.delivery(&other, owed.endpoint_id, subject_id).await.expect("an answer"), None);
    let unowed = store.resend_delivery(&owed.by("unowed"), Uuid::now_v7(), None).await.expect("an answer");
    assert_eq!(unowed, DeliverySteered::NoDelivery);

    let end = EndpointEnd {
        endpoint_id: owed.endpoint_id,
        reason: "gone".to_owned(),
        delivery_attempts_max: 30,
        now: now(),
    };
    assert!(store.disable_endpoint(&end).await.expect("disabled"));
    for answer in [
        store.resend_delivery(&owed.by("d"), subject_id, None).await,
        store.recover_deliveries(&owed.by("e"), DateTime::UNIX_EPOCH).await,
    ] {
        assert_eq!(answer.expect("an answer"), DeliverySteered::Disabled);
    }
    let cancelled = store.cancel_delivery(&owed.by("f"), subject_id).await.expect("an answer");
    assert_eq!(cancelled, DeliverySteered::Done(1), "what is not to be sent may be said at any time");
}

async fn a_page_of_one_state_leads_to_all_of_them(kind: Kind) {
    let owed = Owed::of(kind).await;
    owed.ends(&owed.claim, DeliveryChange::Delivered).await;
    given_up(&owed.database.url, owed.endpoint_id, 25, now() - TimeDelta::hours(1)).await;
    let pages = async |of: DeliveriesOf, state: Option<DeliveryState>| {
        let (filter, mut found, mut before) = (DeliveryFilter { of, state }, Vec::new(), None);
        loop {
            let page = owed.store.deliveries(&TenantId::default(), filter, before, 10).await.expect("a page");
            assert!(page.deliveries.len() <= 10);
            found.extend(page.deliveries);
            before = page.next;
            if before.is_none() {
                return found;
            }
        }
    };
    let of = DeliveriesOf::Endpoint(owed.endpoint_id);
    let all = pages(of, None).await;
    let subjects: Vec<Uuid> = all.iter().map(|delivery| delivery.subject_id).collect();
    assert!(subjects.len() == 26 && subjects.is_sorted_by(|one, next| one > next), "newest subject first");
    assert_eq!(pages(of, Some(DeliveryState::GivenUp)).await, all[..25]);
    assert_eq!(pages(of, Some(DeliveryState::Delivered)).await, all[25..]);
    assert!(pages(of, Some(DeliveryState::Pending)).await.is_empty());
    assert_eq!(pages(DeliveriesOf::Subject(subjects[3]), None).await, all[3..4]);
    assert_eq!(pages(DeliveriesOf::Both(owed.endpoint_id, subjects[3]), None).await, all[3..4]);
    let elsewhere = DeliveriesOf::Both(EndpointId(Uuid::now_v7()), subjects[3]);
    assert!(pages(elsewhere, None).await.is_empty());
    let other_state = pages(DeliveriesOf::Subject(subjects[3]), Some(DeliveryState::Delivered)).await;
    assert!(other_state.is_empty());
}
