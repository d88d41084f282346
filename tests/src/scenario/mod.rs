//! Scenario files, run the same on every driver.
//!
//! A file under `tests/scenarios/` tells one story: commands at scripted times, and what must come of them ([`file`]).
//! [`play`] plays it over anything that is a [`Driver`]: [`live`] drives the embedded engine and Kafka, [`simulated`] the
//! simulator. Played in a determined order, one command at a time, the same file ends in the same entries byte for byte
//! wherever hops are fused, and in the same but for ids of causes where they are not ([`entries`]); played at once it ends
//! in the same canonical ledger ([`ledger`]). Every run is audited by all laws, and every node is replayed from its journal.

pub mod entries;
pub mod expect;
pub mod file;
pub mod ledger;
pub mod live;
pub mod play;
pub mod simulated;
pub mod snapshot;

use anyhow::Result;
use tributary_cli::verify::States;
use tributary_flow::{Log, Timestamp, TopicRef};

pub use entries::{Entries, Exactness};
pub use file::Scenario;
pub use ledger::Ledger;
pub use play::{Order, Outcome, play};

/// A driver under a scripted clock.
pub trait Driver {
    /// Which, with what it needs to be run again: partitions, and the seed where there is one.
    fn name(&self) -> String;

    /// Sets the clock. It never goes back.
    fn set_clock(&mut self, now: Timestamp);

    /// Writes a framed command under its key.
    ///
    /// # Errors
    /// It was not taken.
    fn submit(&mut self, topic: TopicRef, key: &str, value: Vec<u8>) -> Result<()>;

    /// Runs until everything submitted has had all its consequences, and no timer is due.
    ///
    /// # Errors
    /// A task halted, or there is no end to it.
    fn settle(&mut self) -> Result<()>;

    /// Stops and starts again, without the nodes of these names.
    ///
    /// # Errors
    /// It does not start.
    fn restart(&mut self, without: &[String]) -> Result<()>;

    /// The log.
    fn log(&self) -> &dyn Log;

    /// Committed state.
    fn states(&self) -> &dyn States;
}
