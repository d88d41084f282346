package tributary.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.errors.SerializationException;
import org.junit.jupiter.api.Test;
import tributary.accounts.v1.AccountCommandEnvelope;
import tributary.accounts.v1.FreezeAccount;
import tributary.accounts.v1.UnfreezeAccount;

class WireTest {
    /** Data that another library wrote, which Tributary's own tests read too. */
    private static final Path GOLDEN = Path.of("../../schemas/golden");

    private static List<Path> golden(Topic topic) throws IOException {
        try (Stream<Path> all = Files.list(GOLDEN)) {
            String envelope = topic.envelope.getSimpleName() + ".";
            return all.filter(path -> path.getFileName().toString().startsWith(envelope))
                    .filter(path -> path.toString().endsWith(".hex"))
                    .toList();
        }
    }

    @Test
    void whatIsReadIsWrittenAgain() throws IOException {
        for (Topic topic : Topic.values()) {
            Coders<SpecificRecordBase> coders = new Coders<>(topic.envelope);
            List<Path> golden = golden(topic);
            assertTrue(!golden.isEmpty(), topic.title);
            for (Path path : golden) {
                byte[] datum = HexFormat.of().parseHex(Files.readString(path).trim());
                SpecificRecordBase record = coders.read(datum, 0);
                byte[] again = coders.write(new byte[0], record);
                assertEquals(datum.length, again.length, path.toString());
                // Not byte for byte, for maps have no order.
                assertEquals(record, coders.read(again, 0), path.toString());
                byte[] more = Arrays.copyOf(datum, datum.length + 1);
                assertThrows(IOException.class, () -> coders.read(more, 0), path.toString());
            }
        }
    }

    @Test
    void textIsUtf8() throws IOException {
        Topic topic = Topic.ACCOUNTS_ADMIN_COMMANDS;
        AccountCommandEnvelope envelope =
                new AccountCommandEnvelope("id", 0L, null, null, null, null, new FreezeAccount("a", "why"));
        byte[] frame = {0, 0, 0, 0, 1};
        byte[] record = new Coders<SpecificRecordBase>(topic.envelope).write(frame, envelope);
        assertEquals(new FreezeAccount("a", "why"), new Wire(topic).read(topic.title, record).body());
        record[record.length - 1] = (byte) 0xff;
        var wrong = assertThrows(SerializationException.class, () -> new Wire(topic).read(topic.title, record));
        assertTrue(wrong.getCause().getMessage().contains("reason:"), wrong.getCause().getMessage());
    }

    @Test
    void requestsAreTheSameWhereTheirBodiesAre() {
        ByteBuffer freeze = digest(new FreezeAccount("a", "why"));
        assertEquals(freeze, digest(new FreezeAccount("a", "why")));
        assertNotEquals(freeze, digest(new FreezeAccount("a", "")));
        assertNotEquals(freeze, digest(new UnfreezeAccount("a", "why")));
    }

    private static ByteBuffer digest(SpecificRecordBase body) {
        return Ids.digest(new Message.Command(Topic.ACCOUNTS_COMMANDS, 0, "id", 0, null, null, null, null, body));
    }
}
