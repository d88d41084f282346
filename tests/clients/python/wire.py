"""The wire, as a stock client sees it: two producers, one consumer, Avro by way of a schema registry."""

import sys
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from datetime import datetime, timezone

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

ACCOUNT_COMMANDS = "accounts.commands.v1"
ACCOUNT_EVENTS = "accounts.events.v1"
TRANSACTION_COMMANDS = "transactions.commands.v1"
TRANSACTION_EVENTS = "transactions.events.v1"

FINAL = {
    "TransactionCompleted",
    "TransactionFailed",
    "TransactionCancelled",
    "TransactionExpired",
    "TransactionRefused",
}


class Client:
    """The wire: two producers that partition differently, one consumer that reads committed records only."""

    def __init__(self, options):
        get(f"{options.registry}/subjects")  # one plain error where nobody listens
        registry = SchemaRegistryClient({"url": options.registry})
        self.serializers = {}
        # Once as a client that believes it registers its schema, once as one that only looks it up.
        for topic, registers in ((ACCOUNT_COMMANDS, True), (TRANSACTION_COMMANDS, False)):
            schema = registry.get_latest_version(f"{topic}-value").schema
            self.serializers[topic] = AvroSerializer(registry, schema.schema_str, conf={"auto.register.schemas": registers})
        self.deserializer = AvroDeserializer(registry, return_record_name=True)
        self.failed = []
        base = {"bootstrap.servers": options.brokers, "acks": "all", "enable.idempotence": True, "linger.ms": 5}
        self.crc32 = Producer(base | {"partitioner": "consistent_random"})  # the default of librdkafka, spelled out
        self.murmur2 = Producer(base | {"partitioner": "murmur2_random"})  # the default of the Java client
        self.consumer = Consumer(
            {
                "bootstrap.servers": options.brokers,
                "group.id": f"payments-py-{options.run}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
            }
        )
        self.partitions = {}

    def start(self):
        """Reads from here on: what other runs left behind is not ours."""
        topics = self.consumer.list_topics(timeout=15).topics
        places = []
        for topic in (ACCOUNT_COMMANDS, ACCOUNT_EVENTS, TRANSACTION_COMMANDS, TRANSACTION_EVENTS):
            if topic not in topics:
                raise SystemExit(f"the cluster has no topic {topic}: start Tributary on it first")
            self.partitions[topic] = len(topics[topic].partitions)
        for topic in (ACCOUNT_EVENTS, TRANSACTION_EVENTS):
            for partition in topics[topic].partitions:
                _, end = self.consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=15)
                places.append(TopicPartition(topic, partition, end))
        self.consumer.assign(places)

    def encode(self, topic, command_id, body):
        envelope = {"id": command_id, "time": datetime.now(timezone.utc), "body": body}
        return self.serializers[topic](envelope, SerializationContext(topic, MessageField.VALUE))

    def send(self, producer, topic, key, value):
        while True:
            try:
                producer.produce(topic, key=key, value=value, on_delivery=self._delivered)
                producer.poll(0)
                return
            except BufferError:
                producer.poll(0.05)

    def flush(self):
        left = self.crc32.flush(30) + self.murmur2.flush(30)
        if left or self.failed:
            raise SystemExit(f"{left} records not delivered, {len(self.failed)} refused by the broker: {self.failed[:3]}")

    def _delivered(self, error, message):
        if error:
            self.failed.append(f"{message.topic()}: {error}")

    def read(self, wait):
        """The next facts: (topic, key, answered command, record name, fields)."""
        for message in self.consumer.consume(500, timeout=wait):
            if message.error():
                raise KafkaException(message.error())
            context = SerializationContext(message.topic(), MessageField.VALUE)
            envelope = self.deserializer(message.value(), context)
            name, fields = envelope["body"]
            yield message.topic(), message.key().decode(), envelope["answers"], name.rsplit(".", 1)[-1], fields


class Facts:
    """Everything that was said about this run."""

    def __init__(self, client, prefix, timeout):
        self.client, self.prefix, self.timeout = client, prefix, timeout
        self.opened = Counter()
        self.refused_accounts = []
        self.outcomes = defaultdict(list)  # transaction -> [(final status, fields)]
        self.conflicts = defaultdict(list)
        self.answers = Counter()
        self.on_hold = set()
        self.seen_at = {}

    def take(self, wait):
        count = 0
        for topic, key, answers, name, fields in self.client.read(wait):
            if not key.startswith(self.prefix):
                continue
            count += 1
            if answers is not None:
                self.answers[topic, key, answers] += 1
            if name == "AccountOpened":
                self.opened[key] += 1
            elif name == "AccountRefused":
                self.refused_accounts.append((key, fields["reason"]))
            elif name == "TransactionRefused" and reason_of(fields["reason"])["code"] == "conflict":
                self.conflicts[key].append(fields)
            elif name in FINAL:
                self.outcomes[key].append((name, fields))
                self.seen_at.setdefault(key, time.monotonic())
            elif name == "TransactionOnHold":
                self.on_hold.add(key)
        return count

    def wait_for(self, what, missing):
        """Reads until nothing is missing, and says whether that was reached in time."""
        end = time.monotonic() + self.timeout
        while left := missing():
            if time.monotonic() > end:
                held = f"; {len(self.on_hold)} wait for a review" if self.on_hold else ""
                print(f"still missing after {self.timeout:.0f} s: {left} {what}{held}", file=sys.stderr)
                return False
            self.take(0.2)
        return True

    def settle(self, quiet=2.0):
        """Reads until nothing was said for a while: one outcome too many would show here."""
        last = time.monotonic()
        while time.monotonic() - last < quiet:
            if self.take(0.2):
                last = time.monotonic()


def reason_of(reason):
    return reason[1] if isinstance(reason, tuple) else reason


def get(url):
    """The body of a page; of an error page too, where it says that something is not there."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode() if error.code == 404 else ""
