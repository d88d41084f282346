package tributary.peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecord;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.errors.SerializationException;
import tributary.platform.v1.EventId;
import tributary.platform.v1.Origin;

/**
 * A topic's records on the wire: a zero, the schema's id in four bytes, and the envelope in Avro.
 *
 * <p>All envelopes of commands have the same fields before their body, and all of facts, so they are taken apart by place.
 * Only the writer's schema that Tributary commits is read: this is a benchmark's, and has no evolution.
 */
final class Wire {
    private static final int FRAME = 5;
    private static final char REPLACED = '\uFFFD';
    private static final JsonNode IDS = resource("ids.json");

    private final Topic topic;
    private final byte[] frame;
    private final Coders<SpecificRecordBase> coders;

    Wire(Topic topic) {
        this.topic = topic;
        coders = new Coders<>(topic.envelope);
        JsonNode ids = IDS.path(coders.schema.getFullName());
        frame = ByteBuffer.allocate(FRAME).putInt(1, ids.path(ids.size() - 1).intValue()).array();
    }

    static JsonNode resource(String name) {
        try (InputStream in = Wire.class.getResourceAsStream("/" + name)) {
            return new ObjectMapper().readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Message read(String name, byte[] record) {
        if (record == null || record.length < FRAME || !Arrays.equals(record, 0, FRAME, frame, 0, FRAME)) {
            throw new SerializationException(name + ": a record without the frame " + Arrays.toString(frame));
        }
        try {
            SpecificRecordBase envelope = coders.read(record, FRAME);
            return topic.door ? command(envelope, record.length) : fact(envelope);
        } catch (IOException | RuntimeException e) {
            throw new SerializationException(name + ": undecodable", e);
        }
    }

    private Message.Command command(SpecificRecordBase envelope, int size) {
        SpecificRecord body = (SpecificRecord) envelope.get(6);
        checkTexts(envelope);
        checkTexts(body);
        return new Message.Command(
                topic,
                size,
                (String) envelope.get(0),
                (Long) envelope.get(1),
                (String) envelope.get(2),
                (String) envelope.get(3),
                (ByteBuffer) envelope.get(4),
                (Origin) envelope.get(5),
                body);
    }

    /** Stops at a text that is not UTF-8: Avro puts a mark in its place. A text that has the mark of its own stops it too. */
    private static void checkTexts(SpecificRecord record) {
        for (Schema.Field field : record.getSchema().getFields()) {
            Object value = record.get(field.pos());
            boolean isText = value instanceof String || value instanceof Map;
            if (isText && value.toString().indexOf(REPLACED) >= 0) {
                throw Door.wrong(field.name(), "not UTF-8");
            }
        }
    }

    private static Message.Fact fact(SpecificRecordBase envelope) {
        return new Message.Fact(
                (EventId) envelope.get(0),
                (Long) envelope.get(1),
                (EventId) envelope.get(2),
                (String) envelope.get(3),
                (String) envelope.get(4),
                (String) envelope.get(5),
                (String) envelope.get(6),
                (SpecificRecord) envelope.get(8));
    }

    byte[] write(String name, Message.Fact fact) {
        SpecificRecordBase envelope = (SpecificRecordBase) SpecificData.newInstance(topic.envelope, null);
        envelope.put(0, fact.id());
        envelope.put(1, fact.time());
        envelope.put(2, fact.causation());
        envelope.put(3, fact.correlation());
        envelope.put(4, fact.answers());
        envelope.put(5, fact.actor());
        envelope.put(6, fact.traceparent());
        envelope.put(7, List.of());
        envelope.put(8, fact.body());
        try {
            return coders.write(frame, envelope);
        } catch (IOException e) {
            throw new SerializationException(name, e);
        }
    }
}
