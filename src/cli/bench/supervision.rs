//! What supervision costs on top of plain ractor: a message, a question, and a crash.
//!
//! **Owns** a tree of one worker and a plain actor that supervises another, both in this process. **Fails** when one of
//! them does not answer. **Limits**: no backoff, since what is measured is all that comes besides it.

use std::time::Duration;

use anyhow::Context as _;
use ractor::{ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::Bench;
use super::report::{Begun, Bound, Row, median};
use crate::supervision::{
    Actor, ActorError, Address, Backoff, ChildSpec, Context, Reply, Strategy, SupervisorSpec, Tree,
};

const CASTS: u64 = 200_000;
const CALLS: u32 = 20_000;
const CRASHES: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(30);
const IN_PROCESS: &str = "";

enum Message {
    Count,
    Ask(Reply<u64>),
    Fail,
    Panic,
}

/// A supervised worker that counts.
struct Counter(u64);

impl Actor for Counter {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), ActorError> {
        match message {
            Message::Count => self.0 += 1,
            // Whoever asked waits for the answer until its patience ends.
            Message::Ask(reply) => drop(reply.send(self.0)),
            Message::Fail => return Err("told to fail".into()),
            Message::Panic => panic!("told to panic"),
        }
        Ok(())
    }
}

/// The same on plain ractor.
struct Plain {
    started: mpsc::UnboundedSender<Instant>,
}

impl ractor::Actor for Plain {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        self.started.send(Instant::now())?;
        Ok(0)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message>,
        message: Message,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Count => *count += 1,
            Message::Ask(reply) => drop(reply.send(*count)),
            Message::Fail | Message::Panic => return Err("told to fail".into()),
        }
        Ok(())
    }
}

/// The least that a supervisor can be: it spawns its child again, at once and always.
struct PlainSupervisor {
    started: mpsc::UnboundedSender<Instant>,
    children: mpsc::UnboundedSender<ActorRef<Message>>,
}

impl PlainSupervisor {
    async fn spawn(&self, myself: &ActorRef<()>) -> Result<(), ActorProcessingErr> {
        let child = Plain { started: self.started.clone() };
        let (child, _) = ractor::Actor::spawn_linked(None, child, (), myself.get_cell()).await?;
        Ok(self.children.send(child)?)
    }
}

impl ractor::Actor for PlainSupervisor {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        self.spawn(&myself).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(..) => self.spawn(&myself).await,
            _ => Ok(()),
        }
    }
}

/// Ours and the plain one, each with the times of its child's starts.
struct Pair {
    tree: Tree,
    ours: Address<Message>,
    our_starts: mpsc::UnboundedReceiver<Instant>,
    supervisor: ActorRef<()>,
    plain_starts: mpsc::UnboundedReceiver<Instant>,
    plain_children: mpsc::UnboundedReceiver<ActorRef<Message>>,
}

impl Pair {
    async fn start() -> anyhow::Result<Self> {
        let (started, our_starts) = mpsc::unbounded_channel();
        let (ours, spec) = ChildSpec::worker("counter", move |_: Context<Message>| {
            let started = started.clone();
            async move {
                started.send(Instant::now())?;
                Ok::<_, ActorError>(Counter(0))
            }
        });
        let spec = spec.backoff(Backoff::NONE).mailbox(CASTS as usize + 1);
        let root = SupervisorSpec::new("root", Strategy::OneForOne)
            .intensity(u32::MAX, Duration::from_secs(1))
            .child(spec);
        let tree = Tree::start(root).await.context("cannot start the tree")?;
        let (started, plain_starts) = mpsc::unbounded_channel();
        let (children, plain_children) = mpsc::unbounded_channel();
        let plain = PlainSupervisor { started, children };
        let (supervisor, _) = ractor::Actor::spawn(None, plain, ()).await?;
        let mut pair = Self { tree, ours, our_starts, supervisor, plain_starts, plain_children };
        next(&mut pair.our_starts).await?;
        next(&mut pair.plain_starts).await?;
        Ok(pair)
    }

    /// Milliseconds from each message to the start that follows it.
    async fn our_restarts(&mut self, message: impl Fn() -> Message) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::with_capacity(CRASHES);
        for _ in 0..CRASHES {
            let told = Instant::now();
            self.ours.try_send(message())?;
            times.push((next(&mut self.our_starts).await? - told).as_secs_f64() * 1_000.0);
            // Its start function has run; the next message shall find it open.
            while self.ours.try_send(Message::Count).is_err() {
                tokio::task::yield_now().await;
            }
        }
        Ok(times)
    }

    async fn plain_restarts(
        &mut self,
        mut child: ActorRef<Message>,
    ) -> anyhow::Result<(Vec<f64>, ActorRef<Message>)> {
        let mut times = Vec::with_capacity(CRASHES);
        for _ in 0..CRASHES {
            let told = Instant::now();
            child.cast(Message::Fail)?;
            times.push((next(&mut self.plain_starts).await? - told).as_secs_f64() * 1_000.0);
            child = next(&mut self.plain_children).await?;
        }
        Ok((times, child))
    }
}

async fn next<T>(news: &mut mpsc::UnboundedReceiver<T>) -> anyhow::Result<T> {
    timeout(PATIENCE, news.recv())
        .await
        .context("an actor did not start in time")?
        .context("an actor is gone")
}

/// Messages, questions and crashes, in turn with plain ractor.
pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let mut pair = Pair::start().await?;
    let mut plain = next(&mut pair.plain_children).await?;
    let (mut casts, mut plain_casts) = (Vec::new(), Vec::new());
    let (mut calls, mut plain_calls) = (Vec::new(), Vec::new());
    let (mut errors, mut panics, mut plain_errors) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.args.rounds {
        plain_casts.push(cast_plain(&plain).await?);
        casts.push(cast_ours(&pair.ours).await?);
        plain_calls.push(call_plain(&plain).await?);
        calls.push(call_ours(&pair.ours).await?);
        let times;
        (times, plain) = pair.plain_restarts(plain).await?;
        plain_errors.push(median(&times));
        errors.push(median(&pair.our_restarts(|| Message::Fail).await?));
        panics.push(median(&pair.our_restarts(|| Message::Panic).await?));
    }
    pair.supervisor.stop(None);
    pair.tree.shutdown(PATIENCE).await;
    let cast =
        Row::new("actor: message", IN_PROCESS, "/s", &casts, &begun).against("plain ractor", &plain_casts);
    let ratio = cast.ratio;
    let restart = |measure, times: &[f64]| {
        Row::new(measure, IN_PROCESS, "ms p50", times, &begun)
            .against("plain ractor, error", &plain_errors)
            .result_goal(Bound::AtMost(1.0))
    };
    Ok(vec![
        cast.goal("ratio to plain ractor", Bound::AtLeast(0.8), ratio),
        Row::new("actor: question and answer", IN_PROCESS, "/s", &calls, &begun)
            .against("plain ractor", &plain_calls),
        restart("actor: error to running again", &errors),
        restart("actor: panic to running again", &panics),
    ])
}

async fn cast_plain(plain: &ActorRef<Message>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for _ in 0..CASTS {
        plain.cast(Message::Count)?;
    }
    ask_plain(plain).await?;
    Ok(CASTS as f64 / begun.elapsed().as_secs_f64())
}

async fn cast_ours(ours: &Address<Message>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for _ in 0..CASTS {
        ours.try_send(Message::Count)?;
    }
    ours.call(Message::Ask, PATIENCE).await?;
    Ok(CASTS as f64 / begun.elapsed().as_secs_f64())
}

async fn ask_plain(plain: &ActorRef<Message>) -> anyhow::Result<u64> {
    let (reply, answer) = oneshot::channel();
    plain.cast(Message::Ask(reply))?;
    timeout(PATIENCE, answer).await?.context("plain ractor did not answer")
}

async fn call_plain(plain: &ActorRef<Message>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for _ in 0..CALLS {
        ask_plain(plain).await?;
    }
    Ok(f64::from(CALLS) / begun.elapsed().as_secs_f64())
}

async fn call_ours(ours: &Address<Message>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for _ in 0..CALLS {
        ours.call(Message::Ask, PATIENCE).await?;
    }
    Ok(f64::from(CALLS) / begun.elapsed().as_secs_f64())
}
