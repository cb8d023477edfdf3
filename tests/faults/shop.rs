//! A shop as a client of the house: what it asks for has a name of its own, so that it may ask again after a bad moment.
//!
//! **Owns** nothing. **Fails** as the house does. **Limits**: one bank account, one queue, one webhook.

use bursar::proto::boleto::v1 as proto;
use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{ListWorkRequest, Work};
use bursar::proto::notification::v1 as notification;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::sandbox::Addresses;
use tonic::Status;
use tonic::transport::Channel;

use crate::stage::{APP_KEY, CLIENT_ID, CLIENT_SECRET, Stage, WEBHOOK_SECRET};

/// The shop.
#[derive(Clone)]
pub struct Shop {
    outside: Addresses,
    /// Whether its bank lists what was paid.
    lists: bool,
}

impl Shop {
    pub fn of(stage: &Stage) -> Self {
        Self { outside: stage.world.addresses().clone(), lists: true }
    }

    /// The same shop with an account for which the bank lists nothing: it is asked about one boleto after the other.
    pub fn that_is_listed_nothing(stage: &Stage) -> Self {
        Self { lists: false, ..Self::of(stage) }
    }

    /// Makes the bank account and the subscription, once however often it is asked for.
    pub async fn furnish(&self, channel: &Channel) -> Result<(), Status> {
        open_account(channel, self.lists).await?;
        let webhook = notification::WebhookDestination {
            url: self.outside.webhook_url.clone(),
            secrets: vec![WEBHOOK_SECRET.to_owned()],
            ..Default::default()
        };
        let endpoint = notification::Endpoint {
            destination: Some(notification::endpoint::Destination::Webhook(webhook)),
            event_types: vec!["*".to_owned()],
            ..notification::Endpoint::default()
        };
        let request = notification::CreateEndpointRequest { endpoint: Some(endpoint) };
        NotificationServiceClient::new(channel.clone()).create_endpoint(request).await?;
        Ok(())
    }

    /// Makes the boleto of this number, the same one however often it is asked for.
    pub async fn create(&self, channel: &Channel, number: usize) -> Result<proto::Boleto, Status> {
        let request = self.request(number);
        let answer = BoletoServiceClient::new(channel.clone()).create_boleto(request).await?;
        Ok(answer.into_inner().boleto.expect("an answer with its boleto"))
    }

    /// Furnishes if need be, and makes the first boleto without having it registered.
    pub async fn hold_back(&self, channel: &Channel) -> Result<proto::Boleto, Status> {
        self.furnish(channel).await?;
        let request = proto::CreateBoletoRequest { hold_registration: true, ..self.request(1) };
        let answer = BoletoServiceClient::new(channel.clone()).create_boleto(request).await?;
        Ok(answer.into_inner().boleto.expect("an answer with its boleto"))
    }

    /// Furnishes with an account alone, and makes a boleto of another amount that nobody is told of.
    pub async fn create_for_nobody(&self, channel: &Channel, cents: i64) -> Result<proto::Boleto, Status> {
        open_account(channel, self.lists).await?;
        let request = proto::CreateBoletoRequest {
            amount_cents: cents,
            queue_url: String::new(),
            notification_opt_out: true,
            ..self.request(1)
        };
        let answer = BoletoServiceClient::new(channel.clone()).create_boleto(request).await?;
        Ok(answer.into_inner().boleto.expect("an answer with its boleto"))
    }

    fn request(&self, number: usize) -> proto::CreateBoletoRequest {
        let due_date = chrono::Utc::now().date_naive() + chrono::Days::new(30);
        proto::CreateBoletoRequest {
            request_id: format!("boleto-{number}"),
            amount_cents: 12_590,
            due_date: due_date.to_string(),
            payer: Some(payer()),
            reference_id: format!("order-{number}"),
            queue_url: self.outside.queue_url.clone(),
            ..proto::CreateBoletoRequest::default()
        }
    }

    /// Furnishes if need be, and makes the first boleto.
    pub async fn trade(&self, channel: &Channel) -> Result<proto::Boleto, Status> {
        self.furnish(channel).await?;
        self.create(channel, 1).await
    }
}

/// All boletos of the house; asking changes nothing.
pub async fn boletos(channel: &Channel) -> Result<Vec<proto::Boleto>, Status> {
    let mut client = BoletoServiceClient::new(channel.clone());
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListBoletosRequest { page_size: 500, page_token, ..Default::default() };
        let page = client.list_boletos(request).await?.into_inner();
        found.extend(page.boletos);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}

/// All work that lives.
pub async fn work(channel: &Channel) -> Result<Vec<Work>, Status> {
    let request = ListWorkRequest { page_size: 500, ..ListWorkRequest::default() };
    Ok(ControlServiceClient::new(channel.clone()).list_work(request).await?.into_inner().work)
}

async fn open_account(channel: &Channel, lists: bool) -> Result<(), Status> {
    let request = proto::CreateBankAccountRequest {
        bank_account: Some(bank_account(lists)),
        first_sequence: None,
        request_id: "bank-account".to_owned(),
    };
    BankAccountServiceClient::new(channel.clone()).create_bank_account(request).await?;
    Ok(())
}

/// The bank lists payments by agency and account, if it knows them.
fn bank_account(lists: bool) -> proto::BankAccount {
    let if_listed = |text: &str| if lists { text.to_owned() } else { String::new() };
    let credentials = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET), ("app_key", APP_KEY)];
    proto::BankAccount {
        external_id: "shop".to_owned(),
        display_name: "Shop".to_owned(),
        beneficiary: Some(proto::Beneficiary {
            name: "Loja Exemplo Ltda".to_owned(),
            tax_id: "11.222.333/0001-81".to_owned(),
        }),
        issuer: Some(proto::bank_account::Issuer::BancoDoBrasil(proto::BancoDoBrasilIssuer {
            convenio: "3128557".to_owned(),
            carteira: "17".to_owned(),
            variacao: "35".to_owned(),
            agency: if_listed("0452"),
            account: if_listed("123873"),
        })),
        provider: "banco_do_brasil".to_owned(),
        credentials: credentials.map(|(name, reference)| (name.to_owned(), reference.to_owned())).into(),
        is_default: true,
        ..proto::BankAccount::default()
    }
}

fn payer() -> proto::Payer {
    proto::Payer {
        name: "Maria Exemplo".to_owned(),
        tax_id: "529.982.247-25".to_owned(),
        address: Some(proto::Address {
            street: "Rua das Flores".to_owned(),
            number: "308".to_owned(),
            complement: String::new(),
            district: "Centro".to_owned(),
            city: "São Paulo".to_owned(),
            state: "SP".to_owned(),
            postal_code: "01001-000".to_owned(),
        }),
    }
}
