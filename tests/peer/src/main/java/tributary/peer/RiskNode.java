package tributary.peer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import tributary.peer.Message.Command;
import tributary.peer.Message.Fact;
import tributary.peer.state.Block;
import tributary.peer.state.Pending;
import tributary.peer.state.Rolling;
import tributary.peer.state.Spent;
import tributary.platform.v1.Reason;
import tributary.platform.v1.Side;
import tributary.risk.v1.PartyBlocked;
import tributary.risk.v1.PartyRefused;
import tributary.risk.v1.PartyUnblocked;
import tributary.risk.v1.RiskAssessed;
import tributary.risk.v1.RiskDecision;
import tributary.risk.v1.UnblockParty;
import tributary.transactions.v1.LegCancelled;
import tributary.transactions.v1.LegConfirmed;
import tributary.transactions.v1.LegLine;
import tributary.transactions.v1.LegRequested;

/**
 * Scores every leg by rules: limits on the amount, on count and sum over sliding windows, and a weight for a first payment to
 * a payee; and declines those of blocked parties. A payer is an account that is debited; whoever is only credited is judged by
 * the block alone.
 */
final class RiskNode implements Processor<String, Message, String, Fact> {
    static final String NAME = "risk";
    /** Who is blocked, by account. */
    static final String BLOCKS = "risk-blocks";
    /** What a transaction was counted with, kept until it ends, by account and transaction. */
    static final String PENDING = "risk-pending";
    /** Whom an account has paid, and since when, by account and payee. */
    static final String PAYEES = "risk-payees";

    static final String COMMANDS = "risk-commands";

    private static final int MOST = 100;
    private static final int LONGEST_REASON = 1_024;

    private final Rules rules;
    private final int partitions;
    private Task task;
    private KeyValueStore<String, Block> blocks;
    private KeyValueStore<String, Pending> pending;
    private KeyValueStore<String, Long> payees;
    private Windows windows;
    private Door door;

    RiskNode(Rules rules, int partitions) {
        this.rules = rules;
        this.partitions = partitions;
    }

    @Override
    public void init(ProcessorContext<String, Fact> context) {
        task = new Task(context, NAME);
        blocks = context.getStateStore(BLOCKS);
        pending = context.getStateStore(PENDING);
        payees = context.getStateStore(PAYEES);
        windows = new Windows(context, rules.velocity());
        door = new Door(task, COMMANDS, partitions);
    }

    @Override
    public void process(Record<String, Message> record) {
        if (record.value() instanceof Command command) {
            command(record, command);
            return;
        }
        Fact fact = (Fact) record.value();
        Step step = Step.over(task, fact, record.timestamp());
        if (fact.body() instanceof LegRequested leg) {
            requested(step, leg);
        } else if (fact.body() instanceof LegConfirmed leg) {
            confirmed(step, leg);
        } else if (fact.body() instanceof LegCancelled leg) {
            cancelled(leg);
        }
    }

    private void command(Record<String, Message> record, Command command) {
        SpecificRecord body = command.body();
        // Both commands are a party and a reason.
        String party = (String) body.get(0);
        Accounts.check("party_id", party);
        door.check(record.key(), command, party);
        ByteBuffer digest = Ids.digest(command);
        Step step = Step.over(task, record, command, digest);
        try {
            if (door.isNew(row(party, command.id()), command, digest, step.now, party, true)) {
                step.answer(Topic.PARTIES_EVENTS, party, command.id(), decide(step, body, party, (String) body.get(1)));
            }
        } catch (Refusal refusal) {
            if (refusal.reason.getCode().equals("conflict")) {
                refusal.reason.setField("id");
            }
            PartyRefused refused = new PartyRefused(party, body.getSchema().getName(), refusal.reason);
            step.answer(Topic.PARTIES_EVENTS, party, command.id(), refused);
        }
    }

    private SpecificRecord decide(Step step, SpecificRecord body, String party, String why) {
        Door.checkLength(NAME, party, "reason", why.getBytes(UTF_8).length, LONGEST_REASON);
        Block block = blocks.get(party);
        if (body instanceof UnblockParty) {
            if (block == null) {
                throw new Refusal(Refusal.reason(NAME, party, "not_blocked", null));
            }
            blocks.put(party, null);
            return new PartyUnblocked(party, why);
        }
        if (Accounts.isSystem(party)) {
            throw new Refusal(Refusal.reason(NAME, party, "system_account", "party_id"));
        }
        if (block != null) {
            throw new Refusal(Refusal.reason(
                    NAME, party, "already_blocked", null, "since", block.getSince(), "reason", block.getReason()));
        }
        blocks.put(party, new Block(step.now, why));
        return new PartyBlocked(party, why);
    }

    /** Answers a leg, once. */
    private void requested(Step step, LegRequested leg) {
        Score score = new Score(leg.getAccountId());
        SortedMap<String, BigInteger> debits = debits(leg.getLines());
        Block block = blocks.get(leg.getAccountId());
        if (block != null) {
            score.hit("party_blocked", MOST, "since", block.getSince(), "reason", block.getReason());
        } else if (!debits.isEmpty()) {
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
        // Nothing of a payee's leg, of a system account's and of a blocked party's.
        String row = row(leg.getAccountId(), leg.getTransactionId());
        Pending counted = pending.get(row);
        if (counted == null) {
            return;
        }
        pending.put(row, null);
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
            pending.put(row, null);
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
