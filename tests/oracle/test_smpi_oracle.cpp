// SPDX-License-Identifier: Apache-2.0
// SMPI, the MPI simulator of SimGrid, replays what every rank of a ring does by its own network model and scheduler.
// Nothing of the recurrence reaches it, so agreement says that the recurrence is the executor's loop.
#include <gtest/gtest.h>

#include <iostream>
#include <string>

#include "simulator/simulation.hpp"
#include "tests/oracle/smpi_replay.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using oracle_tests::replayed_s;
using problem::Mask;
using schedule::Placement;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

/// Ten ms a tile of 100 x 100 tokens: totals are seconds, and SMPI prints six decimals.
machine::Machine oracle_machine(double latency_s, double bandwidth) {
  return simple_machine(1e-6, latency_s, bandwidth);
}

struct OracleCase {
  const char *name;
  std::int64_t ring_size;
  std::int64_t tokens_more;
  Mask mask;
  Placement placement;
  double bandwidth_bytes_per_s;
  double hidden;
  double spread;
  double jitter;
  std::int64_t node;
};

class SmpiOracle : public testing::TestWithParam<OracleCase> {};

TEST_P(SmpiOracle, AgreesWithTheRecurrence) {
  const OracleCase &param = GetParam();
  machine::Machine machine = oracle_machine(1e-5, param.bandwidth_bytes_per_s);
  machine.overlap.hidden_fraction = number(param.hidden);
  machine.step_fixed_s = number(1e-4);
  if (param.node > 0) {
    machine::Link inside = machine.links[0];
    inside.level = machine::Level::node;
    inside.group_devices = param.node;
    inside.bandwidth_bytes_per_s.value *= 10.0;
    machine.links.insert(machine.links.begin(), inside);
  }
  SimulationOptions options = ring_options(param.ring_size, 100, param.mask, param.placement);
  options.problem.attention.tokens += param.tokens_more;
  options.speed_spread = param.spread;
  options.jitter = param.jitter;
  const double expected_s = replayed_s(machine, options);
  ASSERT_GT(expected_s, 0.0) << "the replay failed";
  const double simulated_s = simulate(machine, options).time_s;
  RecordProperty("relative_difference", std::to_string(simulated_s / expected_s - 1.0));
  std::cout << "SMPI " << expected_s << " s, simulator " << simulated_s << " s, relative difference "
            << simulated_s / expected_s - 1.0 << "\n";
  // SMPI prints six decimals, and its latency of one nanosecond per message is put on top of each other's start.
  EXPECT_NEAR(simulated_s / expected_s, 1.0, 1e-5 + 1e-6 / expected_s);
}

INSTANTIATE_TEST_SUITE_P(
    Rings, SmpiOracle,
    testing::Values(OracleCase{"two", 2, 0, Mask::none, Placement::contiguous, 1e7, 1.0, 0.0, 0.0, 0},
                    OracleCase{"compute_bound", 8, 0, Mask::none, Placement::contiguous, 1e8, 1.0, 0.0, 0.0, 0},
                    OracleCase{"communication_bound", 8, 0, Mask::none, Placement::contiguous, 1e6, 1.0, 0.0, 0.0, 0},
                    OracleCase{"speeds_and_jitter", 31, 0, Mask::none, Placement::contiguous, 6e6, 1.0, 0.2, 0.1, 0},
                    OracleCase{"partly_hidden", 16, 0, Mask::none, Placement::contiguous, 6e6, 0.4, 0.1, 0.1, 0},
                    OracleCase{"causal", 13, 0, Mask::causal, Placement::contiguous, 6e6, 1.0, 0.1, 0.05, 0},
                    OracleCase{"zigzag", 16, 0, Mask::causal, Placement::zigzag, 6e6, 0.8, 0.1, 0.05, 0},
                    OracleCase{"striped", 16, 0, Mask::causal, Placement::striped, 6e6, 1.0, 0.1, 0.05, 0},
                    OracleCase{"uneven", 17, 11, Mask::causal, Placement::zigzag, 6e6, 1.0, 0.1, 0.05, 0},
                    OracleCase{"nodes_of_four", 32, 0, Mask::none, Placement::contiguous, 4e6, 1.0, 0.1, 0.05, 4},
                    OracleCase{"replicated_queries", 9, 0, Mask::causal, Placement::replicated_queries, 6e6, 1.0, 0.1,
                               0.05, 0},
                    OracleCase{"sixty_four", 64, 0, Mask::none, Placement::contiguous, 6e6, 1.0, 0.3, 0.2, 8},
                    OracleCase{"two_hundred", 200, 0, Mask::causal, Placement::zigzag, 6e6, 1.0, 0.05, 0.02, 0}),
    [](const auto &test) { return test.param.name; });

TEST(SmpiOracle, SlowingOneLinkDownIsSeenByTheComparison) {
  // Negative control: a replay with half the bandwidth must not agree.
  const machine::Machine machine = oracle_machine(1e-5, 1e6);
  const SimulationOptions options = ring_options(8, 100);
  const double slower_s = replayed_s(machine, options, " --cfg=network/bandwidth-factor:0.5");
  ASSERT_GT(slower_s, 0.0);
  EXPECT_GT(std::abs(simulate(machine, options).time_s / slower_s - 1.0), 0.1);
}

} // namespace
} // namespace ringscale::simulator

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (ringscale::oracle_tests::smpirun().empty()) {
    std::cout << "skipped: smpirun is not installed (Debian package libsimgrid-dev)\n";
    return 77;
  }
  return RUN_ALL_TESTS();
}
