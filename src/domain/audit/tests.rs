//! Of the chain: what it finds, and that no two records are encoded alike.

use proptest::prelude::*;

use super::*;

fn a_record(method: &str) -> Record {
    Record {
        sequence: None,
        id: Uuid::from_u128(7),
        tenant_id: "default".to_owned(),
        at_us: 1_000_000,
        actor: Some("local".to_owned()),
        method: method.to_owned(),
        subject_id: Uuid::nil(),
        subject: Some("delivery/sqs/".to_owned()),
        reason: "maintenance".to_owned(),
        before: Some("null".to_owned()),
        after: None,
        traceparent: None,
    }
}

fn a_chain() -> Vec<Link> {
    let mut chain = Chain::START;
    ["PauseQueue", "ResumeQueue", "RetryWork", "Drain"].map(|method| chain.append(a_record(method))).to_vec()
}

fn first_break(links: &[Link]) -> Option<(i64, Flaw)> {
    let mut chain = Chain::START;
    links.iter().find_map(|link| chain.follow(link).err()).map(|found| (found.sequence, found.flaw))
}

#[test]
fn a_chain_that_nobody_touched_holds() {
    assert_eq!(first_break(&a_chain()), None);
    let mut chain = Chain::START;
    assert_eq!(chain.append(a_record("Drain")).previous_hash, ChainHash::START.to_string());
}

#[test]
fn what_was_changed_taken_out_or_moved_is_found_where_it_was() {
    let mut changed = a_chain();
    changed[1].record.reason = "another".to_owned();
    assert_eq!(first_break(&changed), Some((2, Flaw::Changed)));

    let mut worked_out_anew = a_chain();
    worked_out_anew[1].record.actor = Some("token:else".to_owned());
    let previous = worked_out_anew[0].hash.parse().unwrap();
    worked_out_anew[1].hash = worked_out_anew[1].record.hash_after(previous).to_string();
    assert_eq!(first_break(&worked_out_anew), Some((3, Flaw::OutOfPlace)), "the next one knows better");

    let mut taken_out = a_chain();
    taken_out.remove(1);
    assert_eq!(first_break(&taken_out), Some((2, Flaw::Missing)));

    let mut moved = a_chain();
    moved.swap(1, 2);
    (moved[1].record.sequence, moved[2].record.sequence) = (Some(2), Some(3));
    assert_eq!(first_break(&moved), Some((2, Flaw::OutOfPlace)));

    let mut hash_lost = a_chain();
    hash_lost[3].hash = String::new();
    assert_eq!(first_break(&hash_lost), Some((4, Flaw::Changed)));
}

#[test]
fn a_hash_is_read_as_it_is_written_and_nothing_else_is() {
    let hash = a_record("Drain").hash_after(ChainHash::START);
    assert_eq!(hash.to_string().parse(), Ok(hash));
    for other in ["", "00", &"g".repeat(64), &hash.to_string().to_uppercase(), &"é".repeat(32)] {
        // A hash of digits alone is its own upper case.
        if *other != hash.to_string() {
            assert_eq!(other.parse::<ChainHash>(), Err(NoHash), "{other}");
        }
    }
}

/// Reads back what was encoded, and nothing else: what can be read back belongs to one record only.
fn decoded(bytes: &[u8]) -> Option<(ChainHash, Record)> {
    let mut rest = bytes.strip_prefix(ENCODING)?;
    let mut take = |count: usize| -> Option<Vec<u8>> {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken.to_vec())
    };
    let previous = ChainHash(take(32)?.try_into().ok()?);
    let sequence = i64::from_be_bytes(take(8)?.try_into().ok()?);
    let id = Uuid::from_slice(&take(16)?).ok()?;
    let at_us = i64::from_be_bytes(take(8)?.try_into().ok()?);
    let subject_id = Uuid::from_slice(&take(16)?).ok()?;
    let mut text = || -> Option<Option<String>> {
        if take(1)? == [0] {
            return Some(None);
        }
        let length = u64::from_be_bytes(take(8)?.try_into().ok()?);
        String::from_utf8(take(usize::try_from(length).ok()?)?).ok().map(Some)
    };
    let record = Record {
        sequence: Some(sequence),
        id,
        at_us,
        subject_id,
        tenant_id: text()??,
        actor: text()?,
        method: text()??,
        subject: text()?,
        reason: text()??,
        before: text()?,
        after: text()?,
        traceparent: text()?,
    };
    rest.is_empty().then_some((previous, record))
}

prop_compose! {
    /// Texts are short and of few characters, so that one could easily run into the next.
    fn any_record()(
        numbers in any::<(i64, i64, u128, u128, [u8; 32])>(),
        texts in prop::array::uniform3("[ab\u{0}é]{0,3}"),
        others in prop::array::uniform5(prop::option::of("[ab\u{0}é]{0,3}")),
    ) -> (ChainHash, Record) {
        let (sequence, at_us, id, subject_id, previous) = numbers;
        let [tenant_id, method, reason] = texts;
        let [actor, subject, before, after, traceparent] = others;
        let record = Record {
            sequence: Some(sequence), id: Uuid::from_u128(id), tenant_id, at_us, actor, method,
            subject_id: Uuid::from_u128(subject_id), subject, reason, before, after, traceparent,
        };
        (ChainHash(previous), record)
    }
}

proptest! {
    #[test]
    fn no_two_records_are_encoded_alike((previous, record) in any_record()) {
        prop_assert_eq!(decoded(&record.encoded(previous)), Some((previous, record)));
    }
}
