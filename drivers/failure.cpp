// SPDX-License-Identifier: Apache-2.0
#include "drivers/failure.hpp"

#include <array>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <thread>

#include "drivers/session.hpp"
#include "memory/limits.hpp"
#include "problem/invalid_input.hpp"
#include "ring/end_job.hpp"

namespace ringscale::drivers {

namespace {

void print_line(std::string_view where, std::string_view what) {
  std::string line;
  line.reserve(where.size() + what.size() + 16);
  line.append(where).append(": ");
  for (const char letter : what) {
    line += letter == '\n' || letter == '\r' ? ' ' : letter;
  }
  line += '\n';
  std::cerr << line << std::flush;
}

/// A launcher ends the job with the first rank that leaves, so the others first let rank 0, which nearly always fails
/// with the same words, say them once.
void let_rank_0_speak() {
  if (launched_rank() != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

/// Ends every rank with the same code, in the way that lets the launcher see it.
[[noreturn]] void fail_job(std::string_view where, std::string_view what, int code) {
  let_rank_0_speak();
  print_line(where, what);
  std::cout.flush();
  ring::end_job(code);
}

} // namespace

int launched_rank() {
  constexpr std::array names{"PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"};
  for (const char *name : names) {
    if (const char *value = std::getenv(name); value != nullptr && *value != '\0') {
      return std::atoi(value);
    }
  }
  return 0;
}

void print_failure(std::string_view where, std::string_view what) {
  let_rank_0_speak();
  if (launched_rank() == 0) {
    print_line(where, what);
  }
}

int run_guarded(Session &session, const std::string &verb) {
  const std::string where = "ringscale " + verb;
  try {
    // MPI first: a rank that leaves before it starts MPI would leave the others waiting in its start for ever.
    static_cast<void>(session.world_size());
    return session.action();
  } catch (const problem::InvalidInput &error) {
    fail_job(where, error.what(), exit_usage);
  } catch (const memory::OutOfBudget &error) {
    fail_job(where, error.what(), exit_usage);
  } catch (const std::bad_alloc &) {
    fail_job(where, "out of memory; use fewer tokens, more ranks, or the streamed kernel", exit_invalid);
  } catch (const std::exception &error) {
    fail_job(where, error.what(), exit_invalid);
  }
}

} // namespace ringscale::drivers
