//! The workload: everything that clients do to the system, well-behaved and otherwise, all from one seed. What it does
//! next depends on the seed, on what it did before and on the clock it is given, never on how much is still to come: a
//! shorter workload of the same seed is a prefix of a longer one, which is how a failure is cut down.
//!
//! It keeps book of what it sent ([`Sent`]). What becomes of it is not the workload's to know: a payment may be refused,
//! a deadline may lapse because everything was down, and any outcome that the laws allow is right, exactly one each.

mod accounts;
mod follow_ups;
mod mischief;
mod payments;
mod sent;

use std::collections::VecDeque;
use std::sync::Arc;

use tributary_flow::time::{DAY, SECOND};
use tributary_flow::{CommandHeader, Place, Registry, Timestamp, TopicRef};
use tributary_query_api::Command;
use tributary_query_api::command::CommandBody;
use tributary_schemas::AccountId;

pub use sent::{Identity, Request, Sent};

use super::versions;
use crate::load::plan::Draw;
use accounts::Account;
use payments::Held;

/// How long nothing that a workload asks for lasts: no hold and no review of its goes on for longer.
pub const LONGEST: i64 = 8 * DAY;

/// What happens next.
#[derive(Clone, Debug)]
pub enum Act {
    /// A client sends a command.
    Send {
        /// Its door.
        topic: TopicRef,
        /// Its key.
        key: String,
        /// Framed.
        value: Vec<u8>,
    },
    /// Somebody writes a record as no well-behaved client does.
    Write {
        /// Its topic.
        topic: TopicRef,
        /// Whichever.
        partition: u32,
        /// The record.
        record: (Option<Vec<u8>>, Option<Vec<u8>>),
        /// Whether it is a command all the same, at the wrong partition.
        command: bool,
    },
    /// The clock moves on by so many microseconds.
    Pass(i64),
    /// The system is left to itself for so many turns.
    Run(u32),
}

/// A workload under way.
pub struct Workload {
    draw: Draw,
    registry: Arc<dyn Registry>,
    partitions: u32,
    now: Timestamp,
    numbered: u64,
    accounts: Vec<Account>,
    /// Transactions that may still be waiting for a command.
    held: Vec<Held>,
    /// Accounts that are frozen or blocked, and with what it is lifted.
    lifts: Vec<(AccountId, accounts::Lift)>,
    /// Commands that may be sent once more.
    past: Vec<(Command, CommandHeader)>,
    next: VecDeque<Act>,
    sent: Sent,
}

impl Workload {
    /// The workload of a seed, for topics of so many partitions.
    #[must_use]
    pub fn new(seed: u64, partitions: u32, registry: Arc<dyn Registry>) -> Self {
        Workload {
            draw: Draw::new(seed ^ 0x776f_726b_6c6f_6164),
            registry,
            partitions,
            now: Timestamp::default(),
            numbered: 0,
            accounts: Vec::new(),
            held: Vec::new(),
            lifts: Vec::new(),
            past: Vec::new(),
            // Time to find each other.
            next: VecDeque::from([Act::Run(4_000)]),
            sent: Sent::default(),
        }
    }

    /// What was sent so far.
    #[must_use]
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Whether so many payments were sent, and all of the step that counted the last of them was done: a step is counted
    /// when it is decided, before the first of its acts.
    #[must_use]
    pub fn has_sent(&self, payments: u32) -> bool {
        self.sent.payments >= payments && self.next.is_empty()
    }

    /// What happens next, at `now`.
    pub fn act(&mut self, now: Timestamp) -> Act {
        self.now = now;
        loop {
            if let Some(act) = self.next.pop_front() {
                return act;
            }
            self.step();
            self.pause();
        }
    }

    /// Where a record that the last act wrote lies.
    pub fn written(&mut self, act: &Act, place: Place) {
        self.sent.records += 1;
        if matches!(act, Act::Write { command: false, .. }) {
            self.sent.garbage(place);
        }
    }

    fn step(&mut self) {
        if self.accounts.len() < accounts::AT_FIRST {
            return self.open_account();
        }
        match self.draw.below(1_000) {
            0..=329 => self.transfer(),
            330..=429 => self.deposit(),
            430..=459 => self.withdraw(),
            460..=529 => self.several_legs(),
            530..=619 => self.hold(),
            620..=639 => self.overdraft(),
            640..=669 => self.suspicious(),
            670..=694 => self.unpayable(),
            695..=854 => self.follow_up(),
            855..=869 => self.restrict(),
            870..=889 => self.lift(),
            890..=904 => self.terms(),
            905..=911 => self.open_account(),
            912..=916 => self.close_account(),
            917..=946 => self.duplicate(),
            947..=966 => self.conflict(),
            967..=981 => self.misroute(),
            982..=986 => self.stale(),
            _ => self.garbage(),
        }
    }

    /// What lies between two steps: mostly a few turns and some milliseconds; now and then a burst, a rest, or a time in
    /// which deadlines pass, which mostly finds all at rest.
    fn pause(&mut self) {
        let turns = match self.draw.below(100) {
            0..=29 => 0,
            30..=94 => 1 + self.draw.below(60),
            _ => 200 + self.draw.below(1_000),
        };
        self.next.push_back(Act::Run(turns as u32));
        let seconds = match self.draw.below(1_000) {
            0..=992 => return self.next.push_back(Act::Pass(self.draw.below(40_000) as i64)),
            993..=997 => 20,
            998 => 3 * 3_600,
            _ => 86_400 / 2,
        };
        if self.chance(75) {
            self.next.push_back(Act::Run(3_000));
        }
        self.next.push_back(Act::Pass(self.draw.below(seconds) as i64 * SECOND));
    }

    /// A new name.
    fn name(&mut self, what: &str) -> String {
        self.numbered += 1;
        format!("{what}-{}", self.numbered)
    }

    /// Sends a new command.
    fn send(&mut self, topic: TopicRef, body: CommandBody, actor: Option<&str>) {
        let id = self.name("c");
        let header = CommandHeader { time: self.now, actor: actor.map(str::to_owned), ..CommandHeader::default() };
        self.put(Command { topic, id, body }, header);
    }

    /// Sends a command, new or not.
    fn put(&mut self, command: Command, header: CommandHeader) {
        let value = self.written_by_some(&command, header.clone());
        self.next.push_back(Act::Send { topic: command.topic, key: command.body.key().to_owned(), value });
        self.remember(command, header);
    }

    /// A command as a client writes it: every other one was upgraded before some of those who read it.
    fn written_by_some(&mut self, command: &Command, header: CommandHeader) -> Vec<u8> {
        let value = command.encode(self.registry.as_ref(), header);
        if self.chance(50) { versions::newer(command.topic.schema, &value) } else { value }
    }

    fn remember(&mut self, command: Command, header: CommandHeader) {
        const MOST: usize = 400;
        self.sent.command(&command, header.actor.as_deref());
        if self.past.len() == MOST {
            let forgotten = self.draw.below(MOST as u64) as usize;
            self.past.swap_remove(forgotten);
        }
        self.past.push((command, header));
    }

    /// True in `parts` of a hundred cases.
    fn chance(&mut self, parts: u64) -> bool {
        self.draw.below(100) < parts
    }

    /// One of so many.
    fn pick(&mut self, many: usize) -> usize {
        self.draw.below(many.max(1) as u64) as usize
    }
}
