package tributary.peer;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tributary.ledger.v1.EntryPosted;
import tributary.platform.v1.Hash;
import tributary.platform.v1.Money;
import tributary.platform.v1.Side;

class CompareTest {
    private static final String LINE = """
            {"line":%d,"account_id":"%s","side":"%s","amount":{"amount":"1","currency":"EUR"},"sequence":1,"hash":"%s\"""";
    private static final String ENTRY = """
            %s,"transaction_id":"t","posting":1,"balance":"%s","available":"%s","booked_at":"1970-01-01T00:00:00Z",\
            "value_date":"1970-01-01","previous_hash":"%s"}""";

    @TempDir
    Path folder;

    private Path one;
    private Path other;

    /** Two runs in which a pays b, and another payment fails. */
    @BeforeEach
    void write() throws IOException {
        one = Files.createDirectory(folder.resolve("one"));
        other = Files.createDirectory(folder.resolve("other"));
        for (Path run : new Path[] {one, other}) {
            String debit = line(0, "a", Side.DEBIT, "-1");
            String credit = line(1, "b", Side.CREDIT, "1");
            dump(run, Topic.LEDGER_ENTRIES, entry(debit, "-1"), entry(credit, "1"));
            dump(run, Topic.LEDGER_JOURNAL, journal(debit, credit));
            dump(run, Topic.LEDGER_EVENTS);
            dump(run, Topic.TRANSACTIONS_EVENTS, event("TransactionCompleted", "t"), event("TransactionFailed", "u"));
        }
    }

    private static String line(int line, String account, Side side, String balance) {
        EntryPosted entry = new EntryPosted(
                account,
                1L,
                "t",
                1,
                line,
                side,
                new Money(Amounts.bytes(Amounts.parse("1")), "EUR"),
                Amounts.bytes(Amounts.parse(balance)),
                Amounts.bytes(Amounts.parse(balance)),
                0L,
                0,
                new Hash(new byte[32]),
                null);
        return LINE.formatted(line, account, side, HexFormat.of().formatHex(Entries.hash(entry).bytes()));
    }

    private static String entry(String line, String balance) {
        return ENTRY.formatted(line, balance, balance, "00".repeat(32));
    }

    private static String journal(String... lines) {
        return "{\"transaction_id\":\"t\",\"posting\":1,\"lines\":[" + String.join("},", lines) + "}]}";
    }

    private static String event(String type, String transaction) {
        return "{\"type\":\"" + type + "\",\"transaction_id\":\"" + transaction + "\"}";
    }

    private static void dump(Path run, Topic topic, String... bodies) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (String body : bodies) {
            lines.append("{\"body\":").append(body).append("}\n");
        }
        Files.writeString(run.resolve(topic.title + ".jsonl"), lines);
    }

    private void differs(String how) {
        var difference = assertThrows(Compare.Difference.class, () -> Compare.compare(2, one, other));
        assertTrue(difference.getMessage().contains(how), difference.getMessage());
    }

    @Test
    void runsThatCameToTheSameAreTheSame() throws IOException {
        String same = Compare.compare(2, one, other);
        assertTrue(same.startsWith("the same: 2 transactions, 2 accounts, 2 entries"), same);
    }

    @Test
    void nothingIsNotTheSameAsNothing() throws IOException {
        for (Path run : new Path[] {one, other}) {
            dump(run, Topic.LEDGER_ENTRIES);
            dump(run, Topic.LEDGER_JOURNAL);
            dump(run, Topic.TRANSACTIONS_EVENTS);
        }
        differs("0 transactions");
        assertThrows(Compare.Difference.class, () -> Compare.compare(0, one, other));
    }

    @Test
    void anAlarmIsADifference() throws IOException {
        dump(other, Topic.LEDGER_EVENTS, event("LedgerAlarm", "t"));
        differs("an alarm");
    }

    @Test
    void theJournalHasEveryEntryOnceAndNothingElse() throws IOException {
        String debit = line(0, "a", Side.DEBIT, "-1");
        dump(other, Topic.LEDGER_JOURNAL, journal(debit));
        differs("not in the journal");
        dump(other, Topic.LEDGER_JOURNAL, journal(debit, line(1, "b", Side.CREDIT, "2")));
        differs("in the journal, b CREDIT");
    }

    @Test
    void aChainThatDoesNotHoldIsADifference() throws IOException {
        dump(other, Topic.LEDGER_ENTRIES, entry(line(0, "a", Side.DEBIT, "-1"), "-2"));
        differs("another hash");
    }

    @Test
    void outcomesAreComparedFirst() throws IOException {
        dump(other, Topic.TRANSACTIONS_EVENTS, event("TransactionCompleted", "t"), event("TransactionRefused", "u"));
        differs("transaction u: TransactionFailed in the first, TransactionRefused in the second");
    }

    @Test
    void whatCannotBeReadIsAnError() throws IOException {
        Files.writeString(other.resolve("ledger.journal.v1.jsonl"), "{\"undecodable\":\"\"}\n");
        assertThrows(IOException.class, () -> Compare.compare(2, one, other));
        Files.delete(other.resolve("ledger.events.v1.jsonl"));
        assertThrows(IOException.class, () -> Compare.compare(2, one, other));
    }
}
