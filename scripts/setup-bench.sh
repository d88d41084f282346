#!/usr/bin/env bash
# Installs what only the benchmarks need and this machine lacks: the PostgreSQL that Tributary is measured against, and what
# counts instructions.
# Building and testing need nothing of it, so scripts/setup.sh does not know it.
set -euo pipefail

# shellcheck source=packages.sh
. "$(dirname "$0")/packages.sh"

missing_packages() {
  [ -x /usr/lib/postgresql/15/bin/postgres ] && [ -x /usr/lib/postgresql/15/bin/pgbench ] || echo postgresql-15
  have setpriv || echo util-linux
  have valgrind || echo valgrind
}

mapfile -t packages < <(missing_packages)
[ "${#packages[@]}" -gt 0 ] || exit 0
# Debian would make and start a cluster of its own with the package; the benchmark makes one, and ends it.
only="/etc/postgresql-common/createcluster.d/tributary-setup.conf"
as_root mkdir -p "${only%/*}"
printf 'create_main_cluster = false\n' | as_root tee "$only" >/dev/null
trap 'as_root rm -f "$only"' EXIT
install_packages "${packages[@]}"
