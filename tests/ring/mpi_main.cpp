// SPDX-License-Identifier: Apache-2.0
#include "tests/ring/mpi_main.hpp"

#include <Kokkos_Core.hpp>
#include <gtest/gtest.h>

#include <cstdio>
#include <optional>

namespace ringscale::ring {

namespace {
std::optional<Communicator> test_world;
} // namespace

Communicator &world() { return *test_world; }

} // namespace ringscale::ring

/// Every rank runs every test. Rank 0 prints all results; the others only speak when something fails, and a failure
/// on any rank fails the program on all.
int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  const ringscale::ring::MpiEnvironment environment;
  ringscale::ring::test_world.emplace(ringscale::ring::Communicator::world());
  Kokkos::initialize(Kokkos::InitializationSettings().set_num_threads(1).set_disable_warnings(true));
  const int rank = ringscale::ring::world().rank();
  if (rank != 0) {
    testing::TestEventListeners &listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  const bool failed_here = RUN_ALL_TESTS() != 0;
  if (failed_here && rank != 0) {
    std::fprintf(stderr, "rank %d: %d tests failed\n", rank, testing::UnitTest::GetInstance()->failed_test_count());
  }
  const bool passed = ringscale::ring::world().all(!failed_here);
  Kokkos::finalize();
  ringscale::ring::test_world.reset();
  return passed ? 0 : 1;
}
