//! The registration request's rules, all looked at, so that a caller learns every fault at once.
//!
//! **Owns** nothing.
//! **Fails** a request by its list of faults; with none it becomes a [`Checked`] registration.
//! **Limits**: convênios of seven digits. Whether the due date has passed is not looked at: the manual's table
//! does not say it, and a test's clock may be elsewhere.

use chrono::NaiveDate;

use super::fault::{Fault, RULE};
use super::request::{Desconto, Registration};
use super::{codes, key};
use crate::sandbox::banks::documents::{is_cnpj, is_cpf};
use crate::sandbox::banks::file::{Paper, same_number};
use crate::sandbox::banks::pix::pix;
use crate::sandbox::banks::rules::{CENTS_MAX, STATES, cents_of_number};

/// What the bank keeps of a request that follows its rules, as later changes have left it.
#[derive(Clone, Copy)]
pub struct Checked {
    pub convenio: u64,
    /// The last 17 digits of `numeroTituloCliente`; the first three are zeros.
    pub title: u64,
    pub wallet: u8,
    pub variation: u16,
    pub issued: NaiveDate,
    pub due: NaiveDate,
    pub cents: u64,
    pub rebate_cents: u64,
    pub payer_kind: u64,
    pub payer_number: u64,
    pub pix: bool,
}

impl Checked {
    /// The number as it stands in paths and answers.
    pub fn number(&self) -> String {
        format!("{:020}", self.title)
    }
}

impl Paper for Checked {
    fn key(&self) -> String {
        key(self.convenio, self.title)
    }

    fn answers_to(&self, text: &str) -> bool {
        if same_number(&self.number(), text) || self.key() == text {
            return true;
        }
        let codes = codes(self);
        codes.barcode == text || codes.line == text || self.pix && pix(&self.number(), self.cents).emv == text
    }
}

/// Looks at every rule.
pub fn check(request: &Registration) -> Result<Checked, Vec<Fault>> {
    let mut rules = Rules::default();
    let cents = rules.money("valorOriginal", request.valor_original, 1);
    let issued = rules.date("dataEmissao", &request.data_emissao);
    let due = rules.date("dataVencimento", &request.data_vencimento);
    // A date that was not understood is one fault already.
    let in_order = issued.zip(due).is_none_or(|(issued, due)| issued <= due);
    rules.require(in_order, "dataVencimento", "anterior à emissão");
    let rebate_cents = request.valor_abatimento.map_or(0, |value| rules.money("valorAbatimento", value, 0));
    rules.require(rebate_cents == 0 || rebate_cents < cents, "valorAbatimento", "não é menor que o valor");
    let title = title(&mut rules, request);
    agreement(&mut rules, request);
    terms(&mut rules, request);
    payer(&mut rules, request);
    let (Some(issued), Some(due), true) = (issued, due, rules.0.is_empty()) else {
        return Err(rules.0);
    };
    Ok(Checked {
        convenio: request.numero_convenio,
        title,
        wallet: u8::try_from(request.numero_carteira).expect("the rules let two digits pass"),
        variation: u16::try_from(request.numero_variacao_carteira).expect("the rules let three digits pass"),
        issued,
        due,
        cents,
        rebate_cents,
        payer_kind: request.pagador.tipo_inscricao,
        payer_number: request.pagador.numero_inscricao,
        pix: request.indicador_pix.as_deref() == Some("S"),
    })
}

fn title(rules: &mut Rules, request: &Registration) -> u64 {
    let text = &request.numero_titulo_cliente;
    let digits = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().unwrap_or(0) } else { 0 };
    let expected = number / 10_000_000_000 == request.numero_convenio;
    rules.require(digits && expected, "numeroTituloCliente", "não é 000, convênio e 10 dígitos");
    number
}

fn agreement(rules: &mut Rules, request: &Registration) {
    rules.require(
        (1_000_000..=9_999_999).contains(&request.numero_convenio),
        "numeroConvenio",
        "sem 7 dígitos",
    );
    rules.require((1..=99).contains(&request.numero_carteira), "numeroCarteira", "fora da faixa");
    rules.require(request.numero_variacao_carteira <= 999, "numeroVariacaoCarteira", "fora da faixa");
    rules.require(matches!(request.codigo_modalidade, 1 | 4), "codigoModalidade", "não é 1 nem 4");
    rules.require((1..=99).contains(&request.codigo_tipo_titulo), "codigoTipoTitulo", "desconhecido");
    rules.one_of("codigoAceite", Some(&request.codigo_aceite), ["A", "N"]);
    let yes_or_no = [
        ("indicadorAceiteTituloVencido", &request.indicador_aceite_titulo_vencido),
        ("indicadorPermissaoRecebimentoParcial", &request.indicador_permissao_recebimento_parcial),
        ("indicadorPix", &request.indicador_pix),
    ];
    for (field, value) in yes_or_no {
        rules.one_of(field, value.as_ref(), ["S", "N"]);
    }
    let texts = [
        ("descricaoTipoTitulo", &request.descricao_tipo_titulo, 30),
        ("numeroTituloBeneficiario", &request.numero_titulo_beneficiario, 15),
        ("campoUtilizacaoBeneficiario", &request.campo_utilizacao_beneficiario, 30),
        ("mensagemBloquetoOcorrencia", &request.mensagem_bloqueto_ocorrencia, 165),
    ];
    for (field, value, length_max) in texts {
        let fits = value.as_ref().is_none_or(|value| value.chars().count() <= length_max);
        rules.require(fits, field, "longo demais");
    }
    rules.require(
        matches!(request.orgao_negativador, None | Some(10 | 11)),
        "orgaoNegativador",
        "não é 10 nem 11",
    );
}

fn terms(rules: &mut Rules, request: &Registration) {
    let discounts = [
        ("desconto", &request.desconto),
        ("segundoDesconto", &request.segundo_desconto),
        ("terceiroDesconto", &request.terceiro_desconto),
    ];
    for (field, discount) in discounts {
        let Some(Desconto { tipo, data_expiracao, porcentagem, valor }) = discount else { continue };
        rules.charge(field, *tipo, &[0], *valor, *porcentagem);
        rules.dated(field, *tipo, data_expiracao.as_ref());
    }
    if let Some(interest) = &request.juros_mora {
        rules.charge("jurosMora", interest.tipo, &[0, 3], interest.valor, interest.porcentagem);
    }
    if let Some(fine) = &request.multa {
        rules.charge("multa", fine.tipo, &[0], fine.valor, fine.porcentagem);
        rules.dated("multa", fine.tipo, fine.data.as_ref());
    }
}

fn payer(rules: &mut Rules, request: &Registration) {
    let payer = &request.pagador;
    rules.document("pagador.numeroInscricao", payer.tipo_inscricao, payer.numero_inscricao);
    let texts = [
        ("pagador.nome", &payer.nome, 60),
        ("pagador.endereco", &payer.endereco, 60),
        ("pagador.cidade", &payer.cidade, 30),
        ("pagador.bairro", &payer.bairro, 30),
    ];
    for (field, value, length_max) in texts {
        let fits = !value.trim().is_empty() && value.chars().count() <= length_max;
        rules.require(fits, field, "vazio ou longo demais");
    }
    rules.require((1..=99_999_999).contains(&payer.cep), "pagador.cep", "fora da faixa");
    rules.require(STATES.contains(&payer.uf.as_str()), "pagador.uf", "desconhecida");
    if let Some(final_one) = &request.beneficiario_final {
        rules.document(
            "beneficiarioFinal.numeroInscricao",
            final_one.tipo_inscricao,
            final_one.numero_inscricao,
        );
        rules.require(!final_one.nome.trim().is_empty(), "beneficiarioFinal.nome", "vazio");
    }
}

/// The faults found so far.
#[derive(Default)]
struct Rules(Vec<Fault>);

impl Rules {
    fn require(&mut self, holds: bool, field: &str, fault: &str) {
        if !holds {
            self.0.push(Fault::new(RULE, format!("{field}: {fault}")));
        }
    }

    fn one_of(&mut self, field: &str, value: Option<&String>, allowed: [&str; 2]) {
        let fits = value.is_none_or(|value| allowed.contains(&value.as_str()));
        self.require(fits, field, "valor não previsto");
    }

    /// `DD.MM.AAAA`, from the day on which the due-date factor has four digits.
    fn date(&mut self, field: &str, text: &str) -> Option<NaiveDate> {
        let first = NaiveDate::from_ymd_opt(2000, 7, 3).expect("that day exists");
        let date = date(text).filter(|date| *date >= first);
        self.require(date.is_some(), field, "não é uma data DD.MM.AAAA");
        date
    }

    /// Cents of a number with at most two decimal places and at most ten digits.
    fn money(&mut self, field: &str, value: f64, cents_min: u64) -> u64 {
        let cents = cents_of_number(value).filter(|cents| (cents_min..=CENTS_MAX).contains(cents));
        self.require(cents.is_some(), field, "não é um valor da faixa com até 2 casas");
        cents.unwrap_or(0)
    }

    /// Type 1 is an amount, type 2 a rate; `without` are the types that have neither.
    fn charge(&mut self, field: &str, kind: u64, without: &[u64], amount: Option<f64>, rate: Option<f64>) {
        let amount = amount.map_or(Some(0), cents_of_number).unwrap_or(u64::MAX);
        let rate = rate.unwrap_or(0.0);
        let fits = match kind {
            1 => (1..=CENTS_MAX).contains(&amount) && rate == 0.0,
            2 => rate > 0.0 && rate <= 100.0 && amount == 0,
            other => without.contains(&other) && amount == 0 && rate == 0.0,
        };
        self.require(fits, field, "tipo, valor e porcentagem não combinam");
    }

    fn dated(&mut self, field: &str, kind: u64, text: Option<&String>) {
        let fits = match text {
            Some(text) if !text.is_empty() => date(text).is_some(),
            _ => kind == 0,
        };
        self.require(fits, field, "data ausente ou inválida");
    }

    fn document(&mut self, field: &str, kind: u64, number: u64) {
        let fits = match kind {
            1 => is_cpf(number),
            2 => is_cnpj(number),
            _ => false,
        };
        self.require(fits, field, "tipo ou dígito verificador inválido");
    }
}

/// `DD.MM.AAAA` and nothing else.
pub fn date(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[2] != b'.' || bytes[5] != b'.' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let part = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok())?
    };
    NaiveDate::from_ymd_opt(i32::try_from(number(6..10)?).ok()?, number(3..5)?, number(0..2)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::a_request;
    use super::*;

    fn faults(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut request = a_request(1);
        change(&mut request);
        let request: Registration = serde_json::from_value(request).unwrap();
        check(&request).err().unwrap_or_default().into_iter().map(|fault| fault.text).collect()
    }

    #[test]
    fn a_good_request_is_kept_whole() {
        let Ok(checked) = check(&serde_json::from_value(a_request(7)).unwrap()) else { panic!("refused") };
        assert_eq!(
            (checked.convenio, checked.title, checked.cents),
            (3_128_557, 31_285_570_000_000_007, 12_590)
        );
        assert_eq!(checked.due.to_string(), "2026-12-10");
    }

    #[test]
    fn each_rule_names_its_field() {
        let bad = [
            ("/valorOriginal", json!(125.905), "valorOriginal"),
            ("/valorOriginal", json!(-1), "valorOriginal"),
            ("/valorOriginal", json!(100_000_000), "valorOriginal"),
            ("/dataVencimento", json!("2026-12-10"), "dataVencimento"),
            ("/dataVencimento", json!("30.02.2027"), "dataVencimento"),
            ("/dataVencimento", json!("20.11.2026"), "dataVencimento"),
            ("/dataEmissao", json!("+1.11.2026"), "dataEmissao"),
            ("/numeroTituloCliente", json!("3128557000000000001"), "numeroTituloCliente"),
            ("/numeroTituloCliente", json!("00031285580000000001"), "numeroTituloCliente"),
            ("/numeroTituloCliente", json!("10031285570000000001"), "numeroTituloCliente"),
            ("/codigoModalidade", json!(2), "codigoModalidade"),
            ("/codigoAceite", json!("S"), "codigoAceite"),
            ("/numeroCarteira", json!(100), "numeroCarteira"),
            ("/indicadorPix", json!("s"), "indicadorPix"),
            ("/pagador/numeroInscricao", json!(52_998_224_724_u64), "pagador.numeroInscricao"),
            ("/pagador/tipoInscricao", json!(2), "pagador.numeroInscricao"),
            ("/pagador/uf", json!("XX"), "pagador.uf"),
            ("/pagador/nome", json!(" "), "pagador.nome"),
            ("/pagador/cep", json!(0), "pagador.cep"),
        ];
        for (pointer, value, field) in bad {
            let faults = faults(|request| *request.pointer_mut(pointer).unwrap() = value.clone());
            assert!(
                faults.len() == 1 && faults[0].starts_with(&format!("{field}: ")),
                "{pointer} {value}: {faults:?}"
            );
        }
    }

    #[test]
    fn optional_terms_must_agree_with_their_type() {
        let good = [
            ("desconto", json!({"tipo": 1, "dataExpiracao": "01.12.2026", "valor": 5.5})),
            ("desconto", json!({"tipo": 0})),
            ("jurosMora", json!({"tipo": 2, "porcentagem": 1.0, "valor": 0})),
            ("jurosMora", json!({"tipo": 3})),
            ("multa", json!({"tipo": 2, "data": "11.12.2026", "porcentagem": 2})),
            ("orgaoNegativador", json!(10)),
            ("valorAbatimento", json!(125.89)),
        ];
        for (field, value) in good {
            assert!(faults(|request| request[field] = value.clone()).is_empty(), "{field} {value}");
        }
        let bad = [
            ("desconto", json!({"tipo": 1, "valor": 5.5})),
            ("segundoDesconto", json!({"tipo": 2, "dataExpiracao": "01.12.2026", "valor": 5.5})),
            ("jurosMora", json!({"tipo": 1})),
            ("multa", json!({"tipo": 3, "data": "11.12.2026", "valor": 1})),
            ("orgaoNegativador", json!(12)),
            ("valorAbatimento", json!(125.9)),
            ("mensagemBloquetoOcorrencia", json!("x".repeat(166))),
        ];
        for (field, value) in bad {
            let faults = faults(|request| request[field] = value.clone());
            assert!(faults.len() == 1 && faults[0].starts_with(field), "{field} {value}: {faults:?}");
        }
    }

    #[test]
    fn all_faults_come_at_once() {
        let faults = faults(|request| {
            request["codigoAceite"] = json!("");
            request["valorOriginal"] = json!(0);
            request["pagador"]["uf"] = json!("");
        });
        assert_eq!(faults.len(), 3);
    }
}
