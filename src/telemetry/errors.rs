//! Keeps the spans that failed of traces that were not chosen.
//!
//! Whether a trace is recorded is decided when it begins, and whether it fails is known at its end. So every span is recorded, and
//! at its end it goes if its trace was chosen or if it failed itself. What a span of another trace did before it failed, and
//! who called it, is not kept: for whole traces a collector has to decide (its `tail_sampling`).
//!
//! **Owns** nothing. **Fails** never. **Limits**: recording costs as if every trace were chosen; `telemetry.keep_errors` turns it
//! off.

use std::time::Duration;

use opentelemetry::trace::{Link, SpanContext, SpanKind, Status, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};

/// Chooses as another does, and has the rest recorded for as long as it takes to see how it ends.
#[derive(Debug, Clone)]
pub(super) struct RecordAll(pub Sampler);

impl ShouldSample for RecordAll {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self.0.should_sample(parent, trace_id, name, kind, attributes, links);
        if result.decision == SamplingDecision::Drop {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

/// Passes on what was chosen, and what failed.
#[derive(Debug)]
pub(super) struct ErrorsKept<P>(pub P);

impl<P: SpanProcessor> SpanProcessor for ErrorsKept<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        let known = &span.span_context;
        if !known.is_sampled() {
            if !matches!(span.status, Status::Error { .. }) {
                return;
            }
            // Exporters and collectors leave out what says of itself that it was not chosen.
            let flags = known.trace_flags().with_sampled(true);
            let (trace_id, span_id) = (known.trace_id(), known.span_id());
            let state = known.trace_state().clone();
            span.span_context = SpanContext::new(trace_id, span_id, flags, known.is_remote(), state);
        }
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
