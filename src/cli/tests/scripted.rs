//! A service on a real socket whose answers are scripted, and the command line run against it.

pub mod accounts;
pub mod decisions;
pub mod notifications;
pub mod transfers;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
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
use crate::proto::boleto::v1 as boleto;
use crate::proto::boleto::v1::bank_account_service_server::BankAccountServiceServer;
use crate::proto::boleto::v1::boleto_service_server::{BoletoService, BoletoServiceServer};
use crate::proto::boleto::v1::*;
use crate::proto::control::v1::control_service_server::{ControlService, ControlServiceServer};
use crate::proto::control::v1::*;
use crate::proto::notification::v1::notification_service_server::NotificationServiceServer;
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
        .add_service(BoletoServiceServer::new(Scripted::default()))
        .add_service(BankAccountServiceServer::new(Scripted::default()))
        .add_service(ControlServiceServer::new(Scripted::default()))
        .add_service(NotificationServiceServer::new(Scripted::default()))
        .add_service(TransferServiceServer::new(Scripted::default()))
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

#[tonic::async_trait]
impl ControlService for Scripted {
    type WatchTreeStream = Pin<Box<dyn Stream<Item = Result<WatchTreeResponse, Status>> + Send>>;

    /// The same picture twice, then the end.
    async fn watch_tree(&self, _: Request<WatchTreeRequest>) -> Answer<Self::WatchTreeStream> {
        let picture = || Ok(WatchTreeResponse { root: Some(crate::cli::render::node::tests::house()) });
        Ok(Response::new(Box::pin(tokio_stream::iter([picture(), picture()]))))
    }

    /// One that lives, answers and holds an office, and one that died.
    async fn list_processes(&self, _: Request<ListProcessesRequest>) -> Answer<ListProcessesResponse> {
        let office = Office { name: "archiver".to_owned(), term: 3, time: None };
        let alive = Process {
            name: "host:1".to_owned(),
            state: ProcessState::Alive.into(),
            in_hand: 5,
            places: 64,
            offices: vec![office],
            answering: true,
            ..Process::default()
        };
        let dead =
            Process { name: "host:2".to_owned(), state: ProcessState::Dead.into(), ..Process::default() };
        Ok(Response::new(ListProcessesResponse { processes: vec![alive, dead] }))
    }

    /// One queue, held back by a prefix, whose party does not answer.
    async fn list_queues(&self, _: Request<ListQueuesRequest>) -> Answer<ListQueuesResponse> {
        let queue = Queue {
            name: "registration/banco_do_brasil/1".to_owned(),
            pause: Some(QueuePause {
                name: "registration/".to_owned(),
                reason: "maintenance".to_owned(),
                time: None,
            }),
            available: 7,
            oldest_due_age: Some(prost_types::Duration { seconds: 61, nanos: 500_000_000 }),
            breaker: Some(Breaker { state: BreakerState::Open.into(), failures: 5, probe_time: None }),
            ..Queue::default()
        };
        Ok(Response::new(ListQueuesResponse { queues: vec![queue], next_page_token: String::new() }))
    }

    /// Gives back what was asked for.
    async fn pause_queue(&self, request: Request<PauseQueueRequest>) -> Answer<PauseQueueResponse> {
        let PauseQueueRequest { name, reason } = request.into_inner();
        Ok(Response::new(PauseQueueResponse { pause: Some(QueuePause { name, reason, time: None }) }))
    }

    async fn resume_queue(&self, _: Request<ResumeQueueRequest>) -> Answer<ResumeQueueResponse> {
        Ok(Response::new(ResumeQueueResponse { was_paused: true }))
    }

    async fn pause_actor(&self, request: Request<PauseActorRequest>) -> Answer<PauseActorResponse> {
        let node = Node { path: request.into_inner().path, note: "paused".to_owned(), ..Node::default() };
        Ok(Response::new(PauseActorResponse { node: Some(node) }))
    }

    async fn resume_actor(&self, _: Request<ResumeActorRequest>) -> Answer<ResumeActorResponse> {
        unasked()
    }

    /// A pool of 16 that has 20 things in hand.
    async fn resize_pool(&self, request: Request<ResizePoolRequest>) -> Answer<ResizePoolResponse> {
        let slots = request.into_inner().slots;
        Ok(Response::new(ResizePoolResponse { slots_before: 16, slots, in_hand: 20 }))
    }

    /// A full slice for the queue `full`, and there the service goes away; one row for others.
    async fn batch_retry_work(
        &self,
        request: Request<BatchRetryWorkRequest>,
    ) -> Answer<BatchRetryWorkResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let asked = self.slices.fetch_add(1, Ordering::SeqCst);
        match (filter.queue.as_str(), asked) {
            ("full", 0 | 1) => Ok(Response::new(BatchRetryWorkResponse {
                retried: 1_000,
                more: true,
                ..BatchRetryWorkResponse::default()
            })),
            ("full", _) => Err(Status::unavailable("gone")),
            (_, asked) => Ok(Response::new(BatchRetryWorkResponse {
                retried: 10,
                in_hand: 2,
                superseded: 1,
                more: asked < 2,
            })),
        }
    }

    async fn batch_cancel_work(&self, _: Request<BatchCancelWorkRequest>) -> Answer<BatchCancelWorkResponse> {
        Ok(Response::new(BatchCancelWorkResponse { cancelled: 4, in_hand: 1, more: false }))
    }

    async fn get_tree(&self, _: Request<GetTreeRequest>) -> Answer<GetTreeResponse> {
        let root = Some(crate::cli::render::node::tests::house());
        let breaker = Breaker { state: BreakerState::HalfOpen.into(), failures: 9, probe_time: None };
        let open = OpenBreaker { queue: "delivery/sqs/1".to_owned(), breaker: Some(breaker) };
        Ok(Response::new(GetTreeResponse { root, open_breakers: vec![open] }))
    }

    /// Knows one actor.
    async fn restart_actor(&self, request: Request<RestartActorRequest>) -> Answer<RestartActorResponse> {
        match request.into_inner().path.as_str() {
            path @ "root.house.notifiers" => {
                let node = Node { path: path.to_owned(), restarts: 1, ..Node::default() };
                Ok(Response::new(RestartActorResponse { node: Some(node) }))
            }
            _ => Err(Status::not_found("no such actor")),
        }
    }

    async fn stop_actor(&self, _: Request<StopActorRequest>) -> Answer<StopActorResponse> {
        unasked()
    }

    async fn start_actor(&self, _: Request<StartActorRequest>) -> Answer<StartActorResponse> {
        unasked()
    }

    async fn list_work(&self, _: Request<ListWorkRequest>) -> Answer<ListWorkResponse> {
        unasked()
    }

    /// One that failed once.
    async fn get_work(&self, request: Request<GetWorkRequest>) -> Answer<GetWorkResponse> {
        let attempt = Attempt { attempt: 1, error: "status 500".to_owned(), ..Attempt::default() };
        let work = Work { id: request.into_inner().id, attempts: vec![attempt], ..Work::default() };
        Ok(Response::new(GetWorkResponse { work: Some(work) }))
    }

    async fn retry_work(&self, _: Request<RetryWorkRequest>) -> Answer<RetryWorkResponse> {
        unasked()
    }

    async fn cancel_work(&self, _: Request<CancelWorkRequest>) -> Answer<CancelWorkResponse> {
        unasked()
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Answer<DrainResponse> {
        unasked()
    }

    /// Never answers.
    async fn get_info(&self, _: Request<GetInfoRequest>) -> Answer<GetInfoResponse> {
        std::future::pending().await
    }
}
