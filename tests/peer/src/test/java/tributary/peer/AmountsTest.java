package tributary.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;

class AmountsTest {
    private static ByteBuffer bytes(int... bytes) {
        ByteBuffer buffer = ByteBuffer.allocate(bytes.length);
        for (int value : bytes) {
            buffer.put((byte) value);
        }
        return buffer.flip();
    }

    @Test
    void anAmountHasOneForm() {
        assertEquals(bytes(100), Amounts.canonical("amount", bytes(0, 100)));
        assertEquals(bytes(0, 200), Amounts.canonical("amount", bytes(0, 0, 200)));
        assertEquals(bytes(0xff), Amounts.canonical("amount", bytes(0xff, 0xff)));
        assertEquals(bytes(0), Amounts.canonical("amount", bytes()));
        assertNull(Amounts.canonical("amount", null));
    }

    @Test
    void noneHasMoreThan38DigitsOr16Bytes() {
        ByteBuffer most = Amounts.bytes(Amounts.MAX);
        assertEquals(most, Amounts.canonical("amount", most));
        ByteBuffer more = Amounts.bytes(Amounts.MAX.add(BigInteger.ONE));
        assertThrows(IllegalArgumentException.class, () -> Amounts.canonical("amount", more));
        assertThrows(IllegalArgumentException.class, () -> Amounts.canonical("amount", ByteBuffer.allocate(17)));
    }
}
