//! What an epoch made, and how it becomes durable: records, state, positions and journals in one synced batch. Then who waits for
//! its commands is answered, and everybody is told.

use rocksdb::WriteBatch;
use tributary_flow::platform::{SubmitError, TaskStatus};
use tributary_flow::{Commit, Input, Place};

use crate::runner::Failed;
use crate::shared::{Answer, Shared, locked};
use crate::state;

/// An epoch of which nothing is written yet.
pub(crate) struct Made {
    pub commit: Commit,
    pub rest: Rest,
}

impl Made {
    /// Makes it durable.
    pub fn write(self, shared: &Shared) -> Result<(), Failed> {
        self.rest.write(&self.commit, shared)
    }
}

/// What there is of it beside what the engine made.
pub(crate) struct Rest {
    /// Its commands, those too that nobody has applied yet.
    pub commands: Vec<Input>,
    /// Where the engine's records will lie, in their order.
    pub records: Vec<u64>,
    /// Where the journal entries of its tasks will.
    pub journals: Vec<u64>,
    /// How the tasks are behind it.
    pub tasks: Vec<TaskStatus>,
    pub answers: Answers,
}

impl Rest {
    /// Makes the epoch of `commit` durable.
    pub fn write(self, commit: &Commit, shared: &Shared) -> Result<(), Failed> {
        let any = !commit.is_empty() || !self.commands.is_empty();
        let written = if any { self.put(commit, shared) } else { Ok(()) };
        let Rest { tasks, answers, .. } = self;
        if let Err(failed) = written {
            return Err(answers.fail(shared, failed));
        }
        shared.publish(tasks); // A halt may be all that happened.
        if any {
            shared.committed();
        }
        answers.give();
        Ok(())
    }

    fn put(&self, commit: &Commit, shared: &Shared) -> Result<(), Failed> {
        let mut blocks = locked(&shared.blocks);
        blocks.clear();
        for Input { topic, partition, offset, key, value } in &self.commands {
            blocks.append(topic.name, *partition, *offset, key.as_deref(), value.as_deref(), [].into_iter());
        }
        for (record, offset) in commit.records.iter().zip(&self.records) {
            let (topic, partition, headers) = (record.target.name(), record.partition, record.headers.iter());
            let headers = headers.map(|(name, value)| (*name, value.as_slice()));
            blocks.append(topic, partition, *offset, record.key.as_deref(), record.value.as_deref(), headers);
        }
        let journals = commit.tasks.iter().filter_map(|task| Some((task, task.journal.as_ref()?)));
        for ((task, journal), offset) in journals.zip(&self.journals) {
            let value = journal.encode();
            blocks.append(&task.node.journal(), task.partition, *offset, None, Some(&value), [].into_iter());
        }
        let mut batch = WriteBatch::default();
        for task in &commit.tasks {
            state::put(&shared.base, task, &mut batch);
        }
        blocks.put(&shared.base, &mut batch);
        Ok(shared.base.write(batch)?)
    }
}

/// Who waits for the commands of an epoch, and where they lie.
pub(crate) struct Answers(pub Vec<(Answer, Place)>);

impl Answers {
    /// The epoch is durable.
    fn give(self) {
        self.0.into_iter().for_each(|(answer, place)| answer.give(Ok(place)));
    }

    /// The epoch failed.
    pub fn fail(self, shared: &Shared, Failed(reason): Failed) -> Failed {
        shared.set_failure(Some(reason.clone()));
        let said = format!("{reason}; whether the command was written is unknown: send it again with the same id");
        for (answer, _) in self.0 {
            answer.give(Err(SubmitError::Unavailable(said.clone())));
        }
        Failed(reason)
    }
}
