//! The way from the pages to the house: the API that everybody else uses, called within the process.
//!
//! Each call goes through all layers of the server, so that who may see what, what is masked, what is audited and what an error
//! says is decided there and nowhere else. A call shows the token of whoever is signed in, and the address of their browser.
//!
//! **Owns** nothing. **Fails** with [`Trouble`]. **Limits**: the API's own.

use std::net::{IpAddr, SocketAddr};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::service::{Interceptor, Routes};
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Request, Response, Status};

use crate::caller::MASKED;
use crate::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use crate::proto::control::v1::GetInfoRequest;
use crate::proto::control::v1::control_service_client::ControlServiceClient;
use crate::proto::transfer::v1::transfer_service_client::TransferServiceClient;

/// The server's services with all that stands around them; none while it is down.
pub type Served = watch::Receiver<Option<Routes>>;

/// The way of one caller, a call's worth.
pub type Way = InterceptedService<Routes, Showing>;

/// Why a page cannot show something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody is signed in, or not any more.
    SignedOut,
    /// The API said so; the words are its own, and meant for people.
    Refused { code: Code, words: String },
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unauthenticated => Self::SignedOut,
            code => Self::Refused { code, words: status.message().to_owned() },
        }
    }
}

/// Whoever looks at a page.
#[derive(Clone)]
pub struct Visitor {
    served: Served,
    showing: Showing,
}

impl Visitor {
    /// Somebody at this address, with the token that they have signed in with.
    pub fn new(served: &Served, token: Option<&SecretString>, address: IpAddr) -> Self {
        // What is no header is no token either, and is refused as such.
        let shown = token.map(|token| format!("Bearer {}", token.expose_secret()));
        let authorization = shown.map(|text| {
            let mut value = MetadataValue::try_from(text).unwrap_or(MetadataValue::from_static("Bearer"));
            value.set_sensitive(true);
            value
        });
        Self { served: served.clone(), showing: Showing { authorization, address } }
    }

    /// Whether the API knows the token, whatever it allows.
    ///
    /// # Errors
    /// That it does not, or why it cannot say so.
    pub async fn is_known(&self) -> Result<(), Trouble> {
        match told(self.control()?.get_info(GetInfoRequest {}).await) {
            Ok(_) | Err(Trouble::Refused { code: Code::PermissionDenied, .. }) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    pub fn control(&self) -> Result<ControlServiceClient<Way>, Trouble> {
        self.way().map(ControlServiceClient::new)
    }

    pub fn boletos(&self) -> Result<BoletoServiceClient<Way>, Trouble> {
        self.way().map(BoletoServiceClient::new)
    }

    pub fn transfers(&self) -> Result<TransferServiceClient<Way>, Trouble> {
        self.way().map(TransferServiceClient::new)
    }

    fn way(&self) -> Result<Way, Trouble> {
        let routes = self.served.borrow().clone().ok_or_else(|| Trouble::Refused {
            code: Code::Unavailable,
            words: "the API of this process is down; it is the actor `api`".to_owned(),
        })?;
        Ok(InterceptedService::new(routes, self.showing.clone()))
    }
}

/// The message of an answer, or why there is none.
pub fn told<T>(answer: Result<Response<T>, Status>) -> Result<T, Trouble> {
    answer.map(Response::into_inner).map_err(Trouble::from)
}

/// Shows with every call who makes it, and from where.
#[derive(Clone)]
pub struct Showing {
    authorization: Option<MetadataValue<Ascii>>,
    address: IpAddr,
}

impl Interceptor for Showing {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        // Whatever the token allows: nobody knows who looks at a screen.
        request.metadata_mut().insert(MASKED, MetadataValue::from_static("yes"));
        // The port is nobody's: all that one address asks by the pages counts as one connection.
        let remote_addr = Some(SocketAddr::new(self.address, 0));
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        Ok(request)
    }
}
