//! The way in for what the edge submits: an idempotent producer outside of transactions, for a command is durable before
//! anything is decided on it. Partitions are murmur2's, as the tasks expect them.

use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use tributary_flow::platform::{Done, Place, SubmitError};
use tributary_flow::{CLOCK, Timestamp, TopicRef, partition_of};

use crate::{Options, StartError, chatter};

/// How far our clock may be from the broker's, in seconds.
const CLOCK_LIMIT: i64 = 5;

/// Told when a record is acknowledged, with the time that the broker gave it, in milliseconds.
type Delivered = Box<dyn FnOnce(Result<(Place, Option<i64>), KafkaError>) + Send>;

/// Whom to tell, in the shape that a producer carries along.
pub(crate) struct Waiting(Mutex<Option<Delivered>>);

impl Waiting {
    fn tell(self, result: Result<(Place, Option<i64>), KafkaError>) {
        if let Some(delivered) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            delivered(result);
        }
    }
}

/// Librdkafka's logs as ours.
pub(crate) struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, line: &str) {
        chatter::log(level as i32, "edge", kind, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("{error}: {reason}"); // What matters of it is logged as well, or told with a delivery.
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Waiting>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Box<Waiting>) {
        waiting.tell(match result {
            Ok(message) => {
                let partition = message.partition().cast_unsigned();
                let offset = message.offset().max(0).cast_unsigned();
                let place = Place { topic: message.topic().to_owned(), partition, offset };
                Ok((place, message.timestamp().to_millis()))
            }
            Err((error, _)) => Err(error.clone()),
        });
    }
}

pub(crate) struct Submitter {
    /// Taken at the end: what comes later is turned away.
    producer: Mutex<Option<ThreadedProducer<Context>>>,
    partitions: u32,
    max_record: usize,
}

impl Submitter {
    pub fn new(options: &Options) -> Result<Self, KafkaError> {
        let producer = options.submitter().create_with_context(Context)?;
        Ok(Submitter {
            producer: Mutex::new(Some(producer)),
            partitions: options.partitions,
            max_record: options.max_record,
        })
    }

    pub fn submit(&self, topic: TopicRef, key: &str, value: &[u8], done: Done) {
        let size = key.len() + value.len();
        if size > self.max_record {
            return done(Err(SubmitError::TooLarge { size, limit: self.max_record }));
        }
        let partition = partition_of(key.as_bytes(), self.partitions);
        let unavailable = |error: KafkaError| {
            SubmitError::Unavailable(format!(
                "Kafka did not acknowledge it, and whether it was written is unknown: send the command again with the \
                 same id ({error})"
            ))
        };
        let told = move |result: Result<(Place, _), _>| done(result.map(|(place, _)| place).map_err(unavailable));
        self.send(topic.name, partition, key, value, Box::new(told));
    }

    fn send(&self, topic: &str, partition: u32, key: &str, value: &[u8], delivered: Delivered) {
        let waiting = Box::new(Waiting(Mutex::new(Some(delivered))));
        let record =
            BaseRecord::with_opaque_to(topic, waiting).partition(partition.cast_signed()).key(key).payload(value);
        let producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match producer.as_ref() {
            Some(producer) => producer.send(record),
            None => Err((KafkaError::Canceled, record)),
        };
        drop(producer); // Whom we tell may submit again.
        if let Err((error, record)) = sent {
            record.delivery_opaque.tell(Err(error));
        }
    }

    /// Compares our clock with the broker's, through a record.
    pub fn check_clock(&self, clock: fn() -> Timestamp) -> Result<(), StartError> {
        let (tell, told) = mpsc::channel();
        let before = clock();
        self.send(CLOCK, 0, "clock", &[], Box::new(move |result| drop(tell.send(result))));
        let Ok(Ok((_, Some(broker)))) = told.recv_timeout(Duration::from_secs(10)) else {
            tracing::warn!("the broker's clock could not be read from {CLOCK}: clocks are not compared");
            return Ok(());
        };
        let after = clock();
        // Ours was somewhere between before and after when the broker's was read.
        let ahead = (before.0 / 1_000 - broker).max(0) + (after.0 / 1_000 - broker).min(0);
        if ahead.abs() > CLOCK_LIMIT * 1_000 {
            return Err(StartError::Clock { seconds: ahead / 1_000, limit: CLOCK_LIMIT });
        }
        Ok(())
    }

    /// Waits for what is under way, and takes no more.
    pub fn close(&self) {
        let producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(producer) = producer
            && let Err(error) = producer.flush(Duration::from_secs(5))
        {
            tracing::warn!("commands of the last moment are not acknowledged: {error}");
        }
    }
}
