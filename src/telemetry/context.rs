//! Carries a trace from one place to another: gRPC metadata, messages, rows of work.
//!
//! **Owns** nothing. **Fails** never: text that is no trace context is ignored, as W3C Trace Context §2.2 asks, and the
//! span begins a trace of its own.
//! **Limits**: a `tracestate` of more than 512 characters is left behind; baggage is never carried.

use std::borrow::Cow;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, Value};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// W3C Trace Context §3.3.1.5 asks that at least so much be carried on.
const TRACESTATE_CHARS_MAX: usize = 512;

/// The current span as a W3C `traceparent`, if there is one.
pub fn traceparent() -> Option<String> {
    current().map(|context| render(&context))
}

/// A span as a W3C `traceparent`; nothing for one that the trace filter leaves out. Its parent is settled with that.
pub fn traceparent_of(span: &Span) -> Option<String> {
    Some(span.context().span().span_context()).filter(|context| context.is_valid()).map(render)
}

/// Makes a span the child of a stored `traceparent`. Has an effect before the span is first entered only.
pub fn set_parent(span: &Span, traceparent: &str) {
    if let Some(parent) = parse(traceparent, TraceState::default()) {
        adopt(span, parent);
    }
}

/// Links a span to a stored `traceparent`: one that serves many traces has a link to each, and an attempt to the one before.
pub fn add_link(span: &Span, traceparent: &str) {
    if let Some(other) = parse(traceparent, TraceState::default()) {
        span.add_link(other);
    }
}

/// Makes a span the child of the caller's, if the caller sent a trace context. Has an effect before the span is first
/// entered only.
pub fn set_parent_from_metadata(span: &Span, metadata: &MetadataMap) {
    // Two different parents are as good as none.
    let mut parents = metadata.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return };
    let Ok(parent) = parent.to_str() else { return };
    if let Some(parent) = parse(parent, state_of(metadata)) {
        adopt(span, parent);
    }
}

/// Sends the current span's trace context along with a gRPC request.
pub fn inject_into_metadata(metadata: &mut MetadataMap) {
    let Some(context) = current() else { return };
    let state = context.trace_state().header();
    for (key, text) in [(TRACEPARENT, render(&context)), (TRACESTATE, state)] {
        if !text.is_empty()
            && let Ok(value) = MetadataValue::<Ascii>::try_from(text)
        {
            metadata.insert(key, value);
        }
    }
}

/// Says of the current span that it failed, and by which kind of error: a code, or a word of the program's own, for it is exported.
/// A span that failed is kept even of a trace that was not chosen.
pub fn note_failure(kind: impl Into<Cow<'static, str>>) {
    let (span, kind) = (Span::current(), kind.into());
    span.set_attribute("error.type", kind.clone());
    span.set_status(Status::error(kind));
}

/// Says something of the current span that traces tell and log lines do without.
pub fn note(key: &'static str, value: impl Into<Value>) {
    Span::current().set_attribute(key, value);
}

/// The trace of the current span, where it is one that is recorded.
pub fn sampled_trace_id() -> Option<TraceId> {
    current().filter(SpanContext::is_sampled).map(|context| context.trace_id())
}

fn current() -> Option<SpanContext> {
    // A span that the trace filter leaves out has no context of its own; the one around it still holds.
    [Span::current().context(), Context::current()]
        .into_iter()
        .map(|context| context.span().span_context().clone())
        .find(SpanContext::is_valid)
}

fn adopt(span: &Span, parent: SpanContext) {
    // Refused for a span that was entered before or that nobody records; neither can be helped here.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

fn render(context: &SpanContext) -> String {
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), flags)
}

/// Reads a `traceparent` by the grammar of W3C Trace Context §3.2.2, longer texts of later versions included.
fn parse(text: &str, state: TraceState) -> Option<SpanContext> {
    let mut parts = text.splitn(5, '-');
    let mut hex = |chars: usize| {
        let part = parts.next()?;
        let lower = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == chars && lower).then_some(part)
    };
    let (version, trace_id, span_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace_id = TraceId::from_hex(trace_id).ok()?;
    let span_id = SpanId::from_hex(span_id).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace_id, span_id, flags, true, state)).filter(SpanContext::is_valid)
}

fn state_of(metadata: &MetadataMap) -> TraceState {
    let lines: Vec<_> = metadata.get_all(TRACESTATE).iter().filter_map(|line| line.to_str().ok()).collect();
    let text = lines.join(",");
    if text.len() > TRACESTATE_CHARS_MAX {
        return TraceState::default();
    }
    TraceState::from_str(&text).unwrap_or_default()
}
