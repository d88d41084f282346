#!/usr/bin/env bash
# Measures payments in PostgreSQL 15 with Tributary's guards, one transaction each, and then checks every law over what
# is in the database. See --help.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
bin="${PG_BIN:-/usr/lib/postgresql/15/bin}"

usage() {
  cat <<'HELP'
usage: run.sh [options]

Starts a PostgreSQL 15 of its own, opens and funds accounts, pays with pgbench at each setting, and prints a line for each;
then checks that balances sum up to zero, that each is the sum of its entries, that hash chains hold, that the journal
balances and that no account is below its floor. Ends with 1 at the first difference. The cluster is stopped at the end.

  --clients LIST        clients at once, each of these in turn          (1,2,4,8,16,32,64,128)
  --commit-delay LIST   microseconds that a commit waits for others to share its write, each with each of the clients  (0)
  --rate LIST           then payments per second on a schedule, with latency measured from when each was due  (none)
  --rate-clients N      clients for those                               (those of the sweep's best)
  --seconds N           how long each setting is measured               (30)
  --warmup N            seconds of payments before the first one        (10)
  --accounts N          accounts to open and fund, at least 2           (1000)
  --skew S              exponent of a Zipf distribution for payers and payees, from 1.001 on; 0 is even  (0)
  --refusals N          payments per thousand that ask for more than there is  (10)
  --seed N              everything is drawn from this                   (1)
  --folder DIR          where the cluster is made; must be absent or empty  (a new one in TMPDIR)
  --keep                keeps that folder, logs and data, as is done where a law is broken
  --report FILE         writes the table as Markdown too, as sweep.md
  --help                this

PG_BIN names the folder of PostgreSQL's programs (/usr/lib/postgresql/15/bin). What is missing, scripts/setup-bench.sh
installs. PostgreSQL refuses to run as root: root runs it as the user postgres.
HELP
}

say() { printf 'postgres: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

clients=1,2,4,8,16,32,64,128 delays=0 rates='' rate_clients='' seconds=30 warmup=10
accounts=1000 skew=0 refusals=10 seed=1 folder='' keep='' report=''

while [ $# -gt 0 ]; do
  case "$1" in
    --help) usage; exit 0 ;;
    --keep) keep=yes; shift; continue ;;
    --clients | --commit-delay | --rate | --rate-clients | --seconds | --warmup | --accounts | --skew | --refusals | \
      --seed | --folder | --report) [ $# -ge 2 ] || fail "$1 needs a value" ;;
    *) fail "unknown option $1 (see --help)" ;;
  esac
  case "$1" in
    --clients) clients="$2" ;;
    --commit-delay) delays="$2" ;;
    --rate) rates="$2" ;;
    --rate-clients) rate_clients="$2" ;;
    --seconds) seconds="$2" ;;
    --warmup) warmup="$2" ;;
    --accounts) accounts="$2" ;;
    --skew) skew="$2" ;;
    --refusals) refusals="$2" ;;
    --seed) seed="$2" ;;
    --folder) folder="$2" ;;
    --report) report="$2" ;;
  esac
  shift 2
done

number() {
  if ! [[ "$2" =~ ^(0|[1-9][0-9]{0,8})$ ]] || [ "$2" -lt "$3" ]; then fail "$1: a whole number of at least $3, not $2"; fi
}
numbers() {
  local each
  for each in ${2//,/ }; do number "$1" "$each" "$3"; done
}
if [ -z "$clients" ] || [ -z "$delays" ]; then fail "--clients and --commit-delay need at least one number each"; fi
numbers --clients "$clients" 1
numbers --commit-delay "$delays" 0
numbers --rate "$rates" 1
[ -z "$rate_clients" ] || number --rate-clients "$rate_clients" 1
number --seconds "$seconds" 1
number --warmup "$warmup" 0
number --accounts "$accounts" 2
number --refusals "$refusals" 0
number --seed "$seed" 0
[[ "$skew" =~ ^(0|1\.(00[1-9]|0[1-9][0-9]?|[1-9][0-9]{0,2})|[2-9](\.[0-9]{1,3})?)$ ]] ||
  fail "--skew: 0, or from 1.001 to 9.999, not $skew"
if [ -n "$report" ]; then
  : >>"$report"
  report="$(realpath "$report")"
fi

for program in initdb postgres pg_isready psql pgbench; do
  [ -x "$bin/$program" ] ||
    fail "no $bin/$program: it is in the Debian package postgresql-15, which scripts/setup-bench.sh installs"
done
as=()
if [ "$(id -u)" -eq 0 ]; then
  command -v setpriv >/dev/null ||
    fail "no setpriv: it is in the Debian package util-linux, which scripts/setup-bench.sh installs"
  id postgres >/dev/null 2>&1 || fail "no user postgres to run as: the Debian package postgresql-15 makes it"
  as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
fi

[ -n "$folder" ] || folder="$(mktemp -d "${TMPDIR:-/tmp}/tributary-postgres.XXXXXX")"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
[ -z "$(ls -A "$folder")" ] || fail "$folder is not empty: another one, or empty it"
# The name of a socket may have 107 bytes.
[ "${#folder}" -le 80 ] || fail "$folder is too long a name for a folder of sockets"
[ "${#as[@]}" -eq 0 ] || chown postgres: "$folder"
chmod 700 "$folder"
"${as[@]}" test -w "$folder" || fail "the user postgres cannot write to $folder: name another --folder"
cd "$folder"
data="$folder/data"
export PGHOST="$folder" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGOPTIONS='' PGTZ=UTC

# What runs at the moment, so that a signal ends it at once: bash hears one only while it waits.
child=''
server=''
run() {
  # Named, or bash would give it an empty input.
  "${as[@]}" "$@" <&0 &
  child=$!
  local status=0
  wait "$child" || status=$?
  child=''
  return "$status"
}

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  if [ -n "$server" ]; then
    # At once where it is thrown away: that needs no last checkpoint.
    kill -s "$([ -n "$keep" ] && echo INT || echo QUIT)" "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  if [ -n "$keep" ]; then
    say "kept: $folder"
  else
    if [ "$status" -eq 1 ] && [ -s "$folder/server.log" ]; then
      say "the end of what the server said:"
      tail -n 20 "$folder/server.log" >&2
    fi
    cd / && rm -rf "$folder"
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

sql() { run "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

# What the database answers, in `answer`. Not by a substitution: a signal would wait for its end.
answer=''
ask() {
  sql "$@" >"$folder/answer"
  answer="$(<"$folder/answer")"
}

# What the machine has done since it started, in ticks: all, idle, and by the cluster and this script. Processes count
# when they have ended, as all that matter here have at the end of a setting.
ticks() {
  awk '/^cpu / { print $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9, $5 + $6 }' /proc/stat
  awk '{ ours += $16 + $17 } END { print ours }' "/proc/$$/stat" ${server:+"/proc/$server/stat"}
}
before=()
start_watch() { mapfile -t before < <(ticks | tr ' ' '\n'); }
# How much of the machine others used since then, in percent of all its cores.
others=''
end_watch() {
  local after
  mapfile -t after < <(ticks | tr ' ' '\n')
  local all=$((after[0] - before[0])) idle=$((after[1] - before[1])) ours=$((after[2] - before[2]))
  others="$((100 * (all - idle - ours) / (all > 0 ? all : 1)))"
}

start_watch
sleep 2
end_watch
busy_before="$others"
say "before it begins, others keep the machine $busy_before% busy"

run "$bin/initdb" -D "$data" -U postgres -A trust --locale=C --encoding=UTF8 --wal-segsize=64 >"$folder/initdb.log" 2>&1 ||
  { cat "$folder/initdb.log" >&2; fail "initdb failed"; }
{
  cat "$here/cluster.conf"
  printf "unix_socket_directories = '%s'\n" "${folder//\'/\'\'}"
} >>"$data/postgresql.conf"
"${as[@]}" "$bin/postgres" -D "$data" >"$folder/server.log" 2>&1 </dev/null &
server=$!
for attempt in $(seq 600); do
  if run "$bin/pg_isready" -q; then break; fi
  kill -0 "$server" 2>/dev/null || fail "the server ended before it was ready"
  [ "$attempt" -lt 600 ] || fail "the server was not ready after two minutes"
  sleep 0.2
done

ask -c 'SHOW server_version'
version="$answer"
sql <"$here/schema.sql"
sql <"$here/payment.sql"
sql <"$here/guards.sql" >/dev/null
say "PostgreSQL $version: every guard guards"
ask -v accounts="$accounts" <"$here/fund.sql"
[ "$answer" = "$accounts" ] || fail "$answer of $accounts accounts were funded"
say "$accounts accounts funded; seconds for each setting: $seconds"
cp "$here/payment.pgbench" "$folder/payment.pgbench"
chmod 644 "$folder/payment.pgbench"

# Pays, and leaves what it measured in these.
tps='' average='' p50='' p95='' p99='' refused='' failed=''
runs=0
pay() {
  local many="$1" delay="$2" duration="$3" rate="${4:-}" jobs=2 schedule=() report_file="$folder/pgbench.out"
  [ "$many" -ge 2 ] || jobs=1
  [ -z "$rate" ] || schedule=(--rate="$rate")
  runs=$((runs + 1))
  # Each setting begins without what the one before left to write.
  sql -c CHECKPOINT
  # pgbench draws for all clients from one seed; a run that drew as the one before would meet only known payees.
  # Tables begin empty, and a plan that was made then is kept: no scan of a whole table may look cheap.
  start_watch
  local options="-c commit_delay=$delay -c enable_seqscan=off -c enable_bitmapscan=off"
  if ! PGOPTIONS="$options" run "$bin/pgbench" -n -M prepared -f "$folder/payment.pgbench" -c "$many" -j "$jobs" \
    -T "$duration" "${schedule[@]}" --random-seed="$((seed + runs))" -l --log-prefix="$folder/payments" \
    -D accounts="$accounts" -D refusals="$refusals" -D skew="$skew" -D run="$runs" -D n=0 \
    >"$report_file" 2>"$folder/pgbench.err"; then
    cat "$report_file" "$folder/pgbench.err" >&2
    fail "pgbench failed"
  fi
  end_watch
  tps="$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$report_file")"
  average="$(sed -n 's/^latency average = \([0-9.]*\) ms.*/\1/p' "$report_file")"
  failed="$(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "$report_file")"
  # The third field is the latency in microseconds, from when the payment was due where there is a schedule.
  read -r p50 p95 p99 < <(cat "$folder"/payments.* | awk '$3 ~ /^[0-9]+$/ { print $3 }' | sort -n | awk '
    { took[NR] = $1 }
    function at(share) { place = int(NR * share); return took[place < NR * share ? place + 1 : place] / 1000 }
    END { if (NR) printf "%.2f %.2f %.2f\n", at(0.50), at(0.95), at(0.99); else print "- - -" }')
  rm -f "$folder"/payments.*
  ask -c "SELECT count(*) FROM commands WHERE command_id LIKE 'load-$runs-%' AND outcome <> 'completed'"
  refused="$answer"
}

row() { printf '%8s %13s %9s %9s %9s %9s %9s %9s %9s %7s %7s\n' "$@"; }
lines=()
line() {
  row "$@"
  local text
  text="$(printf ' %s |' "$@")"
  lines+=("|$text")
}

[ "$warmup" -eq 0 ] || pay 8 0 "$warmup"
row clients commit_delay rate tps avg_ms p50_ms p95_ms p99_ms refused failed others%
best=0 best_clients=1 best_delay=0
for delay in ${delays//,/ }; do
  for many in ${clients//,/ }; do
    pay "$many" "$delay" "$seconds"
    line "$many" "$delay" - "$tps" "$average" "$p50" "$p95" "$p99" "$refused" "$failed" "$others"
    if [ "$tps" -gt "$best" ]; then best="$tps" best_clients="$many" best_delay="$delay"; fi
  done
done
say "the sweep's best: $best payments/s with $best_clients clients and a commit_delay of $best_delay"
for rate in ${rates//,/ }; do
  many="${rate_clients:-$best_clients}"
  pay "$many" "$best_delay" "$seconds" "$rate"
  line "$many" "$best_delay" "$rate" "$tps" "$average" "$p50" "$p95" "$p99" "$refused" "$failed" "$others"
  [ "$((tps * 100))" -ge "$((rate * 95))" ] || say "behind: $rate a second were due, and $tps were done"
done

ask <"$here/check.sql"
if [ -n "$answer" ]; then
  # Worth a look.
  keep=yes
  fail "${answer%%$'\n'*}"
fi
ask -c 'SELECT count(*) FROM journal'
payments="$answer"
say "checked: $payments journal records, balances, chains, floors and outcomes hold"

if [ -n "$report" ]; then
  cores="$(nproc)"
  memory="$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
  {
    cat <<MARKDOWN
# PostgreSQL with the same guards: the sweep

Written by \`tests/postgres/run.sh\` on $(date -u +%Y-%m-%d). PostgreSQL $version with \`cluster.conf\`
(fsync and synchronous_commit on), $cores cores, $memory; pgbench on the same cores, over a Unix socket, prepared.
$accounts accounts, skew $skew, $refusals refusals per thousand, seed $seed, $seconds s for each setting, niceness $(nice).
Before the run, others kept the machine $busy_before% busy; the last column says how much of it they used during each setting.
Figures of a machine that others used are no measurement, and in a short run the first call of each client, which plans and
compiles, weighs.

A payment is one call of \`pay()\`: one transaction, one flush (shared with other commits where there are any). Every payment
that was answered counts. Refused are those that asked for too much, failed are errors. Latency is from sending to answer; with
a rate, from the moment at which the payment was due. What \`pay()\` leaves out of what Tributary does is at the head of
\`payment.sql\`.

| clients | commit_delay, µs | rate, /s | payments/s | avg, ms | p50, ms | p95, ms | p99, ms | refused | failed | others, % |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
MARKDOWN
    printf '%s\n' "${lines[@]}"
    cat <<MARKDOWN

Best: $best payments/s, with $best_clients clients and a commit_delay of $best_delay. After it, all $payments journal records,
balances, chains, floors and outcomes were checked, and hold.
MARKDOWN
  } >"$report"
fi
