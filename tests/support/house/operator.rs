//! Somebody who keeps the house: bank accounts, subscriptions, actors, work.

use bursar::proto::boleto::v1::bank_account::Issuer;
use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::{BancoDoBrasilIssuer, BankAccount, Beneficiary, CreateBankAccountRequest};
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{
    CancelWorkRequest, GetInfoRequest, GetInfoResponse, GetTreeRequest, GetWorkRequest, ListWorkRequest,
    Node, NodeStatus, RestartActorRequest, RetryWorkRequest, StartActorRequest, StopActorRequest, Work,
    WorkState,
};
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::proto::notification::v1::{
    CreateEndpointRequest, Endpoint, EventFilter, GetEndpointRequest, MailDestination, NatsDestination,
    WebhookDestination,
};
use bursar::proto::transfer::v1::transfer_service_client::TransferServiceClient;
use tonic::Status;
use tonic::transport::Channel;

use super::{Surroundings, eventually};
use crate::support::canary;

/// An operator with a connection.
#[derive(Clone)]
pub struct Operator {
    pub accounts: BankAccountServiceClient<Channel>,
    pub endpoints: NotificationServiceClient<Channel>,
    pub control: ControlServiceClient<Channel>,
    pub transfers: TransferServiceClient<Channel>,
    webhook_url: String,
    webhook_secret: String,
    credentials: [(String, String); 3],
}

/// A bank account that boletos can be issued under, and the default; its credentials are still to be named.
pub fn an_account() -> BankAccount {
    BankAccount {
        external_id: "shop".to_owned(),
        display_name: "Shop".to_owned(),
        beneficiary: Some(Beneficiary {
            name: "Loja Exemplo Ltda".to_owned(),
            tax_id: "11.222.333/0001-81".to_owned(),
        }),
        issuer: Some(Issuer::BancoDoBrasil(BancoDoBrasilIssuer {
            convenio: "3128557".to_owned(),
            carteira: "17".to_owned(),
            variacao: "35".to_owned(),
            ..BancoDoBrasilIssuer::default()
        })),
        provider: "banco_do_brasil".to_owned(),
        is_default: true,
        ..BankAccount::default()
    }
}

impl Operator {
    pub(super) fn new(channel: Channel, surroundings: &Surroundings) -> Self {
        let reference = |key: &str, file: &str| (key.to_owned(), surroundings.secret(file));
        Self {
            accounts: BankAccountServiceClient::new(channel.clone()),
            endpoints: NotificationServiceClient::new(channel.clone()),
            control: ControlServiceClient::new(channel.clone()),
            transfers: TransferServiceClient::new(channel),
            webhook_url: surroundings.world.addresses().webhook_url.clone(),
            webhook_secret: surroundings.secret("webhook"),
            credentials: [
                reference("client_id", "client-id"),
                reference("client_secret", "client-secret"),
                reference("app_key", "app-key"),
            ],
        }
    }

    /// Makes a bank account, under the world's credentials unless it names others.
    pub async fn opens(&self, mut account: BankAccount) -> Result<BankAccount, Status> {
        if account.credentials.is_empty() {
            account.credentials = self.credentials.clone().into();
        }
        self.opens_without_credentials(account).await
    }

    /// An account under the world's credentials.
    pub fn with_credentials(&self, account: BankAccount) -> BankAccount {
        BankAccount { credentials: self.credentials.clone().into(), ..account }
    }

    /// Makes a bank account as it is given.
    pub async fn opens_without_credentials(&self, account: BankAccount) -> Result<BankAccount, Status> {
        let request =
            CreateBankAccountRequest { bank_account: Some(account), ..CreateBankAccountRequest::default() };
        let answer = self.accounts.clone().create_bank_account(request).await?.into_inner();
        Ok(answer.bank_account.expect("an account in the answer"))
    }

    /// The reference of the secret that the world's webhooks know.
    pub fn webhook_secret(&self) -> &str {
        &self.webhook_secret
    }

    /// Has a webhook told of these events.
    pub async fn subscribes_webhook(&self, event_types: &[&str]) -> Endpoint {
        self.subscribes_webhook_at(&self.webhook_url, event_types, vec![]).await
    }

    /// Has a webhook of somebody's told of these events of these subjects.
    pub async fn subscribes_webhook_at(
        &self,
        url: &str,
        event_types: &[&str],
        filters: Vec<EventFilter>,
    ) -> Endpoint {
        let endpoint = Endpoint {
            destination: Some(Destination::Webhook(WebhookDestination {
                url: url.to_owned(),
                secrets: vec![self.webhook_secret.clone()],
                ..Default::default()
            })),
            event_types: event_types.iter().map(|name| (*name).to_owned()).collect(),
            filters,
            ..Endpoint::default()
        };
        let request = CreateEndpointRequest { endpoint: Some(endpoint) };
        let answer = self.endpoints.clone().create_endpoint(request).await.expect("a subscription");
        answer.into_inner().endpoint.expect("an endpoint in the answer")
    }

    /// Has a subject of NATS told of these events.
    pub async fn subscribes_nats(&self, subject: &str, event_types: &[&str]) -> Endpoint {
        self.tries_to_subscribe_nats(subject, event_types).await.expect("a subscription")
    }

    /// Asks for a subject of NATS to be told of these events.
    pub async fn tries_to_subscribe_nats(
        &self,
        subject: &str,
        event_types: &[&str],
    ) -> Result<Endpoint, Status> {
        let endpoint = Endpoint {
            destination: Some(Destination::Nats(NatsDestination { subject: subject.to_owned() })),
            event_types: event_types.iter().map(|name| (*name).to_owned()).collect(),
            ..Endpoint::default()
        };
        let request = CreateEndpointRequest { endpoint: Some(endpoint) };
        let answer = self.endpoints.clone().create_endpoint(request).await?;
        Ok(answer.into_inner().endpoint.expect("an endpoint in the answer"))
    }

    /// Has a mailbox told of these events, in this language or in the configured one.
    pub async fn subscribes_mail(&self, address: &str, language: &str, event_types: &[&str]) -> Endpoint {
        self.tries_to_subscribe_mail(address, language, event_types).await.expect("a subscription")
    }

    /// Asks for a mailbox to be told of these events.
    pub async fn tries_to_subscribe_mail(
        &self,
        address: &str,
        language: &str,
        event_types: &[&str],
    ) -> Result<Endpoint, Status> {
        canary::plants("mail address", address);
        let mailbox = MailDestination { address: address.to_owned(), language: language.to_owned() };
        let endpoint = Endpoint {
            destination: Some(Destination::Mail(mailbox)),
            event_types: event_types.iter().map(|name| (*name).to_owned()).collect(),
            ..Endpoint::default()
        };
        let request = CreateEndpointRequest { endpoint: Some(endpoint) };
        let answer = self.endpoints.clone().create_endpoint(request).await?;
        Ok(answer.into_inner().endpoint.expect("an endpoint in the answer"))
    }

    pub async fn endpoint(&self, id: &str) -> Endpoint {
        let request = GetEndpointRequest { id: id.to_owned() };
        let answer = self.endpoints.clone().get_endpoint(request).await.expect("an endpoint");
        answer.into_inner().endpoint.expect("an endpoint in the answer")
    }

    /// The tree, flat, in its own order.
    pub async fn tree(&self) -> Vec<Node> {
        let answer = self.control.clone().get_tree(GetTreeRequest {}).await.expect("the tree");
        let mut flat = Vec::new();
        flatten(answer.into_inner().root.expect("a root"), &mut flat);
        flat
    }

    pub async fn actor(&self, path: &str) -> Node {
        let found = self.tree().await.into_iter().find(|node| node.path == path);
        found.unwrap_or_else(|| panic!("no actor at {path}"))
    }

    /// Waits until the actor has this status.
    pub async fn sees(&self, path: &str, status: NodeStatus) -> Node {
        eventually(&format!("{path} {status:?}"), async || {
            let node = self.actor(path).await;
            (node.status() == status).then_some(node)
        })
        .await
    }

    /// All work in these states, or all that lives; newest first.
    pub async fn work(&self, states: &[WorkState]) -> Vec<Work> {
        self.finds_work("", states).await
    }

    /// The work about a subject in these states, or that lives; newest first.
    pub async fn finds_work(&self, subject_id: &str, states: &[WorkState]) -> Vec<Work> {
        let request = ListWorkRequest {
            subject_id: subject_id.to_owned(),
            states: states.iter().map(|state| i32::from(*state)).collect(),
            ..ListWorkRequest::default()
        };
        self.control.clone().list_work(request).await.expect("work").into_inner().work
    }

    /// Waits until the one row of work about a subject is in this state.
    pub async fn finds_work_in(&self, subject_id: &str, state: WorkState) -> Work {
        eventually(&format!("work of {subject_id} {state:?}"), async || {
            self.finds_work(subject_id, &[state]).await.pop()
        })
        .await
    }

    pub async fn gets_work(&self, id: &str) -> Result<Work, Status> {
        let answer = self.control.clone().get_work(GetWorkRequest { id: id.to_owned() }).await?;
        Ok(answer.into_inner().work.expect("work in the answer"))
    }

    pub async fn retries(&self, id: &str, reason: &str) -> Result<Work, Status> {
        let request = RetryWorkRequest { id: id.to_owned(), reason: reason.to_owned() };
        Ok(self.control.clone().retry_work(request).await?.into_inner().work.expect("work in the answer"))
    }

    pub async fn cancels(&self, id: &str, reason: &str) -> Result<Work, Status> {
        let request = CancelWorkRequest { id: id.to_owned(), reason: reason.to_owned() };
        Ok(self.control.clone().cancel_work(request).await?.into_inner().work.expect("work in the answer"))
    }

    pub async fn restarts(&self, path: &str) -> Result<Node, Status> {
        let request = RestartActorRequest { path: path.to_owned(), ..Default::default() };
        Ok(self
            .control
            .clone()
            .restart_actor(request)
            .await?
            .into_inner()
            .node
            .expect("a node in the answer"))
    }

    pub async fn stops(&self, path: &str) -> Result<Node, Status> {
        let request = StopActorRequest { path: path.to_owned(), ..Default::default() };
        Ok(self.control.clone().stop_actor(request).await?.into_inner().node.expect("a node in the answer"))
    }

    pub async fn starts(&self, path: &str) -> Result<Node, Status> {
        let request = StartActorRequest { path: path.to_owned(), ..Default::default() };
        Ok(self.control.clone().start_actor(request).await?.into_inner().node.expect("a node in the answer"))
    }

    pub async fn info(&self) -> GetInfoResponse {
        self.control.clone().get_info(GetInfoRequest {}).await.expect("info").into_inner()
    }

    /// Waits until nothing lives that is to be done.
    pub async fn sees_all_work_done(&self) {
        eventually("all work is done", async || self.work(&[]).await.is_empty().then_some(())).await;
    }
}

fn flatten(mut node: Node, flat: &mut Vec<Node>) {
    let children = std::mem::take(&mut node.children);
    flat.push(node);
    for child in children {
        flatten(child, flat);
    }
}
