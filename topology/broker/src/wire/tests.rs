//! What the producer makes of what a broker answers, or does not: against one that follows a script.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tributary_slot::{Fault, Membership, Outgoing};

use super::bytes::{Answer, Put};
use super::calls::{self, Positions};
use super::{Code, Producer, Result};
use crate::settings::Settings;

const BOUND: Duration = Duration::from_secs(2);
const PRODUCE: i16 = 0;
const FIND_COORDINATOR: i16 = 10;
const INIT: i16 = 22;
const ADD_PARTITIONS: i16 = 24;
const ADD_OFFSETS: i16 = 25;
const END: i16 = 26;
const COMMIT_OFFSETS: i16 = 28;

/// What a broker does at the so-many-th question of a kind, the first being 0.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Answer(Code),
    /// Ends the connection, with the question taken.
    HangUp,
    /// Says nothing any more.
    Sleep,
}

const WELL: Does = Does::Answer(Code::NONE);

type Script = BTreeMap<(i16, usize), Does>;

/// A broker that does everything well but for what its script says.
struct Broker {
    port: u16,
    asked: Arc<Mutex<Vec<i16>>>,
}

impl Broker {
    fn start(script: impl IntoIterator<Item = ((i16, usize), Does)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::default());
        let (script, heard): (Script, Arc<Mutex<Vec<i16>>>) = (script.into_iter().collect(), Arc::clone(&asked));
        // It ends with the test's process: nobody connects to it any more.
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (script, heard) = (script.clone(), heard.clone());
                std::thread::spawn(move || serve(&connection.unwrap(), port, &script, &heard));
            }
        });
        Broker { port, asked }
    }

    /// A producer that is initialised, with a transaction begun in which there are two records.
    fn producer(&self) -> Producer {
        let mut producer = Producer::new(&settings(self.port)).unwrap();
        producer.init(BOUND).unwrap();
        begin(&mut producer);
        producer
    }

    /// How often it was asked for this.
    fn heard(&self, key: i16) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| **asked == key).count()
    }
}

fn settings(port: u16) -> Settings {
    let settings = [
        ("bootstrap.servers", format!("127.0.0.1:{port}")),
        ("client.id", "us".into()),
        ("transactional.id", "us".into()),
        ("transaction.timeout.ms", "10000".into()),
        ("message.max.bytes", "1000".into()),
    ];
    settings.map(|(key, value)| (key.to_owned(), value)).into()
}

fn begin(producer: &mut Producer) {
    producer.begin();
    for (number, partition) in [0, 1].into_iter().enumerate() {
        let (value, number) = (Some(b"value".as_slice()), Some(number));
        producer.produce(&Outgoing { topic: "topic", partition, key: None, value, headers: &[], number }).unwrap();
    }
}

fn send_offsets(producer: &mut Producer) -> Result<()> {
    let membership = Membership { generation: 1, member: "member".into() };
    let (membership, offsets) = (&membership, &[(("topic", 0), 7)][..]);
    producer.send_offsets(Positions { group: "group", instance: "us", membership, offsets }, BOUND)
}

fn serve(connection: &TcpStream, port: u16, script: &Script, asked: &Mutex<Vec<i16>>) -> Option<()> {
    let mut connection = connection;
    loop {
        let mut size = [0; 4];
        connection.read_exact(&mut size).ok()?;
        let mut question = vec![0; u32::from_be_bytes(size) as usize];
        connection.read_exact(&mut question).ok()?;
        let mut question = Answer::new(question);
        let (key, _version, number) = (question.i16().ok()?, question.i16().ok()?, question.i32().ok()?);
        question.text().ok()?;
        let nth = {
            let mut asked = asked.lock().unwrap();
            asked.push(key);
            asked.iter().filter(|other| **other == key).count() - 1
        };
        let Does::Answer(Code(code)) = script.get(&(key, nth)).copied().unwrap_or(WELL) else {
            if script[&(key, nth)] == Does::Sleep {
                std::thread::sleep(4 * BOUND);
            }
            return None;
        };
        let mut out = Vec::new();
        out.i32(number);
        answer(key, code, port, &mut question, &mut out).ok()?;
        connection.write_all(&u32::try_from(out.len()).ok()?.to_be_bytes()).ok()?;
        connection.write_all(&out).ok()?;
    }
}

fn answer(key: i16, code: i16, port: u16, question: &mut Answer, out: &mut Vec<u8>) -> Result<()> {
    if key != 18 && key != PRODUCE && key != COMMIT_OFFSETS {
        out.i32(0); // What it holds us back for.
    }
    match key {
        18 => {
            out.i16(0);
            out.count(calls::SPOKEN.len());
            for api in calls::SPOKEN {
                out.i16(api.key);
                out.i16(0);
                out.i16(api.version);
            }
        }
        3 => {
            out.count(1);
            broker(out, port);
            out.i16(-1);
            out.i16(-1);
            out.i32(1);
            out.count(1);
            out.i16(0);
            out.text("topic");
            out.i8(0);
            out.count(2);
            for partition in 0..2 {
                out.i16(0);
                out.i32(partition);
                out.i32(1);
                out.i32(0);
                out.count(0);
                out.count(0);
                out.count(0);
            }
        }
        FIND_COORDINATOR => {
            out.i16(code);
            out.i16(-1);
            broker(out, port);
        }
        INIT => {
            out.i16(code);
            out.i64(7);
            out.i16(3);
        }
        ADD_PARTITIONS => {
            out.count(1);
            out.text("topic");
            out.count(1);
            out.i32(0);
            out.i16(code);
        }
        PRODUCE => {
            question.text()?;
            question.i16()?;
            question.i32()?;
            question.i32()?;
            question.text()?;
            out.count(1);
            out.text("topic");
            out.count(2);
            question.each(|question| {
                let partition = question.i32()?;
                question.blob()?;
                // The second partition is refused.
                out.i32(partition);
                out.i16(if partition == 1 { code } else { 0 });
                out.i64(100 + i64::from(partition));
                out.i64(-1);
                out.i64(0);
                out.count(0);
                out.i16(-1);
                Ok(())
            })?;
            out.i32(0);
        }
        COMMIT_OFFSETS => {
            out.no_tags();
            out.i32(0);
            out.compact_count(1);
            out.compact_text("topic");
            out.compact_count(1);
            out.i32(0);
            out.i16(code);
            out.no_tags();
            out.no_tags();
            out.no_tags();
        }
        _ => out.i16(code),
    }
    Ok(())
}

fn broker(out: &mut Vec<u8>, port: u16) {
    out.i32(1);
    out.text("127.0.0.1");
    out.i32(port.into());
}

#[test]
fn a_transaction_goes_well() {
    let broker = Broker::start([]);
    let mut producer = broker.producer();
    for _ in 0..2 {
        assert_eq!(producer.deliver(BOUND), Ok(vec![Some(100), Some(101)]));
        assert_eq!(send_offsets(&mut producer), Ok(()));
        assert_eq!(producer.commit(BOUND), Ok(()));
        begin(&mut producer);
    }
    assert_eq!(
        (broker.heard(PRODUCE), broker.heard(END), broker.heard(18)),
        (2, 2, 2),
        "on one connection, behind the first"
    );
    assert_eq!(producer.abort(BOUND), Ok(()));
    assert_eq!(broker.heard(END), 2, "nobody knows of a transaction of which nothing was sent");
}

#[test]
fn not_now_and_not_here_are_asked_again() {
    let codes = [Code::COORDINATOR_LOAD_IN_PROGRESS, Code::NOT_COORDINATOR, Code::CONCURRENT_TRANSACTIONS];
    let keys = [INIT, ADD_PARTITIONS, ADD_OFFSETS, COMMIT_OFFSETS, END];
    let script =
        keys.into_iter().flat_map(|key| (0..).zip(codes).map(move |(nth, code)| ((key, nth), Does::Answer(code))));
    let broker = Broker::start(script);
    let mut producer = broker.producer();
    producer.deliver(BOUND).unwrap();
    send_offsets(&mut producer).unwrap();
    producer.commit(BOUND).unwrap();
    assert!(keys.iter().all(|key| broker.heard(*key) == 4));
    assert_eq!(broker.heard(FIND_COORDINATOR), 2 + 5, "a coordinator that has moved is looked for");
}

/// What a failure of one call means for the transaction, and whether it is asked for once.
#[test]
fn only_what_is_certainly_not_committed_and_certainly_not_on_its_way_is_aborted() {
    let refused = Does::Answer(Code(48));
    let fenced = Does::Answer(Code(90));
    for (key, does, fault) in [
        (ADD_PARTITIONS, refused, Fault::Abort),
        (ADD_PARTITIONS, fenced, Fault::ProducerFenced),
        (ADD_PARTITIONS, Does::HangUp, Fault::Other),
        (PRODUCE, Does::Answer(Code(19)), Fault::Other),
        (PRODUCE, Does::Answer(Code(10)), Fault::TooLarge),
        (PRODUCE, Does::Answer(Code(47)), Fault::ProducerFenced),
        (PRODUCE, Does::HangUp, Fault::Other),
        (PRODUCE, Does::Sleep, Fault::Other),
        (ADD_OFFSETS, refused, Fault::Abort),
        (ADD_OFFSETS, Does::HangUp, Fault::Other),
        (COMMIT_OFFSETS, Does::Answer(Code(22)), Fault::Abort),
        (COMMIT_OFFSETS, Does::Answer(Code(82)), Fault::SlotFenced),
        (COMMIT_OFFSETS, Does::HangUp, Fault::Other),
        (END, refused, Fault::Other),
        (END, fenced, Fault::ProducerFenced),
        (END, Does::HangUp, Fault::Other),
    ] {
        let broker = Broker::start([((key, 0), does)]);
        let (mut producer, since) = (broker.producer(), Instant::now());
        let done =
            producer.deliver(BOUND).and_then(|_| send_offsets(&mut producer)).and_then(|()| producer.commit(BOUND));
        let failed = done.unwrap_err();
        assert_eq!(failed.fault, fault, "{key}: {failed}");
        assert_eq!(broker.heard(key), 1, "{key}: {failed}");
        assert!(since.elapsed() < 2 * BOUND, "{key}: {failed}");
    }
}

#[test]
fn a_transaction_that_was_aborted_is_not_in_the_way_of_the_next() {
    let broker = Broker::start([((COMMIT_OFFSETS, 0), Does::Answer(Code(27)))]);
    let mut producer = broker.producer();
    producer.deliver(BOUND).unwrap();
    assert_eq!(send_offsets(&mut producer).unwrap_err().fault, Fault::Abort);
    producer.abort(BOUND).unwrap();
    begin(&mut producer);
    assert_eq!(producer.deliver(BOUND), Ok(vec![Some(100), Some(101)]));
    assert_eq!(producer.commit(BOUND), Ok(()));
    assert_eq!((broker.heard(INIT), broker.heard(END)), (1, 2));
}

#[test]
fn a_broker_that_is_not_there_yet_is_waited_for() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut producer = Producer::new(&settings(port)).unwrap();
    let since = Instant::now();
    let failed = producer.init(BOUND / 4).unwrap_err();
    assert!(failed.text.contains(&format!("127.0.0.1:{port}")), "{failed}");
    assert!((BOUND / 8..BOUND).contains(&since.elapsed()));
}
