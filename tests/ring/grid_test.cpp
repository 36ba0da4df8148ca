// SPDX-License-Identifier: Apache-2.0
// Process grids on real ranks: each level alone, and together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "problem/invalid_input.hpp"
#include "ring/head_exchange.hpp"
#include "ring/mpi_transport.hpp"
#include "tests/ring/loopback_ring.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

using problem::Mask;
using schedule::Pass;
using schedule::Placement;
using schedule::ProcessGrid;

std::string label(const ProcessGrid &grid) {
  return "data " + std::to_string(grid.data) + " x model " + std::to_string(grid.model) + " x ring " +
         std::to_string(grid.ring) + " x sequence " + std::to_string(grid.sequence);
}

RingOptions grid_options(const ProcessGrid &grid, Placement placement) {
  RingOptions options = small_options(grid.ring, 45, placement, Mask::causal);
  options.grid = grid;
  options.problem.attention.batch = 3;
  options.problem.attention.query_heads = 8;
  options.problem.attention.kv_heads = 4;
  options.problem.attention.head_dim = 8;
  return options;
}

TEST(Grid, EachLevelAloneAndTogetherGivesTheReferencesResult) {
  for (const ProcessGrid grid : {ProcessGrid{2, 1, 1, 1}, ProcessGrid{1, 2, 1, 1}, ProcessGrid{1, 1, 4, 1},
                                 ProcessGrid{1, 1, 1, 4}, ProcessGrid{1, 1, 2, 2}, ProcessGrid{2, 1, 2, 1},
                                 ProcessGrid{1, 2, 1, 2}, ProcessGrid{1, 2, 2, 2}, ProcessGrid{3, 1, 1, 1}}) {
    on_first_ranks(static_cast<int>(grid.size()), [&](Communicator &ranks) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        for (const Placement placement : {Placement::zigzag, Placement::striped}) {
          RingOptions options = grid_options(grid, placement);
          options.problem.pass = pass;
          const RingRun run = run_ring(ranks, options);
          std::string reasons;
          for (const std::string &reason : run.reasons) {
            reasons += reason + "; ";
          }
          EXPECT_TRUE(run.valid) << label(grid) << " " << name(pass) << " " << name(placement) << ": " << reasons;
          EXPECT_TRUE(run.verified && run.all_rows_checked) << label(grid);
          EXPECT_EQ(run.exchanged_bytes > 0, grid.sequence > 1) << label(grid);
        }
      }
    });
  }
}

TEST(Grid, Bfloat16OnEveryLevelTravelsInTwoBytes) {
  for (const ProcessGrid grid : {ProcessGrid{2, 1, 2, 1}, ProcessGrid{1, 2, 2, 1}, ProcessGrid{1, 1, 1, 4},
                                 ProcessGrid{1, 1, 2, 2}, ProcessGrid{1, 2, 1, 2}}) {
    on_first_ranks(static_cast<int>(grid.size()), [&](Communicator &ranks) {
      for (const schedule::Moving moving : {schedule::Moving::key_value, schedule::Moving::query}) {
        RingOptions options = grid_options(grid, Placement::zigzag);
        options.problem.moving = moving;
        options.problem.attention.tokens = 48; // equal shares of every level
        const RingRun full = run_ring(ranks, options);
        options.problem.attention.dtype = problem::DType::bfloat16;
        const RingRun half = run_ring(ranks, options);
        EXPECT_TRUE(half.valid) << label(grid) << (half.reasons.empty() ? "" : ": " + half.reasons.front());
        EXPECT_GT(half.max_error, full.error_bound) << label(grid);
        if (grid.sequence > 1) {
          // Query, key and value halve, the output does not: with half as many key heads, (1 + 1/2 + 1/2) of 3 parts.
          EXPECT_EQ(3 * half.exchanged_bytes, 2 * full.exchanged_bytes) << label(grid);
        }
      }
    });
  }
}

TEST(Grid, DilatedHeadsKeepTheirPhasesWhenDivided) {
  for (const auto convention : {problem::DilationConvention::split, problem::DilationConvention::longnet,
                                problem::DilationConvention::longnet_blocked}) {
    on_first_ranks(4, [&](Communicator &ranks) {
      RingOptions options = grid_options({1, 2, 1, 2}, Placement::contiguous);
      options.problem.pattern.kind = problem::PatternKind::dilated;
      options.problem.pattern.dilated = {{16, 45}, {2, 3}, convention};
      options.problem.pass = Pass::backward;
      const RingRun run = run_ring(ranks, options);
      EXPECT_TRUE(run.valid) << (run.reasons.empty() ? "" : run.reasons.front());
    });
  }
}

TEST(Grid, LevelsThatDoNotFitAreRefusedOnEveryRank) {
  on_first_ranks(4, [](Communicator &ranks) {
    RingOptions options = grid_options({1, 1, 2, 1}, Placement::contiguous);
    EXPECT_THROW(run_ring(ranks, options), problem::InvalidInput); // 2 ranks of 4
    options = grid_options({4, 1, 1, 1}, Placement::contiguous);
    EXPECT_THROW(run_ring(ranks, options), problem::InvalidInput); // batch of 3
    options = grid_options({1, 4, 1, 1}, Placement::contiguous);
    options.problem.attention.kv_heads = 2;
    EXPECT_THROW(run_ring(ranks, options), problem::InvalidInput);
  });
}

TEST(HeadExchange, ThereAndBackIsTheSameAndAWrongPlaceIsNot) {
  on_first_ranks(2, [](Communicator &ranks) {
    const ProcessGrid grid{1, 1, 1, 2};
    const RingOptions options = grid_options(grid, Placement::contiguous);
    for (const bool confused : {false, true}) {
      MpiTransport transport(ranks);
      memory::Ledger ledger;
      const schedule::GridShare share = share_of(grid, options.problem, ranks.rank());
      HeadExchange exchange(grid, options.problem, share, transport, ledger);
      const problem::AttentionProblem &attention = options.problem.attention;
      const auto elements = static_cast<std::size_t>(attention.batch * share.own_queries.count *
                                                     share.model_query_heads.count * attention.head_dim);
      const auto ring_elements =
          static_cast<std::size_t>(attention.batch * attention.tokens * share.query_heads.count * attention.head_dim);
      std::vector<float> own(elements);
      for (std::size_t index = 0; index < elements; ++index) {
        own[index] = static_cast<float>(index) + 1e6F * static_cast<float>(ranks.rank());
      }
      std::vector<float> ring(ring_elements, -1.0F);
      std::vector<float> back(elements, -1.0F);
      exchange.to_ring(true, own.data(), ring.data());
      if (confused) {
        std::rotate(ring.begin(), ring.begin() + attention.head_dim, ring.end());
      }
      exchange.to_own(true, ring.data(), back.data());
      EXPECT_EQ(back == own, !confused);
      EXPECT_GT(exchange.sent_bytes(), 0);
    }
  });
}

} // namespace
} // namespace ringscale::ring
