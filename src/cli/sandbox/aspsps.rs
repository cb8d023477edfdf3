//! What a house needs to ask the sandbox's banks of open banking: one in each of the two languages.
//!
//! **Owns** nothing. **Fails** never. **Limits**: two of the banks; the others are asked by whoever configures them.

use serde_json::json;

use crate::sandbox::{Addresses, AspspAddresses, AspspSigning};

/// What the bank is called that speaks NextGenPSD2.
pub const BERLIN: &str = "sandbox-berlin";
/// What the bank is called that speaks PolishAPI.
pub const POLISH: &str = "sandbox-polish";
/// What these banks know us by.
const CLIENT_ID: &str = "sandbox-tpp";

/// The sandbox's banks instead of real ones.
pub fn settings(outside: &Addresses) -> Vec<(String, String)> {
    let banks = [BERLIN, POLISH].into_iter().zip(&outside.aspsps);
    banks.flat_map(|(name, aspsp)| settings_of(name, name == BERLIN, aspsp, &outside.aspsp_signing)).collect()
}

/// One of the sandbox's banks under this name; it speaks NextGenPSD2, or else PolishAPI.
pub fn settings_of(
    name: &str,
    is_berlin: bool,
    aspsp: &AspspAddresses,
    signing: &AspspSigning,
) -> Vec<(String, String)> {
    let file = |path: &std::path::Path| format!("file:{}", path.display());
    let common = [
        ("base_url", aspsp.url.clone()),
        ("zone", "UTC".to_owned()),
        ("signature.private_key", file(&signing.private_key)),
        ("signature.certificate", file(&signing.certificate)),
        ("signature.algorithm", "ES256".to_owned()),
        ("signature.key_id", "SN=1,CA=CN=Sandbox".to_owned()),
        ("codes.not_found", json!(["PAYMENT_UNKNOWN"]).to_string()),
    ];
    let own = if is_berlin {
        vec![
            ("standard", "berlin_group".to_owned()),
            ("berlin_group.both", "true".to_owned()),
            ("berlin_group.token.url", format!("{}/token", aspsp.url)),
            ("berlin_group.token.client_id", CLIENT_ID.to_owned()),
        ]
    } else {
        vec![
            ("standard", "polish_api".to_owned()),
            ("polish_api.client_id", CLIENT_ID.to_owned()),
            ("codes.consent_ended", json!(["CONSENT_INVALID"]).to_string()),
            ("codes.consent_expired", json!(["CONSENT_EXPIRED"]).to_string()),
        ]
    };
    let of_bank = common.into_iter().chain(own);
    of_bank.map(|(key, value)| (format!("openbanking.aspsps.{name}.{key}"), value)).collect()
}
