//! What reading costs: one boleto by its id, and the first and the last page of a long list.
//!
//! **Owns** nothing beyond its run. **Fails** with the first call that fails. **Limits**: the long list is written
//! straight into the store before the service starts, 64 boletos a transaction, with registrations that are not due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

use super::load::Load;
use super::process::resident_mib;
use super::report::{Begun, Bound, Row, median};
use super::shop::Shop;
use super::site::{Service, Site, World, settings};
use super::{Bench, Store};
use crate::domain::bank_account::{BankAccount, Beneficiary, Provider};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::ids::{BankAccountId, BoletoId, EventId, TenantId, WorkId};
use crate::domain::money::Cents;
use crate::domain::payer::{Address, Payer};
use crate::domain::tax_id::TaxId;
use crate::domain::work::{NewWork, kind};
use crate::proto::boleto::v1 as boleto;
use crate::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use crate::store::boleto::{BoletoDraft, Created, Notify};
use crate::store::{Store as House, StoreConfig};

const RAMP: Duration = Duration::from_millis(500);
/// Boletos that are read by their ids, in turn.
const READ: usize = 1_000;
const PAGE: i32 = 50;
const GROUP: usize = 64;

/// `GetBoleto`, beside the health check, which is the least that a call can be.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let site = Site::make(bench, store).await?;
    let world = World::start(&site).await?;
    let service =
        Service::start(&site, &settings(&site, Some(&world.addresses), false), &bench.args.set).await?;
    let shop = Shop::open(&service, bench.args.connections, &world.addresses.queue_url).await?;
    let ids = create_some(&shop).await?;
    let meters = service.meters(bench, &site, Some(&world));
    let load = Load { in_flight: bench.args.in_flight, ramp: RAMP, window: bench.window() };
    let (mut gets, mut checks) = (Vec::new(), Vec::new());
    for _ in 0..bench.args.rounds {
        let caller = shop.clone();
        let check = move |task| {
            let mut client = HealthClient::new(caller.channel(task));
            async move { Ok(client.check(HealthCheckRequest::default()).await.map(drop)?) }
        };
        checks.push(load.drive(&meters, check).await?.rate());
        let (caller, ids, next) = (shop.clone(), ids.clone(), Arc::new(AtomicUsize::new(0)));
        let get = move |task| {
            let mut client = BoletoServiceClient::new(caller.channel(task));
            let id = ids[next.fetch_add(1, Ordering::Relaxed) % ids.len()].clone();
            async move { Ok(client.get_boleto(boleto::GetBoletoRequest { id }).await.map(drop)?) }
        };
        gets.push(load.drive(&meters, get).await?);
    }
    let resident = resident_mib(service.pid(), true);
    service.close().await?;
    let row = Row::of_calls("GetBoleto", store.name(), &gets, &begun)
        .against("health check", &checks)
        .resident(resident)
        .result_goal(Bound::AtLeast(8_000.0));
    Ok(vec![row])
}

async fn create_some(shop: &Shop) -> anyhow::Result<Arc<[String]>> {
    let mut ids = Vec::with_capacity(READ);
    while ids.len() < READ {
        let several = (0..GROUP).map(|task| shop.create(task));
        ids.extend(futures_util::future::try_join_all(several).await?);
    }
    Ok(ids.into())
}

/// The last page of a long list beside its first.
pub(super) async fn measure_list(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
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
        let stride = (left - PAGE as usize).min(500);
        let page = page_of(channel, i32::try_from(stride)?, &token).await?;
        ensure!(page.boletos.len() == stride, "the list ends {left} boletos early");
        left -= stride;
        token = page.next_page_token;
    }
    let last = page_of(channel, PAGE, &token).await?;
    ensure!(last.boletos.len() == left && last.next_page_token.is_empty(), "the last page is not the last");
    Ok(token)
}

/// Fills a store that no service has open.
async fn fill(site: &Site, boletos: usize) -> anyhow::Result<()> {
    let config = StoreConfig { url: site.store_url(), connections_max: 4, timeout: Duration::from_secs(30) };
    let store = House::open(&config).await.context("cannot open the store to fill it")?;
    let account = account();
    for first in (0..boletos).step_by(GROUP) {
        let drafts: Vec<BoletoDraft> =
            (first..boletos.min(first + GROUP)).map(|number| draft(&account, number)).collect();
        for created in store.create_boletos(&drafts).await {
            ensure!(matches!(created?, Created::New { .. }), "the store refused a boleto of the list");
        }
    }
    store.close().await.context("cannot close the filled store")
}

fn account() -> BankAccount {
    let now = now();
    BankAccount {
        id: BankAccountId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        external_id: None,
        display_name: "Bench account".to_owned(),
        beneficiary: Beneficiary { name: "Loja Exemplo Ltda".to_owned(), tax_id: tax_id("11222333000181") },
        issuer: Issuer::BancoDoBrasil {
            convenio: "3128557".to_owned(),
            carteira: "17".to_owned(),
            variacao: "035".to_owned(),
            agency: None,
            account: None,
        },
        provider: Provider::BancoDoBrasil,
        credentials: BTreeMap::new(),
        is_default: false,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn draft(account: &BankAccount, number: usize) -> BoletoDraft {
    let (id, now) = (BoletoId(Uuid::now_v7()), now());
    BoletoDraft {
        id,
        event_id: EventId(Uuid::now_v7()),
        tenant_id: account.tenant_id.clone(),
        request: None,
        bank_account_id: account.id,
        issuer: account.issuer.clone(),
        amount: Cents(12_590),
        due_date: (now + chrono::Days::new(10)).date_naive(),
        payer: payer(),
        instructions: None,
        reference_id: Some(format!("order {number}")),
        token: None,
        notify: Notify::Nobody,
        work: NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: account.tenant_id.clone(),
            kind: kind::BOLETO_REGISTER,
            queue: format!("registration/banco_do_brasil/{}", account.id),
            priority: 0,
            // Nobody shall register them while the list is read.
            run_at: now + chrono::Days::new(365),
            attempts_max: 5,
            unique_key: Some(format!("register:{id}")),
            subject_id: id.0,
            payload: "{}".to_owned(),
            traceparent: None,
            claimed_by: None,
            sent_at: None,
            created_at: now,
        },
        now,
    }
}

fn payer() -> Payer {
    Payer {
        name: "Maria Exemplo".to_owned(),
        tax_id: tax_id("52998224725"),
        address: Address {
            street: "Rua das Flores".to_owned(),
            number: "308".to_owned(),
            complement: String::new(),
            district: "Centro".to_owned(),
            city: "Recife".to_owned(),
            state: "PE".to_owned(),
            postal_code: "50030230".to_owned(),
        },
    }
}

fn tax_id(text: &str) -> TaxId {
    TaxId::parse(text).expect("both numbers above check")
}

/// Now, to the microsecond that the store keeps.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).expect("now is within range")
}
