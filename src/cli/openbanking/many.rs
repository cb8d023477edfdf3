//! Many things of a file, a JSON document a line, in calls of as many as the service takes.
//!
//! **Owns** how a file is cut into calls. **Fails** at the first call that is refused, saying which lines it was about; what was taken
//! before stays, and the same file again changes nothing of it. **Limits**: a call of 1,000 things or 768 KiB, whichever is met first.

use std::path::Path;

use prost::Message;
use serde::de::DeserializeOwned;

use crate::cli::failure::Failure;
use crate::cli::input::lines::Lines;
use crate::cli::progress::Progress;
use crate::cli::screen::Screen;

const THINGS_MAX: usize = 1_000;
const CALL_BYTES_MAX: usize = 768 * 1024;

/// Things of one call, with the lines that they stand in.
pub(super) struct Call<T> {
    pub things: Vec<T>,
    pub lines: Vec<usize>,
}

/// Reads a file, and has each call's worth of it sent.
pub(super) async fn send<I, T>(
    file: &Path,
    what: &'static str,
    screen: &mut Screen,
    mut send: impl AsyncFnMut(Call<T>, &mut Screen) -> Result<(), Failure>,
) -> Result<(), Failure>
where
    I: DeserializeOwned,
    T: Message + TryFrom<I, Error = &'static str>,
{
    let mut lines = Lines::open(file)?;
    let mut progress = Progress::begin(what);
    let (mut call, mut bytes, mut done) = (Call::empty(), 0, 0);
    while let Some((line, input)) = lines.next::<I>()? {
        let thing = T::try_from(input).map_err(|why| lines.refused(line, why))?;
        let length = thing.encoded_len();
        if call.things.len() == THINGS_MAX || (bytes + length > CALL_BYTES_MAX && !call.things.is_empty()) {
            done += call.send(&mut send, screen).await?;
            (call, bytes) = (Call::empty(), 0);
            progress.step(done, None, screen);
        }
        bytes += length;
        call.things.push(thing);
        call.lines.push(line);
    }
    if !call.things.is_empty() {
        call.send(&mut send, screen).await?;
    }
    progress.end(screen);
    Ok(())
}

impl<T> Call<T> {
    fn empty() -> Self {
        Self { things: Vec::new(), lines: Vec::new() }
    }

    async fn send(
        self,
        send: &mut impl AsyncFnMut(Self, &mut Screen) -> Result<(), Failure>,
        screen: &mut Screen,
    ) -> Result<u64, Failure> {
        let (first, last) = (self.lines.first().copied(), self.lines.last().copied());
        let count = self.things.len() as u64;
        if let Err(failure) = send(self, screen).await {
            let [first, last] = [first, last].map(Option::unwrap_or_default);
            screen.remark(&format!("refused: lines {first} to {last}, of which [0] is the first"));
            return Err(failure);
        }
        Ok(count)
    }
}
