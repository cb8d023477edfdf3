//! Random trees under random failures: whatever happens in whatever order, the promises hold.
//!
//! A world of machines is played without actors: a start or a stop is answered when the dice say so, up children
//! fail at random, and operators interfere. Then the world calms down and must come to rest with all running.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::machine_steps::{permanent, policy};
use crate::supervision::machine::{
    ChildKey, ChildPolicy, Command, Event, Machine, Operation, Outcome, Tick, Ticket,
};
use crate::supervision::{Backoff, ExitClass, OnMeltdown, Strategy};

#[derive(Debug, Clone)]
enum Shape {
    Worker,
    Supervisor { strategy: Strategy, park: bool, children: Vec<Shape> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Starting,
    Up,
    Stopping,
}

/// One supervisor and what the world knows of its children.
struct House {
    machine: Machine,
    strategy: Strategy,
    shapes: Vec<Shape>,
    lives: HashMap<u32, (u64, Life)>,
    below: HashMap<u32, House>,
    ready: bool,
    finished: Option<Outcome>,
}

fn backoff() -> Backoff {
    Backoff {
        base: Duration::from_secs(1),
        factor: 2.0,
        cap: Duration::from_secs(8),
        jitter: 0.5,
        reset_after: Duration::from_secs(60),
    }
}

impl House {
    fn open(strategy: Strategy, park: bool, shapes: &[Shape], tick: Tick) -> Self {
        let on_meltdown = match park {
            true => OnMeltdown::Park { retry: backoff() },
            false => OnMeltdown::Escalate,
        };
        let children = shapes.iter().map(|_| ChildPolicy { backoff: backoff(), ..permanent() });
        let mut house = Self {
            machine: Machine::new(policy(strategy, on_meltdown, 2), children),
            strategy,
            shapes: shapes.to_vec(),
            lives: HashMap::new(),
            below: HashMap::new(),
            ready: false,
            finished: None,
        };
        house.feed(tick, Event::Open);
        house
    }

    fn feed(&mut self, tick: Tick, event: Event) {
        assert!(self.finished.is_none() || self.lives.is_empty());
        for command in self.machine.step(tick, event) {
            match command {
                Command::Start { key, generation } => self.start(tick, key, generation),
                Command::Stop { key, generation, .. } => self.stop(tick, key, generation),
                Command::Ready => {
                    assert!(!self.ready, "ready twice");
                    self.ready = true;
                }
                Command::Finish(outcome) => {
                    assert!(self.lives.is_empty(), "finished before its children");
                    self.finished = Some(outcome);
                }
                Command::Show { .. } | Command::Settle { .. } | Command::Forget { .. } => {}
            }
        }
    }

    fn start(&mut self, tick: Tick, key: ChildKey, generation: u64) {
        assert!(self.finished.is_none(), "started after the end");
        assert!(!self.lives.contains_key(&key.0), "started twice at once");
        if self.strategy != Strategy::OneForOne {
            assert!(
                self.lives.iter().all(|(_, (_, life))| *life == Life::Up),
                "started in a group that is not at rest"
            );
            let earlier = (0..key.0).all(|earlier| self.lives.contains_key(&earlier));
            assert!(earlier, "started before what it depends on");
            let later = self.lives.keys().all(|other| *other < key.0);
            assert!(later, "started after what depends on it");
        } else if !self.ready {
            let one = self.lives.values().all(|(_, life)| *life != Life::Starting);
            assert!(one, "two at once in the first start");
        }
        self.lives.insert(key.0, (generation, Life::Starting));
        if let Shape::Supervisor { strategy, park, children } = &self.shapes[key.0 as usize] {
            let house = House::open(*strategy, *park, children, tick);
            self.below.insert(key.0, house);
            self.look_below(tick, key.0);
        }
    }

    fn stop(&mut self, tick: Tick, key: ChildKey, generation: u64) {
        let (current, life) = self.lives[&key.0];
        assert_eq!(current, generation, "stopped a generation that is not there");
        assert!(life != Life::Stopping, "stopped twice");
        if self.strategy != Strategy::OneForOne {
            let later = |(other, (_, life)): (&u32, &(u64, Life))| *other != key.0 && *life == Life::Stopping;
            assert!(!self.lives.iter().any(later), "two stops at once in a group");
        }
        self.lives.insert(key.0, (generation, Life::Stopping));
        if let Some(house) = self.below.get_mut(&key.0)
            && house.finished.is_none()
        {
            house.feed(tick, Event::Close);
        }
    }

    /// Passes on what a supervisor below has come to.
    fn look_below(&mut self, tick: Tick, key: u32) {
        let Some(house) = self.below.get(&key) else { return };
        let (generation, life) = self.lives[&key];
        if let Some(outcome) = house.finished {
            let class = match outcome {
                Outcome::Closed | Outcome::AutoShutdown => ExitClass::Normal,
                Outcome::StartFailed(_) | Outcome::Meltdown(_) => ExitClass::Error,
            };
            self.below.remove(&key);
            self.lives.remove(&key);
            self.feed(tick, Event::Ended { key: ChildKey(key), generation, class });
        } else if house.ready && life == Life::Starting {
            self.lives.insert(key, (generation, Life::Up));
            self.feed(tick, Event::Started { key: ChildKey(key), generation });
        }
    }

    /// Lets something happen to one of the children, as the dice say.
    fn disturb(&mut self, tick: Tick, dice: Dice) {
        if self.finished.is_some() {
            return;
        }
        let key = u32::from(dice.child) % self.shapes.len() as u32;
        match self.lives.get(&key).copied() {
            _ if dice.operator => {
                self.operate(tick, key, dice);
            }
            Some(_) if self.below.contains_key(&key) => {
                let house = self.below.get_mut(&key).expect("it has just been seen");
                house.disturb(tick, dice.deeper());
                self.look_below(tick, key);
            }
            Some((generation, Life::Starting)) if !dice.fails => {
                self.lives.insert(key, (generation, Life::Up));
                self.feed(tick, Event::Started { key: ChildKey(key), generation });
            }
            Some((generation, life)) if dice.fails || life == Life::Stopping => {
                self.lives.remove(&key);
                let class = ExitClass::Panic;
                self.feed(tick, Event::Ended { key: ChildKey(key), generation, class });
            }
            _ => {}
        }
        self.wake(tick);
    }

    fn operate(&mut self, tick: Tick, key: u32, dice: Dice) {
        let operation = match dice.fails {
            true => Operation::Restart,
            false => Operation::Start,
        };
        self.feed(tick, Event::Control { key: ChildKey(key), operation, ticket: Ticket(0) });
    }

    fn wake(&mut self, tick: Tick) {
        if self.finished.is_none() {
            self.feed(tick, Event::Wake);
        }
        let keys: Vec<u32> = self.below.keys().copied().collect();
        for key in keys {
            if let Some(house) = self.below.get_mut(&key) {
                house.wake(tick);
                self.look_below(tick, key);
            }
        }
    }

    /// Lets every start go well and every stop end.
    fn calm(&mut self, tick: Tick) {
        for key in 0..self.shapes.len() as u32 {
            if self.finished.is_some() {
                return;
            }
            if let Some(house) = self.below.get_mut(&key) {
                house.calm(tick);
                self.look_below(tick, key);
            } else if let Some((generation, life)) = self.lives.get(&key).copied() {
                let key = ChildKey(key);
                match life {
                    Life::Up => {}
                    Life::Starting => {
                        self.lives.insert(key.0, (generation, Life::Up));
                        self.feed(tick, Event::Started { key, generation });
                    }
                    Life::Stopping => {
                        self.lives.remove(&key.0);
                        let class = ExitClass::Normal;
                        self.feed(tick, Event::Ended { key, generation, class });
                    }
                }
            }
        }
        self.wake(tick);
    }

    fn all_run(&self) -> bool {
        let all = self.lives.len() == self.shapes.len();
        let up = self.lives.values().all(|(_, life)| *life == Life::Up);
        all && up && self.ready && self.below.values().all(House::all_run)
    }
}

#[derive(Debug, Clone, Copy)]
struct Dice {
    child: u16,
    fails: bool,
    operator: bool,
    roll: f64,
    pause_ms: u64,
}

impl Dice {
    fn deeper(self) -> Self {
        Self { child: self.child.rotate_right(3), ..self }
    }
}

fn shapes() -> impl Generator<Value = Vec<Shape>> {
    let shape = Just(Shape::Worker).prop_recursive(3, 24, 4, |inner| {
        let strategy =
            prop_oneof![Just(Strategy::OneForOne), Just(Strategy::RestForOne), Just(Strategy::OneForAll)];
        (strategy, any::<bool>(), prop::collection::vec(inner, 1..5))
            .prop_map(|(strategy, park, children)| Shape::Supervisor { strategy, park, children })
    });
    prop::collection::vec(shape, 1..5)
}

fn dice() -> impl Generator<Value = Dice> {
    (any::<u16>(), prop::bool::weighted(0.4), prop::bool::weighted(0.1), 0.0..1.0f64, 0..3_000u64)
        .prop_map(|(child, fails, operator, roll, pause_ms)| Dice { child, fails, operator, roll, pause_ms })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_that_is_left_alone_ends_with_all_running(
        shapes in shapes(),
        strategy in prop_oneof![
            Just(Strategy::OneForOne),
            Just(Strategy::RestForOne),
            Just(Strategy::OneForAll)
        ],
        troubles in prop::collection::vec(dice(), 0..120),
    ) {
        let mut now = Duration::ZERO;
        let mut house = House::open(strategy, true, &shapes, Tick { now, roll: 0.5 });
        for trouble in troubles {
            now += Duration::from_millis(trouble.pause_ms);
            house.disturb(Tick { now, roll: trouble.roll }, trouble);
        }
        for _ in 0..500 {
            now += Duration::from_millis(500);
            house.calm(Tick { now, roll: 0.5 });
        }
        prop_assert!(house.finished.is_none(), "a parking root never ends by itself");
        prop_assert!(house.all_run());
    }

    #[test]
    fn a_tree_that_is_closed_amid_trouble_ends(
        shapes in shapes(),
        park in any::<bool>(),
        troubles in prop::collection::vec(dice(), 0..60),
        more in prop::collection::vec(dice(), 0..60),
    ) {
        let mut now = Duration::ZERO;
        let mut house =
            House::open(Strategy::RestForOne, park, &shapes, Tick { now, roll: 0.5 });
        for trouble in troubles {
            now += Duration::from_millis(trouble.pause_ms);
            house.disturb(Tick { now, roll: trouble.roll }, trouble);
        }
        if house.finished.is_none() {
            house.feed(Tick { now, roll: 0.5 }, Event::Close);
        }
        for trouble in more {
            house.disturb(Tick { now, roll: trouble.roll }, trouble);
        }
        for _ in 0..500 {
            house.calm(Tick { now, roll: 0.5 });
        }
        prop_assert!(house.finished.is_some());
    }
}
