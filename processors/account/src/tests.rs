//! Given / when / expect.

mod commands;
mod laws;
mod legs;

use tributary_flow::processor::Output;
use tributary_flow::testing::{Bench, kept};
use tributary_graph::account::{In, Out};
use tributary_schemas::accounts::*;
use tributary_schemas::ledger::{Entry, EntryPosted};
use tributary_schemas::transactions::*;
use tributary_schemas::{AccountId, AccountKind, Amount, Currency, Money, Reason, Side, TransactionId};

use crate::{Account, AccountProcessor};

const EUR: Currency = Currency::of("EUR");

fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn tx(text: &str) -> TransactionId {
    text.parse().unwrap()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn line(number: i32, side: Side, text: &str) -> LegLine {
    LegLine { line: number, side, amount: Money::of(amount(text), EUR) }
}

/// A bench with commands and legs for one account, and short words for what came of them.
struct Given {
    bench: Bench<AccountProcessor>,
    account: &'static str,
    entries: Vec<EntryPosted>,
    commands: u32,
}

impl Given {
    fn nothing() -> Self {
        Given { bench: Bench::new(AccountProcessor), account: "alice", entries: Vec::new(), commands: 0 }
    }

    /// An open account of this kind with this balance.
    fn account(kind: AccountKind, balance: &str) -> Self {
        let mut given = Given::nothing();
        given.privileged(OpenAccount::new(id("alice"), kind, EUR));
        if balance != "0" {
            given.request("seed", vec![line(0, kind.normal_side(), balance)]);
            given.confirm("seed", 1, vec![line(0, kind.normal_side(), balance)], true);
        }
        given
    }

    fn wallet(balance: &str) -> Self {
        Self::account(AccountKind::Liability, balance)
    }

    fn command(&mut self, command: impl Into<AccountCommand>) -> AccountEvent {
        self.commands += 1;
        let command_id = format!("c{}", self.commands);
        let effects = self.bench.command(self.account, &command_id, In::Command(kept(command)));
        match <[_; 1]>::try_from(effects.outputs).unwrap() {
            [Output { body: Out::Event(event), answers: Some(answers) }] if answers == command_id => event,
            other => panic!("a command has one answer, not {other:?}"),
        }
    }

    fn privileged(&mut self, command: impl Into<AccountCommand>) -> AccountEvent {
        self.bench.privileged = true;
        let event = self.command(command);
        self.bench.privileged = false;
        event
    }

    /// The one vote that a leg brings; its entries are kept.
    fn leg(&mut self, leg: impl Into<LegEvent>) -> Vote {
        let effects = self.bench.fact(self.account, In::Leg(kept(leg)));
        let mut votes = Vec::new();
        for output in effects.outputs {
            assert_eq!(output.answers, None);
            match output.body {
                Out::Vote(vote) => votes.push(vote),
                Out::Entry(Entry::EntryPosted(entry)) => self.entries.push(entry),
                Out::Event(_) => {}
            }
        }
        <[_; 1]>::try_from(votes).map(|[vote]| vote).unwrap()
    }

    fn request(&mut self, transaction: &str, lines: Vec<LegLine>) -> Vote {
        let (transaction_id, account_id) = (tx(transaction), id(self.account));
        self.leg(LegRequested { transaction_id, account_id, lines, counterparties: vec![id("bob")] })
    }

    fn confirm(&mut self, transaction: &str, posting: i32, lines: Vec<LegLine>, last: bool) -> Vote {
        self.leg(LegConfirmed {
            transaction_id: tx(transaction),
            account_id: id(self.account),
            posting,
            lines,
            booked_at: self.bench.now,
            value_date: self.bench.now.date(),
            r#final: last,
        })
    }

    fn cancel(&mut self, transaction: &str) -> Amount {
        let reason = Reason::new("deadline", "transaction");
        let leg = LegCancelled { transaction_id: tx(transaction), account_id: id(self.account), reason };
        match self.leg(leg) {
            Vote::LegVoided(voided) => voided.released,
            other => panic!("a cancelled leg is voided, not {other:?}"),
        }
    }

    fn head(&self) -> Account {
        self.bench.reader().head(self.account).unwrap()
    }

    fn figures(&self) -> String {
        let head = self.head();
        format!(
            "balance {} held {} reserved {} legs {} today {}",
            head.balance, head.held, head.reserved, head.open_legs, head.used.in_day
        )
    }
}

fn codes(vote: &Vote) -> Vec<&str> {
    match vote {
        Vote::LegRefused(refused) => refused.reasons.iter().map(|reason| reason.code.as_str()).collect(),
        Vote::LegHeld(_) => vec!["held"],
        other => panic!("{other:?} is no answer to a request"),
    }
}

fn update() -> UpdateAccount {
    UpdateAccount::new(id("alice"))
}

fn freeze() -> FreezeAccount {
    FreezeAccount::new(id("alice"))
}

fn close() -> CloseAccount {
    CloseAccount::new(id("alice"))
}
