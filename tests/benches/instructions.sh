#!/usr/bin/env bash
# Counts the instructions that a payment costs the engine. No noise changes them, so two builds can be compared on any machine.
#
# Usage: instructions.sh [FILE]    FILE gets where they go, for callgrind_annotate
set -euo pipefail

payments=1000
file="${1:-}"
if [ -z "$file" ]; then
  file="$(mktemp)"
  trap 'rm -f "$file"' EXIT
fi

built="$(cargo bench --workspace --bench saga --no-run 2>&1)" || { printf '%s\n' "$built" >&2; exit 1; }
program="$(sed -n 's/.*benches\/saga.rs (\(.*\))$/\1/p' <<<"$built")"
counted="$(valgrind --tool=callgrind --callgrind-out-file="$file" --collect-atstart=no --toggle-collect='saga::measured*' \
  "$program" --bench --test "$payments to an epoch" 2>&1)" || { printf '%s\n' "$counted" >&2; exit 1; }
# Whoever it asks for the target folder is counted too, with nothing.
total="$(awk '/Collected :/ { sum += $NF } END { print sum }' <<<"$counted")"
printf '%s instructions a payment, %s payments to an epoch\n' "$((total / payments))" "$payments"
