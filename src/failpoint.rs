//! Named points at which a process can be told to end itself, so that a fault test can crash it at every step.
//!
//! Compiled to nothing without the feature `failpoints`. With it, `BURSAR_FAILPOINT=name:count` ends the process, as
//! `kill -9` would, at the `count`th time that the point of that name is reached; `BURSAR_FAILPOINT_LOG=file` writes down
//! each point reached, so that a test can enumerate them. One point panics instead, for a boleto of a certain name.

/// Says that a step boundary has been reached.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reached(_name: &'static str) {}

/// Says that a step boundary has been reached, and ends the process if it was told to end here.
#[cfg(feature = "failpoints")]
pub fn reached(name: &'static str) {
    armed::reached(name);
}

/// Stands where a bug in a connector would panic on a bank's answer.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn poison(_reference_id: Option<&str>) {}

/// Stands where a bug in a connector would panic on a bank's answer, and panics for a boleto whose owner calls it `panic`.
#[cfg(feature = "failpoints")]
pub fn poison(reference_id: Option<&str>) {
    assert!(reference_id != Some("panic"), "an answer that the connector cannot bear");
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::io::Write as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Armed {
        name: String,
        left: AtomicU64,
    }

    fn armed() -> Option<&'static Armed> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        ARMED
            .get_or_init(|| {
                let text = std::env::var("BURSAR_FAILPOINT").ok()?;
                let (name, count) = text.split_once(':')?;
                Some(Armed { name: name.to_owned(), left: AtomicU64::new(count.parse().ok()?) })
            })
            .as_ref()
    }

    pub fn reached(name: &'static str) {
        log(name);
        if let Some(armed) = armed()
            && armed.name == name
            && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            // Abort runs no destructor and flushes nothing, as a kill would.
            std::process::abort();
        }
    }

    fn log(name: &str) {
        static LOG: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
        let path = LOG.get_or_init(|| std::env::var_os("BURSAR_FAILPOINT_LOG").map(Into::into));
        if let Some(path) = path
            && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
        {
            // In one piece: another thread may be writing its own line.
            let _ = file.write_all(format!("{name}\n").as_bytes());
        }
    }
}
