//! What is played in a world in memory.

use tributary_flow::{Commit, Engine, Input, Logged, Reader, Stores as _, Timestamp, partition_of};

pub use tributary_flow::testing::World;

use super::counter;

/// Playing in a world.
pub trait Play {
    /// Writes the inputs and runs one epoch over them.
    fn epoch(&mut self, engine: &mut Engine, now: i64, inputs: Vec<Input>, fused: bool) -> Commit;
    /// What the counter keeps of a key.
    fn sum(&self, key: &str) -> Option<i64>;
}

impl Play for World {
    fn epoch(&mut self, engine: &mut Engine, now: i64, inputs: Vec<Input>, fused: bool) -> Commit {
        for Input { topic, partition, key, value, .. } in inputs.clone() {
            self.append(topic.name, partition, Logged { key, value, ..Logged::default() });
        }
        let commit = self.run(engine, Timestamp(now), 100, fused, &inputs).expect("an epoch");
        self.commit(&commit);
        commit
    }

    fn sum(&self, key: &str) -> Option<i64> {
        Reader::new(self.store(&counter::NODE, partition_of(key.as_bytes(), self.partitions))).head(key)
    }
}
