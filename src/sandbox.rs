//! The outside world in miniature: banks, a queue service, a webhook receiver, a stream, a mail server and the transfers'
//! database, each speaking its real protocol over a real socket, for a first look at the house and for every test of it.
//!
//! It is written from the providers' manuals and imports no other room of this crate, so that a misreading
//! cannot hide on both sides of the wire. Every request is checked against a closed schema.
//!
//! **Owns** the effects ledger (`effects.jsonl` in its data directory): each effect that the outside accepted,
//! synced before the answer leaves. The titles, queues and messages themselves live in memory only.
//! **Fails** at opening when a port is taken or the ledger cannot be written; later, an effect that cannot be
//! recorded is answered with a 503, never with a success; by the database with a 500, because there the write is made.
//! **Limits**: each owner's queue keeps its newest 100,000 messages and the inbox 10,000; the ledger grows.
//!
//! Tour: [`world`] opens and closes it, [`process`] runs it as a process of its own, [`control`] steers that
//! process; [`banks`], [`aspsp`], [`sqs`], [`webhook`], [`nats`], [`smtp`], [`firebase`] and [`vendors`] are the parties, [`script`] their
//! misbehaviour, [`ledger`] and [`inbox`] their memory, [`line`] and [`tls`] the sockets, [`screen`] what a person sees.

mod aspsp;
mod banks;
mod control;
mod firebase;
mod inbox;
pub mod ledger;
mod line;
mod nats;
mod outside;
mod process;
mod screen;
pub mod script;
mod smtp;
mod sqs;
mod tls;
mod vendors;
mod webhook;
mod world;

#[cfg(test)]
mod client;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use aspsp::{
    ASPSPS_MAX, Aspsp, AspspAccount, AspspAddresses, AspspBulk, AspspBundle, AspspCall, AspspComeBack,
    AspspConsent, AspspEntry, AspspIds, AspspOptions, AspspPayment, AspspPaymentStep, AspspRecurring,
    AspspRules, AspspSigning, AspspStandard, AspspTokens, AspspWindow, Aspsps, PageTrap,
};
pub use banks::boleto_api::CAIXA_ALREADY_ON_FILE;
pub use banks::cashier::NotPaid;
pub use banks::file::{PaidBy, Payment};
pub use banks::itau::ALREADY_ON_FILE as ITAU_ALREADY_ON_FILE;
pub use banks::santander::{ALREADY_ON_FILE as SANTANDER_ALREADY_ON_FILE, WORKSPACE as SANTANDER_WORKSPACE};
pub use firebase::{
    BUCKET as FIREBASE_BUCKET, Firebase, FirebaseAddresses, FirebaseOptions, LineEnd,
    NAMESPACE as FIREBASE_NAMESPACE, Oversized, StreamNews, StreamPlay,
};
pub use inbox::{Listed, ReceivedMessage};
pub use ledger::{Effect, EffectKind};
pub use process::run_process;
pub use script::{
    Act, AspspStep, BankName, Behaviour, FirebaseStep, Party, Script, SmtpStep, Times, VendorName,
};
pub use smtp::{MAIL_PASSWORD, MAIL_USERNAME};
pub use tls::TlsFiles;
pub use vendors::{EMOTION_LOGIC_KEY, EMOTION_LOGIC_PASSWORD, VENDOR_AUTH, vendor_risk, vendor_segments};
pub use world::World;

/// The queue that exists from the start, and the webhook receiver's customary name.
pub const OWNER: &str = "sandbox-owner";

/// Where and how the world opens.
#[derive(Clone)]
pub struct WorldOptions {
    /// A loopback address; anything else is refused, because the world believes every caller.
    pub bind: IpAddr,
    /// One port for each party; 0 takes any free one.
    pub ports: Ports,
    /// Holds `effects.jsonl`; made when it is missing.
    pub data_dir: PathBuf,
    /// The Standard Webhooks secret (`whsec_…`); without it signatures are not looked at.
    pub webhook_secret: Option<String>,
    /// Says nothing on stderr.
    pub quiet: bool,
    /// Syncs the ledger before an effect is answered. Only benchmarks switch it off.
    pub ledger_sync: bool,
    /// What the banks let in.
    pub bank: BankOptions,
    /// What the transfers' database lets in.
    pub firebase: FirebaseOptions,
    /// The banks of open banking.
    pub aspsp: AspspOptions,
}

impl WorldOptions {
    /// Loopback, any free ports, quiet, synced: what a test wants.
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        WorldOptions {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: Ports::default(),
            data_dir: data_dir.into(),
            webhook_secret: None,
            quiet: true,
            ledger_sync: true,
            bank: BankOptions::default(),
            firebase: FirebaseOptions::default(),
            aspsp: AspspOptions::default(),
        }
    }
}

/// The credentials that the banks know, the same at each, and how long their tokens live.
#[derive(Clone)]
pub struct BankOptions {
    /// User of a Basic header, `client_id` of a form, merchant id.
    pub client_id: String,
    /// Password of a Basic header, `client_secret` of a form, merchant key.
    pub client_secret: String,
    /// Value of `gw-dev-app-key`, `X-Application-Key` and `x-itau-apikey`.
    pub app_key: String,
    /// User of the second sign-in, in the body of a gateway's request.
    pub inner_user: String,
    /// Its password.
    pub inner_password: String,
    /// Age at which a token stops working.
    pub token_ttl: Duration,
}

impl Default for BankOptions {
    fn default() -> Self {
        BankOptions {
            client_id: "sandbox-client".into(),
            client_secret: "sandbox-secret".into(),
            app_key: "sandbox-app-key".into(),
            inner_user: "sandbox-shop".into(),
            inner_password: "sandbox-shop-secret".into(),
            token_ttl: Duration::from_secs(600),
        }
    }
}

/// The ports to listen on; 0 takes any free one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// Banco do Brasil: token endpoint and Cobranças API.
    pub bank: u16,
    /// The gateway.
    pub boleto_api: u16,
    /// Bradesco's two doors.
    pub bradesco: u16,
    /// Santander, behind TLS.
    pub santander: u16,
    /// Inter, behind TLS.
    pub inter: u16,
    /// Itaú, behind TLS.
    pub itau: u16,
    /// The queue service.
    pub sqs: u16,
    /// The webhook receiver.
    pub webhook: u16,
    /// The stream.
    pub nats: u16,
    /// The mail server.
    pub smtp: u16,
    /// The vendors that analyse recordings.
    pub vendors: u16,
    /// The transfers' database, with its sign-in and its recorded answers.
    pub firebase: u16,
    /// The banks of open banking, by their numbers.
    pub aspsps: [u16; ASPSPS_MAX as usize],
    /// Scripts, counts, effects, messages.
    pub control: u16,
}

/// Where the parties are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Banco do Brasil: base of the Cobranças API, with its path and version.
    pub bank_url: String,
    /// Banco do Brasil: the token endpoint.
    pub token_url: String,
    /// The other banks.
    pub banks: BankAddresses,
    /// What gets a house through the doors behind TLS.
    pub tls: TlsFiles,
    /// The queue service's endpoint, without a path.
    pub sqs_url: String,
    /// URL of the queue that exists from the start.
    pub queue_url: String,
    /// URL of the customary webhook receiver; any other name under `/hooks/` works too.
    pub webhook_url: String,
    /// The mail server; it takes messages for any address.
    pub smtp_url: String,
    /// The vendors that analyse recordings.
    pub vendors: VendorAddresses,
    /// The stream's server; its stream listens to every subject.
    pub nats_url: String,
    /// The transfers' database and what belongs to it.
    pub firebase: FirebaseAddresses,
    /// The banks of open banking, by their numbers.
    pub aspsps: Vec<AspspAddresses>,
    /// What gets a caller's signatures believed there.
    pub aspsp_signing: AspspSigning,
    /// Base of the control API.
    pub control_url: String,
}

/// Where the vendors are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorAddresses {
    /// What stands before the escaped address of a recording.
    pub ra7_prefix: String,
    /// The site in front of an engine of RA7.
    pub container_url: String,
    /// The site in front of an engine of LVA7.
    pub container_lva7_url: String,
    /// The site in front of an engine of QA7.
    pub container_qa7_url: String,
    /// The cloud that takes several questions a call.
    pub cloud_url: String,
    /// Emotion Logic, up to what comes before `analysis`.
    pub emotion_logic_url: String,
}

/// Where the banks other than the first are reached. Each `api` goes as far as the version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAddresses {
    /// The gateway, without a path.
    pub boleto_api_url: String,
    /// Bradesco's `apiregistro`, without a path.
    pub bradesco_apiregistro_url: String,
    /// ShopFacil, with the path below which anything is its registration.
    pub bradesco_shopfacil_url: String,
    /// collection_bill_management.
    pub santander_api_url: String,
    /// Santander's token endpoint.
    pub santander_token_url: String,
    /// cobranca.
    pub inter_api_url: String,
    /// Inter's token endpoint.
    pub inter_token_url: String,
    /// cash_management.
    pub itau_api_url: String,
    /// boletoscash, the query.
    pub itau_query_url: String,
    /// Itaú's token endpoint.
    pub itau_token_url: String,
}

/// Why the world could not open, or a wait in it ended without success.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The options themselves must change.
    #[error("sandbox option {option}: {reason}")]
    InvalidOption {
        /// The field's name.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Another port must be chosen, or whoever holds this one stopped.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The data directory or the ledger in it cannot be used.
    #[error("cannot use the effects ledger")]
    Ledger(#[from] std::io::Error),
    /// What was waited for did not come.
    #[error("{awaited} did not happen within {waited_ms} ms")]
    TimedOut {
        /// What was waited for.
        awaited: &'static str,
        /// How long, in milliseconds.
        waited_ms: u128,
    },
}
