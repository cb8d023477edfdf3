//! The banks of the sandbox, each speaking its own protocol as public sources describe it; no bank has certified any.
//!
//! **Owns** what they share: the titles on file ([`file`]), the payer's money ([`cashier`]), barcodes, tokens, rules.
//! **Fails** in each bank's own shapes of errors, and as scripted. Two magic amounts need no script: 5000003 cents are
//! kept, but the first two attempts get an HTML page with status 500 for an answer; 5000004 cents are refused.
//! **Limits**: error codes are the sandbox's own wherever the sheets name none; what the sheets leave open is taken
//! leniently, and each bank's page says where.

mod banco_do_brasil;
pub(super) mod boleto_api;
mod bradesco;
pub(super) mod cashier;
mod codes;
pub(super) mod desk;
mod documents;
pub(super) mod file;
mod inter;
pub(super) mod itau;
mod pix;
mod rules;
pub(super) mod santander;
mod schema;
#[cfg(test)]
pub(super) mod testing;
mod token;

use std::sync::Arc;

use axum::Router;

use super::BankOptions;
use super::outside::Outside;
use file::Till;

/// The doors of all banks, and all their counters.
pub(super) struct Banks {
    pub banco_do_brasil: Router,
    pub boleto_api: Router,
    pub bradesco: Router,
    pub santander: Router,
    pub inter: Router,
    pub itau: Router,
    pub tills: Vec<Arc<dyn Till>>,
}

impl Banks {
    /// Opens every bank. The gateway's own address stands in its answers.
    pub fn open(outside: &Arc<Outside>, options: &BankOptions, boleto_api_url: String) -> Self {
        let (banco_do_brasil, first) = banco_do_brasil::open(outside.clone(), options);
        let (boleto_api, second) = boleto_api::open(outside.clone(), options, boleto_api_url);
        let (bradesco, [third, fourth]) = bradesco::open(outside, options);
        let (santander, fifth) = santander::open(outside.clone(), options);
        let (inter, sixth) = inter::open(outside.clone(), options);
        let (itau, seventh) = itau::open(outside.clone(), options);
        let tills = vec![first, second, third, fourth, fifth, sixth, seventh];
        Banks { banco_do_brasil, boleto_api, bradesco, santander, inter, itau, tills }
    }
}
