//! What one payment costs an account: a hold and its confirmation, with few and with many open holds.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use tributary_account::AccountProcessor;
use tributary_flow::testing::{Bench, kept};
use tributary_graph::account::In;
use tributary_schemas::accounts::{AccountCommand, OpenAccount};
use tributary_schemas::transactions::{LegConfirmed, LegEvent, LegLine, LegRequested};
use tributary_schemas::{AccountId, AccountKind, Amount, Currency, Money, Side, TransactionId};

const EUR: Currency = Currency::of("EUR");

fn request(transaction: &TransactionId, account: &AccountId) -> In<'static> {
    In::Leg(kept(LegEvent::from(LegRequested {
        transaction_id: transaction.clone(),
        account_id: account.clone(),
        lines: vec![LegLine { line: 0, side: Side::Debit, amount: Money::of(Amount(100), EUR) }],
        counterparties: Vec::new(),
    })))
}

fn confirm(transaction: &TransactionId, account: &AccountId, bench: &Bench<AccountProcessor>) -> In<'static> {
    In::Leg(kept(LegEvent::from(LegConfirmed {
        transaction_id: transaction.clone(),
        account_id: account.clone(),
        posting: 1,
        lines: vec![LegLine { line: 0, side: Side::Debit, amount: Money::of(Amount(100), EUR) }],
        booked_at: bench.now,
        value_date: bench.now.date(),
        r#final: true,
    })))
}

fn steps(criterion: &mut Criterion) {
    let account: AccountId = "alice".parse().expect("an id");
    for open in [10, 10_000, 100_000] {
        let mut bench = Bench::new(AccountProcessor);
        bench.privileged = true;
        let floor = Some(Amount(Amount::MAX.0 / 10_000 * 10_000));
        let command = OpenAccount { floor, ..OpenAccount::new(account.clone(), AccountKind::Liability, EUR) };
        bench.command("alice", "open", In::Command(kept(AccountCommand::from(command))));
        for number in 0..open {
            let transaction: TransactionId = format!("open-{number}").parse().expect("an id");
            bench.fact("alice", request(&transaction, &account));
        }
        let transaction: TransactionId = "measured".parse().expect("an id");
        criterion.bench_function(&format!("hold and confirm, {open} open holds"), |b| {
            b.iter(|| {
                bench.fact("alice", request(&transaction, &account));
                let confirmed = confirm(&transaction, &account, &bench);
                bench.fact("alice", confirmed)
            });
        });
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
