//! The program in a terminal of its own, looked at through the screen that a terminal emulator written by others makes of what it
//! writes.
//!
//! **Owns** the pseudo-terminal and the process in it, which is killed when this is dropped. **Fails** a test with the screen.
//! **Limits**: 100 columns, 30 lines; nothing is waited for longer than [`PATIENCE`].

use std::num::NonZeroU16;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pty_process::{OwnedReadPty, OwnedWritePty, Pts, Size};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(20);
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();
const LINES: NonZeroU16 = NonZeroU16::new(30).unwrap();
/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_bursar");

/// A terminal with the program in it.
pub struct Terminal {
    child: Child,
    keys: OwnedWritePty,
    // The terminal's own side, open for as long as somebody wants to know how it was left.
    side: Pts,
    emulator: Arc<Mutex<vt100::Parser>>,
    drawn: watch::Receiver<u64>,
    settings_before: String,
}

impl Terminal {
    /// Starts the program with these arguments.
    pub async fn running(arguments: &[&str]) -> Self {
        let (pty, side) = pty_process::open().expect("a pseudo-terminal");
        pty.resize(Size::new(LINES.get(), COLUMNS.get())).expect("a size");
        let settings_before = settings(&side).await;
        let mut program = pty_process::Command::new(PROGRAM)
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("BURSAR_TOKEN")
            .kill_on_drop(true);
        let child = program.spawn_borrowed(&side).expect("the program starts");
        let (screen, keys) = pty.into_split();
        let emulator = Arc::new(Mutex::new(vt100::Parser::new(LINES, COLUMNS, 0)));
        let (tell, drawn) = watch::channel(0);
        tokio::spawn(draw(screen, emulator.clone(), tell));
        Self { child, keys, side, emulator, drawn, settings_before }
    }

    /// What stands on the screen.
    pub fn text(&self) -> String {
        self.emulator.lock().unwrap_or_else(PoisonError::into_inner).screen().contents()
    }

    /// Whether the first cell of a text on the screen is in this colour of the palette.
    pub fn is_in(&self, text: &str, colour: u8) -> bool {
        let emulator = self.emulator.lock().unwrap_or_else(PoisonError::into_inner);
        let screen = emulator.screen();
        screen.rows(0, COLUMNS.get()).zip(0..).any(|(line, row)| {
            let Some(at) = line.find(text) else { return false };
            let column = u16::try_from(line[..at].chars().count()).expect("a column of the screen");
            screen.cell(row, column).is_some_and(|cell| cell.fgcolor() == vt100::Color::Idx(colour))
        })
    }

    /// Waits until this stands on the screen, and returns all of it.
    pub async fn sees(&mut self, wanted: &str) -> String {
        self.shows(wanted, |text| text.contains(wanted)).await
    }

    /// Waits until this no longer stands on the screen.
    pub async fn sees_no_more(&mut self, unwanted: &str) -> String {
        self.shows(unwanted, |text| !text.contains(unwanted)).await
    }

    async fn shows(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let looking = async {
            loop {
                self.drawn.borrow_and_update();
                let text = self.text();
                if is_so(&text) {
                    return Ok(text);
                }
                self.drawn.changed().await.map_err(|_| "the program has ended")?;
            }
        };
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(Ok(text)) => text,
            Ok(Err::<_, &str>(ended)) => panic!("{ended}, and {what:?} was waited for:\n{}", self.text()),
            Err(_) => panic!("{what:?} was waited for in vain:\n{}", self.text()),
        }
    }

    /// Presses keys.
    pub async fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.expect("a terminal that takes keys");
    }

    /// Sends the program a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().expect("a program that runs").to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no SIG{name} could be sent");
    }

    /// Waits for the end of the program, and returns the code with which it ended.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(status) = ended else { panic!("the program did not end:\n{}", self.text()) };
        status.expect("a child that can be waited for").code()
    }

    /// Asserts that whoever types here next finds the terminal as it was before the program: its settings, its own screen, its cursor.
    pub async fn is_as_it_was(&mut self) {
        assert_eq!(settings(&self.side).await, self.settings_before);
        let is_left = || {
            let emulator = self.emulator.lock().unwrap_or_else(PoisonError::into_inner);
            !emulator.screen().alternate_screen() && !emulator.screen().hide_cursor()
        };
        let mut drawn = self.drawn.clone();
        let left = tokio::time::timeout(PATIENCE, drawn.wait_for(|_| is_left())).await;
        assert!(left.is_ok_and(|left| left.is_ok()), "the screen was not given back:\n{}", self.text());
    }
}

/// The settings of a terminal, as `stty` tells them.
async fn settings(side: &Pts) -> String {
    let mut stty = pty_process::Command::new("stty").arg("-a").stdout(Stdio::piped()).kill_on_drop(true);
    let stty = stty.spawn_borrowed(side).expect("stty is installed");
    let said = tokio::time::timeout(PATIENCE, stty.wait_with_output()).await.expect("stty ends");
    String::from_utf8(said.expect("what stty says").stdout).expect("a text")
}

async fn draw(mut screen: OwnedReadPty, emulator: Arc<Mutex<vt100::Parser>>, tell: watch::Sender<u64>) {
    let mut bytes = vec![0; 4_096];
    // An error says that nobody has the other side open any more.
    while let Ok(count @ 1..) = screen.read(&mut bytes).await {
        emulator.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..count]);
        tell.send_modify(|drawn| *drawn += 1);
    }
}
