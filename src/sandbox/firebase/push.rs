//! The keys of what is pushed: twenty characters that sort by the time at which they were made.
//!
//! Eight characters of milliseconds, twelve of chance; within one millisecond the chance counts on, so that the order holds.
//!
//! **Owns** the last key.
//! **Fails** never.
//! **Limits**: a clock that goes back keeps the last time it had.

/// In the order of their bytes.
const DIGITS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const CHANCE: usize = 12;

/// Makes keys.
#[derive(Default)]
pub struct PushIds {
    unix_ms: u64,
    chance: [u8; CHANCE],
}

impl PushIds {
    pub fn next(&mut self, unix_ms: i64) -> String {
        let unix_ms = u64::try_from(unix_ms).unwrap_or_default();
        if unix_ms > self.unix_ms {
            self.unix_ms = unix_ms;
            // The first digit stays low, so that counting on cannot run over.
            self.chance = rand::random::<[u8; CHANCE]>().map(|byte| byte % 64);
            self.chance[0] %= 32;
        } else {
            self.count_on();
        }
        let time = (0..8).rev().map(|place| (self.unix_ms >> (6 * place)) % 64);
        let digits =
            time.map(|digit| digit as usize).chain(self.chance.iter().map(|digit| usize::from(*digit)));
        digits.map(|digit| char::from(DIGITS[digit])).collect()
    }

    fn count_on(&mut self) {
        for digit in self.chance.iter_mut().rev() {
            if *digit < 63 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_millisecond_and_of_a_clock_that_went_back_stay_in_order() {
        let mut ids = PushIds::default();
        let times = [5, 5, 5, 4, 6, 6, 1_800_000_000_000];
        let keys: Vec<String> = times.iter().map(|time| ids.next(*time)).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        ids.chance = [63; CHANCE];
        ids.chance[0] = 0;
        ids.count_on();
        assert_eq!((ids.chance[0], ids.chance[11]), (1, 0));
    }
}
