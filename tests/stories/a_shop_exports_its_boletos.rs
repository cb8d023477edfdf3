//! A shop takes all its boletos home: oldest first, each once, over more than one message; an export that was cut off goes on
//! where it ended, and a filter leaves out what is not wanted.

use bursar::proto::boleto::v1::{
    BatchCreateBoletosRequest, Boleto, BoletoStatus, CreateBoletoRequest, ExportBoletosRequest,
    ListBoletosRequest,
};
use tonic::{Code, Status};

use crate::support::database::Kind;
use crate::support::house::{House, Opened, Refusal as _, a_boleto};

async fn exports(
    house: &Opened,
    filter: ListBoletosRequest,
    after_id: &str,
) -> Result<Vec<Vec<Boleto>>, Status> {
    let request =
        ExportBoletosRequest { filter: Some(filter), after_id: after_id.to_owned(), ..Default::default() };
    let mut stream = house.shop().boletos.export_boletos(request).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message.boletos);
    }
    Ok(messages)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_embedded_store() {
    everything_comes_once_and_in_order(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_postgresql() {
    everything_comes_once_and_in_order(Kind::PostgreSql).await;
}

async fn everything_comes_once_and_in_order(kind: Kind) {
    let house = House::new().on(kind).open().await;
    let held = |number: usize| -> CreateBoletoRequest {
        let wanted = a_boleto().called(&number.to_string()).told_to_nobody();
        wanted.with(|request| request.hold_registration = true).into_request()
    };
    let request = BatchCreateBoletosRequest { requests: (0..600).map(held).collect() };
    house.shop().boletos.batch_create_boletos(request).await.expect("a batch");

    let messages = exports(&house, ListBoletosRequest::default(), "").await.expect("an export");
    assert!(messages.len() > 1, "more than one message");
    let all: Vec<Boleto> = messages.concat();
    assert_eq!(all.len(), 600);
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "oldest first, each once");
    let rest = exports(&house, ListBoletosRequest::default(), &all[449].id).await.expect("the rest");
    assert_eq!(rest.concat(), all[450..]);
    let none = exports(&house, ListBoletosRequest::default(), &all[599].id).await.expect("nothing");
    assert!(none.is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_wanted() {
    let house = House::new().open().await;
    let registered = house.shop().creates(a_boleto().called("a")).await;
    let held = a_boleto().called("b").with(|request| request.hold_registration = true);
    let held = house.shop().creates(held).await;
    for (status, boleto) in [(BoletoStatus::Registered, &registered), (BoletoStatus::Issued, &held)] {
        let filter = ListBoletosRequest { statuses: vec![status.into()], ..ListBoletosRequest::default() };
        let found = exports(&house, filter, "").await.expect("an export").concat();
        assert_eq!(found.iter().map(|found| &found.id).collect::<Vec<_>>(), [&boleto.id]);
    }
    let wrong = ListBoletosRequest { due_date_from: "soon".to_owned(), ..ListBoletosRequest::default() };
    let status = exports(&house, wrong, "7").await.expect_err("neither a day nor an id");
    let fields = vec!["after_id".to_owned(), "filter.due_date_from".to_owned()];
    assert_eq!((status.code(), status.fields()), (Code::InvalidArgument, fields));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_counts_as_a_stream() {
    let house = House::new().with("api.streams_per_caller_max", "1").open().await;
    let _watching = house.shop().watches("", "").await.expect("a stream");
    let status = exports(&house, ListBoletosRequest::default(), "").await.expect_err("one too many");
    assert_eq!((status.code(), status.reason().as_str()), (Code::ResourceExhausted, "TOO_MANY_STREAMS"));
    house.close().await;
}
