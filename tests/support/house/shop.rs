//! Somebody who sells: asks for boletos and looks after them, over gRPC as everybody does.

use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::boleto::v1::{
    Address, Boleto, BoletoStatus, CreateBoletoRequest, CreateBoletoResponse, GetBoletoRequest,
    ListBoletosRequest, Payer, RegisterBoletoRequest, WatchBoletosRequest, WatchBoletosResponse,
};
use chrono::{Days, NaiveDate, Utc};
use chrono_tz::America::Sao_Paulo;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::eventually;

/// A shop with a connection.
#[derive(Clone)]
pub struct Shop {
    pub boletos: BoletoServiceClient<Channel>,
    queue_url: String,
}

/// A request for a boleto, with what a story does not care about filled in.
#[derive(Clone)]
pub struct ABoleto {
    request: CreateBoletoRequest,
    to_own_queue: bool,
}

/// 125.90, due in ten days, its outcome told to the shop's queue.
pub fn a_boleto() -> ABoleto {
    let request = CreateBoletoRequest {
        amount_cents: 12_590,
        due_date: in_days(10).to_string(),
        payer: Some(Payer {
            name: "Maria Exemplo".to_owned(),
            tax_id: "529.982.247-25".to_owned(),
            address: Some(Address {
                street: "Rua das Flores".to_owned(),
                number: "308".to_owned(),
                complement: String::new(),
                district: "Centro".to_owned(),
                city: "São Paulo".to_owned(),
                state: "SP".to_owned(),
                postal_code: "01001-000".to_owned(),
            }),
        }),
        ..CreateBoletoRequest::default()
    };
    ABoleto { request, to_own_queue: true }
}

impl ABoleto {
    pub fn of_cents(self, amount_cents: i64) -> Self {
        self.with(|request| request.amount_cents = amount_cents)
    }

    pub fn due_in(self, days: i64) -> Self {
        self.with(|request| request.due_date = in_days(days).to_string())
    }

    pub fn called(self, reference_id: &str) -> Self {
        self.with(|request| request.reference_id = reference_id.to_owned())
    }

    pub fn asked_as(self, request_id: &str) -> Self {
        self.with(|request| request.request_id = request_id.to_owned())
    }

    /// Nobody is named in the request.
    pub fn told_to_subscribers(mut self) -> Self {
        self.to_own_queue = false;
        self
    }

    pub fn told_to_nobody(self) -> Self {
        self.told_to_subscribers().with(|request| request.notification_opt_out = true)
    }

    pub fn told_to_queue(self, queue_url: &str) -> Self {
        self.told_to_subscribers().with(|request| request.queue_url = queue_url.to_owned())
    }

    /// What is sent; nobody is named in it who was not named here.
    pub fn into_request(self) -> CreateBoletoRequest {
        self.request
    }

    pub fn with(mut self, change: impl FnOnce(&mut CreateBoletoRequest)) -> Self {
        change(&mut self.request);
        self
    }
}

impl Shop {
    pub(super) fn new(channel: Channel, queue_url: String) -> Self {
        Self { boletos: BoletoServiceClient::new(channel), queue_url }
    }

    /// Asks for a boleto that must not be refused by the house.
    pub async fn creates(&self, wanted: ABoleto) -> Boleto {
        let answer = self.tries(wanted).await.unwrap_or_else(|status| panic!("{status:?}"));
        answer.boleto.expect("a boleto in the answer")
    }

    /// Asks for a boleto.
    pub async fn tries(&self, wanted: ABoleto) -> Result<CreateBoletoResponse, Status> {
        let ABoleto { mut request, to_own_queue } = wanted;
        if to_own_queue {
            request.queue_url.clone_from(&self.queue_url);
        }
        Ok(self.boletos.clone().create_boleto(request).await?.into_inner())
    }

    pub async fn gets(&self, id: &str) -> Boleto {
        let answer = self.boletos.clone().get_boleto(GetBoletoRequest { id: id.to_owned() }).await;
        let answer = answer.unwrap_or_else(|status| panic!("{status:?}"));
        answer.into_inner().boleto.expect("a boleto in the answer")
    }

    /// Waits until a boleto has this status, without doing anything about it.
    pub async fn sees(&self, id: &str, status: BoletoStatus) -> Boleto {
        eventually(&format!("boleto {status:?}"), async || {
            let boleto = self.gets(id).await;
            (boleto.status() == status).then_some(boleto)
        })
        .await
    }

    /// One page.
    pub async fn lists(&self, request: ListBoletosRequest) -> Result<(Vec<Boleto>, String), Status> {
        let answer = self.boletos.clone().list_boletos(request).await?.into_inner();
        Ok((answer.boletos, answer.next_page_token))
    }

    pub async fn registers_again(&self, id: &str) -> Result<Boleto, Status> {
        let request = RegisterBoletoRequest { id: id.to_owned() };
        let answer = self.boletos.clone().register_boleto(request).await?.into_inner();
        Ok(answer.boleto.expect("a boleto in the answer"))
    }

    pub async fn watches(
        &self,
        cursor: &str,
        boleto_id: &str,
    ) -> Result<Streaming<WatchBoletosResponse>, Status> {
        let request = WatchBoletosRequest { cursor: cursor.to_owned(), boleto_id: boleto_id.to_owned() };
        Ok(self.boletos.clone().watch_boletos(request).await?.into_inner())
    }
}

/// The civil date in São Paulo so many days from now.
fn in_days(days: i64) -> NaiveDate {
    let today = Utc::now().with_timezone(&Sao_Paulo).date_naive();
    if days < 0 { today - Days::new(days.unsigned_abs()) } else { today + Days::new(days.unsigned_abs()) }
}
