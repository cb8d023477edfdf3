//! Addresses of recorded answers that open one object for a short while.
//!
//! Signed by the service account after Google's V4 process (Cloud Storage documentation, "Canonical requests" and
//! "Signatures"): whoever has the address can fetch that object until it expires, and can do nothing else.
//!
//! **Owns** nothing. **Fails** as a misconfiguration: no bucket, no key that can sign. **Limits**: an address lives for a second
//! to 7 days, which is Google's own bound. In trials addresses are not signed and point where the settings say.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use reqwest::Url;
use sha2::{Digest, Sha256};

use super::config::FirebaseAudio;
use super::key::ServiceAccount;
use crate::connectors::http::HttpUrl;
use crate::connectors::transfer_feeds::{AudioAddress, FeedError};
use crate::domain::transfer::TransferKey;

const HOST: &str = "storage.googleapis.com";
const ALGORITHM: &str = "GOOG4-RSA-SHA256";

/// Where the answer of that place among the questions lies in its bucket.
pub(super) fn object_of(key: &TransferKey, position: usize) -> String {
    format!("cloud/{key}/{position}.wav")
}

/// An address that is not signed, in the form in which Firebase's own storage is asked.
pub(super) fn plain(base: &HttpUrl, bucket: &str, object: &str) -> AudioAddress {
    let mut url = base.join(&["v0", "b", bucket, "o", object]);
    url.query_pairs_mut().append_pair("alt", "media");
    AudioAddress { url, expires_at: None }
}

/// A signed address.
pub(super) fn signed(
    account: &ServiceAccount,
    audio: &FirebaseAudio,
    object: &str,
    now: DateTime<Utc>,
) -> Result<AudioAddress, FeedError> {
    let misconfigured = |reason: String| FeedError::Misconfigured { reason };
    let wanted = Wanted {
        email: &account.email,
        bucket: &audio.bucket,
        object,
        at: now,
        expires_s: audio.expires_after.as_secs(),
    };
    let signature =
        account.sign(wanted.to_be_signed().as_bytes()).map_err(|error| misconfigured(error.to_string()))?;
    let text =
        format!("https://{HOST}{}?{}&X-Goog-Signature={}", wanted.path(), wanted.query(), hex(&signature));
    let url = Url::parse(&text).map_err(|_| misconfigured("the bucket is part of no address".to_owned()))?;
    Ok(AudioAddress { url, expires_at: Some(now + audio.expires_after) })
}

/// What is to be opened, by whom, and for how long.
struct Wanted<'a> {
    email: &'a str,
    bucket: &'a str,
    object: &'a str,
    at: DateTime<Utc>,
    expires_s: u64,
}

impl Wanted<'_> {
    fn path(&self) -> String {
        format!("/{}/{}", self.bucket, escaped(self.object, true))
    }

    fn scope(&self) -> String {
        format!("{}/auto/storage/goog4_request", self.at.format("%Y%m%d"))
    }

    fn time(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// Every parameter but the signature, in the order of their names.
    fn query(&self) -> String {
        let credential = escaped(&format!("{}/{}", self.email, self.scope()), false);
        format!(
            "X-Goog-Algorithm={ALGORITHM}&X-Goog-Credential={credential}&X-Goog-Date={}&X-Goog-Expires={}\
             &X-Goog-SignedHeaders=host",
            self.time(),
            self.expires_s,
        )
    }

    fn canonical(&self) -> String {
        format!("GET\n{}\n{}\nhost:{HOST}\n\nhost\nUNSIGNED-PAYLOAD", self.path(), self.query())
    }

    fn to_be_signed(&self) -> String {
        let digest = hex(&Sha256::digest(self.canonical()));
        format!("{ALGORITHM}\n{}\n{}\n{digest}", self.time(), self.scope())
    }
}

/// Everything but letters, digits and `-._~` in percent signs; slashes too, unless they part a path.
fn escaped(text: &str, is_path: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (is_path && byte == b'/') {
            escaped.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::super::test_key;
    use super::*;

    /// The account as which Google signed its published vectors (googleapis/conformance-tests, storage/v1/v4_signatures.json).
    const VECTOR_EMAIL: &str = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com";
    /// The public half of its key.
    const VECTOR_PUBLIC_KEY: &str = "MIIBCgKCAQEArD8zIqyKLbX0Nq8o0Jj1qHEhHhqO3+0OP7TEFx5Vxc6PdwBoFNrfnJRI/S+ZaDYS1avr5Pqp\
        p8g8+UNOMvI1VsjGM8xjTaxkVv8mmKp6pSmQstTt25pzY1exA2wv4xNWSwWNFNx2kh35+kvTQ/DF3YA9P7pUU1sKur1PP8OoubWLFO59iy5UE5dX\
        0O/3pjvZ2HAhSXsx2VWtB5nlrHR8FrKJNLJMEGEDSMz9yRfQaUeYCU9oDYHuiqKQ3rCXi6C82l+3FJw5/ggJ5y7iw8MErCFSslcYQRbBVz6ZYKWk\
        EcJhs8BG3/16bfaqNusNlDIJ99I7DmipUngF/HEulYhfrQIDAQAB";
    const SIMPLE_GET: &str = "95e6a13d43a1d1962e667f17397f2b80ac9bdd1669210d5e08e0135df9dff4e56113485dbe429ca2266487b9d1796ebd\
        ee2d7cf682a6ef3bb9fbb4c351686fba90d7b621cf1c4eb1fdf126460dd25fa0837dfdde0a9fd98662ce60844c458448fb2b352c203d9969\
        cb74efa4bdb742287744a4f2308afa4af0e0773f55e32e92973619249214b97283b2daa14195244444e33f938138d1e5f561088ce8011f49\
        86dda33a556412594db7c12fc40e1ff3f1bedeb7a42f5bcda0b9567f17f65855f65071fabb88ea12371877f3f77f10e1466fff6ff6973b74\
        a933322ff0949ce357e20abe96c3dd5cfab42c9c83e740a4d32b9e11e146f0eb3404d2e975896f74";
    const LATER_GET: &str = "9669ed5b10664dc594c758296580662912cf4bcc5a4ba0b6bf055bcbf6f34eed7bdad664f534962174a924741a0c273a\
        4f67bc1847cef20192a6beab44223bd9d4fbbd749c407b79997598c30f82ddc269ff47ec09fa3afe74e00616d438df0d96a7d8ad0adacfad\
        1dc3286f864d924fe919fb0dce45d3d975c5afe8e13af2db9cc37ba77835f92f7669b61e94c6d562196c1274529e76cfff1564cc2cad7d53\
        87dc8e12f7a5dfd925685fe92c30b43709eee29fa2f66067472cee5423d1a3a4182fe8cea75c9329d181dc6acad7c393cd04f8bf5bc05151\
        27d8ebd65d80c08e19ad03316053ea60033fd1b1fd85a69c576415da3bf0a3718d9ea6d03e0d66f0";

    fn wanted<'a>(object: &'a str, at: &str, expires_s: u64) -> Wanted<'a> {
        let at = DateTime::parse_from_rfc3339(at).unwrap().to_utc();
        Wanted { email: VECTOR_EMAIL, bucket: "test-bucket", object, at, expires_s }
    }

    #[test]
    fn google_s_own_signatures_are_over_what_we_would_sign() {
        let key = STANDARD.decode(VECTOR_PUBLIC_KEY).unwrap();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
        for (at, expires_s, signature) in
            [("2019-02-01T09:00:00Z", 10, SIMPLE_GET), ("2019-03-01T09:00:00Z", 20, LATER_GET)]
        {
            let bytes: Vec<u8> = (0..signature.len())
                .step_by(2)
                .map(|place| u8::from_str_radix(&signature[place..place + 2], 16).unwrap())
                .collect();
            let signed = wanted("test-object", at, expires_s).to_be_signed();
            assert!(key.verify(signed.as_bytes(), &bytes).is_ok(), "{at}");
            assert!(
                key.verify(wanted("test-object2", at, expires_s).to_be_signed().as_bytes(), &bytes).is_err()
            );
        }
    }

    #[test]
    fn slashes_part_a_path_and_all_else_is_escaped() {
        let object = "path/with/slashes/under_score/amper&sand/file.ext";
        let wanted = wanted(object, "2019-02-01T09:00:00Z", 10);
        assert_eq!(wanted.path(), "/test-bucket/path/with/slashes/under_score/amper%26sand/file.ext");
        assert_eq!(escaped("=%-_.~ é/", false), "%3D%25-_.~%20%C3%A9%2F");
    }

    #[test]
    fn an_address_opens_one_object_until_it_ends() {
        let account = ServiceAccount::read(&test_key::file("https://token.example")).unwrap();
        let expires_after = Duration::from_mins(15);
        let audio = FirebaseAudio { bucket: "demo.appspot.com".to_owned(), expires_after, base_url: None };
        let now = DateTime::parse_from_rfc3339("2026-01-15T10:20:30Z").unwrap().to_utc();
        let object = object_of(&TransferKey::parse("-Nsample A+1").unwrap(), 3);
        let address = signed(&account, &audio, &object, now).unwrap();
        assert_eq!(address.expires_at, Some(now + expires_after));
        assert_eq!(address.url.host_str(), Some(HOST));
        assert_eq!(address.url.path(), "/demo.appspot.com/cloud/-Nsample%20A%2B1/3.wav");
        let pairs: Vec<(String, String)> = address.url.query_pairs().into_owned().collect();
        let credential = format!("{}/20260115/auto/storage/goog4_request", test_key::EMAIL);
        assert_eq!(pairs[1], ("X-Goog-Credential".to_owned(), credential));
        assert_eq!(pairs[3], ("X-Goog-Expires".to_owned(), "900".to_owned()));
        assert_eq!((pairs[5].0.as_str(), pairs[5].1.len()), ("X-Goog-Signature", 512));
        assert!(!format!("{address:?}").contains("Signature"), "{address:?}");
    }

    #[test]
    fn in_trials_addresses_point_where_the_settings_say() {
        let base = HttpUrl::parse("http://127.0.0.1:9199").unwrap();
        let address = plain(&base, "demo", "cloud/-Nsample/0.wav");
        assert_eq!(
            address.url.as_str(),
            "http://127.0.0.1:9199/v0/b/demo/o/cloud%2F-Nsample%2F0.wav?alt=media"
        );
        assert_eq!(address.expires_at, None);
    }
}
