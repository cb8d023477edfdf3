//! What goes over the wire, byte for byte, against the field names of the public manual.

use super::*;
use crate::connectors::banks::shop::Shop;
use crate::connectors::scripted::Seen;
use crate::domain::boleto::charges::{Fine, FineValue, Interest, InterestValue};
use crate::domain::money::Cents;
use crate::domain::tax_id::TaxId;

async fn sent(shop: &Shop) -> (Seen, Seen) {
    let server = bank(reply(201, registered(&shop.boleto.codes))).await;
    connector(&server.address).register(&shop.request()).await.unwrap();
    let [sign_in, call] = <[Seen; 2]>::try_from(server.seen()).unwrap();
    (sign_in, call)
}

const TITLE: &str = concat!(
    r#"{"etapa_processo_boleto":"efetivacao","codigo_canal_operacao":"API","#,
    r#""beneficiario":{"id_beneficiario":"005700123457"},"dado_boleto":{"#,
    r#""descricao_instrumento_cobranca":"boleto","tipo_boleto":"a vista","codigo_carteira":"109","#,
    r#""codigo_especie":"01","data_emissao":"2026-03-01","valor_total_titulo":"00000000000012590","#,
    r#""pagador":{"pessoa":{"nome_pessoa":"Ana Maria","tipo_pessoa":{"codigo_tipo_pessoa":"F","#,
    r#""numero_cadastro_pessoa_fisica":"52998224725"}},"endereco":{"nome_logradouro":"Rua das Flores, 308 apto 12","#,
    r#""nome_bairro":"Centro","nome_cidade":"Sao Paulo","sigla_UF":"SP","numero_CEP":"01001000"}},"#,
    r#""dados_individuais_boleto":[{"numero_nosso_numero":"00000001","data_vencimento":"2026-04-10","#,
    r#""valor_titulo":"00000000000012590","texto_seu_numero":"00000001"}]}}"#,
);

#[tokio::test]
async fn a_registration_reads_as_the_manual_says() {
    let (sign_in, call) = sent(&shop()).await;
    assert_eq!(sign_in.body, "grant_type=client_credentials&client_id=client-id&client_secret=client-secret");
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/cash_management/v2/boletos"));
    assert_eq!((call.header("authorization"), call.header("x-itau-apikey")), ("Bearer t", "api-key"));
    assert!(uuid::Uuid::parse_str(call.header("x-itau-correlationID")).is_ok());
    assert_eq!(call.body, TITLE);
}

#[tokio::test]
async fn a_request_may_be_put_into_data_and_the_channel_be_left_out() {
    let shop = shop();
    let server = bank(reply(201, registered(&shop.boleto.codes))).await;
    let config =
        ItauConfig { request_in_data: true, channel: String::new(), ..fixture::config(&server.address) };
    let itau = Itau::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap());
    itau.register(&shop.request()).await.unwrap();
    let without_channel = TITLE.replace(r#""codigo_canal_operacao":"API","#, "");
    assert_eq!(server.seen().pop().unwrap().body, format!(r#"{{"data":{without_channel}}}"#));
}

#[tokio::test]
async fn rates_are_twelve_digits_with_five_decimals() {
    let mut shop = shop();
    for (text, written) in [("2", "000000200000"), ("0.29", "000000029000"), ("100", "000010000000")] {
        let percent = text.parse().unwrap();
        let charges = &mut shop.boleto.terms.charges;
        charges.fine = Some(Fine { value: FineValue::Percentage(percent), after_days: 1 });
        charges.interest =
            Some(Interest { value: InterestValue::PercentagePerMonth(percent), after_days: 1 });
        let (_, call) = sent(&shop).await;
        let tail = format!(
            r#""juros":{{"codigo_tipo_juros":"90","percentual_juros":"{written}"}},"multa":{{"codigo_tipo_multa":"02","percentual_multa":"{written}"}}}}}}"#
        );
        assert!(call.body.ends_with(&tail), "{}", call.body);
    }
    shop.boleto.terms.charges.fine = Some(Fine { value: FineValue::Amount(Cents(1)), after_days: 1 });
    let silent = bank(reply(500, "")).await;
    let connector = connector(&silent.address);
    assert_eq!(connector.supports(&shop.proposal())[0].field, "charges.fine");
    assert_eq!(kind(connector.register(&shop.request()).await.unwrap_err()), Kind::Unsupported);
    assert!(silent.seen().is_empty());
}

#[tokio::test]
async fn a_company_and_long_text_are_written_as_the_bank_keeps_them() {
    let mut shop = shop();
    let payer = &mut shop.boleto.payer;
    payer.tax_id = TaxId::parse("11222333000181").unwrap();
    payer.name = "Construções ".repeat(5);
    payer.address.street = "Ó".repeat(60);
    payer.address.district = "Vila Conceição de Baixo".into();
    payer.address.city = "Santa Bárbara d’Oeste e Região".into();
    let (_, call) = sent(&shop).await;
    let payer = &call.json()["dado_boleto"]["pagador"];
    let kind = &payer["pessoa"]["tipo_pessoa"];
    assert_eq!(kind["codigo_tipo_pessoa"], "J");
    assert_eq!(kind["numero_cadastro_nacional_pessoa_juridica"], "11222333000181");
    assert_eq!(kind.get("numero_cadastro_pessoa_fisica"), None);
    assert_eq!(payer["pessoa"]["nome_pessoa"], "Construcoes Construcoes Construcoes Construcoes Co");
    assert_eq!(payer["endereco"]["nome_logradouro"], format!("{}, 308", "O".repeat(40)));
    assert_eq!(payer["endereco"]["nome_bairro"], "Vila Conceicao");
    assert_eq!(payer["endereco"]["nome_cidade"], "Santa Barbara d'Oest");
}
