#!/bin/sh
# Compares two runs of one load, whoever ran them. See --help.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 3 ]; then
    cat <<'HELP'
Says whether two runs of one load came to the same: the same outcome of every transaction, the same ledger to the last digit.

    for run in one other; do                            # after each run
        mkdir $run
        for topic in transactions.events.v1 ledger.entries.v1 ledger.journal.v1 ledger.events.v1; do
            tributary --brokers HOST:PORT topic tail $topic > $run/$topic.jsonl
        done
    done
    compare.sh TRANSACTIONS one other                   # how many there are: of a load, its accounts and its payments

Of each run, the chains of entries must hold, the journal must have every entry once and nothing else, and the general ledger
must have raised no alarm. Then compared are the outcome of every transaction; the trial balance; the accounts, their balances
and numbers of entries; and every line of every transaction.

A load is the same where its seed, its numbers and its --run are. It need not come to the same: payments overtake one another,
so whether one is refused may be chance once its payer is near its floor, a limit or a tier of risk. Outcomes are compared
first, to tell that from an error. Give every payer plenty, and only payments that nobody could make are refused.

Exits 0 where all is the same, 1 with the first difference, and 2 where something cannot be read.
HELP
    exit 2
fi
exec "$here/run.sh" compare "$1" "$2" "$3"
