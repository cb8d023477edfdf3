//! What the tests stand on: databases of their own, and drafts of boletos that a shop would make.

pub mod database;
pub mod drafts;
