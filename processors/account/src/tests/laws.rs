//! The laws of an account, over random histories: a plain model keeps every hold and every consumption, and after each
//! step the state must say the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tributary_flow::time::DAY;
use tributary_flow::{Date, Page, Timestamp};
use tributary_schemas::accounts::{UpdateAccount, Vote};
use tributary_schemas::transactions::LegLine;
use tributary_schemas::{AccountKind, Amount, Hash, Money, Side};

use super::{EUR, Given, amount, id};
use crate::{OPEN_LEGS, entry_hash};

const FLOOR: &str = "25";

/// Something that happens to the account. Indices pick among the transactions so far.
#[derive(Clone, Debug)]
enum Act {
    Request(Vec<(Side, u32)>),
    /// Of each line this many hundredths of what remains.
    Confirm {
        which: usize,
        percent: u32,
        last: bool,
    },
    Cancel {
        which: usize,
    },
    Hours(u16),
}

fn act() -> impl Strategy<Value = Act> {
    let side = prop_oneof![Just(Side::Debit), Just(Side::Credit)];
    let lines = prop::collection::vec((side, 1_u32..6_000), 1..4);
    prop_oneof![
        4 => lines.prop_map(Act::Request),
        4 => (any::<usize>(), 0_u32..=100, any::<bool>())
            .prop_map(|(which, percent, last)| Act::Confirm { which, percent, last }),
        2 => any::<usize>().prop_map(|which| Act::Cancel { which }),
        1 => (1_u16..400).prop_map(Act::Hours),
    ]
}

/// What is open of a transaction: its lines with what remains, and the day of the hold.
struct Hold {
    day: Date,
    lines: Vec<LegLine>,
}

struct Model {
    given: Given,
    kind: AccountKind,
    asked: usize,
    holds: BTreeMap<String, Hold>,
    used: BTreeMap<Date, i128>,
}

impl Model {
    fn new(kind: AccountKind) -> Self {
        let mut given = Given::account(kind, "100");
        let limits = (Some(amount("150")), Some(amount("400")));
        given.privileged(UpdateAccount {
            floor: Some(amount(FLOOR)),
            daily_limit: limits.0,
            monthly_limit: limits.1,
            ..UpdateAccount::new(id("alice"))
        });
        Model { given, kind, asked: 0, holds: BTreeMap::new(), used: BTreeMap::new() }
    }

    fn left(&self, hold: &Hold, lowers: bool) -> i128 {
        let lines = hold.lines.iter().filter(|line| (line.side != self.kind.normal_side()) == lowers);
        lines.map(|line| line.amount.amount.0).sum()
    }

    fn end(&mut self, name: &str) -> i128 {
        let hold = self.holds.remove(name).unwrap();
        let left = self.left(&hold, true);
        *self.used.entry(hold.day).or_default() -= left;
        left
    }

    fn pick(&self, which: usize) -> Option<String> {
        (!self.holds.is_empty()).then(|| self.holds.keys().nth(which % self.holds.len()).unwrap().clone())
    }

    fn request(&mut self, lines: &[(Side, u32)]) {
        let name = format!("t{:04}", self.asked);
        self.asked += 1;
        let cents = |cents: u32| Money::of(Amount(i128::from(cents) * 100), EUR);
        let lines = lines.iter().zip(0..).map(|(&(side, n), line)| LegLine { line, side, amount: cents(n) });
        let hold = Hold { day: self.given.bench.now.date(), lines: lines.collect() };
        let head = self.given.head();
        let needed = self.left(&hold, true);
        let in_month: i128 = self.in_month(hold.day);
        let in_day = self.used.get(&hold.day).copied().unwrap_or(0);
        let limits = (head.daily_limit.unwrap().0, head.monthly_limit.unwrap().0);
        let fits = needed == 0
            || head.available().0 - needed >= -head.floor.0
                && in_day + needed <= limits.0
                && in_month + needed <= limits.1;
        match self.given.request(&name, hold.lines.clone()) {
            Vote::LegHeld(held) => {
                assert!(fits, "a leg was granted that does not fit");
                assert_eq!((held.held.0, held.reserved.0), (needed, self.left(&hold, false)));
                *self.used.entry(hold.day).or_default() += needed;
                self.holds.insert(name, hold);
            }
            Vote::LegRefused(refused) => assert!(!fits && !refused.reasons.is_empty(), "a leg was refused that fits"),
            other => panic!("{other:?} is no answer to a request"),
        }
    }

    fn confirm(&mut self, name: &str, percent: u32, last: bool) {
        let hold = self.holds.get_mut(name).unwrap();
        let mut posted = Vec::new();
        for line in &mut hold.lines {
            // Whole cents, rounded down: zero is not a post.
            let part = line.amount.amount.0 * i128::from(percent) / 100 / 100 * 100;
            if part > 0 {
                line.amount.amount.0 -= part;
                posted.push(LegLine { amount: Money::of(Amount(part), EUR), ..line.clone() });
            }
        }
        let spent = hold.lines.iter().all(|line| line.amount.amount.is_zero());
        let count = posted.len();
        match self.given.confirm(name, 1, posted, last) {
            Vote::LegPosted(vote) => assert_eq!(vote.entries.len(), count),
            other => panic!("{other:?} is no answer to a confirmation"),
        }
        if last || spent {
            self.end(name);
        }
    }

    fn in_month(&self, day: Date) -> i128 {
        let same = self.used.iter().filter(|(other, _)| other.year_month() == day.year_month());
        same.map(|(_, used)| used).sum()
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Request(lines) => self.request(lines),
            Act::Confirm { which, percent, last } => {
                if let Some(name) = self.pick(*which) {
                    self.confirm(&name, *percent, *last);
                }
            }
            Act::Cancel { which } => {
                if let Some(name) = self.pick(*which) {
                    let left = self.end(&name);
                    assert_eq!(self.given.cancel(&name).0, left);
                }
            }
            Act::Hours(hours) => {
                self.given.bench.now = Timestamp(self.given.bench.now.0 + i64::from(*hours) * DAY / 24)
            }
        }
    }

    fn check(&self) {
        let head = self.given.head();
        assert!(head.available() >= -head.floor, "below the floor");

        let rows = self.given.bench.reader().rows("alice", &OPEN_LEGS, Page::all());
        let left = |of: bool| rows.iter().map(|(_, leg)| leg.left(|side| head.lowers(side) == of).0).sum::<i128>();
        assert_eq!(
            (head.held.0, head.reserved.0),
            (left(true), left(false)),
            "held and reserved are what the rows say"
        );
        let ours = |of: bool| self.holds.values().map(|hold| self.left(hold, of)).sum::<i128>();
        assert_eq!((head.held.0, head.reserved.0), (ours(true), ours(false)), "held and reserved are what is open");
        assert_eq!((head.open_legs, rows.len()), (self.holds.len() as u64, self.holds.len()));

        let day = head.used.day;
        let in_day = self.used.get(&day).copied().unwrap_or(0);
        assert_eq!((head.used.in_day.0, head.used.in_month.0), (in_day, self.in_month(day)), "limits' use");

        let (mut balance, mut hash) = (0, Hash::ZERO);
        for (entry, sequence) in self.given.entries.iter().zip(1..) {
            let raises = entry.side == head.kind.normal_side();
            balance += if raises { entry.amount.amount.0 } else { -entry.amount.amount.0 };
            assert_eq!((entry.sequence, entry.balance.0, entry.previous_hash), (sequence, balance, hash));
            assert_eq!(entry_hash(entry), entry.hash);
            hash = entry.hash;
        }
        assert_eq!((head.balance.0, head.last_hash), (balance, hash));
        assert_eq!(head.sequence, self.given.entries.len() as i64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn an_account_keeps_its_laws_through_any_history(
        kind in prop::sample::select(AccountKind::ALL.to_vec()),
        acts in prop::collection::vec(act(), 1..80),
    ) {
        let mut model = Model::new(kind);
        for act in &acts {
            model.act(act);
            model.check();
        }
        // Every hold ends; nothing is left of any.
        while let Some(name) = model.pick(0) {
            let left = model.end(&name);
            assert_eq!(model.given.cancel(&name).0, left);
            model.check();
        }
        prop_assert!(model.given.head().held.is_zero() && model.given.head().reserved.is_zero());
    }
}
