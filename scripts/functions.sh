# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Functions that the other scripts share; sourced, never run.

say() { printf '%s\n' "== $*" >&2; }

# fail CODE MESSAGE: one line that names what is wrong, then the end.
fail() {
  local code=$1
  shift
  printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
  exit "$code"
}

# Compiling one file needs up to 1.5 GiB (Kokkos with optimisation), so that memory bounds the jobs as well as cores do.
# nproc honours OMP_NUM_THREADS, which says nothing about how many files may be compiled at a time.
build_jobs() {
  local cores available_kib limit_bytes jobs
  cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  available_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null || true)
  available_kib=${available_kib:-$((cores * 1572864))}
  limit_bytes=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || true)
  if [[ $limit_bytes =~ ^[0-9]+$ ]] && ((limit_bytes / 1024 < available_kib)); then
    available_kib=$((limit_bytes / 1024))
  fi
  jobs=$((available_kib / 1572864))
  ((jobs > cores)) && jobs=$cores
  ((jobs < 1)) && jobs=1
  printf '%s\n' "$jobs"
}

python_modules=(numpy scipy matplotlib jsonschema pytest yaml)

# find_python: prints the first Python interpreter that has every module of analysis/ and tests/.
find_python() {
  local candidate
  for candidate in "${RINGSCALE_PYTHON:-}" python3 /usr/bin/python3; do
    [[ -n $candidate ]] || continue
    candidate=$(command -v -- "$candidate" || true)
    [[ -n $candidate ]] || continue
    if "$candidate" -c 'import importlib.util as u, sys
sys.exit(sys.version_info < (3, 9) or any(u.find_spec(m) is None for m in sys.argv[1:]))' \
      "${python_modules[@]}" 2>/dev/null; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

# configure PRESET: a cache made by another CMake version, folder or compiler is started anew instead of failing.
configure() {
  local log
  log=$(mktemp)
  say "configuring preset $1"
  if ! cmake --preset "$1" >"$log" 2>&1 && ! cmake --fresh --preset "$1" >"$log" 2>&1; then
    cat -- "$log" >&2
    rm -f -- "$log"
    return 2
  fi
  rm -f -- "$log"
}
