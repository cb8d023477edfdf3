//! `bursar top`: the house at a glance in a terminal, live, with what goes through it, and dead letters to be tried again by a key.
//!
//! A client like every other command: whatever is seen and done here goes over the protocol.
//!
//! **Owns** nothing. **Fails** at once where nobody answers at the start or there is no terminal; once the screen is open, a
//! service that goes away is waited for. **Limits**: `--interval` is 200 ms to 10 min; the tree is seen at each change besides.
//!
//! Tour: `feed` asks and hears, `news` is what it says, `state` keeps it in panes, `rows`, `history` and `pace` make lines of it, `keys` says
//! what a key does, `view` draws, `live` holds the terminal, `once` prints one picture instead.

mod feed;
mod history;
mod keys;
mod live;
mod news;
mod once;
mod pace;
mod rows;
mod state;
mod view;

use std::time::Duration;

use clap::Args;
use tonic::Code;

use self::feed::Way;
use super::Global;
use super::failure::Failure;
use super::screen::Screen;

const INTERVAL_MIN: Duration = Duration::from_millis(200);
const INTERVAL_MAX: Duration = Duration::from_secs(600);

#[derive(Args)]
pub(super) struct TopArgs {
    /// How often everything is asked anew, 200ms to 10min; changes of the tree are seen at once
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// Print one picture of it and end; needs no terminal
    #[arg(long)]
    once: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        true => Ok(interval),
        false => Err("expected 200ms to 10min".to_owned()),
    }
}

pub(super) async fn run(args: TopArgs, global: &Global, screen: &mut Screen) -> Result<(), Failure> {
    let way = Way {
        address: &global.address,
        tls: &global.tls,
        token_file: global.token_file.as_deref(),
        patience: global.timeout,
    };
    if args.once {
        return once::run(way, screen).await;
    }
    if screen.is_json() {
        let words = "a live screen is not a document; give --once for one picture in JSON";
        return Err(Failure::found(Code::InvalidArgument, words));
    }
    if !screen.is_terminal() {
        let words =
            "standard output is not a terminal that can be drawn on; give --once for one picture as text";
        return Err(Failure::found(Code::InvalidArgument, words));
    }
    // Who mistypes an address or has no token learns it as by every other command.
    way.greet().await?;
    live::run(way, args.interval, screen).await
}
