//! What is handed over in memory is what would be read from the bytes: an engine whose tasks never look at it makes the
//! same commits, record for record and row for row.

use tributary_cli::load::plan::{Maker, Plan, Ready};
use tributary_cli::wiring::Schemas;
use tributary_flow::task::{Produced, Stop};
use tributary_flow::{Around, Engine, InMemory, Input, Store, Task, partition_of};
use tributary_tests::memory::{NOW, PARTITIONS, World, beginning, epoch, halted, tasks};

/// A task that reads every record from its bytes.
struct Reads(Box<dyn Task>);

impl Around for Reads {
    fn inner(&self) -> &dyn Task {
        self.0.as_ref()
    }

    fn inner_mut(&mut self) -> &mut dyn Task {
        self.0.as_mut()
    }

    fn apply(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        _: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        self.0.apply(store, port, input, None, out)
    }
}

fn write(world: &mut World, commands: &[Ready]) -> Vec<Input> {
    let write = |Ready { topic, key, value }: &Ready| {
        let partition = partition_of(key.as_bytes(), PARTITIONS);
        world.write(topic, partition, Some(key.clone().into_bytes()), Some(value.clone()))
    };
    commands.iter().map(write).collect()
}

#[test]
fn whoever_reads_the_bytes_makes_the_same_commits() {
    let (plan, schemas) = (Plan { accounts: 20, refusals: 100, ..Plan::default() }, Schemas::compiled());
    let mut maker = Maker::new(&plan, &schemas);
    let opened: Vec<_> = (0..plan.accounts).map(|index| maker.open(index, NOW)).collect();
    let funded: Vec<_> = (0..plan.accounts).map(|index| maker.fund(index, NOW)).collect();
    let paid = (0..40).map(|at| (10 * at..10 * (at + 1)).map(|number| maker.pay(number, NOW)).collect());
    let all: Vec<Vec<Ready>> = [opened, funded].into_iter().chain(paid).collect();
    let (mut world, mut engine) = beginning();
    let mut other_world = World::new(PARTITIONS);
    let reads = |task| Box::new(Reads(task)) as Box<dyn Task>;
    let mut other_engine = Engine::new(tasks().into_iter().map(reads).collect());
    for (at, commands) in all.iter().enumerate() {
        let now = NOW.plus(at as i64 * 1_000);
        let inputs = [&mut world, &mut other_world].map(|world| write(world, commands));
        let commit = epoch(&mut world, &mut engine, now, &inputs[0]).expect("the epoch runs");
        let other = epoch(&mut other_world, &mut other_engine, now, &inputs[1]).expect("the epoch runs");
        assert!(commit == other, "epoch {at} differs");
        assert!(commit.records.len() >= commands.len());
    }
    assert_eq!(halted(&engine), Vec::<String>::new());
}
