//! A service on a real socket whose answers are scripted, and the command line run against it.

pub mod accounts;
mod audit;
mod control;
pub mod decisions;
pub mod jobs;
pub mod notifications;
pub mod openbanking;
pub mod transfers;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Parser;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::cli::screen::Screen;
use crate::cli::{Cli, Command, Exit, ask, conclude};
use crate::proto::access::v1::audit_service_server::AuditServiceServer;
use crate::proto::boleto::v1 as boleto;
use crate::proto::boleto::v1::bank_account_service_server::BankAccountServiceServer;
use crate::proto::boleto::v1::boleto_service_server::{BoletoService, BoletoServiceServer};
use crate::proto::boleto::v1::*;
use crate::proto::control::v1::control_service_server::ControlServiceServer;
use crate::proto::notification::v1::notification_service_server::NotificationServiceServer;
use crate::proto::openbanking::v1::account_service_server::AccountServiceServer;
use crate::proto::openbanking::v1::consent_service_server::ConsentServiceServer;
use crate::proto::openbanking::v1::payment_service_server::PaymentServiceServer;
use crate::proto::openbanking::v1::sync_service_server::SyncServiceServer;
use crate::proto::openbanking::v1::user_service_server::UserServiceServer;
use crate::proto::transfer::v1::transfer_service_server::TransferServiceServer;

/// A service, and where it listens.
pub struct House {
    pub address: SocketAddr,
    server: Option<JoinHandle<()>>,
}

/// How a command ended and what it wrote.
pub struct Shown {
    pub exit: Exit,
    pub out: String,
    pub err: String,
}

/// Opens the scripted service.
pub async fn house() -> House {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Server::builder()
        .add_service(AuditServiceServer::new(Scripted::default()))
        .add_service(BoletoServiceServer::new(Scripted::default()))
        .add_service(BankAccountServiceServer::new(Scripted::default()))
        .add_service(ControlServiceServer::new(Scripted::default()))
        .add_service(NotificationServiceServer::new(Scripted::default()))
        .add_service(TransferServiceServer::new(Scripted::default()))
        .add_service(UserServiceServer::new(Scripted::default()))
        .add_service(ConsentServiceServer::new(Scripted::default()))
        .add_service(AccountServiceServer::new(Scripted::default()))
        .add_service(SyncServiceServer::new(Scripted::default()))
        .add_service(PaymentServiceServer::new(Scripted::default()))
        .serve_with_incoming(TcpIncoming::from(listener));
    let server = tokio::spawn(async move { serving.await.unwrap() });
    House { address, server: Some(server) }
}

/// An address at which nobody listens any more.
pub async fn nobody() -> House {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    House { address: listener.local_addr().unwrap(), server: None }
}

impl House {
    /// Runs one command and keeps what it wrote.
    pub async fn shows(&self, arguments: &[&str]) -> Shown {
        let address = format!("http://{}", self.address);
        let whole = [&["bursar", "--address", &address], arguments].concat();
        let Cli { global, command } = Cli::try_parse_from(whole).unwrap_or_else(|error| panic!("{error}"));
        let Command::Client(command) = command else { panic!("{arguments:?} opens a house") };
        let (out, err) = (Kept::default(), Kept::default());
        let mut screen = Screen::new(Box::new(out.clone()), Box::new(err.clone()), global.json, false);
        let result = ask(&global, command, &mut screen).await;
        let exit = conclude(result, &mut screen);
        Shown { exit, out: out.text(), err: err.text() }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// A stream that keeps what is written to it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Answer<T> = Result<Response<T>, Status>;

/// A service that counts the slices that it was asked for.
#[derive(Default)]
struct Scripted {
    slices: AtomicUsize,
}

fn unasked<T>() -> Answer<T> {
    Err(Status::unimplemented("no test asks this"))
}

#[tonic::async_trait]
impl BoletoService for Scripted {
    type WatchBoletosStream = Pin<Box<dyn Stream<Item = Result<WatchBoletosResponse, Status>> + Send>>;

    /// Gives back what was asked for, registered; without an amount it is refused with two violations.
    async fn create_boleto(&self, request: Request<CreateBoletoRequest>) -> Answer<CreateBoletoResponse> {
        let request = request.into_inner();
        if request.amount_cents == 0 {
            let mut details = ErrorDetails::with_error_info("INVALID_FIELDS", "bursar", []);
            details.add_bad_request_violation("amount_cents", "must be positive");
            details.add_bad_request_violation("payer", "is required");
            let status = Status::with_error_details(Code::InvalidArgument, "2 fields are invalid", details);
            return Err(status);
        }
        let boleto = Boleto {
            id: "b".to_owned(),
            status: BoletoStatus::Registered.into(),
            amount_cents: request.amount_cents,
            due_date: request.due_date,
            payer: request.payer,
            ..Boleto::default()
        };
        let bank_account_resolution = BankAccountResolution::Default.into();
        Ok(Response::new(CreateBoletoResponse {
            boleto: Some(boleto),
            bank_account_resolution,
            resolved_issuer: None,
        }))
    }

    /// Fails with the code whose number is asked for.
    async fn get_boleto(&self, request: Request<GetBoletoRequest>) -> Answer<GetBoletoResponse> {
        let code = Code::from_i32(request.into_inner().id.parse().unwrap());
        let mut details = ErrorDetails::new();
        if code == Code::ResourceExhausted {
            details.set_retry_info(Some(std::time::Duration::from_secs(2)));
        }
        if code == Code::Internal {
            let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let metadata = [("traceparent".to_owned(), traceparent.to_owned())];
            details.set_error_info("INTERNAL", "bursar", metadata);
        }
        Err(Status::with_error_details(code, "scripted", details))
    }

    /// Three pages of one boleto each.
    async fn list_boletos(&self, request: Request<ListBoletosRequest>) -> Answer<ListBoletosResponse> {
        let next = match request.into_inner().page_token.as_str() {
            "" => "2",
            "2" => "3",
            _ => "",
        };
        let boletos = vec![Boleto::default()];
        Ok(Response::new(ListBoletosResponse { boletos, next_page_token: next.to_owned() }))
    }

    /// Two changes, then a cursor alone, then the end.
    async fn watch_boletos(&self, _: Request<WatchBoletosRequest>) -> Answer<Self::WatchBoletosStream> {
        let change = |cursor: &str| BoletoChange { cursor: cursor.to_owned(), ..BoletoChange::default() };
        let answers = [
            WatchBoletosResponse { changes: vec![change("7"), change("8")], cursor: "8".to_owned() },
            WatchBoletosResponse { changes: Vec::new(), cursor: "9".to_owned() },
        ];
        Ok(Response::new(Box::pin(tokio_stream::iter(answers.map(Ok)))))
    }

    async fn register_boleto(&self, _: Request<RegisterBoletoRequest>) -> Answer<RegisterBoletoResponse> {
        unasked()
    }

    /// Finds one rule broken.
    async fn parse_boleto(&self, _: Request<ParseBoletoRequest>) -> Answer<ParseBoletoResponse> {
        let errors = vec!["general_dv".to_owned()];
        Ok(Response::new(ParseBoletoResponse { valid: false, errors, code: None }))
    }

    async fn amend_boleto(
        &self,
        request: Request<boleto::AmendBoletoRequest>,
    ) -> Answer<boleto::AmendBoletoResponse> {
        decisions::amended(request.into_inner())
    }

    async fn cancel_boleto(
        &self,
        request: Request<boleto::CancelBoletoRequest>,
    ) -> Answer<boleto::CancelBoletoResponse> {
        decisions::cancelled(request.into_inner())
    }

    /// Leaves nothing but its id.
    async fn erase_boleto(
        &self,
        request: Request<boleto::EraseBoletoRequest>,
    ) -> Answer<boleto::EraseBoletoResponse> {
        let id = request.into_inner().id;
        let boleto = boleto::Boleto { id, erased: true, ..boleto::Boleto::default() };
        Ok(Response::new(boleto::EraseBoletoResponse { boleto: Some(boleto) }))
    }

    /// Gives back what was paid, named after the request.
    async fn record_payment(
        &self,
        request: Request<boleto::RecordPaymentRequest>,
    ) -> Answer<boleto::RecordPaymentResponse> {
        let request = request.into_inner();
        let payment = boleto::Payment {
            amount_cents: request.paid_amount_cents,
            payment_id: request.request_id,
            ..Default::default()
        };
        let boleto = Some(Boleto { id: request.id, ..Boleto::default() });
        Ok(Response::new(boleto::RecordPaymentResponse { boleto, payment: Some(payment) }))
    }

    /// The same sum on every day.
    async fn quote_boleto(
        &self,
        request: Request<boleto::QuoteBoletoRequest>,
    ) -> Answer<boleto::QuoteBoletoResponse> {
        let on = request.into_inner().on;
        Ok(Response::new(boleto::QuoteBoletoResponse { on, total_cents: 10_216, ..Default::default() }))
    }

    /// The same page for all.
    async fn render_boleto(
        &self,
        _: Request<boleto::RenderBoletoRequest>,
    ) -> Answer<boleto::RenderBoletoResponse> {
        let content = b"a page".to_vec();
        Ok(Response::new(boleto::RenderBoletoResponse { content, ..Default::default() }))
    }

    /// An address for whatever is asked about.
    async fn create_document_link(
        &self,
        request: Request<boleto::CreateDocumentLinkRequest>,
    ) -> Answer<boleto::CreateDocumentLinkResponse> {
        let request = request.into_inner();
        let link = boleto::DocumentLink {
            boleto_id: request.id,
            format: request.format,
            expire_time: request
                .lifetime
                .map(|span| prost_types::Timestamp { seconds: span.seconds, nanos: 0 }),
            ..Default::default()
        };
        let url = "https://pay.example/d/secret".to_owned();
        Ok(Response::new(boleto::CreateDocumentLinkResponse { link: Some(link), url }))
    }

    /// Two links each time.
    async fn revoke_document_links(
        &self,
        _: Request<boleto::RevokeDocumentLinksRequest>,
    ) -> Answer<boleto::RevokeDocumentLinksResponse> {
        Ok(Response::new(boleto::RevokeDocumentLinksResponse { revoked: 2 }))
    }

    /// Makes those that have an amount, each under its reference.
    async fn batch_create_boletos(
        &self,
        request: Request<boleto::BatchCreateBoletosRequest>,
    ) -> Answer<boleto::BatchCreateBoletosResponse> {
        use boleto::batch_create_result::Result as ItemResult;
        let result = |request: CreateBoletoRequest| match request.amount_cents {
            0 => ItemResult::Error(boleto::BatchError {
                code: Code::InvalidArgument.into(),
                reason: "INVALID_FIELDS".to_owned(),
                ..Default::default()
            }),
            _ => ItemResult::Created(CreateBoletoResponse {
                boleto: Some(Boleto { id: request.reference_id, ..Boleto::default() }),
                ..Default::default()
            }),
        };
        let results = request.into_inner().requests.into_iter().map(result);
        let results = results.map(|result| boleto::BatchCreateResult { result: Some(result) }).collect();
        Ok(Response::new(boleto::BatchCreateBoletosResponse { results }))
    }

    async fn resolve_boleto(
        &self,
        request: Request<boleto::ResolveBoletoRequest>,
    ) -> Answer<boleto::ResolveBoletoResponse> {
        decisions::resolved(request.into_inner())
    }

    async fn get_boleto_history(
        &self,
        request: Request<boleto::GetBoletoHistoryRequest>,
    ) -> Answer<boleto::GetBoletoHistoryResponse> {
        decisions::history(request.into_inner())
    }

    type ExportBoletosStream =
        Pin<Box<dyn Stream<Item = Result<boleto::ExportBoletosResponse, Status>> + Send>>;

    /// Three boletos in two messages, and there the service goes away.
    async fn export_boletos(
        &self,
        _: Request<boleto::ExportBoletosRequest>,
    ) -> Answer<Self::ExportBoletosStream> {
        let message = |ids: &[&str]| {
            let boletos = ids.iter().map(|id| Boleto { id: (*id).to_owned(), ..Boleto::default() });
            Ok(boleto::ExportBoletosResponse { boletos: boletos.collect() })
        };
        let messages = [message(&["a", "b"]), message(&["c"]), Err(Status::unavailable("gone"))];
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }
}
