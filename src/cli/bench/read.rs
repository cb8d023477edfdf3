//! What reading costs: one boleto by its id, after another.
//!
//! **Owns** nothing beyond its run. **Fails** with the first call that fails. **Limits**: the peer is the health check,
//! which is the least that a call can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::load::Load;
use super::process::resident_mib;
use super::report::{Begun, Bound, Row};
use super::shop::Shop;
use super::site::{Service, Site, World, settings};
use super::{Bench, Store};
use crate::proto::boleto::v1 as boleto;
use crate::proto::boleto::v1::boleto_service_client::BoletoServiceClient;

const RAMP: Duration = Duration::from_millis(500);
/// Boletos that are read by their ids, in turn.
const READ: usize = 1_000;
/// Boletos that are asked for at a time while they are made.
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
