//! Every law of `verify`, broken on purpose: a checker that nobody has seen fail is no checker.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use tributary_cli::decode::Decoder;
use tributary_cli::source::Source;
use tributary_cli::verify::{LAWS, Report, States, Violation, verify};
use tributary_flow::{DEAD_LETTERS, Log, Node, Store, partition_of};
use tributary_graph::{
    ACCOUNTS_EVENTS, ACCOUNTS_VOTES, LEDGER_ENTRIES, LEDGER_EVENTS, LEDGER_JOURNAL, TRANSACTIONS_EVENTS,
    TRANSACTIONS_LEGS,
};
use tributary_schemas::accounts::{AccountEvent, Vote};
use tributary_schemas::ledger::{Entry, Journal, LedgerAlarm, LedgerEvent};
use tributary_schemas::transactions::{Leg, LegEvent, TransactionEvent, TransactionFailed};
use tributary_schemas::{AccountId, AccountKind, Amount, Hash, Side, TransactionId};
use tributary_tests::history;
use tributary_tests::tampered::{Spot, Tampered};

/// A cluster whose state is on other machines.
struct NoStates;

impl States for NoStates {
    fn with_state(&self, _: &'static Node, _: u32, _: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        Ok(false)
    }
}

struct Bench {
    source: Source,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        history::write(folder.path(), 40)?;
        let bench = Bench { source: Source::open(&history::config(folder.path()))?, _folder: folder };
        let report = bench.verify(bench.source.log.as_ref(), true)?;
        ensure!(report.violations.is_empty(), "{:?}", report.violations);
        ensure!(report.uncompared.is_empty(), "at rest: {:?}", report.uncompared);
        eprintln!("the history: {:?}", report.counts);
        Ok(bench)
    }

    fn verify(&self, log: &dyn Log, with_states: bool) -> Result<Report> {
        let states: &dyn States = if with_states { self.source.states.as_ref() } else { &NoStates };
        verify(log, states, Decoder::new(self.source.registry.clone()), true)
    }

    /// What is found where the log is changed so.
    fn found(&self, with_states: bool, tamper: impl FnOnce(&mut Tampered<'_>)) -> Result<Vec<Violation>> {
        let mut log = Tampered::new(self.source.log.as_ref());
        tamper(&mut log);
        Ok(self.verify(&log, with_states)?.violations)
    }
}

const PAYER: &str = "load-000000";

fn place((partition, index): Spot) -> String {
    // On the embedded engine a partition begins at 0 and has no gaps.
    format!("ledger.entries.v1[{partition}]@{index}")
}

fn one_more(amount: &mut Amount) {
    amount.0 += 100;
}

fn completed(event: &TransactionEvent) -> bool {
    matches!(event, TransactionEvent::TransactionCompleted(_))
}

fn is_last_entry(entry: &Entry) -> bool {
    let Entry::EntryPosted(entry) = entry;
    entry.transaction_id.as_str() == "parts" && entry.posting == 2 && entry.account_id.as_str() == PAYER
}

/// The ways in which the log is changed, and the law that each breaks.
type Case = (&'static str, fn(&mut Tampered<'_>));

const CASES: &[Case] = &[
    ("alarm", |log| incomplete(log, "9")),
    ("alarm", |log| incomplete(log, "of no number")),
    ("alarm", |log| {
        let transaction_id = TransactionId::parse("parts").expect("an id");
        let alarm = LedgerAlarm { transaction_id, code: "imbalance".into(), values: Default::default() };
        log.append(&LEDGER_EVENTS, 0, &LedgerEvent::from(alarm));
    }),
    ("answered once", |log| {
        log.remove(&TRANSACTIONS_EVENTS, |event| matches!(event, TransactionEvent::TransactionRefused(_)))
    }),
    ("answered once", |log| {
        log.double(&ACCOUNTS_EVENTS, |event| matches!(event, AccountEvent::AccountOpened(opened) if !opened.system))
    }),
    ("bad input is a dead letter", |log| log.records(DEAD_LETTERS).iter_mut().for_each(Vec::clear)),
    ("balance", |log| {
        log.change(&LEDGER_ENTRIES, is_last_entry, |Entry::EntryPosted(entry)| one_more(&mut entry.balance));
    }),
    ("booked", |log| log.remove(&ACCOUNTS_VOTES, |vote| matches!(vote, Vote::LegPosted(_)))),
    ("booked", |log| log.remove(&LEDGER_ENTRIES, is_last_entry)),
    ("booked once", |log| log.double(&LEDGER_JOURNAL, |_: &Journal| true)),
    ("books what was decided", |log| {
        let wanted = |event: &TransactionEvent| matches!(event, TransactionEvent::TransactionPosting(_));
        log.change(&TRANSACTIONS_EVENTS, wanted, |event| {
            if let TransactionEvent::TransactionPosting(posting) = event {
                posting.lines.iter_mut().for_each(|line| one_more(&mut line.amount));
            }
        });
    }),
    ("books what was decided", |log| {
        declare(log, |legs| legs[1].account_id = AccountId::parse("load-000002").expect("an id"));
    }),
    ("books what was decided", |log| declare(log, |legs| legs.iter_mut().for_each(|leg| turn(&mut leg.side)))),
    ("books what was decided", |log| declare(log, |legs| drop(legs.pop()))),
    ("books what was decided", |log| {
        let wanted = |vote: &Vote| matches!(vote, Vote::LegPosted(posted) if posted.transaction_id.as_str() == "parts");
        log.change(&ACCOUNTS_VOTES, wanted, |vote| {
            if let Vote::LegPosted(posted) = vote {
                turn(&mut posted.entries[0].side);
            }
        });
    }),
    ("chained", |log| {
        log.change(&LEDGER_ENTRIES, is_last_entry, |Entry::EntryPosted(entry)| entry.previous_hash = Hash([7; 32]));
    }),
    ("debits equal credits", |log| {
        log.change(
            &LEDGER_JOURNAL,
            |_| true,
            |Journal::JournalPosted(posted)| one_more(&mut posted.lines[0].amount.amount),
        );
    }),
    ("decodable", |log| cut(log, LEDGER_ENTRIES.name)),
    ("decodable", |log| cut(log, TRANSACTIONS_LEGS.name)),
    ("decodable", |log| cut(log, ACCOUNTS_VOTES.name)),
    ("decodable", |log| cut(log, ACCOUNTS_EVENTS.name)),
    ("decodable", |log| cut(log, TRANSACTIONS_EVENTS.name)),
    ("decodable", |log| cut(log, LEDGER_JOURNAL.name)),
    ("decodable", |log| cut(log, "risk.events.v1")),
    ("ends once", |log| log.double(&TRANSACTIONS_EVENTS, completed)),
    ("ends once", |log| log.remove(&TRANSACTIONS_EVENTS, completed)),
    ("ends once", |log| {
        log.remove(&TRANSACTIONS_EVENTS, |event| matches!(event, TransactionEvent::TransactionCancelled(_)))
    }),
    ("every unit held ends once", |log| log.remove(&ACCOUNTS_VOTES, |vote| matches!(vote, Vote::LegVoided(_)))),
    ("every unit held ends once", |log| {
        let wanted = |vote: &Vote| matches!(vote, Vote::LegVoided(voided) if voided.released.0 > 0);
        log.change(&ACCOUNTS_VOTES, wanted, |vote| {
            if let Vote::LegVoided(voided) = vote {
                one_more(&mut voided.released);
            }
        });
    }),
    ("floor", |log| {
        log.rewrite_chain(PAYER, AccountKind::Liability, 2, |entry| {
            entry.side = Side::Debit;
            entry.amount.amount = Amount(1_000_000 * Amount::UNIT);
        });
    }),
    ("gapless", |log| {
        log.remove(&LEDGER_ENTRIES, |Entry::EntryPosted(entry)| {
            entry.account_id.as_str() == PAYER && entry.sequence == 1
        });
    }),
    ("gapless", |log| {
        let of_payer = |sequence| {
            move |Entry::EntryPosted(entry): &Entry| entry.account_id.as_str() == PAYER && entry.sequence == sequence
        };
        let [first, second] = [log.find(&LEDGER_ENTRIES, of_payer(1)), log.find(&LEDGER_ENTRIES, of_payer(2))];
        let [one, two] =
            [log.record(&LEDGER_ENTRIES, first).value.clone(), log.record(&LEDGER_ENTRIES, second).value.clone()];
        (log.record(&LEDGER_ENTRIES, first).value, log.record(&LEDGER_ENTRIES, second).value) = (two, one);
    }),
    ("immutable", |log| {
        log.change(&LEDGER_ENTRIES, is_last_entry, |Entry::EntryPosted(entry)| one_more(&mut entry.amount.amount));
    }),
    ("initiated once", |log| {
        log.double(&TRANSACTIONS_EVENTS, |event| matches!(event, TransactionEvent::TransactionInitiated(_)))
    }),
    ("journal", |log| log.remove(&LEDGER_JOURNAL, |_: &Journal| true)),
    ("journal", |log| {
        log.change(&LEDGER_JOURNAL, |_| true, |Journal::JournalPosted(posted)| posted.lines[0].hash = Hash([7; 32]));
    }),
    ("journal", |log| {
        let nobody = AccountId::parse("nobody").expect("an id");
        log.change(&LEDGER_JOURNAL, |_| true, |Journal::JournalPosted(posted)| posted.lines[0].account_id = nobody);
    }),
    ("journal", |log| {
        let turned = |Journal::JournalPosted(posted): &mut Journal| {
            posted.lines.iter_mut().for_each(|line| turn(&mut line.side));
        };
        log.change(&LEDGER_JOURNAL, |_| true, turned);
    }),
    ("keyed", |log| {
        let spot = log.find(&LEDGER_ENTRIES, is_last_entry);
        log.record(&LEDGER_ENTRIES, spot).key = Some(b"load-000001".to_vec());
    }),
    ("keyed", |log| {
        let spot = log.find(&TRANSACTIONS_LEGS, |leg| matches!(leg, LegEvent::LegRequested(_)));
        log.record(&TRANSACTIONS_LEGS, spot).key = Some(b"nobody".to_vec());
    }),
    ("nothing booked", |log| {
        log.change(&TRANSACTIONS_EVENTS, completed, |event| {
            if let TransactionEvent::TransactionCompleted(end) = event {
                *event = TransactionFailed { transaction_id: end.transaction_id.clone(), reasons: Vec::new() }.into();
            }
        });
    }),
    ("opened before", |log| {
        log.remove(
            &ACCOUNTS_EVENTS,
            |event| matches!(event, AccountEvent::AccountOpened(opened) if opened.account_id.as_str() == PAYER),
        )
    }),
    ("opened once", |log| log.double(&ACCOUNTS_EVENTS, |event| matches!(event, AccountEvent::AccountOpened(_)))),
    ("posts what it held", |log| {
        let wanted = |vote: &Vote| matches!(vote, Vote::LegHeld(held) if held.held.0 > 0 && held.transaction_id.as_str() == "parts");
        log.change(&ACCOUNTS_VOTES, wanted, |vote| {
            if let Vote::LegHeld(held) = vote {
                held.held = Amount(100);
            }
        });
    }),
    ("state", |log| log.remove(&LEDGER_ENTRIES, is_last_entry)),
    ("state", |log| log.remove(&ACCOUNTS_EVENTS, |event| matches!(event, AccountEvent::AccountOpened(_)))),
    ("trial balance", |log| {
        log.change(
            &LEDGER_JOURNAL,
            |_| true,
            |Journal::JournalPosted(posted)| one_more(&mut posted.lines[1].amount.amount),
        );
    }),
    ("view", |log| log.remove(&LEDGER_ENTRIES, is_last_entry)),
    ("votes once", |log| log.double(&ACCOUNTS_VOTES, |vote| matches!(vote, Vote::LegHeld(_)))),
];

/// Declares a transaction otherwise than it was decided and booked.
fn declare(log: &mut Tampered<'_>, change: impl FnOnce(&mut Vec<Leg>)) {
    let wanted = |event: &TransactionEvent| matches!(event, TransactionEvent::TransactionInitiated(initiated) if initiated.transaction_id.as_str() == "parts");
    log.change(&TRANSACTIONS_EVENTS, wanted, |event| {
        if let TransactionEvent::TransactionInitiated(initiated) = event {
            change(&mut initiated.legs);
        }
    });
}

fn turn(side: &mut Side) {
    *side = if *side == Side::Debit { Side::Credit } else { Side::Debit };
}

/// Appends the alarm that a posting is incomplete.
fn incomplete(log: &mut Tampered<'_>, posting: &str) {
    let mut alarm = LedgerAlarm::new(TransactionId::parse("parts").expect("an id"), "incomplete");
    alarm.values.insert("posting".to_owned(), posting.to_owned());
    let partition = partition_of(b"parts", log.partitions());
    log.append(&LEDGER_EVENTS, partition as usize, &LedgerEvent::from(alarm));
}

/// Takes the last byte of a topic's first record.
fn cut(log: &mut Tampered<'_>, topic: &'static str) {
    let first = log.records(topic).iter_mut().flatten().next().expect("a record");
    first.value.as_mut().expect("a value").pop();
}

#[test]
fn every_law_is_seen_to_fail() -> Result<()> {
    let bench = Bench::new()?;
    let mut seen = BTreeSet::new();
    let mut unseen = Vec::new();
    for (number, (law, tamper)) in CASES.iter().enumerate() {
        let found = bench.found(true, tamper)?;
        match found.iter().find(|violation| violation.law == *law) {
            Some(violation) => {
                eprintln!("{violation}");
                seen.insert(*law);
            }
            None => unseen.push(format!("case {number}: {law} is not found broken, but {found:?}")),
        }
    }
    ensure!(unseen.is_empty(), "{}", unseen.join("\n"));
    let never: Vec<_> = LAWS.iter().filter(|law| !seen.contains(*law)).collect();
    ensure!(never.is_empty(), "laws that no case breaks: {never:?}");
    Ok(())
}

#[test]
fn any_flipped_bit_of_an_entry_is_found_at_its_place_even_without_state() -> Result<()> {
    let bench = Bench::new()?;
    let (spot, bytes) = {
        let mut log = Tampered::new(bench.source.log.as_ref());
        let spot = log.find(&LEDGER_ENTRIES, is_last_entry);
        (spot, log.record(&LEDGER_ENTRIES, spot).value.clone().expect("a value"))
    };
    let at = place(spot);
    let mut silent = Vec::new();
    // Every byte of the envelope and of the entry, one bit each, in turn.
    for byte in 0..bytes.len() {
        let bit = byte % 8;
        let found = bench.found(false, |log| {
            log.record(&LEDGER_ENTRIES, spot).value.as_mut().expect("a value")[byte] ^= 1 << bit;
        })?;
        if !found.iter().any(|violation| violation.place == at && violation.subject == format!("account {PAYER}")) {
            silent.push(format!("byte {byte} bit {bit}: {found:?}"));
        }
    }
    ensure!(
        silent.is_empty(),
        "{} of {} flipped bits are not found:\n{}",
        silent.len(),
        bytes.len(),
        silent.join("\n")
    );
    eprintln!("{} flipped bits of {at}, each found there", bytes.len());
    Ok(())
}

#[test]
fn a_cut_tail_is_found_against_state_view_votes_and_journal() -> Result<()> {
    let bench = Bench::new()?;
    let cut = |log: &mut Tampered<'_>| log.remove(&LEDGER_ENTRIES, is_last_entry);
    let laws: BTreeSet<_> = bench.found(true, cut)?.into_iter().map(|violation| violation.law).collect();
    ensure!(laws == BTreeSet::from(["state", "view", "booked"]), "{laws:?}");
    let without = bench.found(false, cut)?;
    ensure!(
        without.len() == 1 && without[0].law == "booked" && without[0].subject == format!("account {PAYER}"),
        "{without:?}"
    );
    eprintln!("{}", without[0]);
    Ok(())
}

#[test]
fn a_chain_that_was_rewritten_and_hashed_again_is_found_without_any_state() -> Result<()> {
    let bench = Bench::new()?;
    let mut spot = (0, 0);
    let found = bench.found(false, |log| {
        spot = log.rewrite_chain(PAYER, AccountKind::Liability, 1, |entry| one_more(&mut entry.amount.amount));
    })?;
    // The chain itself is whole.
    let laws: BTreeSet<_> = found.iter().map(|violation| violation.law).collect();
    ensure!(laws == BTreeSet::from(["booked"]), "{found:?}");
    ensure!(
        found.iter().any(|violation| violation.place == place(spot) && violation.subject == format!("account {PAYER}")),
        "{found:?}"
    );
    eprintln!("{}", found[0]);

    let with_states = bench.found(true, |log| {
        log.rewrite_chain(PAYER, AccountKind::Liability, 1, |entry| one_more(&mut entry.amount.amount));
    })?;
    let laws: BTreeSet<_> = with_states.iter().map(|violation| violation.law).collect();
    ensure!(laws == BTreeSet::from(["booked", "state", "view"]), "{with_states:?}");
    Ok(())
}

#[test]
fn an_alarm_of_a_posting_that_came_after_all_is_counted_and_no_violation() -> Result<()> {
    let bench = Bench::new()?;
    let mut log = Tampered::new(bench.source.log.as_ref());
    incomplete(&mut log, "1");
    let report = bench.verify(&log, true)?;
    ensure!(report.violations.is_empty() && report.counts["alarms"] == 1, "{:?}", report.violations);
    Ok(())
}

#[test]
fn stores_on_other_machines_are_not_compared_and_that_is_told() -> Result<()> {
    let bench = Bench::new()?;
    let report = bench.verify(bench.source.log.as_ref(), false)?;
    let told: Vec<_> = report.uncompared.into_iter().collect();
    ensure!(told == [(("stores", "they are not in the folder that --data names"), 4)], "{told:?}");
    Ok(())
}

#[test]
fn the_rest_of_an_audit_goes_on_after_a_violation() -> Result<()> {
    let bench = Bench::new()?;
    let found = bench.found(true, |log| {
        log.change(&LEDGER_ENTRIES, is_last_entry, |Entry::EntryPosted(entry)| one_more(&mut entry.amount.amount));
        log.double(&TRANSACTIONS_EVENTS, completed);
    })?;
    let laws: BTreeSet<_> = found.iter().map(|violation| violation.law).collect();
    ensure!(laws.is_superset(&BTreeSet::from(["immutable", "ends once"])), "{found:?}");
    Ok(())
}
