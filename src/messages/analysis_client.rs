//! What the analysis client is told.

use crate::connectors::analyzers::AnalyzerKind;
use crate::work::{ClaimGuard, Place};

/// How the names of its queues begin; behind that the analyzer, the tenant and the company.
pub const QUEUE_PREFIX: &str = "analysis/";

/// The analyzer that a queue's name says.
pub fn analyzer_of(queue: &str) -> Option<AnalyzerKind> {
    queue.strip_prefix(QUEUE_PREFIX)?.split('/').next().and_then(AnalyzerKind::from_name)
}

/// Told to the pool.
pub enum AnalysisClientMessage {
    /// There may be rows to claim.
    WorkAvailable,
    /// Rows that were claimed; each is held by its guard.
    Claimed(Vec<(ClaimGuard, Place)>),
    /// An attempt panicked. Its row has gone back; whoever hears this has a bug and ends.
    AttemptPanicked,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::TenantId;
    use crate::store::transfer::analysis_queue;

    #[test]
    fn a_queue_says_its_analyzer() {
        for kind in AnalyzerKind::ALL {
            let queue = analysis_queue(kind.as_str(), &TenantId::default(), Some("-Nsample"));
            assert_eq!(analyzer_of(&queue), Some(kind));
        }
        for other in ["analysis/", "analysis/nobody/t/c", "delivery/emotion_logic/t/c", ""] {
            assert_eq!(analyzer_of(other), None, "{other}");
        }
    }
}
