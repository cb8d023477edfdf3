//! The screen that lives: drawn anew at each thing that is heard and each key, until somebody leaves.
//!
//! **Owns** the terminal while it lasts, and gives it back as it was: at the end, at a signal, and in a panic.
//! **Fails** when the terminal cannot be had or drawn to. A service that is away is no failure.
//! **Limits**: what is heard in one go is drawn once.

use std::io;
use std::time::Duration;

use crossterm::event::EventStream;
use futures_util::StreamExt as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::Event;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::feed::{self, Way};
use super::keys::{self, Outcome};
use super::news::{News, Wish};
use super::state::State;
use super::view;
use crate::cli::failure::Failure;

/// News that wait to be drawn at most; whoever has more waits with it.
const NEWS_MAX: usize = 64;
/// Wishes that wait for the one before at most.
const WISHES_MAX: usize = 16;

/// Shows the house until somebody leaves.
pub async fn run(way: Way<'_>, every: Duration, colour: bool) -> Result<(), Failure> {
    let (tell, mut news) = mpsc::channel(NEWS_MAX);
    let (wish, mut wishes) = mpsc::channel(WISHES_MAX);
    let mut state = State::new(way.address.to_string());
    let mut ends = Ends::catch()?;
    // What was half taken is given back as well.
    let mut held = Held(ratatui::try_init().inspect_err(|_| ratatui::restore())?);
    tokio::select! {
        result = until_left(&mut held.0, &mut state, colour, &mut news, &wish) => result,
        () = feed::follow(way, every, &tell) => unreachable!("the screen listens"),
        () = feed::steer(way, &mut wishes, &tell) => unreachable!("the screen may have wishes"),
        () = ends.next() => Ok(()),
    }
}

async fn until_left(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    colour: bool,
    news: &mut Receiver<News>,
    wish: &Sender<Wish>,
) -> Result<(), Failure> {
    let mut events = EventStream::new();
    loop {
        terminal.draw(|frame| view::draw(state, colour, frame))?;
        tokio::select! {
            Some(heard) = news.recv() => {
                state.hear(heard);
                while let Ok(more) = news.try_recv() {
                    state.hear(more);
                }
            }
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => match keys::press(state, key) {
                    Outcome::Stay => {}
                    Outcome::Leave => return Ok(()),
                    Outcome::Wish(one) => {
                        if wish.try_send(one).is_err() {
                            state.notice = Some("too much is being asked for already; nothing was done".to_owned());
                        }
                    }
                },
                // A size that has changed is seen at the next drawing.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                // Nobody can press a key any more.
                None => return Ok(()),
            },
        }
    }
}

/// The terminal, to be given back.
struct Held(DefaultTerminal);

impl Drop for Held {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// The signals at which the screen ends.
struct Ends([Signal; 3]);

impl Ends {
    fn catch() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
