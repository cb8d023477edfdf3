//! How far something has come that takes longer than a moment, on the stream beside the result.
//!
//! **Owns** nothing. **Fails** never. **Limits**: nothing is said in the first second, nor to anything but a terminal; after that ten
//! times a second at most.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::screen::Screen;

/// What is over sooner needs no telling.
const QUIET: Duration = Duration::from_secs(1);
const APART: Duration = Duration::from_millis(100);
/// Characters of a whole bar.
const WIDTH: u64 = 24;

/// Something that goes on, step by step.
pub(super) struct Progress {
    what: &'static str,
    began: Instant,
    next: Instant,
    has_spoken: bool,
}

impl Progress {
    /// Begins now.
    pub fn begin(what: &'static str) -> Self {
        let began = Instant::now();
        Self { what, began, next: began + QUIET, has_spoken: false }
    }

    /// So many of so many are done; of how many need not be known.
    pub fn step(&mut self, done: u64, of: Option<u64>, screen: &mut Screen) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + APART;
            self.has_spoken = true;
            screen.progress(&line(self.what, Some(done), of, now - self.began));
        }
    }

    fn wait(&mut self, screen: &mut Screen) {
        self.has_spoken = true;
        self.next = Instant::now() + APART;
        screen.progress(&line(self.what, None, None, self.began.elapsed()));
    }

    /// Takes the line away again.
    pub fn end(self, screen: &mut Screen) {
        if self.has_spoken {
            screen.progress("");
        }
    }
}

/// Waits for an answer, and says for how long.
pub(super) async fn while_waiting<T>(
    what: &'static str,
    answer: impl Future<Output = T>,
    screen: &mut Screen,
) -> T {
    let mut answer = pin!(answer);
    let mut progress = Progress::begin(what);
    loop {
        tokio::select! {
            answer = &mut answer => {
                progress.end(screen);
                return answer;
            }
            () = tokio::time::sleep_until(progress.next) => progress.wait(screen),
        }
    }
}

fn line(what: &str, done: Option<u64>, of: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match (done, of) {
        (Some(done), Some(of)) if of > 0 => {
            let done = done.min(of);
            let filled = done * WIDTH / of;
            let bar: String = (0..WIDTH).map(|at| if at < filled { '#' } else { '.' }).collect();
            format!("{what} [{bar}] {done}/{of}  {seconds} s")
        }
        (Some(done), _) => format!("{what}: {done}  {seconds} s"),
        (None, _) => format!("{what}  {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_what_is_done() {
        let second = Duration::from_secs(1);
        assert_eq!(line("writing", Some(1), Some(2), second), "writing [############............] 1/2  1 s");
        assert_eq!(line("writing", Some(3), Some(2), second), "writing [########################] 2/2  1 s");
        assert_eq!(line("writing", Some(3), None, second), "writing: 3  1 s");
        assert_eq!(line("waiting", None, None, second), "waiting  1 s");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_at_once_is_not_told_and_what_takes_long_is() {
        let mut screen = Screen::new(Box::new(std::io::sink()), Box::new(std::io::sink()), false, false);
        let mut progress = Progress::begin("writing");
        progress.step(1, None, &mut screen);
        assert!(!progress.has_spoken);
        tokio::time::advance(QUIET).await;
        progress.step(2, None, &mut screen);
        assert!(progress.has_spoken);
        let before = progress.next;
        progress.step(3, None, &mut screen);
        assert_eq!(progress.next, before, "not twice in a moment");
        let waited = async { tokio::time::sleep(QUIET * 3).await };
        while_waiting("waiting", waited, &mut screen).await;
    }
}
