//! The laws of the toy graph, each by its name.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use tributary_flow::log::{Log, LogError, Logged, visit};
use tributary_flow::{DEAD_LETTERS, EventId, JournalEntry, MemoryStore, Reader, Store, reader, replay, time};
use tributary_sim::{LOG, SimOptions, Simulation, TaskAt};
use tributary_slot::take_in;

use super::scenes;
use super::workload::{LETTERS, MISSED, ORDERED, PARTITIONS, TIMERS, has_absence, has_timers, tasks};
use super::{Met, Played, audit, end, torn, toy};

/// Whether a law holds, and what breaks it.
type Law = fn(&Played) -> Result<(), String>;

/// Every law, those first whose breaking says most.
pub const LAWS: &[(&str, Law)] = &[
    ("nothing halts", nothing_halts),
    ("money is kept", money_is_kept),
    ("one answer each", one_answer_each),
    ("every answer is counted once", counted_once),
    ("one letter each", one_letter_each),
    ("ids follow from causes", ids_follow_from_causes),
    ("clocks and epochs go on", clocks_go_on),
    ("a crash is soon over", scenes::a_crash_is_soon_over),
    ("a lost process is soon replaced", scenes::a_lost_process_is_soon_replaced),
    ("a log made anew is noticed", scenes::a_log_made_anew_is_noticed),
    ("a torn transaction is noticed", torn::a_torn_transaction_is_noticed),
    ("replay", |played| replays(&played.simulation)),
    ("stores follow the changelog", stores_follow),
    ("views follow their inputs", views_follow),
    ("queries see what is committed", seen_is_committed),
];

fn law(holds: bool, detail: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(detail()) }
}

fn nothing_halts(played: &Played) -> Result<(), String> {
    let halted = played.simulation.halted();
    law(halted.is_empty(), || format!("{halted:?}"))
}

/// Every record of a topic.
fn records(simulation: &Simulation, topic: &str) -> Vec<(u32, Logged)> {
    let log = simulation.log();
    let mut records = Vec::new();
    for partition in 0..log.partitions() {
        visit::<LogError>(log, topic, partition, |record| {
            records.push((partition, record));
            Ok(())
        })
        .expect("invariant: a log in memory can be read");
    }
    records
}

/// What was paid and taken in is what the wallets hold, and nothing comes of nothing.
fn money_is_kept(played: &Played) -> Result<(), String> {
    let (balances, ..) = end(&played.simulation);
    let mut said: BTreeMap<String, i64> = BTreeMap::new();
    for (_, record) in records(&played.simulation, toy::PAID.name) {
        let (_, paid) = toy::paid(&record.value.unwrap());
        *said.entry(paid.from).or_default() -= paid.amount as i64;
    }
    for (_, record) in records(&played.simulation, toy::CREDITS.name) {
        let (_, credit) = toy::credit(&record.value.unwrap());
        *said.entry(credit.to).or_default() += credit.amount as i64;
    }
    let held = |balances: &BTreeMap<String, i64>| balances.values().filter(|held| **held != 0).count();
    let same = said.iter().all(|(wallet, sum)| balances.get(wallet).copied().unwrap_or(0) == *sum);
    law(same && held(&said) == held(&balances), || format!("{balances:?} and {said:?} in the log"))?;
    law(balances.values().sum::<i64>() == 0, || format!("{balances:?}"))
}

/// How often each order was paid, and refused.
pub fn answers(simulation: &Simulation) -> BTreeMap<String, (u64, u64)> {
    let mut answers: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (_, record) in records(simulation, toy::PAID.name) {
        let (fact, paid) = toy::paid(&record.value.unwrap());
        let (given, refused) = answers.entry(fact.answers.unwrap_or_default()).or_default();
        *if paid.amount > 0 { given } else { refused } += 1;
    }
    answers
}

fn one_answer_each(played: &Played) -> Result<(), String> {
    let mut answers = answers(&played.simulation);
    let told = format!("{answers:?}");
    let mut expect = |id: &str, expected: (u64, u64)| {
        let found = answers.remove(id).unwrap_or_default();
        law(found == expected, || format!("{id}: {found:?}, not {expected:?}; {told}"))
    };
    for n in 0..ORDERED {
        // The third's id is used for three other requests.
        expect(&format!("c{n}"), if n == 2 { (1, 3) } else { (1, 0) })?;
    }
    if has_absence(played.simulation.seed()) {
        (0..3).try_for_each(|n| expect(&format!("d{n}"), (1, 0)))?;
        (0..MISSED).try_for_each(|n| expect(&format!("e{n}"), (1, 0)))?;
    }
    if has_timers(played.simulation.seed()) {
        (0..TIMERS).try_for_each(|n| expect(&format!("t{n}"), (1, 0)))?;
    }
    expect("stale", (0, 1))?;
    // What is left was moved before it was due, or not: at least the last was not.
    let left = !answers.is_empty() && answers.iter().all(|(id, count)| id.starts_with("again") && *count == (1, 0));
    law(left, || told.clone())
}

fn counted_once(played: &Played) -> Result<(), String> {
    let (_, answers, counted) = end(&played.simulation);
    let said: u64 = answers.values().sum();
    law(counted == said, || format!("{counted} counted of {said}"))?;
    let facts = said + records(&played.simulation, toy::CREDITS.name).len() as u64;
    let stores = (0..PARTITIONS).filter_map(|partition| played.simulation.store("audit", partition));
    let audited: u64 = stores.map(|store| audit::audited(store)).sum();
    law(audited == facts, || format!("{audited} audited of {facts}"))
}

fn one_letter_each(played: &Played) -> Result<(), String> {
    let code = |(_, record): (u32, Logged)| {
        let code = record.headers.into_iter().find(|(name, _)| name == "code");
        String::from_utf8(code.map(|(_, code)| code).unwrap_or_default()).unwrap()
    };
    let mut codes: Vec<String> = records(&played.simulation, DEAD_LETTERS).into_iter().map(code).collect();
    let mut expected = LETTERS;
    codes.sort();
    expected.sort();
    law(codes == expected, || format!("{codes:?}"))
}

/// The ids of all facts, by what caused them.
fn ids(simulation: &Simulation) -> Vec<(String, EventId)> {
    let paid = records(simulation, toy::PAID.name).into_iter().map(|(_, record)| toy::paid(&record.value.unwrap()).0);
    let credits =
        records(simulation, toy::CREDITS.name).into_iter().map(|(_, record)| toy::credit(&record.value.unwrap()).0);
    paid.chain(credits).map(|fact| (fact.correlation, fact.id)).collect()
}

/// No two facts have one id, and the same cause gives the same one wherever it lies.
fn ids_follow_from_causes(played: &Played) -> Result<(), String> {
    let found = ids(&played.simulation);
    let distinct: BTreeSet<EventId> = found.iter().map(|(_, id)| *id).collect();
    law(distinct.len() == found.len(), || format!("{} ids of {} facts", distinct.len(), found.len()))?;
    let mut calm =
        Simulation::new(SimOptions::new(0, 1, vec![vec!["wallet"]]), |_, partition| toy::tasks(partition, 1));
    let same: Vec<u64> = (0..ORDERED).filter(|n| n % 4 != 0 && *n != 2).rev().collect();
    for n in &same {
        let (from, to) = (format!("w{}", n % 3), format!("w{}", n % 4));
        calm.submit(&toy::ORDERS, &from, toy::order(&format!("c{n}"), "pay", &from, &to, n + 1));
    }
    calm.run_until_quiet().map_err(|error| error.to_string())?;
    let lost = ids(&calm).into_iter().find(|(_, id)| !distinct.contains(id));
    law(lost.is_none(), || format!("in another place {lost:?}"))
}

/// A task's epochs are counted, and its clock never goes back.
fn clocks_go_on(played: &Played) -> Result<(), String> {
    for node in tasks(0, PARTITIONS, true).iter().map(|task| task.node()).filter(|node| !node.is_view()) {
        let mut last = BTreeMap::new();
        for (partition, record) in records(&played.simulation, &node.journal()) {
            let entry = record.value.as_deref().and_then(|value| JournalEntry::decode(value, node));
            let entry = entry.ok_or("no journal entry")?;
            let (epoch, now) = last.insert(partition, (entry.epoch, entry.now)).unwrap_or_default();
            let goes_on = entry.epoch == epoch + 1 && entry.now >= now;
            let name = node.name;
            law(goes_on, || format!("{name}[{partition}]: epoch {} at {:?} behind {epoch}", entry.epoch, entry.now))?;
        }
    }
    Ok(())
}

/// What is written: topic, partition, key, value.
type Written = (String, u32, Option<Vec<u8>>, Option<Vec<u8>>);

/// Every store is what its journal makes of its inputs, row for row, and what that makes are the facts of the log. A view's is what
/// its inputs make of it in any order.
pub fn replays(simulation: &Simulation) -> Result<(), String> {
    let partitions = simulation.log().partitions();
    let mut made: BTreeMap<Written, i64> = BTreeMap::new();
    for partition in 0..partitions {
        for mut task in tasks(partition, partitions, true) {
            let node = task.node().name;
            if simulation.store(node, partition).is_none() && simulation.copies(node, partition).next().is_none() {
                continue; // It is in no placement.
            }
            let replayed = replay::replay(task.as_mut(), simulation.log(), &mut |_, produced| {
                for record in produced {
                    let written = (record.target.name().to_owned(), record.partition, record.key, record.value);
                    *made.entry(written).or_default() += 1;
                }
            })
            .map_err(|error| format!("{node}[{partition}]: {error}"))?;
            let store = simulation.store(node, partition).ok_or_else(|| format!("nobody has {node}[{partition}]"))?;
            law(reader::digest(store) == reader::digest(&replayed), || format!("{node}[{partition}] differs"))?;
        }
    }
    for topic in [toy::CREDITS.name, toy::PAID.name, toy::NOTES.name, DEAD_LETTERS] {
        for (partition, record) in records(simulation, topic) {
            *made.entry((topic.to_owned(), partition, record.key, record.value)).or_default() -= 1;
        }
    }
    // What was forwarded lies in a topic to which clients write as well.
    let odd = made.iter().find(|((topic, ..), count)| topic != toy::ORDERS.name && **count != 0);
    law(odd.is_none(), || format!("{odd:?}"))
}

/// A record of a changelog: offset, key, value.
type Change = (u64, Vec<u8>, Option<Vec<u8>>);

/// The changes of a task as its changelog has them, and its lineage.
fn changelog(simulation: &Simulation, (node, partition): TaskAt) -> (Vec<Change>, Option<Vec<u8>>) {
    let (mut changes, mut lineage) = (Vec::new(), None);
    let topic = format!("node-{node}.changelog.v1");
    for (_, record) in records(simulation, &topic).into_iter().filter(|(at, _)| *at == partition) {
        match record.key {
            Some(key) if key == b"L" => lineage = record.value,
            Some(key) => changes.push((record.offset, key, record.value)),
            None => {}
        }
    }
    (changes, lineage)
}

/// Every store, also those of tasks that others run, is what the changelog says as soon as it is rolled forward from where it
/// says it is.
fn stores_follow(played: &Played) -> Result<(), String> {
    let simulation = &played.simulation;
    let mut folds = BTreeMap::new();
    for (at, store) in simulation.stores().filter(|(at, _)| !is_view(at.0)) {
        let (node, partition) = at;
        let (changes, lineage, fold) = folds.entry(at).or_insert_with(|| {
            let (changes, lineage) = changelog(simulation, at);
            let mut fold = MemoryStore::default();
            changes.iter().for_each(|(_, key, value)| take_in(&mut fold, key, value.as_deref()));
            (changes, lineage, fold)
        });
        law(lineage.is_some() || changes.is_empty(), || format!("{node}[{partition}] has no lineage"))?;
        let Some(row) = store.row() else { continue };
        let end = simulation.log().written(&format!("node-{node}.changelog.v1"), partition).unwrap_or(0);
        let known = row.lineage == [0; 16] || lineage.as_deref() == Some(&row.lineage);
        let old = simulation.now().0 - row.advanced.0 > 3 * time::DAY;
        if row.changelog > end || row.partitions != PARTITIONS || !known || old {
            continue; // It is not rolled forward: that is found out.
        }
        let mut rolled = store.rows();
        let left = changes.iter().filter(|(offset, ..)| *offset >= row.changelog);
        left.for_each(|(_, key, value)| take_in(&mut rolled, key, value.as_deref()));
        law(rolled == *fold, || format!("{node}[{partition}] from {} on", row.changelog))?;
    }
    Ok(())
}

fn is_view(node: &str) -> bool {
    tasks(0, PARTITIONS, true).iter().any(|task| task.node().name == node && task.node().is_view())
}

/// What a view is that has read its inputs up to these offsets.
fn rebuilt(simulation: &Simulation, (node, partition): TaskAt, at: &[u64]) -> Result<[u8; 32], String> {
    let all = tasks(partition, PARTITIONS, true);
    let mut task = all.into_iter().find(|task| task.node().name == node).ok_or("no such view")?;
    let mut rebuilt = replay::Rebuilt::default();
    rebuilt.advance(task.as_mut(), simulation.log(), at).map_err(|error| error.to_string())?;
    Ok(reader::digest(&rebuilt.store))
}

/// Every store of a view, also those that are kept ready for others, is what its inputs make of it up to where it has read them.
fn views_follow(played: &Played) -> Result<(), String> {
    let simulation = &played.simulation;
    for (at, store) in simulation.stores().filter(|(at, _)| is_view(at.0)) {
        let (node, partition) = at;
        let Some(row) = store.row() else { continue };
        let read = positions(node, store);
        let end = |topic: &str| simulation.log().written(topic, partition).unwrap_or(0);
        let within = read.iter().all(|(topic, position)| *position <= end(topic));
        if !within || row.partitions != PARTITIONS || row.lineage != LOG {
            continue; // It is of another log, or says that it is ahead of this one: that is found out.
        }
        let read: Vec<u64> = read.into_iter().map(|(_, position)| position).collect();
        let same = rebuilt(simulation, at, &read)? == reader::digest(store);
        law(same, || format!("{node}[{partition}] at {read:?}"))?;
    }
    Ok(())
}

/// How far a view has read each of its inputs.
pub fn positions(node: &str, store: &dyn Store) -> Vec<(&'static str, u64)> {
    let all = tasks(0, PARTITIONS, true);
    let node = all.iter().map(|task| task.node()).find(|known| known.name == node && known.is_view());
    let inputs = node.map_or(&[][..], |node| node.inputs).iter();
    inputs.map(|topic| (topic.name, Reader::new(store).told_position(topic.name))).collect()
}

/// Whatever queries met of a view is what its inputs make of it, and of any other a committed epoch, whole.
fn seen_is_committed(played: &Played) -> Result<(), String> {
    let mut views: BTreeMap<(TaskAt, &[u64]), [u8; 32]> = BTreeMap::new();
    for Met { at, read, digest, .. } in played.met.iter().filter(|met| is_view(met.at.0)) {
        let known = match views.entry((*at, read)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => *new.insert(rebuilt(&played.simulation, *at, read)?),
        };
        law(known == *digest, || format!("{at:?} having read {read:?}"))?;
    }
    if played.compacted {
        return Ok(());
    }
    let mut epochs: BTreeMap<TaskAt, BTreeMap<u64, [u8; 32]>> = BTreeMap::new();
    for Met { at, epoch, digest, .. } in played.met.iter().filter(|met| !is_view(met.at.0)) {
        let known = epochs.entry(*at).or_insert_with(|| {
            let mut store = MemoryStore::default();
            let mut epochs = BTreeMap::from([(0, reader::digest(&store))]);
            let (changes, _) = changelog(&played.simulation, *at);
            let mut last: Option<Vec<u8>> = None;
            for (_, key, value) in changes {
                // An epoch's changes are in order of key: where it falls, the next begins.
                if last.as_ref().is_some_and(|last| key <= *last) {
                    epochs.insert(Reader::new(&store).epoch(), reader::digest(&store));
                }
                take_in(&mut store, &key, value.as_deref());
                last = Some(key);
            }
            epochs.insert(Reader::new(&store).epoch(), reader::digest(&store));
            epochs
        });
        law(known.get(epoch) == Some(digest), || format!("{at:?} at epoch {epoch}"))?;
    }
    Ok(())
}
