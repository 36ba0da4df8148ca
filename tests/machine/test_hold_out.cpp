// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "simulator/hold_out.hpp"
#include "tests/machine/calibrated_machine.hpp"

namespace ringscale::simulator {
namespace {

using machine_tests::calibrated_machine;
using problem::Mask;
using schedule::Placement;

/// Four cores, three and six ranks on them, every free term away from where the fit starts.
machine::Machine true_machine() {
  machine::Machine machine = calibrated_machine();
  machine.step_fixed_s.value = 4e-5;
  machine.overlap.hidden_fraction.value = 0.35;
  machine.core_sharing.neighbour_factor.value = 1.2;
  machine.core_sharing.spin_share.value = 0.7;
  machine.core_sharing.extra_step_s.value = 1.5e-4;
  machine.core_sharing.idle_share.value = 0.4;
  machine.core_sharing.crowding = {{6, {1.15, "measured", "a test"}}};
  return machine;
}

/// Rings as that machine would have timed them, disturbed by up to `noise`.
std::vector<MeasuredRing> rings_of(const machine::Machine &truth, double noise) {
  std::vector<MeasuredRing> rings;
  for (const std::int64_t ring_size : {1, 2, 3, 4, 6}) {
    for (const std::int64_t chunk : {128, 512, 2048}) {
      for (const auto &[mask, placement] :
           {std::pair{Mask::none, Placement::contiguous}, std::pair{Mask::causal, Placement::contiguous},
            std::pair{Mask::causal, Placement::zigzag}}) {
        MeasuredRing ring;
        ring.options.problem.attention.tokens = ring_size * chunk;
        ring.options.problem.attention.mask = mask;
        ring.options.problem.placement = placement;
        ring.options.problem.ring_size = ring_size;
        ring.options.ranks_on_node = ring_size;
        const double time_s = simulate(truth, ring.options).time_s;
        const double off = 1.0 + noise * std::sin(12.9 * static_cast<double>(rings.size() + 1));
        ring.samples_s = {time_s * off, time_s * off, time_s * off};
        rings.push_back(ring);
      }
    }
  }
  return rings;
}

machine::Machine start_machine() {
  machine::Machine machine = calibrated_machine();
  machine.core_sharing.crowding = {{6, {1.0, "measured", "a test"}}};
  machine.overlap.samples.clear(); // not measured, so fitted
  return machine;
}

TEST(HoldOut, AMeasuredOverlapIsNotFitted) {
  const auto rings = rings_of(true_machine(), 0.0);
  machine::Machine fitted = start_machine();
  fit_free_terms(fitted, rings);
  EXPECT_NEAR(fitted.overlap.hidden_fraction.value, 0.35, 0.1);
  machine::Machine measured = start_machine();
  measured.overlap.samples = {0.6};
  fit_free_terms(measured, rings);
  EXPECT_EQ(measured.overlap.hidden_fraction.value, 0.6);
}

TEST(HoldOut, FindsTheTermsThatMadeTheRings) {
  const machine::Machine truth = true_machine();
  machine::Machine machine = start_machine();
  const auto rings = rings_of(truth, 0.0);
  fit_free_terms(machine, rings);
  EXPECT_NEAR(machine.core_sharing.neighbour_factor.value, 1.2, 0.02);
  EXPECT_NEAR(machine.core_sharing.spin_share.value, 0.7, 0.1);
  EXPECT_NEAR(machine.step_fixed_s.value, 4e-5, 1e-5);
  for (const MeasuredRing &ring : rings) {
    EXPECT_NEAR(simulate(machine, ring.options).time_s / ring.samples_s[0], 1.0, 0.02);
  }
}

TEST(HoldOut, PredictsRingsThatTookNoPartInTheFit) {
  machine::Machine machine = start_machine();
  const auto rings = rings_of(true_machine(), 0.0);
  cross_validate(machine, rings);
  ASSERT_EQ(machine.hold_out.size(), rings.size());
  EXPECT_LT(machine.hold_out_median_relative_error, 0.01);
  EXPECT_LT(machine.hold_out_max_relative_error, 0.05);
  for (std::size_t index = 0; index < rings.size(); ++index) {
    EXPECT_EQ(machine.hold_out[index].samples_s, rings[index].samples_s);
    EXPECT_EQ(machine.hold_out[index].shares_cores, rings[index].options.ranks_on_node > 4);
  }
}

/// Backward rings of that machine, whose backward tiles take `factor` times as long in a ring.
std::vector<MeasuredRing> backward_rings(machine::Machine truth, double factor) {
  truth.tiles.backward_samples = truth.tiles.samples;
  truth.tiles.backward_ring_factor.value = factor;
  std::vector<MeasuredRing> rings = rings_of(truth, 0.0);
  for (MeasuredRing &ring : rings) {
    ring.options.problem.pass = schedule::Pass::backward;
    ring.samples_s = {simulate(truth, ring.options).time_s};
  }
  return rings;
}

TEST(HoldOut, FindsWhatBackwardTilesTakeInARingFromBackwardRingsAlone) {
  machine::Machine machine = start_machine();
  machine.tiles.backward_samples = machine.tiles.samples;
  auto rings = rings_of(true_machine(), 0.0);
  machine::Machine forward_only = machine;
  cross_validate(forward_only, rings);
  EXPECT_EQ(forward_only.tiles.backward_ring_factor.value, 1.0);
  EXPECT_EQ(forward_only.tiles.backward_ring_factor.kind, "analytic");
  const auto backward = backward_rings(true_machine(), 1.12);
  rings.insert(rings.end(), backward.begin(), backward.end());
  cross_validate(machine, rings);
  EXPECT_NEAR(machine.tiles.backward_ring_factor.value, 1.12, 0.01);
  EXPECT_EQ(machine.tiles.backward_ring_factor.kind, "measured");
  // Forward terms are as if there were no backward rings.
  EXPECT_EQ(machine.core_sharing.neighbour_factor.value, forward_only.core_sharing.neighbour_factor.value);
  EXPECT_EQ(machine.hold_out.front().pass, "forward");
  EXPECT_EQ(machine.hold_out.back().pass, "backward");
  for (std::size_t index = 0; index < rings.size(); ++index) {
    EXPECT_EQ(machine.hold_out[index].relative_error,
              machine.hold_out[index].predicted_s / rings[index].samples_s[0] - 1.0);
    if (!machine.hold_out[index].shares_cores) {
      EXPECT_NEAR(machine.hold_out[index].relative_error, 0.0, 0.03) << index;
    }
  }
}

TEST(HoldOut, ADisturbedBackwardRingTakesNoPartInItsOwnPrediction) {
  machine::Machine machine = start_machine();
  machine.tiles.backward_samples = machine.tiles.samples;
  auto rings = backward_rings(start_machine(), 1.0);
  rings.erase(std::remove_if(rings.begin(), rings.end(),
                             [](const MeasuredRing &ring) { return ring.options.problem.ring_size > 1; }),
              rings.end());
  rings.resize(2);
  rings[1].samples_s = {1.5 * rings[1].samples_s[0]};
  cross_validate(machine, rings);
  EXPECT_NEAR(machine.hold_out[1].relative_error, 1.0 / 1.5 - 1.0, 0.01) << "a fit that had seen it would lie between";
}

TEST(HoldOut, ShowsTheNoiseOfTheRings) {
  // Errors of the measurements must come out as errors of the predictions, neither hidden nor blown up.
  machine::Machine machine = start_machine();
  cross_validate(machine, rings_of(true_machine(), 0.1));
  EXPECT_GT(machine.hold_out_median_relative_error, 0.02);
  EXPECT_LT(machine.hold_out_median_relative_error, 0.15);
}

TEST(HoldOut, ADisturbedRingIsPredictedAsIfItWereNot) {
  // Negative control of leaving out: a fit that had seen the ring would lean towards it.
  machine::Machine machine = start_machine();
  auto rings = rings_of(true_machine(), 0.0);
  for (double &sample : rings[10].samples_s) {
    sample *= 3.0;
  }
  cross_validate(machine, rings);
  EXPECT_NEAR(machine.hold_out[10].relative_error, 1.0 / 3.0 - 1.0, 0.03);
}

TEST(HoldOut, AnIntervalComesFromTheErrors) {
  machine::Machine machine = start_machine();
  const auto rings = rings_of(true_machine(), 0.1);
  cross_validate(machine, rings);
  const Simulation result = simulate(machine, rings[5].options);
  EXPECT_LT(result.time_low_s, result.time_s);
  EXPECT_GT(result.time_high_s, result.time_s);
  EXPECT_NEAR(result.time_confidence, 35.0 / 37.0, 1e-12); // of the 36 rings whose ranks have cores of their own
  SimulationOptions crowded = rings[5].options;
  crowded.problem.ring_size = crowded.ranks_on_node = 6;
  EXPECT_NEAR(simulate(machine, crowded).time_confidence, 8.0 / 10.0, 1e-12); // of the 9 that share them
  machine.hold_out.resize(36);
  EXPECT_NEAR(simulate(machine, crowded).time_confidence, 35.0 / 37.0, 1e-12); // none of its kind: all there are
  EXPECT_EQ(result.hold_out_median_relative_error, machine.hold_out_median_relative_error);
}

} // namespace
} // namespace ringscale::simulator
