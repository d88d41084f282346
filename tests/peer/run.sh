#!/bin/sh
# Starts the peer: Tributary's saga in Kafka Streams. See --help.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case "${1:-}" in
    -h | --help | "")
        cat <<'HELP'
The same saga in Kafka Streams, to be measured against. Builds itself where that is needed (Java 17, Maven), prints "ready"
once it runs, and stops in good order on SIGTERM.

    tributary --brokers HOST:PORT --partitions N topology apply    # the topics; it makes only its own changelogs
    run.sh --brokers HOST:PORT --partitions N [OPTIONS]
    tributary --brokers HOST:PORT --partitions N load

Either it or Tributary may decide what is on a cluster's topics, never both: each takes part in a run on topics of its own. Pay
for some time before you measure: what the virtual machine has not compiled yet takes many times as long. A vote is read only
once it is committed, so a backlog is begun faster than it is ended: where that takes longer than the votes may, give them more
time. It does not wait for votes that came while it was away, as Tributary does: where it starts again, or a partition moves,
after longer than the votes may take, payments fail that Tributary would complete, and the runs cannot be compared.

  --brokers HOST:PORT   Bootstrap servers of the Kafka cluster [default: localhost:9092]
  --partitions N        Partitions of every topic [default: 4]
  --threads N           Stream threads [default: 2]
  --commit-ms MS        How often a thread commits its transaction; a payment takes five [default: 100]
  --state DIR           Folder of the stores [default: tributary-peer]
  --cache-bytes N       Record cache of all stores together [default: 268435456]
  --voting-s S          How long a transaction waits for its votes [default: 10, as Tributary's]
  --application ID      Its consumer group, and what its changelogs' names begin with [default: tributary-peer]
  --set KEY=VALUE       A setting of Kafka Streams or its clients, as producer.linger.ms=0; may be repeated

PEER_JAVA_OPTS are options of the virtual machine [default: -Xms1g -Xmx1g -XX:+UseParallelGC; to compare, half of the memory].
run.sh build only builds, and tests what it built; run.sh compare compares two runs: see compare.sh.
HELP
        exit 0
        ;;
esac
built=$here/target/built
root=$here/../..
if [ ! -f "$built" ] || [ -n "$(find "$here/pom.xml" "$here/src" "$root/schemas/avro" "$root/schemas/ids.json" \
    "$root/processors/risk/rules.json" -newer "$built" -print -quit)" ]; then
    mvn -q -B -f "$here/pom.xml" clean package >&2
    touch "$built"
fi
main=tributary.peer.Peer
options='-Xms1g -Xmx1g -XX:+UseParallelGC'
case "$1" in
    build) exit 0 ;;
    compare)
        shift
        main=tributary.peer.Compare
        # It has all entries of both runs in memory.
        options='-XX:MaxRAMPercentage=50 -XX:+UseParallelGC'
        ;;
esac
# shellcheck disable=SC2086 # options are words
exec java ${PEER_JAVA_OPTS:-$options} \
    -Dorg.apache.avro.SERIALIZABLE_PACKAGES=tributary \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
    -cp "$here/target/peer-1.jar:$here/target/lib/*" "$main" "$@"
