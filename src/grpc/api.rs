//! The server, as the first child of the root: first to start, last to stop.
//!
//! It serves gRPC with reflection (both versions that clients ask for) and health. Health tells two things apart: the
//! service `liveness` holds while the process lives, every other name follows the house's readiness.
//!
//! **Owns** the listener and the task that serves it. **Fails** by ending when the task does; a port that is taken is a
//! start failure. **Limits**: `[api]`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{error, info};

use super::audit_service::Audit;
use super::bank_account_service::BankAccounts;
use super::boleto_service::Boletos;
use super::config::ApiConfig;
use super::control_service::Control;
use super::gate::Gate;
use super::incoming::{self, Incoming};
use super::layer::{self, Entrance};
use super::measure;
use super::notification_service::Notifications;
use super::openbanking::account_service::Accounts;
use super::openbanking::consent_service::Consents;
use super::openbanking::payment_service::Payments;
use super::openbanking::sync_service::Syncs;
use super::openbanking::user_service::Users;
use super::patience::{self, Patience};
use super::seats::ApiSeats;
use super::tls::Tls;
use super::token_service::Tokens;
use super::transfer_service::Transfers;
use crate::access::Access;
use crate::access::policy::Policy;
use crate::proto;
use crate::proto::access::v1::audit_service_server::AuditServiceServer;
use crate::proto::access::v1::token_service_server::TokenServiceServer;
use crate::proto::boleto::v1::bank_account_service_server::BankAccountServiceServer;
use crate::proto::boleto::v1::boleto_service_server::BoletoServiceServer;
use crate::proto::control::v1::control_service_server::ControlServiceServer;
use crate::proto::notification::v1::notification_service_server::NotificationServiceServer;
use crate::proto::openbanking::v1::account_service_server::AccountServiceServer;
use crate::proto::openbanking::v1::consent_service_server::ConsentServiceServer;
use crate::proto::openbanking::v1::payment_service_server::PaymentServiceServer;
use crate::proto::openbanking::v1::sync_service_server::SyncServiceServer;
use crate::proto::openbanking::v1::user_service_server::UserServiceServer;
use crate::proto::transfer::v1::transfer_service_server::TransferServiceServer;
use crate::supervision::{Actor, ActorError, ChildSpec, Context, Shutdown};

/// Open calls get so long to end when the server stops; streams that are still open then are cut.
const CLOSING_PATIENCE: Duration = Duration::from_secs(3);
/// Streams that were reset before anybody looked at them; one more ends the connection (CVE-2023-44487).
const RESETS_PENDING_MAX: usize = 20;
/// Streams that we reset because of what came on them; one more ends the connection (CVE-2025-8671).
const RESETS_OF_OURS_MAX: usize = 256;
/// How often readiness is looked at when nobody has said that it changed.
const READINESS_LOOK: Duration = Duration::from_secs(1);
/// The name under which health tells that the process lives.
pub const LIVENESS: &str = "liveness";
/// The services whose health follows readiness.
const SERVICES: [&str; 13] = [
    "",
    "bursar.access.v1.AuditService",
    "bursar.access.v1.TokenService",
    "bursar.boleto.v1.BoletoService",
    "bursar.boleto.v1.BankAccountService",
    "bursar.control.v1.ControlService",
    "bursar.notification.v1.NotificationService",
    "bursar.openbanking.v1.AccountService",
    "bursar.openbanking.v1.ConsentService",
    "bursar.openbanking.v1.PaymentService",
    "bursar.openbanking.v1.SyncService",
    "bursar.openbanking.v1.UserService",
    "bursar.transfer.v1.TransferService",
];

/// What the server is told.
pub enum ApiMessage {
    /// The task that serves has ended by itself.
    Ended(String),
}

/// The server.
pub struct Api {
    close: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    health: JoinHandle<()>,
    /// Looks for revocations.
    access: JoinHandle<()>,
    /// Looks for renewed certificates.
    tls: Option<JoinHandle<()>>,
    /// What is served, for whoever asks for it within the process.
    served: watch::Sender<Option<Routes>>,
}

impl Api {
    /// The server as a child of the root. `bound` is told the address that it listens on, `served` what it serves while it does.
    pub fn spec(
        config: &ApiConfig,
        seats: &ApiSeats,
        access: &Access,
        gate: &Gate,
        bound: watch::Sender<Option<SocketAddr>>,
        served: watch::Sender<Option<Routes>>,
    ) -> ChildSpec {
        let (config, seats, access, gate) = (config.clone(), seats.clone(), access.clone(), gate.clone());
        let (_, spec) = ChildSpec::worker("api", move |context: Context<ApiMessage>| {
            let (config, seats, access) = (config.clone(), seats.clone(), access.clone());
            let (gate, bound, served) = (gate.clone(), bound.clone(), served.clone());
            async move {
                // A port that was free at first stays the port over every restart.
                let wanted = bound.borrow().unwrap_or(config.listen);
                let listener = TcpListener::bind(wanted)
                    .await
                    .map_err(|error| format!("cannot listen on {wanted}: {error}"))?;
                let address = listener.local_addr()?;
                let (reporter, health_service) = tonic_health::server::health_reporter();
                // The reporter begins with SERVING; nobody may be told that before the gate says so.
                report_readiness(&reporter, &gate).await;
                let routes = routes(&config, &seats, &access, &gate, health_service)?;
                let (close, closed) = oneshot::channel();
                let tls = Tls::of(&config.tls)?;
                let incoming = Incoming::new(listener, &config, &seats, tls.clone());
                let server = Server::builder()
                    .http2_keepalive_interval(Some(config.keepalive_interval))
                    .http2_keepalive_timeout(Some(config.keepalive_timeout))
                    .max_concurrent_streams(Some(all_calls(&config)))
                    .http2_max_header_list_size(config.metadata_bytes_max)
                    .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
                    .http2_max_local_error_reset_streams(Some(RESETS_OF_OURS_MAX))
                    .add_routes(routes.clone())
                    .serve_with_incoming_shutdown(incoming, async {
                        // A sender that was dropped closes as well.
                        let _ = closed.await;
                    });
                let myself = context.myself;
                let serving = tokio::spawn(async move {
                    if let Err(error) = server.await {
                        let _ = myself.send(ApiMessage::Ended(error.to_string())).await;
                    }
                });
                let look = gate.clone();
                let health = tokio::spawn(follow_readiness(reporter, gate));
                let access = tokio::spawn(async move {
                    access.follow(|| look.house().ok().map(|house| house.store.clone())).await;
                });
                let tls = tls.map(|tls| tokio::spawn(tls.follow()));
                info!(%address, "listening");
                bound.send_replace(Some(address));
                served.send_replace(Some(routes));
                Ok(Self { close: Some(close), serving, health, access, tls, served })
            }
        });
        spec.shutdown(Shutdown::Timeout(CLOSING_PATIENCE * 2))
    }
}

fn routes(
    config: &ApiConfig,
    seats: &ApiSeats,
    access: &Access,
    gate: &Gate,
    health: tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health>,
) -> Result<Routes, tonic_reflection::server::Error> {
    let bytes_max = config.message_bytes_max;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // Each version tells of both, so that a client learns the same whichever it asks.
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
    };
    let boletos = || Boletos { gate: gate.clone(), seats: seats.clone() };
    // Of the same service one call may be longer; its own route goes before the service's.
    let batches = BoletoServiceServer::new(boletos()).max_decoding_message_size(config.batch_bytes_max);
    let mut routes = Routes::builder();
    routes
        .add_service(BoletoServiceServer::new(boletos()).max_decoding_message_size(bytes_max))
        .add_service(
            BankAccountServiceServer::new(BankAccounts { gate: gate.clone() })
                .max_decoding_message_size(bytes_max),
        )
        .add_service(
            ControlServiceServer::new(Control { gate: gate.clone(), seats: seats.clone() })
                .max_decoding_message_size(bytes_max),
        )
        .add_service(
            NotificationServiceServer::new(Notifications { gate: gate.clone() })
                .max_decoding_message_size(bytes_max),
        )
        .add_service(
            TransferServiceServer::new(Transfers { gate: gate.clone(), seats: seats.clone() })
                .max_decoding_message_size(bytes_max),
        )
        .add_service(
            UserServiceServer::new(Users { gate: gate.clone() }).max_decoding_message_size(bytes_max),
        )
        .add_service(
            ConsentServiceServer::new(Consents { gate: gate.clone() }).max_decoding_message_size(bytes_max),
        )
        .add_service(
            AccountServiceServer::new(Accounts { gate: gate.clone(), seats: seats.clone() })
                .max_decoding_message_size(bytes_max),
        )
        .add_service(
            SyncServiceServer::new(Syncs { gate: gate.clone() }).max_decoding_message_size(bytes_max),
        )
        .add_service(
            PaymentServiceServer::new(Payments { gate: gate.clone(), seats: seats.clone() })
                .max_decoding_message_size(bytes_max),
        )
        .add_service(
            AuditServiceServer::new(Audit { gate: gate.clone() }).max_decoding_message_size(bytes_max),
        )
        .add_service(
            TokenServiceServer::new(Tokens { gate: gate.clone(), access: access.clone() })
                .max_decoding_message_size(bytes_max),
        )
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let entrance = Entrance {
        seats: seats.clone(),
        access: access.clone(),
        policy: Arc::new(Policy::of(proto::DESCRIPTOR_SET)),
        gate: gate.clone(),
    };
    let router = routes
        .routes()
        .into_axum_router()
        .route_service(layer::BATCH, batches)
        .layer(axum::middleware::from_fn(measure::note_trace))
        .layer(axum::middleware::from_fn_with_state(entrance, layer::around))
        // Around everything else: who is let in has a seat for as long as the answer takes to leave.
        .layer(axum::middleware::from_fn_with_state(Patience::new(config, seats), patience::bear))
        // Even around that: what was refused was asked as well.
        .layer(axum::middleware::from_fn(measure::measured))
        .layer(axum::middleware::from_fn(incoming::introduce));
    Ok(Routes::from(router))
}

/// The calls that HTTP/2 lets one connection have at a time; each kind has its own limit besides. It is what bounds the answers that a
/// connection asks for and does not read, so it stays as it was at the start: a reload that raises limits past this sum raises them for all
/// connections together, and not for one.
fn all_calls(config: &ApiConfig) -> u32 {
    config.requests_in_flight_max + config.control_in_flight_max + config.streams_max
}

async fn follow_readiness(reporter: HealthReporter, gate: Gate) {
    reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
    let mut changes = gate.readiness().changes();
    loop {
        report_readiness(&reporter, &gate).await;
        // A lease runs out without anybody saying so.
        if let Ok(Err(_)) = tokio::time::timeout(READINESS_LOOK, changes.changed()).await {
            return;
        }
    }
}

async fn report_readiness(reporter: &HealthReporter, gate: &Gate) {
    let status = match gate.ready() {
        Ok(()) => ServingStatus::Serving,
        Err(_) => ServingStatus::NotServing,
    };
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

impl Actor for Api {
    type Message = ApiMessage;

    async fn handle(&mut self, message: ApiMessage) -> Result<(), ActorError> {
        match message {
            ApiMessage::Ended(why) => {
                error!(error = %why, "server ended");
                Err(why.into())
            }
        }
    }

    async fn stopping(&mut self) {
        if let Some(close) = self.close.take() {
            // The task may have ended by itself.
            let _ = close.send(());
        }
        let _ = tokio::time::timeout(CLOSING_PATIENCE, &mut self.serving).await;
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // Without the task that looks for revocations nobody is to be let in, from within either.
        self.served.send_replace(None);
        self.serving.abort();
        self.health.abort();
        self.access.abort();
        self.tls.iter().for_each(JoinHandle::abort);
    }
}
