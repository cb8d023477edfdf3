//! Where a caller may make us connect to.
//!
//! **Owns** nothing. A policy vets a URL when it is stored and again before it is used; its resolver then drops
//! every address that may not be reached, so that the vetted address is the one connected to and a name that
//! changes its mind in between (DNS rebinding) gains nothing.
//! **Fails** with the rule that was broken.
//! **Limits**: link-local, metadata, multicast and unspecified addresses cannot be allowed by any setting.

mod address;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};

use address::Reach;

/// What callers may make us connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Allowed schemes.
    pub schemes: Vec<String>,
    /// Allowed hosts: a name, a pattern or `*` for any. In a pattern a leading `*` stands for one or more labels
    /// and any other `*` for exactly one: `*.example.com`, `sqs.*.amazonaws.com`.
    pub hosts: Vec<String>,
    /// Allowed ports; empty allows any.
    pub ports: Vec<u16>,
    /// Whether the machine itself may be reached; for the sandbox.
    pub allow_loopback: bool,
    /// Whether private networks (RFC 1918, unique-local, carrier-grade NAT) may be reached.
    pub allow_private: bool,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            schemes: vec!["https".to_owned()],
            hosts: vec!["*".to_owned()],
            ports: vec![443],
            allow_loopback: false,
            allow_private: false,
        }
    }
}

/// The rules of an [`EgressConfig`], ready to be asked.
#[derive(Debug, Clone)]
pub struct EgressPolicy {
    config: Arc<EgressConfig>,
}

/// Which rule a URL or an address broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not a URL at all.
    #[error("not an absolute URL")]
    NotAUrl,
    /// Credentials inside a URL end up in logs, and hide the true host from a reader.
    #[error("a URL may not carry user information")]
    UserInformation,
    /// The scheme is not on the list.
    #[error("scheme {0} is not allowed")]
    Scheme(String),
    /// The host is not on the list.
    #[error("host {0} is not allowed")]
    Host(String),
    /// The port is not on the list.
    #[error("port {0} is not allowed")]
    Port(u16),
    /// The address, literal or resolved, may not be reached.
    #[error("address {0} may not be reached")]
    Address(IpAddr),
}

impl EgressPolicy {
    /// A policy of these rules.
    pub fn new(config: EgressConfig) -> Self {
        Self { config: Arc::new(config) }
    }

    /// Vets a URL that a caller supplied. A name is not resolved here: that happens when it is connected to.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn vet(&self, text: &str) -> Result<Url, EgressError> {
        let url = Url::parse(text).map_err(|_| EgressError::NotAUrl)?;
        self.vet_url(&url)?;
        Ok(url)
    }

    /// As [`Self::vet`], for a URL already parsed.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn vet_url(&self, url: &Url) -> Result<(), EgressError> {
        if !self.config.schemes.iter().any(|scheme| scheme == url.scheme()) {
            return Err(EgressError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::UserInformation);
        }
        let host = url.host_str().ok_or(EgressError::NotAUrl)?;
        // A trailing dot names the same host; without this, `localhost.` would be another name.
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if host.is_empty() || !self.config.hosts.iter().any(|pattern| host_matches(pattern, &host)) {
            return Err(EgressError::Host(host));
        }
        let port = url.port_or_known_default().ok_or(EgressError::NotAUrl)?;
        if !self.config.ports.is_empty() && !self.config.ports.contains(&port) {
            return Err(EgressError::Port(port));
        }
        // The URL parser has already turned 2130706433, 0x7f.1 and 017700000001 into 127.0.0.1. A literal never
        // reaches the resolver, hence it is vetted here.
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return self.vet_address(address);
        }
        let own_name = host == "localhost" || host.ends_with(".localhost");
        if own_name && !self.config.allow_loopback {
            return Err(EgressError::Host(host));
        }
        Ok(())
    }

    /// Vets an address that is about to be connected to.
    ///
    /// # Errors
    /// An address that the policy does not let us reach.
    pub fn vet_address(&self, address: IpAddr) -> Result<(), EgressError> {
        let allowed = match Reach::of(address) {
            Reach::Public => true,
            Reach::Loopback => self.config.allow_loopback,
            Reach::Private => self.config.allow_private,
            Reach::Never => false,
        };
        if allowed { Ok(()) } else { Err(EgressError::Address(address)) }
    }

    /// Keeps the addresses that may be reached.
    fn sift(&self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, EgressError> {
        let mut refused = None;
        let allowed: Vec<_> = found
            .into_iter()
            .filter(|socket| match self.vet_address(socket.ip()) {
                Ok(()) => true,
                Err(error) => {
                    refused.get_or_insert(error);
                    false
                }
            })
            .collect();
        match refused {
            Some(error) if allowed.is_empty() => Err(error),
            _ => Ok(allowed),
        }
    }
}

/// The answer to the question for a name's addresses.
pub(super) type LookedUp = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;
/// Who is asked for the addresses of a name.
pub(super) type LookUp = Arc<dyn Fn(String) -> LookedUp + Send + Sync>;

/// Resolves names to addresses that the policy lets us reach, and to no other.
#[derive(Clone)]
pub(super) struct VettingResolver {
    policy: EgressPolicy,
    look_up: LookUp,
}

impl VettingResolver {
    /// One that asks the system.
    pub(super) fn new(policy: EgressPolicy) -> Self {
        // Port 0 asks the client to put in the port of the URL.
        Self::with(
            policy,
            Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })),
        )
    }

    /// One that asks somebody else.
    pub(super) fn with(policy: EgressPolicy, look_up: LookUp) -> Self {
        Self { policy, look_up }
    }
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        let found = (self.look_up)(name.as_str().to_owned());
        Box::pin(async move {
            let allowed = policy.sift(found.await?)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn host_matches(pattern: &str, host: &str) -> bool {
    if pattern == "*" || pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let mut wanted: Vec<&str> = pattern.split('.').collect();
    let mut given: Vec<&str> = host.split('.').collect();
    if wanted.first() == Some(&"*") {
        wanted.remove(0);
        if given.len() <= wanted.len() {
            return false;
        }
        given.drain(..given.len() - wanted.len());
    }
    wanted.len() == given.len()
        && wanted.iter().zip(&given).all(|(want, have)| *want == "*" || want.eq_ignore_ascii_case(have))
}

#[cfg(test)]
mod tests;
