//! A local Apache Kafka, emptied between runs.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use tributary_broker::admin;
use tributary_cli::managed::kafka::{Kafka, Options};

/// A cluster of one broker.
pub struct Cluster {
    kafka: Kafka,
    _folder: tempfile::TempDir,
}

impl Cluster {
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let kafka = Kafka::start(Options { heap_mib: 512, ..Options::new(folder.path())? })?;
        Ok(Cluster { kafka, _folder: folder })
    }

    pub fn brokers(&self) -> &str {
        &self.kafka.bootstrap
    }

    /// Settings of a client.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    /// Deletes every topic.
    pub fn clear(&self) -> Result<()> {
        let names = || Ok::<_, anyhow::Error>(admin::cluster(self.brokers(), &Default::default())?.topics);
        let topics = names()?;
        if topics.is_empty() {
            return Ok(());
        }
        let topics: Vec<&str> = topics.keys().map(String::as_str).collect();
        let client: AdminClient<DefaultClientContext> = self.client().create()?;
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        for deleted in wait(client.delete_topics(&topics, &options))? {
            deleted.map_err(|(topic, code)| anyhow!("{topic} was not deleted: {code}"))?;
        }
        for _ in 0..100 {
            if names()?.is_empty() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(names()?.is_empty(), "topics are still there");
        Ok(())
    }

    /// Writes a record as any client could, and returns its offset.
    pub fn produce(&self, topic: &str, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<u64> {
        let (told, delivered) = mpsc::channel();
        let producer: BaseProducer<Told> = self.client().set("message.max.bytes", "2000000").create_with_context(Told(told))?;
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(i32::try_from(partition)?);
        (record.key, record.payload) = (key, value);
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(Duration::from_secs(30))?;
        delivered.recv()?
    }
}

/// Tells the offset of what was delivered.
struct Told(mpsc::Sender<Result<u64>>);

impl ClientContext for Told {}

impl ProducerContext for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let offset = match result {
            Ok(message) => Ok(message.offset().cast_unsigned()),
            Err((error, _)) => Err(anyhow!("not delivered: {error}")),
        };
        drop(self.0.send(offset));
    }
}

/// Waits for a future on this thread.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
