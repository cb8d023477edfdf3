//! Who may reach the house and do what, as an operator configures it.

use super::*;
use crate::domain::access::Scope;

const ANYWHERE: &str = "0.0.0.0:7400";

fn guarded() -> Sources {
    Sources::default()
        .with("api.listen", ANYWHERE)
        .with("access.mode", "tokens")
        .with("api.tls.certificate", "file:tls.pem")
        .with("api.tls.private_key", "file:tls.key")
}

#[test]
fn an_address_that_others_reach_needs_tls_and_callers_that_are_told_apart() {
    assert!(Config::load(&guarded()).is_ok());
    let plain = Sources::default().with("api.listen", ANYWHERE).with("access.mode", "tokens");
    for half in [plain, guarded().with("access.mode", "open")] {
        assert!(refused(&half).starts_with("api.listen (all sources together): must be a loopback address"));
        assert!(Config::load(&half.with("api.bind_beyond_loopback", "true")).is_ok());
    }
}

#[test]
fn half_of_what_tls_needs_is_refused() {
    for (key, other) in
        [("api.tls.certificate", "api.tls.private_key"), ("api.tls.private_key", "api.tls.certificate")]
    {
        let text = refused(&Sources::default().with(key, "file:there"));
        assert!(
            text.starts_with(&format!("{other} (all sources together): must be set if {key} is")),
            "{text}"
        );
    }
    let text = refused(&Sources::default().with("api.tls.client_ca", "file:there"));
    assert!(text.starts_with("api.tls.certificate (all sources together)"), "{text}");
}

#[test]
fn a_certificate_stands_for_what_its_table_says() {
    let file = File::of(
        "[access.certificates.\"till.shop.example\"]\ntenant = \"shop\"\nscopes = [\"boleto.write\"]\n
         [access.certificates.\"spiffe://example/reader\"]\nscopes = [\"boleto.read\"]\n",
    );
    let text = refused(&file.sources());
    assert!(text.starts_with("api.tls.client_ca (all sources together): must be set"), "{text}");
    let sources = ["certificate", "private_key", "client_ca"]
        .into_iter()
        .fold(file.sources(), |sources, key| sources.with(&format!("api.tls.{key}"), "file:there"));
    let access = Config::load(&sources).unwrap().access;
    let till = &access.certificates["till.shop.example"];
    assert_eq!(till.tenant.as_str(), "shop");
    assert!(till.scopes.0.allow(Scope::BoletoRead) && !till.scopes.0.allow(Scope::TransferRead));
    let reader = &access.certificates["spiffe://example/reader"];
    assert_eq!((reader.tenant.as_str(), reader.scopes.0.to_string().as_str()), ("default", "boleto.read"));
}

#[test]
fn a_scope_and_a_tenant_that_nobody_knows_are_refused() {
    let scopes = File::of("[access.certificates.till]\nscopes = [\"boleto.reed\"]\n");
    assert!(refused(&scopes.sources()).contains("access.certificates.till.scopes"));
    let tenant = File::of("[access.certificates.till]\ntenant = \"The Shop\"\n");
    assert!(refused(&tenant.sources()).contains("access.certificates.till.tenant"));
    let misspelt = File::of("[access.certificates.till]\nscope = [\"boleto.read\"]\n");
    assert!(refused(&misspelt.sources()).contains("did you mean access.certificates.till.scopes?"));
}
