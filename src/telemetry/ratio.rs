//! Which share of the traces begun here is recorded, as it is set at the moment.
//!
//! **Owns** the share; clones have the same. **Fails** never. **Limits**: a trace is decided about when it begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

/// `telemetry.sample_ratio`, 0.0 to 1.0.
#[derive(Debug, Clone)]
pub(super) struct Ratio(Arc<AtomicU64>);

impl Ratio {
    pub fn new(share: f64) -> Self {
        Self(Arc::new(AtomicU64::new(share.to_bits())))
    }

    pub fn set(&self, share: f64) {
        self.0.store(share.to_bits(), Ordering::Relaxed);
    }
}

impl ShouldSample for Ratio {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let share = f64::from_bits(self.0.load(Ordering::Relaxed));
        Sampler::TraceIdRatioBased(share).should_sample(parent, trace_id, name, kind, attributes, links)
    }
}
