//! A person who paid long ago asks to be forgotten. What the law wants kept is kept, and once nobody may want it the payer is gone for
//! good, while the books still add up.

use bursar::proto::boleto::v1 as proto;
use bursar::proto::boleto::v1::BoletoStatus;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::house::{House, Opened, Refusal as _, a_boleto};

async fn erases(house: &Opened, id: &str, request_id: &str) -> Result<proto::Boleto, Status> {
    let request = proto::EraseBoletoRequest {
        id: id.to_owned(),
        reason: "asked for by the person".to_owned(),
        request_id: request_id.to_owned(),
    };
    let answer = house.shop().boletos.erase_boleto(request).await?.into_inner();
    Ok(answer.boleto.expect("the boleto in the answer"))
}

fn why(status: &Status) -> (Code, String) {
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_law_wants_kept_is_kept_and_then_the_payer_is_gone_for_good() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::Registered);
    let open = erases(&house, &boleto.id, "r-1").await.expect_err("it may still be paid");
    assert_eq!(why(&open), (Code::FailedPrecondition, "BOLETO_STILL_OPEN".to_owned()));
    house.ages(&boleto.id, "paid", "updated_at_us").await;
    let young = erases(&house, &boleto.id, "r-2").await.expect_err("it was paid just now");
    assert_eq!(why(&young), (Code::FailedPrecondition, "KEPT_BY_LAW".to_owned()));
    house.ages(&boleto.id, "paid", "1262347200000000").await;

    let erased = erases(&house, &boleto.id, "r-3").await.expect("it was paid in 2010");
    assert!(erased.erased && erased.payer.is_none() && erased.instructions.is_empty());
    assert_eq!((erased.amount_cents, &erased.nosso_numero), (boleto.amount_cents, &boleto.nosso_numero));
    assert_eq!(erases(&house, &boleto.id, "r-3").await.expect("the same request"), erased);
    assert_eq!(erases(&house, &boleto.id, "").await.expect("erased already"), erased);
    let request = proto::RenderBoletoRequest { id: boleto.id.clone(), ..Default::default() };
    let drawn = house.shop().boletos.render_boleto(request).await.expect_err("of nobody");
    assert_eq!(why(&drawn), (Code::FailedPrecondition, "BOLETO_ERASED".to_owned()));

    let missing =
        erases(&house, "0190a2b4-7c5e-7000-8000-000000000000", "").await.expect_err("there is none");
    assert_eq!(missing.code(), Code::NotFound);
    let bad = proto::EraseBoletoRequest { id: "x".to_owned(), ..Default::default() };
    let refused = house.shop().boletos.erase_boleto(bad).await.expect_err("no id, no reason");
    assert_eq!(refused.fields(), ["id", "reason"]);
    house.close().await;
}
