//! A real schema registry for tests: Apicurio 3.3.3 behind its Confluent-compatible API.
//!
//! Why a real one, when the binary answers the read API itself: what we claim about registration, compatibility and
//! references has to hold against software we did not write. It differs from Confluent's in one default, which is set
//! here: compatibility is FULL_TRANSITIVE instead of NONE. And like Confluent's it lets a decimal's scale change.
//!
//! Storage is H2 in a folder of its own, with `WRITE_DELAY=0`: without it a kill -9 loses acknowledged schemas.
//! It needs Java 21, which `make setup` sees to.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tributary_cli::managed::process::{Process, Program};
use tributary_cli::managed::{cache_dir, free_port, java, maven};

/// The version that is run.
pub const VERSION: &str = "3.3.3";

/// A running registry, stopped on drop.
#[derive(Debug)]
pub struct Apicurio {
    /// Its Confluent-compatible API, as clients want it.
    pub url: String,
    program: Program,
    process: Process,
    port: u16,
}

impl Apicurio {
    /// Fetches it when missing, starts it on free loopback ports with its data in this folder, and waits for it.
    pub fn start(data: &Path) -> Result<Self> {
        let java = java::find(21)?;
        let home = unpacked()?;
        std::fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
        let data = data.canonicalize()?;
        let (port, management) = (free_port()?, free_port()?);
        let settings = [
            "quarkus.http.host=127.0.0.1".to_owned(),
            format!("quarkus.http.port={port}"),
            // Without a host of its own the management port would be open to the network.
            "quarkus.management.host=127.0.0.1".to_owned(),
            format!("quarkus.management.port={management}"),
            "apicurio.storage.kind=sql".to_owned(),
            "apicurio.storage.sql.kind=h2".to_owned(),
            format!(
                "apicurio.datasource.url=jdbc:h2:file:{};DB_CLOSE_ON_EXIT=FALSE;WRITE_DELAY=0",
                data.join("registry").display()
            ),
            "apicurio.rules.global.compatibility=FULL_TRANSITIVE".to_owned(),
        ];
        let mut arguments = vec!["-Xmx512m".into()];
        arguments.extend(settings.into_iter().map(|setting| format!("-D{setting}").into()));
        arguments.extend(["-jar".into(), home.join("quarkus-run.jar").into()]);
        let program = Program {
            name: "Apicurio",
            path: java,
            arguments,
            log: data.join("apicurio.log"),
            pid_file: data.join("apicurio.pid"),
        };
        let process = launch(&program, port)?;
        Ok(Self { url: url(port), program, process, port })
    }

    /// Registers a schema that is complete in itself, and returns its id.
    pub fn register(&self, subject: &str, schema: &Value) -> Result<u32> {
        let (status, answer) = post(
            &format!("{}/subjects/{subject}/versions", self.url),
            &json!({"schemaType": "AVRO", "schema": schema.to_string()}),
        )?;
        match answer["id"].as_u64() {
            Some(id) if status == 200 => Ok(u32::try_from(id)?),
            _ => bail!("{subject} was not registered ({status}): {answer}"),
        }
    }

    /// Whether the registry takes this schema as the subject's next version.
    pub fn is_compatible(&self, subject: &str, schema: &Value) -> Result<bool> {
        let (status, answer) = post(
            &format!("{}/compatibility/subjects/{subject}/versions/latest", self.url),
            &json!({"schemaType": "AVRO", "schema": schema.to_string()}),
        )?;
        answer["is_compatible"].as_bool().with_context(|| format!("no verdict on {subject} ({status}): {answer}"))
    }

    /// Ends it as a power cut would end the process.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Starts it again on the same data and ports.
    pub fn restart(&mut self) -> Result<()> {
        self.process.stop();
        self.process = launch(&self.program, self.port)?;
        Ok(())
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/apis/ccompat/v7")
}

fn launch(program: &Program, port: u16) -> Result<Process> {
    let process = Process::start(program.clone())?;
    let subjects = format!("{}/subjects", url(port));
    process.wait_until(Duration::from_secs(90), || {
        TcpStream::connect(("127.0.0.1", port)).is_ok() && ureq::get(&subjects).call().is_ok()
    })?;
    Ok(process)
}

/// The unpacked distribution: 158 MB from Maven Central, once.
fn unpacked() -> Result<PathBuf> {
    let home = cache_dir()?.join(format!("apicurio-{VERSION}"));
    if home.join("quarkus-run.jar").is_file() {
        return Ok(home);
    }
    let archive = home.with_file_name(format!("apicurio-{VERSION}-archive"));
    let coordinates = format!("io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all");
    maven::artifact("Apicurio Registry 3.3.3", &coordinates, &archive)?;
    let staging = home.with_file_name(format!("apicurio-{VERSION}.part-{}", std::process::id()));
    std::fs::create_dir_all(&staging)?;
    let file = archive.join(format!("apicurio-registry-app-{VERSION}-all.tar.gz"));
    let status =
        Command::new("tar").arg("-xzf").arg(&file).arg("-C").arg(&staging).status().context("cannot run tar")?;
    if !status.success() {
        bail!("cannot unpack {}: remove {} and try again", file.display(), archive.display());
    }
    if std::fs::rename(&staging, &home).is_err() {
        // Another process was quicker.
        std::fs::remove_dir_all(&staging)?;
    }
    let _ = std::fs::remove_dir_all(archive);
    Ok(home)
}

fn post(url: &str, body: &Value) -> Result<(u16, Value)> {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut answer = agent.post(url).send_json(body).with_context(|| format!("no answer from {url}"))?;
    let text = answer.body_mut().read_to_string()?;
    Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
}
