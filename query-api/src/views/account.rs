//! The view of accounts: what each account was last told to be, its entries, its balance at any time, its transactions.
//!
//! **Available balance.** The account's own figure is known here only when it books an entry. Between entries this view
//! takes off what its legs ask for: a leg counts from its request until it is booked, or cancelled. Once every leg that
//! was asked for is answered this equals the account's figure; before, it is the smaller one, since a leg that is being
//! refused counts until its cancellation arrives.
//!
//! **Balance at a time.** Entries are ordered by sequence and booked times may run back a little (two transactions are
//! decided by two clocks), so an entry's own balance is not the sum of all that was booked before. The view keeps its own
//! running sum in order of (booked time, sequence): one row per entry, and a late entry lifts the few rows behind it. By
//! value date, which clients may set far back, it keeps one total per day, and a query adds up days.
//!
//! Sums are debits less credits; only a query, which knows the account's kind, turns them to the normal side.

use serde::{Deserialize, Serialize};
use tributary_flow::processor::{Out, State};
use tributary_flow::reader::Page;
use tributary_flow::{Collection, Cx, Date, Effects, Event, Processor, Timestamp};
use tributary_graph::account_view::{In, Ports};
use tributary_schemas::accounts::{AccountEvent, AccountOpened};
use tributary_schemas::ledger::{Entry, EntryPosted};
use tributary_schemas::risk::PartyEvent;
use tributary_schemas::transactions::{LegEvent, LegLine};
use tributary_schemas::{AccountId, AccountKind, Amount, Hash, Reason, Side, TransactionId};

use super::Never;
use super::outcome::{self, Outcomes};

/// The processor of `account-view`.
#[derive(Debug, Default)]
pub struct AccountView;

/// Entries by sequence.
pub static ENTRIES: Collection<u64, EntryPosted> = Collection::new(0);
/// Debits less credits of all entries up to this one, in order of booked time and sequence.
pub static BY_TIME: Collection<(Timestamp, u64), i128> = Collection::new(1);
/// Debits less credits of all entries with this value date.
pub static BY_VALUE: Collection<Date, i128> = Collection::new(2);
/// Transactions in order of their first leg here.
pub static TRANSACTIONS: Collection<(Timestamp, String), ()> = Collection::new(3);
/// What a transaction means for the account.
pub static LEGS: Collection<String, Leg> = Collection::new(4);
/// What became of commands to the account.
pub static OUTCOMES: Outcomes = Collection::new(5);
/// What became of commands to risk about it. Beside the others, for an id may have been given to one of each, and which is
/// answered first is no matter.
pub static PARTY_OUTCOMES: Outcomes = Collection::new(6);

/// Where an account is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Legs are granted.
    #[default]
    Open,
    /// No leg is granted.
    Frozen,
    /// For good.
    Closed,
}

/// An account, as last told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// As opened and updated; absent where so far only its legs or entries, or what risk says of it, were met.
    pub terms: Option<AccountOpened>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Where it is in its life.
    pub status: Status,
    /// Whether risk declines it.
    pub blocked: bool,
    /// Balance after the last entry, on the kind's normal side.
    pub posted: Amount,
    /// Sequence of the last entry.
    pub sequence: u64,
    /// Hash of the last entry.
    pub hash: Hash,
    /// Debits and credits asked for and neither booked nor given up.
    pub pending: Sides,
    /// The last entry in order of booked time and sequence, and the sum of all.
    pub last: ((Timestamp, u64), i128),
    /// Transactions whose confirmed lines are not all booked, or the other way about.
    pub in_transit: u32,
}

impl Account {
    /// What pending legs will take away: held, or being decided.
    #[must_use]
    pub fn held(&self, kind: AccountKind) -> Amount {
        Amount(if debit_normal(kind) { self.pending.credit } else { self.pending.debit })
    }

    /// What pending legs will bring.
    #[must_use]
    pub fn reserved(&self, kind: AccountKind) -> Amount {
        Amount(if debit_normal(kind) { self.pending.debit } else { self.pending.credit })
    }
}

/// Sums of both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides {
    /// Debits.
    pub debit: i128,
    /// Credits.
    pub credit: i128,
}

impl Sides {
    fn add(&mut self, side: Side, amount: Amount) {
        match side {
            Side::Debit => self.debit += amount.0,
            Side::Credit => self.credit += amount.0,
        }
    }

    fn of(lines: &[LegLine]) -> Self {
        let mut sides = Sides::default();
        lines.iter().for_each(|line| sides.add(line.side, line.amount.amount));
        sides
    }

    fn plus(self, other: Sides) -> Self {
        Sides { debit: self.debit + other.debit, credit: self.credit + other.credit }
    }

    fn less(self, other: Sides) -> Self {
        Sides { debit: self.debit - other.debit, credit: self.credit - other.credit }
    }
}

/// Whether debits raise the balance of this kind.
#[must_use]
pub fn debit_normal(kind: AccountKind) -> bool {
    matches!(kind, AccountKind::Asset | AccountKind::Expense)
}

/// Debits less credits, on the normal side of `kind`.
#[must_use]
pub fn on_normal_side(debits: i128, kind: AccountKind) -> i128 {
    if debit_normal(kind) { debits } else { -debits }
}

/// One transaction, as the account meets it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// When it was first met: the earliest time among its facts.
    pub first: Timestamp,
    /// What was asked for.
    pub requested: Sides,
    /// What was confirmed.
    pub confirmed: Sides,
    /// What was booked.
    pub booked: Sides,
    /// Nothing more will be confirmed.
    pub ended: bool,
    /// The accounts on the other side.
    pub counterparties: Vec<AccountId>,
}

impl Leg {
    /// What is still to come of it. System accounts promise nothing: they are asked only to book.
    fn pending(&self, system: bool) -> Sides {
        let expected = if self.ended || system { self.confirmed } else { self.requested };
        expected.less(self.booked)
    }

    fn in_transit(&self) -> bool {
        self.confirmed != self.booked
    }
}

impl Processor for AccountView {
    type Ports = Ports;
    type Head = Account;
    type Timer = Never;

    fn step(
        &self,
        cx: &Cx<'_>,
        _: &str,
        state: &mut State<'_, Account>,
        event: Event<In<'_>, Never>,
    ) -> Effects<Out<Self>, Never> {
        let Event::Input(input) = event;
        match input {
            In::Event(event) => on_event(cx, state, event),
            In::Party(event) => on_party(cx, state, event),
            In::Leg(event) => on_leg(cx, state, event),
            In::Entry(Entry::EntryPosted(entry)) => on_entry(cx, state, entry),
        }
        Effects::none()
    }
}

fn on_event(cx: &Cx<'_>, state: &mut State<'_, Account>, event: &AccountEvent) {
    let reasons: &[Reason] = match event {
        AccountEvent::AccountRefused(refused) => std::slice::from_ref(&refused.reason),
        _ => &[],
    };
    outcome::note(cx, state, &OUTCOMES, tributary_flow::Body::name(event), reasons);
    if matches!(event, AccountEvent::AccountRefused(_)) {
        return;
    }
    let account = state.head.get_or_insert_default();
    match event {
        AccountEvent::AccountOpened(opened) => {
            account.terms = Some(opened.clone());
            account.opened_at = cx.fact.map_or(cx.now, |fact| fact.time);
        }
        AccountEvent::AccountUpdated(updated) => {
            if let Some(terms) = &mut account.terms {
                terms.name.clone_from(&updated.name);
                terms.floor = updated.floor;
                terms.daily_limit = updated.daily_limit;
                terms.monthly_limit = updated.monthly_limit;
                terms.metadata.clone_from(&updated.metadata);
            }
        }
        AccountEvent::AccountFrozen(_) => account.status = Status::Frozen,
        AccountEvent::AccountUnfrozen(_) => account.status = Status::Open,
        AccountEvent::AccountClosed(_) => account.status = Status::Closed,
        AccountEvent::AccountRefused(_) => {}
    }
}

fn on_party(cx: &Cx<'_>, state: &mut State<'_, Account>, event: &PartyEvent) {
    let reasons: &[Reason] = match event {
        PartyEvent::PartyRefused(refused) => std::slice::from_ref(&refused.reason),
        _ => &[],
    };
    outcome::note(cx, state, &PARTY_OUTCOMES, tributary_flow::Body::name(event), reasons);
    match event {
        PartyEvent::PartyBlocked(_) => state.head.get_or_insert_default().blocked = true,
        PartyEvent::PartyUnblocked(_) => state.head.get_or_insert_default().blocked = false,
        PartyEvent::PartyRefused(_) => {}
    }
}

fn on_leg(cx: &Cx<'_>, state: &mut State<'_, Account>, event: &LegEvent) {
    let (account, transaction) = match event {
        LegEvent::LegRequested(leg) => (&leg.account_id, &leg.transaction_id),
        LegEvent::LegConfirmed(leg) => (&leg.account_id, &leg.transaction_id),
        LegEvent::LegCancelled(leg) => (&leg.account_id, &leg.transaction_id),
    };
    change_leg(cx, state, account, transaction, |leg| match event {
        LegEvent::LegRequested(requested) => {
            leg.requested = Sides::of(&requested.lines);
            leg.counterparties.clone_from(&requested.counterparties);
        }
        LegEvent::LegConfirmed(confirmed) => {
            leg.confirmed = leg.confirmed.plus(Sides::of(&confirmed.lines));
            leg.ended |= confirmed.r#final;
        }
        LegEvent::LegCancelled(_) => leg.ended = true,
    });
}

/// Changes one leg, and what is pending by as much.
fn change_leg(
    cx: &Cx<'_>,
    state: &mut State<'_, Account>,
    account: &AccountId,
    transaction: &TransactionId,
    change: impl FnOnce(&mut Leg),
) {
    let system = account.system().is_some();
    let at = transaction.as_str().to_owned();
    let met = cx.fact.map_or(cx.now, |fact| fact.time);
    let known: Option<Leg> = state.get(&LEGS, &at);
    // Topics are not ordered among each other, and a view that is rebuilt reads them otherwise than one that follows: what
    // is kept is the earliest, whichever came first.
    if known.as_ref().is_none_or(|leg| met < leg.first) {
        if let Some(leg) = &known {
            state.delete(&TRANSACTIONS, &(leg.first, at.clone()));
        }
        state.put(&TRANSACTIONS, &(met, at.clone()), &());
    }
    let mut leg = known.unwrap_or_else(|| Leg { first: met, ..Leg::default() });
    leg.first = leg.first.min(met);
    let (before, was_in_transit) = (leg.pending(system), leg.in_transit());
    change(&mut leg);
    let account = state.head.get_or_insert_default();
    account.pending = account.pending.less(before).plus(leg.pending(system));
    account.in_transit = account.in_transit + u32::from(leg.in_transit()) - u32::from(was_in_transit);
    state.keep(&LEGS, &at, leg);
}

fn on_entry(cx: &Cx<'_>, state: &mut State<'_, Account>, entry: &EntryPosted) {
    let booked = |leg: &mut Leg| leg.booked.add(entry.side, entry.amount.amount);
    change_leg(cx, state, &entry.account_id, &entry.transaction_id, booked);
    let change = match entry.side {
        Side::Debit => entry.amount.amount.0,
        Side::Credit => -entry.amount.amount.0,
    };
    let sequence = entry.sequence.cast_unsigned();
    add_in_time(state, (entry.booked_at, sequence), change);
    let day = state.get(&BY_VALUE, &entry.value_date).unwrap_or_default();
    state.put(&BY_VALUE, &entry.value_date, &(day + change));
    let account = state.head.get_or_insert_default();
    account.posted = entry.balance;
    account.sequence = sequence;
    account.hash = entry.hash;
    state.put(&ENTRIES, &sequence, entry);
}

/// Adds an entry to the running sums. Mostly it is the last; a late one lifts the rows behind it.
fn add_in_time(state: &mut State<'_, Account>, at: (Timestamp, u64), change: i128) {
    let account = state.head.get_or_insert_default();
    let (last, all) = account.last;
    account.last = (last.max(at), all + change);
    if at > last {
        state.put(&BY_TIME, &at, &(all + change));
        return;
    }
    let before = state.rows(&BY_TIME, Page { from: None, to: Some(&at), reverse: true, limit: 1 });
    let sum = before.first().map_or(0, |(_, sum)| *sum);
    let late = state.rows(&BY_TIME, Page { from: Some(&at), to: None, reverse: false, limit: usize::MAX });
    state.put(&BY_TIME, &at, &(sum + change));
    for (place, sum) in late {
        state.put(&BY_TIME, &place, &(sum + change));
    }
}
