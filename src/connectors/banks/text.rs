//! Text as banks take it: plain letters, no longer than a field.
//!
//! **Owns** nothing. **Fails** never: what cannot be written in a bank's letters is left out, for a name with a gap is
//! better than no boleto.
//! **Limits**: Latin letters with every mark that Unicode has for them one by one, typographers' quotes and dashes, and
//! full-width signs; no other script is transliterated.

use crate::domain::payer::Address;

/// The text in ASCII: marks are taken off letters, quotes and dashes made plain, all else is a blank.
pub(super) fn ascii(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            ' '..='~' => written.push(sign),
            _ if is_mark(sign) => {}
            _ => written.push_str(folded(sign).as_deref().unwrap_or(" ")),
        }
    }
    written
}

/// The text in Latin-1, which has all that Portuguese needs: letters and their marks are put together, what Latin-1
/// does not have is made plain where there is a plain form, and all else is left out.
pub(super) fn latin1(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            // Letters in all but name.
            'ª' => written.push('a'),
            'º' => written.push('o'),
            ' '..='~' | '\u{a1}'..='\u{ff}' => written.push(sign),
            _ if is_mark(sign) => {
                if let Some(letter) = written.pop() {
                    written.push(marked(letter, sign).unwrap_or(letter));
                }
            }
            // Lines that are broken, and blanks of other widths, part words all the same.
            _ if sign.is_whitespace() => written.push(' '),
            _ => written.push_str(folded(sign).as_deref().unwrap_or_default()),
        }
    }
    written
}

/// The first so many characters; one that would lose its marks goes with them.
pub(super) fn cut(text: &str, chars: usize) -> &str {
    let Some((mut end, mut next)) = text.char_indices().nth(chars) else { return text };
    while is_mark(next) {
        let Some((before, sign)) = text[..end].char_indices().next_back() else { return "" };
        (end, next) = (before, sign);
    }
    text[..end].trim_end()
}

/// The text in ASCII, as much of it as fits.
pub(super) fn plain(text: &str, chars: usize) -> String {
    cut(&ascii(text), chars).to_owned()
}

/// The text in ASCII, broken between words into lines that fit; a word that is longer than a line is broken itself.
pub(super) fn lines(text: &str, chars: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in ascii(text).split_ascii_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > chars {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for sign in word.chars() {
            if line.len() >= chars.max(1) {
                lines.push(std::mem::take(&mut line));
            }
            line.push(sign);
        }
    }
    lines.extend(Some(line).filter(|line| !line.is_empty()));
    lines
}

/// Street, number and complement on one line of ASCII. What is cut first is what a postman misses least.
pub(super) fn street(address: &Address, chars: usize) -> String {
    let tail = format!(", {}", ascii(&address.number));
    let head = ascii(&address.street);
    let mut line = cut(&head, chars.saturating_sub(tail.len())).to_owned() + &tail;
    let complement = ascii(&address.complement);
    let complement = cut(&complement, chars.saturating_sub(line.len() + 1));
    if !complement.is_empty() {
        line.push(' ');
        line.push_str(complement);
    }
    cut(&line, chars).to_owned()
}

/// A mark that belongs to the letter before it.
fn is_mark(sign: char) -> bool {
    matches!(sign, '\u{300}'..='\u{36f}')
}

/// The plain form of a sign that has one.
fn folded(sign: char) -> Option<String> {
    // Full-width signs stand in the order of their plain forms.
    if let '\u{ff01}'..='\u{ff5e}' = sign {
        return u8::try_from(u32::from(sign) - 0xff01 + 0x21).ok().map(|plain| char::from(plain).to_string());
    }
    let (_, plain) = PLAIN.iter().find(|(signs, _)| signs.contains(sign))?;
    Some((*plain).to_owned())
}

/// The letter of Latin-1 that a letter and a mark make together.
fn marked(letter: char, mark: char) -> Option<char> {
    let (_, pairs) = MARKED.iter().find(|(known, _)| *known == mark)?;
    let mut pairs = pairs.chars();
    while let (Some(plain), Some(whole)) = (pairs.next(), pairs.next()) {
        if plain == letter {
            return Some(whole);
        }
    }
    None
}

/// Each mark with the letters that Latin-1 has for it: the plain one, then the marked one.
const MARKED: [(char, &str); 7] = [
    ('\u{300}', "aàeèiìoòuùAÀEÈIÌOÒUÙ"),
    ('\u{301}', "aáeéiíoóuúyýAÁEÉIÍOÓUÚYÝ"),
    ('\u{302}', "aâeêiîoôuûAÂEÊIÎOÔUÛ"),
    ('\u{303}', "aãnñoõAÃNÑOÕ"),
    ('\u{308}', "aäeëiïoöuüyÿAÄEËIÏOÖUÜ"),
    ('\u{30a}', "aåAÅ"),
    ('\u{327}', "cçCÇ"),
];

/// Signs with one plain form.
const PLAIN: [(&str, &str); 65] = [
    ("àáâãäåāăąǎạảấầẩẫậắằẳẵặª", "a"),
    ("ÀÁÂÃÄÅĀĂĄǍẠẢẤẦẨẪẬẮẰẲẴẶ", "A"),
    ("çćĉċč", "c"),
    ("ÇĆĈĊČ", "C"),
    ("ďđð", "d"),
    ("ĎĐÐ", "D"),
    ("èéêëēĕėęěẹẻẽếềểễệ", "e"),
    ("ÈÉÊËĒĔĖĘĚẸẺẼẾỀỂỄỆ", "E"),
    ("ĝğġģ", "g"),
    ("ĜĞĠĢ", "G"),
    ("ĥħ", "h"),
    ("ĤĦ", "H"),
    ("ìíîïĩīĭįıǐỉị", "i"),
    ("ÌÍÎÏĨĪĬĮİǏỈỊ", "I"),
    ("ĵ", "j"),
    ("Ĵ", "J"),
    ("ķĸ", "k"),
    ("Ķ", "K"),
    ("ĺļľŀł", "l"),
    ("ĹĻĽĿŁ", "L"),
    ("ñńņňŋ", "n"),
    ("ÑŃŅŇŊ", "N"),
    ("òóôõöøōŏőơǒọỏốồổỗộớờởỡợº°", "o"),
    ("ÒÓÔÕÖØŌŎŐƠǑỌỎỐỒỔỖỘỚỜỞỠỢ", "O"),
    ("ŕŗř", "r"),
    ("ŔŖŘ", "R"),
    ("śŝşšșſ", "s"),
    ("ŚŜŞŠȘ", "S"),
    ("ţťŧț", "t"),
    ("ŢŤŦȚ", "T"),
    ("ùúûüũūŭůűųưǔụủứừửữự", "u"),
    ("ÙÚÛÜŨŪŬŮŰŲƯǓỤỦỨỪỬỮỰ", "U"),
    ("ŵ", "w"),
    ("Ŵ", "W"),
    ("ýÿŷỳỵỷỹ", "y"),
    ("ÝŶŸỲỴỶỸ", "Y"),
    ("źżž", "z"),
    ("ŹŻŽ", "Z"),
    ("æ", "ae"),
    ("Æ", "AE"),
    ("œ", "oe"),
    ("Œ", "OE"),
    ("ß", "ss"),
    ("ẞ", "SS"),
    ("þ", "th"),
    ("Þ", "Th"),
    ("ĳ", "ij"),
    ("Ĳ", "IJ"),
    ("ﬁ", "fi"),
    ("ﬂ", "fl"),
    ("ﬀ", "ff"),
    ("‘’‚‛′´ʼ", "'"),
    ("“”„‟″«»", "\""),
    ("‹", "<"),
    ("›", ">"),
    ("‐‑‒–—―−", "-"),
    ("…", "..."),
    ("×", "x"),
    ("№", "No"),
    ("⁄", "/"),
    ("¹", "1"),
    ("²", "2"),
    ("³", "3"),
    ("™", "TM"),
    ("•·", "-"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn portuguese_is_read_without_its_marks() {
        for (text, plain) in [
            ("João da Conceição Araújo", "Joao da Conceicao Araujo"),
            ("AÇÃO ÚNICA LTDA", "ACAO UNICA LTDA"),
            ("3º andar – “fundos”…", "3o andar - \"fundos\"..."),
            ("Jos\u{65}\u{301}", "Jose"),
            ("Ｌｏｊａ　１", "Loja 1"),
            ("Łukasz Strauß & Ægir", "Lukasz Strauss & AEgir"),
            ("a\tb\nc", "a b c"),
            ("😀 Ana", "  Ana"),
        ] {
            assert_eq!(ascii(text), plain);
        }
    }

    #[test]
    fn latin_1_keeps_what_it_has() {
        for (text, written) in [
            ("João da Conceição Araújo", "João da Conceição Araújo"),
            ("Joa\u{303}o Conceic\u{327}a\u{303}o", "João Conceição"),
            ("Łukasz Kőszegi", "Lukasz Koszegi"),
            ("Ana 😀 Maria", "Ana  Maria"),
            ("3ª loja", "3a loja"),
            ("\u{301}Ana\u{a0}Maria\u{323}", "Ana Maria"),
            ("王", ""),
        ] {
            assert_eq!(latin1(text), written);
        }
    }

    #[test]
    fn a_cut_leaves_no_half_of_anything() {
        for (text, chars, left) in [
            ("Conceição", 7, "Conceiç"),
            ("Conceição", 9, "Conceição"),
            ("Conceição", 0, ""),
            ("Ana Maria", 4, "Ana"),
            ("Jose\u{301}", 4, "Jos"),
            ("e\u{301}", 1, ""),
            ("\u{301}\u{301}", 1, ""),
        ] {
            assert_eq!(cut(text, chars), left, "{text:?}");
        }
    }

    #[test]
    fn lines_are_broken_between_words() {
        for (text, chars, broken) in [
            ("Não receber após o vencimento", 12, &["Nao receber", "apos o", "vencimento"][..]),
            ("um  dois", 8, &["um dois"]),
            ("supercalifragilistico x", 10, &["supercalif", "ragilistic", "o x"]),
            ("", 10, &[]),
            ("ab", 0, &["a", "b"]),
        ] {
            assert_eq!(lines(text, chars), broken, "{text:?}");
        }
    }

    #[test]
    fn a_street_keeps_its_number() {
        let mut address = Address {
            street: "Rua São João".into(),
            number: "308".into(),
            complement: "3º andar".into(),
            district: "Centro".into(),
            city: "São Paulo".into(),
            state: "SP".into(),
            postal_code: "01001000".into(),
        };
        assert_eq!(street(&address, 40), "Rua Sao Joao, 308 3o andar");
        assert_eq!(street(&address, 20), "Rua Sao Joao, 308 3o");
        assert_eq!(street(&address, 18), "Rua Sao Joao, 308");
        assert_eq!(street(&address, 10), "Rua S, 308");
        address.complement.clear();
        assert_eq!(street(&address, 17), "Rua Sao Joao, 308");
    }

    proptest! {
        #[test]
        fn whatever_comes_in_plain_letters_go_out(text in any::<String>(), chars in 0_usize..50) {
            prop_assert!(ascii(&text).bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert!(latin1(&text).chars().all(|sign| u32::from(sign) <= 0xff && !sign.is_control()));
            let left = cut(&text, chars);
            prop_assert!(left.chars().count() <= chars && text.starts_with(left));
        }
    }
}
