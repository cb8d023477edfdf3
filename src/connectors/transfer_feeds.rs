//! Feeds of transfers: where recorded questionings are offered, and told their results.
//!
//! **Owns** nothing. **Fails** per call. **Limits**: those of each feed.

pub mod sse;
