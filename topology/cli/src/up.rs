//! `up`: the whole graph in one process with its API, on the embedded driver or on Kafka; runs until it is told to stop.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tributary_embedded::{Embedded, Options};
use tributary_flow::{Log, Platform, Registry, Task};

use crate::config::Config;
use crate::decode::Decoder;
use crate::load::{self, Plan};
use crate::out::say;
use crate::source::{embedded_keeps, kafka_keeps, registry};
use crate::{audit, kafka, wiring};

/// What `up` is asked for.
#[derive(Args, Debug)]
pub struct Up {
    /// Run a local Apache Kafka and use it (needs Java and Maven; fetched once into the cache folder).
    #[arg(long, conflicts_with = "brokers")]
    pub kafka: bool,
    /// Port of the local Kafka; a free one where absent.
    #[arg(long, requires = "kafka")]
    pub kafka_port: Option<u16>,
    /// Port of the local schema registry; a free one where absent.
    #[arg(long, requires = "kafka")]
    pub registry_port: Option<u16>,
    /// Open 1,000 accounts, make 100,000 payments, verify every law, then go on serving.
    #[arg(long)]
    pub demo: bool,
    /// Stop after the demo instead of serving.
    #[arg(long, requires = "demo")]
    pub once: bool,
    /// Payments of the demo.
    #[arg(long, default_value_t = 100_000, requires = "demo")]
    pub demo_payments: u32,
}

/// A running driver, for those who need both sides of it.
pub struct Running {
    /// The way in, and committed state.
    pub platform: Arc<dyn Platform>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The schemas.
    pub registry: Arc<dyn Registry>,
    /// Why the driver stopped, if it did.
    pub failure: Box<dyn Fn() -> Option<String> + Send + Sync>,
    /// Stops the driver cleanly.
    pub stop: Box<dyn FnOnce() + Send>,
}

/// Runs the embedded driver in the settings' folder.
pub fn embedded(config: &Config) -> Result<Running> {
    let registry = registry(config)?;
    let setup = wiring::setup(config.partitions, registry.clone());
    let make = |partition| -> Vec<Box<dyn Task>> { wiring::tasks(partition, &setup, &|_| true) };
    let embedded = Arc::new(Embedded::open(&Options::new(&config.data, config.partitions), &make)?);
    let (stop, failing) = (embedded.clone(), embedded.clone());
    Ok(Running {
        platform: embedded.clone(),
        log: embedded,
        registry,
        failure: Box::new(move || failing.failure()),
        stop: Box::new(move || stop.close()),
    })
}

/// Runs until SIGTERM or SIGINT.
pub fn up(config: &Config, args: &Up) -> Result<()> {
    let started = Instant::now();
    let folder = config.data.display();
    if (args.kafka || config.brokers.is_some()) && embedded_keeps(&config.data) {
        bail!(
            "{folder} holds the embedded driver's data, which Kafka knows nothing of: choose another folder with --data"
        );
    }
    if !args.kafka && config.brokers.is_none() && kafka_keeps(&config.data) {
        bail!("{folder} holds the data of a driver on Kafka: choose another folder with --data, or give --kafka");
    }
    // Kept to the end: dropped, it stops the servers it started.
    let managed = OnceCell::new();
    let settings = || managed.get().map_or(config, |managed: &kafka::Managed| &managed.config);
    let start = || {
        if args.kafka {
            let started = kafka::Managed::start(config, args.kafka_port, args.registry_port)?;
            managed.get_or_init(|| started);
        }
        match settings().brokers {
            Some(_) => kafka::run(settings(), &|_| true),
            None => embedded(config),
        }
    };
    serve(config, start, |running, url| {
        let config = settings();
        wait_for_tasks(running)?;
        say!("Tributary is up in {:.1?}: {url}", started.elapsed());
        if running.platform.tasks().is_empty() {
            say!("It runs no task yet: it restores their state, or others run them all; {url}/health tells");
        }
        match running.platform.driver() {
            "embedded" => say!("The embedded driver is for one machine; for many, give --brokers, or try --kafka."),
            driver => {
                let brokers = || format!("brokers {}", config.brokers.as_deref().unwrap_or_default());
                say!("Driver {driver}: {}", managed.get().map_or_else(brokers, |managed| managed.summary.clone()));
                let at = config.brokers.as_deref().unwrap_or_default();
                say!("Audit it with: tributary --brokers {at} --data {} verify", config.data.display());
            }
        }
        if args.demo {
            demo(config, running, args.demo_payments)?;
        }
        say!("Look at {url}/ (try the API), {url}/accounts, {url}/ledger/trial-balance, {url}/health, {url}/metrics");
        Ok(!args.once)
    })
}

/// Waits until the driver runs its tasks, which on Kafka takes a moment; not longer than a group takes to settle, for a member
/// more than there are partitions rightly runs none.
fn wait_for_tasks(running: &Running) -> Result<()> {
    let since = Instant::now();
    while running.platform.tasks().is_empty() && since.elapsed() < Duration::from_secs(15) {
        if let Some(failure) = (running.failure)() {
            bail!("{failure}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Starts a driver and serves the API over it until a signal; `ready` runs once it answers and says whether to go on.
///
/// # Errors
/// The address is taken, and then nothing is started: a process that took a slot over only to end would leave its
/// partitions to nobody for a session. Or the driver does not start, or stops, or `ready` fails.
pub fn serve(
    config: &Config,
    start: impl FnOnce() -> Result<Running>,
    ready: impl FnOnce(&Running, &str) -> Result<bool>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(&config.http)).with_context(|| {
        format!("cannot listen on {}: choose another address with --http or TRIBUTARY_HTTP", config.http)
    })?;
    let url = format!("http://{}", listener.local_addr()?);
    let running = start()?;
    let (stop, mut stopped) = watch::channel(false);
    let (platform, registry) = (running.platform.clone(), running.registry.clone());
    let server = runtime.spawn(async move {
        let shutdown = async move { drop(stopped.wait_for(|stop| *stop).await) };
        tributary_query_api::serve(listener, platform, registry, shutdown).await
    });
    let mut result = ready(&running, &url);
    if matches!(result, Ok(true)) {
        result = runtime.block_on(told_to_stop(&running)).map(|()| false);
        eprintln!("stopping");
    }
    stop.send_replace(true);
    let served = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), server).await });
    (running.stop)();
    result?;
    match served {
        Ok(Ok(served)) => served.context("the API stopped"),
        Ok(Err(panic)) => bail!("the API stopped: {panic}"),
        Err(_) => Ok(()), // Connections that would not end in time are cut.
    }
}

/// Waits for SIGTERM or SIGINT, or for the driver to fail, which is an error.
async fn told_to_stop(running: &Running) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(500)) => if let Some(failure) = (running.failure)() {
                bail!("{failure}");
            },
        }
    }
}

/// The seeded demo: done once per folder or cluster, verified each time.
fn demo(config: &Config, running: &Running, payments: u32) -> Result<()> {
    let plan = Plan { payments, run: "demo".into(), ..Plan::default() };
    let first = tributary_graph::ACCOUNTS_COMMANDS.name;
    let empty = (0..running.log.partitions()).try_fold(true, |empty, partition| {
        Ok::<_, tributary_flow::LogError>(empty && running.log.range(first, partition)?.end == 0)
    })?;
    if empty {
        let figures = load::run(running.platform.as_ref(), running.log.as_ref(), &running.registry, &plan, false)?;
        say!("Demo: {}", figures.summary());
    } else {
        say!("Demo: {} holds data already; nothing was sent.", config.data.display());
    }
    // Exact only at rest: the outcomes are in, the journal and the views may still be on their way.
    let patience = Instant::now() + Duration::from_secs(60);
    while running.platform.tasks().iter().any(|task| task.lag > 0) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(100));
    }
    let states = audit::Live(running.platform.as_ref());
    let report = audit::run(running.log.as_ref(), &states, Decoder::new(running.registry.clone()), false)?;
    if report.violations.is_empty() { Ok(()) } else { bail!("{} violations", report.violations.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_started_where_the_address_is_taken() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let http = taken.local_addr().expect("bound").to_string();
        let config = Config { http: http.clone(), ..Config::default() };
        let refused = serve(&config, || unreachable!("it was started"), |_, _| Ok(false));
        let said = format!("{:#}", refused.expect_err("the address is taken"));
        assert!(said.contains(&http) && said.contains("--http"), "{said}");
    }
}
