// SPDX-License-Identifier: Apache-2.0
// A ring with the fault that RINGSCALE_TEST_FAULT asks for and the deadline of the first argument in seconds; prints
// the reasons and exits 0 when the ring was found valid, 1 when not. Late and dead ranks never get that far.
#include <Kokkos_Core.hpp>

#include <cstdio>
#include <cstdlib>

#include "ring/ring_run.hpp"

int main(int argc, char **argv) {
  using namespace ringscale;
  const char *fault = std::getenv("RINGSCALE_TEST_FAULT");
  if (argc != 2 || fault == nullptr) {
    std::fprintf(stderr, "usage: RINGSCALE_TEST_FAULT=kind:rank:step[:seconds] broken_ring DEADLINE_S\n");
    return 2;
  }
  const ring::MpiEnvironment environment;
  int code = 1;
  {
    ring::Communicator world = ring::Communicator::world();
    const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_num_threads(1).set_disable_warnings(true));
    ring::RingOptions options;
    options.problem.ring_size = world.size();
    options.problem.attention.tokens = 101;
    options.problem.attention.head_dim = 16;
    options.repetitions = 1;
    options.warmup = 0;
    options.deadline_s = std::atof(argv[1]);
    options.fault = ring::parse_fault(fault);
    const ring::RingRun run = ring::run_ring(world, options);
    if (world.rank() == 0) {
      for (const std::string &reason : run.reasons) {
        std::printf("%s\n", reason.c_str());
      }
    }
    code = run.valid ? 0 : 1;
  }
  return code;
}
