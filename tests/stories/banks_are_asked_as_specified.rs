//! Whatever a house asks banks of open banking, by its own timetable and on its own bad days, a validating proxy of others reads along with
//! the public specifications: not one request or answer may break them, and none may pass by the proxy.
//!
//! Without the specifications (`BURSAR_SPECS`) nobody can judge, and the test says so.

use std::time::Duration;

use bursar::proto::control::v1::JobRunState;
use bursar::proto::openbanking::v1::NewPayment;
use bursar::proto::openbanking::v1::payment::{Kind, State};
use bursar::sandbox::{AspspEntry, AspspPayment, AspspRules, AspspStep};
use chrono::TimeDelta;

use crate::support::house::customers::{BERLIN, POLISH, iban};
use crate::support::house::{House, Opened};
use crate::support::prism::{Prism, Verdict, specification};

/// A house that knows the bank at this address by the proxy alone.
async fn behind(at: &str, file: &str) -> Option<(Opened, Prism)> {
    let specification = specification(file)?;
    let house = House::new().with_aspsps().with("openbanking.sync.holds", "true");
    let surroundings = house.prepare().await;
    let upstream = &surroundings.world.addresses().aspsps[usize::from(at == POLISH)].url;
    let prism = Prism::before(upstream, &specification).await;
    let house = surroundings.with(&format!("openbanking.aspsps.{at}.base_url"), &prism.url).open().await;
    Some((house, prism))
}

/// A customer with two accounts of three pages, whose token has just ended.
async fn syncs(house: &Opened, at: &'static str) {
    let (customers, bank, now) = (house.customers(), house.aspsp(at), house.world().aspsp().now());
    bank.set_rules(AspspRules { page_size: 4, ..AspspRules::default() });
    customers.puts("anna").await;
    let numbers = [iban(1), iban(2)];
    let allowed = customers.allows(house.world(), "anna", at, &[&numbers[0], &numbers[1]]).await;
    for number in &numbers {
        for item in 1..=10 {
            let made = now - TimeDelta::hours(100 - item);
            bank.put_entry(number, AspspEntry::booked(&format!("item-{item}"), item, made));
        }
        bank.put_entry(number, AspspEntry::pending("later", -500, now, now + TimeDelta::hours(9)));
        bank.put_entry(number, AspspEntry::held("card", -700, now, now + TimeDelta::hours(9)));
    }
    bank.end_access(&allowed.name);
    let run = customers.syncs().await;
    assert_eq!((run.state(), run.counts["transactions_new"]), (JobRunState::Completed, 20), "{run:?}");
    // What goes wrong is asked for as rightly as the rest.
    bank.set_rules(AspspRules { reads_max: Some(0), ..AspspRules::default() });
    assert_eq!(customers.syncs().await.state(), JobRunState::RateLimited);
    bank.set_rules(AspspRules::default());
    bank.set_consent_status(&allowed.name, Some("revokedByPsu"));
    customers.syncs().await;
}

/// One payment for each of these services of the Berlin Group's; in PolishAPI two single ones.
async fn polls(house: &Opened, at: &str, services: &[&str]) {
    let bank = house.aspsp(at);
    let consent = bursar::sandbox::AspspConsent::of("payments", &[], house.world().aspsp().now());
    let token = bank.put_consent(consent).access;
    let mut tracked = Vec::new();
    for (number, service) in services.iter().enumerate() {
        let id = format!("payment-{number}");
        let settling = AspspPayment::settling(&id, &[(Duration::ZERO, "ACSC")]);
        let consent = Some("payments".to_owned());
        bank.put_payment(AspspPayment { consent, service: (*service).to_owned(), ..settling });
        let kind = match *service {
            "bulk-payments" => Kind::Bundle,
            "periodic-payments" => Kind::Recurring,
            _ => Kind::Single,
        };
        let product = if at == BERLIN { format!("{service}/sepa-credit-transfers") } else { String::new() };
        let (aspsp, access_token) = (at.to_owned(), token.clone());
        tracked.push(NewPayment {
            aspsp,
            kind: kind.into(),
            external_id: id,
            product,
            access_token,
            ..NewPayment::default()
        });
    }
    // One that the bank does not know, and one by a token that it does not take.
    let odd = |id: &str, token: &str| NewPayment {
        external_id: id.to_owned(),
        access_token: token.to_owned(),
        kind: Kind::Single.into(),
        ..tracked[0].clone()
    };
    let odd = [odd("unheard-of", &token), odd("locked", "no-token-of-theirs")];
    let ids = house.customers().tracks(tracked.iter().cloned().chain(odd).collect()).await;
    house.customers().polls().await;
    for (number, id) in ids.iter().enumerate() {
        let payment = house.customers().payment(id).await;
        let expected = if number < services.len() { State::Done } else { State::InProgress };
        assert_eq!(payment.state(), expected, "{payment:?}");
    }
}

/// The proxy has seen all that the bank has answered, and has nothing to say.
async fn judged(house: Opened, prism: Prism, passes_by: impl Fn(AspspStep) -> bool) {
    let received = house.world().aspsp().count(|call| !passes_by(call.step));
    assert_eq!(house.world().aspsp().complaints(), [""; 0]);
    house.close().await;
    assert_eq!(prism.verdict().await, Verdict { received, faults: Vec::new() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_of_the_berlin_group() {
    let Some((house, prism)) = behind(BERLIN, "derived/bg-1.3.11-mock.yaml").await else { return };
    syncs(&house, BERLIN).await;
    polls(&house, BERLIN, &["payments", "bulk-payments", "periodic-payments"]).await;
    // No specification has its token endpoint, so that it is asked without the proxy.
    judged(house, prism, |step| step == AspspStep::Token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_of_polish_api() {
    let Some((house, prism)) = behind(POLISH, "derived/pl-2_1_2-mock.json").await else { return };
    syncs(&house, POLISH).await;
    polls(&house, POLISH, &["payments", "payments"]).await;
    judged(house, prism, |_| false).await;
}
