//! The client: a shop that asks for boletos over gRPC, as everybody does.
//!
//! **Owns** a few connections and one bank account. **Fails** with the first answer that is none.
//! **Limits**: every boleto is asked for under a request id of its own and names the sandbox owner's queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use tonic::transport::Channel;

use super::super::sample;
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
        let credentials = BANK_CREDENTIALS.map(|(name, reference)| (name.to_owned(), reference.to_owned()));
        let account = sample::bank_account("bench", "Bench account", credentials.into());
        let request = boleto::CreateBankAccountRequest {
            bank_account: Some(account),
            ..boleto::CreateBankAccountRequest::default()
        };
        let first = channels.first().context("at least one connection is needed")?;
        BankAccountServiceClient::new(first.clone()).create_bank_account(request).await?;
        let request = Arc::new(sample::request(queue_url));
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
