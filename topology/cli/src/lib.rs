//! The `tributary` binary, as a library that tests can call: the command line, and what each command does.
//!
//! Processors, drivers and the API know nothing of each other; here they are put together ([`wiring`]) and run.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tributary_flow::Store;
use tributary_flow::reader::{self, Reader};

pub mod audit;
pub mod config;
mod cut;
pub mod decode;
pub mod dlq;
pub mod http;
pub mod kafka;
pub mod load;
pub mod managed;
mod out;
pub mod proof;
pub mod replay;
pub mod sim;
pub mod source;
pub mod topics;
pub mod topology;
pub mod up;
pub mod verify;
pub mod wiring;

use config::{Config, Flags};
use out::say;

/// A step makes many small, short-lived pieces; mimalloc serves them in less time than the system's allocator. It is here, so that
/// whatever is the program, or measures it, has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A Kafka-native payments core: commands in by Kafka or HTTP, read models out by HTTP, topics replayed to recover.
#[derive(Parser, Debug)]
#[command(
    name = "tributary",
    version,
    max_term_width = 110,
    after_help = "\
Try it:  tributary up --demo        one process, no Kafka, an API on http://127.0.0.1:8080
         tributary up --kafka       the same on a local Apache Kafka
         tributary verify           every law over every topic"
)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run everything in one process: the embedded driver, or Kafka with --kafka or --brokers.
    Up(up::Up),
    /// Run some nodes of the graph on a Kafka cluster.
    Node {
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// The graph, and a cluster compared with it.
    Topology {
        #[command(subcommand)]
        command: topology::TopologyCommand,
    },
    /// Send the commands of a JSONL file to a topic, through a running API.
    #[command(after_help = "\
Example:  tributary produce accounts.commands.v1 --file open.jsonl
where a line of open.jsonl is
{\"id\":\"o1\",\"body\":{\"type\":\"OpenAccount\",\"account_id\":\"bob\",\"kind\":\"LIABILITY\",\"currency\":\"EUR\"}}")]
    Produce {
        /// A topic of commands, as accounts.commands.v1.
        topic: String,
        /// One command a line: {"id": "…", "body": {"type": "OpenAccount", …}}.
        #[arg(long)]
        file: PathBuf,
    },
    /// Send generated payments and measure from command to outcome.
    #[command(after_help = "\
Examples:  tributary --data load-data load --payments 20000 --accounts 100
           tributary --brokers kafka:9092 load --payments 20000 --rate 500 --run monday   (beside a running `up`)")]
    Load(load::Plan),
    /// Recompute a node's decisions from its journal and compare them byte for byte.
    Replay {
        /// A node, or `all`.
        node: String,
        /// Compare from this time on, as 2026-01-31T00:00:00Z.
        #[arg(long, value_parser = timestamp)]
        from: Option<tributary_flow::Timestamp>,
        /// Compare up to this time.
        #[arg(long, value_parser = timestamp)]
        to: Option<tributary_flow::Timestamp>,
        /// Print every record that differs, not only the first ten.
        #[arg(long)]
        diff: bool,
    },
    /// Prove it: payments in a storm of simulated faults, every law checked at every step.
    Sim(sim::Sim),
    /// Check every law over every topic; exit 1 with the place of each violation.
    Verify,
    /// Read topics.
    Topic {
        #[command(subcommand)]
        command: TopicCommand,
    },
    /// Records that could not be taken.
    Dlq {
        #[command(subcommand)]
        command: dlq::DlqCommand,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Subcommand, Debug)]
enum NodeCommand {
    /// Run these nodes until told to stop.
    Run {
        /// Nodes, as `tributary topology show` lists them.
        #[arg(required = true)]
        nodes: Vec<String>,
    },
}

#[derive(Subcommand, Debug)]
enum TopicCommand {
    /// Print records, decoded, as JSON lines.
    #[command(after_help = "\
Examples:  tributary topic tail transactions.events.v1 --last 5
           tributary --brokers kafka:9092 topic tail tributary.dlq.v1 --follow")]
    Tail {
        /// A topic of the graph, or tributary.dlq.v1.
        topic: String,
        /// Begin with the last N records of each partition instead of the first.
        #[arg(long, value_name = "N")]
        last: Option<u64>,
        /// Go on as records come in.
        #[arg(long, short)]
        follow: bool,
    },
}

fn timestamp(text: &str) -> Result<tributary_flow::Timestamp, String> {
    let parsed: jiff::Timestamp = text.parse().map_err(|error| format!("{error}; write it as 2026-01-31T00:00:00Z"))?;
    Ok(tributary_flow::Timestamp(parsed.as_microsecond()))
}

/// Runs the command line. Exit 0: done; 1: a law is broken; 2: it could not be done, with one line that says why.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tributary: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let config = Config::resolve(&cli.flags)?;
    // What processes complain about in a storm is what the storm is for.
    let stormy = matches!(cli.command, Command::Sim(_)) && config.log == Config::default().log;
    let log = if stormy { "off" } else { &config.log };
    let filter = EnvFilter::try_new(log).map_err(|error| anyhow::anyhow!("log: {error}"))?;
    // A second subscriber means that a test has set its own.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal());
    drop(log.with_writer(std::io::stderr).try_init());
    match &cli.command {
        Command::Up(args) => up::up(&config, args)?,
        Command::Node { command: NodeCommand::Run { nodes } } => kafka::run_nodes(&config, nodes)?,
        Command::Topology { command } => return topology::run(&config, command),
        Command::Produce { topic, file } => topics::produce(&config, topic, file)?,
        Command::Load(plan) => run_load(&config, plan)?,
        Command::Sim(args) => return sim::run(args),
        Command::Replay { node, from, to, diff } => {
            let all = replay::Span::ALL;
            let span = replay::Span { from: from.unwrap_or(all.from), to: to.unwrap_or(all.to) };
            ensure!(span.from <= span.to, "--from is after --to: nothing lies between them");
            return run_replay(&config, node, span, *diff);
        }
        Command::Verify => {
            let source = source::Source::open(&config)?;
            let decoder = decode::Decoder::new(source.registry.clone());
            let report = audit::run(source.log.as_ref(), source.states.as_ref(), decoder, true)?;
            return Ok(ExitCode::from(u8::from(!report.violations.is_empty())));
        }
        Command::Topic { command: TopicCommand::Tail { topic, last, follow } } => {
            topics::tail(&config, topic, *last, *follow)?
        }
        Command::Dlq { command } => dlq::run(&config, command)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "tributary", &mut script);
            out::print(String::from_utf8_lossy(&script));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_load(config: &Config, plan: &load::Plan) -> Result<()> {
    let running = match &config.brokers {
        Some(_) => kafka::client(config)?,
        None => up::embedded(config)?,
    };
    let figures = load::run(running.platform.as_ref(), running.log.as_ref(), &running.registry, plan, false);
    (running.stop)();
    say!("{}", figures?.summary());
    Ok(())
}

fn run_replay(config: &Config, node: &str, span: replay::Span, diff: bool) -> Result<ExitCode> {
    let source = source::Source::open(config)?;
    let nodes = if node == "all" { tributary_graph::NODES.to_vec() } else { vec![decode::node(node)?] };
    let (mut equal, mut equal_states, mut different) = (0, 0, 0);
    for node in nodes {
        if node.is_view() {
            say!("{}: a view has no journal; it is made again from its inputs, and its state is compared", node.name);
            for partition in 0..source.log.partitions() {
                let (log, states) = (source.log.as_ref(), source.states.as_ref());
                let said = match replay::rebuild(log, states, node, partition, source.registry.clone())? {
                    replay::Rebuilt::NotHere => "(its store is not in the folder that --data names)".to_owned(),
                    replay::Rebuilt::Compared(digest, same) => {
                        *if same { &mut equal_states } else { &mut different } += 1;
                        format!(
                            "{} {}",
                            hex::encode(digest),
                            if same { "equal to the store" } else { "NOT the store's" }
                        )
                    }
                };
                say!("  state {}[{partition}] {said}", node.name);
            }
            continue;
        }
        let report = replay::replay(source.log.as_ref(), node, source.registry.clone(), span, false)?;
        equal += report.equal;
        different += report.missing.len() + report.surplus.len();
        say!(
            "{}: {} epochs, {} records identical, {} recomputed and not found, {} found and not recomputed",
            node.name,
            report.epochs,
            report.equal,
            report.missing.len(),
            report.surplus.len()
        );
        for (build, epochs) in &report.foreign {
            say!("  {epochs} epochs were decided by another build: {build}");
        }
        if report.meanwhile > 0 {
            say!("  {} records were written meanwhile, and are not compared", report.meanwhile);
        }
        let limit = if diff { usize::MAX } else { 10 };
        report.missing.iter().take(limit).for_each(|place| say!("  recomputed, not found: {place}"));
        report.surplus.iter().take(limit).for_each(|place| say!("  found, not recomputed: {place}"));
        for (partition, epoch, digest) in &report.digests {
            let mut live = None;
            let mut look = |store: &dyn Store| live = Some((Reader::new(store).epoch(), reader::digest(store)));
            source.states.with_state(node, *partition, &mut look)?;
            let said = match live {
                None if *epoch == 0 => "(nothing has come to it yet)".to_owned(),
                None => "(its store is not in the folder that --data names)".to_owned(),
                // Another process has had the task since, or this one has gone on.
                Some((at, _)) if at != *epoch => format!("(the store here is after epoch {at}, this after {epoch})"),
                Some((_, live)) if live == *digest => {
                    equal_states += 1;
                    "equal to the store".to_owned()
                }
                Some(_) => {
                    different += 1;
                    "NOT the store's".to_owned()
                }
            };
            say!("  state {}[{partition}] {} {said}", node.name, hex::encode(digest));
        }
    }
    match (equal, equal_states, different) {
        (0, 0, 0) => {
            say!("Replay: nothing was compared: neither a record, nor a store that ends where the journal does")
        }
        _ => say!("Replay: {equal} records and {equal_states} states identical, {different} differences"),
    }
    Ok(ExitCode::from(u8::from(different > 0)))
}
