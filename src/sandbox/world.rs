//! Opens and closes the world: binds the sockets, serves the parties on tokio tasks.
//!
//! **Owns** the listeners and the tasks that serve them.
//! **Fails** at opening only; what it had bound by then is given back.
//! **Limits**: closing waits one second for requests under way, then leaves them to their sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::aspsp::{AspspDoors, AspspSigning, Aspsps};
use super::banks::Banks;
use super::banks::cashier::{Cashier, NotPaid};
use super::banks::file::Payment;
use super::firebase::{Firebase, FirebaseAddresses, StreamNews};
use super::inbox::{Inbox, ReceivedMessage};
use super::ledger::{Effect, Ledger};
use super::line::{Bolt, Door, Line};
use super::outside::{News, Outside};
use super::screen::Screen;
use super::script::{BankName, Party, Script};
use super::tls::{Authority, TlsDoor, TlsFiles};
use super::webhook::Secret;
use super::{
    Addresses, BankAddresses, OWNER, SandboxError, VendorAddresses, WorldOptions, control, nats, smtp, sqs,
    vendors, webhook,
};

const CLOSING_PATIENCE: Duration = Duration::from_secs(1);

/// The open world. Dropping it leaves its tasks to the runtime; [`World::close`] ends them.
pub struct World {
    addresses: Addresses,
    outside: Arc<Outside>,
    cashier: Arc<Cashier>,
    firebase: Firebase,
    aspsps: Aspsps,
    bolts: BTreeMap<BankName, Bolt>,
    closing: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
}

impl World {
    /// Binds the sockets and serves.
    ///
    /// # Errors
    /// When an option is wrong, a port is taken, or the ledger cannot be opened.
    pub async fn open(options: WorldOptions) -> Result<Self, SandboxError> {
        if !options.bind.is_loopback() {
            let reason = format!("{} is not a loopback address", options.bind);
            return Err(SandboxError::InvalidOption { option: "bind", reason });
        }
        let secret = options.webhook_secret.as_deref().map(Secret::parse).transpose()?;
        let (doors, bolts) = Doors::open(&options).await?;
        let aspsp_doors = AspspDoors::open(&options).await?;
        let news = News::new();
        let outside = Arc::new(Outside {
            script: Script::new(news.clone()),
            ledger: Ledger::open(&options.data_dir, options.ledger_sync, news.clone())?,
            inbox: Inbox::default(),
            screen: Screen { quiet: options.quiet },
            news,
        });
        let authority = Authority::make(&options.data_dir)?;
        let mut addresses = doors.addresses(authority.files);
        let sqs_url = addresses.sqs_url.clone();
        let banks = Banks::open(&outside, &options.bank, addresses.banks.boleto_api_url.clone());
        let cashier = Arc::new(Cashier { outside: outside.clone(), tills: banks.tills });
        let firebase =
            Firebase::open(outside.clone(), &options.firebase, &options.data_dir, &mut addresses.firebase)?;
        let (aspsps, signing) =
            Aspsps::open(outside.clone(), &options.aspsp, aspsp_doors.bolts, &options.data_dir)?;
        addresses.aspsps = aspsp_doors.addresses;
        addresses.aspsp_signing = signing;
        let closing = watch::Sender::new(false);
        let tls = |door| TlsDoor::new(door, authority.server.clone());
        let mut serving = vec![
            serve(doors.bank, banks.banco_do_brasil, &closing),
            serve(doors.gateway, banks.boleto_api, &closing),
            serve(doors.bradesco, banks.bradesco, &closing),
            serve(tls(doors.santander), banks.santander, &closing),
            serve(tls(doors.inter), banks.inter, &closing),
            serve(tls(doors.itau), banks.itau, &closing),
            serve(doors.sqs, sqs::router(outside.clone(), sqs_url), &closing),
            serve(doors.webhook, webhook::router(outside.clone(), secret), &closing),
            nats::serve(doors.nats, outside.clone(), &closing),
            serve(doors.vendors, vendors::router(outside.clone()), &closing),
            smtp::serve(doors.smtp, outside.clone(), authority.mail.clone(), &closing),
            serve(doors.firebase, firebase.router(), &closing),
            serve(
                doors.control,
                control::router(outside.clone(), cashier.clone(), firebase.clone(), aspsps.clone()),
                &closing,
            ),
        ];
        for (number, (plain, behind_tls)) in (0..).zip(aspsp_doors.doors) {
            serving.push(serve(plain, aspsps.router(number), &closing));
            serving.push(serve(tls(behind_tls), aspsps.router(number), &closing));
        }
        Ok(World { addresses, outside, cashier, firebase, aspsps, bolts, closing, serving })
    }

    /// Where the parties are reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How the parties misbehave.
    pub fn script(&self) -> &Script {
        &self.outside.script
    }

    /// The transfers' database: what is in it, and how its streams misbehave.
    pub fn firebase(&self) -> &Firebase {
        &self.firebase
    }

    /// The banks of open banking: who is at them, and how they misbehave.
    pub fn aspsp(&self) -> &Aspsps {
        &self.aspsps
    }

    /// Has a payer pay a title, at whichever bank it is, and returns the effect.
    ///
    /// # Errors
    /// When nobody takes the money.
    pub async fn pay(&self, payment: &Payment) -> Result<Effect, NotPaid> {
        self.cashier.pay(payment).await
    }

    /// Has a bank's door refuse whoever knocks; those who are connected already stay so. Bradesco's two APIs have one door.
    pub async fn shut(&self, bank: BankName) {
        if let Some(bolt) = self.bolts.get(&bank) {
            bolt.shut().await;
        }
    }

    /// Opens a bank's door again; it takes a moment.
    pub fn reopen(&self, bank: BankName) {
        if let Some(bolt) = self.bolts.get(&bank) {
            bolt.open();
        }
    }

    /// How often each party was asked.
    pub fn counts(&self) -> BTreeMap<Party, u64> {
        self.outside.script.counts()
    }

    /// The effects of this world's life so far. A file that held earlier ones keeps them.
    pub fn effects(&self) -> Vec<Effect> {
        self.outside.ledger.kept().clone()
    }

    /// The ledger's file.
    pub fn ledger_path(&self) -> &Path {
        self.outside.ledger.path()
    }

    /// What the owners received, oldest first.
    pub fn messages(&self) -> Vec<ReceivedMessage> {
        self.outside.inbox.messages()
    }

    /// Waits until the effects satisfy `enough`.
    ///
    /// # Errors
    /// [`SandboxError::TimedOut`].
    pub async fn wait_for_effects(
        &self,
        mut enough: impl FnMut(&[Effect]) -> bool,
        timeout: Duration,
    ) -> Result<(), SandboxError> {
        let ledger = &self.outside.ledger;
        self.outside.news.wait_until("the effect", timeout, || enough(&ledger.kept())).await
    }

    /// Waits until the party was asked at least so often.
    ///
    /// # Errors
    /// [`SandboxError::TimedOut`].
    pub async fn wait_for_asked(
        &self,
        party: Party,
        times: u64,
        timeout: Duration,
    ) -> Result<(), SandboxError> {
        let script = &self.outside.script;
        self.outside.news.wait_until("the request", timeout, || script.asked(party) >= times).await
    }

    /// Waits until exactly so many requests are held or hang.
    ///
    /// # Errors
    /// [`SandboxError::TimedOut`].
    pub async fn wait_for_held(&self, requests: usize, timeout: Duration) -> Result<(), SandboxError> {
        let script = &self.outside.script;
        self.outside.news.wait_until("the held request", timeout, || script.held() == requests).await
    }

    /// Sends held requests home, ends the tasks and the ledger's writer.
    pub async fn close(self) {
        self.outside.script.close();
        self.closing.send_replace(true);
        // A stream has no end of its own, and would outlast everybody's patience.
        self.firebase.tell(StreamNews::Cut);
        for mut task in self.serving {
            if tokio::time::timeout(CLOSING_PATIENCE, &mut task).await.is_err() {
                task.abort();
            }
        }
        self.outside.ledger.close().await;
    }
}

/// Where everybody is let in.
struct Doors {
    bank: Door,
    gateway: Door,
    bradesco: Door,
    santander: Door,
    inter: Door,
    itau: Door,
    sqs: Door,
    webhook: Door,
    nats: Door,
    smtp: Door,
    vendors: Door,
    firebase: Door,
    control: Door,
}

impl Doors {
    /// Every door, and the bolts of those that are banks'.
    async fn open(options: &WorldOptions) -> Result<(Self, BTreeMap<BankName, Bolt>), SandboxError> {
        let open = async |port| {
            let address = SocketAddr::new(options.bind, port);
            Door::open(address).await.map_err(|source| SandboxError::Bind { address, source })
        };
        let ports = options.ports;
        let (bank, first) = open(ports.bank).await?;
        let (gateway, second) = open(ports.boleto_api).await?;
        let (bradesco, third) = open(ports.bradesco).await?;
        let (santander, fourth) = open(ports.santander).await?;
        let (inter, fifth) = open(ports.inter).await?;
        let (itau, sixth) = open(ports.itau).await?;
        let (sqs, _) = open(ports.sqs).await?;
        let (webhook, _) = open(ports.webhook).await?;
        let (nats, _) = open(ports.nats).await?;
        let (smtp, _) = open(ports.smtp).await?;
        let (firebase, _) = open(ports.firebase).await?;
        let (vendors, _) = open(ports.vendors).await?;
        let (control, _) = open(ports.control).await?;
        let bolts = BTreeMap::from([
            (BankName::BancoDoBrasil, first),
            (BankName::BoletoApi, second),
            (BankName::BradescoApiregistro, third.clone()),
            (BankName::BradescoShopfacil, third),
            (BankName::Santander, fourth),
            (BankName::Inter, fifth),
            (BankName::Itau, sixth),
        ]);
        Ok((
            Doors {
                bank,
                gateway,
                bradesco,
                santander,
                inter,
                itau,
                sqs,
                webhook,
                nats,
                smtp,
                firebase,
                vendors,
                control,
            },
            bolts,
        ))
    }

    fn addresses(&self, tls: TlsFiles) -> Addresses {
        let (bank_at, bradesco_at) = (self.bank.address(), self.bradesco.address());
        let (santander_at, inter_at, itau_at) =
            (self.santander.address(), self.inter.address(), self.itau.address());
        let sqs_url = format!("http://{}", self.sqs.address());
        let vendors_at = self.vendors.address();
        Addresses {
            bank_url: format!("http://{bank_at}/cobrancas/v2"),
            token_url: format!("http://{bank_at}/oauth/token"),
            banks: BankAddresses {
                boleto_api_url: format!("http://{}", self.gateway.address()),
                bradesco_apiregistro_url: format!("http://{bradesco_at}"),
                bradesco_shopfacil_url: format!("http://{bradesco_at}/shopfacil"),
                santander_api_url: format!("https://{santander_at}/collection_bill_management/v2"),
                santander_token_url: format!("https://{santander_at}/auth/oauth/v2/token"),
                inter_api_url: format!("https://{inter_at}/cobranca/v3"),
                inter_token_url: format!("https://{inter_at}/oauth/v2/token"),
                itau_api_url: format!("https://{itau_at}/cash_management/v2"),
                itau_query_url: format!("https://{itau_at}/boletoscash/v2"),
                itau_token_url: format!("https://{itau_at}/api/oauth/token"),
            },
            tls,
            queue_url: sqs::queue_url(&sqs_url, OWNER),
            webhook_url: format!("http://{}/hooks/{OWNER}", self.webhook.address()),
            vendors: VendorAddresses {
                ra7_prefix: format!("http://{vendors_at}/ra7/Analyze/?u="),
                container_url: format!("http://{vendors_at}/container/ra7"),
                container_lva7_url: format!("http://{vendors_at}/container/lva7"),
                container_qa7_url: format!("http://{vendors_at}/container/qa7"),
                cloud_url: format!("http://{vendors_at}/cloud/RadvAnalysis/"),
                emotion_logic_url: format!("http://{vendors_at}/emotion-logic"),
            },
            smtp_url: format!("smtp://{}", self.smtp.address()),
            nats_url: format!("nats://{}", self.nats.address()),
            firebase: FirebaseAddresses::at(self.firebase.address()),
            control_url: format!("http://{}", self.control.address()),
            aspsps: Vec::new(),
            aspsp_signing: AspspSigning::default(),
            sqs_url,
        }
    }
}

fn serve<L>(door: L, router: Router, closing: &watch::Sender<bool>) -> JoinHandle<()>
where
    L: Listener<Addr = Line>,
    Line: for<'a> Connected<IncomingStream<'a, L>>,
{
    let mut closed = closing.subscribe();
    let service = router.into_make_service_with_connect_info::<Line>();
    tokio::spawn(async move {
        let end = async move {
            // A world that was dropped without being closed keeps serving until its runtime ends.
            if closed.wait_for(|closed| *closed).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        if let Err(error) = axum::serve(door, service).with_graceful_shutdown(end).await {
            tracing::error!(%error, "sandbox server ended");
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::sandbox::client::{Client, TempDir};
    use crate::sandbox::{Behaviour, Ports};

    #[tokio::test]
    async fn only_loopback_and_a_free_port_will_do() {
        let dir = TempDir::new();
        let open = WorldOptions { bind: Ipv4Addr::UNSPECIFIED.into(), ..WorldOptions::in_dir(dir.path()) };
        assert!(matches!(World::open(open).await, Err(SandboxError::InvalidOption { option: "bind", .. })));

        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        let taken: u16 = world.addresses().sqs_url.rsplit(':').next().unwrap().parse().unwrap();
        let ports = Ports { webhook: taken, ..Ports::default() };
        let second = World::open(WorldOptions { ports, ..WorldOptions::in_dir(dir.path()) }).await;
        assert!(matches!(second, Err(SandboxError::Bind { .. })));
        world.close().await;
    }

    #[tokio::test]
    async fn a_shut_door_lets_nobody_in_until_it_is_opened_again() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        let url = world.addresses().token_url.clone();
        for _ in 0..2 {
            world.shut(BankName::BancoDoBrasil).await;
            assert!(Client::new().post(&url, vec![], "").await.unwrap_err().is_connect());
            world.reopen(BankName::BancoDoBrasil);
            let opened = async {
                while Client::new().post(&url, vec![], "").await.is_err() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), opened).await.expect("an open door");
        }
        world.close().await;
    }

    #[tokio::test]
    async fn closing_ends_what_hangs() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        world.script().webhook(Behaviour::Hang);
        let client = Client::new();
        let url = world.addresses().webhook_url.clone();
        let hanging = tokio::spawn({
            let (client, url) = (client.clone(), url.clone());
            async move { client.post(&url, vec![], "{}").await }
        });
        world.wait_for_held(1, Duration::from_secs(5)).await.unwrap();
        world.close().await;
        assert!(hanging.await.unwrap().is_err());
        assert!(client.post(&url, vec![], "{}").await.unwrap_err().is_connect());
    }

    #[tokio::test]
    async fn a_wait_ends_with_its_time() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        let waited = world.wait_for_asked(Party::Sqs, 1, Duration::from_millis(5)).await;
        assert!(matches!(waited, Err(SandboxError::TimedOut { awaited: "the request", .. })));
        world.close().await;
    }

    #[tokio::test]
    async fn each_kind_of_broken_answer_is_broken_in_its_way() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        let (client, url) = (Client::new(), world.addresses().webhook_url.clone());
        for broken in [Behaviour::Reset, Behaviour::Garbage] {
            world.script().webhook(broken.clone());
            let error = client.post(&url, vec![], "{}").await.unwrap_err();
            assert!(error.is_request() && !error.is_connect(), "{broken:?}: {error:?}");
        }
        world.script().webhook(Behaviour::Html);
        let page = client.post(&url, vec![], "{}").await.unwrap();
        assert!(page.status == 200 && page.body.starts_with("<!DOCTYPE html>"));
        world.script().webhook(Behaviour::Empty);
        let empty = client.post(&url, vec![], "{}").await.unwrap();
        assert_eq!((empty.status, empty.body.as_str()), (200, ""));
        world.script().webhook(Behaviour::status_retry_after(429, 7));
        let busy = client.post(&url, vec![], "{}").await.unwrap();
        assert_eq!((busy.status, busy.headers["retry-after"].to_str().unwrap()), (429, "7"));
        for cut_off in [Behaviour::Truncated, Behaviour::AcceptThen(Box::new(Behaviour::Truncated))] {
            world.script().sqs(cut_off.clone());
            let error = client.post(&world.addresses().sqs_url, vec![], "{}").await.unwrap_err();
            assert!(error.is_body() || error.is_decode(), "{cut_off:?}: {error:?}");
        }
        world.script().webhook(Behaviour::Redirect { code: 303, to: "/hooks/elsewhere".to_owned() });
        let elsewhere = client.post(&url, vec![], "{}").await.unwrap();
        assert_eq!(elsewhere.status, 405, "the client went there, and asked otherwise");
        assert_eq!(world.effects(), []);
        world.close().await;
    }

    #[tokio::test]
    async fn a_late_party_still_does_what_a_caller_asked_who_has_gone() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        world.script().webhook(Behaviour::Hold);
        let (client, url) = (Client::new(), world.addresses().webhook_url.clone());
        let impatient = tokio::spawn(async move { client.post(&url, vec![], "{}").await });
        world.wait_for_held(1, Duration::from_secs(5)).await.unwrap();
        impatient.abort();
        world.script().release();
        world.wait_for_effects(|effects| effects.len() == 1, Duration::from_secs(5)).await.unwrap();
        world.close().await;
    }
}
