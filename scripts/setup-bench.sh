#!/usr/bin/env bash
# Installs what only the benchmarks need and this machine lacks: the PostgreSQL that Tributary is measured against.
# Building and testing need nothing of it, so scripts/setup.sh does not know it.
set -euo pipefail

say() { printf 'setup-bench: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

missing_packages() {
  [ -x /usr/lib/postgresql/15/bin/postgres ] && [ -x /usr/lib/postgresql/15/bin/pgbench ] || echo postgresql-15
  have setpriv || echo util-linux
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; elif have sudo; then sudo "$@"; else fail "needs root or sudo to run: $*"; fi
}

mapfile -t packages < <(missing_packages)
[ "${#packages[@]}" -gt 0 ] || exit 0
have apt-get || fail "missing, and there is no apt-get to install it with: ${packages[*]}"
say "installing ${packages[*]}"
as_root apt-get update -qq
# Debian would make and start a cluster of its own with the package; the benchmark makes one, and ends it.
only="/etc/postgresql-common/createcluster.d/tributary-setup.conf"
as_root mkdir -p "${only%/*}"
printf 'create_main_cluster = false\n' | as_root tee "$only" >/dev/null
trap 'as_root rm -f "$only"' EXIT
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
