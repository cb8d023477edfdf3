//! The bodies and queries of Inter's calls, against closed schemas, and their rules.
//!
//! **Owns** nothing.
//! **Fails** with every broken rule at once.
//! **Limits**: of the payer the sheet names document, kind, name and address; the rest is what public clients send.

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::charge::{Charge, state};
use crate::sandbox::banks::file::Title;
use crate::sandbox::banks::rules::{Rules, cents_of_number, iso_date};

/// The least that a charge may be about.
const CENTS_MIN: u64 = 250;
const PER_PAGE_MAX: usize = 1_000;

/// Body of `POST /cobrancas`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChargeRequest {
    seu_numero: String,
    valor_nominal: f64,
    data_vencimento: String,
    num_dias_agenda: u16,
    pagador: Payer,
    desconto: Option<Terms>,
    multa: Option<Terms>,
    mora: Option<Terms>,
    mensagem: Option<Messages>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Payer {
    cpf_cnpj: String,
    tipo_pessoa: String,
    nome: String,
    endereco: String,
    numero: Option<String>,
    complemento: Option<String>,
    bairro: Option<String>,
    cidade: String,
    uf: String,
    cep: String,
    email: Option<String>,
    ddd: Option<String>,
    telefone: Option<String>,
}

/// A code, and a rate or an amount.
#[derive(Deserialize)]
struct Terms {
    codigo: String,
    taxa: Option<f64>,
    valor: Option<f64>,
    #[serde(flatten)]
    _rest: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Messages {
    linha1: Option<String>,
    linha2: Option<String>,
    linha3: Option<String>,
    linha4: Option<String>,
    linha5: Option<String>,
}

impl ChargeRequest {
    pub fn own_number(&self) -> &str {
        &self.seu_numero
    }

    pub fn payer_document(&self) -> &str {
        &self.pagador.cpf_cnpj
    }

    /// Looks at every rule; gives the amount and the due date.
    pub fn check(&self) -> Result<(u64, NaiveDate), Rules> {
        let mut rules = Rules::default();
        rules.text("seuNumero", &self.seu_numero, 15);
        let cents = rules.cents("valorNominal", cents_of_number(self.valor_nominal), CENTS_MIN);
        let due = rules.date("dataVencimento", &self.data_vencimento);
        rules.require(self.num_dias_agenda <= 60, "numDiasAgenda", "mais de 60");
        self.payer(&mut rules);
        for (field, terms) in [("desconto", &self.desconto), ("multa", &self.multa), ("mora", &self.mora)] {
            let Some(terms) = terms else { continue };
            rules.text(&format!("{field}.codigo"), &terms.codigo, 40);
            let both = terms.taxa.unwrap_or(0.0) != 0.0 && terms.valor.unwrap_or(0.0) != 0.0;
            rules.require(!both, field, "taxa e valor");
        }
        if let Some(Messages { linha1, linha2, linha3, linha4, linha5 }) = &self.mensagem {
            for line in [linha1, linha2, linha3, linha4, linha5] {
                rules.optional("mensagem", line.as_deref(), 78);
            }
        }
        match due {
            Some(due) if rules.0.is_empty() => Ok((cents, due)),
            _ => Err(rules),
        }
    }

    fn payer(&self, rules: &mut Rules) {
        let payer = &self.pagador;
        match payer.tipo_pessoa.as_str() {
            "FISICA" => rules.document("pagador.cpfCnpj", false, &payer.cpf_cnpj),
            "JURIDICA" => rules.document("pagador.cpfCnpj", true, &payer.cpf_cnpj),
            _ => rules.require(false, "pagador.tipoPessoa", "não é FISICA nem JURIDICA"),
        }
        rules.text("pagador.nome", &payer.nome, 100);
        rules.text("pagador.endereco", &payer.endereco, 100);
        rules.optional("pagador.numero", payer.numero.as_deref(), 10);
        rules.optional("pagador.complemento", payer.complemento.as_deref(), 30);
        rules.optional("pagador.bairro", payer.bairro.as_deref(), 60);
        rules.text("pagador.cidade", &payer.cidade, 60);
        rules.state("pagador.uf", &payer.uf);
        rules.digits("pagador.cep", &payer.cep, 8);
        rules.optional("pagador.email", payer.email.as_deref(), 50);
        rules.optional("pagador.ddd", payer.ddd.as_deref(), 2);
        rules.optional("pagador.telefone", payer.telefone.as_deref(), 9);
    }
}

/// Body of `POST /cobrancas/{code}/cancelar`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cancellation {
    motivo_cancelamento: String,
}

impl Cancellation {
    pub fn fits(&self) -> bool {
        (1..=50).contains(&self.motivo_cancelamento.trim().chars().count())
    }
}

/// Query of `GET /cobrancas`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Listing {
    data_inicial: String,
    data_final: String,
    filtrar_data_por: Option<String>,
    situacao: Option<String>,
    seu_numero: Option<String>,
    #[serde(rename = "paginacao.paginaAtual")]
    page: Option<usize>,
    #[serde(rename = "paginacao.itensPorPagina")]
    per_page: Option<usize>,
}

/// A query that holds together.
pub struct CheckedListing {
    from: NaiveDate,
    to: NaiveDate,
    by: String,
    state: Option<String>,
    own_number: Option<String>,
    pub page: usize,
    pub per_page: usize,
}

impl Listing {
    pub fn check(self) -> Option<CheckedListing> {
        let by = self.filtrar_data_por.unwrap_or_else(|| "VENCIMENTO".to_owned());
        let per_page = self.per_page.unwrap_or(100);
        let fits = ["VENCIMENTO", "EMISSAO", "PAGAMENTO"].contains(&by.as_str());
        (fits && (1..=PER_PAGE_MAX).contains(&per_page)).then_some(CheckedListing {
            from: iso_date(&self.data_inicial)?,
            to: iso_date(&self.data_final)?,
            by,
            state: self.situacao,
            own_number: self.seu_numero,
            page: self.page.unwrap_or(0),
            per_page,
        })
    }
}

impl CheckedListing {
    pub fn lets(&self, title: &Title<Charge>, today: NaiveDate) -> bool {
        let day = match self.by.as_str() {
            "EMISSAO" => Some(title.registered_on),
            "PAGAMENTO" => title.last_payment().map(|paid| paid.on),
            _ => Some(title.paper.due),
        };
        day.is_some_and(|day| (self.from..=self.to).contains(&day))
            && self.state.as_ref().is_none_or(|wanted| wanted == state(title, today))
            && self.own_number.as_ref().is_none_or(|wanted| *wanted == title.paper.own_number)
    }
}
