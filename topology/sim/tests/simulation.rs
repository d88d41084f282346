//! The simulator with a toy graph: what it promises about itself, and the toy's own law under every crash it knows.

#[path = "../../embedded/tests/toy/mod.rs"]
mod toy;

use std::collections::BTreeMap;

use toy::{CREDITS, ORDERS, PAID};
use tributary_flow::log::{Log, LogError, visit};
use tributary_flow::{DEAD_LETTERS, reader, replay};
use tributary_sim::{Count, Crash, Fault, Hops, SimOptions, Simulation};

fn apart(seed: u64, partitions: u32) -> SimOptions {
    SimOptions::new(seed, partitions, vec![vec!["wallet"], vec!["tally"]])
}

fn fused(seed: u64, partitions: u32) -> SimOptions {
    SimOptions { hops: Hops::Owned, ..SimOptions::new(seed, partitions, vec![vec!["wallet", "tally"]]) }
}

/// Fused over a log that others write to as well.
fn foreseen(seed: u64, partitions: u32) -> SimOptions {
    SimOptions { faults: [(Fault::Stranger, 20_000)].into(), ..undisturbed(seed, partitions) }
}

fn undisturbed(seed: u64, partitions: u32) -> SimOptions {
    SimOptions { hops: Hops::Foreseen, ..fused(seed, partitions) }
}

/// Two processes of both nodes, and every fault.
fn stormy(seed: u64, partitions: u32) -> SimOptions {
    let apart = vec![vec!["wallet"], vec!["tally"]];
    let together = vec![vec!["wallet", "tally"]];
    SimOptions { groupings: vec![apart, together.clone()], ..SimOptions::stormy(seed, partitions, together) }
}

/// Balances, how often each command was answered, and how many answers were counted.
type End = (BTreeMap<String, i64>, BTreeMap<String, u64>, u64);

fn simulate(options: SimOptions) -> Simulation {
    let partitions = options.partitions;
    let mut simulation = Simulation::new(options, move |partition| toy::tasks(partition, partitions));
    for n in 0..12 {
        let (from, to) = (format!("w{}", n % 3), format!("w{}", n % 4));
        let verb = if n % 4 == 0 { "later" } else { "pay" };
        let amount = if verb == "later" { 1_000_000 } else { n + 1 };
        simulation.submit(&ORDERS, &from, toy::order(&format!("c{n}"), verb, &from, &to, amount));
        if n == 5 {
            simulation.run_until_quiet().unwrap();
        }
    }
    simulation.run_until_quiet().unwrap();
    simulation.advance(2_000_000);
    simulation.run_until_quiet().unwrap();
    assert_eq!(simulation.halted(), []);
    simulation
}

fn end(simulation: &Simulation) -> End {
    let (mut balances, mut answers, mut counted) = (BTreeMap::new(), BTreeMap::new(), 0);
    for partition in 0..simulation.log().partitions() {
        balances.extend(toy::balances(simulation.store("wallet", partition).unwrap()));
        counted += toy::counted(simulation.store("tally", partition).unwrap());
        visit::<LogError>(simulation.log(), PAID.name, partition, |record| {
            *answers.entry(toy::answered(&record.value.unwrap())).or_default() += 1;
            Ok(())
        })
        .unwrap();
    }
    (balances, answers, counted)
}

/// Every store is what its journal makes of its inputs, row for row.
fn replays(simulation: &Simulation) {
    let partitions = simulation.log().partitions();
    for mut task in (0..partitions).flat_map(|partition| toy::tasks(partition, partitions)) {
        let replayed = replay::replay(task.as_mut(), simulation.log(), &mut |_, _| {}).unwrap();
        let store = simulation.store(task.node().name, task.partition()).unwrap();
        let (seed, node, partition) = (simulation.seed(), task.node().name, task.partition());
        assert_eq!(reader::digest(store), reader::digest(&replayed), "seed {seed}: {node}[{partition}]");
    }
}

#[test]
fn without_faults_every_order_is_paid_once() {
    for partitions in [1, 3] {
        let (balances, answers, counted) = end(&simulate(apart(1, partitions)));
        assert_eq!(balances.values().sum::<i64>(), 0);
        assert!(answers.len() == 12 && answers.values().all(|count| *count == 1), "{answers:?}");
        assert_eq!(counted, 12);
        for options in [fused(2, partitions), foreseen(2, partitions)] {
            assert_eq!(end(&simulate(options)), (balances.clone(), answers.clone(), counted), "fusion changes nothing");
        }
    }
}

#[test]
fn a_crash_at_any_commit_boundary_changes_nothing() {
    for options in [apart(3, 1), apart(4, 3), fused(5, 1), fused(6, 3), foreseen(7, 1), foreseen(8, 3)] {
        let calm = simulate(options.clone());
        assert!(calm.boundaries() > 10 && calm.crashes() == 0);
        for boundary in 0..calm.boundaries() {
            let crashed = simulate(SimOptions { crash: Crash::At(boundary), ..options.clone() });
            assert_eq!((end(&crashed), crashed.crashes()), (end(&calm), 1), "boundary {boundary} of {options:?}");
            replays(&crashed);
        }
    }
}

#[test]
fn crashes_without_end_change_nothing() {
    for seed in 0..40 {
        for options in [apart(seed, 1), apart(seed, 3), fused(seed, 3), foreseen(seed, 3)] {
            let calm = end(&simulate(options.clone()));
            for crash in [Crash::Round, Crash::Chance(2_000)] {
                let crashed = simulate(SimOptions { crash, ..options.clone() });
                assert_eq!(end(&crashed), calm, "seed {seed}, {crash:?}");
                assert!(crashed.crashes() > 0 || crash != Crash::Round);
                replays(&crashed);
            }
        }
    }
}

#[test]
fn duplicates_and_strays_change_nothing() {
    for seed in 0..40 {
        for options in [apart(seed, 3), fused(seed, 3), foreseen(seed, 3)] {
            let calm = end(&simulate(options.clone()));
            let faulty =
                SimOptions { duplicate_commands: true, misroute_commands: true, crash: Crash::Chance(500), ..options };
            let faulty = simulate(faulty);
            assert_eq!(end(&faulty), calm, "seed {seed}");
            let orders: usize =
                (0..3).map(|partition| faulty.log().read(ORDERS.name, partition, 0, 999).unwrap().len()).sum();
            assert!(orders >= 24, "{orders}: twelve orders, twelve copies, and what was forwarded");
            replays(&faulty);
        }
    }
}

#[test]
fn hops_are_fused_where_offsets_are_foreseen_and_a_wrong_guess_costs_an_epoch_and_no_more() {
    let (mut steps, mut surprises) = (0, 0);
    for seed in 0..20 {
        let calm = simulate(undisturbed(seed, 3));
        assert_eq!(calm.surprises(), 0, "seed {seed}: nobody else wrote");
        let one_by_one = simulate(SimOptions { hops: Hops::Apart, ..foreseen(seed, 3) });
        let disturbed = simulate(foreseen(seed, 3));
        assert_eq!(end(&disturbed), end(&one_by_one), "seed {seed}");
        steps += i64::try_from(one_by_one.boundaries()).unwrap() - i64::try_from(calm.boundaries()).unwrap();
        surprises += disturbed.surprises();
        replays(&disturbed);
    }
    assert!(steps > 0 && surprises > 0, "{steps} boundaries spared, {surprises} surprises");
}

#[test]
fn a_seed_decides_every_byte() {
    let stormy = |seed| {
        let options = SimOptions {
            duplicate_commands: true,
            misroute_commands: true,
            crash: Crash::Chance(1_000),
            ..apart(seed, 3)
        };
        simulate(options).log_hash()
    };
    assert_eq!(stormy(7), stormy(7));
    assert_ne!(stormy(7), stormy(8));
}

#[test]
fn after_a_restart_timers_wait_until_the_log_is_read() {
    for seed in 0..20 {
        for options in [apart(seed, 1), fused(seed, 1), foreseen(seed, 1)] {
            let mut simulation = Simulation::new(options, |partition| toy::tasks(partition, 1));
            simulation.submit(&ORDERS, "ann", toy::order("1", "later", "ann", "bob", 1_000_000));
            simulation.run_until_quiet().unwrap();
            simulation.kill("wallet");
            simulation.submit(&ORDERS, "ann", toy::order("2", "cancel", "ann", "bob", 0));
            simulation.advance(2_000_000);
            simulation.run_until_quiet().unwrap();
            assert_eq!(end(&simulation).1, BTreeMap::new(), "seed {seed}: the log had cancelled it");
        }
    }
}

#[test]
fn a_bad_record_becomes_a_dead_letter_once() {
    let mut simulation =
        Simulation::new(SimOptions { crash: Crash::Round, ..apart(9, 1) }, |partition| toy::tasks(partition, 1));
    simulation.produce(&ORDERS, 0, None, Some(b"no envelope".to_vec()));
    simulation.run_until_quiet().unwrap();
    assert_eq!(simulation.log().read(DEAD_LETTERS, 0, 0, 9).unwrap().len(), 1);
    assert!(simulation.log().read(CREDITS.name, 0, 0, 9).unwrap().is_empty());
}

/// `SEEDS` asks for more of them.
fn seeds() -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1_000)
}

#[test]
fn a_storm_changes_nothing() {
    let mut struck = BTreeMap::<&str, Count>::new();
    for seed in 0..seeds() {
        let simulation = storm(seed);
        replays(&simulation);
        let (balances, answers, counted) = end(&simulation);
        assert_eq!(balances.values().sum::<i64>(), 0, "seed {seed}");
        assert!(answers.len() == 12 && answers.values().all(|count| *count == 1), "seed {seed}: {answers:?}");
        assert_eq!(counted, 12, "seed {seed}");
        for (fault, count) in simulation.faults() {
            let sum = struck.entry(fault).or_default();
            (sum.injected, sum.in_epoch) = (sum.injected + count.injected, sum.in_epoch + count.in_epoch);
        }
    }
    for (fault, _) in Fault::STORM {
        let met = struck.get(fault.name()).is_some_and(|count| count.in_epoch > 0);
        assert!(met, "{} never struck: {struck:?}", fault.name());
    }
}

/// Orders come while everything goes wrong; then it is calm, and all that is due is done.
fn storm(seed: u64) -> Simulation {
    let mut simulation = Simulation::new(stormy(seed, 3), |partition| toy::tasks(partition, 3));
    let run = |simulation: &mut Simulation, turns: u32| {
        for _ in 0..turns {
            simulation.turn().unwrap_or_else(|error| panic!("{error}"));
        }
    };
    for n in 0..12 {
        let (from, to) = (format!("w{}", n % 3), format!("w{}", n % 4));
        let verb = if n % 4 == 0 { "later" } else { "pay" };
        let amount = if verb == "later" { 1_000_000 } else { n + 1 };
        simulation.submit(&ORDERS, &from, toy::order(&format!("c{n}"), verb, &from, &to, amount));
        run(&mut simulation, 200);
    }
    simulation.calm();
    simulation.run_until_quiet().unwrap_or_else(|error| panic!("{error}"));
    simulation.advance(20_000_000); // Clocks may be wrong by seconds.
    simulation.run_until_quiet().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(simulation.halted(), []);
    simulation
}

#[test]
fn who_stands_by_has_what_the_owner_has() {
    for standby in [true, false] {
        let options = SimOptions { processes: 3, standby, ..undisturbed(1, 3) };
        let simulation = simulate(options);
        let mut alike = 0;
        for (node, partition) in ["wallet", "tally"].into_iter().flat_map(|node| (0..3).map(move |at| (node, at))) {
            let owned = reader::digest(simulation.store(node, partition).unwrap());
            alike += simulation.copies(node, partition).filter(|copy| reader::digest(*copy) == owned).count();
        }
        assert_eq!(alike, if standby { 18 } else { 6 }, "of three processes with six tasks each");
    }
}
