package tributary.peer;

import java.nio.ByteBuffer;
import org.apache.avro.specific.SpecificRecord;
import tributary.platform.v1.EventId;

/** What a record says: its body, and of the envelope what is passed on. */
sealed interface Message {
    SpecificRecord body();

    /** What a client asks. */
    record Command(
            Topic topic, String id, long time, String actor, String traceparent, ByteBuffer digest, SpecificRecord body)
            implements Message {}

    /** What a node decided. */
    record Fact(
            EventId id,
            long time,
            EventId causation,
            String correlation,
            String answers,
            String actor,
            String traceparent,
            SpecificRecord body)
            implements Message {}
}
