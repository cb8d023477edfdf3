//! What is shown of personal data to those who may not read it.
//!
//! A mask keeps what tells one case from the next, for somebody who has both before them, and never enough to find a person by. How
//! long a name or a text was is not told either.
//!
//! **Owns** nothing. **Fails** never: what is not of the form that it should have is masked whole.
//! **Limits**: the domain of a mail address stays, for it is what an operator looks for when mail does not arrive; of a domain that is
//! one person's own, that tells more than it should.

/// What stands for what is not shown.
pub const MASK: &str = "***";
/// The rule that masks break wherever they are sent.
pub const MASKED: &str = "not what was shown masked: `***` is nobody's";

/// Of a tax id, its check digits.
const TAX_ID_CHARS_TOLD: usize = 2;
const ACCOUNT_CHARS_TOLD: usize = 4;

/// What a text tells of a person, and so how it is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personal {
    Name,
    TaxId,
    Mail,
    Account,
    Text,
    /// Not shown at all.
    LeftOut,
}

impl Personal {
    /// What is shown instead; nothing where it is left out.
    pub fn mask(self, text: &str) -> Option<String> {
        match self {
            // What is empty tells nothing, and stays what it is.
            _ if text.is_empty() => Some(String::new()),
            Self::Name => Some(name(text)),
            Self::TaxId => Some(all_but_last(text, TAX_ID_CHARS_TOLD)),
            Self::Mail => Some(mail(text)),
            Self::Account => Some(all_but_last(text, ACCOUNT_CHARS_TOLD)),
            Self::Text => Some(MASK.to_owned()),
            Self::LeftOut => None,
        }
    }

    /// Whether this is what is shown of somebody: masked once more it stays what it is.
    pub fn is_mask(self, text: &str) -> bool {
        self.mask(text).is_some_and(|shown| shown == text)
    }
}

/// Whether this was masked for somebody, and so is nothing to be written down.
pub fn is_masked(text: &str) -> bool {
    text.contains(MASK)
}

/// The first letter of each word; the mask of what has no word stays what it is.
fn name(text: &str) -> String {
    if text == MASK {
        return MASK.to_owned();
    }
    let words: Vec<String> = text
        .split_whitespace()
        .filter_map(|word| word.chars().next())
        .map(|first| format!("{first}{MASK}"))
        .collect();
    if words.is_empty() { MASK.to_owned() } else { words.join(" ") }
}

/// The first letter of the mailbox, and the domain.
fn mail(text: &str) -> String {
    match (text.chars().next(), text.rsplit_once('@')) {
        (Some(first), Some((mailbox, domain))) if !mailbox.is_empty() => format!("{first}{MASK}@{domain}"),
        _ => MASK.to_owned(),
    }
}

/// The last characters, as many as `told`; of a text that is shorter than twice as many, none.
fn all_but_last(text: &str, told: usize) -> String {
    let count = text.chars().count();
    let told = if count >= 2 * told { told } else { 0 };
    text.chars().enumerate().map(|(at, letter)| if at + told < count { '*' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(personal: Personal, text: &str) -> String {
        personal.mask(text).unwrap()
    }

    #[test]
    fn a_mask_tells_cases_apart_and_nobody_s_name() {
        assert_eq!(shown(Personal::Name, "Conceição  Araújo"), "C*** A***");
        assert_eq!(shown(Personal::Name, "Ó"), "Ó***");
        assert_eq!(shown(Personal::TaxId, "52998224725"), "*********25");
        assert_eq!(shown(Personal::TaxId, "12ABC34501DE35"), "************35");
        assert_eq!(shown(Personal::Mail, "ana.souza@example.com"), "a***@example.com");
        assert_eq!(shown(Personal::Account, "PL61109010140000071219812874"), "************************2874");
        assert_eq!(shown(Personal::Text, "Rua das Flores"), "***");
        assert_eq!(Personal::LeftOut.mask("{}"), None);
    }

    #[test]
    fn what_is_not_of_its_form_is_masked_whole() {
        assert_eq!(shown(Personal::Name, "\u{a0} "), "***");
        assert_eq!(shown(Personal::Mail, "ana"), "***");
        assert_eq!(shown(Personal::Mail, "@example.com"), "***");
        assert_eq!(shown(Personal::Account, "1234567"), "*******");
        assert_eq!(shown(Personal::TaxId, "123"), "***");
    }

    #[test]
    fn what_is_masked_stays_as_it_is_and_is_known_as_such() {
        for (personal, text) in [
            (Personal::Name, "Maria Exemplo"),
            (Personal::TaxId, "52998224725"),
            (Personal::Mail, "maria@example.com"),
            (Personal::Account, "PL61109010140000071219812874"),
            (Personal::Text, "Rua das Flores"),
        ] {
            assert!(!is_masked(text));
            let masked = shown(personal, text);
            assert!(is_masked(&masked), "{masked}");
            assert_eq!(shown(personal, &masked), masked);
            assert!(personal.is_mask(&masked) && !personal.is_mask(text));
            // Whoever is called so has a name all the same.
            assert!(!personal.is_mask(&format!("{text} ***")));
        }
        assert!(!Personal::LeftOut.is_mask("***"));
        assert_eq!(shown(Personal::Name, ""), "", "what is empty is no mask");
    }
}
