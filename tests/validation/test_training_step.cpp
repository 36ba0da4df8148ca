// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/validation/validation_fixture.hpp"
#include "validation/training_step.hpp"

namespace ringscale::validation {
namespace {

using validation_tests::machine_named;

constexpr double gib = 1073741824.0;

TrainingStep step_175b() {
  TrainingStep step;
  step.layers = 96.0;
  step.hidden = 12288.0;
  step.heads = 96.0;
  step.vocabulary = 51200.0;
  step.tokens = 2048.0;
  step.global_batch = 64.0;
  step.tensor = 8.0;
  step.pipeline = 8.0;
  step.interleaved = 3.0;
  step.scores_materialised = true;
  return step;
}

TEST(TrainingStep, CountsTheFlopOfNarayananEtAl) {
  // Their equation 3 for forward alone: 24 B s l h^2 (1 + s / (6 h) + V / (12 l h)).
  const TrainingStep step = step_175b();
  const double expected = 24.0 * 64.0 * 2048.0 * 96.0 * 12288.0 * 12288.0 *
                          (1.0 + 2048.0 / (6.0 * 12288.0) + 51200.0 / (12.0 * 96.0 * 12288.0));
  EXPECT_NEAR((product_flop(step, 64.0) + attention_flop(step, 64.0)) / expected, 1.0, 1e-12);
  TrainingStep skipping = step;
  skipping.scores_materialised = false;
  EXPECT_DOUBLE_EQ(attention_flop(skipping, 1.0), 0.5 * attention_flop(step, 1.0));
}

TEST(TrainingStep, StoresTheBytesOfKorthikantiEtAl) {
  TrainingStep step = step_175b();
  EXPECT_NEAR(state_bytes(step) / gib, 45.5625, 1e-9);
  EXPECT_NEAR(activation_bytes(step) / gib, 66.84375, 1e-9);
  step.recompute = Recompute::selective;
  step.sequence_parallel = true;
  EXPECT_NEAR(activation_bytes(step) / gib, 12.3515625, 1e-9);
  step.recompute = Recompute::full;
  step.sequence_parallel = false;
  EXPECT_NEAR(activation_bytes(step) / gib, 2.0 * 2048.0 * 12288.0 * 96.0 / gib * (1.0 + 7.0 / 24.0), 1e-9);
}

TEST(TrainingStep, OfProductsAloneTakesTheirFlopAndTheBubble) {
  machine::Machine machine = machine_named("a100_nvlink_hdr");
  machine.roofline.memory_bandwidth_bytes_per_s.value = 1e30;
  machine.links.front().bandwidth_bytes_per_s.value = 1e30;
  TrainingStep step = step_175b();
  step.vocabulary = 0.0;
  const TrainingConstants constants{0.5, 0.5, 1.0};
  const double flop = product_flop(step, 1.0) + attention_flop(step, 1.0);
  const double expected_s = (64.0 + 7.0 / 3.0) * 3.0 * flop / (64.0 * 312e12 * 0.5);
  EXPECT_NEAR(training_seconds(step, machine, constants) / expected_s, 1.0, 1e-12);
  step.recompute = Recompute::full;
  EXPECT_NEAR(training_seconds(step, machine, constants) / expected_s, 4.0 / 3.0, 1e-12);
}

TEST(TrainingStep, EveryShareThatGrowsMakesItFasterAndExposedMessagesSlower) {
  const machine::Machine machine = machine_named("a100_nvlink_hdr");
  const TrainingConstants constants;
  const double seconds = training_seconds(step_175b(), machine, constants);
  EXPECT_LT(training_seconds(step_175b(), machine, {0.7, 0.5, 0.7}), seconds);
  EXPECT_LT(training_seconds(step_175b(), machine, {0.6, 0.6, 0.7}), seconds);
  EXPECT_GT(training_seconds(step_175b(), machine, {0.6, 0.5, 0.9}), seconds);
}

TEST(TrainingStep, UtilisationLiesBetweenItsShares) {
  TrainingStep step = step_175b();
  EXPECT_DOUBLE_EQ(utilisation(step, {0.4, 0.4, 0.0}), 0.4);
  step.tokens = 1e9;
  EXPECT_NEAR(utilisation(step, {0.6, 0.3, 0.0}), 0.3, 1e-3);
}

TEST(TrainingStep, OneByteElementsHaveTwiceThePeakOfTwo) {
  EXPECT_DOUBLE_EQ(peak_of_bytes(machine_named("h100_ndr"), 1.0), 2.0 * peak_of_bytes(machine_named("h100_ndr"), 2.0));
  EXPECT_DOUBLE_EQ(peak_of_bytes(machine_named("b200_ndr"), 1.0), 4.5e15);
}

} // namespace
} // namespace ringscale::validation
