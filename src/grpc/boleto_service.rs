//! `BoletoService`: one method each, mostly a question to the store.

use chrono::Utc;
use chrono_tz::America::Sao_Paulo;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::boleto_create::{self, registration_work};
use super::boleto_export::{self, Exported};
use super::boleto_watch::{self, Changes};
use super::convert::boleto as convert;
use super::convert::moment;
use super::gate::Gate;
use super::page_token;
use super::request;
use super::seats::ApiSeats;
use super::status::ApiError;
use super::{
    boleto_amend, boleto_batch, boleto_cancel, boleto_erase, boleto_history, boleto_order, boleto_payment,
    boleto_quote, boleto_render, boleto_resolve, document_link,
};
use crate::domain::boleto::Boleto;
use crate::domain::boleto::parse::parse;
use crate::domain::boleto::status::Status as BoletoStatus;
use crate::domain::ids::BoletoId;
use crate::domain::violation::Violation;
use crate::messages::House;
use crate::messages::bank_accounts::AccountKey;
use crate::proto::boleto::v1 as proto;
use crate::proto::boleto::v1::boleto_service_server::BoletoService;
use crate::store::boleto_list::BoletoFilter;
use crate::store::work_steer::RegisterAgain;

/// Longer codes are no codes.
const CODE_CHARS_MAX: usize = 128;
/// How all ids of the service before began.
const LEGACY_PREFIX: &str = "bol_";
/// Longer texts stand in no boleto.
const FILTER_CHARS_MAX: usize = 255;

/// The service.
pub(super) struct Boletos {
    pub gate: Gate,
    pub seats: ApiSeats,
}

#[tonic::async_trait]
impl BoletoService for Boletos {
    async fn create_boleto(
        &self,
        request: Request<proto::CreateBoletoRequest>,
    ) -> Result<Response<proto::CreateBoletoResponse>, Status> {
        let answer = boleto_create::create(&self.gate, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_boleto(
        &self,
        request: Request<proto::GetBoletoRequest>,
    ) -> Result<Response<proto::GetBoletoResponse>, Status> {
        let id = named(&self.gate, &request.into_inner().id).await?;
        let boleto = find(&self.gate, id).await?;
        let boleto = boleto_order::with_pending(&self.gate, &boleto).await?;
        Ok(Response::new(proto::GetBoletoResponse { boleto: Some(boleto) }))
    }

    async fn list_boletos(
        &self,
        request: Request<proto::ListBoletosRequest>,
    ) -> Result<Response<proto::ListBoletosResponse>, Status> {
        let request = request.into_inner();
        let size = self.gate.page_size(request.page_size)?;
        let filter = filter(&request)?;
        let before = page_token::read(&filter, &request.page_token)?.map(BoletoId);
        let house = self.gate.house()?;
        // One more than asked for tells whether there is another page.
        let found = house
            .store
            .list_boletos(&self.gate.tenant()?, &filter, before, size + 1)
            .await
            .map_err(ApiError::from)?;
        let (page, next) = split_page(&found, size, |boleto| boleto.id.0, &filter);
        let boletos = page.iter().map(convert::to_proto).collect();
        Ok(Response::new(proto::ListBoletosResponse { boletos, next_page_token: next }))
    }

    type WatchBoletosStream = Changes;

    async fn watch_boletos(
        &self,
        request: Request<proto::WatchBoletosRequest>,
    ) -> Result<Response<Self::WatchBoletosStream>, Status> {
        let seat = self.seats.stream(request.remote_addr())?;
        let changes = boleto_watch::watch(&self.gate, request.into_inner(), seat).await?;
        Ok(Response::new(changes))
    }

    async fn register_boleto(
        &self,
        request: Request<proto::RegisterBoletoRequest>,
    ) -> Result<Response<proto::RegisterBoletoResponse>, Status> {
        let id: BoletoId = request::id("id", &request.into_inner().id)?;
        let house = self.gate.house_for_change()?;
        let boleto = register_now(&self.gate, house, id).await?;
        Ok(Response::new(proto::RegisterBoletoResponse { boleto: Some(convert::to_proto(&boleto)) }))
    }

    async fn parse_boleto(
        &self,
        request: Request<proto::ParseBoletoRequest>,
    ) -> Result<Response<proto::ParseBoletoResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Vec::new();
        let reference = request::optional_date("reference_date", &request.reference_date, &mut violations);
        if request.code.is_empty() || request.code.len() > CODE_CHARS_MAX {
            violations.push(Violation::new("code", format!("1 to {CODE_CHARS_MAX} characters")));
        }
        if !violations.is_empty() {
            return Err(ApiError::Invalid(violations).into());
        }
        let reference = reference.unwrap_or_else(|| Utc::now().with_timezone(&Sao_Paulo).date_naive());
        let answer = match parse(&request.code, reference) {
            Ok(parsed) => proto::ParseBoletoResponse {
                valid: true,
                errors: vec![],
                code: Some(convert::parsed_to_proto(parsed)),
            },
            Err(errors) => proto::ParseBoletoResponse {
                valid: false,
                errors: errors.iter().map(|error| error.code().to_owned()).collect(),
                code: None,
            },
        };
        Ok(Response::new(answer))
    }

    async fn amend_boleto(
        &self,
        request: Request<proto::AmendBoletoRequest>,
    ) -> Result<Response<proto::AmendBoletoResponse>, Status> {
        Ok(Response::new(boleto_amend::amend(&self.gate, request.into_inner()).await?))
    }

    async fn cancel_boleto(
        &self,
        request: Request<proto::CancelBoletoRequest>,
    ) -> Result<Response<proto::CancelBoletoResponse>, Status> {
        Ok(Response::new(boleto_cancel::cancel(&self.gate, request.into_inner()).await?))
    }

    async fn erase_boleto(
        &self,
        request: Request<proto::EraseBoletoRequest>,
    ) -> Result<Response<proto::EraseBoletoResponse>, Status> {
        Ok(Response::new(boleto_erase::erase(&self.gate, request.into_inner()).await?))
    }

    async fn record_payment(
        &self,
        request: Request<proto::RecordPaymentRequest>,
    ) -> Result<Response<proto::RecordPaymentResponse>, Status> {
        Ok(Response::new(boleto_payment::record(&self.gate, request.into_inner()).await?))
    }

    async fn quote_boleto(
        &self,
        request: Request<proto::QuoteBoletoRequest>,
    ) -> Result<Response<proto::QuoteBoletoResponse>, Status> {
        Ok(Response::new(boleto_quote::quote(&self.gate, request.into_inner()).await?))
    }

    async fn render_boleto(
        &self,
        request: Request<proto::RenderBoletoRequest>,
    ) -> Result<Response<proto::RenderBoletoResponse>, Status> {
        Ok(Response::new(boleto_render::render(&self.gate, request.into_inner()).await?))
    }

    async fn create_document_link(
        &self,
        request: Request<proto::CreateDocumentLinkRequest>,
    ) -> Result<Response<proto::CreateDocumentLinkResponse>, Status> {
        Ok(Response::new(document_link::create(&self.gate, request.into_inner()).await?))
    }

    async fn revoke_document_links(
        &self,
        request: Request<proto::RevokeDocumentLinksRequest>,
    ) -> Result<Response<proto::RevokeDocumentLinksResponse>, Status> {
        Ok(Response::new(document_link::revoke(&self.gate, request.into_inner()).await?))
    }

    async fn batch_create_boletos(
        &self,
        request: Request<proto::BatchCreateBoletosRequest>,
    ) -> Result<Response<proto::BatchCreateBoletosResponse>, Status> {
        Ok(Response::new(boleto_batch::create(&self.gate, request.into_inner()).await?))
    }

    async fn resolve_boleto(
        &self,
        request: Request<proto::ResolveBoletoRequest>,
    ) -> Result<Response<proto::ResolveBoletoResponse>, Status> {
        Ok(Response::new(boleto_resolve::resolve(&self.gate, request.into_inner()).await?))
    }

    async fn get_boleto_history(
        &self,
        request: Request<proto::GetBoletoHistoryRequest>,
    ) -> Result<Response<proto::GetBoletoHistoryResponse>, Status> {
        Ok(Response::new(boleto_history::history(&self.gate, request.into_inner()).await?))
    }

    type ExportBoletosStream = Exported;

    async fn export_boletos(
        &self,
        request: Request<proto::ExportBoletosRequest>,
    ) -> Result<Response<Self::ExportBoletosStream>, Status> {
        let seat = self.seats.stream(request.remote_addr())?;
        Ok(Response::new(boleto_export::export(&self.gate, request.into_inner(), seat).await?))
    }
}

/// The boleto that is named by its id, or by the one that it had in the service before.
async fn named(gate: &Gate, name: &str) -> Result<BoletoId, ApiError> {
    if !name.starts_with(LEGACY_PREFIX) {
        return request::id("id", name);
    }
    let found = gate.house()?.store.boleto_named(&gate.tenant()?, name).await?;
    found.map(|found| found.id).ok_or(ApiError::NotFound("BOLETO"))
}

/// A tenant's boleto, or that there is none.
pub(super) async fn find(gate: &Gate, id: BoletoId) -> Result<Boleto, ApiError> {
    let stored = gate.house()?.store.boleto(&gate.tenant()?, id).await?;
    stored.map(|stored| stored.boleto).ok_or(ApiError::NotFound("BOLETO"))
}

async fn register_now(gate: &Gate, house: &House, id: BoletoId) -> Result<Boleto, ApiError> {
    let boleto = find(gate, id).await?;
    let key = AccountKey::Id(boleto.bank_account_id);
    let account = house.accounts.find(&boleto.tenant_id, &key).await?;
    let account = account.ok_or(ApiError::NotFound("BANK_ACCOUNT"))?;
    let mut work = registration_work(house, &account, id, request::now());
    // Work that was given up or cancelled before this may have sent bytes, so this one looks before it asks.
    work.sent_at = Some(house.store.now());
    match house.store.register_again(&work).await? {
        RegisterAgain::NotFound => return Err(ApiError::NotFound("BOLETO")),
        RegisterAgain::NotOpen(status) => return Err(ApiError::RegistrationNotOpen(status)),
        RegisterAgain::OrderPending => return Err(ApiError::OrderPending),
        RegisterAgain::Asked => house.hints.there_is_work(&work.queue),
    }
    boleto_create::wait_for_decision(gate, house, id).await
}

pub(super) fn filter(request: &proto::ListBoletosRequest) -> Result<BoletoFilter, ApiError> {
    let mut violations = Vec::new();
    let mut statuses = Vec::new();
    for (index, number) in request.statuses.iter().enumerate() {
        match convert::status_from_proto(*number) {
            Some(status) => statuses.push(status),
            None => violations.push(Violation::new(format!("statuses[{index}]"), "is no status")),
        }
    }
    let mut time = |field: &str, at: &Option<prost_types::Timestamp>| {
        let at = at.as_ref()?;
        let read = moment(at);
        if read.is_none() {
            violations.push(Violation::new(field, "is no time"));
        }
        read
    };
    let created_from = time("create_time_from", &request.create_time_from);
    let created_until = time("create_time_until", &request.create_time_until);
    if request.statuses.len() > BoletoStatus::ALL.len() {
        violations.push(Violation::new("statuses", "each status once"));
    }
    let mut text = |field: &str, text: &str| {
        request::optional_text(field, text.to_owned(), FILTER_CHARS_MAX, &mut violations)
    };
    let nosso_numero = text("nosso_numero", &request.nosso_numero);
    let reference_id = text("reference_id", &request.reference_id);
    let token = text("token", &request.token);
    let filter = BoletoFilter {
        statuses,
        bank_account_id: request::optional_id("bank_account_id", &request.bank_account_id, &mut violations),
        nosso_numero,
        reference_id,
        token,
        created_from,
        created_until,
        due_from: request::optional_date("due_date_from", &request.due_date_from, &mut violations),
        due_until: request::optional_date("due_date_until", &request.due_date_until, &mut violations),
    };
    if violations.is_empty() { Ok(filter) } else { Err(ApiError::Invalid(violations)) }
}

/// A page out of rows of which one more than its size was asked for, and the token of the next page.
pub(super) fn split_page<'a, T>(
    found: &'a [T],
    size: u64,
    id: impl Fn(&T) -> Uuid,
    filters: &impl std::fmt::Debug,
) -> (&'a [T], String) {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if found.len() <= size {
        return (found, String::new());
    }
    let page = &found[..size];
    let token = page.last().map(|last| page_token::issue(filters, id(last))).unwrap_or_default();
    (page, token)
}
