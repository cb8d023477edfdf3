//! The screen that lives: drawn anew at each thing that is heard and each key, until somebody leaves.
//!
//! **Owns** the terminal while it lasts, and gives it back as it was: at the end, at a signal, and in a panic.
//! **Fails** when the terminal cannot be had or drawn to. A service that is away is no failure.
//! **Limits**: what is heard in one go is drawn once. Whoever leaves while something is being done waits for what comes of it, each
//! as long as any command would, unless a signal says not to.

use std::io;
use std::pin::pin;
use std::time::Duration;

use crossterm::event::EventStream;
use futures_util::StreamExt as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::execute;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;

use super::feed::{self, Way};
use super::keys::{self, Outcome};
use super::news::{News, Wanted, Wish};
use super::state::State;
use super::view;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;

/// News that wait to be drawn at most; whoever has more waits with it.
const NEWS_MAX: usize = 64;
/// Wishes that wait for the one before at most.
const WISHES_MAX: usize = 16;

/// Shows the house until somebody leaves, and says afterwards what came of what was asked for last.
pub async fn run(way: Way<'_>, every: Duration, screen: &mut Screen) -> Result<(), Failure> {
    let (tell, mut news) = mpsc::channel(NEWS_MAX);
    let (wish, wishes) = mpsc::channel(WISHES_MAX);
    let (want, wanted) = watch::channel(None);
    let (mut state, mut desk) = (State::new(way.address.to_string()), Desk { want, wish, under_way: 0 });
    let mut ends = Ends::catch()?;
    let mut steering = pin!(feed::steer(way, wishes, tell.clone()));
    let left = {
        let mut held = Held::take()?;
        tokio::select! {
            result = until_left(&mut held.0, &mut state, screen.colour(), &mut news, &mut desk) => result,
            () = feed::follow(way, every, wanted, &tell) => unreachable!("the screen listens"),
            () = &mut steering => unreachable!("the screen may have wishes"),
            () = ends.next() => Ok(()),
        }
    };
    drop(tell);
    if desk.no_more() > 0 {
        screen.remark("waiting for what comes of what was asked for; Ctrl-C leaves without");
    }
    let heard = async {
        while let Some(heard) = news.recv().await {
            if let News::Steered(said) = heard {
                screen.remark(&said);
            }
        }
    };
    let is_told = tokio::select! {
        // Nobody tells any more once the last wish is done.
        ((), ()) = async { tokio::join!(&mut steering, heard) } => true,
        () = ends.next() => false,
    };
    if !is_told {
        screen.remark("left; `bursar work get` says what came of it");
    }
    left
}

async fn until_left(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    colour: bool,
    news: &mut Receiver<News>,
    desk: &mut Desk,
) -> Result<(), Failure> {
    let mut events = EventStream::new();
    loop {
        terminal.draw(|frame| view::draw(state, colour, frame))?;
        desk.want.send_if_modified(|wanted| {
            let now = state.wanted();
            let is_other = *wanted != now;
            *wanted = now;
            is_other
        });
        tokio::select! {
            Some(heard) = news.recv() => {
                desk.hear(&heard);
                state.hear(heard);
                while let Ok(more) = news.try_recv() {
                    desk.hear(&more);
                    state.hear(more);
                }
            }
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => match keys::press(state, key) {
                    Outcome::Stay => {}
                    Outcome::Leave => return Ok(()),
                    Outcome::Wish(one) => {
                        if !desk.take(one) {
                            state.notice = Some("too much is being asked for already; nothing was done".to_owned());
                        }
                    }
                },
                Some(Ok(Event::Paste(text))) => keys::paste(state, &text),
                // A size that has changed is seen at the next drawing.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                // Nobody can press a key any more.
                None => return Ok(()),
            },
        }
    }
}

/// Where wishes are left, and how many of them nothing has come of yet.
struct Desk {
    /// Of which row more is to be shown.
    want: watch::Sender<Option<Wanted>>,
    wish: Sender<Wish>,
    under_way: usize,
}

impl Desk {
    /// Whether there was room for it.
    fn take(&mut self, wish: Wish) -> bool {
        let is_taken = self.wish.try_send(wish).is_ok();
        self.under_way += usize::from(is_taken);
        is_taken
    }

    fn hear(&mut self, news: &News) {
        self.under_way -= usize::from(matches!(news, News::Steered(_)));
    }

    /// Takes no more, and tells how many are under way.
    fn no_more(self) -> usize {
        self.under_way
    }
}

/// The terminal, to be given back.
struct Held(DefaultTerminal);

impl Held {
    /// Takes it, and has what is pasted told apart from what is typed. What was half taken is given back.
    fn take() -> io::Result<Self> {
        let held = Self(ratatui::try_init().inspect_err(|_| ratatui::restore())?);
        execute!(io::stdout(), EnableBracketedPaste)?;
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A terminal that cannot be told has gone.
        let _ = execute!(io::stdout(), DisableBracketedPaste);
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
