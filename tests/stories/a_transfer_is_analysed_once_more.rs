//! Somebody has a transfer analysed once more. What was found before is kept, the feed gets the new result, and owners hear of it
//! only where that was asked for. Or somebody has it erased: then nothing is left but the fact, and it is not analysed again.

use bursar::proto::notification::v1::{ListEndpointsRequest, ResendDeliveryRequest};
use bursar::proto::transfer::v1::answer::Outcome;
use bursar::proto::transfer::v1::transfer::State;
use bursar::proto::transfer::v1::{Answer, GetAnalysisRequest};
use serde_json::json;
use tonic::Code;

use crate::support::house::feed::{score, speech};
use crate::support::house::{House, Opened};

const KEY: &str = "-Nsample0000000000A1";

async fn answers(house: &Opened, id: &str, run: i32) -> Vec<Answer> {
    let request =
        GetAnalysisRequest { id: id.to_owned(), run, reason: "a question".to_owned(), ..Default::default() };
    let answer = house.operator().transfers.clone().get_analysis(request).await;
    answer.expect("an analysis").into_inner().answers
}

/// Has the transfer recorded and analysed, and returns its id and what the feed was told.
async fn analysed(house: &Opened) -> (String, String) {
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    let result = house.feed().offers(KEY, 2);
    let done = house.operator().sees_transfer(KEY, State::Done).await;
    let news = house.feed().owners_hear(KEY, 1).await;
    assert_eq!(news[0]["event_type"], "transfer.done");
    assert_eq!(news[0]["data"]["result"], *result);
    (done.id, result)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_earlier_run_is_kept_and_owners_hear_of_the_new_one_if_that_is_wished() {
    let house = House::new().with_feed("main").open().await;
    let (id, first) = analysed(&house).await;
    let scores_before: Vec<_> = answers(&house, &id, 1).await.iter().map(Answer::vendor_risk_score).collect();

    // The second answer turns out to be silence.
    house.feed().keeps(KEY, 1, vec![0; 400]);
    let again = house.operator().reprocesses(&id, false, "once-more").await.expect("it has ended");
    assert_eq!(again.transfers, 1);
    house.operator().sees_all_work_done().await;
    let found = house.operator().finds_transfer(KEY).await;
    let results: Vec<(i32, &str)> = found.runs.iter().map(|run| (run.number, run.result.as_str())).collect();
    let kept_score = score(&speech(&format!("answer 0 of {KEY}"))).expect("somebody speaks");
    let second = format!("{kept_score}|");
    assert_eq!(results, [(1, first.as_str()), (2, second.as_str())]);
    assert_eq!(house.feed().record(KEY)["resultado"], second);
    let outcomes: Vec<Outcome> = answers(&house, &id, 2).await.iter().map(Answer::outcome).collect();
    assert_eq!(outcomes, [Outcome::Scored, Outcome::NoSpeech]);
    let kept: Vec<_> = answers(&house, &id, 1).await.iter().map(Answer::vendor_risk_score).collect();
    assert_eq!(kept, scores_before);
    assert_eq!(house.feed().news(KEY).len(), 1, "nobody wished that owners hear of it");

    let same = house.operator().reprocesses(&id, false, "once-more").await.expect("the same request");
    assert_eq!(same.transfers, 1);
    let told = house.operator().reprocesses(&id, true, "").await.expect("it has ended");
    assert_eq!(told.transfers, 1);
    let news = house.feed().owners_hear(KEY, 2).await;
    house.operator().sees_all_work_done().await;
    assert_eq!(house.operator().finds_transfer(KEY).await.runs.len(), 3, "the same request made no run");
    assert_eq!(news[1]["data"]["vendor_risk_scores"], json!([kept_score, null]));
    assert_eq!(news[1]["data"]["run"], 3);
    assert!(news[1]["version"].as_i64() > news[0]["version"].as_i64());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_is_gone_and_is_not_analysed_again() {
    let house = House::new().with_feed("main").open().await;
    let (id, _) = analysed(&house).await;
    house.operator().sees_all_work_done().await;
    let news = house.feed().news(KEY).remove(0);
    let listed = house.operator().endpoints.clone().list_endpoints(ListEndpointsRequest::default()).await;
    let endpoint = listed.expect("a list").into_inner().endpoints.remove(0);
    let erased = house.operator().erases(&id).await.expect("nothing works on it");
    assert_eq!(erased.state(), State::Erased);
    assert_eq!((erased.key.as_str(), erased.person_key.as_str(), erased.company_key.as_str()), (KEY, "", ""));
    assert!(erased.run.is_none() && erased.record_time.is_none(), "{erased:?}");
    let found = house.operator().finds_transfer(KEY).await;
    assert!(found.runs.is_empty() && found.answers.is_empty(), "{found:?}");
    let again = house.operator().reprocesses(&id, false, "").await.expect_err("nothing is left to analyse");
    assert_eq!(again.code(), Code::FailedPrecondition);
    let resend = ResendDeliveryRequest {
        endpoint_id: endpoint.id,
        subject_id: id,
        event_id: news["event_id"].as_str().expect("an id").to_owned(),
        reason: "asked for".to_owned(),
        ..ResendDeliveryRequest::default()
    };
    let resent = house.operator().endpoints.clone().resend_delivery(resend).await;
    assert_eq!(resent.expect_err("nothing is left to tell").code(), Code::NotFound);

    house.feed().puts(&format!("Transfer/{KEY}/processed"), json!(false));
    let other = house.feed().offers("-Nsample0000000000A2", 1);
    assert_eq!(house.feed().is_told("-Nsample0000000000A2").await["resultado"], other);
    house.operator().sees_all_work_done().await;
    assert_eq!(house.feed().analysed(KEY), 2, "as before");
    assert_eq!(
        house.operator().finds_transfer(KEY).await.transfer.map(|found| found.state()),
        Some(State::Erased)
    );
    house.close().await;
}
