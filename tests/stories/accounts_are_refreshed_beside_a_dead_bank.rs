//! One bank of several is dead, slow or paused. Its own customers learn why their accounts are old; everybody else's are as new as ever,
//! and when it lives again nobody has to do anything.

use bursar::proto::control::v1::{JobRunState, PauseQueueRequest, ResumeQueueRequest};
use bursar::proto::openbanking::v1::{ListAspspsRequest, api_session, freshness};
use bursar::sandbox::{AspspEntry, AspspStep, Behaviour};
use chrono::TimeDelta;

use crate::support::house::customers::{BERLIN, POLISH, iban};
use crate::support::house::{House, Opened, eventually};

const EACH: u32 = 6;

/// So many customers at each bank.
async fn populated(house: House) -> Opened {
    // All of them in one batch.
    let house = house.with_aspsps().with("timetable.sync_update.batch_size", "100").open().await;
    let customers = house.customers();
    for user in 0..EACH {
        for (place, at) in (0..).zip([BERLIN, POLISH]) {
            let (name, number) = (format!("{at}-{user}"), iban(user * 2 + place));
            customers.puts(&name).await;
            customers.allows(house.world(), &name, at, &[&number]).await;
            let made = house.world().aspsp().now() - TimeDelta::hours(1);
            house.aspsp(at).put_entry(&number, AspspEntry::booked("item-1", 100, made));
        }
    }
    house
}

async fn freshness_at(house: &Opened, at: &str) -> Vec<(freshness::State, String)> {
    let mut found = Vec::new();
    for user in 0..EACH {
        for account in house.customers().accounts(&format!("{at}-{user}")).await {
            let freshness = account.freshness.expect("freshness");
            found.push((freshness.state(), freshness.reason));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_is_gone_delays_nobody_else_and_is_made_up_for_by_the_next_run() {
    let house = populated(House::new()).await;
    let customers = house.customers();
    house.aspsp(POLISH).shut().await;
    let run = customers.syncs().await;
    assert_eq!(run.state(), JobRunState::Completed, "{run:?}");
    let sessions = customers.sessions(&run).await;
    assert_eq!(sessions.len(), 2 * EACH as usize, "{sessions:?}");
    for session in &sessions {
        let expected =
            if session.aspsp == BERLIN { api_session::State::Ok } else { api_session::State::Failed };
        assert_eq!(session.state(), expected, "{session:?}");
        assert_eq!(session.reason.starts_with("aspsp_unavailable"), session.aspsp == POLISH, "{session:?}");
    }
    let fresh = freshness_at(&house, BERLIN).await;
    assert!(fresh.len() == EACH as usize && fresh.iter().all(|(state, _)| *state == freshness::State::Fresh));
    for (state, reason) in freshness_at(&house, POLISH).await {
        assert_ne!(state, freshness::State::Fresh);
        assert!(reason.starts_with("aspsp_unavailable"), "{reason}");
    }

    house.aspsp(POLISH).reopen();
    // Its breaker lets somebody through after a while, and then everybody.
    eventually("everybody is refreshed", async || {
        customers.syncs().await;
        let fresh = freshness_at(&house, POLISH).await;
        fresh.iter().all(|(state, _)| *state == freshness::State::Fresh).then_some(())
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_never_answers_is_waited_for_once_and_the_others_are_done_meanwhile() {
    let house = populated(House::new().with("openbanking.aspsps.polish.timeout", "2s")).await;
    let customers = house.customers();
    for step in [AspspStep::Transactions, AspspStep::Token, AspspStep::Accounts] {
        house.aspsp(POLISH).always(step, Behaviour::Hang);
    }
    let begun = customers.begins("sync_update").await;
    // While the one bank still keeps its visitors waiting, all of the other's have been there.
    eventually("the other bank's customers are refreshed", async || {
        let fresh = freshness_at(&house, BERLIN).await;
        let all =
            fresh.len() == EACH as usize && fresh.iter().all(|(state, _)| *state == freshness::State::Fresh);
        all.then_some(())
    })
    .await;
    let open = customers.sessions(&begun).await;
    assert!(
        open.iter().any(|session| session.state() == api_session::State::Open && session.aspsp == POLISH)
    );
    let run = customers.sees_end(&begun.id).await;
    assert_eq!(run.state(), JobRunState::Completed);
    let sessions = customers.sessions(&run).await;
    let failed = sessions.iter().filter(|session| session.state() == api_session::State::Failed).count();
    assert_eq!(failed, EACH as usize, "{sessions:?}");
    house.world().script().release();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_an_operator_pauses_is_not_asked_and_is_no_failure() {
    let house = populated(House::new()).await;
    let customers = house.customers();
    let (name, reason) = ("aspsp/polish".to_owned(), "they move house".to_owned());
    let pause = PauseQueueRequest { name: name.clone(), reason: reason.clone() };
    house.operator().control.pause_queue(pause).await.expect("a pause");
    is_heeded(&house, &reason).await;
    let run = customers.syncs().await;
    assert_eq!(house.aspsp(POLISH).asked(AspspStep::Transactions), 0);
    for session in customers.sessions(&run).await {
        let expected =
            if session.aspsp == BERLIN { api_session::State::Ok } else { api_session::State::Cancelled };
        assert_eq!(session.state(), expected, "{session:?}");
    }
    for (state, why) in freshness_at(&house, POLISH).await {
        assert!(state != freshness::State::Fresh && why.contains(&reason), "{why}");
    }

    house
        .operator()
        .control
        .resume_queue(ResumeQueueRequest { name, ..Default::default() })
        .await
        .expect("an end of it");
    is_heeded(&house, "").await;
    customers.syncs().await;
    assert_eq!(house.aspsp(POLISH).asked(AspspStep::Transactions), u64::from(EACH));
    house.close().await;
}

/// Waits until the process knows why the bank is paused; for nothing, that it is not.
async fn is_heeded(house: &Opened, reason: &str) {
    eventually("the pause is known", async || {
        let answer =
            house.customers().syncs.clone().list_aspsps(ListAspspsRequest {}).await.ok()?.into_inner();
        let bank = answer.aspsps.into_iter().find(|bank| bank.name == POLISH)?;
        (bank.pause_reason == reason).then_some(())
    })
    .await;
}
