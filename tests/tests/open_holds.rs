//! One account with a million open holds costs what one with ten costs: a step touches the rows that it needs, and a commit
//! carries those rows alone. Shown on each node that a hold passes, over RocksDB, task by task.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rocksdb::{DB, Options, ReadOptions, WriteBatch, WriteOptions};
use tributary_account::AccountProcessor;
use tributary_cli::wiring::{self, Schemas};
use tributary_flow::framing::frame;
use tributary_flow::store::Visit;
use tributary_flow::task::Stop;
use tributary_flow::{
    Body, EventId, FactHeader, Header, Input, Processor, ProcessorTask, Produced, Store, Task, Timestamp, TopicRef,
};
use tributary_graph::{ACCOUNTS_COMMANDS, ACCOUNTS_EVENTS, TRANSACTIONS_LEGS};
use tributary_query_api::AccountView;
use tributary_risk::RiskProcessor;
use tributary_schemas::accounts::{AccountCommand, AccountEvent, AccountOpened, OpenAccount};
use tributary_schemas::transactions::{LegCancelled, LegConfirmed, LegEvent, LegLine, LegRequested};
use tributary_schemas::{AccountId, AccountKind, Amount, Currency, Money, Reason, Side, TransactionId, schema_id};

const FEW: u32 = 10;
const MANY: u32 = 1_000_000;
/// Steps of each kind that are measured.
const SAMPLES: u32 = 1_000;
/// What a step over many may cost, of one over few.
const FACTOR: u32 = 2;
const EUR: Currency = Currency::of("EUR");

/// A task's rows in a database of their own.
struct Rows(DB);

impl Rows {
    fn apply(&self, changes: &tributary_flow::Changes) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in changes.iter() {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        let mut unsynced = WriteOptions::default();
        unsynced.disable_wal(true);
        Ok(self.0.write_opt(batch, &unsynced)?)
    }
}

impl Store for Rows {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).expect("a store that can be read")
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        let mut options = ReadOptions::default();
        options.set_iterate_range(from.to_vec()..to.to_vec());
        let mut rows = self.0.raw_iterator_opt(options);
        if reverse {
            rows.seek_to_last()
        } else {
            rows.seek_to_first()
        }
        while let Some((key, value)) = rows.item() {
            if let ControlFlow::Break(()) = visit(key, value) {
                return;
            }
            if reverse { rows.prev() } else { rows.next() }
        }
    }
}

/// A task with its store, and the offsets of its inputs.
struct Rig<P: Processor> {
    task: ProcessorTask<P>,
    rows: Rows,
    offsets: Vec<u64>,
    events: u32,
    out: Vec<Produced>,
    _folder: tempfile::TempDir,
}

/// What a step cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    time: Duration,
    bytes: usize,
}

impl<P: Processor> Rig<P> {
    fn new(processor: P) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut options = Options::default();
        options.create_if_missing(true);
        let setup = wiring::setup(1, Arc::new(Schemas::compiled()));
        let task = ProcessorTask::new(Arc::new(processor), 0, setup);
        let offsets = vec![0; task.node().inputs.len()];
        let rows = Rows(DB::open(&options, folder.path())?);
        Ok(Rig { task, rows, offsets, events: 0, out: Vec::new(), _folder: folder })
    }

    /// Applies a record, where the node reads its topic.
    fn apply<B: Body>(&mut self, topic: TopicRef, body: &B) -> Result<()> {
        let Some(port) = self.task.node().inputs.iter().position(|input| input.name == topic.name) else {
            return Ok(());
        };
        self.events += 1;
        let header = if topic.kind.is_door() {
            let (id, time) = (self.events.to_string(), now());
            Header::Command(tributary_flow::CommandHeader { id, time, ..Default::default() })
        } else {
            let id = EventId::of_command("test", body.key(), &self.events.to_string(), &[]);
            Header::Fact(FactHeader { id, time: now(), ..FactHeader::default() })
        };
        let mut value = frame(schema_id(topic.schema).context("a schema")?);
        body.encode(&header, &mut value);
        let (key, value) = (Some(body.key().as_bytes().to_vec()), Some(value));
        let input = Input { topic, partition: 0, offset: self.offsets[port], key, value };
        self.offsets[port] += 1;
        self.out.clear();
        let stopped = |stop| match stop {
            Stop::Halt(reason) | Stop::Retry(reason) => anyhow::anyhow!(reason),
        };
        self.task.apply(&self.rows, port, &input, None, &mut self.out).map_err(stopped)
    }

    /// One record, one commit.
    fn commit<B: Body>(&mut self, topic: TopicRef, body: &B) -> Result<Cost> {
        let since = Instant::now();
        self.task.begin(&self.rows, now());
        self.apply(topic, body)?;
        let commit = self.task.finish();
        let time = since.elapsed();
        let Some(commit) = commit else { return Ok(Cost { time, bytes: 0 }) };
        self.rows.apply(&commit.changes)?;
        let changed = commit.changes.iter().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len));
        let written = self.out.iter().map(|record| record.value.as_ref().map_or(0, Vec::len));
        Ok(Cost { time, bytes: changed.chain(written).sum() })
    }

    /// Opens the account, funds it, and holds so many times.
    fn load(&mut self, holds: u32) -> Result<()> {
        self.commit(
            &ACCOUNTS_COMMANDS,
            &AccountCommand::from(OpenAccount::new(account(), AccountKind::Liability, EUR)),
        )?;
        let opened = AccountOpened::new(account(), AccountKind::Liability, EUR, "", Amount::ZERO);
        self.commit(&ACCOUNTS_EVENTS, &AccountEvent::from(opened))?;
        self.commit(&TRANSACTIONS_LEGS, &requested("fund", Side::Credit, 100_000_000))?;
        self.commit(&TRANSACTIONS_LEGS, &confirmed("fund", Side::Credit, 100_000_000))?;
        for first in (0..holds).step_by(5_000) {
            self.task.begin(&self.rows, now());
            for hold in first..holds.min(first + 5_000) {
                self.apply(&TRANSACTIONS_LEGS, &requested(&format!("open-{hold:07}"), Side::Debit, 1))?;
            }
            if let Some(commit) = self.task.finish() {
                self.rows.apply(&commit.changes)?;
            }
        }
        Ok(())
    }
}

fn now() -> Timestamp {
    Timestamp(1_790_000_000_000_000)
}

fn account() -> AccountId {
    AccountId::parse("busy").expect("an id")
}

fn transaction(id: &str) -> TransactionId {
    TransactionId::parse(id).expect("an id")
}

fn line(side: Side, units: i128) -> Vec<LegLine> {
    vec![LegLine { line: 0, side, amount: Money::of(Amount(units * Amount::UNIT), EUR) }]
}

fn requested(id: &str, side: Side, units: i128) -> LegEvent {
    let counterparties = vec![AccountId::parse("other").expect("an id")];
    LegRequested { transaction_id: transaction(id), account_id: account(), lines: line(side, units), counterparties }
        .into()
}

fn confirmed(id: &str, side: Side, units: i128) -> LegEvent {
    LegConfirmed {
        transaction_id: transaction(id),
        account_id: account(),
        posting: 1,
        lines: line(side, units),
        booked_at: now(),
        value_date: now().date(),
        r#final: true,
    }
    .into()
}

fn cancelled(id: &str) -> LegEvent {
    let reason = Reason::new("voided", "test");
    LegCancelled { transaction_id: transaction(id), account_id: account(), reason }.into()
}

fn median(costs: &[Cost]) -> Cost {
    let mut times: Vec<Duration> = costs.iter().map(|cost| cost.time).collect();
    let mut bytes: Vec<usize> = costs.iter().map(|cost| cost.bytes).collect();
    times.sort_unstable();
    bytes.sort_unstable();
    Cost { time: times[times.len() / 2], bytes: bytes[bytes.len() / 2] }
}

/// Compares a node over few open holds with the same node over many, step by step in turn.
fn compare<P: Processor>(make: impl Fn() -> P) -> Result<()> {
    let (mut few, mut many) = (Rig::new(make())?, Rig::new(make())?);
    let node = few.task.node().name;
    few.load(FEW)?;
    let since = Instant::now();
    many.load(MANY)?;
    eprintln!("{node}: {MANY} holds in {:.1?}", since.elapsed());
    let kinds: [(&str, Make, u32); 4] = [
        ("hold", |id| requested(id, Side::Debit, 1), 0),
        ("post", |id| confirmed(id, Side::Debit, 1), 0),
        ("hold again", |id| requested(id, Side::Debit, 1), SAMPLES),
        ("void", cancelled, SAMPLES),
    ];
    for (what, leg, first) in kinds {
        let (mut over_few, mut over_many) = (Vec::new(), Vec::new());
        for sample in 0..SAMPLES {
            let leg = leg(&format!("more-{:06}", first + sample));
            over_few.push(few.commit(&TRANSACTIONS_LEGS, &leg)?);
            over_many.push(many.commit(&TRANSACTIONS_LEGS, &leg)?);
        }
        let (few, many) = (median(&over_few), median(&over_many));
        eprintln!(
            "{node}, {what}: over {FEW} open holds {:.1?} and {} bytes a commit, over {MANY} {:.1?} and {} bytes",
            few.time, few.bytes, many.time, many.bytes
        );
        // Two microseconds for the noise of the clock and the neighbours.
        let bound = (few.time + Duration::from_micros(2)) * FACTOR;
        ensure!(many.time <= bound, "{node}, {what}: {:?} over many and {:?} over few", many.time, few.time);
        ensure!(many.bytes <= few.bytes * FACTOR as usize, "{node}, {what}: {} and {} bytes", many.bytes, few.bytes);
    }
    Ok(())
}

/// Makes the leg that a step is about, from a transaction's id.
type Make = fn(&str) -> LegEvent;

#[test]
fn an_account_with_a_million_open_holds_is_as_quick_as_one_with_ten() -> Result<()> {
    compare(|| AccountProcessor)
}

#[test]
fn and_so_is_its_view() -> Result<()> {
    compare(|| AccountView)
}

#[test]
fn and_so_is_its_risk() -> Result<()> {
    compare(RiskProcessor::default)
}
