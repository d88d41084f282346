//! LegConfirmed: books a posting. It cannot be refused, whatever the account has become since the vote.

use tributary_flow::{Effects, State};
use tributary_graph::account::Out;
use tributary_schemas::accounts::{AccountEvent, AccountOpened, EntryRef, LegPosted, Vote};
use tributary_schemas::ledger::Entry;
use tributary_schemas::transactions::LegConfirmed;
use tributary_schemas::{AccountId, Amount, value::chart};

use crate::NoTimer;
use crate::entry;
use crate::state::{Account, OPEN_LEGS, OpenLeg};

/// Books the lines, and releases the rest where the posting is final.
pub(crate) fn on_leg_confirmed(
    state: &mut State<'_, Account>,
    leg: &LegConfirmed,
    effects: &mut Effects<Out, NoTimer>,
) {
    let mut account = match state.head {
        Some(account) => account,
        None => {
            let (account, opened) = open_system(&leg.account_id);
            effects.emit(AccountEvent::from(opened));
            account
        }
    };
    if !account.system {
        settle(state, &mut account, leg);
    }
    let mut entries = Vec::with_capacity(leg.lines.len());
    for line in &leg.lines {
        assert!(line.amount.currency == account.currency, "invariant: a posted line is in the account's currency");
        let entry = entry::book(&mut account, leg, line);
        entries.push(EntryRef {
            line: entry.line,
            sequence: entry.sequence,
            side: entry.side,
            amount: entry.amount.clone(),
            hash: entry.hash,
        });
        effects.emit(Entry::from(entry));
    }
    state.head = Some(account);
    effects.emit(Vote::from(LegPosted {
        transaction_id: leg.transaction_id.clone(),
        account_id: leg.account_id.clone(),
        posting: leg.posting,
        kind: account.kind,
        entries,
        r#final: leg.r#final,
    }));
}

/// Takes the posting out of what was granted. What a final posting releases is released before its entries are written,
/// so that the last of them says what is available.
fn settle(state: &mut State<'_, Account>, account: &mut Account, leg: &LegConfirmed) {
    let row = leg.transaction_id.as_str().to_owned();
    let Some(mut open) = state.get(&OPEN_LEGS, &row) else {
        // All of it is posted, and this is the end of the transaction for the others.
        assert!(leg.lines.is_empty(), "invariant: a posted line was granted");
        return;
    };
    for line in &leg.lines {
        open.take(line.line, line.side, line.amount.amount);
    }
    if leg.r#final {
        account.release(&open);
    }
    if leg.r#final || open.is_spent() {
        close_leg(state, account, &row);
    } else {
        state.keep(&OPEN_LEGS, &row, open);
    }
}

/// Ends a leg. One of which nothing is left ends by itself, for nobody will mention it again.
pub(crate) fn close_leg(state: &mut State<'_, Account>, account: &mut Account, row: &String) {
    state.delete::<String, OpenLeg>(&OPEN_LEGS, row);
    account.open_legs = account.open_legs.checked_sub(1).expect("invariant: every open leg is counted");
}

/// A system account is opened by the first posting that names it.
fn open_system(id: &AccountId) -> (Account, AccountOpened) {
    let parts = id.system().expect("invariant: only a system account is told before it was asked");
    assert!(parts.shard.is_some(), "invariant: a posting names the shard of a system account");
    let row = chart::lookup(id).expect("invariant: a system account is in the chart");
    let opened = AccountOpened::new(id.clone(), row.kind, parts.currency, row.name, Amount::ZERO);
    (Account::new(row.kind, parts.currency, true), AccountOpened { system: true, ..opened })
}
