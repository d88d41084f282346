#!/bin/sh
# Compares the ledgers of two runs of one load, whoever ran them. See --help.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 2 ]; then
    cat <<'HELP'
Says whether two runs of one load made the same ledger, to the last digit; exits 1 with the first difference.

    tributary --brokers HOST:PORT topic tail ledger.entries.v1 > one.jsonl     # after each run
    compare.sh one.jsonl other.jsonl

Compared are the accounts, their balances and numbers of entries, every line of every transaction, and the trial
balance. Each run's chains are recomputed. A load is the same where its seed, its numbers and its --run are.
HELP
    exit 2
fi
exec "$here/run.sh" compare "$1" "$2"
