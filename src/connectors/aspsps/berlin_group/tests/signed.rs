//! What a signed request says, checked with the key's public half.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};

use super::*;
use crate::connectors::aspsps::testing::Seal;
use crate::connectors::scripted::Seen;

async fn signed(seal: &Seal, names: &[&str]) -> Seen {
    let bank = Bank::saying(report(json!({"booked": []}))).await;
    let mut config = config(&bank);
    config.signature = seal.config();
    config.berlin_group.signed_headers = names.iter().map(|name| (*name).to_owned()).collect();
    let token = token();
    let told = aspsp(config).transactions(&access(&token), TransactionList::Booked, &from_april(None)).await;
    assert!(told.outcome.is_ok(), "{:?}", told.outcome);
    bank.only()
}

fn part<'a>(signature: &'a str, name: &str) -> &'a str {
    let begin = signature.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
    &signature[begin..begin + signature[begin..].find('"').unwrap()]
}

#[tokio::test]
async fn what_is_signed_is_what_is_sent() {
    let checks: [(Seal, &str, &'static dyn VerificationAlgorithm); 2] = [
        (Seal::rsa(), "rsa-sha256", &RSA_PKCS1_2048_8192_SHA256),
        (Seal::p256(), "ecdsa-sha256", &ECDSA_P256_SHA256_ASN1),
    ];
    for (seal, algorithm, verification) in checks {
        let seen = signed(&seal, &["(request-target)", "Digest", "X-Request-ID", "Consent-ID", "Date"]).await;
        // The digest of nothing.
        assert_eq!(seen.header("digest"), "SHA-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(seen.header("tpp-signature-certificate"), STANDARD.encode(&seal.certificate_der));
        chrono::DateTime::parse_from_rfc2822(seen.header("date")).unwrap();
        let signature = seen.header("signature");
        assert_eq!(part(signature, "keyId"), "SN=1,CA=CN=Tests");
        assert_eq!(part(signature, "algorithm"), algorithm);
        assert_eq!(part(signature, "headers"), "(request-target) Digest X-Request-ID Consent-ID Date");
        let message = format!(
            "(request-target): get {}?{}\ndigest: {}\nx-request-id: {}\nconsent-id: consent-1\ndate: {}",
            seen.path,
            seen.query,
            seen.header("digest"),
            seen.header("x-request-id"),
            seen.header("date"),
        );
        let bytes = STANDARD.decode(part(signature, "signature")).unwrap();
        let public = UnparsedPublicKey::new(verification, seal.public_key());
        assert!(public.verify(message.as_bytes(), &bytes).is_ok());
    }
}

#[tokio::test]
async fn what_cannot_be_signed_is_not_sent() {
    let bank = Bank::saying(report(json!({"booked": []}))).await;
    let seal = Seal::p256();
    let mut psu = config(&bank);
    psu.signature = seal.config();
    psu.berlin_group.signed_headers = vec!["psu-id".to_owned()];
    let mut bare = config(&bank);
    bare.signature = seal.config();
    bare.signature.certificate = None;
    for config in [psu, bare] {
        let token = token();
        let told =
            aspsp(config).transactions(&access(&token), TransactionList::Booked, &from_april(None)).await;
        assert_eq!(
            (told.call.may_have_been_sent, told.outcome.unwrap_err().kind()),
            (false, "misconfigured")
        );
    }
    assert!(bank.seen().is_empty());
}
