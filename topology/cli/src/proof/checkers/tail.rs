//! Follows the committed log: every fact once, in the order of its partition, decoded once for all checkers. Partitions
//! are not ordered among each other, and an effect may be seen before its cause where a transaction's end is seen
//! partition by partition; a checker that needs both waits for both.

use tributary_flow::{DEAD_LETTERS, FactHeader, Header, Log, Logged, Place, TopicRef};
use tributary_graph as graph;
use tributary_schemas::accounts::{AccountEvent, Vote};
use tributary_schemas::ledger::{Entry, Journal, LedgerEvent};
use tributary_schemas::risk::{PartyEvent, RiskEvent};
use tributary_schemas::transactions::{LegEvent, TransactionEvent};

use crate::decode::Decoder;

/// What a record says.
#[derive(Clone, Debug)]
pub enum Body {
    /// From `accounts.events`.
    Account(AccountEvent),
    /// From `accounts.votes`.
    Vote(Vote),
    /// From `transactions.events`.
    Transaction(TransactionEvent),
    /// From `transactions.legs`.
    Leg(LegEvent),
    /// From `parties.events`.
    Party(PartyEvent),
    /// From `risk.events`.
    Risk(RiskEvent),
    /// From `ledger.entries`.
    Entry(Entry),
    /// From `ledger.journal`.
    Journal(Journal),
    /// From `ledger.events`.
    Alarm(LedgerEvent),
    /// A dead letter, by the place that it is about.
    Letter(Place),
}

/// A fact as it lies in the committed log.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its envelope; a dead letter has none.
    pub header: FactHeader,
    /// Its key.
    pub key: String,
    /// Its topic, and where in it.
    pub topic: &'static str,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// What it says.
    pub body: Body,
}

impl Told {
    /// Where it lies, in words.
    #[must_use]
    pub fn at(&self) -> String {
        format!("{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

/// How far the log was read.
pub struct Tail {
    decoder: Decoder,
    /// Topics, with the next offset of each partition.
    topics: Vec<(Option<TopicRef>, Vec<u64>)>,
}

impl Tail {
    /// From the beginning.
    #[must_use]
    pub fn new(decoder: Decoder, partitions: u32) -> Self {
        let facts = graph::TOPICS.iter().copied().filter(|topic| !topic.kind.is_door());
        let topics = facts.map(Some).chain([None]).map(|topic| (topic, vec![0; partitions as usize])).collect();
        Tail { decoder, topics }
    }

    /// Reads on to the committed end.
    ///
    /// # Errors
    /// The log cannot be read, or a record of it cannot be: whose place is told.
    pub fn read(&mut self, log: &dyn Log, mut with: impl FnMut(&Told)) -> anyhow::Result<()> {
        for (topic, offsets) in &mut self.topics {
            let name = topic.map_or(DEAD_LETTERS, |topic| topic.name);
            for (partition, next) in (0..).zip(offsets) {
                while *next < log.range(name, partition)?.end {
                    let records = log.read(name, partition, *next, 2_000)?;
                    let Some(last) = records.last() else { break };
                    *next = last.offset + 1;
                    for record in &records {
                        let told = match topic {
                            Some(topic) => fact(&self.decoder, topic, partition, record),
                            None => letter(partition, record),
                        };
                        with(&told.map_err(|error| error.context(format!("{name}[{partition}]@{}", record.offset)))?);
                    }
                }
            }
        }
        Ok(())
    }
}

fn fact(decoder: &Decoder, topic: TopicRef, partition: u32, record: &Logged) -> anyhow::Result<Told> {
    macro_rules! body {
        ($($of:path => $kind:path),* $(,)?) => {$(
            if topic == &$of {
                let (header, body) = decoder.body(topic, record)?;
                (header, $kind(body))
            } else
        )* {
            anyhow::bail!("no checker reads {}", topic.name)
        }};
    }
    let (header, body) = body! {
        graph::ACCOUNTS_EVENTS => Body::Account,
        graph::ACCOUNTS_VOTES => Body::Vote,
        graph::TRANSACTIONS_EVENTS => Body::Transaction,
        graph::TRANSACTIONS_LEGS => Body::Leg,
        graph::PARTIES_EVENTS => Body::Party,
        graph::RISK_EVENTS => Body::Risk,
        graph::LEDGER_ENTRIES => Body::Entry,
        graph::LEDGER_JOURNAL => Body::Journal,
        graph::LEDGER_EVENTS => Body::Alarm,
    };
    let Header::Fact(header) = header else { anyhow::bail!("a fact in a command's envelope") };
    let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
    Ok(Told { header, key, topic: topic.name, partition, offset: record.offset, body })
}

fn letter(partition: u32, record: &Logged) -> anyhow::Result<Told> {
    let header = |wanted: &str| {
        let found = record.headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let about =
        Place { topic: header("topic"), partition: header("partition").parse()?, offset: header("offset").parse()? };
    Ok(Told {
        header: FactHeader::default(),
        key: String::new(),
        topic: DEAD_LETTERS,
        partition,
        offset: record.offset,
        body: Body::Letter(about),
    })
}
