//! A child process that must not outlive us.
//!
//! Four things see to it. Dropping the handle stops the child. Where `setpriv` is present (util-linux, on every
//! Debian) the kernel sends the child a SIGTERM when we die, even of kill -9. A file beside the child's data names it,
//! so that the next start finds an orphan of a machine without `setpriv`. And the child has a process group of its
//! own, so that a Ctrl-C in the terminal reaches us alone and we stop things in the right order.
//!
//! The kernel ties that signal to the *thread* that started the child, not to the process; so every child has a thread
//! of its own that starts it, waits for it and reaps it.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long a child may take to end after a SIGTERM.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// For messages.
    pub name: &'static str,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Gets standard output and standard error; the log of the run before is kept as `<log>.1`.
    pub log: PathBuf,
    /// Names the running child.
    pub pid_file: PathBuf,
}

/// A running child, stopped on drop.
#[derive(Debug)]
pub struct Process {
    program: Program,
    pid: Pid,
    ended: Arc<Ended>,
}

/// The child's end. Signals are sent under the lock, and the child is reaped under it, so none can hit a reused pid.
#[derive(Debug, Default)]
struct Ended {
    status: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts the program, after stopping what an earlier start left behind.
    pub fn start(program: Program) -> Result<Self> {
        stop_orphan(&program)?;
        if program.log.exists() {
            let mut old = program.log.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&program.log, old)?;
        }
        let log = File::create(&program.log).with_context(|| format!("cannot write {}", program.log.display()))?;
        let mut command = guarded(&program.path);
        command.args(&program.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let ended = Arc::new(Ended::default());
        let (tell, told) = mpsc::channel();
        let keeper = Arc::clone(&ended);
        std::thread::Builder::new().name(format!("keeper-{}", program.name)).spawn(move || match command.spawn() {
            Ok(child) => {
                let _ = tell.send(Ok(child.id()));
                keep(child, &keeper);
            }
            Err(error) => drop(tell.send(Err(error))),
        })?;
        let id = told.recv()?.with_context(|| format!("cannot start {}", program.path.display()))?;
        let pid = Pid::from_raw(id as i32).context("a child's id is above zero")?;
        std::fs::write(&program.pid_file, format!("{id} {}\n", birth(pid).unwrap_or_default()))?;
        Ok(Self { program, pid, ended })
    }

    /// The child's process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How the child ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.lock()
    }

    /// Asks the child to end, and ends it where it does not within 20 seconds. Returns once it is gone.
    pub fn stop(&self) {
        self.signal(Signal::TERM);
        if !self.wait(PATIENCE) {
            self.kill9();
        }
    }

    /// Ends the child without giving it a chance to tidy up. Returns once it is gone.
    pub fn kill9(&self) {
        self.signal(Signal::KILL);
        self.wait(PATIENCE);
    }

    /// Stops the child's threads where they are, until [`Process::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen child go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits until `ready`, or says why that will not happen, with the end of the child's log.
    pub fn wait_until(&self, bound: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let Program { name, log, .. } = &self.program;
        let since = Instant::now();
        while !ready() {
            let why = match self.ended() {
                Some(status) => format!("ended at once ({status})"),
                None if since.elapsed() > bound => format!("was not ready after {} s", bound.as_secs()),
                None => {
                    std::thread::sleep(Duration::from_millis(25));
                    continue;
                }
            };
            bail!("{name} {why}; its log is {} and ends with:\n{}", log.display(), tail(log));
        }
        Ok(())
    }

    /// Whether the log holds this text.
    pub fn logged(&self, text: &str) -> bool {
        std::fs::read(&self.program.log).is_ok_and(|log| String::from_utf8_lossy(&log).contains(text))
    }

    fn signal(&self, signal: Signal) {
        let status = self.ended.lock();
        if status.is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    fn wait(&self, bound: Duration) -> bool {
        let waiting = self.ended.changed.wait_timeout_while(self.ended.lock(), bound, |status| status.is_none());
        waiting.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        // After a restart the file names our successor.
        let named = std::fs::read_to_string(&self.program.pid_file).unwrap_or_default();
        if named.split(' ').next() == Some(self.id().to_string().as_str()) {
            let _ = std::fs::remove_file(&self.program.pid_file);
        }
    }
}

/// Waits for the child without reaping it, then reaps it under the lock.
fn keep(mut child: Child, ended: &Ended) {
    if let Some(pid) = Pid::from_raw(child.id() as i32) {
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {
        }
    }
    let mut status = ended.lock();
    *status = Some(child.wait().unwrap_or_default());
    ended.changed.notify_all();
}

/// A command whose process is sent a SIGTERM when the thread that started it dies, where the system can do that.
fn guarded(program: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).map(|folder| folder.join("setpriv")).find(|file| file.is_file()) {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Stops the process that the pid file names, if it is still the one that was written there.
pub fn stop_orphan(program: &Program) -> Result<()> {
    let text = std::fs::read_to_string(&program.pid_file).unwrap_or_default();
    let Some((id, born)) = text.trim().split_once(' ') else { return Ok(()) };
    let Some(pid) = id.parse().ok().and_then(Pid::from_raw) else { return Ok(()) };
    let lives = || birth(pid).is_some_and(|birth| birth == born);
    for (signal, patience) in [(Signal::TERM, PATIENCE), (Signal::KILL, Duration::from_secs(5))] {
        if lives() {
            let _ = kill_process(pid, signal);
            let since = Instant::now();
            while lives() && since.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(25));
            }
        }
    }
    if lives() {
        return Err(anyhow!("{} of an earlier start (process {id}) does not end: end it by hand", program.name));
    }
    Ok(())
}

/// When a living process started, in clock ticks since boot: with the id, it names a process for good.
fn birth(pid: Pid) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name, in parentheses, may hold anything; the state is the first field after it, the start the twentieth.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" { None } else { fields.nth(18).map(str::to_owned) }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
