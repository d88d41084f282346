//! What an epoch made, and how it becomes durable: records, state, positions and journals in one synced batch. Then who waits for
//! its commands is answered, and everybody is told.

use rocksdb::WriteBatch;
use tributary_flow::platform::{SubmitError, TaskStatus};
use tributary_flow::{Commit, Place};

use crate::log::Blocks;
use crate::runner::Failed;
use crate::shared::{Answer, Shared};
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
    /// Its records, commands and journals too, as they will lie.
    pub blocks: Blocks,
    /// How the tasks are behind it.
    pub tasks: Vec<TaskStatus>,
    pub answers: Answers,
}

impl Rest {
    /// Makes the epoch of `commit` durable.
    pub fn write(self, commit: &Commit, shared: &Shared) -> Result<(), Failed> {
        let Rest { blocks, tasks, answers } = self;
        let any = !commit.is_empty() || !blocks.is_empty();
        if any && let Err(failed) = write(commit, blocks, shared) {
            return Err(answers.fail(shared, failed));
        }
        shared.publish(tasks); // A halt may be all that happened.
        if any {
            shared.committed();
        }
        answers.give();
        Ok(())
    }
}

fn write(commit: &Commit, blocks: Blocks, shared: &Shared) -> Result<(), Failed> {
    let mut batch = WriteBatch::default();
    for task in &commit.tasks {
        state::put(&shared.base, task, &mut batch);
    }
    blocks.put(&shared.base, &mut batch);
    Ok(shared.base.write(batch)?)
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
