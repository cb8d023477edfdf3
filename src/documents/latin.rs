//! Text that a form can print: the signs of Windows-1252, which is what PDF's standard fonts have.
//!
//! Blank and control signs become one space each run, or one that no line ends at where that was given; accents that stand apart are put on their letters; other Latin
//! letters, dashes and full-width signs are written by their nearest. What has no likeness here becomes `?`, so that a
//! reader sees that something stood there; marks that show nothing (direction, joiners, variations) are dropped.
//!
//! **Owns** the tables. **Fails** never. **Limits**: no shaping and no right-to-left; HTML is the format for those names.

/// A space that no line ends at.
pub const NO_BREAK: char = '\u{a0}';

/// The code of a sign in Windows-1252, where it has one.
pub fn code(sign: char) -> Option<u8> {
    match sign {
        ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(sign)).ok(),
        '\0' => None,
        _ => {
            let at = HIGH.iter().position(|high| *high == sign)?;
            u8::try_from(0x80 + at).ok()
        }
    }
}

/// The sign of a code, where it has one.
pub fn sign(code: u8) -> Option<char> {
    match code {
        b' '..=b'~' | 0xa0.. => Some(char::from(code)),
        0x80..=0x9f => Some(HIGH[usize::from(code - 0x80)]).filter(|high| *high != '\0'),
        _ => None,
    }
}

/// What stands from 0x80 to 0x9f; five places are empty.
const HIGH: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', //
    '\0', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// The text in signs that have a [`code`], without blanks at its ends or two in a row.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        if sign.is_whitespace() || sign.is_control() {
            if !out.is_empty() && !out.ends_with([' ', NO_BREAK]) {
                out.push(if sign == NO_BREAK { NO_BREAK } else { ' ' });
            }
        } else if is_combining(sign) {
            combine(&mut out, sign);
        } else if !shows_nothing(sign) {
            match code(sign) {
                Some(_) => out.push(sign),
                None => out.push_str(&likeness(sign)),
            }
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The text without what no document may hold: control signs become spaces, and what turns the reading direction of
/// the digits around it is dropped. All other signs stay.
pub fn plain(text: &str) -> String {
    let kept = text.chars().filter(|sign| !turns_text(*sign) && !matches!(sign, '\u{fffe}' | '\u{ffff}'));
    kept.map(|sign| if sign.is_control() { ' ' } else { sign }).collect::<String>().trim().to_owned()
}

fn is_combining(sign: char) -> bool {
    matches!(sign, '\u{300}'..='\u{36f}')
}

fn turns_text(sign: char) -> bool {
    matches!(sign, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn shows_nothing(sign: char) -> bool {
    turns_text(sign)
        || matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}')
        || matches!(sign, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// Each accent with the letters it stands on, in the order of what they become.
const ACCENTS: [(char, &str, &str); 8] = [
    ('\u{300}', "AEIOUaeiou", "ÀÈÌÒÙàèìòù"),
    ('\u{301}', "AEIOUYaeiouy", "ÁÉÍÓÚÝáéíóúý"),
    ('\u{302}', "AEIOUaeiou", "ÂÊÎÔÛâêîôû"),
    ('\u{303}', "ANOano", "ÃÑÕãñõ"),
    ('\u{308}', "AEIOUYaeiouy", "ÄËÏÖÜŸäëïöüÿ"),
    ('\u{30a}', "Aa", "Åå"),
    ('\u{327}', "Cc", "Çç"),
    ('\u{30c}', "SZsz", "ŠŽšž"),
];

/// Puts an accent on the last letter; one that does not go there is dropped, the letter stays.
fn combine(out: &mut String, accent: char) {
    let Some(letter) = out.chars().next_back() else { return };
    let composed = ACCENTS.iter().filter(|(mark, ..)| *mark == accent).find_map(|(_, bare, composed)| {
        let at = bare.chars().position(|candidate| candidate == letter)?;
        composed.chars().nth(at)
    });
    if let Some(composed) = composed {
        out.pop();
        out.push(composed);
    }
}

/// Letters and signs with the nearest writing of them.
const LIKENESSES: [(&str, &str); 57] = [
    ("ĀĂĄǍȦ", "A"),
    ("āăąǎȧ", "a"),
    ("ĆĈĊČ", "C"),
    ("ćĉċč", "c"),
    ("ĎĐ", "D"),
    ("ďđ", "d"),
    ("ĒĔĖĘĚẼ", "E"),
    ("ēĕėęěẽ", "e"),
    ("ĜĞĠĢ", "G"),
    ("ĝğġģ", "g"),
    ("ĤĦ", "H"),
    ("ĥħ", "h"),
    ("ĨĪĬĮİ", "I"),
    ("ĩīĭįı", "i"),
    ("Ĵ", "J"),
    ("ĵ", "j"),
    ("Ķ", "K"),
    ("ķĸ", "k"),
    ("ĹĻĽĿŁ", "L"),
    ("ĺļľŀł", "l"),
    ("ŃŅŇŊ", "N"),
    ("ńņňŉŋ", "n"),
    ("ŌŎŐǑ", "O"),
    ("ōŏőǒ", "o"),
    ("ŔŖŘ", "R"),
    ("ŕŗř", "r"),
    ("ŚŜŞȘ", "S"),
    ("śŝşș", "s"),
    ("ŢŤŦȚ", "T"),
    ("ţťŧț", "t"),
    ("ŨŪŬŮŰŲǓ", "U"),
    ("ũūŭůűųǔ", "u"),
    ("ŴẀẂẄ", "W"),
    ("ŵẁẃẅ", "w"),
    ("ŶỲỸ", "Y"),
    ("ŷỳỹ", "y"),
    ("ŹŻ", "Z"),
    ("źż", "z"),
    ("Ĳ", "IJ"),
    ("ĳ", "ij"),
    ("ẞ", "SS"),
    ("ﬀ", "ff"),
    ("ﬁ", "fi"),
    ("ﬂ", "fl"),
    ("№", "Nº"),
    ("℡", "Tel"),
    ("‐‑‒−", "-"),
    ("―", "—"),
    ("′‵‛", "'"),
    ("″‶‟", "\""),
    ("⁄∕", "/"),
    ("∙‧⋅", "·"),
    ("≤", "<="),
    ("≥", ">="),
    ("≠", "<>"),
    ("→", "->"),
    ("₂", "2"),
];

fn likeness(sign: char) -> String {
    // The full-width forms follow ASCII's order.
    if let Some(narrow) = u32::from(sign).checked_sub(0xfee0).filter(|narrow| (0x21..=0x7e).contains(narrow))
    {
        return char::from_u32(narrow).unwrap_or('?').to_string();
    }
    let found = LIKENESSES.iter().find(|(signs, _)| signs.contains(sign));
    found.map_or("?", |(_, written)| written).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn portuguese_stays_as_it_is() {
        let text = "José Conceição & Irmãos Ltda. – “Açaí à Beça”, 1º andar, nº 5ª ÁÉÍÓÚÂÊÔÃÕÇÀÜ";
        assert_eq!(printable(text), text);
        assert_eq!(plain(text), text);
    }

    #[test]
    fn other_writing_is_brought_near_or_seen_to_be_missing() {
        for (text, printed) in [
            ("Joa\u{303}o Conceic\u{327}a\u{303}o", "João Conceição"),
            ("Łukasz Žižka Őrség", "Lukasz Žižka Orség"),
            (" a\t\r\n\u{0}\u{85}b  c\u{2003}", "a b c"),
            ("\u{202e}txt.exe\u{202c} \u{200b}zero", "txt.exe zero"),
            ("loja 🛒 aberta", "loja ? aberta"),
            ("محل", "???"),
            ("Ａ１２－３", "A12-3"),
            ("q\u{301}", "q"),
        ] {
            assert_eq!(printable(text), printed, "{text:?}");
        }
        assert_eq!(plain("a\u{202e}b\u{1}c\u{ffff} محل 🛒"), "ab c محل 🛒");
    }

    proptest! {
        #[test]
        fn whatever_comes_in_can_be_printed(text in "\\PC{0,40}|[\\x00-\\x{2fff}]{0,40}") {
            let printed = printable(&text);
            prop_assert!(printed.chars().all(|sign| code(sign).is_some()), "{:?}", printed);
            prop_assert!(!printed.contains("  ") && printed.trim() == printed);
            prop_assert_eq!(printable(&printed), printed);
        }

        #[test]
        fn a_code_and_its_sign_agree(byte in any::<u8>()) {
            prop_assert_eq!(sign(byte).and_then(code), sign(byte).map(|_| byte));
        }
    }
}
