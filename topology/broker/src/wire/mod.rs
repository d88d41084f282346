//! The engine's writing half of Kafka's protocol: a transactional producer, and the few calls it is made of.
//!
//! Why not librdkafka's, as for reading: that one sends a request for each partition. An epoch writes to all partitions of all
//! topics of its nodes, some fifty, and a broker takes a connection's requests one after the other, each with a question to the
//! coordinator whether the partition is part of the transaction: 70 ms in which nothing else happens. Here an epoch is one
//! request for each broker that leads any of its partitions.
//!
//! Why it is small: an epoch that fails is computed again from the log, so nothing is ever sent twice. There is no queue, no
//! retry of a batch, no thread. What is asked again is only what the coordinators answer with "not now" or "not here", until
//! a bound has passed. A producer that does not know what the broker has of it is never used again: the next one fences it.
//!
//! Every version of a call used here is spoken by all brokers from Kafka 2.5 on, 4.x included. Deliberately absent: compression, a
//! choice of partitions, acknowledgements other than of all replicas.

mod auth;
mod batch;
mod bytes;
mod calls;
mod cluster;
mod link;
mod outbox;
mod producer;
mod security;
#[cfg(test)]
mod tests;

use tributary_slot::{Failed, Fault};

pub(crate) use calls::Positions;
pub(crate) use producer::Producer;
use security::Security;

type Result<T> = std::result::Result<T, Failed>;

/// What a broker answers a question with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Code(i16);

impl Code {
    const NONE: Code = Code(0);
    const COORDINATOR_LOAD_IN_PROGRESS: Code = Code(14);
    const COORDINATOR_NOT_AVAILABLE: Code = Code(15);
    const NOT_COORDINATOR: Code = Code(16);
    const CONCURRENT_TRANSACTIONS: Code = Code(51);

    /// What it is called, and what it means for a transaction, by <https://kafka.apache.org/protocol#protocol_error_codes>.
    fn meaning(self) -> (&'static str, Fault) {
        match self.0 {
            3 => ("the partition is not known", Fault::Abort),
            5 => ("the partition has no leader", Fault::Abort),
            6 => ("the partition has another leader", Fault::Abort),
            7 => ("the broker ran out of time", Fault::Abort),
            10 => ("the record is larger than the topic takes", Fault::TooLarge),
            14 => ("the coordinator is being loaded", Fault::Abort),
            15 => ("there is no coordinator", Fault::Abort),
            16 => ("it is not the coordinator", Fault::Abort),
            18 => ("the batch is larger than a segment", Fault::TooLarge),
            19 | 20 => ("fewer replicas are in sync than the topic asks for", Fault::Abort),
            22 => ("the generation of the group is over", Fault::Abort),
            25 => ("the group does not know this member", Fault::Abort),
            27 => ("the group is being shared out anew", Fault::Abort),
            29 => ("not authorized to write to the topic", Fault::Abort),
            30 => ("not authorized to use the group", Fault::Abort),
            33 => ("the broker does not have the mechanism", Fault::Abort),
            35 => ("the broker does not speak this version", Fault::Abort),
            45 => ("the sequence has a gap", Fault::Abort),
            47 => ("the producer was fenced by a later one", Fault::ProducerFenced),
            48 => ("the transaction is not open", Fault::Abort),
            49 => ("the producer is not known under its transactional id", Fault::Abort),
            51 => ("the last transaction is not ended yet", Fault::Abort),
            53 => ("not authorized to use the transactional id", Fault::Abort),
            56 => ("the broker cannot write its log", Fault::Abort),
            58 => ("not let in", Fault::Abort),
            59 => ("the partition does not know the producer", Fault::Abort),
            82 => ("another member has the slot", Fault::SlotFenced),
            90 => ("the producer was fenced by a later one", Fault::ProducerFenced),
            _ => ("refused", Fault::Abort),
        }
    }

    /// Whether the same question may be answered otherwise a little later, or elsewhere.
    fn is_passing(self) -> bool {
        self.is_elsewhere() || matches!(self, Code::COORDINATOR_LOAD_IN_PROGRESS | Code::CONCURRENT_TRANSACTIONS)
    }

    /// Whether what is said of a topic may change by itself: a leader is being chosen, or not every broker has heard of a new topic.
    fn is_waited_for(self) -> bool {
        matches!(self.0, 3 | 5)
    }

    /// Whether another broker is to be asked.
    fn is_elsewhere(self) -> bool {
        matches!(self, Code::COORDINATOR_NOT_AVAILABLE | Code::NOT_COORDINATOR)
    }

    fn check(self, doing: impl FnOnce() -> String) -> Result<()> {
        if self == Code::NONE { Ok(()) } else { Err(self.failed(&doing())) }
    }

    fn failed(self, doing: &str) -> Failed {
        let (said, fault) = self.meaning();
        Failed { text: format!("{doing}: {said} (error {} of the broker)", self.0), fault }
    }
}

/// An answer that is not what the protocol says.
fn broken(how: &str) -> Failed {
    lost(format!("the broker's answer is broken: {how}"))
}

/// A question without an answer: what was asked for may have come about, or come about later.
fn lost(text: String) -> Failed {
    Failed { text, fault: Fault::Other }
}
