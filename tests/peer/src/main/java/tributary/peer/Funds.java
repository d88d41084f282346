package tributary.peer;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.time.LocalDate;
import java.time.YearMonth;
import java.util.List;
import tributary.peer.state.Account;
import tributary.peer.state.OpenLeg;
import tributary.platform.v1.AccountKind;
import tributary.platform.v1.Hash;
import tributary.platform.v1.Reason;
import tributary.platform.v1.Side;
import tributary.transactions.v1.LegLine;

/**
 * The figures of an account: its balance, what open legs will lower and raise it by at most, and what of its limits is used in
 * the running day and month. Any figure that posts and releases can reach fits 38 digits, for the grant checks it.
 */
final class Funds {
    private Funds() {}

    /** An account that is new and empty. */
    static Account none(AccountKind kind, String currency, boolean system) {
        ByteBuffer zero = Amounts.ZERO;
        Hash noHash = new Hash(new byte[32]);
        return new Account(
                system, false, kind, currency, zero, null, null, 0, zero, zero, zero, zero, zero, 0L, noHash);
    }

    /** Adds why so much may not leave the account. Where nothing leaves, nothing is compared. */
    static void check(String id, Account account, BigInteger needed, List<Reason> reasons) {
        if (needed.signum() <= 0) {
            return;
        }
        String currency = account.getCurrency();
        BigInteger available = available(account);
        BigInteger floor = Amounts.of(account.getFloor());
        if (available.subtract(needed).compareTo(floor.negate()) < 0) {
            reasons.add(AccountNode.reason(
                    id,
                    "insufficient_funds",
                    null,
                    "available",
                    Amounts.text(available, currency),
                    "floor",
                    Amounts.text(floor, currency),
                    "needed",
                    Amounts.text(needed, currency)));
        }
        checkLimit(id, currency, "daily_limit", account.getDailyLimit(), account.getUsedInDay(), needed, reasons);
        checkLimit(id, currency, "monthly_limit", account.getMonthlyLimit(), account.getUsedInMonth(), needed, reasons);
    }

    private static void checkLimit(
            String id,
            String currency,
            String code,
            ByteBuffer limit,
            ByteBuffer used,
            BigInteger needed,
            List<Reason> reasons) {
        if (limit != null && Amounts.of(used).add(needed).compareTo(Amounts.of(limit)) > 0) {
            reasons.add(AccountNode.reason(
                    id,
                    code,
                    null,
                    "limit",
                    Amounts.text(Amounts.of(limit), currency),
                    "used",
                    Amounts.text(Amounts.of(used), currency),
                    "needed",
                    Amounts.text(needed, currency)));
        }
    }

    /** Counts a grant; false where some figure could outgrow 38 digits, now or once everything open is posted. */
    static boolean grant(Account account, BigInteger lowers, BigInteger raises) {
        BigInteger balance = Amounts.of(account.getBalance());
        BigInteger reserved = Amounts.of(account.getReserved()).add(raises);
        BigInteger held = Amounts.of(account.getHeld()).add(lowers);
        BigInteger inDay = Amounts.of(account.getUsedInDay()).add(lowers);
        BigInteger inMonth = Amounts.of(account.getUsedInMonth()).add(lowers);
        account.setReserved(Amounts.bytes(reserved));
        account.setHeld(Amounts.bytes(held));
        account.setUsedInDay(Amounts.bytes(inDay));
        account.setUsedInMonth(Amounts.bytes(inMonth));
        return Amounts.fits(reserved)
                && Amounts.fits(balance.add(reserved))
                && Amounts.fits(held)
                && Amounts.fits(balance.subtract(held))
                && Amounts.fits(inDay)
                && Amounts.fits(inMonth);
    }

    /** Books what was granted. A system account was never asked, so nothing of it is held or reserved. */
    static void post(Account account, Side side, BigInteger amount) {
        boolean lowers = Accounts.lowers(account.getKind(), side);
        account.setBalance(less(account.getBalance(), lowers ? amount : amount.negate()));
        if (account.getSystem()) {
            return;
        }
        if (lowers) {
            account.setHeld(less(account.getHeld(), amount));
        } else {
            account.setReserved(less(account.getReserved(), amount));
        }
    }

    /** Lets go of what is left in a leg, gives it back to the limits of its day, and answers how much had been held. */
    static BigInteger release(Account account, OpenLeg leg) {
        BigInteger held = BigInteger.ZERO;
        BigInteger reserved = BigInteger.ZERO;
        for (LegLine line : leg.getLines()) {
            BigInteger remaining = Amounts.of(line.getAmount().getAmount());
            if (Accounts.lowers(account.getKind(), line.getSide())) {
                held = held.add(remaining);
            } else {
                reserved = reserved.add(remaining);
            }
        }
        account.setHeld(less(account.getHeld(), held));
        account.setReserved(less(account.getReserved(), reserved));
        if (held.signum() > 0) {
            if (leg.getDay() == account.getUsedDay()) {
                account.setUsedInDay(less(account.getUsedInDay(), held));
            }
            if (isSameMonth(leg.getDay(), account.getUsedDay())) {
                account.setUsedInMonth(less(account.getUsedInMonth(), held));
            }
        }
        return held;
    }

    /** Moves the limits' windows to a day. One before the last counts as the last. */
    static void rollUsed(Account account, int day) {
        if (day <= account.getUsedDay()) {
            return;
        }
        if (!isSameMonth(day, account.getUsedDay())) {
            account.setUsedInMonth(Amounts.ZERO);
        }
        account.setUsedInDay(Amounts.ZERO);
        account.setUsedDay(day);
    }

    private static boolean isSameMonth(int day, int other) {
        return day == other
                || YearMonth.from(LocalDate.ofEpochDay(day)).equals(YearMonth.from(LocalDate.ofEpochDay(other)));
    }

    /** Posted less held; what is reserved is not money yet. */
    static BigInteger available(Account account) {
        return Amounts.of(account.getBalance()).subtract(Amounts.of(account.getHeld()));
    }

    private static ByteBuffer less(ByteBuffer figure, BigInteger amount) {
        return Amounts.bytes(Amounts.of(figure).subtract(amount));
    }
}
