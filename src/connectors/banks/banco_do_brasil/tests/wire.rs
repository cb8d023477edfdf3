//! What goes over the wire, byte for byte, against the field names of the public manual.

use serde_json::value::RawValue;

use super::super::wire::RegisterBody;
use super::*;
use crate::connectors::banks::values::cents;
use crate::domain::money::Cents;

/// Everything that a registration says, against the field names of the bank's manual.
#[test]
fn a_registration_reads_as_the_manual_says() {
    let shop = shop();
    let body = serde_json::to_string(&RegisterBody::of(&shop.request(), false).unwrap()).unwrap();
    let expected = concat!(
        r#"{"numeroConvenio":3128557,"numeroCarteira":17,"numeroVariacaoCarteira":35,"codigoModalidade":1,"#,
        r#""dataEmissao":"01.03.2026","dataVencimento":"10.04.2026","valorOriginal":125.90,"codigoAceite":"N","#,
        r#""codigoTipoTitulo":2,"descricaoTipoTitulo":"DM","indicadorPermissaoRecebimentoParcial":"N","#,
        r#""numeroTituloBeneficiario":"285570000000001","numeroTituloCliente":"00031285570000000001","#,
        r#""mensagemBloquetoOcorrencia":"Nao receber apos o vencimento","#,
        r#""pagador":{"tipoInscricao":1,"numeroInscricao":52998224725,"nome":"Ana Maria","#,
        r#""endereco":"Rua das Flores, 308 apto 12","cep":1001000,"cidade":"Sao Paulo","bairro":"Centro","uf":"SP"},"#,
        r#""indicadorPix":"N"}"#,
    );
    assert_eq!(body, expected);
}

#[test]
fn amounts_are_written_digit_by_digit() {
    let mut shop = shop();
    for (amount, written) in
        [(1, "0.01"), (10, "0.10"), (100, "1.00"), (12_590, "125.90"), (9_999_999_999, "99999999.99")]
    {
        shop.boleto.amount = Cents(amount);
        let body = serde_json::to_string(&RegisterBody::of(&shop.request(), true).unwrap()).unwrap();
        assert!(body.contains(&format!(r#""valorOriginal":{written},"#)), "{body}");
    }
}

#[test]
fn amounts_are_read_digit_by_digit() {
    let read = |text: &str| cents(&RawValue::from_string(text.to_owned()).unwrap());
    for (text, amount) in [
        ("125.9", 12_590),
        ("125.90", 12_590),
        ("125.900", 12_590),
        ("125", 12_500),
        ("\"0.01\"", 1),
        ("0.0", 0),
    ] {
        assert_eq!(read(text), Some(Cents(amount)), "{text}");
    }
    for text in ["125.999", "1e2", "-1.00", "null", "\"\"", "\"1,00\"", "true", "99999999999999999999.00"] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_long_address_keeps_its_number() {
    let mut shop = shop();
    shop.boleto.payer.address.street = "Á".repeat(60);
    let body = serde_json::to_value(RegisterBody::of(&shop.request(), false).unwrap()).unwrap();
    let line = body["pagador"]["endereco"].as_str().unwrap();
    assert_eq!(line.chars().count(), 60);
    assert!(line.ends_with(", 308"));
}

#[tokio::test]
async fn the_sign_in_and_the_call_carry_what_the_manual_says() {
    let shop = shop();
    let body = fixture::registered(&shop, "");
    let server = super::bank(move || reply(201, body.clone())).await;
    connector(&server.address).register(&shop.request()).await.unwrap();
    let [sign_in, call] = &server.seen()[..] else { panic!("two calls were expected") };
    // base64 of client-id:client-secret
    assert_eq!(sign_in.header("authorization"), "Basic Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ=");
    assert_eq!(
        sign_in.body,
        "grant_type=client_credentials&scope=cobrancas.boletos-requisicao+cobrancas.boletos-info"
    );
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/v2/boletos"));
    assert_eq!(call.query, "gw-dev-app-key=app-key");
    assert_eq!(call.header("authorization"), "Bearer t");
    assert_eq!(call.header("content-type"), "application/json");
    assert_eq!(call.json()["numeroTituloCliente"], "00031285570000000001");
}
