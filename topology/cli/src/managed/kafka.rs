//! A local Apache Kafka 4.2.1: one KRaft node on loopback, its data kept in a folder across restarts.
//!
//! The jars come from Maven Central (44 MB, into the cache, once); nothing is installed and no script of Kafka's is
//! used. A start takes about two seconds, for the first on a machine leaves Kafka's classes in the cache as a virtual machine
//! has them in memory. One folder serves one process at a time: a lock on it is held as long as the [`Kafka`] lives, so a second
//! start is refused by name and a left-over broker is known to be an orphan.
//!
//! It is not the newest: 4.3 and 4.4 may close a committed transaction without its markers when the only replica's broker stops or
//! dies in the middle of it (KAFKA-20734), and whoever reads committed records stands there for ever.
//!
//! One that is told of others by its settings is a broker of their cluster: that is for tests, which start each themselves.
//!
//! Deliberately absent: TLS, users, and any tool to administer topics (the engine creates its own).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use rustix::fs::{FlockOperation, flock};

use super::process::{Process, Program, stop_orphan};
use super::{Staging, cache_dir, free_port, is_free, java, maven};

/// The version that is run.
pub const VERSION: &str = "4.2.1";

const POM: &str = include_str!("kafka-pom.xml");
const PROPERTIES: &str = include_str!("server.properties");
const LOGGING: &[&str] =
    &["-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS"];
const READY: Duration = Duration::from_secs(60);
/// How long a port may stay taken after whoever had it is gone.
const FREED: Duration = Duration::from_secs(2);

/// How to run it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the jars are kept; fetched when missing.
    pub jars: PathBuf,
    /// Where the broker keeps its data, its configuration and its log.
    pub data: PathBuf,
    /// The port to listen on; a free one where absent.
    pub port: Option<u16>,
    /// What its virtual machine is made for.
    pub lifetime: Lifetime,
    /// Settings of the broker, as Kafka names them; they win over ours.
    pub settings: BTreeMap<String, String>,
    /// The id that brokers of one cluster share; drawn where absent.
    pub cluster_id: Option<String>,
}

/// How long a broker is to run.
#[derive(Clone, Copy, Debug)]
pub enum Lifetime {
    /// It may use a gigabyte of heap, and compiles what is hot as well as it can.
    Hours,
    /// It may use half of that, and compiles once and quickly: it starts for half the processor, in two thirds of the time, and is
    /// never as fast.
    Minutes,
}

impl Lifetime {
    /// What the virtual machine is told.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Lifetime::Hours => &["-Xmx1024m"],
            Lifetime::Minutes => &["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],
        }
    }
}

impl Options {
    /// The defaults, with data in this folder.
    pub fn new(data: impl Into<PathBuf>) -> Result<Self> {
        let jars = cache_dir()?.join(format!("kafka-{VERSION}"));
        let settings = BTreeMap::new();
        Ok(Self { jars, data: data.into(), port: None, lifetime: Lifetime::Hours, settings, cluster_id: None })
    }

    /// Listens on this port.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Runs for about so long.
    #[must_use]
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime, ..self }
    }
}

/// A running broker, stopped on drop.
#[derive(Debug)]
pub struct Kafka {
    /// Its address, as clients want it.
    pub bootstrap: String,
    port: u16,
    program: Program,
    process: Process,
    _lock: File,
}

impl Kafka {
    /// Fetches, formats and configures what is missing, starts the broker, and waits until it answers.
    pub fn start(options: Options) -> Result<Self> {
        let java = java::find(17)?;
        maven::dependencies(&format!("Apache Kafka {VERSION}"), POM, &options.jars)?;
        let classes = shared_classes(&java, &options.jars);
        Self::start_with(options, java, [&classes, &classes])
    }

    /// Starts it with these arguments of the virtual machine, for formatting and for the broker.
    fn start_with(options: Options, java: PathBuf, [format, run]: [&[OsString]; 2]) -> Result<Self> {
        let Options { jars, data, port, lifetime, settings, cluster_id } = options;
        std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let data = data.canonicalize()?;
        let lock = lock(&data)?;
        let port = match port {
            None => free_port()?,
            Some(port) => port,
        };
        let class_path = format!("{}/*", jars.display());
        let properties = data.join("server.properties");
        let text = PROPERTIES
            .replace("{port}", &port.to_string())
            .replace("{controller}", &free_port()?.to_string())
            .replace("{data}", &data.display().to_string());
        let kept = text.lines().filter(|line| line.split_once('=').is_none_or(|(key, _)| !settings.contains_key(key)));
        let set = settings.iter().map(|(key, value)| format!("{key}={value}"));
        std::fs::write(&properties, kept.map(str::to_owned).chain(set).collect::<Vec<_>>().join("\n"))?;
        let cluster_id = cluster_id.map_or_else(new_cluster_id, Ok)?;
        let class_path = ["-cp".into(), class_path.into()];
        format_storage(&java, &[format, &class_path].concat(), &data, &properties, &cluster_id)?;
        let own = [run, &class_path, &["kafka.Kafka".into(), properties.into()]].concat();
        let program = Program {
            name: "Apache Kafka",
            path: java,
            arguments: [lifetime.arguments(), LOGGING].concat().into_iter().map(Into::into).chain(own).collect(),
            log: data.join("kafka.log"),
            pid_file: data.join("kafka.pid"),
        };
        stop_orphan(&program)?;
        // The kernel keeps it for a moment after a kill.
        let since = Instant::now();
        while !is_free(port) {
            if since.elapsed() < FREED {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            bail!("port {port} is taken: stop what listens there, or choose another with --kafka-port");
        }
        let process = launch(&program, port)?;
        Ok(Self { bootstrap: format!("127.0.0.1:{port}"), port, program, process, _lock: lock })
    }

    /// The broker's process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether the broker runs.
    pub fn is_running(&self) -> bool {
        self.process.ended().is_none()
    }

    /// The broker's log.
    pub fn log(&self) -> &Path {
        &self.program.log
    }

    /// Stops it in good order, within 20 seconds.
    pub fn stop(&self) {
        self.process.stop();
    }

    /// Ends it as a power cut would end the process: nothing is flushed or told to anybody.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Starts it again on the same data and port, stopping it first where it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.process.stop();
        self.process = launch(&self.program, self.port)?;
        Ok(())
    }
}

fn launch(program: &Program, port: u16) -> Result<Process> {
    let process = Process::start(program.clone())?;
    let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    process.wait_until(READY, || process.logged("Kafka Server started") && answers())?;
    Ok(process)
}

/// What tells a virtual machine where Kafka's classes lie as another had them in memory: a start takes half as long with them.
/// Where there are none, a broker comes and goes to leave them; where it leaves none, starts stay as slow as they are, and it is
/// not tried again.
fn shared_classes(java: &Path, jars: &Path) -> Vec<OsString> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let archive = jars.join(format!("classes-{}.jsa", java::version(java).unwrap_or_default()));
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if !archive.exists() {
        eprintln!("preparing Apache Kafka {VERSION} for quick starts (once)");
        if let Err(error) = archive_classes(java, jars, &archive) {
            tracing::warn!("Kafka's classes cannot be kept ready, its starts take longer: {error:#}");
            // Where another has left them meanwhile, a broker may have them in memory.
            let _ = File::create_new(&archive);
        }
    }
    let made = archive.metadata().is_ok_and(|file| file.len() > 0);
    made.then(|| classes_in("SharedArchiveFile", &archive)).into_iter().collect()
}

fn archive_classes(java: &Path, jars: &Path, archive: &Path) -> Result<()> {
    let staging = Staging::beside(archive)?;
    let made = staging.folder().join("classes.jsa");
    let options = Options { jars: jars.into(), ..Options::new(staging.folder())?.lifetime(Lifetime::Minutes) };
    let kafka = Kafka::start_with(options, java.to_owned(), [&[], &[classes_in("ArchiveClassesAtExit", &made)]])?;
    kafka.stop();
    ensure!(made.exists(), "the virtual machine left none");
    Ok(std::fs::rename(made, archive)?)
}

fn classes_in(option: &str, archive: &Path) -> OsString {
    let mut argument = OsString::from(format!("-XX:{option}="));
    argument.push(archive);
    argument
}

/// Takes the folder for this process. The kernel gives the lock back when we end, however we end.
fn lock(data: &Path) -> Result<File> {
    let file = File::create(data.join("lock")).with_context(|| format!("cannot write in {}", data.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another process runs Kafka in {}: stop it, or choose another folder", data.display());
    }
    Ok(file)
}

/// An id for a cluster.
///
/// # Errors
/// The system gives no chance.
pub fn new_cluster_id() -> Result<String> {
    let mut id = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut id)?;
    id[0] &= 0x7f; // so that it never begins with a dash, which would read as an option
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id))
}

/// Gives new storage its cluster id. Without one a broker does not start; with one it is left alone.
fn format_storage(java: &Path, run: &[OsString], data: &Path, properties: &Path, cluster_id: &str) -> Result<()> {
    if data.join("log/meta.properties").exists() {
        return Ok(());
    }
    let output = Command::new(java)
        .args(Lifetime::Minutes.arguments())
        .args(run)
        .args(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"])
        .arg(properties)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("Kafka could not format {}: {}", data.display(), said.lines().last().unwrap_or("it gave no reason"));
    }
    Ok(())
}
