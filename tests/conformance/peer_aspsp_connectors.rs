//! Our connectors of open banking, judged by a validating proxy of others that knows the public specifications.
//!
//! Each operation of both standards goes through the proxy to the sandbox's bank, from the connectors that the actors use, with
//! whatever the settings can make of a request. The proxy may find nothing wrong, and must have seen every call that the
//! bank has answered. Without the specifications (`BURSAR_SPECS`) nobody can judge, and the test says so.
//!
//! Not judged, because no specification has them: the token endpoint of the Berlin Group's banks, links to downloads, and the
//! replaced scheduler's own route.

use std::collections::BTreeSet;
use std::time::Duration;

use bursar::connectors::aspsps::config::{AspspConfig, Standard};
use bursar::connectors::aspsps::{
    Access, Aspsp as _, AspspConnector, Cursor, Operation, PaymentKey, Told, TransactionList,
};
use bursar::connectors::http::HttpUrl;
use bursar::sandbox::{
    AspspBundle, AspspEntry, AspspPayment, AspspPaymentStep, AspspRecurring, AspspRules, AspspStep,
};
use chrono::TimeDelta;
use secrecy::SecretString;

use crate::aspsp_scene::{CONSENT, IBAN, Stage, connector, good, rules};
use crate::prism::{Prism, Verdict, specification};

const LISTS: [TransactionList; 6] = [
    TransactionList::Booked,
    TransactionList::Pending,
    TransactionList::Both,
    TransactionList::Scheduled,
    TransactionList::Rejected,
    TransactionList::Cancelled,
];
/// Every product of the Berlin Group's paths.
const PRODUCTS: [&str; 8] = [
    "sepa-credit-transfers",
    "instant-sepa-credit-transfers",
    "target-2-payments",
    "cross-border-credit-transfers",
    "pain.001-sepa-credit-transfers",
    "pain.001-instant-sepa-credit-transfers",
    "pain.001-target-2-payments",
    "pain.001-cross-border-credit-transfers",
];

/// A bank behind the proxy, and what was asked of it.
struct Judged {
    stage: Stage,
    prism: Prism,
    /// How many calls the bank had answered before.
    before: usize,
    asked: BTreeSet<Operation>,
}

impl Judged {
    async fn open(standard: Standard, specification: &std::path::Path) -> Self {
        let mut stage = Stage::open(standard).await;
        let prism = Prism::before(&stage.world.addresses().aspsps[0].url, specification).await;
        stage.config.base_url = Some(HttpUrl::parse(&prism.url).expect("an address"));
        stage.books();
        let (bank, now) = (stage.bank(), stage.now());
        bank.put_entry(IBAN, AspspEntry::pending("later", -500, now, now + TimeDelta::hours(1)));
        bank.put_entry(IBAN, AspspEntry::held("card", -700, now, now + TimeDelta::hours(1)));
        let before = stage.world.aspsp().calls().len();
        Judged { stage, prism, before, asked: BTreeSet::new() }
    }

    /// What came of a call, which is remembered.
    fn told<T>(&mut self, told: Told<T>) -> Told<T> {
        if told.call.may_have_been_sent {
            self.asked.insert(told.call.operation);
        }
        told
    }

    /// All pages of a list, and how many items they have.
    async fn whole(&mut self, aspsp: &AspspConnector, list: TransactionList) -> usize {
        let (mut count, mut cursor) = (0, None::<Cursor>);
        loop {
            let (access, request) = (self.stage.access(), self.stage.request(cursor.as_ref()));
            let told = aspsp.transactions(&access, list, &request).await;
            let page = good(self.told(told));
            count += page.transactions.len();
            match page.next {
                Some(next) => cursor = Some(next),
                None => return count,
            }
        }
    }

    /// Accounts, details, balances, and each list to its end.
    async fn reads(&mut self, config: &AspspConfig) {
        let aspsp = connector(config);
        let told = aspsp.accounts(&self.stage.access(), None).await;
        assert_eq!(good(self.told(told)).accounts.len(), 1);
        let told = aspsp.account(&self.stage.access(), &self.stage.account).await;
        assert_eq!(good(self.told(told)).account.iban.as_deref(), Some(IBAN));
        let told = aspsp.balances(&self.stage.access(), &self.stage.account).await;
        assert!(!good(self.told(told)).is_empty());
        for list in LISTS.into_iter().filter(|list| aspsp.capabilities().lists.contains(list)) {
            let items = match list {
                TransactionList::Booked => 120,
                TransactionList::Both => 122,
                TransactionList::Pending if self.stage.is_polish() => 1,
                TransactionList::Pending => 2,
                _ => 0,
            };
            assert_eq!(self.whole(&aspsp, list).await, items, "{list:?}");
        }
        let holds = aspsp.holds(&self.stage.access(), &self.stage.request(None)).await;
        assert_eq!(self.told(holds).outcome.is_ok(), aspsp.capabilities().holds);
    }

    /// What goes wrong is asked for as rightly as the rest.
    async fn stumbles(&mut self, config: &AspspConfig) {
        let (aspsp, elsewhere) = (connector(config), SecretString::from("ended"));
        let stage = &self.stage;
        let mut came = Vec::new();
        let stranger = Access { token: Some(&elsewhere), ..stage.access() };
        came.push(aspsp.accounts(&stranger, None).await.call.status);
        came.push(aspsp.account(&stage.access(), "PL27114020040000300201355387").await.call.status);
        let key = PaymentKey { id: Some("nobody-s"), token: Some(&stage.token), ..PaymentKey::default() };
        came.push(aspsp.payment(&key).await.call.status);
        stage.bank().set_rules(AspspRules { reads_max: Some(0), ..rules() });
        came.push(aspsp.balances(&stage.access(), &stage.account).await.call.status);
        stage.bank().set_rules(rules());
        stage.bank().set_consent_status(CONSENT, Some("revokedByPsu"));
        came.push(aspsp.accounts(&stage.access(), None).await.call.status);
        stage.bank().set_consent_status(CONSENT, None);
        let came: Vec<u16> = came.into_iter().map(|status| status.expect("an answer")).collect();
        let expected = if stage.is_polish() { [401, 403, 400, 429, 401] } else { [401, 404, 404, 429, 401] };
        assert_eq!(came, expected);
    }

    fn puts_payment(&self, service: &str, product: &str) -> String {
        let id = format!("{service}-{product}");
        let settles = AspspPayment::settling(&id, &[(Duration::ZERO, "ACSC")]);
        let (service, product) = (service.to_owned(), product.to_owned());
        let consent = Some(CONSENT.to_owned());
        self.stage.bank().put_payment(AspspPayment { consent, service, product, ..settles });
        id
    }

    /// The proxy has found nothing wrong, has seen every call that was answered, and each of these operations was asked.
    async fn close(self, operations: &[Operation]) {
        assert_eq!(self.asked, operations.iter().copied().collect());
        let is_berlin = !self.stage.is_polish();
        let calls = self.stage.world.aspsp().calls();
        // No specification has the Berlin Group's token endpoint, so that it is asked without the proxy.
        let of_judge = |step| !(is_berlin && step == AspspStep::Token);
        let received = calls.iter().skip(self.before).filter(|call| of_judge(call.step)).count();
        assert_eq!(self.prism.verdict().await, Verdict { received, faults: Vec::new() });
        self.stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_to_a_bank_of_the_berlin_group_is_as_specified() {
    let Some(specification) = specification("derived/bg-1.3.11-mock.yaml") else { return };
    let mut judged = Judged::open(Standard::BerlinGroup, &specification).await;
    let whole = judged.stage.config.clone();
    // Signed as the sandbox's bank wants it, and then as little as may be sent.
    let mut with_all = whole.clone();
    (with_all.berlin_group.with_balance, with_all.page_size) = (true, 7);
    with_all.berlin_group.next_repeats_query = false;
    with_all.berlin_group.signed_headers =
        ["(request-target)", "digest", "x-request-id", "date"].map(str::to_owned).to_vec();
    let mut plain = whole.clone();
    plain.signature.private_key = None;
    plain.berlin_group.both = false;
    for config in [&whole, &with_all] {
        judged.reads(config).await;
    }
    judged.stage.bank().set_rules(AspspRules { signatures: false, ..rules() });
    judged.reads(&plain).await;
    judged.stage.bank().set_rules(rules());

    let aspsp = connector(&whole);
    let told = aspsp.consent_status(&judged.stage.access()).await;
    assert_eq!(good(judged.told(told)).frequency_per_day, Some(4));
    for product in PRODUCTS {
        for service in ["payments", "bulk-payments", "periodic-payments"] {
            let id = judged.puts_payment(service, product);
            let token = judged.stage.token.clone();
            let key = PaymentKey { id: Some(&id), product: Some(product), token: Some(&token), tpp_id: None };
            match service {
                "payments" => {
                    good(judged.told(aspsp.payment(&key).await));
                    good(judged.told(aspsp.payments(&[key]).await));
                }
                "bulk-payments" => {
                    good(judged.told(aspsp.bundle(&key, false).await));
                    good(judged.told(aspsp.bundle(&key, true).await));
                }
                _ => drop(good(judged.told(aspsp.recurring(&key).await))),
            }
        }
    }
    judged.stumbles(&whole).await;
    let told = aspsp.refresh(&judged.stage.refresh).await;
    good(judged.told(told));
    judged
        .close(&[
            Operation::ConsentStatus,
            Operation::Accounts,
            Operation::AccountDetails,
            Operation::Balances,
            Operation::Transactions,
            Operation::TransactionsPending,
            Operation::Payment,
            Operation::Bundle,
            Operation::Recurring,
            Operation::TokenRefresh,
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_to_a_bank_of_polish_api_is_as_specified() {
    let Some(specification) = specification("derived/pl-2_1_2-mock.json") else { return };
    let mut judged = Judged::open(Standard::PolishApi, &specification).await;
    let own = &mut judged.stage.config.polish_api;
    (own.scheduled, own.rejected, own.cancelled) = (true, true, true);
    let whole = judged.stage.config.clone();
    // As much as may be told of the caller and his key, in pages of seven.
    let mut with_all = whole.clone();
    with_all.page_size = 7;
    with_all.polish_api.tpp_id = "PSDPL-KNF-0000000000".to_owned();
    with_all.polish_api.language = "en".to_owned();
    (with_all.polish_api.names_certificate, with_all.polish_api.holds_certificate) = (true, true);
    for config in [&whole, &with_all] {
        judged.reads(config).await;
    }

    let aspsp = connector(&whole);
    let bank = judged.stage.bank();
    let token = judged.stage.token.clone();
    let ids = [judged.puts_payment("payments", "a"), judged.puts_payment("payments", "b")];
    let (id, tpp_id) = ("bundle-1".to_owned(), "tpp-bundle-1".to_owned());
    bank.put_bundle(AspspBundle { id, tpp_id, consent: CONSENT.to_owned(), payments: ids.to_vec() });
    let steps = vec![AspspPaymentStep { after_ms: 0, status: "inProgress".to_owned() }];
    let (id, tpp_id) = ("again-1".to_owned(), "tpp-again-1".to_owned());
    bank.put_recurring(AspspRecurring { id, tpp_id, consent: CONSENT.to_owned(), steps });
    let by = |id| PaymentKey { id: Some(id), token: Some(&token), ..PaymentKey::default() };
    let by_ours = |tpp_id| PaymentKey { tpp_id: Some(tpp_id), token: Some(&token), ..PaymentKey::default() };
    for (single, bundle, again) in [
        (by(&ids[0]), by("bundle-1"), by("again-1")),
        (by_ours("tpp-payments-a"), by_ours("tpp-bundle-1"), by_ours("tpp-again-1")),
    ] {
        good(judged.told(aspsp.payment(&single).await));
        let told = good(judged.told(aspsp.payments(&[by(&ids[1]), single, by("nobody-s")]).await));
        assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 2);
        for with_children in [false, true] {
            good(judged.told(aspsp.bundle(&bundle, with_children).await));
        }
        good(judged.told(aspsp.recurring(&again).await));
    }
    judged.stumbles(&whole).await;
    for config in [&whole, &with_all] {
        let refresh = judged.stage.refresh.clone();
        let grant = good(judged.told(connector(config).refresh(&refresh).await));
        judged.stage.refresh = grant.refresh_token.expect("another one");
    }
    judged
        .close(&[
            Operation::Accounts,
            Operation::AccountDetails,
            Operation::Transactions,
            Operation::TransactionsPending,
            Operation::TransactionsScheduled,
            Operation::TransactionsRejected,
            Operation::TransactionsCancelled,
            Operation::Holds,
            Operation::Payment,
            Operation::Payments,
            Operation::Bundle,
            Operation::Recurring,
            Operation::TokenRefresh,
        ])
        .await;
}
