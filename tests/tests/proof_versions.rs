//! A fleet of two versions: both write to every topic, both decide in the same tasks, and where either takes the other's
//! records for its own, the proof says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tributary_cli::proof::versions::{self, Builds};
use tributary_cli::proof::{Scenario, World, run_with};
use tributary_cli::replay::{Span, replay};
use tributary_cli::wiring::Schemas;
use tributary_flow::framing::unframe;
use tributary_flow::task::TranslateError;
use tributary_flow::{JournalEntry, LogError, Registry, log};
use tributary_graph::{TOPICS, writers};
use tributary_schemas::schema_id;
use tributary_sim::{Fault, SimOptions, Version};
use tributary_tests::scenario::simulated::together;

const PARTITIONS: u32 = 1;

/// A fleet that has had some payments, and is upgraded and rolled back more often than in a storm.
fn fleet() -> Result<World> {
    let builds = Builds::new(PARTITIONS, Arc::new(versions::schemas()));
    let mut options = SimOptions::stormy(3, PARTITIONS, together());
    options.faults.insert(Fault::Upgrade, 1_500);
    let mut world = World::new(options, move |version, partition| builds.tasks(version, partition));
    while world.workload().sent().payments < 400 {
        world.act()?;
    }
    world.calm();
    ensure!(world.settle(0)?, "it comes to rest");
    Ok(world)
}

#[test]
fn both_versions_write_to_every_topic_and_decide_in_every_task() -> Result<()> {
    let world = fleet()?;
    let seen = world.seen();
    for topic in TOPICS {
        let mut written: BTreeMap<u32, usize> = BTreeMap::new();
        log::visit::<LogError>(seen.log, topic.name, 0, |record| {
            if let Some((id, _)) = record.value.as_deref().and_then(|value| unframe(value).ok()) {
                *written.entry(id).or_default() += 1;
            }
            Ok(())
        })?;
        let older = schema_id(topic.schema).context("a topic's schema")?;
        let both = [older, versions::newer_id(topic.schema)].into_iter().all(|id| written.contains_key(&id));
        // An alarm would be a bug.
        ensure!(both || written.is_empty() && topic.name == "ledger.events.v1", "{}: {written:?}", topic.name);
    }
    for node in writers() {
        let mut builds = Vec::new();
        log::visit::<LogError>(seen.log, &node.journal(), 0, |record| {
            let entry = record.value.as_deref().and_then(|value| JournalEntry::decode(value, node));
            builds.extend(entry.map(|entry| entry.build));
            Ok(())
        })?;
        builds.dedup();
        let distinct: BTreeSet<_> = builds.iter().collect();
        ensure!(distinct.len() == 2 && builds.len() > 2, "{} is not rolled back: {builds:?}", node.name);
    }
    Ok(())
}

#[test]
fn one_version_alone_does_not_replay_what_both_have_written() -> Result<()> {
    let world = fleet()?;
    let seen = world.seen();
    let node = writers().find(|node| node.name == "account").context("a node")?;
    let report = replay(seen.log, node, seen.registry.clone(), Span::ALL, true)?;
    ensure!(report.equal > 0 && !report.missing.is_empty() && !report.surplus.is_empty(), "{report:?}");
    Ok(())
}

/// A registry of an older build that is wrong about what newer ones write.
struct Wrong {
    schemas: Schemas,
    translate: fn(&[u8]) -> Result<Vec<u8>, TranslateError>,
}

impl Registry for Wrong {
    fn id(&self, schema: &str) -> u32 {
        self.schemas.id(schema)
    }

    fn translate(&self, schema: &str, id: u32, datum: &[u8]) -> Result<Vec<u8>, TranslateError> {
        if id == versions::newer_id(schema) {
            (self.translate)(datum)
        } else {
            self.schemas.translate(schema, id, datum)
        }
    }
}

/// The checkers that catch an older build that is wrong about newer records.
fn caught(translate: fn(&[u8]) -> Result<Vec<u8>, TranslateError>) -> BTreeSet<&'static str> {
    let scenario = Scenario { seed: 1, payments: 300, partitions: None };
    let builds = Builds::new(scenario.partitions(), Arc::new(Wrong { schemas: versions::schemas(), translate }));
    let run = run_with(&scenario, move |version, partition| builds.tasks(version, partition));
    for violation in run.violations.iter().take(3) {
        eprintln!("{violation}");
    }
    run.violations.iter().map(|violation| violation.checker).collect()
}

#[test]
fn who_takes_a_newer_record_for_its_own_is_caught() {
    let by = caught(|datum| Ok(datum.to_vec()));
    assert!(by.contains("outcomes"), "{by:?}");
}

#[test]
fn who_does_not_know_the_newer_schema_is_caught() {
    let by = caught(|_| Err(TranslateError::Unknown));
    assert!(by.contains("outcomes"), "{by:?}");
}

#[test]
fn either_version_alone_keeps_every_law() {
    for version in [Version::Older, Version::Newer] {
        let scenario = Scenario { seed: 2, payments: 200, partitions: None };
        let builds = Builds::new(scenario.partitions(), Arc::new(versions::schemas()));
        let run = run_with(&scenario, move |_, partition| builds.tasks(version, partition));
        assert!(run.violations.is_empty(), "{version:?}: {:?}", run.violations);
    }
}
