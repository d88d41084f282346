//! The commit protocols as lists of steps. The simulator walks them, and a crash may fall between any two: a driver that
//! gains a step gains it here, and every test that enumerates boundaries meets it.

/// One step of a commit: each happens wholly or not at all, and what is between two steps is where a process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Inputs are taken and the epoch is computed, in memory.
    Compute,
    /// The outputs are written, in a transaction that this begins.
    Records,
    /// What the tasks changed is written to their changelogs, positions included.
    Changelog,
    /// The tasks' journal entries are written.
    Journal,
    /// The transaction is committed: from here on it happened.
    Marker,
    /// The stores take in what the changelog holds.
    Apply,
    /// Outputs, state, positions and journal are written as one.
    Batch,
}

/// The commit of a process that shares the log with others: one transaction of the log, then the stores.
pub const TRANSACTION: &[Step] =
    &[Step::Compute, Step::Records, Step::Changelog, Step::Journal, Step::Marker, Step::Apply];

/// The commit of a process that owns log and state.
pub const BATCH: &[Step] = &[Step::Compute, Step::Batch];

/// When processes die. A boundary is a place before, between or after the steps of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Never.
    Never,
    /// At one boundary, counted from 0 over the whole run: a test enumerates them.
    At(u64),
    /// At a boundary further on with each attempt of a process, and at none in every last: a run meets them all, again and
    /// again, and still ends.
    Round,
    /// At so many boundaries of ten thousand, by chance.
    Chance(u32),
}
