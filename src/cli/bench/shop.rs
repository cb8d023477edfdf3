//! The client: a shop that asks for boletos over gRPC, as everybody does.
//!
//! **Owns** a few connections and one bank account. **Fails** with the first answer that is none.
//! **Limits**: every boleto is asked for under a request id of its own and names the sandbox owner's queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use chrono::{Days, Utc};
use chrono_tz::America::Sao_Paulo;
use tonic::transport::Channel;

use super::site::{BANK_CREDENTIALS, Service};
use crate::proto::boleto::v1 as boleto;
use crate::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use crate::proto::boleto::v1::boleto_service_client::BoletoServiceClient;

/// A shop; cheap to clone.
#[derive(Clone)]
pub(super) struct Shop {
    channels: Arc<[Channel]>,
    request: Arc<boleto::CreateBoletoRequest>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    created: AtomicU64,
    undecided: AtomicU64,
}

impl Shop {
    /// Connects, and makes the bank account unless it is there already.
    pub async fn open(service: &Service, connections: usize, queue_url: &str) -> anyhow::Result<Self> {
        let channels = service.connect(connections).await?;
        let account = boleto::BankAccount {
            external_id: "bench".to_owned(),
            display_name: "Bench account".to_owned(),
            beneficiary: Some(boleto::Beneficiary {
                name: "Loja Exemplo Ltda".to_owned(),
                tax_id: "11.222.333/0001-81".to_owned(),
            }),
            issuer: Some(boleto::bank_account::Issuer::BancoDoBrasil(boleto::BancoDoBrasilIssuer {
                convenio: "3128557".to_owned(),
                carteira: "17".to_owned(),
                variacao: "35".to_owned(),
                ..boleto::BancoDoBrasilIssuer::default()
            })),
            provider: "banco_do_brasil".to_owned(),
            credentials: BANK_CREDENTIALS
                .map(|(name, reference)| (name.to_owned(), reference.to_owned()))
                .into(),
            is_default: true,
            ..boleto::BankAccount::default()
        };
        let request = boleto::CreateBankAccountRequest {
            bank_account: Some(account),
            ..boleto::CreateBankAccountRequest::default()
        };
        let first = channels.first().context("at least one connection is needed")?;
        BankAccountServiceClient::new(first.clone()).create_bank_account(request).await?;
        let request = Arc::new(boleto_of(queue_url));
        Ok(Self { channels: channels.into(), request, counts: Arc::default() })
    }

    /// The connection of a calling task.
    pub fn channel(&self, task: usize) -> Channel {
        self.channels[task % self.channels.len()].clone()
    }

    /// Asks for one more boleto and returns its id.
    pub async fn create(&self, task: usize) -> anyhow::Result<String> {
        let number = self.counts.asked.fetch_add(1, Ordering::Relaxed);
        let mut request = boleto::CreateBoletoRequest::clone(&self.request);
        request.request_id = format!("bench-{number}");
        request.reference_id = format!("order {number}");
        let answer = BoletoServiceClient::new(self.channel(task)).create_boleto(request).await?;
        let made = answer.into_inner().boleto.context("the service answered without the boleto")?;
        self.counts.created.fetch_add(1, Ordering::Relaxed);
        if made.status() != boleto::BoletoStatus::Registered {
            self.counts.undecided.fetch_add(1, Ordering::Relaxed);
        }
        Ok(made.id)
    }

    /// Boletos made so far.
    pub fn created(&self) -> u64 {
        self.counts.created.load(Ordering::Relaxed)
    }

    /// How many of them were answered before the bank had decided.
    pub fn undecided(&self) -> u64 {
        self.counts.undecided.load(Ordering::Relaxed)
    }
}

fn boleto_of(queue_url: &str) -> boleto::CreateBoletoRequest {
    let today = Utc::now().with_timezone(&Sao_Paulo).date_naive();
    let due_date = today.checked_add_days(Days::new(10)).unwrap_or(today);
    boleto::CreateBoletoRequest {
        amount_cents: 12_590,
        due_date: due_date.to_string(),
        payer: Some(boleto::Payer {
            name: "Maria Exemplo".to_owned(),
            tax_id: "529.982.247-25".to_owned(),
            address: Some(boleto::Address {
                street: "Rua das Flores".to_owned(),
                number: "308".to_owned(),
                complement: String::new(),
                district: "Centro".to_owned(),
                city: "Recife".to_owned(),
                state: "PE".to_owned(),
                postal_code: "50030-230".to_owned(),
            }),
        }),
        queue_url: queue_url.to_owned(),
        ..boleto::CreateBoletoRequest::default()
    }
}
