//! What is made wrong, and who must find it.

use std::collections::HashMap;

use tributary_flow::{DEAD_LETTERS, FactHeader, Header, Node, Timestamp};
use tributary_graph::{
    ACCOUNTS_EVENTS, ACCOUNTS_VOTES, LEDGER_ENTRIES, PARTIES_EVENTS, RISK_EVENTS, TRANSACTIONS_EVENTS, account,
    account_view, risk, transaction, transaction_view,
};
use tributary_schemas::accounts::{AccountClosed, AccountEvent, AccountFrozen, AccountUpdated, LegPosted, Vote};
use tributary_schemas::ledger::{Entry, EntryPosted};
use tributary_schemas::risk::{PartyBlocked, PartyEvent, RiskDecision, RiskEvent};
use tributary_schemas::transactions::{TransactionEvent, TransactionHeld};
use tributary_schemas::{AccountId, AccountKind, Amount, Hash, Side, TransactionId};
use tributary_tests::altered::Altered;
use tributary_tests::tampered::Tampered;

use crate::PARTITIONS;

/// A way to make something wrong, and the checker that must find it.
pub type Case = (&'static str, fn(&mut Tampered<'_>, &mut Altered<'_>));

fn ordinary(entry: &Entry) -> bool {
    let Entry::EntryPosted(entry) = entry;
    entry.account_id.system().is_none() && entry.sequence == 2
}

fn entry(log: &mut Tampered<'_>, change: impl FnOnce(&mut EntryPosted)) {
    log.change(&LEDGER_ENTRIES, ordinary, |Entry::EntryPosted(entry)| change(entry));
}

fn posting(event: &TransactionEvent) -> bool {
    matches!(event, TransactionEvent::TransactionPosting(_))
}

fn refused(event: &TransactionEvent) -> bool {
    matches!(event, TransactionEvent::TransactionRefused(refused) if refused.reason.code != "conflict")
}

fn conflict(event: &TransactionEvent) -> bool {
    matches!(event, TransactionEvent::TransactionRefused(refused) if refused.reason.code == "conflict")
}

fn opened(event: &AccountEvent) -> bool {
    matches!(event, AccountEvent::AccountOpened(opened) if !opened.system)
}

fn void_of_something(vote: &Vote) -> bool {
    matches!(vote, Vote::LegVoided(voided) if voided.released.is_positive())
}

fn final_post(vote: &Vote) -> bool {
    matches!(vote, Vote::LegPosted(posted) if posted.r#final && posted.account_id.system().is_none())
}

fn spent(vote: &Vote) -> bool {
    // Of a wallet, which a debit lowers.
    let wallet = |posted: &LegPosted| posted.account_id.system().is_none() && posted.kind == AccountKind::Liability;
    let debit = |posted: &LegPosted| posted.entries.iter().any(|entry| entry.side == Side::Debit);
    matches!(vote, Vote::LegPosted(posted) if wallet(posted) && debit(posted))
}

fn id(account: &str) -> AccountId {
    AccountId::parse(account).expect("an id")
}

/// A transaction that was posted and of which somebody was asked.
fn asked(log: &mut Tampered<'_>) -> TransactionId {
    let votes = log.all::<Vote>(&ACCOUNTS_VOTES);
    let posted = votes.into_iter().find_map(|(_, _, vote)| match vote {
        Vote::LegPosted(posted) if posted.account_id.system().is_none() => Some(posted.transaction_id),
        _ => None,
    });
    posted.expect("a transaction that was posted")
}

/// Has risk say something else of a transaction that was posted.
fn doubt(log: &mut Tampered<'_>, decision: RiskDecision) {
    let posted = asked(log);
    let of_it = |RiskEvent::RiskAssessed(answer): &RiskEvent| answer.transaction_id == posted;
    log.change(&RISK_EVENTS, of_it, |RiskEvent::RiskAssessed(answer)| answer.decision = decision);
}

/// Has what came through the wrong door done.
fn open_the_door(log: &mut Tampered<'_>) {
    let wanted = |event: &AccountEvent| matches!(event, AccountEvent::AccountRefused(no) if no.reason.code == "privileged_command");
    log.change(&ACCOUNTS_EVENTS, wanted, |event| {
        if let AccountEvent::AccountRefused(no) = event {
            *event = AccountFrozen { account_id: no.account_id.clone(), reason: String::new() }.into();
        }
    });
}

/// Has the review of somebody who may not taken.
fn let_review(log: &mut Tampered<'_>) {
    let code = |code: &str| code == "reviewer_is_initiator" || code == "reviewer_unknown";
    let wanted =
        |event: &TransactionEvent| matches!(event, TransactionEvent::TransactionRefused(no) if code(&no.reason.code));
    log.change(&TRANSACTIONS_EVENTS, wanted, |event| {
        if let TransactionEvent::TransactionRefused(no) = event {
            let (transaction_id, expires_at) = (no.transaction_id.clone(), Timestamp::default());
            *event = TransactionEvent::TransactionHeld(TransactionHeld { transaction_id, expires_at });
        }
    });
}

/// Has an account closed just before what it promised ends, and behind the promise.
fn close_too_early(log: &mut Tampered<'_>) {
    let mut promised = HashMap::new();
    let ended = log.all::<Vote>(&ACCOUNTS_VOTES).into_iter().find_map(|(_, header, vote)| {
        let Header::Fact(FactHeader { time, .. }) = header else { return None };
        match vote {
            Vote::LegHeld(held) => {
                promised.insert((held.transaction_id, held.account_id), time);
                None
            }
            Vote::LegVoided(voided) => {
                let since = promised.get(&(voided.transaction_id, voided.account_id.clone()))?;
                (since.plus(1) < time).then_some((voided.account_id, time))
            }
            _ => None,
        }
    });
    let (account_id, at) = ended.expect("a void of what was promised sooner");
    let closed = AccountClosed { account_id, reason: String::new() };
    log.append_at(&ACCOUNTS_EVENTS, 0, at.plus(-1), &AccountEvent::from(closed));
}

/// Has an account limited from the beginning on.
fn limit(log: &mut Tampered<'_>, daily_limit: Option<Amount>, monthly_limit: Option<Amount>) {
    let updated = AccountUpdated { daily_limit, monthly_limit, ..AccountUpdated::new(id(ORDINARY), "", Amount::ZERO) };
    log.append(&ACCOUNTS_EVENTS, 0, &AccountEvent::from(updated));
}

/// The raw rows of heads begin with an `h`, then the key and a zero.
fn head(key: &str) -> Vec<u8> {
    [b"h", key.as_bytes(), &[0]].concat()
}

/// Gives the row of one key the value of another's.
pub fn copy(states: &mut Altered<'_>, node: &'static Node, from: &str, to: &str) {
    let every = |states: &mut Altered<'_>, key: &[u8]| {
        (0..PARTITIONS).find_map(|partition| Some((partition, states.rows(node, partition).get(key)?.clone())))
    };
    let (_, value) = every(states, &head(from)).expect("the row to copy");
    let (partition, _) = every(states, &head(to)).expect("the row to replace");
    states.rows(node, partition).insert(head(to), value);
}

/// Takes out whatever tells of a key.
pub fn forget(states: &mut Altered<'_>, node: &'static Node, holds: &[u8]) {
    let gone: usize = (0..PARTITIONS).map(|partition| states.remove(node, partition, holds)).sum();
    assert!(gone > 0, "{} has no row that holds {:?}", node.name, String::from_utf8_lossy(holds));
}

/// A system account that has been drawn on, and an ordinary one.
pub const WORLD: &str = "world:EUR:00";
pub const ORDINARY: &str = "a-0";

/// Every case.
pub const CASES: &[Case] = &[
    ("conservation", |log, _| entry(log, |entry| entry.amount.amount.0 += 100)),
    ("conservation", |log, _| entry(log, |entry| entry.account_id = AccountId::parse("nobody").expect("an id"))),
    ("conservation", |log, _| log.double(&LEDGER_ENTRIES, ordinary)),
    ("conservation", |log, _| log.remove(&LEDGER_ENTRIES, ordinary)),
    ("conservation", |log, _| log.double(&TRANSACTIONS_EVENTS, posting)),
    ("conservation", |log, _| log.remove(&TRANSACTIONS_EVENTS, posting)),
    ("conservation", |log, _| {
        log.change(&TRANSACTIONS_EVENTS, posting, |event| {
            if let TransactionEvent::TransactionPosting(posting) = event {
                posting.lines[0].amount.0 += 100;
            }
        });
    }),
    ("chain", |log, _| entry(log, |entry| entry.previous_hash = Hash([7; 32]))),
    ("chain", |log, _| entry(log, |entry| entry.balance.0 += 100)),
    ("chain", |log, _| entry(log, |entry| entry.amount.amount.0 += 100)),
    ("chain", |log, _| log.remove(&LEDGER_ENTRIES, ordinary)),
    ("chain", |log, _| log.double(&ACCOUNTS_EVENTS, opened)),
    ("chain", |log, _| log.remove(&ACCOUNTS_EVENTS, opened)),
    ("chain", |log, _| entry(log, |entry| entry.hash = Hash([7; 32]))),
    ("floors", |log, _| entry(log, |entry| entry.balance = Amount(-1_000_000_000_000))),
    ("floors", |log, _| entry(log, |entry| entry.available = Amount(-1_000_000_000_000))),
    ("holds", |log, _| log.double(&ACCOUNTS_VOTES, |vote| matches!(vote, Vote::LegHeld(_)))),
    ("holds", |log, _| log.double(&ACCOUNTS_VOTES, void_of_something)),
    ("holds", |log, _| log.double(&ACCOUNTS_VOTES, final_post)),
    ("holds", |log, _| log.remove(&ACCOUNTS_VOTES, void_of_something)),
    ("holds", |log, _| {
        log.remove(&ACCOUNTS_VOTES, |vote| matches!(vote, Vote::LegHeld(held) if held.held.is_positive()))
    }),
    ("holds", |log, _| {
        log.change(&ACCOUNTS_VOTES, void_of_something, |vote| {
            if let Vote::LegVoided(voided) = vote {
                voided.released.0 += 100;
            }
        });
    }),
    ("outcomes", |log, _| log.remove(&TRANSACTIONS_EVENTS, refused)),
    ("outcomes", |log, _| log.double(&TRANSACTIONS_EVENTS, refused)),
    ("outcomes", |log, _| log.remove(&TRANSACTIONS_EVENTS, conflict)),
    ("outcomes", |log, _| log.double(&TRANSACTIONS_EVENTS, conflict)),
    ("outcomes", |log, _| log.records(DEAD_LETTERS).iter_mut().for_each(|letters| drop(letters.pop()))),
    ("outcomes", |log, _| {
        for letters in log.records(DEAD_LETTERS) {
            let copy = letters.last().cloned();
            letters.extend(copy.map(|copy| tributary_flow::Logged { offset: copy.offset + 1, ..copy }));
        }
    }),
    ("outcomes", |log, _| {
        let letter = log.records(DEAD_LETTERS).iter_mut().flatten().next().expect("a dead letter");
        let (_, topic) = letter.headers.iter_mut().find(|(name, _)| name == "topic").expect("its topic");
        *topic = ACCOUNTS_EVENTS.name.into();
    }),
    ("read your writes", |_, states| forget(states, &account_view::NODE, b"c-1\0")),
    ("read your writes", |_, states| forget(states, &transaction_view::NODE, b"c-9\0")),
    ("read your writes", |_, states| forget(states, &transaction_view::NODE, b"ht-2\0")),
    ("read your writes", |_, states| {
        // The legs of an account are its rows in collection 4.
        forget(states, &account_view::NODE, b"ra-0\0\x04");
    }),
    ("committed", |_, states| {
        let rows = states.rows(&account::NODE, 0);
        *rows.first_entry().expect("a row").get_mut() = vec![7];
    }),
    ("committed", |_, states| drop(states.rows(&transaction::NODE, 1).pop_first())),
    ("views", |_, states| drop(states.rows(&account_view::NODE, 0).insert(b"x".to_vec(), Vec::new()))),
    ("views", |_, states| forget(states, &transaction_view::NODE, b"c-9\0")),
    ("committed", |log, _| {
        // The last epochs of a task were never committed, and its store has them.
        let changelog = Box::leak(account::NODE.changelog().into_boxed_str());
        log.records(changelog)[0].truncate(40);
    }),
    ("recount", |_, states| copy(states, &account_view::NODE, "a-1", ORDINARY)),
    ("recount", |_, states| copy(states, &transaction_view::NODE, "t-2", "t-5")),
    ("recount", |_, states| forget(states, &transaction_view::NODE, b"ht-2\0")),
    ("recount", |_, states| {
        // The totals of journal records in order of arrival are the index 1.
        forget(states, &transaction_view::NODE, b"i\x01");
    }),
    ("recount", |log, _| log.remove(&TRANSACTIONS_EVENTS, posting)),
    ("replay", |log, _| entry(log, |entry| entry.amount.amount.0 += 100)),
    ("replay", |log, _| log.remove(&TRANSACTIONS_EVENTS, refused)),
    ("replay", |log, _| log.double(&TRANSACTIONS_EVENTS, refused)),
    ("replay", |_, states| copy(states, &account::NODE, "a-1", ORDINARY)),
    ("laws", |log, _| log.remove(&TRANSACTIONS_EVENTS, refused)),
    ("decodable", |log, _| {
        let record = log.records(ACCOUNTS_VOTES.name).iter_mut().flatten().next().expect("a vote");
        record.value.as_mut().expect("a value").pop();
    }),
];

/// A law of a checker, by some of the words in which it is told, and a way to break it.
pub type Law = (&'static str, &'static str, fn(&mut Tampered<'_>, &mut Altered<'_>));

/// Laws that break one without the other.
pub const LAWS: &[Law] = &[
    ("waits", "and is not open", |_, states| {
        // A timer of a key: a transaction that has ended, its timer's number, and when it is due.
        drop(states.rows(&transaction::NODE, 0).insert(b"nt-2\0\0".to_vec(), vec![0]));
    }),
    ("standing", "is frozen then", |log, _| {
        let frozen = AccountFrozen { account_id: id(ORDINARY), reason: String::new() };
        log.append(&ACCOUNTS_EVENTS, 0, &AccountEvent::from(frozen));
    }),
    ("standing", "is closed since", |log, _| {
        let closed = AccountClosed { account_id: id(ORDINARY), reason: String::new() };
        log.append(&ACCOUNTS_EVENTS, 0, &AccountEvent::from(closed));
    }),
    ("standing", "was promised ends", |log, _| close_too_early(log)),
    ("standing", "is blocked then", |log, _| {
        let blocked = PartyBlocked { party_id: id(ORDINARY), reason: String::new() };
        log.append(&PARTIES_EVENTS, 0, &PartyEvent::from(blocked));
    }),
    ("limits", "in that day of 0", |log, _| limit(log, Some(Amount::ZERO), None)),
    ("limits", "in that month of 0", |log, _| limit(log, None, Some(Amount::ZERO))),
    ("limits", "was posted", |log, _| {
        log.change(&ACCOUNTS_VOTES, spent, |vote| {
            if let Vote::LegPosted(posted) = vote {
                posted.entries.clear();
            }
        });
    }),
    ("limits", "was posted", |_, states| copy(states, &account::NODE, "a-1", ORDINARY)),
    ("velocity", "was spent", |log, _| log.remove(&ACCOUNTS_VOTES, spent)),
    // What risk counts of an account is its rows in collections 1, the windows, and 2, their buckets.
    ("velocity", "risk counts nothing", |_, states| forget(states, &risk::NODE, b"ra-0\0\x01")),
    ("velocity", "its buckets are", |_, states| forget(states, &risk::NODE, b"ra-0\0\x02")),
    ("authority", "a door for everybody", |log, _| open_the_door(log)),
    ("authority", "is a review by", |log, _| let_review(log)),
    ("consent", "was stopped at", |log, _| doubt(log, RiskDecision::Decline)),
    ("consent", "nobody has approved", |log, _| doubt(log, RiskDecision::Review)),
    ("consent", "was never assessed", |log, _| {
        let posted = asked(log);
        log.remove(&RISK_EVENTS, |RiskEvent::RiskAssessed(answer)| answer.transaction_id == posted);
    }),
    ("consent", "was never granted", |log, _| {
        let posted = asked(log);
        log.remove(&ACCOUNTS_VOTES, |vote| matches!(vote, Vote::LegHeld(held) if held.transaction_id == posted));
    }),
];
