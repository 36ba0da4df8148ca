// SPDX-License-Identifier: Apache-2.0
// Devices of several types, listed speeds and measured jitter in the ring engines: the ticks of the plan engine, and of
// the plain loop on any threads, to the last bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "simulator/breakdown.hpp"
#include "simulator/engines.hpp"
#include "simulator/lane_draws.hpp"
#include "simulator/plan_engine.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using machine::DeviceGroup;
using machine::Fleet;
using problem::Mask;
using schedule::Placement;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

constexpr std::uint64_t draw_stream = 0x6D697865U;

std::vector<double> random_quantiles(Draw &draw, std::int64_t most_cells) {
  std::vector<double> quantiles{draw.between(0.3, 1.0)};
  for (std::int64_t cells = 1 + draw.below(most_cells); cells > 0; --cells) {
    quantiles.push_back(quantiles.back() + (draw.below(4) == 0 ? 0.0 : draw.between(0.0, 0.2)));
  }
  return quantiles;
}

machine::Machine random_machine(Draw &draw, std::int64_t most_cells) {
  machine::Machine machine =
      simple_machine(1e-9 * draw.between(0.5, 3.0), 1e-6 * draw.between(0.0, 30.0), draw.between(1e8, 4e9));
  machine.overlap.hidden_fraction = number(draw.coin() ? 1.0 : draw.between(-0.5, 1.0));
  machine.step_fixed_s = number(draw.between(0.0, 9e-6));
  machine.merge.fused = draw.coin();
  machine.merge.fixed_s = number(draw.between(0.0, 1e-6));
  machine.merge.per_element_s = number(draw.between(0.0, 1e-11));
  machine.links[0].sharing = number(draw.coin() ? 0.0 : draw.between(0.0, 0.1));
  machine.footprint.key_tile_tokens = 1 + draw.below(64);
  machine.jitter.relative_quantiles = random_quantiles(draw, most_cells);
  if (draw.coin()) {
    machine::Link inside = machine.links.back();
    inside.level = machine::Level::node;
    inside.group_devices = 2 + draw.below(7);
    inside.bandwidth_bytes_per_s.value *= draw.between(0.5, 20.0);
    machine.links.insert(machine.links.begin(), inside);
  }
  return machine;
}

/// One to four groups of up to three types.
Fleet random_fleet(Draw &draw, std::int64_t devices, std::int64_t most_cells = 24) {
  std::vector<machine::Machine> types;
  for (int type = 0; type < 3; ++type) {
    types.push_back(random_machine(draw, most_cells));
    types.back().name = "type" + std::to_string(type);
  }
  std::vector<DeviceGroup> groups;
  for (std::int64_t left = devices; left > 0;) {
    const std::int64_t share = groups.size() == 3 ? left : std::min(left, 1 + draw.below(devices));
    groups.push_back({types[static_cast<std::size_t>(draw.below(3))], share});
    left -= share;
  }
  return Fleet(groups);
}

SimulationOptions random_options(Draw &draw, std::int64_t ring_size) {
  const Placement placements[] = {Placement::contiguous, Placement::zigzag, Placement::striped,
                                  Placement::replicated_queries};
  SimulationOptions options = ring_options(ring_size, 2 + draw.below(200), draw.coin() ? Mask::none : Mask::causal,
                                           placements[draw.below(ring_size > 1000 ? 3 : 4)]);
  options.problem.attention.tokens += draw.coin() ? 0 : draw.below(ring_size);
  options.speed_spread = draw.coin() ? 0.0 : draw.between(0.0, 0.3);
  options.straggler_share = draw.coin() ? 0.0 : 0.1;
  options.straggler_factor = 1.0 + draw.between(0.0, 1.0);
  for (std::int64_t listed = draw.below(3) == 0 ? ring_size : 0; listed > 0; --listed) {
    options.device_speeds.push_back(draw.between(0.5, 2.0));
  }
  options.measured_jitter = draw.coin();
  options.jitter = options.measured_jitter || draw.coin() ? 0.0 : draw.between(0.001, 0.2);
  options.seed = static_cast<std::uint64_t>(draw.below(1000));
  return options;
}

std::vector<std::int64_t> plan_ticks(const Fleet &fleet, const SimulationOptions &options, const TickScale &scale) {
  const PlanCosts costs(fleet, options);
  StreamedSteps steps(options.problem);
  return run_plan(costs, options, scale, steps).ticks;
}

std::vector<std::int64_t> plain_ticks(const Fleet &fleet, const SimulationOptions &options, const TickScale &scale) {
  const RingCosts costs(fleet, options);
  return run_plain(costs, options, scale).ticks;
}

TEST(MixedRings, ThePlainEngineEqualsThePlanEngineToTheLastBitOnRandomFleets) {
  int mixed = 0;
  int drawn = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Draw draw(seed, draw_stream);
    const std::int64_t ring_size = 1 + draw.below(40);
    const Fleet fleet = random_fleet(draw, ring_size);
    const SimulationOptions options = random_options(draw, ring_size);
    const RingCosts costs(fleet, options);
    const int bits = draw.coin() ? 36 : 19; // double precision of what is drawn, and single
    const TickScale scale = TickScale::of(costs, options, bits);
    ASSERT_EQ(plan_ticks(fleet, options, scale), run_plain(costs, options, scale).ticks) << "seed " << seed;
    mixed += fleet.mixed() ? 1 : 0;
    drawn += options.measured_jitter ? 1 : 0;
  }
  EXPECT_GT(mixed, 200);
  EXPECT_GT(drawn, 100);
}

TEST(MixedRings, TheBlockedEngineEqualsThePlainEngineToTheLastBitOnRandomFleets) {
  int mixed_tables = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Draw draw(seed, draw_stream + 1);
    const std::int64_t ring_size = smallest_blocked_ring + draw.below(800);
    // Tables in registers, and some too long for them.
    const Fleet fleet = random_fleet(draw, ring_size, seed % 4 == 0 ? 80 : 24);
    const SimulationOptions options = random_options(draw, ring_size);
    const RingCosts costs(fleet, options);
    const TickScale scale = TickScale::of(costs, options, static_cast<int>(16 + draw.below(7)));
    const std::vector<std::int64_t> expected = run_plain(costs, options, scale).ticks;
    const int threads = static_cast<int>(1 + draw.below(3));
    ASSERT_EQ(run_blocked(costs, options, scale, threads).ticks, expected) << "seed " << seed;
    mixed_tables += options.measured_jitter && fleet.mixed() ? 1 : 0;
  }
  EXPECT_GT(mixed_tables, 8);
}

/// Two types of 1200 devices that differ in nothing yet, with measured jitter.
struct TwoTypes {
  machine::Machine first = simple_machine(1e-9, 1e-6, 1e9);
  machine::Machine second;
  SimulationOptions options = ring_options(1200, 256);

  TwoTypes() {
    first.jitter.relative_quantiles = {0.9, 0.97, 1.0, 1.02, 1.3};
    second = first;
    options.measured_jitter = true;
  }
  std::vector<std::int64_t> blocked(const Fleet &fleet, const TickScale &scale) const {
    const RingCosts costs(fleet, options);
    return run_blocked(costs, options, scale, 2).ticks;
  }
};

TEST(MixedRingsControl, OneDeviceOfTheWrongTypeIsSeen) {
  TwoTypes ring;
  ring.second.step_fixed_s = number(1e-6);
  const Fleet fleet({{ring.first, 700}, {ring.second, 500}});
  const TickScale scale = TickScale::of(RingCosts(fleet, ring.options), ring.options, 19);
  const std::vector<std::int64_t> expected = plain_ticks(fleet, ring.options, scale);
  ASSERT_EQ(ring.blocked(fleet, scale), expected);
  EXPECT_NE(ring.blocked(Fleet({{ring.first, 701}, {ring.second, 499}}), scale), expected);
  EXPECT_NE(plain_ticks(Fleet({{ring.first, 699}, {ring.second, 501}}), ring.options, scale), expected);
}

TEST(MixedRingsControl, OneQuantileLessIsSeen) {
  TwoTypes ring;
  const Fleet fleet({{ring.first, 700}, {ring.second, 500}});
  const TickScale scale = TickScale::of(RingCosts(fleet, ring.options), ring.options, 19);
  const std::vector<std::int64_t> expected = plain_ticks(fleet, ring.options, scale);
  ASSERT_EQ(ring.blocked(fleet, scale), expected);
  // Of one type of two alone, so that bundles hold two tables.
  std::vector<double> &quantiles = ring.second.jitter.relative_quantiles;
  quantiles.erase(quantiles.begin() + 1);
  EXPECT_NE(ring.blocked(Fleet({{ring.first, 700}, {ring.second, 500}}), scale), expected);
}

TEST(MixedRings, AddUpToWhatThePlanEngineSays) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Draw draw(seed, draw_stream + 2);
    const std::int64_t ring_size = 2 + draw.below(30);
    const Fleet fleet = random_fleet(draw, ring_size);
    SimulationOptions options = random_options(draw, ring_size);
    const Simulation ring = simulate(fleet, options);
    options.engine = Engine::plan;
    const Simulation plan = simulate(fleet, options);
    ASSERT_NE(ring.engine, "plan");
    const double bound = 1e-5 * plan.time_s; // ticks differ
    EXPECT_NEAR(ring.time_s, plan.time_s, bound) << "seed " << seed;
    EXPECT_NEAR(ring.finish.p25_s, plan.finish.p25_s, bound) << "seed " << seed;
    EXPECT_NEAR(ring.efficiency, plan.efficiency, 1e-5) << "seed " << seed;
    EXPECT_NEAR(ring.hop_s, plan.hop_s, 1e-12) << "seed " << seed;
    EXPECT_EQ(ring.hop_bytes, plan.hop_bytes) << "seed " << seed;
    EXPECT_EQ(ring.memory_types.size(), plan.memory_types.size()) << "seed " << seed;
    if (ring.slowest.rank == plan.slowest.rank) {
      EXPECT_NEAR(ring.slowest.compute_s, plan.slowest.compute_s, bound) << "seed " << seed;
      EXPECT_NEAR(ring.slowest.merge_s, plan.slowest.merge_s, bound) << "seed " << seed;
      EXPECT_NEAR(ring.slowest.exposed_communication_s, plan.slowest.exposed_communication_s, bound) << "seed " << seed;
    }
  }
}

TEST(LaneDraws, AreThoseOfOneRank) {
  // Every uniform number, of tables that fit registers and of longer ones: both halves of sixteen lanes are 32 calls.
  Draw draw(5, draw_stream);
  machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  for (const std::int64_t cells : {1, 2, 20, 32, 57}) {
    std::vector<double> &quantiles = machine.jitter.relative_quantiles;
    quantiles = {0.4};
    for (std::int64_t cell = 0; cell < cells; ++cell) {
      quantiles.push_back(quantiles.back() + draw.between(0.0, 0.1));
    }
    const MeasuredJitter measured(Fleet(machine, 8), 1);
    const MeasuredJitter::Table &table = measured.table(0);
    EXPECT_EQ(table.cells, cells);
    EXPECT_EQ(measured.deviation(table, 0), quantiles.front() - 1.0);
    const double last_rise = quantiles.back() - quantiles[quantiles.size() - 2];
    EXPECT_NEAR(measured.deviation(table, 65535),
                quantiles.back() - 1.0 - static_cast<double>(cells) / 65536.0 * last_rise, 1e-15);
    for (std::uint32_t uniform = 0; uniform + 1 < 65536; ++uniform) {
      ASSERT_LE(measured.deviation(table, uniform), measured.deviation(table, uniform + 1));
    }
    for (std::uint32_t first = 0; first < 65536; first += lane_count) {
      UnsignedLanes bits = {};
      for (std::uint32_t lane = 0; lane < lane_count; ++lane) {
        bits[lane] = (first + lane) | ((65535 - first - lane) << 16);
      }
      TablePlaces places;
      find_places(places, bits, UnsignedLanes{} + table.cells);
      for (int half = 0; half < 2; ++half) {
        UnsignedLanes cell;
        UnsignedLanes place;
        FloatLanes base;
        FloatLanes slope;
        take_half(cell, places.cell, half);
        take_half(place, places.place, half);
        if (table.cells <= most_cells_in_registers) {
          TableLanes registers;
          load_table(registers, measured, table);
          look_up(base, registers.base, cell);
          look_up(slope, registers.slope, cell);
        } else {
          gather(base, measured.base().data(), cell);
          gather(slope, measured.slope().data(), cell);
        }
        for (std::uint32_t lane = 0; lane < lane_count; ++lane) {
          const std::uint32_t uniform = half == 0 ? first + lane : 65535 - first - lane;
          const std::uint32_t at = uniform * table.cells;
          ASSERT_EQ(cell[lane], at >> 16);
          ASSERT_EQ(place[lane], at & 0xFFFFU);
          ASSERT_EQ(base[lane], measured.base()[cell[lane]]);
          ASSERT_EQ(slope[lane], measured.slope()[cell[lane]]);
          const auto ticks = static_cast<double>(measured.ticks(table, uniform, 1000000 + first + lane, true));
          const double exact = static_cast<double>(1000000 + first + lane) * measured.deviation(table, uniform);
          ASSERT_NEAR(ticks, exact, 2.0);
        }
      }
    }
  }
}

TEST(MeasuredJitter, HalvesOfANumberAreUniformAndNeighboursUnrelated) {
  // Steps of a pair, neighbouring steps and neighbouring ranks: correlations of n pairs deviate by 1 / sqrt(n).
  const machine::Machine machine = TwoTypes().first;
  const MeasuredJitter measured(Fleet(machine, 512), 3);
  const auto value = [&](std::int64_t rank, std::int64_t step) {
    return (static_cast<double>(measured.uniform(rank, step)) + 0.5) / 65536.0 - 0.5;
  };
  constexpr std::int64_t ranks = 512;
  constexpr std::int64_t steps = 400;
  constexpr double count = static_cast<double>(ranks * steps);
  std::vector<double> cells(64, 0.0);
  double in_time = 0.0;
  double in_space = 0.0;
  double in_pair = 0.0;
  double with_itself = 0.0;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    for (std::int64_t step = 0; step < steps; ++step) {
      const double here = value(rank, step);
      cells[static_cast<std::size_t>((here + 0.5) * 64.0)] += 1.0;
      with_itself += 12.0 * here * here;
      in_pair += 12.0 * here * value(rank, step ^ 1);
      in_time += 12.0 * here * value(rank, step + 2);
      in_space += 12.0 * here * value((rank + 1) % ranks, step);
    }
  }
  double chi_squared = 0.0;
  for (const double cell : cells) {
    chi_squared += (cell - count / 64.0) * (cell - count / 64.0) / (count / 64.0);
  }
  EXPECT_LT(chi_squared, 113.5) << "63 degrees of freedom: passed once in ten thousand";
  const double bound = 4.0 / std::sqrt(count);
  EXPECT_LT(std::abs(in_pair / count), 1.42 * bound) << "each pair counts twice";
  EXPECT_LT(std::abs(in_time / count), bound);
  EXPECT_LT(std::abs(in_space / count), bound);
  EXPECT_GT(with_itself / count, 100.0 * bound); // negative control
}

} // namespace
} // namespace ringscale::simulator
