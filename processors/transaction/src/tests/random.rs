//! Random interleavings: whatever the order in which votes, timers and commands meet, a transaction ends exactly once,
//! each command is answered exactly once, and each account that was asked hears its last exactly once.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use tributary_flow::testing::{Bench, kept};
use tributary_flow::{Effects, Timestamp};
use tributary_graph::transaction::{In, Out};
use tributary_schemas::risk::RiskDecision;
use tributary_schemas::transactions::{CreateTransaction, LegEvent, TransactionCommand, TransactionEvent};

use super::{T, assessed, cancel, create, held, post, post_all, posted, refused, review, void, voided};
use crate::{Status, Timer, TransactionProcessor};

const ACCOUNTS: [&str; 4] = ["alice", "bob", "carol", "world:EUR:00"];

/// The world around one transaction: accounts that answer their legs in order, risk that answers in any, and a clock.
struct World {
    bench: Bench<TransactionProcessor>,
    /// What each account has still to answer, in the order of its topic.
    legs: BTreeMap<String, VecDeque<LegEvent>>,
    risk: Vec<String>,
    timers: Vec<(Timer, Timestamp)>,
    answers: BTreeMap<String, u32>,
    ends: Vec<&'static str>,
    asked: BTreeMap<String, Book>,
    commands: u32,
}

/// What an account was told.
#[derive(Default, Debug)]
struct Book {
    lasts: u32,
    after_last: u32,
    posted: BTreeMap<i32, i128>,
}

impl World {
    fn new(command: CreateTransaction) -> Self {
        let mut bench = Bench::new(TransactionProcessor::default());
        bench.actor = Some("ines".into());
        let mut world = World {
            bench,
            legs: BTreeMap::new(),
            risk: Vec::new(),
            timers: Vec::new(),
            answers: BTreeMap::new(),
            ends: Vec::new(),
            asked: BTreeMap::new(),
            commands: 0,
        };
        world.command(TransactionCommand::CreateTransaction(command));
        world
    }

    fn command(&mut self, command: TransactionCommand) {
        self.commands += 1;
        self.bench.privileged = matches!(command, TransactionCommand::ReviewTransaction(_));
        self.bench.actor = Some(if self.bench.privileged { "rita" } else { "ines" }.into());
        let effects = self.bench.command(T, &format!("c{}", self.commands), In::Command(kept(command)));
        self.take(effects);
    }

    fn take(&mut self, effects: Effects<Out, Timer>) {
        for output in effects.outputs {
            if let Some(id) = output.answers {
                *self.answers.entry(id).or_default() += 1;
            }
            match output.body {
                Out::Event(TransactionEvent::TransactionCompleted(_)) => self.ends.push("completed"),
                Out::Event(TransactionEvent::TransactionFailed(_)) => self.ends.push("failed"),
                Out::Event(TransactionEvent::TransactionCancelled(_)) => self.ends.push("cancelled"),
                Out::Event(TransactionEvent::TransactionExpired(_)) => self.ends.push("expired"),
                Out::Event(_) => {}
                Out::Leg(leg) => self.leg(leg),
            }
        }
        for (timer, deadline) in effects.timers {
            self.timers.retain(|(set, _)| *set != timer);
            self.timers.extend(deadline.map(|deadline| (timer, deadline)));
        }
    }

    fn leg(&mut self, leg: LegEvent) {
        let account = tributary_flow::Body::key(&leg).to_owned();
        let book = self.asked.entry(account.clone()).or_default();
        book.after_last += u32::from(book.lasts > 0);
        match &leg {
            LegEvent::LegRequested(_) => self.risk.push(account.clone()),
            LegEvent::LegConfirmed(confirmed) => {
                book.lasts += u32::from(confirmed.r#final);
                for line in &confirmed.lines {
                    *book.posted.entry(line.line).or_default() += line.amount.amount.0;
                }
            }
            LegEvent::LegCancelled(_) => book.lasts += 1,
        }
        self.legs.entry(account).or_default().push_back(leg);
    }

    /// An account answers its next leg.
    fn account(&mut self, choice: usize, grants: bool) -> bool {
        let waiting: Vec<String> =
            self.legs.iter().filter(|(_, legs)| !legs.is_empty()).map(|(id, _)| id.clone()).collect();
        if waiting.is_empty() {
            return false;
        }
        let id = &waiting[choice % waiting.len()];
        let leg = self.legs.get_mut(id).and_then(VecDeque::pop_front).expect("a leg waits");
        let input = match leg {
            LegEvent::LegRequested(_) if grants => held(id),
            LegEvent::LegRequested(_) => refused(id, "insufficient_funds"),
            LegEvent::LegConfirmed(confirmed) => posted(id, confirmed.posting),
            LegEvent::LegCancelled(_) => voided(id),
        };
        let effects = self.bench.fact(T, input);
        self.take(effects);
        true
    }

    fn assess(&mut self, choice: usize, decision: RiskDecision) -> bool {
        if self.risk.is_empty() {
            return false;
        }
        let account = self.risk.remove(choice % self.risk.len());
        let effects = self.bench.fact(T, assessed(&account, decision));
        self.take(effects);
        true
    }

    /// Time passes to the next deadline.
    fn fire(&mut self) -> bool {
        let Some(next) = (0..self.timers.len()).min_by_key(|at| self.timers[*at].1) else { return false };
        let (timer, deadline) = self.timers.remove(next);
        self.bench.now = self.bench.now.max(deadline);
        let effects = self.bench.timer(T, timer);
        self.take(effects);
        true
    }

    fn act(&mut self, (kind, choice): (u8, u8)) {
        let choice = usize::from(choice);
        match kind {
            0..40 => {
                self.account(choice, true);
            }
            40..44 => {
                self.account(choice, false);
            }
            44..64 => {
                self.assess(choice, RiskDecision::Approve);
            }
            64..70 => {
                self.assess(choice, RiskDecision::Review);
            }
            70..72 => {
                self.assess(choice, RiskDecision::Decline);
            }
            72..75 => {
                self.fire();
            }
            75..78 => self.command(cancel()),
            78..80 => self.command(void()),
            80..84 => self.command(post_all()),
            84..92 => self.command(post(&[(0, "1"), (1, "1")], choice.is_multiple_of(4))),
            92..94 => self.command(post(&[(0, "5"), (1, "5")], false)),
            94..97 => self.command(review(!choice.is_multiple_of(4))),
            _ => self.bench.now = self.bench.now.plus(1),
        }
    }

    /// Everything that waits is answered, and then time passes, until nothing is left to happen.
    fn settle(&mut self) {
        while self.account(0, true) || self.assess(0, RiskDecision::Approve) || self.fire() {}
    }
}

fn given(shape: u8, two_phase: bool) -> CreateTransaction {
    let legs: &[&str] = match shape {
        0 => &["alice DEBIT 5 EUR", "bob CREDIT 5 EUR"],
        1 => &["alice DEBIT 5 EUR", "world:EUR:00 CREDIT 5 EUR"],
        2 => &["alice DEBIT 5 EUR", "bob CREDIT 5 EUR", "carol DEBIT 3 EUR", "world:EUR:00 CREDIT 3 EUR"],
        _ => &["alice DEBIT 5 EUR", "bob CREDIT 5 EUR", "bob DEBIT 2 EUR", "carol CREDIT 1 EUR", "alice CREDIT 1 EUR"],
    };
    CreateTransaction { two_phase, ..create(legs) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_it_ends_once_answers_each_command_once_and_tells_each_account_its_last_once(
        shape in 0_u8..4,
        two_phase: bool,
        acts in prop::collection::vec((0_u8..100, any::<u8>()), 0..40),
    ) {
        let command = given(shape, two_phase);
        let mut world = World::new(command.clone());
        for act in acts {
            world.act(act);
        }
        world.settle();
        world.command(cancel());

        prop_assert_eq!(world.ends.len(), 1);
        prop_assert_eq!(crate::status(world.bench.reader(), T).map(Status::name), Some(world.ends[0]));
        let once: BTreeMap<String, u32> = (1..=world.commands).map(|n| (format!("c{n}"), 1)).collect();
        prop_assert_eq!(&world.answers, &once);
        prop_assert!(world.timers.is_empty());

        let mut net = 0;
        for account in ACCOUNTS {
            let Some(book) = world.asked.get(account) else { continue };
            let ordinary = !account.contains(':');
            prop_assert_eq!(book.after_last, 0, "{}", account);
            prop_assert!(if ordinary { book.lasts == 1 } else { book.lasts <= 1 }, "{}: {:?}", account, book);
            for (line, amount) in &book.posted {
                let leg = &command.legs[*line as usize];
                prop_assert!(*amount <= leg.amount.amount.0);
                net += if leg.side == tributary_schemas::Side::Debit { *amount } else { -*amount };
            }
        }
        prop_assert_eq!(net, 0);
        let posted_any = world.asked.values().any(|book| !book.posted.is_empty());
        prop_assert_eq!(posted_any, world.ends[0] == "completed");
    }
}
