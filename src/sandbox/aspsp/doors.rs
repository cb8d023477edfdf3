//! The doors of the banks, two for each: plain, and behind TLS.
//!
//! **Owns** the listeners until they are served.
//! **Fails** when there are to be too many banks, or a port is taken.
//! **Limits**: only the plain door can be shut, and only its port can be asked for.

use std::net::SocketAddr;

use super::options::{ASPSPS_MAX, AspspAddresses};
use crate::sandbox::line::{Bolt, Door};
use crate::sandbox::{SandboxError, WorldOptions};

/// Everything that is opened for the banks.
#[derive(Default)]
pub struct Doors {
    /// Plain, and behind TLS.
    pub doors: Vec<(Door, Door)>,
    /// Of the plain ones.
    pub bolts: Vec<Bolt>,
    pub addresses: Vec<AspspAddresses>,
}

impl Doors {
    pub async fn open(options: &WorldOptions) -> Result<Self, SandboxError> {
        let banks = options.aspsp.banks;
        if banks > ASPSPS_MAX {
            let reason = format!("{banks} are more than {ASPSPS_MAX}");
            return Err(SandboxError::InvalidOption { option: "aspsp.banks", reason });
        }
        let open = async |port| {
            let address = SocketAddr::new(options.bind, port);
            Door::open(address).await.map_err(|source| SandboxError::Bind { address, source })
        };
        let mut opened = Doors::default();
        for port in options.ports.aspsps.into_iter().take(banks.into()) {
            let (plain, bolt) = open(port).await?;
            let (behind_tls, _) = open(0).await?;
            opened.addresses.push(AspspAddresses {
                url: format!("http://{}", plain.address()),
                tls_url: format!("https://{}", behind_tls.address()),
            });
            opened.doors.push((plain, behind_tls));
            opened.bolts.push(bolt);
        }
        Ok(opened)
    }
}
