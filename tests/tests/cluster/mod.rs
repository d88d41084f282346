//! A local Apache Kafka, emptied between runs.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tributary_broker::admin;
use tributary_cli::managed::kafka::{Kafka, Lifetime, Options};
use tributary_tests::scenario::live::AskEnds;

/// A cluster of one broker.
pub struct Cluster {
    kafka: Kafka,
    _folder: tempfile::TempDir,
}

impl Cluster {
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let kafka = Kafka::start(Options::new(folder.path())?.lifetime(Lifetime::Minutes))?;
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

    /// Asks for the ends of every input of the graph: two questions for all of them.
    pub fn ends(&self, partitions: u32) -> Result<AskEnds> {
        let reader = |isolation: &str| -> Result<BaseConsumer> {
            Ok(self.client().set("group.id", "ends").set("isolation.level", isolation).create()?)
        };
        let readers = [reader("read_committed")?, reader("read_uncommitted")?];
        let ask = move |reader: &BaseConsumer| -> Result<BTreeMap<(String, u32), u64>> {
            let mut list = TopicPartitionList::new();
            for topic in tributary_graph::TOPICS {
                for partition in 0..partitions {
                    list.add_partition_offset(topic.name, i32::try_from(partition)?, Offset::End)?;
                }
            }
            let found = reader.offsets_for_times(list, Duration::from_secs(10))?;
            let end = |element: &TopicPartitionListElem<'_>| -> Result<((String, u32), u64)> {
                element.error()?;
                let end = element.offset().to_raw().and_then(|end| u64::try_from(end).ok()).context("no end")?;
                Ok(((element.topic().to_owned(), element.partition().cast_unsigned()), end))
            };
            found.elements().iter().map(end).collect()
        };
        Ok(Box::new(move || {
            // What was written is asked for last: an end that has not moved since means that nothing is under way.
            let (committed, written) = (ask(&readers[0])?, ask(&readers[1])?);
            Ok(written
                .into_iter()
                .map(|(at, end)| (at.clone(), (committed.get(&at).copied().unwrap_or(0), end)))
                .collect())
        }))
    }

    /// Writes a record as any client could, and returns its offset.
    pub fn produce(&self, topic: &str, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<u64> {
        let (told, delivered) = mpsc::channel();
        let producer: BaseProducer<Told> =
            self.client().set("message.max.bytes", "2000000").create_with_context(Told(told))?;
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
