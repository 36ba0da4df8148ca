// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>
#include <vector>

#include "problem/invalid_input.hpp"
#include "ring/checkpointed_run.hpp"
#include "tests/ring/loopback_ring.hpp"

namespace ringscale::ring {
namespace {

using Change = std::function<void(RingOptions &)>;

RingOptions plain() { return small_options(4, 64, schedule::Placement::contiguous, problem::Mask::none); }

std::uint64_t fingerprint_with(const Change &change) {
  RingOptions options = plain();
  change(options);
  return options_fingerprint(options, 1);
}

TEST(OptionsFingerprint, ChangesWithEverythingThatBytesDependOn) {
  const std::vector<Change> changes{
      [](RingOptions &) {},
      [](RingOptions &o) { o.seed = 2; },
      [](RingOptions &o) { o.problem.attention.batch = 2; },
      [](RingOptions &o) { o.problem.attention.tokens = 65; },
      [](RingOptions &o) { o.problem.attention.query_heads = 8; },
      [](RingOptions &o) { o.problem.attention.kv_heads = 4; },
      [](RingOptions &o) { o.problem.attention.head_dim = 32; },
      [](RingOptions &o) { o.problem.attention.mask = problem::Mask::causal; },
      [](RingOptions &o) { o.problem.attention.dtype = problem::DType::bfloat16; },
      [](RingOptions &o) { o.problem.placement = schedule::Placement::zigzag; },
      [](RingOptions &o) { o.problem.schedule = schedule::Schedule::double_ring; },
      [](RingOptions &o) { o.problem.inner_ring_size = 2; },
      [](RingOptions &o) { o.problem.ring_size = 8; },
      [](RingOptions &o) { o.problem.moving = schedule::Moving::query; },
      [](RingOptions &o) { o.problem.pass = schedule::Pass::backward; },
      [](RingOptions &o) { o.problem.hops = schedule::Hops::needed; },
      [](RingOptions &o) { o.problem.layout = schedule::MessageLayout::separate; },
      [](RingOptions &o) { o.problem.chunks.granule_tokens = 2; },
      [](RingOptions &o) {
        o.problem.chunks.weight_sums = {1.0, 2.0, 3.0, 4.0};
      },
      [](RingOptions &o) {
        o.problem.chunks.weight_sums = {1.0, 2.0, 3.0, 4.0 + 1e-15};
      },
      [](RingOptions &o) { o.problem.pattern_heads = 4; },
      [](RingOptions &o) { o.problem.first_pattern_head = 1; },
      [](RingOptions &o) { o.problem.pattern.kind = problem::PatternKind::dilated; },
      [](RingOptions &o) {
        o.problem.pattern.kind = problem::PatternKind::dilated;
        o.problem.pattern.dilated = {{8, 16}, {1, 2}, problem::DilationConvention::split};
      },
      [](RingOptions &o) {
        o.problem.pattern.kind = problem::PatternKind::dilated;
        o.problem.pattern.dilated = {{8, 16}, {1, 3}, problem::DilationConvention::split};
      },
      [](RingOptions &o) {
        o.problem.pattern.kind = problem::PatternKind::dilated;
        o.problem.pattern.dilated = {{8, 16}, {1, 2}, problem::DilationConvention::longnet};
      },
      [](RingOptions &o) { o.problem.pattern.kind = problem::PatternKind::block_sparse; },
      [](RingOptions &o) {
        o.problem.pattern.kind = problem::PatternKind::block_sparse;
        o.problem.pattern.block_sparse.window_tokens = 64;
      },
      [](RingOptions &o) {
        o.grid = {2, 1, 2, 1};
      },
      [](RingOptions &o) {
        o.grid = {1, 2, 2, 1};
      },
      [](RingOptions &o) {
        o.grid = {1, 1, 2, 2};
      },
      [](RingOptions &o) { o.softmax = SoftmaxRule::per_chunk; },
      [](RingOptions &o) { o.kernel = memory::KernelKind::materialised; },
      [](RingOptions &o) { o.origin.batch = 1; },
      [](RingOptions &o) { o.origin.query_head = 1; },
      [](RingOptions &o) { o.origin.kv_head = 1; }};
  std::set<std::uint64_t> seen;
  for (std::size_t index = 0; index < changes.size(); ++index) {
    EXPECT_TRUE(seen.insert(fingerprint_with(changes[index])).second) << "change " << index;
  }
}

TEST(OptionsFingerprint, IsTheSameHoweverMessagesTravel) {
  const std::uint64_t same = options_fingerprint(plain(), 1);
  const std::vector<Change> changes{[](RingOptions &o) { o.exchange = Exchange::one_sided; },
                                    [](RingOptions &o) { o.gathering = Gathering::blocking; },
                                    [](RingOptions &o) { o.stage_on_host = true; },
                                    [](RingOptions &o) { o.poll_progress = false; },
                                    [](RingOptions &o) { o.deadline_s = 5.0; },
                                    [](RingOptions &o) { o.verify = false; },
                                    [](RingOptions &o) { o.grid.ring = 4; }}; // what 1 stands for
  for (std::size_t index = 0; index < changes.size(); ++index) {
    EXPECT_EQ(fingerprint_with(changes[index]), same) << "change " << index;
  }
}

TEST(OptionsFingerprint, ChangesWithTheThreadsOfABackwardPassOnly) {
  RingOptions options = plain();
  EXPECT_EQ(options_fingerprint(options, 1), options_fingerprint(options, 2));
  options.problem.pass = schedule::Pass::backward;
  EXPECT_NE(options_fingerprint(options, 1), options_fingerprint(options, 2));
}

TEST(StepsOfInterval, AreWholeAndWithinThePlan) {
  EXPECT_EQ(steps_of_interval(10.0, 2.0, 100), 5);
  EXPECT_EQ(steps_of_interval(11.5, 2.0, 100), 6);
  EXPECT_EQ(steps_of_interval(0.1, 2.0, 100), 1);
  EXPECT_EQ(steps_of_interval(1e300, 1e-9, 100), 100);
  EXPECT_EQ(steps_of_interval(std::nan(""), 1.0, 100), 1);
}

TEST(ValidateCheckpoints, RefusesWhatDoesNotGoTogether) {
  RingOptions options = plain();
  CheckpointOptions right;
  right.folder = "somewhere";
  right.every_steps = 1;
  EXPECT_NO_THROW(validate_checkpoints(right, options));
  const auto refused = [&](const std::function<void(CheckpointOptions &)> &change) {
    CheckpointOptions wrong = right;
    change(wrong);
    EXPECT_THROW(validate_checkpoints(wrong, options), problem::InvalidInput);
  };
  refused([](CheckpointOptions &one) { one.folder.clear(); });
  refused([](CheckpointOptions &one) { one.every_steps = -1; });
  refused([](CheckpointOptions &one) { one.every_steps = 0; });
  refused([](CheckpointOptions &one) { one.mtbf_s = std::nan(""); });
  refused([](CheckpointOptions &one) { one.mtbf_s = -1.0; });
  for (const Change &change :
       {Change([](RingOptions &o) { o.repetitions = 2; }), Change([](RingOptions &o) { o.warmup = 1; }),
        Change([](RingOptions &o) { o.messages_only = true; })}) {
    options = plain();
    change(options);
    EXPECT_THROW(validate_checkpoints(right, options), problem::InvalidInput);
  }
}

} // namespace
} // namespace ringscale::ring
