//! Catches a panic of an actor with its message, place and stack.
//!
//! **Owns** the process's panic hook once [`install`] has been called: panics inside a watched future are kept for
//! the supervisor, all others go to the hook that was there before.
//! **Fails** never; a payload that is no text is called so.
//! **Limits**: a task that an actor spawns by itself is not watched.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

/// What is known of one panic.
#[derive(Debug)]
pub(super) struct PanicReport {
    pub(super) message: String,
    pub(super) location: Option<String>,
    pub(super) backtrace: Backtrace,
}

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<PanicReport>> = const { RefCell::new(None) };
}

/// Puts our hook before the one that is there; further calls do nothing.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if WATCHED.with(Cell::get) {
                CAUGHT.with(|caught| *caught.borrow_mut() = Some(report(info)));
            } else {
                previous(info);
            }
        }));
    });
}

/// Runs `future` and gives back its output, or the report of its panic.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, PanicReport> {
    let mut future = pin!(future);
    poll_fn(move |context| match watched(|| future.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(report) => Poll::Ready(Err(report)),
    })
    .await
}

/// Runs `work` with this thread marked as an actor's.
pub(super) fn watched<T>(work: impl FnOnce() -> T) -> Result<T, PanicReport> {
    let before = WATCHED.replace(true);
    // A panic that the actor itself caught earlier has left its report behind.
    drop(CAUGHT.take());
    let result = catch_unwind(AssertUnwindSafe(work));
    WATCHED.set(before);
    // An actor that panicked is dropped whole, so no torn state is ever looked at again.
    result.map_err(|payload| {
        CAUGHT.take().unwrap_or_else(|| PanicReport {
            // `resume_unwind` and a foreign hook come here: there is a payload, but no place.
            message: text(
                payload
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| payload.downcast_ref::<&str>().copied()),
            ),
            location: None,
            backtrace: Backtrace::disabled(),
        })
    })
}

fn report(info: &PanicHookInfo<'_>) -> PanicReport {
    PanicReport {
        message: text(info.payload_as_str()),
        location: info.location().map(ToString::to_string),
        backtrace: Backtrace::force_capture(),
    }
}

fn text(payload: Option<&str>) -> String {
    payload.unwrap_or("a panic without a text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_with_its_text_and_place() {
        install();
        let report = caught(async { panic!("number {}", 7) }).await.unwrap_err();
        assert_eq!(report.message, "number 7");
        assert!(report.location.unwrap().contains("panic.rs:"));
        assert!(report.backtrace.to_string().contains("panic"));
    }

    #[tokio::test]
    async fn what_was_caught_inside_does_not_stain_a_later_panic() {
        install();
        let output = caught(async { catch_unwind(|| panic!("inner")).is_err() }).await;
        assert!(output.unwrap());
        let resumed = caught(async { std::panic::resume_unwind(Box::new("later")) });
        let report: Result<(), _> = resumed.await;
        assert_eq!(report.unwrap_err().message, "later");
    }
}
