//! A service account for the tests of this folder, with a key that `openssl` makes anew for each run: ring makes none of its kind.
//!
//! **Owns** the key of this process. **Fails** by panicking where there is no `openssl`.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

pub(super) const EMAIL: &str = "tests@demo-project.example";

/// PKCS#8 as a file holds it.
fn private_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let made = Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "openssl made no key");
        String::from_utf8(made.stdout).expect("a key is written in Base64")
    })
}

/// The file as Google's console hands it out.
pub(super) fn file(token_uri: &str) -> String {
    json!({
        "type": "service_account",
        "client_email": EMAIL,
        "private_key_id": "key-of-the-tests",
        "private_key": private_key(),
        "token_uri": token_uri,
    })
    .to_string()
}
