package tributary.peer;

import org.apache.kafka.streams.processor.api.ProcessorContext;
import tributary.peer.Message.Fact;

/** A node in one partition: where its facts go, and its clock, which never goes back while it runs. */
final class Task {
    final ProcessorContext<String, Fact> context;
    final String node;
    private long latest;

    Task(ProcessorContext<String, Fact> context, String node) {
        this.context = context;
        this.node = node;
    }

    /** Microseconds since the epoch. */
    long now() {
        latest = Math.max(latest, context.currentSystemTimeMs() * 1_000);
        return latest;
    }
}
