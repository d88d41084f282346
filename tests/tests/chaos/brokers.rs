//! A cluster of one or three brokers, each with a second address behind a proxy. One that is killed is started again after a
//! while, beside whatever else happens.
//!
//! Each of three is a controller as well, so that to kill one is also to take a vote, and now and then the active controller.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tributary_cli::managed::free_port;
use tributary_cli::managed::kafka::{Kafka, Lifetime, Options, new_cluster_id};

use crate::plan::Cut;
use crate::proxy::Proxy;

/// Where a broker listens.
struct Ports {
    direct: u16,
    behind_proxy: u16,
    proxy: u16,
    controller: u16,
}

enum State {
    Up(Kafka),
    /// Until then.
    Down(Kafka, Instant),
    Rising(JoinHandle<Result<Kafka>>),
}

/// The cluster, stopped on drop.
pub struct Brokers {
    /// Every broker's address.
    pub bootstrap: String,
    /// Every proxy's.
    pub proxied: String,
    states: Vec<Option<State>>,
    proxies: Vec<Proxy>,
}

impl Brokers {
    /// Starts so many brokers, each with a folder in this one.
    pub fn start(many: usize, folder: &Path, lifetime: Lifetime) -> Result<Self> {
        let port = |_| {
            let (direct, behind_proxy) = (free_port()?, free_port()?);
            Ok(Ports { direct, behind_proxy, proxy: free_port()?, controller: free_port()? })
        };
        let ports: Vec<Ports> = (0..many).map(port).collect::<Result<_>>()?;
        let cluster_id = Some(new_cluster_id()?);
        let starting = (0..many).map(|broker| {
            let folder = folder.join(format!("kafka-{}", broker + 1));
            let options = Options::new(folder)?.port(ports[broker].direct);
            let options = Options { lifetime, settings: settings(&ports, broker), ..options };
            let options = Options { cluster_id: cluster_id.clone(), ..options };
            Ok(std::thread::spawn(move || Kafka::start(options)))
        });
        let starting: Vec<JoinHandle<Result<Kafka>>> = starting.collect::<Result<_>>()?;
        let states = starting.into_iter().map(|thread| Ok(Some(State::Up(joined(thread)?))));
        let states = states.collect::<Result<_>>()?;
        let proxies = ports.iter().map(|ports| Proxy::start(ports.proxy, ports.behind_proxy)).collect::<Result<_>>()?;
        let addresses = |port: fn(&Ports) -> u16| {
            ports.iter().map(|ports| format!("127.0.0.1:{}", port(ports))).collect::<Vec<_>>().join(",")
        };
        let (bootstrap, proxied) = (addresses(|ports| ports.direct), addresses(|ports| ports.proxy));
        Ok(Brokers { bootstrap, proxied, states, proxies })
    }

    /// Kills a broker, to be started again after a pause; false where one is down or coming up already.
    pub fn kill9(&mut self, broker: usize, pause: Duration) -> bool {
        self.change(broker, |kafka| {
            kafka.kill9();
            State::Down(kafka, Instant::now() + pause)
        })
    }

    /// Stops a broker in good order, and starts it again after a pause; false where one is down or coming up already.
    pub fn stop(&mut self, broker: usize, pause: Duration) -> bool {
        self.change(broker, |kafka| {
            State::Rising(std::thread::spawn(move || {
                kafka.stop();
                std::thread::sleep(pause);
                restarted(kafka)
            }))
        })
    }

    /// Puts a broker that runs into another state, where all run; whether they did.
    fn change(&mut self, broker: usize, after: impl FnOnce(Kafka) -> State) -> bool {
        if !self.are_up() {
            return false;
        }
        if let Some(State::Up(kafka)) = self.states[broker].take() {
            self.states[broker] = Some(after(kafka));
        }
        true
    }

    /// Cuts the proxies' connections.
    pub fn cut(&self, how: Cut) {
        self.proxies.iter().for_each(|proxy| proxy.cut(how));
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.proxies.iter().for_each(Proxy::heal);
    }

    /// Whether all brokers run.
    pub fn are_up(&self) -> bool {
        self.states.iter().all(|state| matches!(state, Some(State::Up(_))))
    }

    /// Starts what is due to be started again.
    pub fn tend(&mut self) -> Result<()> {
        for state in &mut self.states {
            *state = match state.take() {
                Some(State::Down(kafka, due)) if Instant::now() >= due => {
                    Some(State::Rising(std::thread::spawn(move || restarted(kafka))))
                }
                Some(State::Rising(thread)) if thread.is_finished() => Some(State::Up(joined(thread)?)),
                other => other,
            };
        }
        Ok(())
    }
}

impl Drop for Brokers {
    /// Nothing is to be kept in order: the last of several could not leave the cluster in any.
    fn drop(&mut self) {
        for state in self.states.iter_mut().filter_map(Option::take) {
            match state {
                State::Up(kafka) | State::Down(kafka, _) => kafka.kill9(),
                State::Rising(thread) => drop(joined(thread).map(|kafka| kafka.kill9())),
            }
        }
    }
}

fn joined(thread: JoinHandle<Result<Kafka>>) -> Result<Kafka> {
    thread.join().map_err(|_| anyhow!("the thread that started Kafka panicked"))?
}

/// Starts it again, its log kept under another name.
fn restarted(mut kafka: Kafka) -> Result<Kafka> {
    let log = kafka.log().to_owned();
    let kept = (1..).map(|number| log.with_file_name(format!("kafka-{number:03}.log"))).find(|path| !path.exists());
    std::fs::copy(&log, kept.context("a name is free")?)?;
    kafka.restart()?;
    Ok(kafka)
}

fn settings(ports: &[Ports], broker: usize) -> BTreeMap<String, String> {
    let Ports { direct, behind_proxy, proxy, controller } = ports[broker];
    let set = |settings: &[(&str, String)]| -> BTreeMap<String, String> {
        settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    };
    let voters = ports.iter().zip(1..).map(|(ports, id)| format!("{id}@127.0.0.1:{}", ports.controller));
    let at = |name: &str, port: u16| format!("{name}://127.0.0.1:{port}");
    let listeners = [at("PLAINTEXT", direct), at("PROXIED", behind_proxy), at("CONTROLLER", controller)];
    let mut settings = set(&[
        ("node.id", (broker + 1).to_string()),
        ("controller.quorum.voters", voters.collect::<Vec<_>>().join(",")),
        // How low a client may set its session's timeout; ours keeps to the default of 6 s unless it is told otherwise.
        ("group.min.session.timeout.ms", "1000".into()),
        ("listeners", listeners.join(",")),
        ("advertised.listeners", [at("PLAINTEXT", direct), at("PROXIED", proxy)].join(",")),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT".into()),
    ]);
    if ports.len() > 1 {
        let (replicas, insync) = (ports.len().to_string(), (ports.len() - 1).to_string());
        settings.extend(set(&[
            ("default.replication.factor", replicas.clone()),
            // How soon the partitions of a broker that was killed are given to others.
            ("broker.session.timeout.ms", "3000".into()),
            ("broker.heartbeat.interval.ms", "1000".into()),
            ("min.insync.replicas", insync.clone()),
            ("offsets.topic.replication.factor", replicas.clone()),
            ("transaction.state.log.replication.factor", replicas),
            ("transaction.state.log.min.isr", insync),
        ]));
    }
    settings
}
