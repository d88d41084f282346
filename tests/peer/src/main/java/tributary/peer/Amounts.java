package tributary.peer;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import tributary.platform.v1.Money;

/** Amounts: unscaled decimals of scale 4, of at most 38 digits. On the wire and in stores they are bytes. */
final class Amounts {
    static final BigInteger MAX = BigInteger.TEN.pow(38).subtract(BigInteger.ONE);
    static final ByteBuffer ZERO = bytes(BigInteger.ZERO);
    private static final int SCALE = 4;
    private static final int LONGEST = 16;

    private Amounts() {}

    static BigInteger of(ByteBuffer bytes) {
        int length = bytes.remaining();
        // No byte at all is zero, as some clients write it.
        return length == 0
                ? BigInteger.ZERO
                : new BigInteger(bytes.array(), bytes.arrayOffset() + bytes.position(), length);
    }

    /** An amount of a command, or none, in as few bytes as hold it; stops at one that is too long. */
    static ByteBuffer canonical(String field, ByteBuffer bytes) {
        if (bytes == null) {
            return null;
        }
        BigInteger amount = of(bytes);
        if (bytes.remaining() > LONGEST || !fits(amount)) {
            throw Door.wrong(field, "more than " + LONGEST + " bytes or 38 digits");
        }
        return bytes(amount);
    }

    static ByteBuffer bytes(BigInteger amount) {
        return ByteBuffer.wrap(amount.toByteArray());
    }

    /** An amount written as {@code "100000.00"}. */
    static BigInteger parse(String text) {
        return new BigDecimal(text).setScale(SCALE).unscaledValue();
    }

    static boolean fits(BigInteger amount) {
        return amount.abs().compareTo(MAX) <= 0;
    }

    /** As people write it, with no digit after the point that is not needed. */
    static String text(BigInteger amount) {
        return text(amount, 0);
    }

    /** With the currency's digits, or more where the amount has more. */
    static String text(BigInteger amount, String currency) {
        return text(amount, Math.max(Currencies.minorUnits(currency), 0));
    }

    static String money(BigInteger amount, String currency) {
        return text(amount, currency) + " " + currency;
    }

    static String money(Money money) {
        return money(of(money.getAmount()), money.getCurrency());
    }

    private static String text(BigInteger amount, int digits) {
        BigDecimal exact = new BigDecimal(amount, SCALE).stripTrailingZeros();
        return exact.setScale(Math.max(exact.scale(), digits)).toPlainString();
    }
}
