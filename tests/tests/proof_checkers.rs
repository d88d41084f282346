//! Every checker of the proof, shown something wrong: a checker that nobody has seen fail is no checker.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tributary_cli::proof::checkers::{self, Panel, Seen};
use tributary_cli::proof::versions::{self, Builds};
use tributary_cli::proof::workload::Sent;
use tributary_cli::proof::{CALM, Violation, World};
use tributary_flow::{DEAD_LETTERS, Node};
use tributary_graph::{
    ACCOUNTS_EVENTS, ACCOUNTS_VOTES, LEDGER_ENTRIES, NODES, TRANSACTIONS_EVENTS, account, account_view, transaction,
    transaction_view,
};
use tributary_schemas::accounts::{AccountEvent, Vote};
use tributary_schemas::ledger::{Entry, EntryPosted};
use tributary_schemas::transactions::TransactionEvent;
use tributary_schemas::{AccountId, Amount, Hash};
use tributary_sim::SimOptions;
use tributary_tests::altered::Altered;
use tributary_tests::scenario::simulated::together;
use tributary_tests::tampered::Tampered;

const PARTITIONS: u32 = 2;

/// A world after so many payments, in the middle of everything.
fn storm(payments: u32) -> Result<World> {
    let builds = Builds::new(PARTITIONS, Arc::new(versions::schemas()));
    let options = SimOptions::stormy(5, PARTITIONS, together());
    let mut world = World::new(options, move |version, partition| builds.tasks(version, partition));
    while world.workload().sent().payments < payments {
        world.act()?;
    }
    Ok(world)
}

/// The same, with everything decided that was sent, and every deadline still to come.
fn lull() -> Result<World> {
    let mut world = storm(250)?;
    world.calm();
    ensure!(world.settle(0)?, "it comes to rest");
    Ok(world)
}

/// The same, come to rest.
fn rest() -> Result<World> {
    let mut world = lull()?;
    for passing in CALM {
        ensure!(world.settle(passing)?, "it comes to rest");
    }
    Ok(world)
}

/// What the checkers of this name find at rest.
fn judge(name: Option<&str>, seen: &Seen<'_>) -> Vec<Violation> {
    panel(name, seen, 1).rest(seen)
}

fn panel(name: Option<&str>, seen: &Seen<'_>, seed: u64) -> Panel {
    let mut wanted = checkers::all(PARTITIONS);
    wanted.retain(|checker| name.is_none_or(|name| name == checker.name()));
    Panel::new(wanted, seed, PARTITIONS, seen.registry)
}

/// A way to make something wrong, and the checker that must find it.
type Case = (&'static str, fn(&mut Tampered<'_>, &mut Altered<'_>));

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

/// The raw rows of heads begin with an `h`, then the key and a zero.
fn head(key: &str) -> Vec<u8> {
    [b"h", key.as_bytes(), &[0]].concat()
}

/// Gives the row of one key the value of another's.
fn copy(states: &mut Altered<'_>, node: &'static Node, from: &str, to: &str) {
    let every = |states: &mut Altered<'_>, key: &[u8]| {
        (0..PARTITIONS).find_map(|partition| Some((partition, states.rows(node, partition).get(key)?.clone())))
    };
    let (_, value) = every(states, &head(from)).expect("the row to copy");
    let (partition, _) = every(states, &head(to)).expect("the row to replace");
    states.rows(node, partition).insert(head(to), value);
}

/// Takes out whatever tells of a key.
fn forget(states: &mut Altered<'_>, node: &'static Node, holds: &[u8]) {
    let gone: usize = (0..PARTITIONS).map(|partition| states.remove(node, partition, holds)).sum();
    assert!(gone > 0, "{} has no row that holds {:?}", node.name, String::from_utf8_lossy(holds));
}

/// A system account that has been drawn on, and an ordinary one.
const WORLD: &str = "world:EUR:00";
const ORDINARY: &str = "a-0";

const CASES: &[Case] = &[
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
    ("committed", |_, states| drop(states.rows(&account_view::NODE, 0).insert(b"zz".to_vec(), Vec::new()))),
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

#[test]
fn every_checker_is_seen_to_fail() -> Result<()> {
    let world = rest()?;
    let clean = judge(None, &world.seen());
    ensure!(clean.is_empty(), "{clean:?}");
    let (mut seen, mut unseen) = (BTreeSet::new(), Vec::new());
    for (number, (checker, tamper)) in CASES.iter().enumerate() {
        let (mut log, mut states) = (Tampered::new(world.seen().log), Altered::new(world.seen().states));
        tamper(&mut log, &mut states);
        let found = judge(Some(checker), &Seen { log: &log, states: &states, ..world.seen() });
        match found.iter().find(|violation| violation.checker == *checker) {
            Some(violation) => {
                eprintln!("{violation}");
                seen.insert(*checker);
            }
            None => unseen.push(format!("case {number}: {checker} finds nothing, but {found:?}")),
        }
    }
    ensure!(unseen.is_empty(), "{}", unseen.join("\n"));
    let all = checkers::all(PARTITIONS);
    let never: Vec<_> = all.iter().map(|checker| checker.name()).filter(|name| !seen.contains(name)).collect();
    ensure!(never.is_empty(), "checkers that no case shows anything: {never:?}");
    Ok(())
}

/// What a checker finds before the end, at one of a hundred looks.
fn looked(world: &World, checker: &str, tamper: impl Fn(&mut Altered<'_>)) -> Vec<Violation> {
    let mut states = Altered::new(world.seen().states);
    tamper(&mut states);
    let seen = Seen { states: &states, ..world.seen() };
    let mut panel = panel(Some(checker), &seen, 1);
    (0..100).flat_map(|_| panel.look(&seen)).collect()
}

#[test]
fn what_is_wrong_in_a_store_is_seen_before_the_end() -> Result<()> {
    let world = lull()?;
    type Alter<'a> = &'a dyn Fn(&mut Altered<'_>);
    let cases: [(&str, Alter<'_>); 4] = [
        ("floors", &|states| copy(states, &account::NODE, WORLD, ORDINARY)),
        // Open legs are the rows in collection 1.
        ("holds", &|states| forget(states, &account::NODE, b"\0\x01t-")),
        ("read your writes", &|states| forget(states, &transaction_view::NODE, b"c-9\0")),
        ("committed", &|states| {
            for node in NODES {
                // What tells the epoch is left as it is, for by it the state is compared.
                let rows = states.rows(node, 0).iter_mut().filter(|(key, _)| !key.starts_with(b"m"));
                rows.for_each(|(_, value)| value.push(0));
            }
        }),
    ];
    for (checker, tamper) in cases {
        let clean = looked(&world, checker, |_| {});
        ensure!(clean.is_empty(), "{clean:?}");
        let found = looked(&world, checker, tamper);
        ensure!(!found.is_empty(), "{checker} finds nothing");
        eprintln!("{}", found[0]);
    }
    Ok(())
}

#[test]
fn what_nobody_sent_is_nobodys_outcome() -> Result<()> {
    let world = rest()?;
    let nothing = Sent::default();
    let found = judge(Some("outcomes"), &Seen { sent: &nothing, ..world.seen() });
    ensure!(found.iter().any(|violation| violation.detail.contains("which nobody sent")), "{found:?}");
    Ok(())
}

#[test]
fn what_is_still_open_is_told_at_rest() -> Result<()> {
    let world = lull()?;
    let found = judge(Some("holds"), &world.seen());
    for words in ["after every deadline", "never ended"] {
        ensure!(found.iter().any(|violation| violation.detail.contains(words)), "{words}: {found:?}");
    }
    let storm = storm(250)?;
    let found = judge(Some("outcomes"), &storm.seen());
    ensure!(found.iter().any(|violation| violation.detail.contains("was never decided")), "{found:?}");
    Ok(())
}
