//! A processor that panics on one key. Its task halts, alone, and says so in `/health`, in the metrics and in the log, with
//! the place of the record; all others go on. A restart with the same bug halts at the same place, without a loop; one with
//! the mended processor goes on from there, and everything is answered once. On the embedded engine and on a real Kafka.

mod processor;
mod said;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use processor::{KEY, SAID, tasks};
use serde_json::Value;
use tributary_broker::{Broker, Options as KafkaOptions};
use tributary_cli::audit::Live;
use tributary_cli::config::Config;
use tributary_cli::decode::Decoder;
use tributary_cli::kafka::apply;
use tributary_cli::managed::kafka::{Kafka, Lifetime, Options as LocalOptions};
use tributary_cli::up::{Running, serve};
use tributary_cli::verify::verify;
use tributary_cli::wiring::{self, Schemas};
use tributary_embedded::{Embedded, Options};
use tributary_flow::partition_of;
use tributary_graph::{NODES, TRANSACTIONS_LEGS, account};
use tributary_tests::api::Api;
use tributary_tests::cpu;

const PARTITIONS: u32 = 2;
/// Payments between accounts of the other partition.
const OTHERS: u32 = 12;

/// What is idle is measured by the process's time, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// An account near the poisoned one, in the same task; or far from it.
fn account(near: bool, name: &str) -> String {
    let home = |id: &str| partition_of(id.as_bytes(), PARTITIONS);
    let suits = |id: &String| (home(id) == home(KEY)) == near;
    (0..).map(|number| format!("{name}-{number}")).find(suits).unwrap_or_default()
}

fn poisoned() -> u32 {
    partition_of(KEY.as_bytes(), PARTITIONS)
}

/// Where the task halted, as `/health` says it.
fn place(health: &Value) -> Result<String> {
    let tasks = health["tasks"].as_array().context("no tasks")?;
    let halted: Vec<&Value> = tasks.iter().filter(|task| !task["halted"].is_null()).collect();
    ensure!(halted.len() == 1, "halted are {halted:?}");
    ensure!(halted[0]["node"] == account::NODE.name && halted[0]["partition"] == poisoned(), "{}", halted[0]);
    ensure!(halted[0]["lag"].as_u64().is_some_and(|lag| lag > 0), "it lags: {}", halted[0]);
    let said = halted[0]["halted"].as_str().context("no reason")?;
    let (since, rest) = said.strip_prefix("since ").and_then(|said| said.split_once(", at ")).context("no place")?;
    let since: jiff::Timestamp = since.parse()?;
    ensure!(jiff::Timestamp::now().duration_since(since).unsigned_abs() < Duration::from_secs(300), "{since}");
    let (place, reason) = rest.rsplit_once(": ").context("no reason")?;
    ensure!(reason == SAID, "{said}");
    Ok(place.to_owned())
}

/// Waits until the task is halted: `/health`, the metrics and the log say so, with the place.
fn halted(api: &Api, running: &Running) -> Result<String> {
    let health = api.until("a task is halted", |status, health| status == 503 && place(health).is_ok())?;
    ensure!(health["status"] == "degraded", "{health}");
    let place = place(&health)?;

    let prefix = format!("{}[{}]@", TRANSACTIONS_LEGS.name, poisoned());
    let offset = place.strip_prefix(&prefix).and_then(|rest| rest.split_once(' ')).context(place.clone())?.0.parse()?;
    let record = running.log.read(TRANSACTIONS_LEGS.name, poisoned(), offset, 1)?.remove(0);
    let (_, key, body) = Decoder::new(running.registry.clone()).json(&TRANSACTIONS_LEGS, &record)?;
    let found = (record.offset, key.as_str(), body["transaction_id"].as_str());
    ensure!(found == (offset, KEY, Some("poison")), "{place} is {found:?}");

    let metrics = api.text("/metrics")?;
    let gauges: Vec<&str> = metrics.lines().filter(|line| line.starts_with("tributary_task_halted{")).collect();
    let raised: Vec<&&str> = gauges.iter().filter(|line| !line.ends_with(" 0")).collect();
    ensure!(gauges.len() == NODES.len() * PARTITIONS as usize, "{gauges:?}");
    let own = format!("tributary_task_halted{{node=\"account\",partition=\"{}\"}} 1", poisoned());
    ensure!(raised == [&own.as_str()], "{raised:?}");

    let lines = said::lines("task halted");
    let last = lines.last().context("the log says nothing")?;
    ensure!(last.contains("ERROR") && last.contains("node=\"account\"") && last.contains(&prefix), "{last}");
    ensure!(last.contains(KEY) && last.contains(SAID), "{last}");
    Ok(place)
}

/// All that does not need the halted task is done, on every partition of the transactions.
fn others_go_on(api: &Api, run: &str) -> Result<()> {
    let (from, to) = (account(false, "olga"), account(false, "otto"));
    let mut partitions = [0; PARTITIONS as usize];
    for number in 0..OTHERS {
        let id = format!("{run}-{number}");
        partitions[partition_of(id.as_bytes(), PARTITIONS) as usize] += 1;
        let paid = api.pay(&id, &from, &to, "1", "20s")?;
        ensure!(paid.is_completed(), "{id}: {} {}", paid.status, paid.document);
    }
    ensure!(partitions.iter().all(|many| *many > 0), "{partitions:?}");
    ensure!(api.get(&format!("/accounts/{from}"))?.0 == 200, "reads go on");
    ensure!(api.get("/readiness")?.0 == 200, "there is work that this process does");
    Ok(())
}

/// The bug comes up, in a payment that is otherwise all in order.
fn first_start(api: &Api, running: &Running) -> Result<String> {
    for id in [KEY.to_owned(), account(true, "nina"), account(false, "olga"), account(false, "otto")] {
        ensure!(api.open(&id, "20s")?.status == 201, "{id} is opened");
    }
    for name in [account(false, "olga"), account(true, "nina")] {
        ensure!(api.pay(&format!("fund-{name}"), "world:EUR", &name, "1000", "20s")?.status == 201, "{name} is funded");
    }
    let poison = api.pay("poison", &account(false, "olga"), KEY, "5", "1s")?;
    ensure!(poison.status == 202, "{} {}", poison.status, poison.document);
    let place = halted(api, running)?;
    others_go_on(api, "first")?;
    // What needs the halted task is taken and waits.
    ensure!(api.open(&account(true, "nora"), "1s")?.status == 202, "nora waits");
    ensure!(api.pay("behind", &account(false, "olga"), &account(true, "nina"), "7", "1s")?.status == 202, "nina waits");
    Ok(place)
}

/// The same build again: it halts at the same place, once, and then rests.
fn second_start(api: &Api, running: &Running, first: &str) -> Result<()> {
    let place = halted(api, running)?;
    ensure!(place == first, "first {first}, then {place}");
    others_go_on(api, "second")?;
    let journal = account::NODE.journal();
    let look =
        || Ok::<_, anyhow::Error>((said::lines("task halted").len(), running.log.range(&journal, poisoned())?.end));
    let (before, since, busy) = (look()?, Instant::now(), cpu::time(std::process::id())?);
    std::thread::sleep(Duration::from_secs(2));
    ensure!(look()? == before, "it halts again and again: {before:?}, then {:?}", look()?);
    let (share, wall) = (cpu::time(std::process::id())? - busy, since.elapsed());
    ensure!(share < wall / 4, "{share:?} of {wall:?} for nothing");
    Ok(())
}

/// The mended build: everything that waited is done, once.
fn third_start(api: &Api, running: &Running) -> Result<()> {
    api.until("all is read", |status, health| status == 200 && health["lag"] == 0)?;
    for id in ["poison", "behind"] {
        let ended =
            |_: u16, found: &Value| ["completed", "failed"].contains(&found["status"].as_str().unwrap_or_default());
        api.until_at(&format!("/transactions/{id}"), &format!("{id} ends"), ended)?;
    }
    ensure!(api.get(&format!("/accounts/{}", account(true, "nora")))?.0 == 200, "nora is opened");
    let after = api.pay("after", &account(false, "olga"), KEY, "3", "20s")?;
    ensure!(after.is_completed(), "{} {}", after.status, after.document);
    others_go_on(api, "third")?;
    api.until("all is read", |status, health| status == 200 && health["lag"] == 0)?;

    let decoder = Decoder::new(running.registry.clone());
    let report = verify(running.log.as_ref(), &Live(running.platform.as_ref()), decoder, true)?;
    let said: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    ensure!(said.is_empty(), "{said:?}");
    // Five accounts; two funds, poison, behind, after, and three rounds of others.
    let commands = u64::from(5 + 5 + 3 * OTHERS);
    eprintln!("{:?}", report.counts);
    ensure!(report.counts.get("commands").is_some_and(|many| *many == commands), "{:?}", report.counts);
    Ok(())
}

/// The whole story on one engine, which `start` starts with the bug or without.
fn story(start: &dyn Fn(bool) -> Result<Running>) -> Result<()> {
    let config = Config { http: "127.0.0.1:0".into(), ..Config::default() };
    let with = |mended: bool, act: &mut dyn FnMut(&Api, &Running) -> Result<()>| {
        let begun = Instant::now();
        let start = || start(mended);
        let done = serve(&config, start, |running, url| {
            let api = Api::new(url);
            api.until_runs(NODES.len() * PARTITIONS as usize)?;
            act(&api, running).map(|()| false)
        });
        eprintln!("mended: {mended}, {:.1?}", begun.elapsed());
        done
    };
    let mut first = String::new();
    with(false, &mut |api, running| first_start(api, running).map(|place| first = place)).context("first start")?;
    eprintln!("halted at {first}");
    with(false, &mut |api, running| second_start(api, running, &first)).context("the same build again")?;
    with(true, &mut third_start).context("the mended build")
}

#[test]
fn a_poisoned_key_halts_one_task_of_the_embedded_engine_until_it_is_mended() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    said::listen();
    let folder = tempfile::tempdir()?;
    story(&|mended| {
        let setup = wiring::setup(PARTITIONS, Arc::new(Schemas::compiled()));
        let options = Options { cache_bytes: 8 << 20, ..Options::new(folder.path(), PARTITIONS) };
        let engine = Arc::new(Embedded::open(&options, &|partition| tasks(partition, &setup, mended))?);
        let (stop, asked) = (engine.clone(), engine.clone());
        Ok(Running {
            platform: engine.clone(),
            log: engine,
            registry: Arc::new(Schemas::compiled()),
            failure: Box::new(move || asked.failure()),
            stop: Box::new(move || stop.close()),
        })
    })
}

#[test]
fn a_poisoned_key_halts_one_task_on_kafka_until_it_is_mended() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    said::listen();
    let folder = tempfile::tempdir()?;
    let kafka = Kafka::start(LocalOptions::new(folder.path().join("kafka"))?.lifetime(Lifetime::Minutes))?;
    let config = Config { brokers: Some(kafka.bootstrap.clone()), partitions: PARTITIONS, ..Config::default() };
    apply(&config, 1)?;
    story(&|mended| {
        let setup = wiring::setup(PARTITIONS, Arc::new(Schemas::compiled()));
        let mut options = KafkaOptions::new(&kafka.bootstrap, folder.path().join("state"), wiring::wall_clock);
        (options.partitions, options.cache_bytes) = (PARTITIONS, 8 << 20);
        let make = Arc::new(move |partition| tasks(partition, &setup, mended));
        let engine = Arc::new(Broker::start(options, NODES, make)?);
        let (stop, asked) = (engine.clone(), engine.clone());
        Ok(Running {
            platform: engine.clone(),
            log: engine,
            registry: Arc::new(Schemas::compiled()),
            failure: Box::new(move || asked.failure().map(|failure| failure.to_string())),
            stop: Box::new(move || stop.stop()),
        })
    })
}
