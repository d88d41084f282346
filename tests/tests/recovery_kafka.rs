//! kill -9 in mid load on Kafka, ten times the node and twice the broker: nothing lost, nothing doubled. Then a node's state
//! is deleted, and comes back from its changelog to the same bytes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tributary_cli::config::Config;
use tributary_cli::decode::Decoder;
use tributary_cli::kafka::apply;
use tributary_cli::managed::kafka::{Kafka, Lifetime, Options};
use tributary_cli::source::Source;
use tributary_tests::recovery::{Client, Node, audit, deadline, verify};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tributary-under-test");
const ROUNDS: u32 = 10;
/// Rounds in which the broker is killed as well.
const BROKER: [u32; 2] = [4, 8];

#[test]
fn kills_of_nodes_and_broker_in_mid_load_lose_nothing_and_double_nothing() -> Result<()> {
    let begun = Instant::now();
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut kafka = Kafka::start(Options::new(folder.path().join("kafka"))?.lifetime(Lifetime::Minutes))?;
    let config = Config { data: data.clone(), brokers: Some(kafka.bootstrap.clone()), ..Config::default() };
    apply(&config, 1)?;
    let brokers = kafka.bootstrap.clone();
    let place = ["--data", data.to_str().expect("a path in UTF-8"), "--brokers", &brokers];
    let start = || Node::start(Path::new(PROGRAM), folder.path(), &place);

    let mut node = start()?;
    eprintln!("Kafka and a first start after {:.1?}, the start alone {:.1?}", begun.elapsed(), node.ready_after);
    let mut client = Client::new(&node.url, Duration::from_millis(250))?;
    let (mut in_flight, mut starts) = (0, Vec::new());
    for round in 1..=ROUNDS {
        let url = node.url.clone();
        client.load_while(&url, |in_mid_request| {
            std::thread::sleep(Duration::from_millis(400 + 53 * u64::from(round)));
            if BROKER.contains(&round) {
                kafka.kill9();
                std::thread::sleep(Duration::from_millis(300));
                kafka.restart()?;
                std::thread::sleep(Duration::from_millis(700));
            }
            in_mid_request();
            node.kill9();
            Ok(())
        })?;
        let figures = client.figures();
        in_flight += figures.unacknowledged;
        node = start()?;
        starts.push(node.started_at);
        let what = if BROKER.contains(&round) { "kill of both" } else { "kill" };
        eprintln!("{what} {round}: {figures:?}, ready again after {:.1?}", node.ready_after);
    }
    ensure!(in_flight > 0, "no kill came in mid load");
    client.send_all(&node.url)?;
    let outcomes = client.check_balances(&node.url)?;
    node.stop();

    let source = Source::open(&config)?;
    let answered = client.check_answers(source.log.as_ref(), &Decoder::new(source.registry.clone()))?;
    let late = deadline::check(source.log.as_ref(), &Decoder::new(source.registry.clone()), &starts)?;
    eprintln!("{late} payments ran into the voting deadline while nothing ran, none of them with all its votes");
    drop(source);
    eprintln!("{answered} commands with one answer each; {:?}; outcomes {outcomes:?}", client.figures());
    let digests = audit(Path::new(PROGRAM), &place)?;
    eprintln!("audited after {:.1?}", begun.elapsed());

    std::fs::remove_dir_all(data.join("state").join("account"))?;
    std::fs::remove_dir_all(data.join("state").join("transaction-view"))?;
    let node = start()?;
    eprintln!("two nodes' state deleted: ready again after {:.1?}", node.ready_after);
    client.check_balances(&node.url)?;
    node.stop();
    ensure!(verify(Path::new(PROGRAM), &place)? == digests, "a rebuilt state has another digest");
    eprintln!("rebuilt to the same digests; all in {:.1?}", begun.elapsed());
    Ok(())
}
