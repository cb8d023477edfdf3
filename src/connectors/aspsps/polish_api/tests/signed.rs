//! The detached signature, checked with the key's public half.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};

use super::*;
use crate::connectors::aspsps::testing::Seal;

/// The header of the signature of a call, once the signature has been verified.
async fn verified(
    seal: &Seal,
    verification: &'static dyn VerificationAlgorithm,
    quirks: impl Fn(&mut AspspConfig),
) -> Value {
    let bank = telling(200, json!({"account": {}})).await;
    let mut config = config(&bank);
    config.signature = seal.config();
    config.polish_api.unsigned = false;
    quirks(&mut config);
    let is_plain = config.polish_api.signs_plain_body;
    let token = token();
    aspsp(config).account(&access(&token), "PL01").await.outcome.unwrap();
    let seen = bank.only();
    let parts: Vec<&str> = seen.header("x-jws-signature").split('.').collect();
    let [header, "", signature] = parts[..] else { panic!("not detached: {parts:?}") };
    let payload = if is_plain { seen.body.clone() } else { URL_SAFE_NO_PAD.encode(&seen.body) };
    let public = UnparsedPublicKey::new(verification, seal.public_key());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(public.verify(format!("{header}.{payload}").as_bytes(), &signature).is_ok());
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

#[tokio::test]
async fn the_body_that_is_sent_is_the_one_that_is_signed() {
    let (rsa, curve) = (Seal::rsa(), Seal::p256());
    let header = verified(&rsa, &RSA_PKCS1_2048_8192_SHA256, |_| {}).await;
    assert_eq!(header, json!({"alg": "RS256", "kid": "SN=1,CA=CN=Tests"}));
    let header = verified(&curve, &ECDSA_P256_SHA256_FIXED, |config| config.signature.key_id.clear()).await;
    assert_eq!(header, json!({"alg": "ES256"}));
    let header = verified(&curve, &ECDSA_P256_SHA256_FIXED, |config| {
        config.signature.key_id = "k1".to_owned();
        let own = &mut config.polish_api;
        (own.names_certificate, own.holds_certificate, own.signs_plain_body) = (true, true, true);
    })
    .await;
    let certificate = &curve.certificate_der;
    let name = URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate));
    assert_eq!(
        header,
        json!({"alg": "ES256", "kid": "k1", "x5t#S256": name, "x5c": [STANDARD.encode(certificate)],
        "b64": false, "crit": ["b64"]})
    );
}

#[tokio::test]
async fn nothing_goes_unsigned_unless_the_settings_say_so() {
    let bank = telling(200, json!({"account": {}})).await;
    let mut config = config(&bank);
    let token = token();
    aspsp(config.clone()).account(&access(&token), "PL01").await.outcome.unwrap();
    assert!(bank.only().headers.get("x-jws-signature").is_none());
    config.polish_api.unsigned = false;
    let told = aspsp(config).account(&access(&token), "PL01").await;
    assert_eq!((told.call.may_have_been_sent, told.outcome.unwrap_err().kind()), (false, "misconfigured"));
    assert_eq!(bank.seen().len(), 1);
}
