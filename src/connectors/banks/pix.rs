//! Whether the Pix text in a bank's answer may be shown to a payer.
//!
//! **Owns** nothing. **Fails** towards silence: a text that is not sound is left out, and the boleto stays payable by its
//! barcode; who watches the house is told.

use tracing::warn;

use crate::domain::boleto::Boleto;
use crate::domain::boleto::pix::BrCode;
use crate::domain::money::Cents;

/// The text, if its check sum is right, its amount (where it has one) is what is owed, and it points to a charge at the
/// bank: a static code would not settle the boleto.
pub(super) fn believed(emv: Option<String>, boleto: &Boleto) -> Option<String> {
    let text = emv.map(|emv| emv.trim().to_owned()).filter(|emv| !emv.is_empty())?;
    let doubt = match BrCode::parse(&text) {
        Err(error) => error.to_string(),
        Ok(code) if !code.is_dynamic() => "a static code settles no boleto".to_owned(),
        Ok(code) if !code.amount().is_none_or(|amount| is_owed(amount, boleto)) => {
            "it is for another amount".to_owned()
        }
        Ok(_) => return Some(text),
    };
    warn!(boleto_id = %boleto.id, %doubt, "the bank's pix text is left out");
    None
}

/// Banks write the nominal amount, or what is left of it without the abatement.
fn is_owed(amount: Cents, boleto: &Boleto) -> bool {
    let abatement = boleto.terms.charges.abatement.unwrap_or(Cents::ZERO);
    amount == boleto.amount || amount.0 == boleto.amount.0 - abatement.0
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::connectors::banks::shop::Shop;
    use crate::domain::bank_account::Provider;
    use crate::domain::boleto::issuer::Issuer;

    /// A dynamic code for an amount, or for none.
    pub(in crate::connectors::banks) fn dynamic(amount: Option<&str>) -> String {
        coded(25, "pix.example/qr/v2/abcdef0", amount)
    }

    fn field(id: u8, value: &str) -> String {
        format!("{id:02}{:02}{value}", value.len())
    }

    fn coded(receiver_id: u8, receiver: &str, amount: Option<&str>) -> String {
        let account = field(0, "br.gov.bcb.pix") + &field(receiver_id, receiver);
        let amount = amount.map_or(String::new(), |amount| field(54, amount));
        let fields = [
            field(0, "01"),
            field(26, &account),
            field(52, "0000"),
            field(53, "986"),
            amount,
            field(58, "BR"),
            field(59, "SHOP"),
            field(60, "SAO PAULO"),
            field(62, &field(5, "***")),
            "6304".to_owned(),
        ];
        let body = fields.concat();
        let sum = body.bytes().fold(0xFFFF_u16, |sum, byte| {
            (0..8).fold(sum ^ (u16::from(byte) << 8), |sum, _| {
                if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 }
            })
        });
        format!("{body}{sum:04X}")
    }

    #[test]
    fn only_a_sound_text_for_what_is_owed_is_shown() {
        let issuer = Issuer::Bradesco { agency: "1234".into(), account: "12".into(), carteira: "09".into() };
        let mut shop = Shop::of(issuer, Provider::Development, &[]);
        let believes = |shop: &Shop, text: &str| believed(Some(text.to_owned()), &shop.boleto).is_some();
        let right = dynamic(Some("125.90"));
        assert!(believes(&shop, &right));
        assert!(believes(&shop, &format!(" {right}\n")));
        assert!(believes(&shop, &dynamic(None)));
        assert!(!believes(&shop, &dynamic(Some("125.91"))));
        assert!(!believes(&shop, &right.to_lowercase()));
        assert!(!believes(&shop, &coded(1, "shop@example.com", Some("125.90"))));
        assert!(!believes(&shop, ""));
        assert!(!believes(&shop, &dynamic(Some("120.90"))));
        shop.boleto.terms.charges.abatement = Some(Cents(500));
        assert!(believes(&shop, &dynamic(Some("120.90"))));
    }
}
