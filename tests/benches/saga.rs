//! What a payment costs the engine: all its steps in all nodes, views too, over state in memory, from the command to its
//! outcome. What a store, a client and a broker cost is not in it. `make instructions` counts what no noise changes.
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tributary_cli::load::plan::{Maker, Plan, Ready};
use tributary_cli::wiring::Schemas;
use tributary_flow::{Commit, Engine, Input, partition_of};
use tributary_tests::memory::{NOW, PARTITIONS, World, beginning, epoch, halted, run};

/// Payments that are there before the first is measured.
const BEFORE: u32 = 2_000;

/// Everything that ran so far.
struct Bench<'a> {
    world: World,
    engine: Engine,
    maker: Maker<'a>,
    paid: u32,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a Plan, schemas: &'a Schemas) -> Self {
        let ((world, engine), maker) = (beginning(), Maker::new(plan, schemas));
        let mut bench = Bench { world, engine, maker, paid: 0 };
        let opened: Vec<_> = (0..plan.accounts).map(|index| bench.maker.open(index, NOW)).collect();
        let funded: Vec<_> = (0..plan.accounts).map(|index| bench.maker.fund(index, NOW)).collect();
        let paid = bench.payments(BEFORE);
        for commands in [opened, funded, paid] {
            let inputs = bench.write(commands);
            epoch(&mut bench.world, &mut bench.engine, NOW, &inputs).expect("the epoch runs");
        }
        bench
    }

    fn payments(&mut self, many: u32) -> Vec<Ready> {
        let numbers = self.paid..self.paid + many;
        self.paid = numbers.end;
        numbers.map(|number| self.maker.pay(number, NOW)).collect()
    }

    fn write(&mut self, commands: Vec<Ready>) -> Vec<Input> {
        let write = |Ready { topic, key, value }| {
            let partition = partition_of(key.as_bytes(), PARTITIONS);
            self.world.write(topic, partition, Some(key.into_bytes()), Some(value))
        };
        commands.into_iter().map(write).collect()
    }

    /// An epoch of so many payments; how long it took to compute.
    fn pay(&mut self, payments: u32) -> Duration {
        let commands = self.payments(payments);
        let inputs = self.write(commands);
        let since = Instant::now();
        let commit = measured(&self.world, &mut self.engine, &inputs);
        let (took, records) = (since.elapsed(), commit.records.len());
        assert_eq!(halted(&self.engine), Vec::<String>::new());
        assert!(records > 10 * payments as usize, "a payment is more than {records} / {payments} records");
        self.world.commit(&commit);
        took
    }
}

/// What is measured, and nothing else: whoever counts instructions counts between its beginning and its end.
#[inline(never)]
fn measured(world: &World, engine: &mut Engine, inputs: &[Input]) -> Commit {
    run(world, engine, NOW, inputs).expect("the epoch runs")
}

fn saga(criterion: &mut Criterion) {
    let (plan, schemas) = (Plan::default(), Schemas::compiled());
    let mut group = criterion.benchmark_group("a payment");
    for payments in [1, 30, 1_000] {
        let mut bench = None; // Made for who is chosen.
        group.throughput(Throughput::Elements(payments.into()));
        group.bench_function(format!("{payments} to an epoch"), |bencher| {
            let bench = bench.get_or_insert_with(|| Bench::new(&plan, &schemas));
            bencher.iter_custom(|times| (0..times).map(|_| bench.pay(payments)).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, saga);
criterion_main!(benches);
