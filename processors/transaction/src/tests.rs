//! Given a history of inputs, when one more comes in, expect these effects. Effects are compared as lines of text: what
//! is told, to whom, and `!id` where it answers a command.

mod commands;
mod legs;
mod random;
mod voting;

use tributary_flow::testing::{Bench, kept};
use tributary_flow::{Body, Effects, Timestamp};
use tributary_graph::transaction::{In, Out};
use tributary_schemas::accounts::{LegHeld, LegPosted, LegRefused, LegVoided, Vote};
use tributary_schemas::risk::{RiskAssessed, RiskDecision, RiskEvent};
use tributary_schemas::transactions::{
    CancelTransaction, CreateTransaction, Leg, LegEvent, PostLine, PostTransaction, ReviewTransaction,
    TransactionCommand, TransactionEvent, VoidTransaction,
};
use tributary_schemas::{AccountKind, Amount, Money, Reason, Side, TransactionId};

use crate::{Timer, TransactionProcessor};

const T: &str = "t";

fn tx() -> TransactionId {
    T.parse().expect("an id")
}

/// A leg as `alice DEBIT 10.00 EUR`.
fn leg(text: &str) -> Leg {
    let parts: Vec<&str> = text.split(' ').collect();
    let side = if parts[1] == "DEBIT" { Side::Debit } else { Side::Credit };
    let amount = Money::of(parts[2].parse().expect("an amount"), parts[3].parse().expect("a currency"));
    Leg { account_id: parts[0].parse().expect("an account"), side, amount }
}

fn create(legs: &[&str]) -> CreateTransaction {
    CreateTransaction::new(tx(), legs.iter().map(|text| leg(text)).collect())
}

/// Alice pays Bob 10 euros.
fn payment() -> CreateTransaction {
    create(&["alice DEBIT 10 EUR", "bob CREDIT 10 EUR"])
}

fn two_phase() -> CreateTransaction {
    CreateTransaction { two_phase: true, ..payment() }
}

fn post(amounts: &[(i32, &str)], last: bool) -> TransactionCommand {
    let line = |(line, amount): &(i32, &str)| PostLine { line: *line, amount: amount.parse().expect("an amount") };
    let amounts = Some(amounts.iter().map(line).collect());
    TransactionCommand::PostTransaction(PostTransaction { amounts, r#final: last, ..PostTransaction::new(tx()) })
}

fn post_all() -> TransactionCommand {
    TransactionCommand::PostTransaction(PostTransaction::new(tx()))
}

fn cancel() -> TransactionCommand {
    TransactionCommand::CancelTransaction(CancelTransaction { reason: "changed my mind".into(), transaction_id: tx() })
}

fn void() -> TransactionCommand {
    TransactionCommand::VoidTransaction(VoidTransaction::new(tx()))
}

fn review(approve: bool) -> TransactionCommand {
    TransactionCommand::ReviewTransaction(ReviewTransaction {
        reason: "seen".into(),
        ..ReviewTransaction::new(tx(), approve)
    })
}

fn held(account: &str) -> In<'static> {
    let account_id = account.parse().expect("an account");
    In::Vote(kept(Vote::LegHeld(LegHeld {
        transaction_id: tx(),
        account_id,
        held: Amount::ZERO,
        reserved: Amount::ZERO,
    })))
}

fn refused(account: &str, code: &str) -> In<'static> {
    let account_id = account.parse().expect("an account");
    let reasons = vec![Reason { subject: Some(account.into()), ..Reason::new(code, "account") }];
    In::Vote(kept(Vote::LegRefused(LegRefused { transaction_id: tx(), account_id, reasons })))
}

fn posted(account: &str, posting: i32) -> In<'static> {
    let (account_id, kind) = (account.parse().expect("an account"), AccountKind::Liability);
    let posted = LegPosted { transaction_id: tx(), account_id, posting, kind, entries: Vec::new(), r#final: true };
    In::Vote(kept(Vote::LegPosted(posted)))
}

fn voided(account: &str) -> In<'static> {
    let account_id = account.parse().expect("an account");
    In::Vote(kept(Vote::LegVoided(LegVoided { transaction_id: tx(), account_id, released: Amount::ZERO })))
}

fn assessed(account: &str, decision: RiskDecision) -> In<'static> {
    let (score, code) = match decision {
        RiskDecision::Approve => (5, "small"),
        RiskDecision::Review => (60, "new_payee"),
        RiskDecision::Decline => (100, "blocked_party"),
    };
    In::Risk(kept(RiskEvent::RiskAssessed(RiskAssessed {
        transaction_id: tx(),
        account_id: account.parse().expect("an account"),
        decision,
        score,
        reasons: vec![Reason { subject: Some(account.into()), ..Reason::new(code, "risk") }],
        rules_version: "1".into(),
    })))
}

fn approved(account: &str) -> In<'static> {
    assessed(account, RiskDecision::Approve)
}

/// One transaction on a bench.
struct Case {
    bench: Bench<TransactionProcessor>,
    commands: u32,
}

impl Case {
    fn new() -> Self {
        Case { bench: Bench::new(TransactionProcessor::default()), commands: 0 }
    }

    /// A transaction that was created; the command has the id `c1`.
    fn of(create: CreateTransaction) -> Self {
        let mut case = Case::new();
        case.bench.actor = Some("ines".into());
        case.command(TransactionCommand::CreateTransaction(create));
        case
    }

    /// The payment from Alice to Bob, with all votes in.
    fn voted(create: CreateTransaction) -> Self {
        let mut case = Case::of(create);
        for input in [held("alice"), held("bob"), approved("alice"), approved("bob")] {
            case.fact(input);
        }
        case
    }

    /// The payment on hold.
    fn on_hold(create: CreateTransaction) -> Self {
        let mut case = Case::of(create);
        for input in [held("alice"), held("bob"), assessed("alice", RiskDecision::Review), approved("bob")] {
            case.fact(input);
        }
        case
    }

    /// The next command, `c1` and up.
    fn command(&mut self, command: TransactionCommand) -> Vec<String> {
        self.commands += 1;
        lines(&self.bench.command(T, &format!("c{}", self.commands), In::Command(kept(command))))
    }

    fn fact(&mut self, input: In<'static>) -> Vec<String> {
        lines(&self.bench.fact(T, input))
    }

    fn timer(&mut self, timer: Timer) -> Vec<String> {
        lines(&self.bench.timer(T, timer))
    }

    /// A review by `actor` through the privileged door.
    fn review(&mut self, actor: Option<&str>, approve: bool) -> Vec<String> {
        self.bench.privileged = true;
        self.bench.actor = actor.map(str::to_owned);
        let told = self.command(review(approve));
        self.bench.privileged = false;
        told
    }

    fn status(&self) -> String {
        crate::status(self.bench.reader(), T).map_or("none".into(), |status| status.name().to_owned())
    }
}

fn lines(effects: &Effects<Out, Timer>) -> Vec<String> {
    let mut lines: Vec<String> = effects
        .outputs
        .iter()
        .map(|output| match &output.answers {
            Some(id) => format!("{} !{id}", line(&output.body)),
            None => line(&output.body),
        })
        .collect();
    lines.extend(effects.timers.iter().map(|(timer, deadline)| match deadline {
        Some(Timestamp(at)) => format!("{timer:?} at {at}"),
        None => format!("{timer:?} off"),
    }));
    lines
}

fn line(out: &Out) -> String {
    let codes = |reasons: &[Reason]| reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>().join(",");
    match out {
        Out::Event(event) => match event {
            TransactionEvent::TransactionHeld(held) => format!("Held until {}", held.expires_at.0),
            TransactionEvent::TransactionOnHold(hold) => {
                format!("OnHold {} {} until {}", hold.score, codes(&hold.reasons), hold.expires_at.0)
            }
            TransactionEvent::TransactionPosting(posting) => {
                let lines = posting.lines.iter().map(|line| format!("{}:{}", line.line, line.amount));
                let lines = lines.collect::<Vec<_>>().join(" ");
                format!("Posting {} {lines}{}", posting.posting, if posting.r#final { " final" } else { "" })
            }
            TransactionEvent::TransactionPosted(posted) => format!("Posted {}", posted.posting),
            TransactionEvent::TransactionCompleted(completed) => format!("Completed {}", completed.postings),
            TransactionEvent::TransactionFailed(failed) => format!("Failed {}", codes(&failed.reasons)),
            TransactionEvent::TransactionCancelled(cancelled) => format!("Cancelled {}", codes(&cancelled.reasons)),
            TransactionEvent::TransactionExpired(expired) => format!("Expired {}", codes(&expired.reasons)),
            TransactionEvent::TransactionRefused(refused) => {
                let values = refused.reason.values.iter().map(|(name, value)| format!(" {name}={value}"));
                let field = refused.reason.field.as_deref().map_or(String::new(), |field| format!(" {field}"));
                format!("Refused {}{field}{}", refused.reason.code, values.collect::<String>())
            }
            TransactionEvent::TransactionInitiated(_) => "Initiated".to_owned(),
        },
        Out::Leg(LegEvent::LegRequested(requested)) => format!("LegRequested {}", requested.account_id),
        Out::Leg(LegEvent::LegConfirmed(confirmed)) => {
            let lines = confirmed.lines.iter().map(|line| format!(" {}:{}", line.line, line.amount.amount));
            let last = if confirmed.r#final { " final" } else { "" };
            format!("LegConfirmed {}{}{last}", confirmed.account_id, lines.collect::<String>())
        }
        Out::Leg(LegEvent::LegCancelled(cancelled)) => {
            format!("LegCancelled {} {}", out_key(out), cancelled.reason.code)
        }
    }
}

fn out_key(out: &Out) -> &str {
    match out {
        Out::Event(event) => event.key(),
        Out::Leg(leg) => leg.key(),
    }
}
