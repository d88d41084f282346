//! A local Kafka for these tests, from the jars in the cache.
#![allow(missing_docs, dead_code)]
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub struct Kafka {
    pub bootstrap: String,
    data: PathBuf,
    child: Child,
}

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn jars() -> String {
    format!("{}/.cache/tributary/kafka-4.3.1/*", std::env::var("HOME").unwrap())
}

impl Kafka {
    pub fn start(data: &Path) -> Self {
        let (port, controller) = (free(), free());
        let text = include_str!("../../../cli/src/managed/server.properties")
            .replace("{port}", &port.to_string())
            .replace("{controller}", &controller.to_string())
            .replace("{data}", &data.display().to_string());
        std::fs::write(data.join("server.properties"), text).unwrap();
        let format = Command::new("java")
            .args([
                "-Xmx128m",
                "-cp",
                &jars(),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                "AAAAAAAAAAAAAAAAAAAAAA",
                "-c",
            ])
            .arg(data.join("server.properties"))
            .output()
            .unwrap();
        assert!(format.status.success(), "{}", String::from_utf8_lossy(&format.stderr));
        Kafka { bootstrap: format!("127.0.0.1:{port}"), data: data.to_owned(), child: launch(data) }
    }

    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.kill9();
        self.child = launch(&self.data);
    }
}

fn launch(data: &Path) -> Child {
    let path = data.join("kafka.log");
    let log = File::create(&path).unwrap();
    let child = Command::new("java")
        .args(["-Xmx512m", "-cp", &jars(), "kafka.Kafka"])
        .arg(data.join("server.properties"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let since = Instant::now();
    while !std::fs::read_to_string(&path).unwrap().contains("Kafka Server started") {
        assert!(since.elapsed() < Duration::from_secs(60), "Kafka does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.kill9();
    }
}
