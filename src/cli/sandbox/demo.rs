//! What the sandbox shows when it opens: a bank account, a subscription, one boleto from creation to its owner, two
//! recorded questionings from their offer to their scores, and two customers of banks whose accounts are refreshed.
//!
//! Everything goes through ordinary gRPC calls over the socket, as anybody's would.
//!
//! **Owns** nothing. **Fails** when the first boleto does not come through in time. **Limits**: five seconds.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::Utc;
use serde::Deserialize;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::super::house::OpenHouse;
use super::super::sample;
use super::aspsps::{BERLIN, POLISH};
use super::banks;
use super::customers::{ANA, Keeper};
use super::mail::OWNER_ADDRESS;
use super::outside::Secrets;
use super::questionings::Recorder;
use super::transfers::FEED;
use crate::proto::boleto::v1 as boleto;
use crate::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use crate::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use crate::proto::notification::v1 as notification;
use crate::proto::notification::v1::notification_service_client::NotificationServiceClient;
use crate::sandbox::Addresses;

const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The queue, the webhook, the mailbox, the stream.
const DESTINATIONS: usize = 4;
/// The subject below which the stream is told.
const SUBJECT: &str = "owners.sandbox";
/// Numbers begin below this.
const FIRST_SEQUENCE_MAX: i64 = 90_000_000;

/// The demonstration.
pub(super) struct Demo {
    address: String,
    outside: Addresses,
    account: boleto::BankAccount,
    /// With the banks other than the first.
    others: Vec<boleto::BankAccount>,
    webhook_secret: String,
}

/// A line of the world's ledger, as its control endpoint shows it.
#[derive(Deserialize)]
struct Effect {
    kind: String,
    key: String,
}

impl Demo {
    pub fn new(address: SocketAddr, outside: &Addresses, secrets: &Secrets) -> Self {
        let credentials = [
            ("client_id", &secrets.client_id),
            ("client_secret", &secrets.client_secret),
            ("app_key", &secrets.app_key),
        ];
        let credentials = credentials.map(|(name, secret)| (name.to_owned(), secret.to_string()));
        let account = sample::bank_account("sandbox", "Sandbox account", credentials.into());
        Self {
            address: format!("http://{address}"),
            outside: outside.clone(),
            account,
            others: banks::accounts(|credential| secrets.reference(credential, outside)),
            webhook_secret: secrets.webhook.to_string(),
        }
    }

    async fn channel(&self) -> anyhow::Result<Channel> {
        Ok(Channel::from_shared(self.address.clone())?.connect().await?)
    }

    /// Makes the bank accounts and the subscription, once per store. Returns the id of the default account.
    pub async fn furnish(&self) -> anyhow::Result<String> {
        let channel = self.channel().await?;
        let endpoint = notification::Endpoint {
            destination: Some(notification::endpoint::Destination::Webhook(
                notification::WebhookDestination {
                    url: self.outside.webhook_url.clone(),
                    secrets: vec![self.webhook_secret.clone()],
                    ..Default::default()
                },
            )),
            event_types: vec!["*".to_owned()],
            ..notification::Endpoint::default()
        };
        let mailbox =
            notification::MailDestination { address: OWNER_ADDRESS.to_owned(), ..Default::default() };
        let mail = notification::Endpoint {
            destination: Some(notification::endpoint::Destination::Mail(mailbox)),
            ..endpoint.clone()
        };
        let subject = notification::NatsDestination { subject: SUBJECT.to_owned() };
        let stream = notification::Endpoint {
            destination: Some(notification::endpoint::Destination::Nats(subject)),
            ..endpoint.clone()
        };
        for endpoint in [endpoint, mail, stream] {
            let request = notification::CreateEndpointRequest { endpoint: Some(endpoint) };
            NotificationServiceClient::new(channel.clone()).create_endpoint(request).await?;
        }
        let mut accounts = BankAccountServiceClient::new(channel);
        for account in &self.others {
            open_account(&mut accounts, account).await?;
        }
        open_account(&mut accounts, &self.account).await
    }

    /// Makes a boleto and waits until its owner has been told. Returns what happened, for people.
    pub async fn show(&self) -> anyhow::Result<String> {
        let started = Instant::now();
        let mut boletos = BoletoServiceClient::new(self.channel().await?);
        let answer = boletos.create_boleto(self.request()).await?.into_inner();
        let made = answer.boleto.context("the service answered without the boleto")?;
        let effects = self.effects_of(&made).await?;
        let status = made.status().as_str_name().trim_start_matches("BOLETO_STATUS_").to_lowercase();
        let mut text = String::new();
        let _ = writeln!(text, "A boleto, made by an ordinary gRPC CreateBoleto:");
        let _ = writeln!(text, "  id               {}", made.id);
        let _ = writeln!(text, "  status           {status}, payable: {}", made.payable);
        let _ = writeln!(text, "  linha digitável  {}", made.linha_digitavel);
        let _ = writeln!(text, "in the world's ledger, {} ms after the call:", started.elapsed().as_millis());
        for effect in effects {
            let _ = writeln!(text, "  {:<16} {}", effect.kind, effect.key);
        }
        Ok(text)
    }

    /// Has two recorded questionings analysed. Returns what came of them, for people, and the key of the first.
    pub async fn show_transfers(&self) -> anyhow::Result<(String, String)> {
        Recorder::new(&self.outside).show(self.channel().await?).await
    }

    /// Has two customers' accounts refreshed and a payment followed. Returns what came of it, for people.
    pub async fn show_customers(&self) -> anyhow::Result<String> {
        Keeper::new(&self.outside, self.channel().await?).show().await
    }

    fn request(&self) -> boleto::CreateBoletoRequest {
        boleto::CreateBoletoRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            reference_id: "first".to_owned(),
            ..sample::request(&self.outside.queue_url)
        }
    }

    /// Waits until the bank has it and every destination of its owner's has been told.
    async fn effects_of(&self, made: &boleto::Boleto) -> anyhow::Result<Vec<Effect>> {
        let deadline = Instant::now() + PATIENCE;
        let client = reqwest::Client::new();
        let url = format!("{}/effects", self.outside.control_url);
        loop {
            let text = client.get(&url).send().await?.text().await?;
            let effects: Vec<Effect> = serde_json::from_str(&text).context("the ledger cannot be read")?;
            let ours: Vec<Effect> = effects
                .into_iter()
                .filter(|effect| effect.key.contains(&made.nosso_numero) || effect.key.contains(&made.id))
                .collect();
            let told = ours.iter().filter(|effect| effect.kind.starts_with("owner.")).count();
            if told >= DESTINATIONS {
                return Ok(ours);
            }
            if Instant::now() >= deadline {
                bail!("its owner was not told within {PATIENCE:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Where everything is, and what to try; with the key of a transfer, if one was shown.
    pub fn greeting(&self, house: &OpenHouse, ledger: &Path, transfer_key: Option<&str>) -> String {
        let Self { address, outside, .. } = self;
        let shown = |address: Option<SocketAddr>, path: &str| {
            address.map_or_else(|| "not served".to_owned(), |address| format!("http://{address}{path}"))
        };
        let request = r#"{"amount_cents": 5000004, "due_date": "DATE", "queue_url": "QUEUE", "payer": {"name": "Maria Exemplo", "tax_id": "52998224725", "address": {"street": "Rua das Flores", "number": "308", "district": "Centro", "city": "Recife", "state": "PE", "postal_code": "50030230"}}}"#
            .replace("DATE", &self.request().due_date)
            .replace("QUEUE", &outside.queue_url);
        let option = if address.ends_with(":7400") { String::new() } else { format!(" --address {address}") };
        let plain = address.trim_start_matches("http://");
        let key = transfer_key.unwrap_or("KEY");
        format!(
            "
The house is open.
  dashboard   {}
  gRPC        {address}
  metrics     {}
  bank        {}
  more banks  {}
  queue       {}
  webhook     {}
  mail        {}, for any address: {OWNER_ADDRESS} is told of everything
  stream      {}, any subject: {SUBJECT} is told of everything
  feed        {}, called {FEED}: recorded questionings
  vendors     {}, one path each: they analyse the answers
  aspsps      {}: {BERLIN}, {POLISH}
  inbox       {}/inbox: all that owners received, by every channel
  ledger      {}

Three commands to paste:
  cargo run -q --{option} ps
  echo '{request}' | cargo run -q --{option} boleto create --file -
  grpcurl -plaintext {plain} bursar.boleto.v1.BoletoService/ListBoletos

And about transfers:
  cargo run -q --{option} transfer list
  cargo run -q --{option} transfer find {key}
  cargo run -q --{option} transfer process {key} --follow
  cargo run -q --{option} transfer watch

And about open banking:
  cargo run -q --{option} job next
  cargo run -q --{option} job run payment-update --follow
  cargo run -q --{option} openbanking sync user {ANA} --reason now --follow
  cargo run -q --{option} openbanking account list

{}
Magic amounts: 5000003 cents leaves the outcome unknown for a while, 5000004 is refused. Ctrl-C drains and ends.
",
            shown(house.dashboard, "/"),
            shown(house.metrics, "/metrics"),
            outside.bank_url,
            self.other_banks(),
            outside.queue_url,
            outside.webhook_url,
            outside.smtp_url,
            outside.nats_url,
            outside.firebase.url,
            outside.vendors.ra7_prefix.split("/ra7").next().unwrap_or_default(),
            outside.aspsps.iter().take(2).map(|aspsp| aspsp.url.as_str()).collect::<Vec<_>>().join(" "),
            outside.control_url,
            ledger.display(),
            self.other_accounts(),
        )
    }

    /// The addresses of the banks other than the first, one below the other.
    fn other_banks(&self) -> String {
        let banks = &self.outside.banks;
        let addresses = [
            banks.boleto_api_url.as_str(),
            &banks.bradesco_apiregistro_url,
            &banks.bradesco_shopfacil_url,
            &banks.inter_api_url,
            &banks.itau_api_url,
            &banks.santander_api_url,
        ];
        addresses.join(&format!("\n{:14}", ""))
    }

    /// The accounts with them, and how their payers pay.
    fn other_accounts(&self) -> String {
        let names: Vec<_> = self.others.iter().map(|account| account.external_id.as_str()).collect();
        let (names, control, today) = (names.join(", "), &self.outside.control_url, Utc::now().date_naive());
        let payment = format!(r#"{{"title": "LINE", "amount_cents": 12590, "on": "{today}"}}"#);
        format!(
            "Other banks: put \"bank_account_external_id\" into the request, one of
  {names}
Somebody pays:
  curl -H content-type:application/json -d '{payment}' {control}/pay
"
        )
    }
}

/// Makes an account unless the store has it. Returns its id.
async fn open_account(
    accounts: &mut BankAccountServiceClient<Channel>,
    account: &boleto::BankAccount,
) -> anyhow::Result<String> {
    let key = boleto::get_bank_account_request::Key::ExternalId(account.external_id.clone());
    let known = accounts.get_bank_account(boleto::GetBankAccountRequest { key: Some(key) }).await;
    let opened = match known {
        Ok(found) => found.into_inner().bank_account,
        Err(status) if status.code() == tonic::Code::NotFound => {
            let by_the_bank = matches!(account.issuer, Some(boleto::bank_account::Issuer::Inter(_)));
            // The world's banks forget their titles and this store does not, so numbers begin where they are new. They
            // stay within the eight digits that the narrowest bank has.
            let first = Utc::now().timestamp() % FIRST_SEQUENCE_MAX + 1;
            let request = boleto::CreateBankAccountRequest {
                bank_account: Some(account.clone()),
                first_sequence: (!by_the_bank).then_some(first),
                request_id: String::new(),
            };
            let opening = accounts.create_bank_account(request).await;
            opening.with_context(|| format!("account {}", account.external_id))?.into_inner().bank_account
        }
        Err(status) => return Err(status.into()),
    };
    Ok(opened.context("the service answered without the account")?.id)
}
