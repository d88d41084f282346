//! Read your writes over HTTP on a real Kafka, whose partitions end in markers that no position passes: a read that carries
//! the position of any answer shows what was answered, and what was written with it to other topics; at once, when all is
//! at rest, and after a restart.

mod cluster;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use tributary_cli::config::Config;
use tributary_cli::kafka::{apply, run};
use tributary_cli::up::serve;
use tributary_graph::NODES;
use tributary_tests::api::Api;

const PARTITIONS: u32 = 3;
const PAYMENTS: u32 = 20;

/// Everything that can be asked with a position, after `paid` payments of ten to alice.
fn shows(api: &Api, position: &str, paid: u32) -> Result<()> {
    let sum = format!("{}.00", paid * 10);
    let shown = |path: &str, pointer: &str| {
        let (status, found) = api.get(&format!("{path}?position={position}"))?;
        ensure!(status == 200, "{path} is {status} {found}");
        ensure!(found.pointer(pointer).is_some_and(|found| found == &sum), "{path} shows no {sum}: {found}");
        Ok(())
    };
    shown("/accounts/alice/balance", "/balance/amount")?;
    shown("/accounts/alice", "/posted")?;
    shown("/ledger/trial-balance", "/currencies/0/debit")
}

/// The journal has what a payment booked.
fn is_booked(api: &Api, position: &str, payment: &str) -> Result<()> {
    let (status, found) = api.get(&format!("/ledger/journal/{payment}?position={position}"))?;
    ensure!(status == 200, "the journal of {payment} is {status} {found}");
    let records = found["items"].as_array();
    ensure!(records.is_some_and(|records| records.len() == 1), "the journal of {payment} is {found}");
    Ok(())
}

fn story(fuse: bool) -> Result<()> {
    let (cluster, folder) = (Cluster::start()?, tempfile::tempdir()?);
    let config = Config {
        brokers: Some(cluster.brokers().to_owned()),
        data: folder.path().to_owned(),
        http: "127.0.0.1:0".into(),
        partitions: PARTITIONS,
        fuse,
        ..Config::default()
    };
    apply(&config, 1)?;
    let with = |act: &mut dyn FnMut(&Api) -> Result<()>| {
        let start = || run(&config, &|_| true);
        serve(&config, start, |_, url| {
            let api = Api::new(url);
            api.until_runs(NODES.len() * PARTITIONS as usize)?;
            act(&api).map(|()| false)
        })
    };
    let mut positions = Vec::new();
    with(&mut |api| {
        ensure!(api.open("alice", "20s")?.status == 201, "alice is opened");
        for paid in 1..=PAYMENTS {
            let payment = format!("pay-{paid}");
            let written = api.pay(&payment, "world:EUR", "alice", "10", "20s")?;
            ensure!(written.is_completed(), "{} {}", written.status, written.document);
            let position = written.position.context("no position")?;
            is_booked(api, &position, &payment).with_context(|| format!("at once, payment {paid}"))?;
            shows(api, &position, paid).with_context(|| format!("at once, payment {paid}"))?;
            positions.push(position);
        }
        // By now all ends are known with the last markers, and nothing else will be committed.
        std::thread::sleep(Duration::from_secs(2));
        positions.iter().try_for_each(|position| shows(api, position, PAYMENTS)).context("at rest")
    })?;
    with(&mut |api| positions.iter().try_for_each(|position| shows(api, position, PAYMENTS)).context("started again"))
}

#[test]
fn a_read_that_carries_the_position_of_an_answer_shows_it() -> Result<()> {
    story(true)
}

/// Where every hop is a transaction of its own, what follows from an answer comes after it.
#[test]
fn a_read_that_carries_a_position_shows_it_where_hops_are_apart() -> Result<()> {
    story(false)
}
