//! The door between the pages, which are served from the start, and the house, which is ready later.
//!
//! **Owns** the handles once they are there. **Fails** never: until then there is nobody behind it.

use std::sync::{Arc, OnceLock};

use crate::messages::House;
use crate::supervision::Tree;

/// What a site looks through; clones are the same door.
#[derive(Clone, Default)]
pub struct Door(Arc<Handles>);

#[derive(Default)]
struct Handles {
    house: OnceLock<Arc<House>>,
    tree: OnceLock<Tree>,
}

impl Door {
    /// Lets requests in.
    pub fn open(&self, house: Arc<House>) {
        // Opened once by whoever opens the house; a second time would be the same house.
        let _ = self.0.house.set(house);
    }

    /// The house, once it is open.
    pub(super) fn house(&self) -> Option<&Arc<House>> {
        self.0.house.get()
    }

    /// Shows the tree, which is there before the house is open.
    pub fn show_tree(&self, tree: Tree) {
        // As above: there is one tree.
        let _ = self.0.tree.set(tree);
    }

    /// The tree, once it has been started.
    pub(super) fn tree(&self) -> Option<&Tree> {
        self.0.tree.get()
    }
}
