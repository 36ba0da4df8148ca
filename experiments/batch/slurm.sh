#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Calibrates the nodes of a Slurm job and runs one sweep on them; stops before the time limit, requeues itself and
# resumes until every point is done:
#   sbatch experiments/batch/slurm.sh
#   sbatch --nodes=4 --time=02:00:00 --export=ALL,EXPERIMENT=experiments/full.json experiments/batch/slurm.sh
# Submit from the folder that the relative paths below start at (a clone of ringscale).
#SBATCH --job-name=ringscale
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=1
#SBATCH --time=00:30:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=ringscale-%j.log
set -uo pipefail

: "${RINGSCALE:=build/release/ringscale}"       # the program
: "${EXPERIMENT:=experiments/quick.json}"       # what to run
: "${OUTPUT:=results/slurm-$SLURM_JOB_ID}"      # a requeued job keeps its id, and so finds its own journal here
: "${MACHINE:=$OUTPUT/machines/nodes.json}"    # machine file for simulated points; calibrated here when it is missing
: "${LAUNCHER:=srun}"                           # srun or mpiexec
: "${SRUN_MPI:=pmi2}"                           # srun --mpi=...: what the MPI was built for (srun --mpi=list)
: "${RESERVE_S:=300}"                           # seconds kept for the point that is running to end
: "${MAX_RESTARTS:=20}"                         # a point longer than the job's time limit would requeue for ever

say() { printf '%s slurm.sh: %s\n' "$(date -u +%FT%TZ)" "$*"; }

# seconds_of [[DAYS-]HOURS:]MINUTES:SECONDS, as squeue prints the time that is left; nothing for UNLIMITED and the like.
seconds_of() {
  local text=$1 days=0 total=0 part
  if [[ ! $text =~ ^([0-9]+-)?[0-9]+(:[0-9]+){0,2}$ ]]; then
    return 0
  fi
  if [[ $text == *-* ]]; then
    days=${text%%-*}
    text=${text#*-}
  fi
  local parts
  IFS=: read -ra parts <<<"$text"
  for part in "${parts[@]}"; do
    total=$((total * 60 + 10#$part))
  done
  printf '%s\n' $((10#$days * 86400 + total))
}

budget=()
left=$(seconds_of "$(squeue -h -j "$SLURM_JOB_ID" -o %L)")
if [[ -n $left ]]; then
  if ((left <= RESERVE_S)); then
    say "only $left s are left, of which $RESERVE_S s are reserved: ask for a longer --time"
    exit 2
  fi
  budget=(--time-budget $((left - RESERVE_S)))
fi

case $LAUNCHER in
  srun) launch=(srun "--mpi=$SRUN_MPI") ;;
  mpiexec) launch=(mpiexec -n "$SLURM_NTASKS") ;;
  *)
    say "LAUNCHER is '$LAUNCHER'; srun or mpiexec would be right"
    exit 2
    ;;
esac

export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
export SRUN_CPUS_PER_TASK=$OMP_NUM_THREADS # srun does not take it over from sbatch since Slurm 22.05

restart=${SLURM_RESTART_COUNT:-0}
say "restart $restart, budget ${budget[1]:-none}, $EXPERIMENT -> $OUTPUT"
mkdir -p -- "$OUTPUT/machines" || exit 2
if [[ ! -s $MACHINE ]]; then
  say "calibrate -> $MACHINE"
  "${launch[@]}" "$RINGSCALE" calibrate --name "$(basename -- "$MACHINE" .json)" \
    --output "$(dirname -- "$MACHINE")" || exit
fi
resume=()
if [[ -e $OUTPUT/sweep ]]; then
  resume=(--resume)
fi
"${launch[@]}" "$RINGSCALE" sweep "$EXPERIMENT" --machine "$MACHINE" --output "$OUTPUT/sweep" \
  "${resume[@]}" "${budget[@]}" &
job_step=$!
# Slurm signals this shell alone (B:); the ranks are told too, so that they stop after the point they are at.
signalled=no
interrupted=yes
trap 'say "time is nearly up"; signalled=yes; interrupted=yes; kill -USR1 "$job_step" 2>/dev/null' USR1

# A trapped signal ends wait before the job step ends; the shell keeps the step's exit code for the next wait.
code=0
while [[ $interrupted == yes ]]; do
  interrupted=no
  wait "$job_step"
  code=$?
done

# Every finished point is in the journal: a step that our signal ended is as resumable as one that says 75.
if ((code == 75)) || { [[ $signalled == yes ]] && ((code > 2)); }; then
  if ((restart >= MAX_RESTARTS)); then
    say "points remain after $restart restarts: giving up (MAX_RESTARTS)"
    exit 75
  fi
  say "points remain: requeue"
  scontrol requeue "$SLURM_JOB_ID"
  exit 75
fi
say "ended with exit code $code"
exit "$code"
