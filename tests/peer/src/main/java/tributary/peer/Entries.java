package tributary.peer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.apache.commons.codec.digest.Blake3;
import tributary.ledger.v1.EntryPosted;
import tributary.platform.v1.Hash;
import tributary.platform.v1.Side;

/**
 * The chain of an account's entries. An entry's hash is BLAKE3 over a tag, the previous hash, and every other field in the
 * order of the schema: text after its length in eight bytes, numbers little-endian, amounts in sixteen bytes.
 */
final class Entries {
    private static final byte[] TAG = "tributary.entry.v1".getBytes(UTF_8);
    /** Everything but the three texts: tag, hash, lengths, sequence, posting, line, side, amounts, time and date. */
    private static final int FIXED = TAG.length + 32 + 3 * 8 + 8 + 4 + 4 + 1 + 3 * 16 + 8 + 4;

    private Entries() {}

    static Hash hash(EntryPosted entry) {
        byte[] account = entry.getAccountId().getBytes(UTF_8);
        byte[] transaction = entry.getTransactionId().getBytes(UTF_8);
        byte[] currency = entry.getAmount().getCurrency().getBytes(UTF_8);
        ByteBuffer bytes = ByteBuffer.allocate(FIXED + account.length + transaction.length + currency.length)
                .order(ByteOrder.LITTLE_ENDIAN);
        bytes.put(TAG).put(entry.getPreviousHash().bytes());
        text(account, bytes);
        bytes.putLong(entry.getSequence());
        text(transaction, bytes);
        bytes.putInt(entry.getPosting());
        bytes.putInt(entry.getLine());
        bytes.put((byte) (entry.getSide() == Side.DEBIT ? 0 : 1));
        amount(entry.getAmount().getAmount(), bytes);
        text(currency, bytes);
        amount(entry.getBalance(), bytes);
        amount(entry.getAvailable(), bytes);
        bytes.putLong(entry.getBookedAt());
        bytes.putInt(entry.getValueDate());
        return new Hash(Blake3.hash(bytes.array()));
    }

    private static void text(byte[] text, ByteBuffer out) {
        out.putLong(text.length).put(text);
    }

    private static void amount(ByteBuffer unscaled, ByteBuffer out) {
        BigInteger amount = Amounts.of(unscaled);
        out.putLong(amount.longValue()).putLong(amount.shiftRight(Long.SIZE).longValue());
    }
}
