//! What is heard of the service: its answers, its refusals, its silence.
//!
//! **Owns** nothing. **Fails** never.

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::state::{Act, Pane};
use crate::proto::boleto::v1::{Boleto, GetBoletoHistoryResponse};
use crate::proto::control::v1::{GetInfoResponse, Node, OpenBreaker, Queue, Schedule, Work};
use crate::proto::transfer::v1::{Transfer, TransferChange};

/// Something that the screen may have to show.
#[derive(Debug)]
pub enum News {
    Read(Reading),
    /// The service is there and does not tell this.
    Refused(Pane, String),
    /// Nor more of what is wanted.
    Untold(Wanted, String),
    /// Nobody answers.
    Lost {
        why: String,
        at: DateTime<Utc>,
    },
    /// What came of a wish.
    Steered(String),
}

/// An answer.
#[derive(Debug)]
pub enum Reading {
    House(GetInfoResponse),
    /// Boxed, for it is much larger than the others.
    Tree(Box<Node>),
    Breakers(Vec<OpenBreaker>),
    Queues {
        queues: Vec<Queue>,
        has_more: bool,
        at: Instant,
    },
    Timetable(Vec<Schedule>),
    /// Dead letters first, then what is tried again.
    Failing {
        work: Vec<Work>,
        /// Whether there are more dead letters than these.
        dead_has_more: bool,
        /// Whether there is more of either.
        has_more: bool,
    },
    Boletos {
        boletos: Vec<Boleto>,
        has_more: bool,
    },
    Transfers {
        transfers: Vec<Transfer>,
        has_more: bool,
    },
    /// One boleto, and what happened to it.
    Boleto(Box<Boleto>, GetBoletoHistoryResponse),
    /// One transfer, and what happened to it.
    Transfer(Box<Transfer>, Vec<TransferChange>),
}

/// Of what the screen wants to show more than its list tells, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Boleto(String),
    Transfer(String),
}

/// Something that somebody at the screen wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub act: Act,
    pub work_id: String,
    pub reason: String,
}
