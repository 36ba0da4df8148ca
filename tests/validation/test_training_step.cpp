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

/// Peak without end: what is left is memory traffic, messages and the optimiser.
TEST(TrainingStep, OptimiserTrafficIsThirtySixBytesAParameter) {
  machine::Machine machine = machine_named("a100_nvlink_hdr");
  for (machine::Arithmetic &arithmetic : machine.roofline.arithmetic) {
    arithmetic.peak_flop_per_s.value = 1e40;
  }
  TrainingStep step = step_175b();
  step.vocabulary = 0.0;
  step.pipeline = 1.0;
  step.global_batch = 1.0;
  const double one_s = training_seconds(step, machine, {});
  step.global_batch = 2.0;
  const double optimiser_s = 2.0 * one_s - training_seconds(step, machine, {});
  const double parameters = 96.0 * 12.0 * 12288.0 * 12288.0;
  EXPECT_NEAR(optimiser_s * machine.roofline.memory_bandwidth_bytes_per_s.value / (36.0 * parameters / 8.0), 1.0, 1e-6);
}

TEST(TrainingStep, LogitsAreComputedOnceForwardAndTwiceBackward) {
  machine::Machine machine = machine_named("a100_nvlink_hdr");
  machine.roofline.memory_bandwidth_bytes_per_s.value = 1e30;
  TrainingStep with = step_175b();
  TrainingStep without = with;
  without.vocabulary = 0.0;
  const TrainingConstants constants{0.5, 0.5, 1.0};
  const double flop = 3.0 * 64.0 * 2.0 * 2048.0 * 12288.0 * 51200.0;
  for (const Recompute recompute : {Recompute::none, Recompute::full}) {
    with.recompute = without.recompute = recompute;
    const double seconds = training_seconds(with, machine, constants) - training_seconds(without, machine, constants);
    EXPECT_NEAR(seconds / (flop / (64.0 * 312e12 * 0.5)), 1.0, 1e-6);
  }
}

TEST(TrainingStep, MessagesAreSentAgainForWhatIsRecomputed) {
  machine::Machine machine = machine_named("a100_nvlink_hdr");
  machine.roofline.memory_bandwidth_bytes_per_s.value = 1e40;
  for (machine::Arithmetic &arithmetic : machine.roofline.arithmetic) {
    arithmetic.peak_flop_per_s.value = 1e40;
  }
  TrainingStep step = step_175b();
  step.pipeline = 1.0;
  const auto seconds = [&](Recompute recompute, bool sequence_parallel) {
    step.recompute = recompute;
    step.sequence_parallel = sequence_parallel;
    return training_seconds(step, machine, {0.6, 0.5, 1.0});
  };
  // 8 (t - 1) / t e s b h a layer and sequence.
  const double bytes = 8.0 * 7.0 / 8.0 * 2.0 * 2048.0 * 12288.0 * 96.0 * 64.0;
  const double plain_s = seconds(Recompute::none, false);
  EXPECT_NEAR(plain_s * machine.links.front().bandwidth_bytes_per_s.value / bytes, 1.0, 1e-6);
  EXPECT_NEAR(seconds(Recompute::full, false) / plain_s, 1.5, 1e-6);
  EXPECT_NEAR(seconds(Recompute::full, true) / plain_s, 1.125, 1e-6) << "one gather of four messages";
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
