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

/**
 * Reads and writes the records of one schema: it writes by the coders that Avro generates, which an envelope, whose body is one
 * of several records, has only for what is in it; it reads by Avro's fast reader, which does not ask for them. One instance
 * serves all threads.
 */
final class Coders<T extends SpecificRecordBase> {
    final Schema schema;
    private final SpecificData model;
    private final ThreadLocal<Own> own = ThreadLocal.withInitial(Own::new);

    /** A thread's own, used again for every record. */
    private final class Own {
        private final SpecificDatumReader<T> reader = new SpecificDatumReader<>(schema, schema, model);
        private final SpecificDatumWriter<T> writer = new SpecificDatumWriter<>(schema, model);
        private final ByteArrayOutputStream out = new ByteArrayOutputStream(1024);
        private final BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        private BinaryDecoder decoder;
    }

    Coders(Class<? extends T> type) {
        model = SpecificData.getForClass(type);
        model.setCustomCoders(true);
        schema = model.getSchema(type);
    }

    /** The record whose datum begins there and goes to the end. */
    T read(byte[] bytes, int from) throws IOException {
        Own own = this.own.get();
        own.decoder = DecoderFactory.get().binaryDecoder(bytes, from, bytes.length - from, own.decoder);
        T record = own.reader.read(null, own.decoder);
        if (!own.decoder.isEnd()) {
            throw new IOException("more follows after the end of a record");
        }
        return record;
    }

    /** A record behind its frame. */
    byte[] write(byte[] frame, T record) throws IOException {
        Own own = this.own.get();
        own.out.reset();
        own.encoder.writeFixed(frame);
        own.writer.write(record, own.encoder);
        own.encoder.flush();
        return own.out.toByteArray();
    }
}
