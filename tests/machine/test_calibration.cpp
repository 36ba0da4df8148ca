// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "machine/calibration.hpp"
#include "machine/links.hpp"
#include "problem/invalid_input.hpp"
#include "tests/machine/calibrated_machine.hpp"

namespace ringscale::machine {
namespace {

using machine_tests::raw_calibration;

TEST(Assemble, RecoversTheNumbersBehindExactSamples) {
  const Machine machine = assemble(raw_calibration());
  EXPECT_NEAR(machine.links[0].latency_s.value, 2e-6, 1e-12);
  EXPECT_NEAR(machine.links[0].bandwidth_bytes_per_s.value, 5e9, 1.0);
  EXPECT_NEAR(machine.links[0].sharing.value, 0.25, 1e-9);
  // Measured times are those of a free link: crowded by the two flows they were measured with, they come back.
  for (const MessageSample &message : machine.messages) {
    if (message.pattern == "shift" && message.ranks == 2) {
      EXPECT_NEAR(message_time(machine.links[0], static_cast<double>(message.message_bytes), 1.25), message.time_s,
                  1e-9 * message.time_s);
    }
  }
  EXPECT_LT(machine.message_fit_max_relative_residual, 1e-9);
  EXPECT_NEAR(machine.merge.fixed_s.value, 1e-6, 1e-12);
  EXPECT_NEAR(machine.merge.per_element_s.value, 2e-10, 1e-16);
  EXPECT_DOUBLE_EQ(machine.step_fixed_s.value, 3e-6);
  EXPECT_DOUBLE_EQ(machine.overlap.hidden_fraction.value, 0.6);
  EXPECT_NEAR(machine.core_sharing.neighbour_factor.value, 1.1, 1e-3);
  // A sine of amplitude 2 % has its 16 % and 84 % quantiles at +-0.02 sin(0.34 pi) = 0.0175.
  EXPECT_NEAR(machine.jitter.relative_standard_deviation.value, 0.0175, 0.001);
  EXPECT_EQ(machine.jitter.relative_quantiles.size(), 21u);
}

TEST(Assemble, KeepsRawSamplesAndTheirMedians) {
  RawCalibration raw = raw_calibration();
  raw.tiles.samples.back().samples_s = {3.0, 1.0, 2.0, 100.0, 2.5};
  raw.messages.back().samples_s = {0.02, 0.01, 0.5};
  const Machine machine = assemble(raw);
  EXPECT_EQ(machine.tiles.samples.back().samples_s, raw.tiles.samples.back().samples_s);
  EXPECT_EQ(machine.tiles.samples.back().time_s, 2.5);
  EXPECT_EQ(machine.messages.back().time_s, 0.02);
}

TEST(Assemble, BackwardTilesAreMediansThatGrowWithSizeToo) {
  RawCalibration raw = raw_calibration();
  raw.tiles.backward_samples = raw.tiles.samples;
  raw.tiles.backward_samples[0].samples_s = {5e-3, 1e-3, 9e-3}; // 64 x 64 tokens, 5 ms
  raw.tiles.backward_samples[1].samples_s = {2e-3, 2e-3, 2e-3}; // 64 x 256 tokens: disturbed less
  const Machine machine = assemble(raw);
  EXPECT_EQ(machine.tiles.backward_samples[0].time_s, 5e-3);
  EXPECT_EQ(machine.tiles.backward_samples[1].time_s, 5e-3); // more work never takes less time
  EXPECT_EQ(machine.tiles.backward_samples[1].samples_s, raw.tiles.backward_samples[1].samples_s);
  raw.tiles.backward_samples[2].samples_s.clear();
  EXPECT_THROW(assemble(raw), problem::InvalidInput);
}

TEST(Assemble, TilesAloneAndInTurnAreMediansOfTheirSamples) {
  RawCalibration raw = raw_calibration();
  raw.tiles.reuse = {{256, problem::Mask::none, 0.0, 0.0, {3e-3, 1e-3, 2e-3}, {4e-3, 9e-3, 3e-3}}};
  raw.tiles.backward_reuse = {{256, problem::Mask::none, 0.0, 0.0, {5e-3}, {6e-3}}};
  raw.merges_in_tiles = {{1e4, {2e-6, 3e-6}}, {1e5, {4e-5, -1e-6, 5e-5}}}; // 2e-10 .. 5e-10 and one disturbed
  const Machine machine = assemble(raw);
  EXPECT_EQ(machine.tiles.reuse[0].alone_s, 2e-3);
  EXPECT_EQ(machine.tiles.reuse[0].in_turn_s, 4e-3);
  EXPECT_EQ(machine.tiles.backward_reuse[0].in_turn_s, 6e-3);
  ASSERT_TRUE(machine.merge.in_tile_per_element_s.has_value());
  EXPECT_DOUBLE_EQ(machine.merge.in_tile_per_element_s->value, 3e-10);
  EXPECT_FALSE(assemble(raw_calibration()).merge.in_tile_per_element_s.has_value());
  raw.tiles.reuse[0].in_turn_samples_s.clear();
  EXPECT_THROW(assemble(raw), problem::InvalidInput);
}

TEST(Assemble, ARankAloneGetsALinkThatSaysSo) {
  RawCalibration raw = raw_calibration();
  raw.messages.clear();
  raw.hidden_fractions.clear();
  raw.neighbour_tile_s.clear();
  const Machine machine = assemble(raw);
  EXPECT_EQ(machine.links[0].latency_s.kind, "analytic");
  EXPECT_EQ(machine.core_sharing.neighbour_factor.value, 1.0);
}

TEST(FitLink, BurstsDoNotHideTheBandwidthOfLongMessages) {
  // 256 KiB pass at once, the rest at 125 MB/s: the long messages are those of a ring.
  std::vector<MessageSample> messages;
  for (std::int64_t bytes = 64; bytes <= 1 << 24; bytes *= 16) {
    const double capped = std::max(0.0, static_cast<double>(bytes) - 262144.0);
    messages.push_back({"shift", 2, 1, bytes, 3e-5 + capped / 125e6, {1.0}});
  }
  double residual = 0.0;
  const Link link = fit_link(messages, "a test", residual);
  EXPECT_NEAR(link.latency_s.value, 3e-5, 1e-6);
  const double longest = static_cast<double>(messages.back().message_bytes);
  EXPECT_NEAR(link.latency_s.value + longest / link.bandwidth_bytes_per_s.value, messages.back().time_s,
              1e-6 * messages.back().time_s);
  EXPECT_NEAR(link.bandwidth_bytes_per_s.value, 125e6, 10e6);
  EXPECT_GT(residual, 1.0);                       // and the short ones are said to be far from the line
  for (const MessageSample &message : messages) { // which the measured times are not
    EXPECT_NEAR(message_time(link, static_cast<double>(message.message_bytes), 1.0), message.time_s, 1e-12);
  }
}

TEST(Assemble, MessagesBetweenNodesMakeALinkBetweenNodes) {
  RawCalibration raw = raw_calibration();
  EXPECT_EQ(assemble(raw).links[0].level, Level::core);
  raw.messages_leave_the_node = true;
  const Machine machine = assemble(raw);
  EXPECT_EQ(machine.links[0].level, Level::fabric);
  EXPECT_NE(machine.links[0].latency_s.source.find("of different nodes"), std::string::npos);
}

TEST(Assemble, RefusesMissingOrImpossibleSamples) {
  const auto refused = [](const std::function<void(RawCalibration &)> &change) {
    RawCalibration raw = raw_calibration();
    change(raw);
    EXPECT_THROW(assemble(raw), problem::InvalidInput);
  };
  refused([](auto &raw) { raw.tiles.samples[3].samples_s.clear(); });
  refused([](auto &raw) { raw.tiles.samples[3].samples_s = {std::nan("")}; });
  refused([](auto &raw) { raw.tiles.samples[3].samples_s = {0.0}; });
  refused([](auto &raw) { raw.tiles.samples.erase(raw.tiles.samples.begin()); }); // no full grid
  refused([](auto &raw) { raw.merges.resize(1); });
  refused([](auto &raw) { raw.repeated_tile_s.clear(); });
  refused([](auto &raw) { raw.messages[0].samples_s = {-1.0}; });
  refused([](auto &raw) {
    for (MessageSample &message : raw.messages) {
      message.samples_s = {1.0 / static_cast<double>(message.message_bytes)}; // falls with size
    }
  });
}

} // namespace
} // namespace ringscale::machine
