//! What is read back from the log and the stores: journals and rows of state. The broker and RocksDB keep checksums over
//! both; whatever gets past them is an error with words, where it can be seen at all, and never more than one task's.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use tributary_flow::journal::JournalEntry;
use tributary_flow::{Engine, Timestamp, replay};

use crate::bytes::{commands, edited, edits};
use crate::cases;
use crate::records::untouched;
use tributary_tests::memory::{NOW, World, beginning, epoch, halted, tasks};

/// After a small bank's day, twice over.
fn day() -> &'static World {
    static DAY: OnceLock<World> = OnceLock::new();
    DAY.get_or_init(|| {
        let (mut world, mut engine) = beginning();
        for now in [NOW, NOW.plus(60_000_000)] {
            busy(&mut world, &mut engine, now);
        }
        assert_eq!(halted(&engine), Vec::<String>::new());
        world
    })
}

/// Every command that there is, each with all that follows, and the timers.
fn busy(world: &mut World, engine: &mut Engine, now: Timestamp) {
    for seed in commands() {
        let input = untouched(seed).write(world);
        epoch(world, engine, now, &[input]).expect("an epoch");
    }
    epoch(world, engine, now, &[]).expect("an epoch");
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn a_changed_journal_is_replayed_to_its_end_or_named(
        which in any::<Index>(),
        at in any::<Index>(),
        edits in edits(),
    ) {
        let mut tasks = tasks();
        tasks.retain(|task| !task.node().is_view());
        let many = tasks.len();
        let task = &mut tasks[which.index(many)];
        let (node, partition) = (task.node(), task.partition());
        let mut world = day().clone();
        let journal = world.log.get_mut(&(node.journal(), partition)).expect("a journal");
        let at = at.index(journal.len());
        let whole = journal[at].value.clone().expect("a value");
        let changed = edited(&whole, &edits);
        journal[at].value = Some(changed.clone());
        let replayed = replay::replay(task.as_mut(), &world, &mut |_, _| {});
        match JournalEntry::decode(&changed, node) {
            None => {
                let error = replayed.expect_err("no entry").to_string();
                prop_assert_eq!(error, format!("journal offset {at}: not a journal entry"));
            }
            Some(entry) => {
                prop_assert!(entry.encode() == changed, "it is read as what it says");
                if changed == whole {
                    prop_assert!(replayed.is_ok());
                } else if let Err(error) = replayed {
                    prop_assert!(error.to_string().len() > 10, "{error}");
                }
            }
        }
    }

    #[test]
    fn a_changed_row_of_state_halts_its_task_at_most(which in any::<Index>(), at in any::<Index>(), edits in edits()) {
        let mut world = day().clone();
        let of = which.index(world.stores.len());
        let (node, partition) = *world.stores.keys().nth(of).expect("a store");
        let pairs = &mut world.stores.get_mut(&(node, partition)).expect("a store").pairs;
        let row = at.index(pairs.len());
        let value = pairs.values_mut().nth(row).expect("a row");
        *value = edited(value, &edits);
        let mut engine = Engine::new(tasks());
        engine.positions(&world);
        engine.next_timer(&world);
        busy(&mut world, &mut engine, NOW.plus(120_000_000));
        engine.positions(&world);
        engine.next_timer(&world);
        for said in halted(&engine) {
            prop_assert!(said.starts_with(&format!("{node}[{partition}]: ")), "another's row was changed: {said}");
        }
    }
}
