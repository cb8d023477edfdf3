//! Puts into log lines the ids by which they are found: `trace_id` and `span_id` wherever a line belongs to a trace, and in every line
//! of a job's run `executionData.id`, nested, where those who read the replaced scheduler's logs look for it.
//!
//! **Owns** nothing. **Fails** never: a line without a trace and a run is written as it is.
//! **Limits**: ids are looked up for lines that are written, not for events that a filter leaves out; `executionData` stands in lines of
//! JSON, in lines for eyes the span's own field says it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::dispatcher::WeakDispatch;
use tracing::{Dispatch, Event, Subscriber};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};
use uuid::Uuid;

use super::config::LogFormat;

/// The field of a run's span.
const FIELD: &str = "executionData.id";

/// The subscriber whose events are written; clones know the same.
///
/// A line is formatted while its event is dispatched, when the thread's own subscriber cannot be asked for. A layer beside the lines
/// is told in time which one they belong to.
#[derive(Clone, Default)]
pub(super) struct Subscribed(Arc<OnceLock<WeakDispatch>>);

impl<S: Subscriber> Layer<S> for Subscribed {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        // A layer belongs to one subscriber for good.
        let _ = self.0.set(subscriber.downgrade());
    }
}

impl Subscribed {
    /// The innermost span around an event that is part of a trace. The filter of lines does not matter here: a span that it leaves out
    /// has its trace all the same.
    fn span_of(&self, event: &Event<'_>) -> Option<SpanContext> {
        // The tracer may say something while it holds the very span that would be asked.
        if event.metadata().target().starts_with("opentelemetry") {
            return None;
        }
        let subscriber = self.0.get()?.upgrade()?;
        let registry = subscriber.downcast_ref::<Registry>()?;
        let current = subscriber.current_span();
        let around = event.parent().or_else(|| current.id().filter(|_| event.is_contextual()))?;
        registry.span(around)?.scope().find_map(|span| {
            let context = get_otel_context(&span.id(), &subscriber)?;
            Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
        })
    }
}

/// Writes lines as `lines` does, with the ids.
pub(super) struct WithIds<F> {
    pub lines: F,
    pub format: LogFormat,
    pub subscribed: Subscribed,
}

impl<S, N, F> FormatEvent<S, N> for WithIds<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let span = self.subscribed.span_of(event);
        let run = match self.format {
            LogFormat::Json => execution_id(context),
            LogFormat::Text => None,
        };
        if span.is_none() && run.is_none() {
            return self.lines.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        match self.format {
            LogFormat::Json => in_front(&mut writer, &line, run, span.as_ref()),
            LogFormat::Text => behind(&mut writer, &line, span.as_ref()),
        }
    }
}

/// An object, with the ids as its first members.
fn in_front(
    writer: &mut Writer<'_>,
    line: &str,
    run: Option<Uuid>,
    span: Option<&SpanContext>,
) -> fmt::Result {
    let Some(members) = line.strip_prefix('{') else { return writer.write_str(line) };
    writer.write_char('{')?;
    if let Some(id) = run {
        write!(writer, "\"executionData\":{{\"id\":\"{id}\"}},")?;
    }
    if let Some(span) = span {
        write!(writer, "\"trace_id\":\"{}\",\"span_id\":\"{}\",", span.trace_id(), span.span_id())?;
    }
    writer.write_str(members)
}

/// A line for eyes, with the ids as its last fields.
fn behind(writer: &mut Writer<'_>, line: &str, span: Option<&SpanContext>) -> fmt::Result {
    writer.write_str(line.trim_end_matches('\n'))?;
    if let Some(span) = span {
        write!(writer, " trace_id={} span_id={}", span.trace_id(), span.span_id())?;
    }
    writer.write_char('\n')
}

/// The id of the run in whose span, or below it, the event happened.
fn execution_id<S, N>(context: &FmtContext<'_, S, N>) -> Option<Uuid>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    context.event_scope()?.find_map(|span| {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>()?.fields.as_str();
        // Looked for before it is read: most spans are of no run.
        if !fields.contains(FIELD) {
            return None;
        }
        let fields: serde_json::Value = serde_json::from_str(fields).ok()?;
        fields.get(FIELD)?.as_str()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use serde_json::Value;
    use tracing_subscriber::filter::{EnvFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const STORED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are written meanwhile, by a subscriber whose lines and traces have filters of their own.
    fn written(format: LogFormat, log_filter: &str, run: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = super::super::lines(format, move || writer.clone());
        let provider = SdkTracerProvider::builder().build();
        let traces = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("test"))
            .with_context_activation(false)
            .with_filter(Targets::new().with_default(tracing::Level::INFO).with_target("h2", None));
        let subscriber =
            tracing_subscriber::registry().with(layer.with_filter(EnvFilter::new(log_filter))).with(traces);
        tracing::subscriber::with_default(subscriber, run);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn read(line: &str) -> Value {
        serde_json::from_str(line).unwrap()
    }

    fn call() -> tracing::Span {
        let span = tracing::info_span!("call");
        super::super::set_parent(&span, STORED);
        span
    }

    #[test]
    fn every_line_of_a_trace_has_its_ids_and_no_other_line_has_any() {
        let run = || {
            tracing::info!("before");
            call().in_scope(|| {
                tracing::info!("within");
                tracing::info_span!("deeper").in_scope(|| tracing::info!("deeper"));
                tracing::info_span!(target: "h2", "library").in_scope(|| tracing::info!("library"));
                tracing::info!(parent: None, "apart");
            });
        };
        let documents: Vec<Value> =
            written(LogFormat::Json, "info", run).iter().map(|line| read(line)).collect();
        assert_eq!(documents.len(), 5);
        for apart in [&documents[0], &documents[4]] {
            assert!(apart.get("trace_id").is_none() && apart.get("span_id").is_none(), "{apart}");
        }
        let [within, deeper, library] = [&documents[1], &documents[2], &documents[3]];
        for line in [within, deeper, library] {
            assert_eq!(line["trace_id"], TRACE, "{line}");
            assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
        }
        assert_ne!(within["span_id"], deeper["span_id"]);
        assert_eq!(within["span_id"], library["span_id"], "a span of no trace passes on the one around it");

        let lines = written(LogFormat::Text, "info", run);
        assert_eq!(lines.len(), 5);
        for (line, is_traced) in lines.iter().zip([false, true, true, true, false]) {
            assert_eq!(line.contains(&format!(" trace_id={TRACE} span_id=")), is_traced, "{line}");
        }
        assert!(lines[1].contains(": within trace_id="), "{}", lines[1]);
    }

    #[test]
    fn a_span_that_is_not_logged_has_its_trace_in_lines_all_the_same() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let lines = written(format, "warn", || {
                call().in_scope(|| {
                    tracing::info!("left out");
                    tracing::warn!("kept");
                });
            });
            assert_eq!(lines.len(), 1);
            assert!(lines[0].contains("kept") && lines[0].contains(TRACE), "{}", lines[0]);
        }
    }

    #[test]
    fn every_line_of_a_run_carries_its_id_and_no_other_line_does() {
        let id = Uuid::now_v7();
        let lines = written(LogFormat::Json, "info", || {
            tracing::info!("before");
            tracing::info_span!("job.run", "executionData.id" = %id, job = "sync_update").in_scope(|| {
                tracing::info!("Job syncAllActiveOldUsersUsingActiveConsents started");
                tracing::info_span!("deeper", page = 3).in_scope(|| tracing::warn!(page = 3, "in it"));
            });
        });
        let documents: Vec<Value> = lines.iter().map(|line| read(line)).collect();
        assert_eq!(documents.len(), 3);
        assert!(documents[0].get("executionData").is_none());
        for document in &documents[1..] {
            assert_eq!(document["executionData"]["id"], id.to_string(), "{document}");
            assert!(document["trace_id"].is_string(), "{document}");
        }
        let message = &documents[1]["fields"]["message"];
        assert_eq!(message, "Job syncAllActiveOldUsersUsingActiveConsents started");
    }
}
