//! Puts the execution id of a job's run where those who read the replaced scheduler's logs look for it: `executionData.id`, nested, in
//! every line of the run.
//!
//! **Owns** nothing. **Fails** never: a line without a run is written as it is. **Limits**: lines of JSON; in lines for eyes the
//! span's own field says it.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use uuid::Uuid;

/// The field of a run's span.
const FIELD: &str = "executionData.id";

/// Writes JSON lines as `F` does, with the id in front.
pub(super) struct WithExecution<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for WithExecution<F>
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
        let Some(id) = execution_id(context) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(writer, "{{\"executionData\":{{\"id\":\"{id}\"}},{rest}"),
            None => writer.write_str(&line),
        }
    }
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
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

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

    #[test]
    fn every_line_of_a_run_carries_its_id_and_no_other_line_does() {
        let (lines, id) = (Lines::default(), Uuid::now_v7());
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .json()
            .map_event_format(WithExecution);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!("before");
            tracing::info_span!("job.run", "executionData.id" = %id, job = "sync_update").in_scope(|| {
                tracing::info!("Job syncAllActiveOldUsersUsingActiveConsents started");
                tracing::info_span!("deeper", page = 3).in_scope(|| tracing::warn!(page = 3, "in it"));
            });
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let documents: Vec<_> = text.lines().map(read).collect();
        assert_eq!(documents.len(), 3);
        assert!(documents[0].get("executionData").is_none());
        for document in &documents[1..] {
            assert_eq!(document["executionData"]["id"], id.to_string(), "{document}");
        }
        let message = &documents[1]["fields"]["message"];
        assert_eq!(message, "Job syncAllActiveOldUsersUsingActiveConsents started");
    }
}
