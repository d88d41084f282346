//! A broker that tells its clients of no broker at all, as one does that its controller has fenced for a moment. librdkafka 2.12 then forgets
//! every broker that it knew and those it was given: such a client never gives an answer again, and must be replaced.

use std::collections::HashMap;
use std::io::{Read, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use tributary_broker::KafkaLog;
use tributary_cli::managed::free_port;

use super::*;

/// `ApiKey` of Metadata: <https://kafka.apache.org/protocol#The_Messages_Metadata>.
const METADATA: u16 = 3;

/// Stands between clients and a broker.
struct Between {
    /// Whether answers name brokers.
    brokers: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Between {
    fn start(port: u16, to: u16) -> Arc<Self> {
        let between = Arc::new(Between { brokers: true.into(), connections: Mutex::default() });
        let (listener, told) = (TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap(), between.clone());
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
                told.connections.lock().unwrap().push(near.try_clone().unwrap());
                // The version of each question about metadata that is not answered yet.
                let asked = Arc::new(Mutex::new(HashMap::new()));
                let (told, noted) = (told.clone(), asked.clone());
                let (near_in, far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || {
                    pass(near_in, far_out, |question| {
                        if number(question) == METADATA {
                            noted.lock().unwrap().insert(question[4..8].to_vec(), number(&question[2..]));
                        }
                        question.to_vec()
                    })
                });
                std::thread::spawn(move || {
                    pass(far, near, |answer| match asked.lock().unwrap().remove(&answer[..4]) {
                        Some(version) if !told.brokers.load(Ordering::SeqCst) => without_brokers(answer, version),
                        _ => answer.to_vec(),
                    })
                });
            }
        });
        between
    }

    /// From now on no broker is named, and everyone has to ask.
    fn fence(&self) {
        self.brokers.store(false, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            drop(connection.shutdown(std::net::Shutdown::Both));
        }
    }

    fn unfence(&self) {
        self.brokers.store(true, Ordering::SeqCst);
    }
}

/// Passes message by message on until one side ends.
fn pass(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&[u8]) -> Vec<u8>) -> Result<()> {
    loop {
        let mut size = [0; 4];
        from.read_exact(&mut size)?;
        let mut message = vec![0; u32::from_be_bytes(size) as usize];
        from.read_exact(&mut message)?;
        let message = change(&message);
        to.write_all(&(message.len() as u32).to_be_bytes())?;
        to.write_all(&message)?;
    }
}

fn number(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// The answer with the brokers cut out of it.
fn without_brokers(answer: &[u8], version: u16) -> Vec<u8> {
    assert!(version >= 9, "an answer of version {version} is written otherwise");
    // Before them are the correlation's id, the header's tags (none) and the time of throttling.
    let (before, mut rest) = answer.split_at(4 + 1 + 4);
    for _ in 1..varint(&mut rest) {
        rest = &rest[4..]; // Its id,
        text(&mut rest); // its host,
        rest = &rest[4..]; // its port,
        text(&mut rest); // its rack,
        assert_eq!(varint(&mut rest), 0, "and no tags");
    }
    [before, &[1], rest].concat()
}

fn varint(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    value
}

/// Skips one; its length is one more than it has bytes, and 0 where there is none.
fn text(bytes: &mut &[u8]) {
    let size = varint(bytes).saturating_sub(1);
    *bytes = &bytes[size..];
}

#[test]
fn who_is_told_of_no_broker_for_a_moment_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (direct, proxy) = (free_port().unwrap(), free_port().unwrap());
    let mut options = KafkaOptions::new(folder.path().join("kafka")).unwrap().port(direct).lifetime(Lifetime::Minutes);
    options.settings.insert("advertised.listeners".into(), format!("PLAINTEXT://127.0.0.1:{proxy}"));
    let between = Between::start(proxy, direct);
    let _kafka = Kafka::start(options).unwrap();
    let bootstrap = format!("127.0.0.1:{proxy}");
    let plan = admin::plan(toy::NODES, PARTITIONS, 1);
    assert_eq!(admin::create_topics(&bootstrap, &BTreeMap::new(), &plan).unwrap(), []);

    let log = KafkaLog::connect(&bootstrap, &BTreeMap::new(), PARTITIONS).unwrap();
    let broker = start(&bootstrap, &folder.path().join("state"), "slot-0");
    ask(&broker, 0, 1_000, 1_000);
    all_counted(&broker, 1_000);
    between.fence();
    // Who leads a partition that is not there has to be asked; everything that runs has its own reasons to ask meanwhile.
    let said = log.range("no.such.topic", 0).unwrap_err();
    println!("while no broker is named: {said}");
    between.unfence();
    let since = Instant::now();
    eventually("the log is read", 30, || log.range("toy.entries.v1", 0).is_ok());
    println!("read after {:?}", since.elapsed());
    let since = Instant::now();
    eventually("everything runs", 60, || owns_all(&broker));
    println!("running after {:?}", since.elapsed());
    let client = client(&bootstrap);
    ask(&client, 1_000, 2_000, 1_000);
    all_counted(&client, 2_000);
    println!("counted after {:?}", since.elapsed());
    assert_eq!(broker.failure(), None);
    ask(&broker, 2_000, 2_100, 1_000);
    all_counted(&client, 2_100);
    println!("taken after {:?}", since.elapsed());
}
