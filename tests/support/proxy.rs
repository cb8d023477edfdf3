//! A line between a house and its PostgreSQL server that a test can have fall silent, forget, be cut, or lose just the
//! answer to one commit.
//!
//! **Owns** a listening port on loopback and every connection through it; all end when this is dropped. **Fails** by
//! closing a connection whose server does not take it. **Limits**: silent means that nothing passes and nothing is closed,
//! as with a firewall that drops packets; what has been sent is kept, and goes on when the line does, late.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What a statement looks like on the wire when it is a simple query: its text with a zero behind it.
const BEGIN: &[u8] = b"BEGIN\0";
const COMMIT: &[u8] = b"COMMIT\0";
/// How much of what the house said last is kept for words that lie across two chunks; longer than any of them.
const TAIL_BYTES: usize = 64;
const CHUNK_BYTES: usize = 64 * 1024;

/// What happens to one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server commits, and the connection is cut before its answer has come through.
    AnswerLost,
    /// The connection is cut before the commit has come through.
    CommitLost,
    /// The server commits, and nothing more is heard on this connection.
    AnswerSilent,
    /// Nothing more comes through on this connection, the commit neither.
    CommitSilent,
}

/// What is to happen to the next transaction that holds this text.
#[derive(Clone, PartialEq, Eq)]
struct Doom {
    marker: Vec<u8>,
    fate: Fate,
}

/// What the line does at the moment. Connections are numbered as they come.
#[derive(Clone, Default)]
struct State {
    is_silent: bool,
    /// Connections below this number stay silent for good.
    forgotten_below: u64,
    /// Connections below this number are to be cut.
    cut_below: u64,
    dooms: Vec<Doom>,
    met: usize,
}

impl State {
    fn forwards(&self, number: u64) -> bool {
        !self.is_silent && number >= self.forgotten_below
    }
}

/// The line.
pub struct Proxy {
    pub url: String,
    state: watch::Sender<State>,
    connections: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Proxy {
    /// A line to the server of this URL; [`Proxy::url`] leads to the same database through it.
    pub async fn to(url: &str) -> Self {
        let (head, database) = url.rsplit_once('/').expect("a URL that names a database");
        let (user, server) = head.rsplit_once('@').expect("a URL that names a user");
        let server: SocketAddr = server.parse().expect("a server by its address and port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("{user}@{}/{database}", listener.local_addr().expect("its address"));
        let (state, _) = watch::channel(State::default());
        let connections = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(listen(listener, server, state.clone(), Arc::clone(&connections)));
        Self { url, state, connections, task: task.abort_handle() }
    }

    /// From now on nothing passes, on any connection.
    pub fn fall_silent(&self) {
        self.state.send_modify(|state| state.is_silent = true);
    }

    /// Everything passes again, first of all what was sent meanwhile.
    pub fn come_back(&self) {
        self.state.send_modify(|state| state.is_silent = false);
    }

    /// New connections pass again; those that there are stay silent for good.
    pub fn come_back_for_new_ones(&self) {
        let made = self.connections.load(Ordering::SeqCst);
        self.state.send_modify(|state| {
            state.forgotten_below = made;
            state.is_silent = false;
        });
    }

    /// Cuts every connection that there is, with a reset.
    pub fn cut(&self) {
        let made = self.connections.load(Ordering::SeqCst);
        self.state.send_modify(|state| state.cut_below = made);
    }

    /// Has the next transaction that sends `marker` meet this fate when it commits.
    pub fn doom(&self, marker: &str, fate: Fate) {
        let doom = Doom { marker: marker.as_bytes().to_vec(), fate };
        self.state.send_modify(|state| state.dooms.push(doom));
    }

    /// Waits until so many transactions have met their fate.
    pub async fn met(&self, fates: usize) {
        let mut state = self.state.subscribe();
        let waited =
            tokio::time::timeout(crate::process::PATIENCE, state.wait_for(|state| state.met >= fates)).await;
        assert!(waited.is_ok(), "{} of {fates} commits met their fate", self.state.borrow().met);
    }

    /// How many connections have been made so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    listener: TcpListener,
    server: SocketAddr,
    state: watch::Sender<State>,
    connections: Arc<AtomicU64>,
) {
    // Dropped with this task, and every connection with it.
    let mut pumps = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        pumps.spawn(connect(client, server, number, state.clone()));
        while pumps.try_join_next().is_some() {}
    }
}

/// What has become of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Open,
    /// It ends when the server has answered.
    AnswerLost,
    /// It is silent for good once the server has answered.
    AnswerSilent,
    Cut,
}

async fn connect(mut client: TcpStream, server: SocketAddr, number: u64, state: watch::Sender<State>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    for stream in [&client, &server] {
        // Small messages go to and fro here; waiting to fill packets would only slow a test.
        let _ = stream.set_nodelay(true);
    }
    let (own, mut own_seen) = watch::channel(Own::Open);
    let mut all_seen = state.subscribe();
    let is_over = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            _ = all_seen.wait_for(|state| number < state.cut_below) => false,
            _ = own_seen.wait_for(|own| *own == Own::Cut) => false,
            () = async {
                tokio::join!(
                    ask(from_client, to_server, number, &state, &own),
                    answer(from_server, to_client, number, &state, &own),
                );
            } => true,
        }
    };
    if !is_over {
        for stream in [&client, &server] {
            // Closing with nothing to linger for sends a reset.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Carries what the house says, and looks for commits that are to meet a fate.
async fn ask(
    mut house: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
    number: u64,
    state: &watch::Sender<State>,
    own: &watch::Sender<Own>,
) {
    let mut flow = state.subscribe();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut window: Vec<u8> = Vec::new();
    let mut doomed: Option<Doom> = None;
    while let Ok(read) = house.read(&mut buffer).await {
        if flow.wait_for(|state| state.forwards(number)).await.is_err() || read == 0 {
            break;
        }
        let chunk = &buffer[..read];
        // A word may lie across two chunks.
        window.drain(..window.len().saturating_sub(TAIL_BYTES));
        window.extend_from_slice(chunk);
        if holds(&window, BEGIN) {
            doomed = None;
        }
        doomed =
            doomed.or_else(|| state.borrow().dooms.iter().find(|doom| holds(&window, &doom.marker)).cloned());
        if holds(&window, COMMIT) {
            window.clear();
            if let Some(doom) = doomed.take()
                && take(state, &doom)
            {
                match doom.fate {
                    Fate::AnswerLost => own.send_replace(Own::AnswerLost),
                    Fate::AnswerSilent => own.send_replace(Own::AnswerSilent),
                    Fate::CommitLost => {
                        state.send_modify(|state| state.met += 1);
                        own.send_replace(Own::Cut)
                    }
                    Fate::CommitSilent => {
                        state.send_modify(|state| state.met += 1);
                        std::future::pending().await
                    }
                };
                if doom.fate == Fate::CommitLost {
                    return;
                }
            }
        }
        if server.write_all(chunk).await.is_err() {
            break;
        }
    }
    let _ = server.shutdown().await;
}

/// Carries what the server says.
async fn answer(
    mut server: ReadHalf<'_>,
    mut house: WriteHalf<'_>,
    number: u64,
    state: &watch::Sender<State>,
    own: &watch::Sender<Own>,
) {
    let mut flow = state.subscribe();
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(read) = server.read(&mut buffer).await {
        let fate = *own.borrow();
        match fate {
            Own::Open => {}
            Own::AnswerLost => {
                own.send_replace(Own::Cut);
                state.send_modify(|state| state.met += 1);
                return;
            }
            Own::AnswerSilent => {
                state.send_modify(|state| state.met += 1);
                std::future::pending().await
            }
            Own::Cut => return,
        }
        if flow.wait_for(|state| state.forwards(number)).await.is_err() || read == 0 {
            break;
        }
        if house.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = house.shutdown().await;
}

/// Whether this very connection is the one that meets the fate; each happens once.
fn take(state: &watch::Sender<State>, doom: &Doom) -> bool {
    state.send_if_modified(|state| {
        let found = state.dooms.iter().position(|other| other == doom);
        found.map(|at| state.dooms.remove(at)).is_some()
    })
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
