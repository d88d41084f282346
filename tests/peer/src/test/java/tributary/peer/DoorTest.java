package tributary.peer;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;
import tributary.peer.Message.Command;
import tributary.platform.v1.Origin;

class DoorTest {
    private static Command command(String id, String actor, String traceparent, int digest, Origin origin) {
        return new Command(
                Topic.ACCOUNTS_COMMANDS, 0, id, 0, actor, traceparent, ByteBuffer.allocate(digest), origin, null);
    }

    private static void refused(String field, Command command) {
        var wrong = assertThrows(IllegalArgumentException.class, () -> Door.checkHeader(command));
        assertTrue(wrong.getMessage().contains(field + ":"), wrong.getMessage());
    }

    @Test
    void aHeaderIsBounded() {
        Door.checkHeader(command("a".repeat(128), "a".repeat(256), "a".repeat(128), 64, null));
        Door.checkHeader(command("a", null, null, 0, null));
        refused("id", command("", null, null, 0, null));
        refused("id", command("ü".repeat(65), null, null, 0, null));
        refused("id", command("a\0", null, null, 0, null));
        refused("actor", command("a", "", null, 0, null));
        refused("actor", command("a", "a".repeat(257), null, 0, null));
        refused("traceparent", command("a", null, "a".repeat(129), 0, null));
        refused("digest", command("a", null, null, 65, null));
        refused("origin", command("a", null, null, 0, new Origin("topic", 0, 0L)));
    }

    @Test
    void idsAndCurrenciesHaveTheirShape() {
        Accounts.check("account_id", "a.B_2-c");
        Accounts.check("account_id", "world:EUR:07");
        Currencies.check("currency", "XXX");
        assertThrows(IllegalArgumentException.class, () -> Accounts.check("account_id", "world:eur"));
        assertThrows(IllegalArgumentException.class, () -> Accounts.checkPlain("transaction_id", "a:EUR"));
        assertThrows(IllegalArgumentException.class, () -> Currencies.check("currency", "eur"));
        assertThrows(IllegalArgumentException.class, () -> Currencies.check("currency", "EURO"));
    }
}
