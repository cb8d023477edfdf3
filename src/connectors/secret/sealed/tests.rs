//! What is sealed is opened by its own key and for its own purpose, and in no other way.

use proptest::prelude::*;

use super::*;
use crate::connectors::scripted::SecretFile;

const PURPOSE: &str = "endpoint:0198f1c2-7c1e-7000-8000-000000000001";

/// A key in a file, as an operator would mount it.
fn key(byte: u8) -> SecretFile {
    SecretFile::new(&STANDARD.encode([byte; KEY_BYTES]))
}

fn keeper(current: &SecretFile, previous: &[&SecretFile]) -> SecretKeeper {
    let reference = |file: &SecretFile| SecretRef::parse(&file.reference()).unwrap();
    SecretKeeper::new(&SecretsConfig {
        key: Some(reference(current)),
        previous_keys: previous.iter().map(|file| reference(file)).collect(),
        ..SecretsConfig::default()
    })
}

fn opened(keeper: &SecretKeeper, purpose: &str, sealed: &Sealed) -> Result<String, SealError> {
    keeper.open(purpose, sealed).map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn what_was_sealed_is_opened_under_the_same_words_only() {
    let file = key(1);
    let keeper = keeper(&file, &[]);
    let sealed = keeper.seal(PURPOSE, &"s3cret".into()).unwrap();
    assert_eq!(opened(&keeper, PURPOSE, &sealed).unwrap(), "s3cret");
    for other in ["", "endpoint:", "endpoint:0198f1c2-7c1e-7000-8000-000000000002", "psu:1"] {
        assert_eq!(opened(&keeper, other, &sealed), Err(SealError::Damaged), "{other}");
    }
    // The same text twice is two sealed ones: nobody sees that they are the same.
    assert_ne!(keeper.seal(PURPOSE, &"s3cret".into()).unwrap(), sealed);
}

#[test]
fn neither_secret_nor_key_is_shown() {
    let file = key(1);
    let keeper = keeper(&file, &[]);
    let sealed = keeper.seal(PURPOSE, &"s3cret".into()).unwrap();
    let shown = format!("{sealed:?} {keeper:?}");
    assert!(!shown.contains("s3cret") && !shown.contains(&STANDARD.encode([1; KEY_BYTES])), "{shown}");
    assert!(!shown.contains(sealed.as_str()), "{shown}");
    assert!(!sealed.as_str().contains("s3cret"));
    let read: Sealed = serde_json::from_str(&serde_json::to_string(&sealed).unwrap()).unwrap();
    assert_eq!(read, sealed);
}

#[test]
fn a_rotated_key_opens_what_it_sealed_and_seals_no_more() {
    let (old, new) = (key(1), key(2));
    let sealed = keeper(&old, &[]).seal(PURPOSE, &"s3cret".into()).unwrap();
    let rotated = keeper(&new, &[&old]);
    assert_eq!(opened(&rotated, PURPOSE, &sealed).unwrap(), "s3cret");
    let anew = rotated.renew(PURPOSE, &sealed).unwrap().expect("sealed anew");
    assert_eq!(rotated.renew(PURPOSE, &anew), Ok(None));
    // Everything was sealed anew: the key before can go.
    let later = keeper(&new, &[]);
    assert_eq!(opened(&later, PURPOSE, &anew).unwrap(), "s3cret");
    let key_id = sealed.key_id().to_owned();
    assert_eq!(opened(&later, PURPOSE, &sealed), Err(SealError::UnknownKey { key_id }));
}

#[test]
fn a_key_before_that_cannot_be_read_keeps_no_other_from_its_work() {
    let (old, new) = (key(1), key(2));
    let sealed = keeper(&new, &[]).seal(PURPOSE, &"s3cret".into()).unwrap();
    let of_old = keeper(&old, &[]).seal(PURPOSE, &"s3cret".into()).unwrap();
    let rotated = keeper(&new, &[&old]);
    drop(old);
    assert_eq!(opened(&rotated, PURPOSE, &sealed).unwrap(), "s3cret");
    assert!(matches!(opened(&rotated, PURPOSE, &of_old), Err(SealError::Unreadable(_))));
}

#[test]
fn without_a_key_of_thirty_two_bytes_nothing_is_kept() {
    let none = SecretKeeper::new(&SecretsConfig::default());
    assert_eq!(none.seal(PURPOSE, &"s3cret".into()), Err(SealError::NoKey));
    for bad in ["s3cret", "", &STANDARD.encode([1; 16]), &STANDARD.encode([1; 33])] {
        let file = SecretFile::new(bad);
        let error = keeper(&file, &[]).seal(PURPOSE, &"x".into()).unwrap_err();
        assert!(matches!(error, SealError::NotAKey(_) | SealError::Unreadable(_)), "{error}");
        assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
    }
    let file = key(1);
    let long = SecretString::from("x".repeat(SEALED_BYTES_MAX + 1));
    assert_eq!(keeper(&file, &[]).seal(PURPOSE, &long), Err(SealError::TooLong));
}

#[test]
fn text_that_is_not_sealed_is_not_opened() {
    let file = key(1);
    let keeper = keeper(&file, &[]);
    for text in ["", "v1", "v1.", "v1..", "v2.a.b", "s3cret", "v1.0011223344556677.AAAA", "v1.x.!!!!"] {
        assert!(keeper.open(PURPOSE, &Sealed::from(text.to_owned())).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sealed_comes_back_and_nothing_changed_does(
        secret in any::<String>(),
        purpose in any::<String>(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        kept in any::<prop::sample::Index>(),
    ) {
        let file = key(3);
        let keeper = keeper(&file, &[]);
        let sealed = keeper.seal(&purpose, &secret.clone().into()).unwrap();
        prop_assert_eq!(opened(&keeper, &purpose, &sealed).unwrap(), secret);
        prop_assert!(keeper.open(&(purpose.clone() + "."), &sealed).is_err());

        let (key_id, data) = sealed.parts().unwrap();
        let data = URL_SAFE_NO_PAD.decode(data).unwrap();
        let written = |data: &[u8]| Sealed(format!("{VERSION}.{key_id}.{}", URL_SAFE_NO_PAD.encode(data)));
        let mut flipped = data.clone();
        let place = at.index(flipped.len());
        flipped[place] ^= 1 << bit;
        prop_assert_eq!(opened(&keeper, &purpose, &written(&flipped)), Err(SealError::Damaged));
        let cut = &data[..kept.index(data.len())];
        prop_assert_eq!(opened(&keeper, &purpose, &written(cut)), Err(SealError::Damaged));
        let longer = [&data[..], &[0]].concat();
        prop_assert_eq!(opened(&keeper, &purpose, &written(&longer)), Err(SealError::Damaged));
    }
}
