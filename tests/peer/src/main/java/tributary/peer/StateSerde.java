package tributary.peer;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import org.apache.avro.Schema;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.avro.specific.SpecificDatumWriter;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/** A store's values: records of {@code state.avdl}, by the coders that Avro generates for them. */
final class StateSerde<T extends SpecificRecordBase> implements Serde<T> {
    private final SpecificData model;
    private final Schema schema;
    // One serde serves all threads.
    private final ThreadLocal<Coders> coders = ThreadLocal.withInitial(Coders::new);

    private final class Coders {
        private final SpecificDatumReader<T> reader = new SpecificDatumReader<>(schema, schema, model);
        private final SpecificDatumWriter<T> writer = new SpecificDatumWriter<>(schema, model);
        private final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
        private final BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        private BinaryDecoder decoder;
    }

    StateSerde(Class<T> type) {
        model = SpecificData.getForClass(type);
        model.setCustomCoders(true);
        schema = model.getSchema(type);
    }

    @Override
    public Serializer<T> serializer() {
        return (store, state) -> {
            if (state == null) {
                return null;
            }
            Coders coders = this.coders.get();
            coders.out.reset();
            try {
                coders.writer.write(state, coders.encoder);
                coders.encoder.flush();
            } catch (IOException e) {
                throw new SerializationException(store, e);
            }
            return coders.out.toByteArray();
        };
    }

    @Override
    public Deserializer<T> deserializer() {
        return (store, bytes) -> {
            if (bytes == null) {
                return null;
            }
            Coders coders = this.coders.get();
            try {
                coders.decoder = DecoderFactory.get().binaryDecoder(bytes, coders.decoder);
                return coders.reader.read(null, coders.decoder);
            } catch (IOException e) {
                throw new SerializationException(store, e);
            }
        };
    }
}
