package tributary.peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.commons.codec.digest.Blake3;
import tributary.platform.v1.EventId;

/**
 * Ids of events, derived as Tributary derives them: the first 16 bytes of BLAKE3 over a kind and its parts, each after its
 * length in eight bytes. Where the edge gave no digest of a command, that of its body is another than Tributary's, and so
 * are all ids that follow from it.
 */
final class Ids {
    private static final int BYTES = 16;
    private static final ClassValue<Coders<SpecificRecordBase>> BODIES = new ClassValue<>() {
        @Override
        protected Coders<SpecificRecordBase> computeValue(Class<?> type) {
            return new Coders<>(type.asSubclass(SpecificRecordBase.class));
        }
    };

    private Ids() {}

    static EventId ofCommand(String topic, String key, String id, ByteBuffer digest) {
        return derive("command", utf8(topic), utf8(key), utf8(id), digest.array());
    }

    static EventId ofTimer(String node, String key, byte[] name, long deadline, EventId setBy) {
        return derive("timer", utf8(node), utf8(key), name, littleEndian(deadline), setBy.bytes());
    }

    static EventId ofOutput(EventId cause, String node, int ordinal) {
        byte[] number = {(byte) ordinal, (byte) (ordinal >>> 8), (byte) (ordinal >>> 16), (byte) (ordinal >>> 24)};
        return derive("output", cause.bytes(), utf8(node), number);
    }

    /** What makes two requests the same: the edge's digest where it gave one, or else the body, made canonical before. */
    static ByteBuffer digest(Message.Command command) {
        byte[] bytes = command.digest() != null ? array(command.digest()) : encoded((SpecificRecordBase) command.body());
        return ByteBuffer.wrap(Arrays.copyOf(Blake3.hash(bytes), BYTES));
    }

    /** The body behind its name, for some commands have the same fields. */
    private static byte[] encoded(SpecificRecordBase body) {
        try {
            return BODIES.get(body.getClass()).write(utf8(body.getSchema().getName()), body);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static EventId derive(String kind, byte[]... parts) {
        int size = kind.length();
        for (byte[] part : parts) {
            size += Long.BYTES + part.length;
        }
        ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN).put(utf8(kind));
        for (byte[] part : parts) {
            bytes.putLong(part.length).put(part);
        }
        return new EventId(Arrays.copyOf(Blake3.hash(bytes.array()), BYTES));
    }

    static byte[] array(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    private static byte[] littleEndian(long number) {
        return ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(number).array();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
