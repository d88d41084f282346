package tributary.peer;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import tributary.platform.v1.Money;
import tributary.platform.v1.Side;
import tributary.transactions.v1.Leg;

/** Whether legs make a transaction, and which accounts they mean. */
final class Legs {
    private static final int FEWEST = 2;
    private static final int MOST = 64;
    private static final BigInteger LARGEST = BigInteger.TEN.pow(24);

    private Legs() {}

    /** The legs with the shards of system accounts chosen: near the first ordinary account. */
    static List<Leg> resolve(List<Leg> legs, int partitions) {
        if (legs.size() < FEWEST) {
            throw fault("too_few_legs", "legs", "legs", legs.size(), "fewest", FEWEST);
        }
        if (legs.size() > MOST) {
            throw fault("too_many_legs", "legs", "legs", legs.size(), "most", MOST);
        }
        int home = -1;
        for (int at = 0; at < legs.size() && home < 0; at++) {
            String account = legs.get(at).getAccountId();
            home = Accounts.isSystem(account) ? -1 : Accounts.partition(account, partitions);
        }
        List<Leg> resolved = new ArrayList<>(legs.size());
        for (int at = 0; at < legs.size(); at++) {
            Leg leg = legs.get(at);
            String account = leg.getAccountId();
            checkAmount(leg.getAmount(), "legs[" + at + "].amount");
            if (Accounts.isSystem(account)) {
                account = choose(account, leg.getAmount().getCurrency(), at, home, partitions);
            }
            resolved.add(new Leg(account, leg.getSide(), leg.getAmount()));
        }
        checkBalanced(resolved);
        checkSomeoneElse(resolved);
        return resolved;
    }

    private static void checkAmount(Money money, String field) {
        String currency = money.getCurrency();
        BigInteger amount = Amounts.of(money.getAmount());
        int digits = Currencies.minorUnits(currency);
        if (digits < 0) {
            throw fault("unknown_currency", field + ".currency", "currency", currency);
        }
        String text = Amounts.text(amount);
        if (amount.signum() <= 0) {
            throw fault("zero_or_negative_amount", field, "amount", text, "currency", currency);
        }
        if (!Currencies.fits(amount, currency)) {
            throw fault("too_many_digits", field, "amount", text, "currency", currency, "digits", digits);
        }
        if (amount.compareTo(LARGEST) > 0) {
            throw fault("amount_too_large", field, "amount", text, "largest", Amounts.text(LARGEST));
        }
    }

    private static String choose(String account, String currency, int at, int home, int partitions) {
        if (!Accounts.CHART.containsKey(Accounts.name(account))) {
            String known = "world, fees, position, suspense";
            String field = "legs[" + at + "].account_id";
            throw fault("unknown_system_account", field, "account_id", account, "known", known);
        }
        if (!Accounts.currency(account).equals(currency)) {
            String field = "legs[" + at + "].amount.currency";
            throw fault("wrong_currency", field, "account_id", account, "currency", currency);
        }
        return Accounts.hasShard(account) ? account : Accounts.shard(account, home, partitions);
    }

    private static void checkBalanced(List<Leg> legs) {
        Map<String, BigInteger[]> sums = new TreeMap<>();
        for (Leg leg : legs) {
            BigInteger[] sum = sums.computeIfAbsent(
                    leg.getAmount().getCurrency(), currency -> new BigInteger[] {BigInteger.ZERO, BigInteger.ZERO});
            int side = leg.getSide() == Side.CREDIT ? 1 : 0;
            sum[side] = sum[side].add(Amounts.of(leg.getAmount().getAmount()));
        }
        sums.forEach((currency, sum) -> {
            if (!sum[0].equals(sum[1])) {
                String debit = Amounts.text(sum[0]);
                String credit = Amounts.text(sum[1]);
                throw fault("unbalanced", "legs", "currency", currency, "debit", debit, "credit", credit);
            }
        });
    }

    /** In no currency do all legs name one account, which would pay only itself. */
    private static void checkSomeoneElse(List<Leg> legs) {
        for (Leg leg : legs) {
            String currency = leg.getAmount().getCurrency();
            boolean alone = legs.stream()
                    .filter(other -> other.getAmount().getCurrency().equals(currency))
                    .allMatch(other -> other.getAccountId().equals(leg.getAccountId()));
            if (alone) {
                String account = leg.getAccountId();
                throw fault("same_account_both_sides", "legs", "account_id", account, "currency", currency);
            }
        }
    }

    private static Refusal fault(String code, String field, Object... values) {
        return new Refusal(Refusal.reason(TransactionNode.NAME, null, code, field, values));
    }
}
