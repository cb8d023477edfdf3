//! The door between the pages, which are served from the start, and the house, which is ready later.
//!
//! **Owns** the handles once they are there. **Fails** never: until then there is nobody behind it.

use std::sync::{Arc, OnceLock};

use crate::messages::House;

/// What a site looks through; clones are the same door.
#[derive(Clone, Default)]
pub struct Door(Arc<OnceLock<Arc<House>>>);

impl Door {
    /// Lets requests in.
    pub fn open(&self, house: Arc<House>) {
        // Opened once by whoever opens the house; a second time would be the same house.
        let _ = self.0.set(house);
    }

    /// The house, once it is open.
    pub(super) fn house(&self) -> Option<&Arc<House>> {
        self.0.get()
    }
}
