package tributary.peer;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import tributary.peer.Message.Command;
import tributary.peer.Message.Fact;
import tributary.peer.state.Pending;
import tributary.peer.state.Rolling;
import tributary.peer.state.Spent;
import tributary.platform.v1.Reason;
import tributary.platform.v1.Side;
import tributary.risk.v1.RiskAssessed;
import tributary.risk.v1.RiskDecision;
import tributary.transactions.v1.LegCancelled;
import tributary.transactions.v1.LegConfirmed;
import tributary.transactions.v1.LegLine;
import tributary.transactions.v1.LegRequested;

/**
 * Scores every leg by rules: limits on the amount, on count and sum over sliding windows, and a weight for a first payment to
 * a payee. A payer is an account that is debited; whoever is only credited is approved.
 *
 * <p>Left out, and an error where they are met: blocking and unblocking a party.
 */
final class RiskNode implements Processor<String, Message, String, Fact> {
    static final String NAME = "risk";
    /** What a transaction was counted with, kept until it ends, by account and transaction. */
    static final String PENDING = "risk-pending";
    /** Whom an account has paid, and since when, by account and payee. */
    static final String PAYEES = "risk-payees";

    private static final int MOST = 100;

    private final Rules rules;
    private ProcessorContext<String, Fact> context;
    private KeyValueStore<String, Pending> pending;
    private KeyValueStore<String, Long> payees;
    private Windows windows;

    RiskNode(Rules rules) {
        this.rules = rules;
    }

    @Override
    public void init(ProcessorContext<String, Fact> context) {
        this.context = context;
        pending = context.getStateStore(PENDING);
        payees = context.getStateStore(PAYEES);
        windows = new Windows(context, rules.velocity());
    }

    @Override
    public void process(Record<String, Message> record) {
        if (record.value() instanceof Command command) {
            throw new UnsupportedOperationException("the peer blocks nobody: " + command);
        }
        Fact fact = (Fact) record.value();
        Step step = Step.over(context, NAME, fact, record.timestamp());
        if (fact.body() instanceof LegRequested leg) {
            requested(step, leg);
        } else if (fact.body() instanceof LegConfirmed leg) {
            confirmed(step, leg);
        } else if (fact.body() instanceof LegCancelled leg) {
            cancelled(leg);
        }
    }

    /** Answers a leg, once. */
    private void requested(Step step, LegRequested leg) {
        Score score = new Score(leg.getAccountId());
        SortedMap<String, BigInteger> debits = debits(leg.getLines());
        if (!debits.isEmpty()) {
            List<String> newPayees = newPayees(leg);
            debits.forEach(score::amount);
            if (rules.newPayee() > 0 && !newPayees.isEmpty()) {
                score.hit("new_payee", rules.newPayee(), "payee", newPayees.get(0), "new_payees", newPayees.size());
            }
            List<Spent> spent = new ArrayList<>(1);
            debits.forEach((currency, amount) -> spent.add(spend(score, leg.getAccountId(), currency, amount, step.now)));
            pending.put(row(leg.getAccountId(), leg.getTransactionId()), new Pending(spent, newPayees));
        }
        RiskDecision decision = score.points >= rules.declineAt()
                ? RiskDecision.DECLINE
                : score.points >= rules.reviewAt() ? RiskDecision.REVIEW : RiskDecision.APPROVE;
        RiskAssessed assessed = new RiskAssessed(
                leg.getTransactionId(), leg.getAccountId(), decision, score.points, score.reasons, rules.version());
        step.emit(Topic.RISK_EVENTS, leg.getTransactionId(), assessed);
    }

    /** Counts a payment as spent, and judges what that makes of the windows. */
    private Spent spend(Score score, String account, String currency, BigInteger amount, long now) {
        List<Rolling> rolled = windows.spend(account, currency, amount, now);
        for (int at = 0; at < rolled.size(); at++) {
            Rules.Window window = rules.velocity().get(at);
            BigInteger count = BigInteger.valueOf(rolled.get(at).getTotal().getCount());
            Rules.Tier tier = Rules.tier(window.count(), count);
            if (tier != null) {
                Integer seconds = window.seconds();
                score.hit("velocity_count", tier.weight(), "seconds", seconds, "count", count, "above", tier.above());
            }
            BigInteger sum = Amounts.of(rolled.get(at).getTotal().getSum());
            tier = Rules.tier(window.sum().of(currency), sum);
            if (tier != null) {
                String above = Amounts.money(tier.above(), currency);
                score.hit(
                        "velocity_sum",
                        tier.weight(),
                        "seconds",
                        window.seconds(),
                        "sum",
                        Amounts.money(sum, currency),
                        "above",
                        above);
            }
        }
        return new Spent(currency, Amounts.bytes(amount), Amounts.ZERO, Windows.buckets(rolled));
    }

    /** Lines are booked: what was pending is spent, its payees are known, and what the posting leaves is given back. */
    private void confirmed(Step step, LegConfirmed leg) {
        // Nothing of a payee's leg and of a system account's.
        String row = row(leg.getAccountId(), leg.getTransactionId());
        Pending counted = pending.get(row);
        if (counted == null) {
            return;
        }
        pending.delete(row);
        SortedMap<String, BigInteger> posted = debits(leg.getLines());
        for (Spent spent : counted.getSpent()) {
            BigInteger amount = posted.getOrDefault(spent.getCurrency(), BigInteger.ZERO);
            spent.setPosted(Amounts.bytes(amount.min(Amounts.of(spent.getAmount()))));
        }
        if (!posted.isEmpty()) {
            for (String payee : counted.getNewPayees()) {
                payees.put(row(leg.getAccountId(), payee), step.now);
            }
        }
        giveBack(leg.getAccountId(), counted);
    }

    /** A transaction is off: what was counted for it is given back. */
    private void cancelled(LegCancelled leg) {
        String row = row(leg.getAccountId(), leg.getTransactionId());
        Pending counted = pending.get(row);
        if (counted != null) {
            pending.delete(row);
            giveBack(leg.getAccountId(), counted);
        }
    }

    private void giveBack(String account, Pending counted) {
        for (Spent spent : counted.getSpent()) {
            windows.giveBack(account, spent);
        }
    }

    /** What the account spends: its debits, by currency. */
    private static SortedMap<String, BigInteger> debits(List<LegLine> lines) {
        SortedMap<String, BigInteger> spent = new TreeMap<>();
        for (LegLine line : lines) {
            if (line.getSide() == Side.DEBIT) {
                ByteBuffer amount = line.getAmount().getAmount();
                spent.merge(line.getAmount().getCurrency(), Amounts.of(amount), BigInteger::add);
            }
        }
        return spent;
    }

    /** Those whom this account has not paid before. A system account is nobody's payee. */
    private List<String> newPayees(LegRequested leg) {
        List<String> unknown = new ArrayList<>(leg.getCounterparties());
        for (Iterator<String> parties = unknown.iterator(); parties.hasNext(); ) {
            String party = parties.next();
            if (Accounts.isSystem(party) || payees.get(row(leg.getAccountId(), party)) != null) {
                parties.remove();
            }
        }
        return unknown;
    }

    private static String row(String account, String other) {
        return account + '\0' + other;
    }

    /** A score in the making: every rule that hits adds its weight and says why. */
    private final class Score {
        private final String account;
        private final List<Reason> reasons = new ArrayList<>(1);
        private int points;

        Score(String account) {
            this.account = account;
        }

        void amount(String currency, BigInteger amount) {
            Rules.Tier tier = Rules.tier(rules.amount().of(currency), amount);
            if (tier != null) {
                String above = Amounts.money(tier.above(), currency);
                hit("amount", tier.weight(), "amount", Amounts.money(amount, currency), "above", above);
            }
        }

        void hit(String code, int weight, Object... values) {
            points = Math.min(points + weight, MOST);
            Reason reason = Refusal.reason(NAME, account, code, null, values);
            reason.getValues().put("weight", Integer.toString(weight));
            reasons.add(reason);
        }
    }
}
