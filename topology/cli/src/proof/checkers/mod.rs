//! The checkers: each knows one law, trusts nobody's state but its own, and names what it saw.
//!
//! A checker is told every committed fact once ([`Checker::told`]), looks at the stores now and then in the storm
//! ([`Checker::look`]), and judges when all has come to rest ([`Checker::rest`]). What it is told costs little; what it
//! does at rest may read the whole log.

mod authority;
mod chain;
mod committed;
mod consent;
mod conservation;
mod floors;
mod holds;
mod laws;
mod limits;
mod outcomes;
mod read_your_writes;
mod recount;
mod replayed;
mod standing;
mod tail;
mod velocity;
mod views;
mod waits;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Result;
use tributary_flow::{Log, Registry};

use super::Violation;
use super::workload::Sent;
use crate::decode::Decoder;
use crate::load::plan::Draw;
use crate::verify::States;

pub use authority::Authority;
pub use chain::Chain;
pub use committed::Committed;
pub use consent::Consent;
pub use conservation::Conservation;
pub use floors::Floors;
pub use holds::Holds;
pub use laws::Laws;
pub use limits::Limits;
pub use outcomes::Outcomes;
pub use read_your_writes::ReadYourWrites;
pub use recount::Recount;
pub use replayed::Replayed;
pub use standing::Standing;
pub use tail::{Body, Tail, Told};
pub use velocity::Velocity;
pub use views::Views;
pub use waits::Waits;

/// What can be seen of a system from outside.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The committed log.
    pub log: &'a dyn Log,
    /// The stores that queries could read.
    pub states: &'a dyn States,
    /// What clients have sent.
    pub sent: &'a Sent,
    /// The schemas.
    pub registry: &'a Arc<dyn Registry>,
}

/// What a checker has to say.
#[derive(Debug, Default)]
pub struct Found(pub Vec<String>);

impl Found {
    /// Something wrong.
    pub fn wrong(&mut self, detail: impl Into<String>) {
        self.0.push(detail.into());
    }
}

/// Watches over one law.
pub trait Checker {
    /// Its name, as a violation gives it.
    fn name(&self) -> &'static str;

    /// A fact was committed.
    fn told(&mut self, _: &Told, _: &Sent, _: &mut Found) {}

    /// In the storm: looks at what chance picks, for the whole would cost too much.
    ///
    /// # Errors
    /// The log or a store cannot be read.
    fn look(&mut self, _: &Seen<'_>, _: &mut Draw, _: &mut Found) -> Result<()> {
        Ok(())
    }

    /// At rest: all that should have happened has.
    ///
    /// # Errors
    /// The log or a store cannot be read.
    fn rest(&mut self, _: &Seen<'_>, _: &mut Found) -> Result<()> {
        Ok(())
    }
}

/// What is known of a key, which is copied only where nothing was.
fn known<'a, T: Default>(all: &'a mut HashMap<String, T>, key: &str) -> &'a mut T {
    if !all.contains_key(key) {
        all.insert(key.to_owned(), T::default());
    }
    all.get_mut(key).expect("invariant: it was put there")
}

/// Every checker.
#[must_use]
pub fn all(partitions: u32) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(Conservation::default()),
        Box::new(Chain::default()),
        Box::new(Floors),
        Box::new(Holds::default()),
        Box::new(Waits),
        Box::new(Standing::default()),
        Box::new(Limits::default()),
        Box::new(Velocity::default()),
        Box::new(Authority),
        Box::new(Consent::default()),
        Box::new(Outcomes::default()),
        Box::new(ReadYourWrites::new(partitions)),
        Box::new(Committed::default()),
        Box::new(Views::default()),
        Box::new(Recount::default()),
        Box::new(Replayed),
        Box::new(Laws),
    ]
}

/// All checkers over one log.
pub struct Panel {
    tail: Tail,
    checkers: Vec<Box<dyn Checker>>,
    draw: Draw,
    outcomes: BTreeMap<String, u64>,
}

impl Panel {
    /// The checkers of a run; `seed` decides what they look at.
    #[must_use]
    pub fn new(checkers: Vec<Box<dyn Checker>>, seed: u64, partitions: u32, registry: &Arc<dyn Registry>) -> Self {
        let tail = Tail::new(Decoder::new(registry.clone()), partitions);
        Panel { tail, checkers, draw: Draw::new(seed ^ 0x6368_6563_6b65_7273), outcomes: BTreeMap::new() }
    }

    /// What became of commands and transactions so far, by kind.
    #[must_use]
    pub fn outcomes(&self) -> &BTreeMap<String, u64> {
        &self.outcomes
    }

    /// Reads on and looks; whatever is wrong.
    pub fn look(&mut self, seen: &Seen<'_>) -> Vec<Violation> {
        let wrong = self.read(seen);
        if !wrong.is_empty() {
            return wrong;
        }
        let Panel { checkers, draw, .. } = self;
        judge(checkers, |checker, found| checker.look(seen, draw, found))
    }

    /// Reads on and judges what has come to rest.
    pub fn rest(&mut self, seen: &Seen<'_>) -> Vec<Violation> {
        let wrong = self.read(seen);
        if !wrong.is_empty() {
            return wrong;
        }
        judge(&mut self.checkers, |checker, found| checker.rest(seen, found))
    }

    fn read(&mut self, seen: &Seen<'_>) -> Vec<Violation> {
        let Panel { tail, checkers, outcomes, .. } = self;
        let mut wrong = Vec::new();
        let read = tail.read(seen.log, |told| {
            if let Some(kind) = outcomes::kind(told) {
                *outcomes.entry(kind).or_default() += 1;
            }
            wrong.extend(judge(checkers, |checker, found| {
                checker.told(told, seen.sent, found);
                Ok(())
            }));
        });
        wrong.extend(read.err().map(|error| Violation { checker: "decodable", detail: format!("{error:#}") }));
        wrong
    }
}

/// What each checker finds wrong.
fn judge(
    checkers: &mut [Box<dyn Checker>],
    mut ask: impl FnMut(&mut dyn Checker, &mut Found) -> Result<()>,
) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for checker in checkers {
        let mut found = Found::default();
        if let Err(error) = ask(checker.as_mut(), &mut found) {
            found.wrong(format!("it cannot be told: {error:#}"));
        }
        wrong.extend(found.0.into_iter().map(|detail| Violation { checker: checker.name(), detail }));
    }
    wrong
}
