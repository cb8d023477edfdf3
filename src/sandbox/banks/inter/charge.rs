//! A charge, and how it is shown.
//!
//! **Owns** nothing.
//! **Fails** never.
//! **Limits**: a charge in process shows neither number nor codes.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::sandbox::banks::codes::{Codes, codes, free_field};
use crate::sandbox::banks::file::{PaidBy, Paper, State, Title, same_number};
use crate::sandbox::banks::pix::{Pix, pix};
use crate::sandbox::banks::rules::number_of_reais;

/// A charge that the bank has accepted.
#[derive(Clone)]
pub struct Charge {
    pub key: String,
    /// `codigoSolicitacao`.
    pub code: String,
    pub own_number: String,
    pub payer_document: String,
    /// The bank's own, which nobody is told before the charge is issued.
    pub number: u64,
    pub cents: u64,
    pub due: NaiveDate,
    /// How often it will still be found in process.
    pub polls_left: u32,
    /// Whether it turns out to be impossible.
    pub fails: bool,
}

impl Charge {
    pub fn is_issued(&self) -> bool {
        self.polls_left == 0 && !self.fails
    }

    fn codes(&self) -> Codes {
        codes("077", &free_field::inter(self.number), self.due, self.cents)
    }

    fn pix(&self) -> Pix {
        pix(&format!("077{:011}", self.number), self.cents)
    }
}

impl Paper for Charge {
    fn key(&self) -> String {
        self.key.clone()
    }

    fn answers_to(&self, text: &str) -> bool {
        let codes = self.codes();
        [&self.key, &self.code, &codes.barcode, &codes.line].iter().any(|name| *name == text)
            || same_number(&self.number.to_string(), text)
            || self.pix().emv == text
    }

    fn payable(&self) -> bool {
        self.is_issued()
    }
}

/// What the bank calls the charge's state.
pub fn state(title: &Title<Charge>, today: NaiveDate) -> &'static str {
    match title.state {
        _ if title.paper.polls_left > 0 => "EM_PROCESSAMENTO",
        _ if title.paper.fails => "FALHA_EMISSAO",
        State::Paid => "RECEBIDO",
        State::WrittenOff => "CANCELADO",
        State::Open if title.paper.due < today => "ATRASADO",
        State::Open => "A_RECEBER",
    }
}

/// The charge as the bank shows it on this day.
pub fn shown(title: &Title<Charge>, today: NaiveDate) -> Value {
    let charge = &title.paper;
    let origin = title.last_payment().map(|paid| match paid.by {
        PaidBy::Boleto => "BOLETO",
        PaidBy::Pix => "PIX",
    });
    let mut answer = json!({
        "cobranca": {
            "codigoSolicitacao": charge.code,
            "seuNumero": charge.own_number,
            "dataEmissao": title.registered_on,
            "dataVencimento": charge.due,
            "valorNominal": number_of_reais(charge.cents),
            "tipoCobranca": "SIMPLES",
            "situacao": state(title, today),
            "dataSituacao": title.moved_on,
            "valorTotalRecebido": number_of_reais(title.paid_cents()),
            "origemRecebimento": origin,
            "pagador": {"cpfCnpj": charge.payer_document},
        },
    });
    if charge.is_issued() {
        let (codes, pix) = (charge.codes(), charge.pix());
        answer["boleto"] = json!({
            "nossoNumero": format!("{:011}", charge.number),
            "codigoBarras": codes.barcode,
            "linhaDigitavel": codes.line,
        });
        answer["pix"] = json!({"txid": pix.tx_id, "pixCopiaECola": pix.emv});
    }
    answer
}
