//! The dynamic Pix code of a hybrid boleto, as a bank puts it into its answer.
//!
//! **Owns** nothing.
//! **Fails** never.
//! **Limits**: a fixed receiver; texts are ASCII, so that bytes and characters agree.

use std::fmt::Write;

const LOCATION: &str = "qrcodepix.sandbox.example/pix/v2/cobv";

/// What a payer scans, and where it leads.
pub struct Pix {
    /// Without the scheme, as the BR Code wants it.
    pub url: String,
    /// 26 to 35 letters and digits, as a due charge wants them.
    pub tx_id: String,
    /// The BR Code.
    pub emv: String,
}

/// `title` is the number that the bank keeps the title under, at most twenty letters and digits.
pub fn pix(title: &str, cents: u64) -> Pix {
    let tx_id = format!("BOLETO{title:0>20}SANDBOX00");
    let url = format!("{LOCATION}/{title:0>20}");
    let account = format!("{}{}", field(0, "br.gov.bcb.pix"), field(25, &url));
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    let mut emv = String::with_capacity(200);
    emv.push_str("000201010212");
    let fields = [
        (26, account.as_str()),
        (52, "0000"),
        (53, "986"),
        (54, &amount),
        (58, "BR"),
        (59, "BENEFICIARIO SANDBOX"),
        (60, "BRASILIA"),
        (62, "0503***"),
    ];
    for (id, value) in fields {
        emv.push_str(&field(id, value));
    }
    emv.push_str("6304");
    let check = crc(emv.as_bytes());
    write!(emv, "{check:04X}").expect("a string takes every text");
    Pix { url, tx_id, emv }
}

fn field(id: u8, value: &str) -> String {
    format!("{id:02}{:02}{value}", value.len())
}

/// CRC-16 with polynomial 0x1021 from 0xFFFF, bit by bit.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_and_a_published_code_agree() {
        assert_eq!(crc(b"123456789"), 0x29B1);
        let published = "00020101021226700014br.gov.bcb.pix2548pix.example.com/8b3da2f39a4140d1a91abd93113bd441\
                         5204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***6304";
        assert_eq!(crc(published.as_bytes()), 0x64E4);
    }

    #[test]
    fn a_code_says_its_place_and_amount() {
        let pix = pix("12345670000000005", 12_590);
        assert!(pix.emv.contains("5406125.905802BR") && pix.emv.contains(&pix.url), "{}", pix.emv);
        assert_eq!(pix.tx_id.len(), 35);
        let (text, check) = pix.emv.split_at(pix.emv.len() - 4);
        assert_eq!(check, format!("{:04X}", crc(text.as_bytes())));
    }
}
