#!/usr/bin/env bash
# Starts `tributary up --kafka` on free ports with data of its own, pays with a stock client, and stops it again.
# usage: run.sh TRIBUTARY [arguments of payments.py]
set -euo pipefail

tributary="${1:?usage: run.sh TRIBUTARY [arguments of payments.py]}"
shift
here="$(cd "$(dirname "$0")" && pwd)"
python="${PYTHON:-python3}"

# Below the range of outgoing connections, so that a client which dials a server that is down cannot take its port.
read -r http kafka registry < <("$python" - <<'PORTS'
import random, socket
ports = []
while len(ports) < 3:
    port = random.randrange(18000, 32000)
    with socket.socket() as probe:
        if port not in ports and probe.connect_ex(("127.0.0.1", port)) != 0:
            ports.append(port)
print(*ports)
PORTS
)

data="$(mktemp -d)"
"$tributary" up --kafka --data "$data" --partitions 4 --http "127.0.0.1:$http" \
  --kafka-port "$kafka" --registry-port "$registry" >"$data/up.log" 2>&1 &
up=$!

finish() {
  local status=$?
  trap - EXIT
  kill "$up" 2>/dev/null || true
  wait "$up" 2>/dev/null || true
  if [ "$status" -ne 0 ]; then
    echo "the end of what tributary said ($data/up.log, kept):" >&2
    tail -n 30 "$data/up.log" >&2
  else
    rm -rf "$data"
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

ready() {
  "$python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' \
    "http://127.0.0.1:$http/readiness" 2>/dev/null
}
for attempt in $(seq 240); do
  ready && break
  kill -0 "$up" 2>/dev/null || { echo "tributary up --kafka ended before it was ready" >&2; exit 1; }
  [ "$attempt" -lt 240 ] || { echo "tributary up --kafka was not ready after two minutes" >&2; exit 1; }
  sleep 0.5
done

PYTHONDONTWRITEBYTECODE=1 "$python" "$here/payments.py" --brokers "127.0.0.1:$kafka" \
  --registry "http://127.0.0.1:$registry" --http "http://127.0.0.1:$http" "$@"
