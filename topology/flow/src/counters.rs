//! What tasks count, for whoever watches them.

/// What a task has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Inputs applied.
    pub inputs: u64,
    /// Timers fired.
    pub timers: u64,
    /// Records written.
    pub outputs: u64,
    /// Commands dropped because they were answered before.
    pub duplicates: u64,
    /// Commands refused because their id was used for another request.
    pub conflicts: u64,
    /// Commands that arrived on a partition not their key's.
    pub forwards: u64,
    /// Records that could not be taken.
    pub dead_letters: u64,
}
