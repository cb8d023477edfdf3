//! Tells pages that lead on from pages that lead round in circles, before anything of them is kept.
//!
//! Banks repeat a page under another key, repeat a key, and put nothing on a page that has a next one. A page that was there
//! before is passed over; a key that was there before ends the set, for it would never end by itself.
//!
//! **Owns** what has been seen of one set. **Fails** with [`Astray`]: then the set is not whole, and nothing may be concluded from
//! what it leaves out. **Limits**: pages of one set, as the caller says.

use std::collections::HashSet;

/// What has been seen of a set.
#[derive(Debug)]
pub struct PageGuard {
    pages: u32,
    pages_max: u32,
    contents: HashSet<u64>,
    cursors: HashSet<String>,
}

/// A set that will never be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Astray {
    #[error("the next page is one that was there before")]
    InCircles,
    #[error("there are more pages than one set may have")]
    TooMany,
}

impl PageGuard {
    /// For a set of that many pages at most. One that goes on where it was cut off is shown the pages that were kept first.
    pub fn new(pages_max: u32) -> Self {
        Self { pages: 0, pages_max, contents: HashSet::new(), cursors: HashSet::new() }
    }

    /// Whether the page says anything that none before has said. `content` tells one page from another; none for one that cannot
    /// be told, such as an empty one.
    ///
    /// # Errors
    /// There is no going on.
    pub fn see(&mut self, content: Option<u64>, next: Option<&str>) -> Result<bool, Astray> {
        self.pages = self.pages.saturating_add(1);
        if let Some(next) = next {
            if self.cursors.contains(next) {
                return Err(Astray::InCircles);
            }
            if self.pages >= self.pages_max {
                return Err(Astray::TooMany);
            }
            self.cursors.insert(next.to_owned());
        }
        Ok(content.is_none_or(|content| self.contents.insert(content)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_pages_are_passed_over_and_repeated_keys_end_it() {
        let mut guard = PageGuard::new(100);
        assert_eq!(guard.see(Some(1), Some("b")), Ok(true));
        assert_eq!(guard.see(Some(1), Some("c")), Ok(false), "the same page under another key");
        assert_eq!(guard.see(None, Some("d")), Ok(true), "an empty page leads on");
        assert_eq!(guard.see(None, Some("e")), Ok(true), "and so does another");
        assert_eq!(guard.see(Some(2), Some("c")), Err(Astray::InCircles));
        assert_eq!(guard.see(Some(3), None), Ok(true), "the last leads nowhere");
    }

    #[test]
    fn a_set_has_so_many_pages_and_no_more() {
        let mut guard = PageGuard::new(3);
        assert_eq!(guard.see(Some(0), Some("b")), Ok(true));
        assert_eq!(guard.see(Some(1), Some("c")), Ok(true));
        assert_eq!(guard.see(Some(2), Some("d")), Err(Astray::TooMany));
        let mut guard = PageGuard::new(1);
        assert_eq!(guard.see(Some(1), None), Ok(true), "the last may be the last that is allowed");
    }
}
