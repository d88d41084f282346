package tributary.peer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.TreeMap;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import tributary.accounts.v1.LegHeld;
import tributary.accounts.v1.LegPosted;
import tributary.accounts.v1.LegRefused;
import tributary.accounts.v1.LegVoided;
import tributary.peer.Message.Command;
import tributary.peer.Message.Fact;
import tributary.peer.state.Status;
import tributary.peer.state.Transaction;
import tributary.risk.v1.RiskAssessed;
import tributary.transactions.v1.CreateTransaction;
import tributary.transactions.v1.Leg;
import tributary.transactions.v1.TransactionRefused;

/**
 * Decides transactions: cuts each into legs, one per account, collects what the accounts and risk say of them, and confirms
 * or cancels.
 *
 * <p>Left out, and an error where it is met: two-phase transactions, and with them posting (wholly or in part), voiding and
 * the hold's end; cancelling and reviewing by command. A transaction that waits for a review does so until the review ends.
 */
final class TransactionNode implements Processor<String, Message, String, Fact> {
    static final String NAME = "transaction";
    /** Transactions that have not ended. */
    static final String OPEN = "transactions-open";
    /** Every transaction that was ever asked for. */
    static final String COMMANDS = "transactions-commands";

    // What Tributary's timers of a transaction are called; their events' ids derive from it.
    private static final byte[] TIMER_VOTING = {0};
    private static final byte[] TIMER_REVIEW = {2};
    private static final int LONGEST_DESCRIPTION = 1_024;
    private static final int MOST_METADATA = 16 * 1_024;

    private final int partitions;
    private final long votingSeconds;
    private Task task;
    private KeyValueStore<String, Transaction> open;
    private Door door;
    private Deadlines waiting;

    TransactionNode(int partitions, long votingSeconds) {
        this.partitions = partitions;
        this.votingSeconds = votingSeconds;
    }

    @Override
    public void init(ProcessorContext<String, Fact> context) {
        task = new Task(context, NAME);
        open = context.getStateStore(OPEN);
        door = new Door(task, COMMANDS, partitions);
        waiting = new Deadlines();
        try (var all = open.all()) {
            all.forEachRemaining(row -> watch(row.key, row.value));
        }
        context.schedule(
                Duration.ofMillis(100), PunctuationType.WALL_CLOCK_TIME, time -> waiting.fire(task.now(), this::fire));
    }

    @Override
    public void process(Record<String, Message> record) {
        if (record.value() instanceof Command command) {
            command(record, command);
            return;
        }
        Transaction transaction = open.get(record.key());
        // Nothing is awaited of anyone before the beginning or after the end: what still comes in changes nothing.
        if (transaction != null) {
            Fact fact = (Fact) record.value();
            Step step = Step.over(task, fact, record.timestamp());
            Saga saga = new Saga(step, record.key(), transaction);
            if (fact.body() instanceof LegHeld vote) {
                saga.held(vote);
            } else if (fact.body() instanceof RiskAssessed answer) {
                saga.assessed(answer);
            } else if (fact.body() instanceof LegPosted vote) {
                saga.posted(vote);
            } else if (fact.body() instanceof LegRefused vote) {
                saga.refused(vote);
            } else if (fact.body() instanceof LegVoided vote) {
                saga.voided(vote);
            }
            keep(record.key(), saga);
        }
    }

    private void command(Record<String, Message> record, Command command) {
        if (!(command.body() instanceof CreateTransaction create) || create.getTwoPhase()) {
            throw new UnsupportedOperationException("the peer creates one-phase transactions only: " + command);
        }
        String key = record.key();
        read(create);
        door.check(key, command, create.getTransactionId());
        ByteBuffer digest = Ids.digest(command);
        Step step = Step.over(task, record, command, digest);
        try {
            if (door.isNew(key, command, digest, step.now, null, false)) {
                check(create);
                List<Leg> legs = Legs.resolve(create.getLegs(), partitions);
                if (create.getHoldSeconds() != null) {
                    String field = "hold_seconds";
                    throw new Refusal(
                            Refusal.reason(NAME, null, "two_phase_only", field, field, create.getHoldSeconds()));
                }
                keep(key, Saga.create(step, command.id(), create, legs, votingSeconds));
            }
        } catch (Refusal refusal) {
            TransactionRefused refused = new TransactionRefused(key, "CreateTransaction", refusal.reason);
            step.answer(Topic.TRANSACTIONS_EVENTS, key, command.id(), refused);
        }
    }

    /** Checks what every record of this schema must be, and makes it canonical. */
    private static void read(CreateTransaction create) {
        Accounts.checkPlain("transaction_id", create.getTransactionId());
        for (Leg leg : create.getLegs()) {
            Accounts.check("legs.account_id", leg.getAccountId());
            Currencies.check("legs.amount.currency", leg.getAmount().getCurrency());
            leg.getAmount().setAmount(Amounts.canonical("legs.amount.amount", leg.getAmount().getAmount()));
        }
        create.setMetadata(new TreeMap<>(create.getMetadata()));
    }

    private static void check(CreateTransaction create) {
        int metadata = create.getMetadata().entrySet().stream()
                .mapToInt(entry -> entry.getKey().getBytes(UTF_8).length + entry.getValue().getBytes(UTF_8).length)
                .sum();
        int description = create.getDescription().getBytes(UTF_8).length;
        Door.checkLength(NAME, null, "description", description, LONGEST_DESCRIPTION);
        Door.checkLength(NAME, null, "metadata", metadata, MOST_METADATA);
    }

    private void fire(String key) {
        Transaction transaction = open.get(key);
        byte[] timer = transaction.getStatus() == Status.ON_HOLD ? TIMER_REVIEW : TIMER_VOTING;
        Step step = Step.over(task, key, timer, transaction.getDeadline(), transaction.getSetBy());
        Saga saga = new Saga(step, key, transaction);
        saga.waitedTooLong(votingSeconds);
        keep(key, saga);
    }

    private void keep(String key, Saga saga) {
        Transaction transaction = saga.transaction();
        open.put(key, saga.hasEnded() ? null : transaction);
        if (transaction.getStatus() != saga.before()) {
            watch(key, transaction);
        }
    }

    private void watch(String key, Transaction transaction) {
        if (transaction.getStatus() == Status.INITIATED || transaction.getStatus() == Status.ON_HOLD) {
            waiting.set(key, transaction.getDeadline());
        } else {
            waiting.clear(key);
        }
    }
}
