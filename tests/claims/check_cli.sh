#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ringscale check from the outside: exit codes, one JSON document, one line per error, nothing half-written.
# Usage: check_cli.sh PROGRAM CLAIMS_DIRECTORY
set -euo pipefail
program=$1
claims=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/results"
row='{"kind": "measured", "verb": "ring", "point": "p", "schedule": "ring", "softmax": "online", "placement": "contiguous",
      "ring_size": 2, "dtype": "float32", "verified": true, "max_error": 3e-7, "error_bound": 1e-5, "verdict": "VERDICT"}'
write_row() {
  printf '{"schema": "ringscale.results", "schema_version": 1, "rows": [%s]}' "${row/VERDICT/$1}" >"$work/results/r.json"
}
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
expect() { # expect CODE WORDS COMMAND...
  local code=$1 words=$2 got=0
  shift 2
  "$@" >"$work/out" 2>"$work/err" || got=$?
  [[ $got -eq $code ]] || fail "exit $got instead of $code: $* $(cat "$work/err")"
  grep -qF -- "$words" "$work/out" "$work/err" || fail "'$words' not said by $*: $(cat "$work/out" "$work/err")"
}

write_row valid
expect 0 'queries-never-divided' "$program" check --claims "$claims/headline.json" --results "$work/results"
expect 0 '"schema": "ringscale.verdicts"' "$program" check --claims "$claims/headline.json" --results "$work/results" --json
[[ $(head -c 1 "$work/out") == '{' ]] || fail "standard output is not one document"
expect 0 'wrote' "$program" check --claims "$claims/all.json" --results "$work/results" --output "$work/verdicts"
[[ -s $work/verdicts/verdicts.json ]] || fail "no verdicts.json"
expect 2 'exists' "$program" check --claims "$claims/all.json" --results "$work/results" --output "$work/verdicts"

write_row invalid
expect 1 'invalid' "$program" check --claims "$claims/headline.json" --results "$work/results"

expect 2 'no such folder' "$program" check --claims "$claims/headline.json" --results "$work/nowhere"
expect 2 'nowhere.json' "$program" check --claims "$work/nowhere.json" --results "$work/results"
expect 2 'ringscale.claims' "$program" check --claims "$work/results/r.json" --results "$work/results"
expect 2 '--results' "$program" check --claims "$claims/headline.json"
printf '{"schema": "ringscale.res' >"$work/results/r.json"
expect 2 'r.json' "$program" check --claims "$claims/headline.json" --results "$work/results"
[[ $(wc -l <"$work/err") -le 1 ]] || fail "more than one line: $(cat "$work/err")"
rm "$work/results/r.json"
expect 2 'run a sweep first' "$program" check --claims "$claims/headline.json" --results "$work/results"
echo "check: exit codes and messages as they should be"
