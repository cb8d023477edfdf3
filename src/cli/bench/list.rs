//! What the last page of a long list costs, beside its first.
//!
//! **Owns** nothing beyond its run. **Fails** with the first call that fails. **Limits**: the list is written straight
//! into the store before the service starts (`fill`); calls go one at a time.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::fill::fill;
use super::report::{Begun, Bound, Row, median};
use super::site::{Service, Site, settings};
use super::{Bench, Store};
use crate::proto::boleto::v1 as boleto;
use crate::proto::boleto::v1::boleto_service_client::BoletoServiceClient;

const PAGE: i32 = 50;
/// The longest page that a service gives unless it is told otherwise.
const STRIDE_MAX: usize = 500;

/// The last page of a long list beside its first.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let site = Site::make(bench, store).await?;
    fill(&site, bench.args.boletos).await?;
    let service = Service::start(&site, &settings(&site, None, false), &bench.args.set).await?;
    let channel = service.connect(1).await?.remove(0);
    let token = token_of_last_page(&channel, bench.args.boletos).await?;
    let slice = (bench.window() / 10).max(Duration::from_millis(100));
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for _ in 0..bench.args.rounds {
        // Short slices in turn, so that what disturbs the machine disturbs both alike.
        let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            firsts.extend(page_times(&channel, "", slice).await?);
            lasts.extend(page_times(&channel, &token, slice).await?);
        }
        first.push(median(&firsts));
        last.push(median(&lasts));
    }
    service.close().await?;
    let name = store.name();
    let last = Row::new("list, last page", name, "ms p50", &last, &begun).against("first page", &first);
    let ratio = last.ratio;
    let boletos = bench.args.boletos;
    let first = Row::new("list, first page", name, "ms p50", &first, &begun)
        .note(format!("{boletos} boletos, written straight into the store; pages of {PAGE}"));
    Ok(vec![first, last.goal("ratio to first page", Bound::AtMost(1.5), ratio)])
}

async fn page_of(channel: &Channel, size: i32, token: &str) -> anyhow::Result<boleto::ListBoletosResponse> {
    let request = boleto::ListBoletosRequest {
        page_size: size,
        page_token: token.to_owned(),
        ..boleto::ListBoletosRequest::default()
    };
    Ok(BoletoServiceClient::new(channel.clone()).list_boletos(request).await?.into_inner())
}

async fn page_times(channel: &Channel, token: &str, slice: Duration) -> anyhow::Result<Vec<f64>> {
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < slice {
        let asked = Instant::now();
        let page = page_of(channel, PAGE, token).await?;
        times.push(asked.elapsed().as_secs_f64() * 1_000.0);
        ensure!(page.boletos.len() == PAGE as usize, "a page holds {} boletos", page.boletos.len());
    }
    Ok(times)
}

/// Walks the list, in long strides as far as they go, and returns where its last full page begins.
async fn token_of_last_page(channel: &Channel, boletos: usize) -> anyhow::Result<String> {
    let mut token = String::new();
    let mut left = boletos;
    while left > PAGE as usize {
        let stride = (left - PAGE as usize).min(STRIDE_MAX);
        let page = page_of(channel, i32::try_from(stride)?, &token).await?;
        ensure!(page.boletos.len() == stride, "the list ends {left} boletos early");
        left -= stride;
        token = page.next_page_token;
    }
    let last = page_of(channel, PAGE, &token).await?;
    ensure!(last.boletos.len() == left && last.next_page_token.is_empty(), "the last page is not the last");
    Ok(token)
}
