//! The registration request's closed schema: names and types, nothing else.
//!
//! **Owns** nothing.
//! **Fails** at any field that the manual does not name and at any value of another type; text for a number
//! is another type.
//! **Limits**: what values mean is for the rules.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Body of `POST /boletos`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Registration {
    pub numero_convenio: u64,
    pub numero_carteira: u64,
    pub numero_variacao_carteira: u64,
    pub codigo_modalidade: u64,
    pub data_emissao: String,
    pub data_vencimento: String,
    pub valor_original: f64,
    pub valor_abatimento: Option<f64>,
    /// Read for its type alone; any number of days will do.
    #[serde(rename = "quantidadeDiasProtesto")]
    pub _quantidade_dias_protesto: Option<u16>,
    pub indicador_aceite_titulo_vencido: Option<String>,
    /// Read for its type alone; any number of days will do.
    #[serde(rename = "numeroDiasLimiteRecebimento")]
    pub _numero_dias_limite_recebimento: Option<u16>,
    pub codigo_aceite: String,
    pub codigo_tipo_titulo: u64,
    pub descricao_tipo_titulo: Option<String>,
    pub indicador_permissao_recebimento_parcial: Option<String>,
    pub numero_titulo_beneficiario: Option<String>,
    pub campo_utilizacao_beneficiario: Option<String>,
    pub numero_titulo_cliente: String,
    pub mensagem_bloqueto_ocorrencia: Option<String>,
    pub desconto: Option<Desconto>,
    pub segundo_desconto: Option<Desconto>,
    pub terceiro_desconto: Option<Desconto>,
    pub juros_mora: Option<JurosMora>,
    pub multa: Option<Multa>,
    pub pagador: Pagador,
    pub beneficiario_final: Option<BeneficiarioFinal>,
    pub orgao_negativador: Option<u64>,
    pub indicador_pix: Option<String>,
}

/// A discount until a date.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Desconto {
    pub tipo: u64,
    pub data_expiracao: Option<String>,
    pub porcentagem: Option<f64>,
    pub valor: Option<f64>,
}

/// Interest after the due date.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JurosMora {
    pub tipo: u64,
    pub porcentagem: Option<f64>,
    pub valor: Option<f64>,
}

/// A fine from a date on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Multa {
    pub tipo: u64,
    pub data: Option<String>,
    pub porcentagem: Option<f64>,
    pub valor: Option<f64>,
}

/// The payer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pagador {
    pub tipo_inscricao: u64,
    pub numero_inscricao: u64,
    pub nome: String,
    pub endereco: String,
    pub cep: u64,
    pub cidade: String,
    pub bairro: String,
    pub uf: String,
}

/// Whom the beneficiary collects for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BeneficiarioFinal {
    pub tipo_inscricao: u64,
    pub numero_inscricao: u64,
    pub nome: String,
}

/// Body of `POST /boletos/{id}/baixar`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WriteOff {
    pub numero_convenio: u64,
}

/// Body of `PATCH /boletos/{id}`: the convênio, one indicator that is `S`, and what belongs to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Amendment {
    pub numero_convenio: u64,
    pub indicador_nova_data_vencimento: Option<String>,
    pub alteracao_data: Option<NovaData>,
    pub indicador_incluir_abatimento: Option<String>,
    pub abatimento: Option<Abatimento>,
    pub indicador_atribuir_desconto: Option<String>,
    pub desconto: Option<Map<String, Value>>,
    pub indicador_cobrar_juros: Option<String>,
    pub juros: Option<Map<String, Value>>,
    pub indicador_cobrar_multa: Option<String>,
    pub multa: Option<Map<String, Value>>,
}

/// A later or an earlier day.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NovaData {
    pub nova_data_vencimento: String,
}

/// A deduction without a condition.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Abatimento {
    pub valor_abatimento: f64,
}

/// Body of `POST /boletos/{id}/gerar-pix` and `cancelar-pix`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct QrCode {
    pub numero_convenio: u64,
}

/// What every query has.
pub trait Keyed {
    fn app_key(&self) -> Option<&str>;
}

impl Keyed for CallQuery {
    fn app_key(&self) -> Option<&str> {
        self.app_key.as_deref()
    }
}

/// Query of every call about one title; the app key belongs to each.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallQuery {
    #[serde(rename = "gw-dev-app-key")]
    pub app_key: Option<String>,
    #[serde(rename = "numeroConvenio")]
    pub convenio: Option<u64>,
}
