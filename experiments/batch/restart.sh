#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs one sweep under mpiexec and starts it again, with what its journal has, for as long as that helps: after exit code
# 75 (points remain), 124 (the watchdog) and the end of a job that lost a rank. Without a batch system:
#   RANKS=4 OUTPUT=results/run1 EXPERIMENT=experiments/quick.json experiments/batch/restart.sh --machine machines/my.json
# Arguments go to "ringscale sweep". Ends with the sweep's own exit code: 0 or 1 when all points are done, 2 for bad input,
# else the last one when another start would not help.
set -uo pipefail

: "${RINGSCALE:=build/release/ringscale}"  # the program
: "${EXPERIMENT:=experiments/quick.json}"  # what to run
: "${OUTPUT:=results/restarted}"           # where the journal lies; an unfinished sweep that lies there is gone on with
: "${LAUNCHER:=mpiexec}"                   # mpiexec, or what takes "-n RANKS program" as mpiexec does
: "${RANKS:=4}"                            # ranks of each start
: "${ON_FAILURE:=shrink}"                  # retry, stop or shrink: what to do about a point that took the job down
: "${MAX_RESTARTS:=20}"                    # starts after the first one
: "${MAX_IDLE_RESTARTS:=3}"                # starts in a row that brought the journal no further

say() { printf '%s restart.sh: %s\n' "$(date -u +%FT%TZ)" "$*"; }

# lines PATTERN: how many lines of the journal have it.
lines() {
  if [[ -e $journal ]]; then
    grep -c -- "$1" "$journal" || true
  else
    echo 0
  fi
}

# What counts as getting further: finished points, and a ring that failed where the next start takes a smaller one.
progress() {
  if [[ $ON_FAILURE == shrink ]]; then
    echo $(($(lines '^{"point":') + $(lines '^{"failed":')))
  else
    lines '^{"point":'
  fi
}

# A code after which the journal may help: 1 and 2 are verdicts, 126 and 127 say that there is no launcher or program.
# A rank that dies of a failed message ends the job with 1 too, but then no result was written.
may_restart() {
  if (($1 == 1)); then
    [[ -e $journal && ! -e $OUTPUT/results.json ]]
  else
    (($1 > 2 && $1 != 126 && $1 != 127))
  fi
}

if [[ ! $RANKS =~ ^[1-9][0-9]*$ ]]; then
  say "RANKS is '$RANKS'; a number of at least 1 would be right"
  exit 2
fi
mkdir -p -- "$OUTPUT" || exit 2
journal=$OUTPUT/journal.jsonl
errors=$(mktemp) || exit 2
trap 'rm -f -- "$errors"' EXIT

resume=()
[[ -e $journal ]] && resume=(--resume)
idle=0
for ((start = 0; ; ++start)); do
  before=$(progress)
  {
    "$LAUNCHER" -n "$RANKS" "$RINGSCALE" sweep "$EXPERIMENT" --output "$OUTPUT" --on-failure "$ON_FAILURE" \
      "${resume[@]}" "$@" 2>&1 >&3 | tee -- "$errors" >&2
    code=${PIPESTATUS[0]}
  } 3>&1
  if ! may_restart "$code"; then
    say "ended with exit code $code after $start restarts"
    exit "$code"
  fi
  if (($(progress) > before)); then
    idle=0
  else
    idle=$((idle + 1))
  fi
  if ((start >= MAX_RESTARTS || idle >= MAX_IDLE_RESTARTS)); then
    say "exit code $code after $start restarts, the last $idle without progress: giving up"
    exit "$code"
  fi
  words=$(grep '^ringscale' "$errors" | tail -n 1)
  say "exit code $code: starting again with what is done${words:+ ($words)}"
  resume=()
  if [[ -e $journal ]]; then
    resume=(--resume --last-exit-code "$code")
    [[ -n $words ]] && resume+=(--last-words "$words")
  fi
done
