//! The body of Itaú's registration, against a closed schema, and its rules.
//!
//! **Owns** nothing.
//! **Fails** with every broken rule at once.
//! **Limits**: one title for each call. What a discount holds, and what interest and fines hold besides their codes and
//! the fine's rate, the sheet does not say.

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::sandbox::banks::codes::modulo_10;
use crate::sandbox::banks::rules::{Broken, Rules};

/// Body of `POST /boletos`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    etapa_processo_boleto: String,
    codigo_canal_operacao: Option<String>,
    beneficiario: Beneficiary,
    dado_boleto: Slip,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Beneficiary {
    id_beneficiario: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slip {
    descricao_instrumento_cobranca: String,
    tipo_boleto: String,
    codigo_carteira: String,
    codigo_especie: String,
    data_emissao: String,
    valor_total_titulo: String,
    pagador: Payer,
    dados_individuais_boleto: Vec<Individual>,
    juros: Option<Interest>,
    multa: Option<Fine>,
    desconto: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payer {
    pessoa: Person,
    endereco: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    nome_pessoa: String,
    tipo_pessoa: Kind,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    codigo_tipo_pessoa: String,
    numero_cadastro_pessoa_fisica: Option<String>,
    numero_cadastro_nacional_pessoa_juridica: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    nome_logradouro: String,
    nome_bairro: String,
    nome_cidade: String,
    #[serde(rename = "sigla_UF")]
    sigla_uf: String,
    #[serde(rename = "numero_CEP")]
    numero_cep: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Individual {
    numero_nosso_numero: String,
    data_vencimento: String,
    valor_titulo: String,
    texto_seu_numero: Option<String>,
}

#[derive(Deserialize)]
struct Interest {
    codigo_tipo_juros: String,
    #[serde(flatten)]
    _rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Fine {
    codigo_tipo_multa: String,
    percentual_multa: Option<String>,
    #[serde(flatten)]
    _rest: Map<String, Value>,
}

/// What is kept of a request that follows the rules, as later changes have left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether the title is to be registered, or the request only looked at.
    pub for_keeps: bool,
    /// Agency 4, account 7 and their digit.
    pub beneficiary: String,
    pub wallet: String,
    pub number: String,
    pub own_number: String,
    pub due: NaiveDate,
    pub issued: NaiveDate,
    pub cents: u64,
    pub deduction_cents: u64,
    pub payer_document: String,
    pub hybrid: bool,
}

impl Checked {
    /// The title's key in the bank's file, which is also its name in paths.
    pub fn id(&self) -> String {
        format!("{}{}{}", self.beneficiary, self.wallet, self.number)
    }
}

impl Registration {
    /// Beneficiary and number as they were sent, for the ledger.
    pub fn names(&self) -> (String, String) {
        let slip = &self.dado_boleto;
        let number = slip.dados_individuais_boleto.first().map(|one| one.numero_nosso_numero.as_str());
        let number = format!("{}{}", slip.codigo_carteira, number.unwrap_or_default());
        (self.beneficiario.id_beneficiario.clone(), number)
    }

    /// Looks at every rule.
    pub fn check(&self) -> Result<Checked, Vec<Broken>> {
        let mut rules = Rules::default();
        rules.one_of("etapa_processo_boleto", &self.etapa_processo_boleto, &["validacao", "efetivacao"]);
        rules.optional("codigo_canal_operacao", self.codigo_canal_operacao.as_deref(), 20);
        let beneficiary = &self.beneficiario.id_beneficiario;
        rules.digits("id_beneficiario", beneficiary, 12);
        if rules.0.iter().all(|broken| broken.field != "id_beneficiario") {
            let place = format!("{}{}", &beneficiary[..4], &beneficiary[6..11]);
            let right = modulo_10(&place).to_string() == beneficiary[11..];
            rules.require(right, "id_beneficiario", "dígito verificador inválido");
        }
        let slip = &self.dado_boleto;
        let kinds = ["boleto", "boleto_pix"];
        rules.one_of("descricao_instrumento_cobranca", &slip.descricao_instrumento_cobranca, &kinds);
        rules.one_of("tipo_boleto", &slip.tipo_boleto, &["a vista"]);
        rules.digits("codigo_carteira", &slip.codigo_carteira, 3);
        rules.digits("codigo_especie", &slip.codigo_especie, 2);
        let issued = rules.date("data_emissao", &slip.data_emissao);
        let cents = amount(&mut rules, "valor_total_titulo", &slip.valor_total_titulo);
        let payer_document = payer(&mut rules, &slip.pagador);
        terms(&mut rules, slip);
        let [one] = slip.dados_individuais_boleto.as_slice() else {
            rules.require(false, "dados_individuais_boleto", "não é um só");
            return Err(rules.0);
        };
        rules.digits("numero_nosso_numero", &one.numero_nosso_numero, 8);
        let due = rules.date("data_vencimento", &one.data_vencimento);
        rules.require(issued.zip(due).is_none_or(|(a, b)| a <= b), "data_vencimento", "anterior à emissão");
        rules.require(
            amount(&mut Rules::default(), "", &one.valor_titulo) == cents,
            "valor_titulo",
            "não é o total",
        );
        rules.optional("texto_seu_numero", one.texto_seu_numero.as_deref(), 10);
        match (issued, due) {
            (Some(issued), Some(due)) if rules.0.is_empty() => Ok(Checked {
                for_keeps: self.etapa_processo_boleto == "efetivacao",
                beneficiary: beneficiary.clone(),
                wallet: slip.codigo_carteira.clone(),
                number: one.numero_nosso_numero.clone(),
                own_number: one.texto_seu_numero.clone().unwrap_or_default(),
                due,
                issued,
                cents,
                deduction_cents: 0,
                payer_document,
                hybrid: slip.descricao_instrumento_cobranca == "boleto_pix",
            }),
            _ => Err(rules.0),
        }
    }
}

/// Seventeen digits of cents.
pub fn amount(rules: &mut Rules, field: &str, text: &str) -> u64 {
    let digits = text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_digit());
    rules.cents(field, digits.then(|| text.parse().ok()).flatten(), 1)
}

fn terms(rules: &mut Rules, slip: &Slip) {
    if let Some(interest) = &slip.juros {
        rules.digits("juros.codigo_tipo_juros", &interest.codigo_tipo_juros, 2);
    }
    if let Some(fine) = &slip.multa {
        rules.one_of("multa.codigo_tipo_multa", &fine.codigo_tipo_multa, &["01", "02", "03"]);
        if let Some(rate) = &fine.percentual_multa {
            rules.digits("multa.percentual_multa", rate, 12);
        }
    }
    let empty = slip.desconto.as_ref().is_some_and(Map::is_empty);
    rules.require(!empty, "desconto", "vazio");
}

/// Returns the document.
fn payer(rules: &mut Rules, payer: &Payer) -> String {
    rules.text("nome_pessoa", &payer.pessoa.nome_pessoa, 50);
    let kind = &payer.pessoa.tipo_pessoa;
    let person = kind.numero_cadastro_pessoa_fisica.as_deref();
    let company = kind.numero_cadastro_nacional_pessoa_juridica.as_deref();
    let document = match (kind.codigo_tipo_pessoa.as_str(), person, company) {
        ("F", Some(document), None) => {
            rules.document("numero_cadastro_pessoa_fisica", false, document);
            document
        }
        ("J", None, Some(document)) => {
            rules.document("numero_cadastro_nacional_pessoa_juridica", true, document);
            document
        }
        _ => {
            rules.require(false, "tipo_pessoa", "tipo e cadastro não combinam");
            ""
        }
    };
    let address = &payer.endereco;
    rules.text("nome_logradouro", &address.nome_logradouro, 45);
    rules.text("nome_bairro", &address.nome_bairro, 15);
    rules.text("nome_cidade", &address.nome_cidade, 20);
    rules.state("sigla_UF", &address.sigla_uf);
    rules.digits("numero_CEP", &address.numero_cep, 8);
    document.to_owned()
}
