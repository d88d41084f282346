package tributary.peer;

import java.nio.ByteBuffer;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.streams.processor.api.Record;
import tributary.peer.Message.Command;
import tributary.peer.Message.Fact;
import tributary.peer.state.SetBy;
import tributary.platform.v1.EventId;

/** One step of a node: its time, its cause, and the facts that follow, whose ids derive from the cause and their order. */
final class Step {
    /** Microseconds since the epoch. */
    final long now;

    private final Task task;
    private final EventId cause;
    private final String correlation;
    private final String actor;
    private final String traceparent;
    private final long timestamp;
    private int ordinal;

    private Step(Task task, EventId cause, String correlation, String actor, String traceparent, long timestamp) {
        this.now = task.now();
        this.task = task;
        this.cause = cause;
        this.correlation = correlation;
        this.actor = actor;
        this.traceparent = traceparent;
        this.timestamp = timestamp;
    }

    /**
     * The step over a fact. Records keep the timestamp of the command at the root: of all that a task has read and not yet
     * taken, Kafka Streams takes the oldest first, so payments under way come before new ones.
     */
    static Step over(Task task, Fact fact, long timestamp) {
        return new Step(task, fact.id(), fact.correlation(), fact.actor(), fact.traceparent(), timestamp);
    }

    /** The step over a command. */
    static Step over(Task task, Record<String, ?> record, Command command, ByteBuffer digest) {
        EventId cause = Ids.ofCommand(command.topic().title, record.key(), command.id(), digest);
        return new Step(task, cause, command.id(), command.actor(), command.traceparent(), record.timestamp());
    }

    /** The step over a timer that is due. */
    static Step over(Task task, String key, byte[] name, long deadline, SetBy setBy) {
        EventId cause = Ids.ofTimer(task.node, key, name, deadline, setBy.getId());
        long timestamp = task.context.currentSystemTimeMs();
        return new Step(task, cause, setBy.getCorrelation(), setBy.getActor(), setBy.getTraceparent(), timestamp);
    }

    /** The UTC day of this step. */
    int day() {
        return (int) Math.floorDiv(now, 86_400_000_000L);
    }

    /** What a timer that this step sets will follow from. */
    SetBy cause() {
        return new SetBy(cause, correlation, actor, traceparent);
    }

    void emit(Topic topic, String key, SpecificRecord body) {
        answer(topic, key, null, body);
    }

    /** Emits the fact that answers a command. */
    void answer(Topic topic, String key, String command, SpecificRecord body) {
        EventId id = Ids.ofOutput(cause, task.node, ordinal++);
        Fact fact = new Fact(id, now, cause, correlation, command, actor, traceparent, body);
        task.context.forward(new Record<>(key, fact, timestamp), topic.title);
    }
}
