//! The way to the service.
//!
//! **Owns** one HTTP/2 connection. **Fails** as unavailable when nobody answers there, and as too late when an
//! answer takes longer than the caller wants to wait.
//! **Limits**: an answer holds at most 64 MiB.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use tonic_health::pb::health_client::HealthClient;

use super::credentials::Credentials;
use super::failure::Failure;
use super::tls::{self, TlsArgs};
use crate::proto::access::v1::audit_service_client::AuditServiceClient;
use crate::proto::access::v1::token_service_client::TokenServiceClient;
use crate::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use crate::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use crate::proto::control::v1::control_service_client::ControlServiceClient;
use crate::proto::notification::v1::notification_service_client::NotificationServiceClient;
use crate::proto::openbanking::v1::account_service_client::AccountServiceClient;
use crate::proto::openbanking::v1::consent_service_client::ConsentServiceClient;
use crate::proto::openbanking::v1::payment_service_client::PaymentServiceClient;
use crate::proto::openbanking::v1::sync_service_client::SyncServiceClient;
use crate::proto::openbanking::v1::user_service_client::UserServiceClient;
use crate::proto::transfer::v1::transfer_service_client::TransferServiceClient;

/// The largest page that a house may be configured to give fits in.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the service listens: `http://host:port`, or `https://host:port`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address(Uri);

impl Address {
    /// Reads an address; without a scheme it is taken as `http`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri =
            whole.parse().map_err(|_| "expected http://HOST:PORT or https://HOST:PORT".to_owned())?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(_)) => Ok(Self(uri)),
            _ => Err("expected http://HOST:PORT or https://HOST:PORT".to_owned()),
        }
    }

    /// Whether what is said there is hidden on its way.
    fn is_secure(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether somebody on the way could read what is said there.
    fn is_overheard(&self) -> bool {
        let host = self.0.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_here =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        !self.is_secure() && !is_here
    }

    /// What to look at where no connection comes about.
    fn remedy(&self) -> &'static str {
        match self.is_secure() {
            true => {
                "is the service running there, with TLS? --ca-file names the authority that has signed its certificate"
            }
            false => {
                "is the service running there, and without TLS? --address or BURSAR_ADDRESS says where it is looked for"
            }
        }
    }

    /// Where, without the credentials that somebody may have put into it.
    fn shown(&self) -> String {
        let host = self.0.host().unwrap_or_default();
        self.0.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// How a call reaches the service, and shows whose it is.
pub(super) type Way = InterceptedService<Channel, Credentials>;

/// An open connection, with the patience of its caller.
pub(super) struct Connection {
    channel: Channel,
    credentials: Credentials,
    patience: Duration,
}

impl Connection {
    /// Connects; says so at once when nobody listens there. A token is shown in plain text to this machine alone.
    pub async fn open(
        address: &Address,
        tls: &TlsArgs,
        credentials: Credentials,
        patience: Duration,
    ) -> Result<Self, Failure> {
        check_way(address, tls, &credentials)?;
        let endpoint = Endpoint::from(address.0.clone());
        let connector = address.is_secure().then(|| tls::connector(tls)).transpose()?;
        let connected = async {
            match connector {
                Some(connector) => endpoint.connect_with_connector(connector).await,
                None => endpoint.connect().await,
            }
        };
        match timeout(patience, connected).await {
            Ok(Ok(channel)) => Ok(Self { channel, credentials, patience }),
            Ok(Err(error)) => {
                let message = format!("no connection to {}: {}", address.shown(), root_cause(&error));
                Err(Failure::found(Code::Unavailable, message).with_remedy(address.remedy()))
            }
            Err(_) => {
                let message = format!("no connection to {} within {patience:?}", address.shown());
                Err(Failure::found(Code::DeadlineExceeded, message).with_remedy(address.remedy()))
            }
        }
    }

    /// Waits for an answer, as long as the caller wants to.
    pub async fn call<T>(
        &self,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        match timeout(self.patience, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(status.into()),
            Err(_) => {
                let message =
                    format!("no answer within {:?}; the service may still act on it", self.patience);
                Err(Failure::found(Code::DeadlineExceeded, message))
            }
        }
    }

    fn way(&self) -> Way {
        InterceptedService::new(self.channel.clone(), self.credentials.clone())
    }

    pub fn health(&self) -> HealthClient<Way> {
        HealthClient::new(self.way())
    }

    pub fn tokens(&self) -> TokenServiceClient<Way> {
        TokenServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn audit(&self) -> AuditServiceClient<Way> {
        AuditServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn boletos(&self) -> BoletoServiceClient<Way> {
        BoletoServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn bank_accounts(&self) -> BankAccountServiceClient<Way> {
        BankAccountServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn endpoints(&self) -> NotificationServiceClient<Way> {
        NotificationServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn users(&self) -> UserServiceClient<Way> {
        UserServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn consents(&self) -> ConsentServiceClient<Way> {
        ConsentServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn accounts(&self) -> AccountServiceClient<Way> {
        AccountServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn payments(&self) -> PaymentServiceClient<Way> {
        PaymentServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn transfers(&self) -> TransferServiceClient<Way> {
        TransferServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn syncs(&self) -> SyncServiceClient<Way> {
        SyncServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub fn control(&self) -> ControlServiceClient<Way> {
        ControlServiceClient::new(self.way()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }
}

/// Keeps a token from being shown to whoever is on the way.
fn check_way(address: &Address, tls: &TlsArgs, credentials: &Credentials) -> Result<(), Failure> {
    if !credentials.hold_a_token() || !address.is_overheard() || tls.plaintext_token {
        return Ok(());
    }
    let message = format!("the token would go to {} in plain text", address.shown());
    let remedy = "use an https address, or --plaintext-token where nobody else is on the network in between";
    Err(Failure::found(Code::InvalidArgument, message).with_remedy(remedy))
}

/// The innermost reason: the outer ones only say that there is one.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::ApiToken;

    #[test]
    fn an_address_may_leave_out_the_scheme_and_nothing_else() {
        assert_eq!(Address::parse("127.0.0.1:7400"), Address::parse("http://127.0.0.1:7400"));
        assert_eq!(Address::parse("http://user:secret@host:1").map(|it| it.shown()), Ok("host:1".to_owned()));
        assert_eq!(Address::parse("https://host:1").map(|it| it.is_secure()), Ok(true));
        let overheard = ["http://bursar:7400", "http://192.0.2.1:1", "http://127.0.0.1.example"];
        let not = ["https://bursar:7400", "http://127.0.0.9:1", "http://[::1]:7400", "http://localhost:7400"];
        let are = |texts: &[&str]| -> Vec<bool> {
            texts.iter().map(|text| Address::parse(text).is_ok_and(|it| it.is_overheard())).collect()
        };
        assert_eq!((are(&overheard), are(&not)), (vec![true; 3], vec![false; 4]));
        for wrong in ["", "ftp://host", "http://", "two words"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_token_is_not_shown_in_plain_text_to_another_machine() {
        let [there, here] =
            ["http://bursar.example:7400", "http://127.0.0.1:7400"].map(|text| Address::parse(text).unwrap());
        let text = ApiToken::of_bits([1; 6], [2; 32]).reveal();
        let credentials = Credentials::of(&text, "a file").unwrap();
        let Err(Failure::Told(refused)) = check_way(&there, &TlsArgs::default(), &credentials) else {
            panic!("it is shown")
        };
        assert_eq!(refused.code, Code::InvalidArgument);
        assert!(
            refused.message.contains("bursar.example:7400") && refused.remedy.contains("--plaintext-token")
        );
        let mut allowed = TlsArgs::default();
        allowed.plaintext_token = true;
        assert!(check_way(&there, &allowed, &credentials).is_ok());
        assert!(check_way(&there, &TlsArgs::default(), &Credentials::default()).is_ok());
        assert!(check_way(&here, &TlsArgs::default(), &credentials).is_ok());
    }
}
