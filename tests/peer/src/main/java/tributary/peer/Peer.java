package tributary.peer;

import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.state.Stores;
import tributary.peer.Message.Fact;
import tributary.peer.state.Account;
import tributary.peer.state.Block;
import tributary.peer.state.Booking;
import tributary.peer.state.OpenLeg;
import tributary.peer.state.Pending;
import tributary.peer.state.Seen;
import tributary.peer.state.Tally;
import tributary.peer.state.Transaction;
import tributary.peer.state.Velocity;

/**
 * Tributary's saga in Kafka Streams, to be measured against: the same topics and records, the same ledger to the last digit,
 * written as Kafka Streams is meant to be used. Whatever decides is a line by line translation of the nodes of the same
 * names; its reasons are told there. Ids of facts are derived as there, but of another digest: see {@link Ids}.
 *
 * <p>Kafka Streams groups nodes that share a topic, so there are two groups: transaction and ledger under a transaction's
 * key, account and risk under an account's. Every hop goes through its topic; none is repartitioned.
 *
 * <p>Left out is what no benchmark asks for: each node says what, and stops where it meets it. So are the read models; dead
 * letters; the journal of epochs, by which Tributary decides anew what it has decided; the row that remembers how a
 * transaction ended, for the command that began it is remembered anyway; a clock that does not go back over a restart
 * either; and the rule that timers wait after a restart until their inputs were read.
 */
public final class Peer {
    private final Topology topology = new Topology();

    private Peer(int partitions, long votingSeconds) {
        Rules rules = Rules.read();
        for (Topic topic : new Topic[] {
            Topic.TRANSACTIONS_COMMANDS,
            Topic.TRANSACTIONS_ADMIN_COMMANDS,
            Topic.TRANSACTIONS_EVENTS,
            Topic.TRANSACTIONS_LEGS,
            Topic.ACCOUNTS_COMMANDS,
            Topic.ACCOUNTS_ADMIN_COMMANDS,
            Topic.ACCOUNTS_VOTES,
            Topic.PARTIES_ADMIN_COMMANDS,
            Topic.RISK_EVENTS
        }) {
            topology.addSource(source(topic), new StringDeserializer(), new Wire(topic)::read, topic.title);
        }

        node(
                TransactionNode.NAME,
                () -> new TransactionNode(partitions, votingSeconds),
                Topic.TRANSACTIONS_COMMANDS,
                Topic.TRANSACTIONS_ADMIN_COMMANDS,
                Topic.ACCOUNTS_VOTES,
                Topic.RISK_EVENTS);
        store(TransactionNode.OPEN, Transaction.class, TransactionNode.NAME);
        lasting(TransactionNode.COMMANDS, new StateSerde<>(Seen.class), TransactionNode.NAME);
        sink(Topic.TRANSACTIONS_EVENTS, TransactionNode.NAME);
        sink(Topic.TRANSACTIONS_LEGS, TransactionNode.NAME);

        node(
                AccountNode.NAME,
                () -> new AccountNode(partitions),
                Topic.ACCOUNTS_COMMANDS,
                Topic.ACCOUNTS_ADMIN_COMMANDS,
                Topic.TRANSACTIONS_LEGS);
        store(AccountNode.ACCOUNTS, Account.class, AccountNode.NAME);
        store(AccountNode.LEGS, OpenLeg.class, AccountNode.NAME);
        lasting(AccountNode.COMMANDS, new StateSerde<>(Seen.class), AccountNode.NAME);
        sink(Topic.ACCOUNTS_EVENTS, AccountNode.NAME);
        sink(Topic.ACCOUNTS_VOTES, AccountNode.NAME);
        sink(Topic.LEDGER_ENTRIES, AccountNode.NAME);

        node(
                RiskNode.NAME,
                () -> new RiskNode(rules, partitions),
                Topic.PARTIES_ADMIN_COMMANDS,
                Topic.TRANSACTIONS_LEGS);
        store(Windows.VELOCITY, Velocity.class, RiskNode.NAME);
        store(Windows.BUCKETS, Serdes.Bytes(), new StateSerde<>(Tally.class), true, RiskNode.NAME);
        store(RiskNode.PENDING, Pending.class, RiskNode.NAME);
        lasting(RiskNode.PAYEES, Serdes.Long(), RiskNode.NAME);
        lasting(RiskNode.BLOCKS, new StateSerde<>(Block.class), RiskNode.NAME);
        lasting(RiskNode.COMMANDS, new StateSerde<>(Seen.class), RiskNode.NAME);
        sink(Topic.PARTIES_EVENTS, RiskNode.NAME);
        sink(Topic.RISK_EVENTS, RiskNode.NAME);

        node(LedgerNode.NAME, LedgerNode::new, Topic.TRANSACTIONS_EVENTS, Topic.ACCOUNTS_VOTES);
        store(LedgerNode.BOOKINGS, Booking.class, LedgerNode.NAME);
        sink(Topic.LEDGER_JOURNAL, LedgerNode.NAME);
        sink(Topic.LEDGER_EVENTS, LedgerNode.NAME);
    }

    private void node(String name, ProcessorSupplier<String, Message, String, Fact> supplier, Topic... inputs) {
        String[] sources = new String[inputs.length];
        for (int at = 0; at < inputs.length; at++) {
            sources[at] = source(inputs[at]);
        }
        topology.addProcessor(name, supplier, sources);
    }

    private static String source(Topic topic) {
        return "from." + topic.title;
    }

    /** Kafka's default partitioner is the one that Tributary keys by. */
    private void sink(Topic topic, String node) {
        topology.addSink(topic.title, topic.title, new StringSerializer(), new Wire(topic)::write, node);
    }

    /** With the cache: a row that is written again before the commit costs one record of the changelog and one write. */
    private <V extends SpecificRecordBase> void store(String name, Class<V> value, String node) {
        store(name, Serdes.String(), new StateSerde<>(value), true, node);
    }

    /** Without the cache, from which rows that are written once, and seldom found, would only drive others. */
    private <V> void lasting(String name, Serde<V> value, String node) {
        store(name, Serdes.String(), value, false, node);
    }

    private <K, V> void store(String name, Serde<K> key, Serde<V> value, boolean cached, String node) {
        var builder = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), key, value)
                .withLoggingEnabled(Map.of());
        topology.addStateStore(cached ? builder.withCachingEnabled() : builder.withCachingDisabled(), node);
    }

    /** How Kafka Streams is run; what the command line sets wins. */
    private static Properties settings(Arguments arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.application());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.brokers());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments.threads());
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.commitMs());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments.state());
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, arguments.cacheBytes());
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, BoundedRocksDb.class);
        // A thread looks whether a commit is due when it stops waiting for records, so it must not wait for long.
        settings.put(StreamsConfig.POLL_MS_CONFIG, 5);
        // What comes by several inputs is in no order for Tributary either, so none waits for another: of several objections to
        // a transaction, say, any may be told first.
        settings.put(StreamsConfig.MAX_TASK_IDLE_MS_CONFIG, StreamsConfig.MAX_TASK_IDLE_MS_DISABLED);
        // A hop ends with a commit, which flushes: what is sent before it should be under way by then, in large batches.
        settings.put(StreamsConfig.producerPrefix("linger.ms"), 5);
        // A thread writes to dozens of partitions, and its producer has 32 MB for all of them.
        settings.put(StreamsConfig.producerPrefix("batch.size"), 64 * 1024);
        // The first batches after a commit are turned away until its markers are written, which takes a moment only.
        settings.put(StreamsConfig.producerPrefix("retry.backoff.ms"), 10);
        settings.put(StreamsConfig.producerPrefix("retry.backoff.max.ms"), 100);
        // As long as Tributary's sessions, so that both are missed as soon.
        settings.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6_000);
        settings.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 1_500);
        settings.putAll(arguments.set());
        return settings;
    }

    public static void main(String[] words) throws InterruptedException {
        Arguments arguments = Arguments.parse(words);
        Peer peer = new Peer(arguments.partitions(), arguments.votingSeconds());
        KafkaStreams streams = new KafkaStreams(peer.topology, settings(arguments));
        CountDownLatch stopped = new CountDownLatch(1);
        CountDownLatch ready = new CountDownLatch(1);
        streams.setStateListener((state, before) -> {
            if (state == KafkaStreams.State.RUNNING && ready.getCount() > 0) {
                ready.countDown();
                System.out.println("ready");
            } else if (state == KafkaStreams.State.ERROR || state == KafkaStreams.State.NOT_RUNNING) {
                stopped.countDown();
            }
        });
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        AtomicBoolean asked = new AtomicBoolean();
        Thread stop = new Thread(() -> {
            asked.set(true);
            // Leaving lets the next start go on at once, instead of after this one's session.
            boolean closed = streams.close(CloseOptions.groupMembershipOperation(GroupMembershipOperation.LEAVE_GROUP)
                    .withTimeout(Duration.ofSeconds(30)));
            Runtime.getRuntime().halt(closed ? 0 : 1);
        });
        Runtime.getRuntime().addShutdownHook(stop);
        streams.start();
        stopped.await();
        if (!asked.get()) {
            // It has failed, and said how.
            Runtime.getRuntime().halt(1);
        }
    }
}
