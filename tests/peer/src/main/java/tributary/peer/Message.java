package tributary.peer;

import java.nio.ByteBuffer;
import org.apache.avro.specific.SpecificRecord;
import tributary.platform.v1.EventId;
import tributary.platform.v1.Origin;

/** What a record says: its body, and of the envelope what is looked at or passed on. */
sealed interface Message {
    SpecificRecord body();

    /** What a client asks, in so many bytes. */
    record Command(
            Topic topic,
            int size,
            String id,
            long time,
            String actor,
            String traceparent,
            ByteBuffer digest,
            Origin origin,
            SpecificRecord body)
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
