#!/usr/bin/env python3
"""What a team that already runs Kafka would do on its first day: pay, with nothing but stock parts.

The stock Confluent client, its Avro serializers, its default partitioner and a schema registry; of Tributary it knows
topic names and what the registry tells it. It opens accounts, funds them, sends payments of which some must fail, sends
some of them twice at once through two producers that disagree on partitions, and some again with another body. It
follows the outcomes with its own arithmetic and then asks the HTTP API for every balance.

Exit 0 when every figure agrees to the last digit, 1 with the differences, 2 when something cannot be reached.

Deliberately absent: retries of business outcomes, and any tolerance.
"""

import argparse
import json
import random
import re
import sys
import time
import urllib.parse
from collections import Counter, defaultdict
from decimal import Decimal

from confluent_kafka import KafkaException
from wire import ACCOUNT_COMMANDS, TRANSACTION_COMMANDS, TRANSACTION_EVENTS, Client, Facts, get, reason_of

CURRENCY = "EUR"
WORLD = "world:EUR"
CENT = Decimal("0.01")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", required=True, help="host:port of the Kafka cluster")
    parser.add_argument("--registry", required=True, help="URL of the schema registry")
    parser.add_argument("--http", required=True, help="URL of the HTTP API")
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--payments", type=int, default=2000)
    parser.add_argument("--duplicates", type=int, default=100, help="payments sent twice at once")
    parser.add_argument("--conflicts", type=int, default=20, help="payments sent again with another body")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default=f"{time.time_ns() // 1_000_000:x}", help="makes the ids of this run its own")
    parser.add_argument("--timeout", type=float, default=120, help="seconds to wait for outcomes")
    return parser.parse_args()


class Ledger:
    """Balances by our own arithmetic: what was funded, and what completed payments moved."""

    def __init__(self):
        self.balances = defaultdict(Decimal)

    def move(self, payer, payee, amount):
        self.balances[payer] -= amount
        self.balances[payee] += amount


def transfer(transaction, payer, payee, amount):
    money = {"amount": amount, "currency": CURRENCY}
    legs = [
        {"account_id": payer, "side": "DEBIT", "amount": money},
        {"account_id": payee, "side": "CREDIT", "amount": money},
    ]
    return "tributary.transactions.v1.CreateTransaction", {"transaction_id": transaction, "legs": legs}


def open_accounts(client, facts, accounts):
    for account in accounts:
        body = {"account_id": account, "kind": "LIABILITY", "currency": CURRENCY, "name": f"Wallet {account}"}
        value = client.encode(ACCOUNT_COMMANDS, f"open-{account}", ("tributary.accounts.v1.OpenAccount", body))
        client.send(client.crc32, ACCOUNT_COMMANDS, account, value)
    client.flush()
    if not facts.wait_for("accounts", lambda: len(accounts) - len(facts.opened) - len(facts.refused_accounts)):
        raise SystemExit(1)
    if facts.refused_accounts:
        raise SystemExit(f"accounts were refused: {facts.refused_accounts[:3]}")


def fund(client, facts, prefix, accounts, rng):
    """Every account gets its money from the world; one in ten so little that most of its payments must fail."""
    plans = {}
    for number, account in enumerate(accounts):
        cents = rng.randrange(100, 300) if number % 10 == 9 else rng.randrange(30_000, 60_000)
        plans[f"{prefix}fund-{number:05}"] = (WORLD, account, CENT * cents)
    for transaction, plan in plans.items():
        value = client.encode(TRANSACTION_COMMANDS, f"cmd-{transaction}", transfer(transaction, *plan))
        client.send(client.crc32, TRANSACTION_COMMANDS, transaction, value)
    client.flush()
    if not facts.wait_for("fundings", lambda: sum(key not in facts.outcomes for key in plans)):
        raise SystemExit(1)
    return plans


def pay(client, facts, prefix, accounts, options, rng):
    plans = {}
    for number in range(options.payments):
        payer, payee = rng.sample(accounts, 2)
        plans[f"{prefix}pay-{number:06}"] = (payer, payee, CENT * rng.randrange(1, 2_000))
    twice = set(rng.sample(list(plans), options.duplicates))
    sent_at = {}
    for transaction, plan in plans.items():
        value = client.encode(TRANSACTION_COMMANDS, f"cmd-{transaction}", transfer(transaction, *plan))
        sent_at[transaction] = time.monotonic()
        client.send(client.crc32, TRANSACTION_COMMANDS, transaction, value)
        if transaction in twice:
            client.send(client.murmur2, TRANSACTION_COMMANDS, transaction, value)
        if rng.random() < 0.02:
            facts.take(0)
    client.flush()
    if not facts.wait_for("outcomes", lambda: sum(key not in facts.outcomes for key in plans)):
        options.conflicts = 0  # what follows needs every outcome; the figures will show which are missing
    return plans, twice, sent_at


def contradict(client, facts, plans, options, rng):
    """The same id with another body, after the outcome is known."""
    chosen = rng.sample(list(plans), options.conflicts)
    for transaction in chosen:
        payer, payee, amount = plans[transaction]
        value = client.encode(
            TRANSACTION_COMMANDS, f"cmd-{transaction}", transfer(transaction, payer, payee, amount + CENT)
        )
        client.send(client.crc32, TRANSACTION_COMMANDS, transaction, value)
    client.flush()
    facts.wait_for("conflicts", lambda: sum(key not in facts.conflicts for key in chosen))
    return set(chosen)


def check_outcomes(facts, fundings, payments, contradicted, differences):
    ledger = Ledger()
    statuses = Counter()
    reasons = Counter()
    for transaction, plan in (fundings | payments).items():
        outcomes = facts.outcomes.get(transaction, [])
        if len(outcomes) != 1:
            differences.append(f"{transaction} has {len(outcomes)} outcomes: {[name for name, _ in outcomes]}")
        for name, fields in outcomes[:1]:
            if name == "TransactionCompleted":
                ledger.move(*plan)
            elif transaction in fundings:
                differences.append(f"funding {transaction} ended as {name}: {fields}")
            if transaction in payments:
                statuses[name] += 1
                found = fields.get("reasons") or ([fields["reason"]] if "reason" in fields else [])
                reasons.update({reason_of(reason)["code"] for reason in found})
        commands = 2 if transaction in contradicted else 1
        answered = facts.answers[TRANSACTION_EVENTS, transaction, f"cmd-{transaction}"]
        if answered != commands:
            differences.append(f"{transaction}: {commands} command(s), {answered} answer(s)")
        conflicts = len(facts.conflicts.get(transaction, []))
        if conflicts != (transaction in contradicted):
            differences.append(f"{transaction}: {conflicts} conflict(s), {int(transaction in contradicted)} expected")
    return ledger, statuses, reasons


def check_balances(options, accounts, ledger, differences, patience=15.0):
    """Every balance as the HTTP API tells it; a view may be a moment behind, not wrong."""
    end = time.monotonic() + patience
    wrong = {account: None for account in accounts}
    while wrong:
        for account in list(wrong):
            told = get(f"{options.http}/accounts/{urllib.parse.quote(account, safe='')}")
            try:
                answer = json.loads(told)
                posted, available = answer["posted"], answer["available"]
                exact = isinstance(posted, str) and isinstance(available, str)
                if exact and Decimal(posted) == Decimal(available) == ledger.balances[account]:
                    del wrong[account]
                else:
                    wrong[account] = f"posted {posted!r}, available {available!r}"
            except (ValueError, KeyError, TypeError, ArithmeticError):
                wrong[account] = f"an answer without posted and available: {told[:200]!r}"
        if not wrong or time.monotonic() > end:
            break
        time.sleep(0.2)
    for account, told in wrong.items():
        differences.append(f"{account}: by our arithmetic {ledger.balances[account]}, over HTTP {told}")


def forwards(options):
    """How many records the system says arrived on a partition not their key's and were forwarded."""
    found = re.findall(r"^tributary_\w*forward\w*(?:\{[^}]*\})?\s+([0-9.e+]+)", get(f"{options.http}/metrics"), re.M)
    return int(sum(float(value) for value in found)) if found else None


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))] * 1000 if values else 0


def run(options):
    rng = random.Random(options.seed)
    prefix = f"py-{options.run}-"
    accounts = [f"{prefix}{number:05}" for number in range(options.accounts)]
    client = Client(options)
    client.start()
    facts = Facts(client, prefix, options.timeout)
    differences = []

    open_accounts(client, facts, accounts)
    fundings = fund(client, facts, prefix, accounts, rng)
    began = time.monotonic()
    payments, twice, sent_at = pay(client, facts, prefix, accounts, options, rng)
    took = time.monotonic() - began
    contradicted = contradict(client, facts, payments, options, rng)
    facts.settle()

    ledger, statuses, reasons = check_outcomes(facts, fundings, payments, contradicted, differences)
    if set(facts.outcomes) - set(fundings) - set(payments):
        differences.append("outcomes of transactions that were never asked for")
    if any(count != 1 for count in facts.opened.values()) or len(facts.opened) != len(accounts):
        differences.append(f"{len(facts.opened)} accounts opened, {sum(facts.opened.values())} AccountOpened events")
    if statuses["TransactionCompleted"] == 0 or reasons["insufficient_funds"] == 0:
        differences.append("some payments have to complete and some to fail for insufficient funds")
    check_balances(options, accounts, ledger, differences)
    forwarded = forwards(options)
    if client.partitions[TRANSACTION_COMMANDS] > 1 and not forwarded:
        differences.append("no tributary_*forward* metric above 0, though two partitioners disagree on several partitions")

    latencies = sorted(facts.seen_at[key] - sent_at[key] for key in sent_at if key in facts.seen_at)
    outcomes = sum(len(facts.outcomes[key]) for key in payments if key in facts.outcomes)
    conflicts = sum(map(len, facts.conflicts.values()))
    print(f"accounts            {len(facts.opened)} opened, {client.partitions[ACCOUNT_COMMANDS]} partition(s)")
    print(f"fundings            {sum(key in facts.outcomes for key in fundings)}")
    print(f"payments            {len(payments)} sent, {len(twice)} of them twice at once, in {took:.2f} s")
    print(f"outcomes            {outcomes}: " + ", ".join(f"{count} {name}" for name, count in statuses.most_common()))
    print("reasons             " + (", ".join(f"{count} {code}" for code, count in reasons.most_common()) or "none"))
    print(f"conflicts           {conflicts} of {len(contradicted)}")
    print(f"forwards            {'not told' if forwarded is None else forwarded}")
    print(f"send to outcome     p50 {percentile(latencies, 0.5):.0f} ms, p99 {percentile(latencies, 0.99):.0f} ms")
    print(f"funds               {sum(ledger.balances[account] for account in accounts)} {CURRENCY} in wallets, "
          f"{ledger.balances[WORLD]} {CURRENCY} from the world")
    for difference in differences[:50]:
        print(f"DIFFERENCE {difference}", file=sys.stderr)
    if len(differences) > 50:
        print(f"and {len(differences) - 50} more", file=sys.stderr)
    print("all figures agree" if not differences else f"{len(differences)} differences")
    return 1 if differences else 0


def main():
    options = arguments()
    options.http, options.registry = options.http.rstrip("/"), options.registry.rstrip("/")
    try:
        return run(options)
    except (KafkaException, OSError) as error:
        print(f"cannot go on: {error}; check --brokers, --registry and --http", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
