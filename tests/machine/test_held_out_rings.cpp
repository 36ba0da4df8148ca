// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "problem/invalid_input.hpp"
#include "simulator/held_out_rings.hpp"
#include "tests/machine/calibrated_machine.hpp"

namespace ringscale::simulator {
namespace {

using machine_tests::calibrated_machine;
using problem::Mask;
using schedule::Pass;
using schedule::Schedule;

/// Rings of every schedule and both passes on four cores, as `truth` would time them, each sample off by up to `noise`.
std::vector<MeasuredRing> rings_of(const machine::Machine &truth, double noise) {
  std::vector<MeasuredRing> rings;
  for (const std::int64_t ring_size : {2, 4, 6}) {
    for (const Schedule schedule :
         {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring, Schedule::all_gather}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        MeasuredRing ring;
        schedule::RingProblem &problem = ring.options.problem;
        problem.attention.tokens = ring_size * 512;
        problem.attention.mask = Mask::causal;
        problem.placement = schedule::Placement::zigzag;
        problem.schedule = schedule;
        problem.pass = pass;
        problem.ring_size = ring_size;
        problem.inner_ring_size = schedule == Schedule::double_ring ? ring_size / 2 : 1;
        ring.options.ranks_on_node = ring_size;
        const double time_s = simulate(truth, ring.options).time_s;
        for (int sample = 0; sample < 5; ++sample) {
          const double angle = 7.1 * static_cast<double>(rings.size()) + 0.01 * sample;
          ring.samples_s.push_back(time_s * (1.0 + noise * std::sin(angle)));
        }
        rings.push_back(ring);
      }
    }
  }
  return rings;
}

/// As a calibration leaves it: with an interval of -10 % to +10 % from rings of its own.
machine::Machine judged_machine() {
  machine::Machine machine = calibrated_machine();
  machine.core_sharing.crowding = {{6, {1.1, "measured", "a test"}}};
  for (const bool shares : {false, true}) {
    for (int point = 0; point < 19; ++point) {
      machine::HoldOut hold_out;
      hold_out.shares_cores = shares;
      hold_out.predicted_s = 1.0;
      hold_out.measured_s = 0.9 + 0.2 * point / 18.0;
      machine.hold_out.push_back(hold_out);
    }
  }
  return machine;
}

void slow_tiles(machine::Machine &machine, double factor) {
  for (auto *samples : {&machine.tiles.samples, &machine.tiles.backward_samples}) {
    for (machine::TileSample &sample : *samples) {
      sample.time_s *= factor;
    }
  }
}

TEST(HeldOutRings, TheMachineThatTimedThemHasNoError) {
  const machine::Machine machine = judged_machine();
  const std::vector<HeldOutRing> rings = predict_held_out(machine, rings_of(machine, 0.0));
  for (const HeldOutRing &ring : rings) {
    EXPECT_NEAR(ring.relative_error, 0.0, 1e-9);
    EXPECT_TRUE(ring.covered);
    EXPECT_EQ(ring.shares_cores, ring.measured.options.problem.ring_size == 6);
  }
  const HeldOutErrors errors = summarise_errors(rings);
  EXPECT_EQ(errors.rings, 24);
  EXPECT_LE(errors.worst, 1e-9);
  EXPECT_EQ(errors.covered_share, 1.0);
  EXPECT_NEAR(errors.confidence, 18.0 / 20.0, 1e-12);
}

TEST(HeldOutRings, AMachineWithWrongTilesIsSeen) {
  // Negative control: 1.3 times the tile must come out as an error of some 30 %, and outside of the intervals.
  const machine::Machine truth = judged_machine();
  machine::Machine wrong = truth;
  slow_tiles(wrong, 1.3);
  const HeldOutErrors errors = summarise_errors(predict_held_out(wrong, rings_of(truth, 0.0)));
  EXPECT_GT(errors.median, 0.2);
  EXPECT_LE(errors.worst, 0.3 + 1e-6);
  EXPECT_GT(errors.median_signed, 0.2);
  EXPECT_EQ(errors.covered_share, 0.0);
  slow_tiles(wrong, 1.0 / 1.3 / 1.3);
  EXPECT_LT(summarise_errors(predict_held_out(wrong, rings_of(truth, 0.0))).median_signed, -0.15);
}

TEST(HeldOutRings, TheErrorsAreThoseOfTheMeasurements) {
  const machine::Machine machine = judged_machine();
  const std::vector<MeasuredRing> measured = rings_of(machine, 0.05);
  const std::vector<HeldOutRing> rings = predict_held_out(machine, measured);
  std::vector<double> sizes;
  for (std::size_t place = 0; place < rings.size(); ++place) {
    const double median_s = statistics::median(measured[place].samples_s);
    EXPECT_DOUBLE_EQ(rings[place].relative_error, rings[place].predicted.time_s / median_s - 1.0);
    sizes.push_back(std::abs(rings[place].relative_error));
  }
  const HeldOutErrors errors = summarise_errors(rings);
  EXPECT_DOUBLE_EQ(errors.median, statistics::median(sizes));
  EXPECT_DOUBLE_EQ(errors.percentile_90, statistics::quantile(sizes, 0.9));
  EXPECT_GT(errors.median, 0.01);
  EXPECT_LT(errors.worst, 0.06);
}

TEST(HeldOutRings, KindsAreToldApart) {
  const machine::Machine machine = judged_machine();
  const std::vector<HeldOutRing> rings = predict_held_out(machine, rings_of(machine, 0.0));
  EXPECT_EQ(of_kind(rings, false).size(), 16U);
  EXPECT_EQ(of_kind(rings, true).size(), 8U);
}

TEST(HeldOutRings, ASampleThatIsNoNumberMeetsNoGoal) {
  const machine::Machine machine = judged_machine();
  std::vector<MeasuredRing> measured = rings_of(machine, 0.0);
  measured[3].samples_s[1] = std::numeric_limits<double>::quiet_NaN();
  const std::vector<HeldOutRing> rings = predict_held_out(machine, measured);
  EXPECT_TRUE(std::isnan(rings[3].relative_error));
  EXPECT_FALSE(rings[3].covered);
  const HeldOutErrors errors = summarise_errors(rings);
  EXPECT_FALSE(errors.median <= 1e9);
  EXPECT_FALSE(errors.percentile_90 <= 1e9);
  EXPECT_LT(errors.covered_share, 1.0);
  EXPECT_FALSE(summarise_errors({}).median <= 1e9);
}

TEST(HeldOutRings, TheFastestSampleStandsForARingWhereAsked) {
  const machine::Machine machine = judged_machine();
  std::vector<MeasuredRing> measured = rings_of(machine, 0.0);
  for (MeasuredRing &ring : measured) {
    ring.samples_s = {3.0 * ring.samples_s[0], ring.samples_s[1], 2.0 * ring.samples_s[2]};
  }
  EXPECT_GT(summarise_errors(predict_held_out(machine, measured)).median, 0.4);
  for (MeasuredRing &ring : measured) {
    ring.typical = statistics::Typical::fastest;
  }
  const std::vector<HeldOutRing> rings = predict_held_out(machine, measured);
  EXPECT_LE(summarise_errors(rings).worst, 1e-9);
  EXPECT_EQ(rings[0].measured_interval.confidence, 0.0);
}

TEST(MeetingWork, TheFirstBlockIsWrittenAndNotMerged) {
  machine::Machine machine = calibrated_machine();
  machine.step_fixed_s.value = 0.0;
  machine.overlap.hidden_fraction.value = 1.0;
  machine.links[0].bandwidth_bytes_per_s.value = 1e15;
  SimulationOptions options;
  options.problem.attention.tokens = 3 * 1024;
  options.problem.ring_size = 3;
  const double tile_s = machine_tests::measured_tile_s(1024, 1024, 64);
  const double merge_s = 1e-6 + 2e-10 * 1024 * 8 * 65;
  ASSERT_TRUE(machine.merge.fused);
  EXPECT_NEAR(simulate(machine, options).time_s, 3 * tile_s - merge_s, 1e-9 * tile_s);
  options.engine = Engine::plan;
  EXPECT_NEAR(simulate(machine, options).time_s, 3 * tile_s - merge_s, 1e-9 * tile_s);
  options.problem.moving = schedule::Moving::query; // every result is written, then joined to the one that arrived
  const double joined_s = simulate(machine, options).slowest.compute_s;
  EXPECT_NEAR(joined_s, 3 * (tile_s - merge_s), 1e-9 * tile_s);
  options.problem.moving = schedule::Moving::key_value;
  machine.merge.fused = false; // tiles hold no merge then: it is added to all but the first
  EXPECT_NEAR(simulate(machine, options).time_s, 3 * tile_s + 2 * merge_s, 1e-9 * tile_s);
  machine.merge.fused = true;
  machine.merge.per_element_s.value = 1.0; // a line through merges that cannot be: at most half of the tile is believed
  EXPECT_NEAR(simulate(machine, options).time_s, 2.5 * tile_s, 1e-9 * tile_s);
  machine.merge.in_tile_per_element_s = {1e-10, "measured", "a test"}; // measured within tiles: no line is needed
  EXPECT_NEAR(simulate(machine, options).time_s, 3 * tile_s - 1e-10 * 1024 * 8 * 65, 1e-9 * tile_s);
}

TEST(HeldOutRings, ARingWithoutSamplesIsRefused) {
  const machine::Machine machine = judged_machine();
  std::vector<MeasuredRing> measured = rings_of(machine, 0.0);
  measured[0].samples_s.clear();
  EXPECT_THROW(predict_held_out(machine, measured), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::simulator
