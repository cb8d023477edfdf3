//! Which carteiras of Itaú this house may number, and by which of its two check-digit rules.
//!
//! **Owns** nothing. **Fails** with the reason, in words for whoever configures an account: a wrong check digit makes
//! codes that nobody can pay, so that where the sources disagree nothing is issued.
//! **Limits**: the manual is that of CNAB 400 of February 2016; carteiras that it does not single out follow its
//! common rule.

use super::campo_livre::Layout;

/// The layout of a carteira that may be used.
///
/// # Errors
/// Why its numbers cannot be made here.
pub(super) fn layout(carteira: &str) -> Result<Layout, &'static str> {
    match carteira {
        "126" | "131" | "150" => Ok(Layout::ItauCarteiraAndNumber),
        "145" | "146" => Err(
            "ambiguous: the bank's manual names 145 in one place and 146 in another among the exceptions to its \
             check digit",
        ),
        "168" => Err(
            "ambiguous: the bank's manual makes 168 an exception to its check digit, and published codes do not \
             follow it",
        ),
        "112" => Err("ambiguous: public implementations disagree about what its check digit covers"),
        // The manual's note calls all escriturais exceptions, its annex does not.
        "104" | "115" | "147" | "188" => Err(
            "ambiguous: the bank's manual contradicts itself about the check digit of escritural carteiras, whose \
             numbers the bank itself gives",
        ),
        "107" | "122" | "142" | "143" | "196" | "198" => Err(
            "not supported: its codes carry a client code and a seu número, which this agreement does not have",
        ),
        "106" | "195" => {
            Err("ambiguous: sources disagree whether its codes carry a client code and a seu número")
        }
        _ => Ok(Layout::ItauCommon),
    }
}
