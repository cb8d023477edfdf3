//! Every standard of open banking through the same list, against the sandbox's banks: they read the same state out in both
//! languages, and complain of each request that the specifications would not let through.

use std::time::Duration;

use bursar::connectors::aspsps::config::{IdentityConfig, Standard};
use bursar::connectors::aspsps::internal_api::InternalApi;
use bursar::connectors::aspsps::internal_api::config::InternalApiConfig;
use bursar::connectors::aspsps::{
    Access, Aspsp as _, AspspError, ConsentEnd, ConsentStatus, Cursor, PaymentKey, PaymentStatus,
    Transaction, TransactionList, TransactionState,
};
use bursar::connectors::http::{HttpConfig, HttpUrl};
use bursar::sandbox::{
    AspspBundle, AspspComeBack, AspspEntry, AspspIds, AspspPayment, AspspPaymentStep, AspspRecurring,
    AspspRules, AspspStep, Behaviour, PageTrap,
};
use chrono::{Days, TimeDelta};

use crate::aspsp_scene::{BOTH, CONSENT, IBAN, Stage, bad, file, good, rules};

#[tokio::test]
async fn an_account_is_read_to_its_end_and_the_same_in_both_languages() {
    let mut seen = Vec::new();
    for standard in BOTH {
        let stage = Stage::open(standard).await;
        stage.books();
        let (bank, now) = (stage.bank(), stage.now());
        bank.put_entry(IBAN, AspspEntry::pending("later", -500, now, now + TimeDelta::hours(1)));
        bank.put_entry(IBAN, AspspEntry::held("card", -700, now, now + TimeDelta::hours(1)));
        let before = stage.world.aspsp().calls().len();
        let (booked, pages) = stage.all(TransactionList::Booked).await;
        assert_eq!((booked.len(), pages), (120, 3), "{standard:?}");
        assert!(
            booked.iter().all(|item| item.state == TransactionState::Booked && item.booking_date.is_some())
        );
        // Nothing of the money is lost or turned round: the newest item knows what is left.
        let sum: i64 = booked.iter().map(|item| item.amount.thousandths()).sum();
        assert_eq!(Some(sum), booked[0].balance_after.map(|balance| balance.thousandths()));
        let (pending, _) = stage.all(TransactionList::Pending).await;
        assert_eq!(
            (pending[0].state, pending[0].amount.to_string()),
            (TransactionState::Pending, "-5.00".into())
        );
        if stage.is_polish() {
            let held = good(stage.aspsp().holds(&stage.access(), &stage.request(None)).await).transactions;
            assert_eq!((held[0].state, held[0].amount.to_string()), (TransactionState::Held, "-7.00".into()));
        } else {
            let (both, _) = stage.all(TransactionList::Both).await;
            assert_eq!(both.len(), 122);
        }
        let details = good(stage.aspsp().account(&stage.access(), &stage.account).await);
        assert_eq!(
            (details.account.iban.as_deref(), details.account.currency.as_deref()),
            (Some(IBAN), Some("PLN"))
        );
        let balances = good(stage.aspsp().balances(&stage.access(), &stage.account).await);
        let booked_now =
            balances.iter().find(|balance| balance.kind.to_lowercase().contains("book")).expect("it");
        assert_eq!(booked_now.amount.thousandths(), sum);
        // The bank counts as many calls as we have made.
        let calls = stage.world.aspsp().calls().len() - before;
        assert_eq!(calls, if stage.is_polish() { 3 + 1 + 1 + 2 } else { 3 + 1 + 3 + 2 });
        let id = |item: &Transaction| item.item_id.clone().or(item.transaction_id.clone());
        let told = |item: &Transaction| {
            (id(item), item.amount, item.booking_date, item.texts.clone(), item.counterparty.name.clone())
        };
        seen.push(booked.iter().map(told).collect::<Vec<_>>());
        stage.close().await;
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn ids_that_are_blank_are_none() {
    for standard in BOTH {
        let stage = Stage::open(standard).await;
        stage.books();
        for ids in [AspspIds::Blank, AspspIds::Absent] {
            stage.bank().set_ids(IBAN, ids);
            let (told, _) = stage.all(TransactionList::Booked).await;
            assert_eq!(told.len(), 120);
            assert!(told.iter().all(|item| item.item_id.is_none() && item.transaction_id.is_none()));
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn a_page_that_leads_astray_is_not_followed() {
    for standard in BOTH {
        let stage = Stage::open(standard).await;
        stage.books();
        let bank = stage.bank();
        bank.set_trap(IBAN, Some(PageTrap::NextIsSelf { page: 1 }));
        let first = good(stage.page(TransactionList::Booked, None).await);
        let (_, circle) = bad(stage.page(TransactionList::Booked, first.next.as_ref()).await);
        assert!(circle.to_string().contains("names itself"), "{circle}");
        bank.set_trap(IBAN, Some(PageTrap::Empty { page: 1 }));
        assert_eq!(stage.all(TransactionList::Booked).await.0.len(), 120);
        if !stage.is_polish() {
            let origin = "https://elsewhere.example".to_owned();
            bank.set_trap(IBAN, Some(PageTrap::NextElsewhere { page: 0, origin }));
            let (_, away) = bad(stage.page(TransactionList::Booked, None).await);
            assert!(away.to_string().contains("another origin"), "{away}");
            bank.set_trap(IBAN, Some(PageTrap::Download));
            let report = good(stage.page(TransactionList::Booked, None).await);
            assert!(report.transactions.is_empty() && matches!(report.next, Some(Cursor::Download(_))));
            assert_eq!(stage.all(TransactionList::Booked).await.0.len(), 120);
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn consents_and_tokens_end_as_they_are_said_to() {
    for standard in BOTH {
        let stage = Stage::open(standard).await;
        let (aspsp, bank) = (stage.aspsp(), stage.bank());
        bank.end_access(CONSENT);
        let (_, ended) = bad(aspsp.accounts(&stage.access(), None).await);
        assert_eq!(ended.kind(), "unauthorised", "{ended}");
        let grant = good(aspsp.refresh(&stage.refresh).await);
        let access = Access { token: Some(&grant.access_token), ..stage.access() };
        good(aspsp.accounts(&access, None).await);
        // The old one is used up.
        assert_eq!(bad(aspsp.refresh(&stage.refresh).await).1.kind(), "unauthorised");
        if let Some(consent) = &grant.consent {
            assert_eq!(consent.accounts[0].number.as_deref(), Some(IBAN));
            assert!(consent.accounts[0].privileges.iter().all(|privilege| privilege.is_repeatable));
        }
        bank.set_consent_status(CONSENT, Some("revokedByPsu"));
        let (_, revoked) = bad(aspsp.accounts(&access, None).await);
        assert!(matches!(revoked, AspspError::ConsentEnded { how: ConsentEnd::Unknown, .. }), "{revoked}");
        if !stage.is_polish() {
            let told = good(aspsp.consent_status(&access).await);
            assert_eq!((told.status, told.frequency_per_day), (ConsentStatus::Revoked, Some(4)));
        }
        bank.set_consent_status(CONSENT, None);
        bank.set_valid_until(CONSENT, stage.now().date_naive() - Days::new(1));
        let (_, expired) = bad(aspsp.accounts(&access, None).await);
        assert!(matches!(expired, AspspError::ConsentEnded { how: ConsentEnd::Expired, .. }), "{expired}");
        stage.close().await;
    }
}

#[tokio::test]
async fn a_quota_that_is_used_up_says_for_how_long() {
    for standard in BOTH {
        let stage = Stage::open(standard).await;
        stage.books();
        for (come_back, is_told) in
            [(AspspComeBack::Header, true), (AspspComeBack::Words, true), (AspspComeBack::Silence, false)]
        {
            stage.bank().set_rules(AspspRules { come_back, reads_max: Some(0), ..rules() });
            let (call, error) = bad(stage.page(TransactionList::Booked, None).await);
            assert!(matches!(error, AspspError::RateLimited { .. }), "{error}");
            assert_eq!(error.retry_after().is_some(), is_told, "{come_back:?}");
            assert_eq!(call.status, Some(429));
            assert!(
                call.rate_limits.iter().any(|(name, _)| name.ends_with("remaining")),
                "{:?}",
                call.rate_limits
            );
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn payments_are_told_one_by_one_and_together() {
    for standard in BOTH {
        let stage = Stage::open(standard).await;
        let (aspsp, bank) = (stage.aspsp(), stage.bank());
        let consent = || Some(CONSENT.to_owned());
        let step = |status: &str| vec![AspspPaymentStep { after_ms: 0, status: status.to_owned() }];
        for (id, status) in [("p1", "ACSC"), ("p2", "RJCT"), ("p3", "ACSP"), ("p4", "XXXX")] {
            let settles = AspspPayment::settling(id, &[(Duration::ZERO, status)]);
            bank.put_payment(AspspPayment { consent: consent(), ..settles });
        }
        let key = |id| PaymentKey { id: Some(id), token: Some(&stage.token), ..PaymentKey::default() };
        for (id, status, is_known) in [
            ("p1", PaymentStatus::Done, true),
            ("p2", PaymentStatus::Rejected, true),
            ("p3", PaymentStatus::InProgress, true),
            ("p4", PaymentStatus::InProgress, false),
        ] {
            let told = good(aspsp.payment(&key(id)).await);
            assert_eq!((told.status.status, told.status.is_known), (status, is_known), "{id}");
        }
        assert_eq!(bad(aspsp.payment(&key("nobody-s")).await).1.kind(), "not_found");
        if stage.is_polish() {
            let payments = vec!["p1".to_owned(), "p2".to_owned()];
            let tpp_id = |id: &str| format!("tpp-{id}");
            bank.put_bundle(AspspBundle {
                id: "b1".into(),
                tpp_id: tpp_id("b1"),
                consent: CONSENT.into(),
                payments,
            });
            let steps = step("close");
            bank.put_recurring(AspspRecurring {
                id: "r1".into(),
                tpp_id: tpp_id("r1"),
                consent: CONSENT.into(),
                steps,
            });
            let told = good(aspsp.payments(&[key("p2"), key("nobody-s"), key("p1")]).await);
            let status =
                |place: usize| told[place].as_ref().map(|told| told.status.status).map_err(AspspError::kind);
            let statuses = [status(0), status(1), status(2)];
            assert_eq!(statuses, [Ok(PaymentStatus::Rejected), Err("not_found"), Ok(PaymentStatus::Done)]);
            let bundle = good(aspsp.bundle(&key("b1"), true).await);
            assert_eq!((bundle.status.status, bundle.children.len()), (PaymentStatus::SeeChildren, 2));
            assert_eq!(good(aspsp.recurring(&key("r1")).await).status.status, PaymentStatus::Closed);
        } else {
            for (id, service) in [("b1", "bulk-payments"), ("r1", "periodic-payments")] {
                let settles = AspspPayment::settling(id, &[(Duration::ZERO, "ACCC")]);
                bank.put_payment(AspspPayment { service: service.to_owned(), consent: consent(), ..settles });
            }
            assert_eq!(good(aspsp.bundle(&key("b1"), false).await).status.status, PaymentStatus::Done);
            assert_eq!(good(aspsp.recurring(&key("r1")).await).status.status, PaymentStatus::Done);
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn whatever_happens_on_the_line_has_its_name_and_a_record() {
    for standard in BOTH {
        let mut stage = Stage::open(standard).await;
        stage.config.body_max_bytes = 64 * 1024;
        let elsewhere = "http://127.0.0.1:1/".to_owned();
        for (behaviour, kind, status) in [
            (Behaviour::Reset, "unavailable", None),
            (Behaviour::Garbage, "unavailable", None),
            (Behaviour::Hang, "unavailable", None),
            (Behaviour::Truncated, "unavailable", None),
            (Behaviour::accept_then_drop(), "unavailable", None),
            (Behaviour::status_retry_after(503, 9), "unavailable", Some(503)),
            (Behaviour::status(401), "unauthorised", Some(401)),
            (Behaviour::status_retry_after(429, 9), "rate_limited", Some(429)),
            (Behaviour::Redirect { code: 302, to: elsewhere }, "misconfigured", Some(302)),
            (Behaviour::Html, "unreadable", Some(200)),
            (Behaviour::Empty, "unreadable", Some(200)),
            (Behaviour::Endless, "too_large", Some(200)),
        ] {
            // Nothing else is waited for so briefly, for the machine may be busy.
            let is_silent = matches!(behaviour, Behaviour::Hang);
            stage.config.timeout = Duration::from_millis(if is_silent { 300 } else { 20_000 });
            stage.bank().once(AspspStep::Account, behaviour.clone());
            let (call, error) = bad(stage.aspsp().account(&stage.access(), &stage.account).await);
            assert_eq!((error.kind(), call.status), (kind, status), "{standard:?} {behaviour:?} {error}");
            assert!(call.may_have_been_sent);
            let wait = error.retry_after().map(|wait| wait.as_secs());
            assert_eq!(wait, matches!(status, Some(429 | 503)).then_some(9), "{behaviour:?}");
        }
        if stage.is_polish() {
            stage.bank().once(AspspStep::Account, Behaviour::refuse("callback"));
            let (_, later) = bad(stage.aspsp().account(&stage.access(), &stage.account).await);
            assert_eq!(later, AspspError::Pending);
        }
        good(stage.aspsp().account(&stage.access(), &stage.account).await);
        stage.bank().shut().await;
        let (call, error) = bad(stage.aspsp().account(&stage.access(), &stage.account).await);
        assert_eq!((error.kind(), call.may_have_been_sent), ("unavailable", false));
        stage.world.script().release();
        stage.close().await;
    }
}

#[tokio::test]
async fn a_bank_behind_tls_knows_us_by_our_certificate() {
    for standard in BOTH {
        let mut stage = Stage::open(standard).await;
        let addresses = stage.world.addresses();
        let tls = addresses.tls.clone();
        stage.config.base_url = Some(HttpUrl::parse(&addresses.aspsps[0].tls_url).expect("an address"));
        stage.config.identity.ca_file = tls.ca_file.display().to_string();
        stage.config.identity.certificate = Some(file(&tls.certificate));
        stage.config.identity.private_key = Some(file(&tls.private_key));
        good(stage.aspsp().account(&stage.access(), &stage.account).await);
        stage.config.identity = IdentityConfig::default();
        let (call, stranger) = bad(stage.aspsp().account(&stage.access(), &stage.account).await);
        assert_eq!((stranger.kind(), call.may_have_been_sent), ("unavailable", false));
        stage.close().await;
    }
}

#[tokio::test]
async fn the_service_in_between_is_asked_as_the_replaced_scheduler_did() {
    let stage = Stage::open(Standard::BerlinGroup).await;
    let config = InternalApiConfig {
        base_url: stage.config.base_url.clone(),
        user_parameter: "userId".to_owned(),
        ..InternalApiConfig::default()
    };
    let api = InternalApi::new(config, &HttpConfig::default()).expect("a connector");
    good(api.refresh_active_accounts("user-1").await);
    stage.bank().once(AspspStep::Refresh, Behaviour::status_retry_after(503, 9));
    assert_eq!(bad(api.refresh_active_accounts("user-1").await).1.kind(), "unavailable");
    let calls = stage.world.aspsp().calls();
    assert_eq!(calls.last().and_then(|call| call.consent.clone()).as_deref(), Some("user-1"));
    stage.close().await;
}
