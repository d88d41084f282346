package tributary.peer;

import java.io.IOException;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/** A store's values: records of {@code state.avdl}. */
final class StateSerde<T extends SpecificRecordBase> implements Serde<T> {
    private static final byte[] NO_FRAME = {};

    private final Coders<T> coders;

    StateSerde(Class<T> type) {
        coders = new Coders<>(type);
    }

    @Override
    public Serializer<T> serializer() {
        return (store, state) -> {
            try {
                return state == null ? null : coders.write(NO_FRAME, state);
            } catch (IOException e) {
                throw new SerializationException(store, e);
            }
        };
    }

    @Override
    public Deserializer<T> deserializer() {
        return (store, bytes) -> {
            try {
                return bytes == null ? null : coders.read(bytes, 0);
            } catch (IOException e) {
                throw new SerializationException(store, e);
            }
        };
    }
}
