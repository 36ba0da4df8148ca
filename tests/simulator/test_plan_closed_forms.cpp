// SPDX-License-Identifier: Apache-2.0
// Schedules whose time is known by algebra, which stands beside each.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "simulator/plan_costs.hpp"
#include "simulator/simulation.hpp"
#include "tests/simulator/closed_form_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Hops;
using schedule::MessageLayout;
using schedule::Moving;
using schedule::Pass;
using schedule::Schedule;
using simulator_tests::block_bytes;
using simulator_tests::chunk;
using simulator_tests::close;
using simulator_tests::free_network;
using simulator_tests::node_machine;
using simulator_tests::number;
using simulator_tests::pair_s;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;
using simulator_tests::tile_s;

SimulationOptions options_of(Schedule schedule, std::int64_t ring_size, std::int64_t inner_ring_size = 1) {
  SimulationOptions options = ring_options(ring_size, chunk);
  options.problem.schedule = schedule;
  options.problem.inner_ring_size = inner_ring_size;
  return options;
}

double time_of(const machine::Machine &machine, const SimulationOptions &options) {
  return simulate(machine, options).time_s;
}

TEST(PlanClosedForm, AFreeNetworkTakesTheSumOfPairs) {
  // Hops take nothing: T = P tiles whatever moves and however; 2.5 of them backward.
  for (const Schedule schedule : {Schedule::bidirectional_ring, Schedule::double_ring, Schedule::all_gather}) {
    for (const Moving moving : {Moving::key_value, Moving::query}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        for (const std::int64_t ring_size : {1, 2, 3, 12}) {
          SimulationOptions options = options_of(schedule, ring_size, ring_size % 3 == 0 ? 3 : 1);
          options.problem.moving = moving;
          options.problem.pass = pass;
          const double expected = static_cast<double>(ring_size) * tile_s * (pass == Pass::backward ? 2.5 : 1.0);
          EXPECT_NEAR(time_of(free_network(pair_s), options), expected, close * expected)
              << schedule::name(schedule) << " " << ring_size;
        }
      }
    }
  }
}

TEST(PlanClosedForm, AnAllGatherOfPatternsOnAFreeNetworkTakesThePairsOfTheBusiestRank) {
  // All blocks are there at time 0 and nobody waits: T = max over ranks of the sum of pairs of its meetings.
  SimulationOptions options = options_of(Schedule::all_gather, 6);
  options.problem.attention.mask = Mask::causal;
  options.problem.attention.query_heads = 4;
  for (const problem::PatternKind kind : {problem::PatternKind::block_sparse, problem::PatternKind::dilated}) {
    options.problem.pattern.kind = kind;
    options.problem.pattern.block_sparse.window_tokens = 320;
    options.problem.pattern.dilated = {{128, 512, 2048}, {1, 2, 4}, problem::DilationConvention::longnet};
    double busiest = 0.0;
    double all = 0.0;
    for (std::int64_t rank = 0; rank < 6; ++rank) {
      double pairs = 0.0;
      for (std::int64_t owner = 0; owner < 6; ++owner) {
        pairs += schedule::pairs_of_meeting(options.problem, rank, owner);
      }
      busiest = std::max(busiest, pairs);
      all += pairs;
    }
    const Simulation result = simulate(free_network(pair_s), options);
    EXPECT_NEAR(result.time_s, pair_s * busiest, close * result.time_s);
    EXPECT_NEAR(result.efficiency, all / (6.0 * busiest), close);
  }
}

TEST(PlanClosedForm, TwoDirectionsHalveTheTimeOfACommunicationBoundRing) {
  // hop > 2 tiles. One direction: (P - 1) hops and a tile. Two: lanes stop half-way. P even: P / 2 hops, the last step
  // has one block. P odd: (P - 1) / 2 hops, the last step has two.
  const double hop_s = 3.0 * tile_s;
  const machine::Machine machine = simple_machine(pair_s, hop_s, 1e300);
  for (const std::int64_t ring_size : {4, 7, 16, 33}) {
    const auto ranks = static_cast<double>(ring_size);
    const double one = (ranks - 1.0) * hop_s + tile_s;
    EXPECT_NEAR(time_of(machine, options_of(Schedule::ring, ring_size)), one, close * one);
    const double both = ring_size % 2 == 0 ? ranks / 2.0 * hop_s + tile_s : (ranks - 1.0) / 2.0 * hop_s + 2.0 * tile_s;
    EXPECT_NEAR(time_of(machine, options_of(Schedule::bidirectional_ring, ring_size)), both, close * both);
  }
}

TEST(PlanClosedForm, OuterHopsHideBehindAnInnerRound) {
  // Nodes of n, m = P / n rounds, inner hop < tile. Outer hop H < n tiles hides: T = P tiles. H > n tiles: every round
  // but the last takes H, and the last one n tiles. A flat ring pays H in each of P - 1 steps.
  const double n = 4;
  const double m = 3;
  for (const double outer_in_tiles : {0.5, 3.0, 3.9, 4.1, 10.0}) {
    const machine::Machine machine = node_machine(pair_s, 4, 0.5 * tile_s, outer_in_tiles * tile_s);
    const double expected = ((m - 1.0) * std::max(outer_in_tiles, n) + n) * tile_s;
    EXPECT_NEAR(time_of(machine, options_of(Schedule::double_ring, 12, 4)), expected, close * expected);
    const double flat = 11.0 * std::max(1.0, outer_in_tiles) * tile_s + tile_s;
    EXPECT_NEAR(time_of(machine, options_of(Schedule::ring, 12)), flat, close * flat);
  }
}

TEST(PlanClosedForm, OuterHopsShareTheirLink) {
  // Sharing 1: the n ranks of a node send outwards at once, n P / n = P flows over the fabric, so that H is P times
  // bytes / bandwidth. T = (m - 1) H + n tiles.
  machine::Machine machine = node_machine(pair_s, 4, 0.0, 0.0);
  machine.links[1].sharing = number(1.0);
  machine.links[1].bandwidth_bytes_per_s = number(12.0 * block_bytes / (7.0 * tile_s));
  const double expected = 2.0 * 7.0 * tile_s + 4.0 * tile_s;
  EXPECT_NEAR(time_of(machine, options_of(Schedule::double_ring, 12, 4)), expected, close * expected);
}

TEST(PlanClosedForm, AnAllGatherSendsAllBlocksThroughOnePort) {
  // Message k of a rank ends at k hops. hop < tile: hidden, P tiles. hop > tile: the last block comes after P - 1 hops.
  for (const double hop_in_tiles : {0.4, 0.99, 1.5, 5.0}) {
    const machine::Machine machine = simple_machine(pair_s, hop_in_tiles * tile_s, 1e300);
    const double expected = (hop_in_tiles < 1.0 ? 9.0 : 8.0 * hop_in_tiles + 1.0) * tile_s;
    EXPECT_NEAR(time_of(machine, options_of(Schedule::all_gather, 9)), expected, close * expected);
  }
}

TEST(PlanClosedForm, NeededHopsOfACausalWindowAreTheWindow) {
  // A window of one chunk under a causal mask: block r is needed by rank r + 1 alone. One hop in place of P - 1, then
  // the pairs of the neighbour's block: T = hop + pairs, while all hops take (P - 1) hops more than the last pairs (0).
  SimulationOptions options = options_of(Schedule::ring, 8);
  options.problem.attention.mask = Mask::causal;
  options.problem.pattern.kind = problem::PatternKind::block_sparse;
  options.problem.pattern.block_sparse.window_tokens = chunk;
  const double hop_s = 3.0 * tile_s;
  const machine::Machine machine = simple_machine(pair_s, hop_s, 1e300);
  EXPECT_NEAR(time_of(machine, options), 7.0 * hop_s, close * hop_s);
  options.problem.hops = Hops::needed;
  const double expected = hop_s + pair_s * schedule::pairs_of_meeting(options.problem, 1, 0);
  const Simulation result = simulate(machine, options);
  EXPECT_NEAR(result.time_s, expected, close * expected);
  EXPECT_EQ(result.hops, 7.0);
}

TEST(PlanClosedForm, NeededHopsOfACausalRingAreHalfTheMessages) {
  // Contiguous: block r meets ranks r .. P - 1. The last rank still waits for P - 1 blocks, so the time stays.
  SimulationOptions options = options_of(Schedule::ring, 8);
  options.problem.attention.mask = Mask::causal;
  const machine::Machine machine = simple_machine(pair_s, 3.0 * tile_s, 1e300);
  const Simulation all = simulate(machine, options);
  options.problem.hops = Hops::needed;
  const Simulation needed = simulate(machine, options);
  EXPECT_EQ(all.hops, 56.0);
  EXPECT_EQ(needed.hops, 28.0);
  EXPECT_NEAR(needed.time_s, 7.0 * 3.0 * tile_s + tile_s, close * all.time_s);
}

TEST(PlanClosedForm, BackwardBringsResultsHome) {
  // P - 1 block hops of b and P result hops of r on one link. Communication-bound, tile < r: all of them one after the
  // other, T = (P - 1) b + P r. Compute-bound: 2.5 P tiles, an addition in every step but the first, and r at the end.
  const double result_bytes = 2.0 * chunk * 64 * 4 + 64; // gradients of keys and values in single precision
  const double bandwidth = block_bytes / (4.0 * tile_s);
  const double b = 4.0 * tile_s;
  const double r = result_bytes / bandwidth;
  ASSERT_GT(r, 2.5 * tile_s);
  SimulationOptions options = options_of(Schedule::ring, 10);
  options.problem.pass = Pass::backward;
  const Simulation slow = simulate(simple_machine(pair_s, 0.0, bandwidth), options);
  EXPECT_NEAR(slow.time_s, 9.0 * b + 10.0 * r, close * slow.time_s);
  EXPECT_EQ(slow.hops, 90.0);
  EXPECT_EQ(slow.result_hops, 100.0);
  EXPECT_EQ(slow.result_hop_bytes, result_bytes);
  machine::Machine machine = simple_machine(pair_s, 0.0, 100.0 * bandwidth);
  machine.merge.fixed_s = number(0.01 * tile_s);
  machine.merge.per_element_s = number(0.1 * tile_s / (2.0 * chunk * 64));
  const double expected = 25.0 * tile_s + 9.0 * 0.11 * tile_s + r / 100.0;
  EXPECT_NEAR(time_of(machine, options), expected, close * expected);
}

TEST(PlanClosedForm, BackwardTilesOfTheMachineTakeThePlaceOfTheRatio) {
  // A table of one point: time grows with the pairs beyond it.
  machine::Machine machine = free_network(pair_s);
  machine.roofline = {};
  machine.tiles.query_heads = 1;
  machine.tiles.kv_heads = 1;
  machine.tiles.samples = {{chunk, chunk, 64, Mask::none, 1e-3, {1e-3}}};
  SimulationOptions options = options_of(Schedule::ring, 4);
  options.problem.pass = Pass::backward;
  Simulation result = simulate(machine, options);
  EXPECT_NEAR(result.time_s, 4.0 * 2.5e-3, close * result.time_s);
  EXPECT_EQ(result.time_source, "2.5 x forward tiles");
  machine.tiles.backward_samples = {{chunk, chunk, 64, Mask::none, 3e-3, {3e-3}}};
  result = simulate(machine, options);
  EXPECT_NEAR(result.time_s, 4.0 * 3e-3, close * result.time_s);
  EXPECT_EQ(result.time_source, "tiles");
}

TEST(PlanClosedForm, MovingQueriesCarryTheirPartialResults) {
  // Query block of c rows of 64, result of c rows of 64 and a log-sum-exp. Communication-bound: (P - 1) q + P r.
  const double query_bytes = 64.0 + chunk * 64.0 * 4.0;
  const double result_bytes = 64.0 + chunk * 65.0 * 4.0;
  const double bandwidth = query_bytes / (2.0 * tile_s);
  SimulationOptions options = options_of(Schedule::ring, 6);
  options.problem.moving = Moving::query;
  const Simulation result = simulate(simple_machine(pair_s, 0.0, bandwidth), options);
  EXPECT_NEAR(result.time_s, (5.0 * query_bytes + 6.0 * result_bytes) / bandwidth, close * result.time_s);
  EXPECT_EQ(result.hop_bytes, query_bytes);
  EXPECT_EQ(result.result_hop_bytes, result_bytes);
  // Backward: gradient of the output, log-sum-exp and row sums go along; the gradient of the query comes back.
  options.problem.pass = Pass::backward;
  const Simulation backward = simulate(simple_machine(pair_s, 0.0, bandwidth), options);
  EXPECT_EQ(backward.hop_bytes, query_bytes + chunk * (64.0 + 2.0) * 4.0);
  EXPECT_EQ(backward.result_hop_bytes, 64.0 + chunk * 64.0 * 4.0);
}

TEST(PlanClosedForm, LayoutsOfMessagesCostALatencyOrACopy) {
  // Communication-bound: stored_packed (P - 1)(l + b) + tile; separate one latency more a hop; copied a copy before
  // every hop, which reads and writes the block. Compute-bound, only the copy shows: P tiles + (P - 1) copies.
  const double latency_s = tile_s;
  const double bandwidth = block_bytes / (2.0 * tile_s);
  machine::Machine machine = simple_machine(pair_s, latency_s, bandwidth);
  const double memory_bandwidth = 4.0 * block_bytes / tile_s; // copy = tile / 2
  machine.roofline.memory_bandwidth_bytes_per_s = number(memory_bandwidth);
  SimulationOptions options = options_of(Schedule::ring, 6);
  const double packed = 5.0 * 3.0 * tile_s + tile_s;
  EXPECT_NEAR(time_of(machine, options), packed, close * packed);
  options.problem.layout = MessageLayout::separate;
  EXPECT_NEAR(time_of(machine, options), packed + 5.0 * latency_s, close * packed);
  options.problem.layout = MessageLayout::copied;
  EXPECT_NEAR(time_of(machine, options), packed + 5.0 * 0.5 * tile_s, close * packed);
  machine.links[0].latency_s = number(0.0);
  machine.links[0].bandwidth_bytes_per_s = number(1e300);
  EXPECT_NEAR(time_of(machine, options), 6.0 * tile_s + 5.0 * 0.5 * tile_s, close * packed);
}

TEST(PlanClosedForm, MessagesApartShakeHandsTwiceAndCrowdByTheShorterWay) {
  // Keys and values apart under rendezvous: two messages of half the bytes, each with a handshake of its own or none.
  machine::Machine machine = simple_machine(pair_s, 1e-6, 1e9);
  SimulationOptions options = options_of(Schedule::ring, 4);
  options.problem.layout = MessageLayout::separate;
  const double bytes = PlanCosts(machine, options).block_bytes(0);
  for (const auto &[threshold, handshakes] : {std::pair{0.4, 2.0}, {0.6, 0.0}}) {
    machine.links[0].rendezvous = machine::Rendezvous{static_cast<std::int64_t>(threshold * bytes), number(1e-3)};
    EXPECT_NEAR(PlanCosts(machine, options).message_s({0, 1, 0}), 2e-6 + bytes / 1e9 + handshakes * 1e-3, 1e-12);
  }
  // A half-duplex card carries what comes and goes: two messages of a ring, four of one in both directions.
  machine::Machine half = simple_machine(pair_s, 0.0, 1e9);
  half.links[0].duplex = machine::Duplex::half;
  EXPECT_NEAR(PlanCosts(half, options_of(Schedule::ring, 4)).message_s({0, 1, 0}), 2.0 * bytes / 1e9, 1e-12);
  EXPECT_NEAR(PlanCosts(half, options_of(Schedule::bidirectional_ring, 4)).message_s({0, 1, 0}), 4.0 * bytes / 1e9,
              1e-12);
  // In an all-gather a message goes the shorter way round: as many flows beside it forwards as backwards.
  machine::Machine nodes = node_machine(pair_s, 4, 1e-6, 1e-5);
  nodes.links[1].bandwidth_bytes_per_s = number(1e9);
  nodes.links[1].sharing = number(1.0);
  const PlanCosts gathered(nodes, options_of(Schedule::all_gather, 16));
  EXPECT_EQ(gathered.message_s({0, 15, 0}), gathered.message_s({15, 0, 15}));
  EXPECT_EQ(gathered.message_s({2, 15, 2}), gathered.message_s({13, 0, 13}));
  EXPECT_LT(gathered.message_s({0, 15, 0}), gathered.message_s({0, 13, 0}));
}

TEST(PlanClosedForm, ChunksByWeightBalanceDevicesOfDifferentSpeed) {
  // All blocks at hand, rank r owns n_r of n tokens and takes n_r n pair / speed_r. Even chunks: the slowest sets the
  // time. n_r in proportion to speed_r: all take n^2 pair / sum of speeds.
  SimulationOptions options = options_of(Schedule::all_gather, 4);
  options.device_speeds = {1.0, 1.0, 2.0, 4.0};
  const machine::Machine machine = free_network(pair_s);
  const double tokens = 4.0 * chunk;
  const double even = chunk * tokens * pair_s;
  EXPECT_NEAR(time_of(machine, options), even, close * even);
  options.problem.chunks = schedule::weighted_chunks(options.device_speeds);
  const double balanced = tokens * tokens * pair_s / 8.0;
  // A run has one token to begin with and the others are dealt by the rounded sums: within one token of its share.
  EXPECT_NEAR(time_of(machine, options), balanced, tokens * pair_s * 1.5);
}

TEST(PlanClosedForm, PartsAddUpToTheTotal) {
  machine::Machine machine = node_machine(pair_s, 4, 0.3 * tile_s, 2.5 * tile_s);
  machine.overlap.hidden_fraction = number(0.6);
  machine.merge.fused = false;
  machine.merge.per_element_s = number(1e-11);
  machine.step_fixed_s = number(4e-6);
  for (const Schedule schedule :
       {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring, Schedule::all_gather}) {
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      SimulationOptions options = options_of(schedule, 24, 4);
      options.problem.attention.mask = Mask::causal;
      options.problem.pass = pass;
      options.problem.layout = MessageLayout::copied;
      options.jitter = 0.05;
      options.speed_spread = 0.1;
      const Simulation result = simulate(machine, options);
      const Breakdown &part = result.slowest;
      EXPECT_NEAR(part.compute_s + part.merge_s + part.fixed_s + part.exposed_communication_s + part.waiting_s,
                  result.time_s, close * result.time_s);
      for (const double seconds :
           {part.compute_s, part.merge_s, part.fixed_s, part.exposed_communication_s, part.waiting_s}) {
        EXPECT_GE(seconds, -1e-6 * result.time_s) << schedule::name(schedule);
      }
      EXPECT_GT(result.efficiency, 0.0);
      EXPECT_LE(result.efficiency, 1.0);
    }
  }
}

} // namespace
} // namespace ringscale::simulator
