// SPDX-License-Identifier: Apache-2.0
// What docs/engines.md says of ticks: how far they are off, and how far apart neighbours' times are.
#include <gtest/gtest.h>

#include <cmath>

#include "problem/invalid_input.hpp"
#include "simulator/engines.hpp"
#include "simulator/noise.hpp"
#include "simulator/strips.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Placement;
using simulator_tests::add_nodes;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

TEST(JitterAmplitude, IsWithinASixtyFourthOfWhatWasAskedAndFitsAByte) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Draw draw(seed, 0x616D706CU);
    SimulationOptions options;
    options.jitter = std::pow(10.0, draw.between(-6.0, -0.61));
    TickScale scale;
    scale.byte_amplitudes = draw.coin();
    const double work = std::exp2(draw.between(14.0, scale.byte_amplitudes ? 22.0 : 40.0));
    set_jitter_exponent(scale, work, options.jitter);
    const std::int64_t amplitude = jitter_amplitude(options, scale, std::llround(work));
    EXPECT_TRUE(amplitude >= 32 && (!scale.byte_amplitudes || amplitude <= largest_byte_amplitude)) << amplitude;
    const double deviation = std::ldexp(static_cast<double>(amplitude), scale.jitter_exponent) * noise_deviation;
    EXPECT_NEAR(deviation / (work * options.jitter), 1.0, 1.0 / 64.0) << "seed " << seed;
  }
}

TEST(JitterTicks, HaveMeanZeroWhateverTheExponent) {
  for (const double jitter : {1e-4, 1e-3, 0.02, 0.2}) {
    SimulationOptions options;
    options.jitter = jitter;
    TickScale scale;
    scale.byte_amplitudes = true;
    const std::int64_t work = std::int64_t{1} << 19;
    set_jitter_exponent(scale, static_cast<double>(work), jitter);
    double sum = 0.0;
    constexpr int draws = 40000;
    for (int index = 0; index < draws; ++index) {
      sum += static_cast<double>(jitter_ticks(options, scale, index % 200, index / 200, work));
    }
    // Five standard errors, and half a tick or so of rounding down.
    EXPECT_NEAR(sum / draws, 0.0, 5.0 * jitter * static_cast<double>(work) / std::sqrt(draws) + 1.0) << jitter;
  }
}

TEST(NeighboursTimes, DifferByLessThanTwoOfTheLongestSteps) {
  const Placement placements[] = {Placement::contiguous, Placement::zigzag, Placement::striped,
                                  Placement::replicated_queries};
  double largest = 0.0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Draw draw(seed, 0x6E656967U);
    machine::Machine machine = simple_machine(1e-9, draw.between(0.0, 1e-5), draw.between(1e8, 1e10));
    machine.overlap.hidden_fraction = number(draw.coin() ? 1.0 : draw.between(-0.5, 1.0));
    if (draw.coin()) {
      machine::Link &inside = add_nodes(machine, 2 + draw.below(7));
      inside.bandwidth_bytes_per_s.value *= draw.between(1.0, 50.0);
    }
    SimulationOptions options = ring_options(2 + draw.below(150), 16 + draw.below(100),
                                             draw.coin() ? Mask::none : Mask::causal, placements[draw.below(4)]);
    options.problem.attention.tokens += draw.below(options.problem.ring_size);
    options.speed_spread = draw.coin() ? 0.0 : draw.between(0.0, 1.0);
    options.jitter = draw.coin() ? 0.0 : draw.between(0.0, 0.25);
    const RingCosts costs(machine, options);
    const TickScale scale = TickScale::of(costs, options, 30);
    std::vector<std::int64_t> times = run_plain(costs, options, scale).ticks;
    const std::int64_t last = costs.steps() - 1;
    const auto ring_size = static_cast<std::size_t>(costs.ring_size());
    for (std::size_t rank = 0; rank < ring_size; ++rank) {
      const auto place = static_cast<std::int64_t>(rank);
      const std::int64_t work = work_ticks(costs, options, scale, place, last);
      times[rank] -= work + jitter_ticks(options, scale, place, last, work);
    }
    for (std::size_t rank = 0; rank < ring_size; ++rank) {
      const std::int64_t apart = std::abs(times[(rank + 1) % ring_size] - times[rank]);
      ASSERT_LT(apart, 2 * scale.longest_step) << "seed " << seed;
      largest = std::max(largest, static_cast<double>(apart) / static_cast<double>(scale.longest_step));
    }
  }
  EXPECT_GT(largest, 0.9); // the bound is not idle: one longest step apart does occur
}

TEST(TickScale, StepsThatCannotBeCountedAreRefusedAndNotCalledMinusInfinity) {
  SimulationOptions ring = ring_options(8, 64);
  SimulationOptions plan = ring;
  plan.problem.pass = schedule::Pass::backward;
  for (const SimulationOptions &options : {ring, plan}) {
    for (const machine::Machine &machine :
         {simple_machine(1e308, 1e-6, 1e9), simple_machine(1e-9, 1e300, 1e9), simple_machine(1e-9, 1e-6, 1e-300)}) {
      EXPECT_THROW((void)simulate(machine, options), problem::InvalidInput);
    }
    // Large and small, but within reach.
    for (const machine::Machine &machine : {simple_machine(1e200, 1e200, 1e9), simple_machine(1e-200, 1e-200, 1e300)}) {
      const double time_s = simulate(machine, options).time_s;
      EXPECT_TRUE(std::isfinite(time_s) && time_s > 0.0) << time_s;
    }
  }
}

TEST(Strips, CoverTheRingAndFillEachOthersGhosts) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Draw draw(seed, 0x73747269U);
    const std::int64_t ring_size = Strips::smallest_ring + draw.below(5000);
    // Widths of a few ranks are what many threads ask for.
    const Strips strips(ring_size, 1 + draw.below(seed % 2 == 0 ? 600 : 20));
    ASSERT_EQ(strips.cells() % 2, 0);
    ASSERT_EQ(strips.ghost() % steps_per_noise_group, 0);
    EXPECT_EQ(strips.first_rank(0), 0);
    EXPECT_EQ(strips.first_rank(strips.count()), ring_size);
    for (std::int64_t strip = 0; strip < strips.count(); ++strip) {
      // No rank between two strips is left out, and what a strip gives away it has computed itself.
      ASSERT_LE(strips.first_rank(strip + 1), strips.first_rank(strip) + strips.width());
      const std::int64_t before = (strip + strips.count() - 1) % strips.count();
      const std::int64_t after = (strip + 1) % strips.count();
      const std::int64_t for_before = strips.first_cell_for_before(strip);
      const std::int64_t for_after = strips.first_cell_for_after(strip);
      for (const std::int64_t given : {for_before, for_after}) {
        ASSERT_GE(given, strips.ghost());
        ASSERT_LE(given + strips.ghost(), strips.ghost() + strips.width());
      }
      for (std::int64_t cell = 0; cell < strips.ghost(); ++cell) {
        ASSERT_EQ(strips.rank_in(strip, for_before + cell),
                  strips.rank_in(before, strips.ghost() + strips.width() + cell));
        ASSERT_EQ(strips.rank_in(strip, for_after + cell), strips.rank_in(after, cell));
      }
    }
  }
}

} // namespace
} // namespace ringscale::simulator
