// SPDX-License-Identifier: Apache-2.0
// Schedules, passes and exchanges on real ranks; the first P of the program's ranks form a ring.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "statistics/summary.hpp"
#include "tests/ring/loopback_ring.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

using problem::Mask;
using schedule::Moving;
using schedule::Pass;
using schedule::Placement;
using schedule::Schedule;

struct Form {
  Schedule schedule;
  std::int64_t inner;
};

/// Double rings of the largest inner ring that is not the whole one, as nodes of a machine are.
std::int64_t inner_of(int ring_size) {
  for (int inner = ring_size / 2; inner > 1; --inner) {
    if (ring_size % inner == 0) {
      return inner;
    }
  }
  return 1;
}

std::string joined(const std::vector<std::string> &texts) {
  std::string all;
  for (const std::string &text : texts) {
    all += text + "; ";
  }
  return all;
}

void expect_right(Communicator &ring, const RingOptions &options, double &worst_share, double &worst_gradient_share) {
  const RingRun run = run_ring(ring, options);
  const std::string where = std::string(name(options.problem.schedule)) + " moving " +
                            std::string(name(options.problem.moving)) + " " +
                            std::string(name(options.problem.placement)) + " P=" + std::to_string(ring.size());
  EXPECT_TRUE(run.valid) << where << ": " << joined(run.reasons);
  EXPECT_TRUE(run.verified && run.all_rows_checked && run.blocks_once) << where;
  EXPECT_EQ(run.memory_peak_bytes, run.memory_closed_form_bytes) << where;
  EXPECT_EQ(run.hops, ring.size() - 1) << where;
  const problem::GradientBound &error = run.max_gradient_error;
  const problem::GradientBound &bound = run.gradient_error_bound;
  worst_share = std::max(worst_share, run.max_error / run.error_bound);
  worst_gradient_share =
      std::max({worst_gradient_share, error.query / bound.query, error.key / bound.key, error.value / bound.value});
}

TEST(MpiSchedules, EveryScheduleMovingAndPlacementIsRightForwardAndBackward) {
  for (const int ring_size : {1, 2, 3, 4, 5, 7, 8}) {
    on_first_ranks(ring_size, [&](Communicator &ring) {
      for (const Form form : {Form{Schedule::ring, 1}, Form{Schedule::bidirectional_ring, 1},
                              Form{Schedule::double_ring, inner_of(ring_size)}, Form{Schedule::all_gather, 1}}) {
        for (const Moving moving : {Moving::key_value, Moving::query}) {
          double share = 0.0;
          double gradient_share = 0.0;
          for (const Placement placement : every_placement) {
            if (moving == Moving::query && placement == Placement::replicated_queries) {
              continue;
            }
            RingOptions options = small_options(ring_size, 41, placement, Mask::causal);
            options.problem.schedule = form.schedule;
            options.problem.inner_ring_size = form.inner;
            options.problem.moving = moving;
            options.problem.pass = Pass::backward; // checks its forward pass, too
            options.poison_buffers = true;
            expect_right(ring, options, share, gradient_share);
          }
          if (ring.rank() == 0) {
            std::printf("P=%d %-18s moving %-9s error %.2f %%, of gradients %.2f %% of the bound\n", ring_size,
                        std::string(name(form.schedule)).c_str(), std::string(name(moving)).c_str(), 100.0 * share,
                        100.0 * gradient_share);
          }
        }
      }
    });
  }
}

TEST(MpiSchedules, EveryExchangeGivesTheSameBits) {
  on_first_ranks(4, [](Communicator &ring) {
    for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring}) {
      RingOptions options = small_options(4, 61, Placement::zigzag, Mask::causal);
      options.problem.schedule = schedule;
      options.problem.inner_ring_size = 2;
      options.problem.pass = Pass::backward;
      options.repetitions = 2;
      options.messages_only = true;
      const RingRun direct = run_ring(ring, options);
      EXPECT_TRUE(direct.valid) << joined(direct.reasons);
      EXPECT_EQ(direct.messages_only_samples_s.size(), 2U);
      EXPECT_DOUBLE_EQ(direct.hidden_fraction,
                       1.0 - direct.exposed_communication_s / statistics::median(direct.messages_only_samples_s));
      for (const Exchange exchange : {Exchange::blocking, Exchange::persistent, Exchange::one_sided}) {
        options.exchange = exchange;
        const RingRun run = run_ring(ring, options);
        EXPECT_TRUE(run.valid) << name(exchange) << ": " << joined(run.reasons);
        EXPECT_EQ(run.output_checksum, direct.output_checksum) << name(exchange);
      }
      options.exchange = Exchange::nonblocking;
      options.stage_on_host = true;
      const RingRun staged = run_ring(ring, options);
      EXPECT_TRUE(staged.valid) << joined(staged.reasons);
      EXPECT_EQ(staged.output_checksum, direct.output_checksum);
      EXPECT_GT(staged.transport.staged_bytes, 0);
    }
  });
}

TEST(MpiSchedules, CollectivesGiveTheSameBitsAsMessages) {
  on_first_ranks(5, [](Communicator &ring) {
    RingOptions options = small_options(5, 61, Placement::striped, Mask::causal);
    options.problem.schedule = Schedule::all_gather;
    options.problem.pass = Pass::backward;
    const RingRun messages = run_ring(ring, options);
    EXPECT_TRUE(messages.valid) << joined(messages.reasons);
    options.collective = true;
    for (const Gathering gathering : {Gathering::nonblocking, Gathering::blocking}) {
      options.gathering = gathering;
      const RingRun run = run_ring(ring, options);
      EXPECT_TRUE(run.valid) << joined(run.reasons);
      EXPECT_EQ(run.output_checksum, messages.output_checksum);
      EXPECT_GT(run.transport.gathers, 0);
    }
  });
}

TEST(MpiSchedulesControl, ADroppedContributionMakesTheRunInvalid) {
  on_first_ranks(4, [](Communicator &ring) {
    RingOptions options = small_options(4, 61, Placement::contiguous, Mask::none);
    options.problem.pass = Pass::backward;
    options.fault = {FaultKind::drop_result, 2, 1, 0.0};
    const RingRun run = run_ring(ring, options);
    EXPECT_FALSE(run.valid);
    EXPECT_THAT(joined(run.reasons), testing::HasSubstr("contributions of"));
    EXPECT_THAT(joined(run.reasons), testing::HasSubstr("elements are wrong"));
  });
}

} // namespace
} // namespace ringscale::ring
