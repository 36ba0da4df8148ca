// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "machine/tile_reuse.hpp"
#include "simulator/meeting_work.hpp"
#include "tests/machine/calibrated_machine.hpp"

namespace ringscale::simulator {
namespace {

using machine::ReuseSample;
using machine::TileReuse;
using machine_tests::calibrated_machine;
using problem::Mask;

/// 10 % at 256 tokens, 20 % at 1024, twice that under the mask.
std::vector<ReuseSample> reuse_samples() {
  return {{256, Mask::none, 2e-3, 2.2e-3, {}, {}},
          {1024, Mask::none, 1e-2, 1.2e-2, {}, {}},
          {256, Mask::causal, 1e-3, 1.2e-3, {}, {}},
          {1024, Mask::causal, 5e-3, 7e-3, {}, {}}};
}

TEST(TileReuse, IsTheMeasuredRatioWhereItWasMeasured) {
  const TileReuse reuse(reuse_samples());
  EXPECT_DOUBLE_EQ(reuse.factor(256, Mask::none, machine::reuse_tiles), 1.1);
  EXPECT_DOUBLE_EQ(reuse.factor(1024, Mask::none, machine::reuse_tiles), 1.2);
  EXPECT_DOUBLE_EQ(reuse.factor(1024, Mask::causal, machine::reuse_tiles), 1.4);
  EXPECT_DOUBLE_EQ(reuse.factor(256, Mask::none, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(TileReuse({}).factor(256, Mask::none, 4.0), 1.0);
}

TEST(TileReuse, GrowsWithTheLogarithmOfWhatIsTouchedBetween) {
  const TileReuse reuse(reuse_samples());
  EXPECT_NEAR(reuse.factor(256, Mask::none, 2.0), 1.05, 1e-12);
  EXPECT_NEAR(reuse.factor(256, Mask::none, 8.0), 1.15, 1e-12);
  EXPECT_EQ(reuse.factor(256, Mask::none, 100.0), reuse.factor(256, Mask::none, 8.0)) << "nothing is colder than cold";
  EXPECT_EQ(reuse.factor(256, Mask::none, 0.5), 1.0);
  EXPECT_NEAR(reuse.factor(512, Mask::none, 4.0), 1.15, 1e-12) << "linear in log tokens";
  EXPECT_NEAR(reuse.factor(64, Mask::none, 4.0), 1.1, 1e-12);
  EXPECT_NEAR(reuse.factor(4096, Mask::none, 4.0), 1.05, 1e-12) << "bytes over work fall as 1 / tokens";
}

TEST(TileReuse, NeverMakesATileFaster) {
  const TileReuse reuse({{256, Mask::none, 2e-3, 1.9e-3, {}, {}}});
  EXPECT_EQ(reuse.factor(256, Mask::none, 4.0), 1.0);
  EXPECT_EQ(reuse.factor(256, Mask::causal, 4.0), 1.0) << "a mask that was not measured has the other's ratio";
}

struct WorkCase {
  std::int64_t ring_size;
  schedule::Placement placement;
  schedule::Schedule schedule;
  schedule::Moving moving;
  schedule::Pass pass;
  double data_ratio; ///< bytes of the rank over those of the tile
};

/// Tile time of rank 0 with its own block on a machine with and without measured reuse: unmasked, so that every pair of
/// spans is a whole tile and the factor comes out alone.
double own_block_factor(const WorkCase &one) {
  machine::Machine machine = calibrated_machine();
  machine.tiles.backward_samples = machine.tiles.samples;
  machine.merge.fused = false;
  schedule::RingProblem problem;
  problem.ring_size = one.ring_size;
  problem.attention.tokens = 512 * one.ring_size;
  problem.attention.query_heads = problem.attention.kv_heads = 8;
  problem.placement = one.placement;
  problem.schedule = one.schedule;
  problem.moving = one.moving;
  problem.pass = one.pass;
  const auto tile_s = [&] {
    return MeetingWork(machine, problem, "")
        .dense(schedule::queries_of(problem, 0), schedule::keys_of(problem, 0), true)
        .tile_s;
  };
  const double alone_s = tile_s();
  auto &reuse = one.pass == schedule::Pass::backward ? machine.tiles.backward_reuse : machine.tiles.reuse;
  reuse = {{128, Mask::none, 1e-3, 1.3e-3, {}, {}}, {1024, Mask::none, 1e-3, 1.3e-3, {}, {}}};
  return tile_s() / alone_s;
}

TEST(MeetingWork, TilesTakeLongerByWhatTheirRankTouchesBetween) {
  using schedule::Moving;
  using schedule::Pass;
  using schedule::Placement;
  using schedule::Schedule;
  for (const WorkCase &one : {
           // Queries and outputs, keys and values are four equal tensors; a second block of keys makes six.
           WorkCase{1, Placement::contiguous, Schedule::ring, Moving::key_value, Pass::forward, 1.0},
           WorkCase{2, Placement::contiguous, Schedule::ring, Moving::key_value, Pass::forward, 1.5},
           WorkCase{5, Placement::contiguous, Schedule::ring, Moving::query, Pass::forward, 1.5},
           WorkCase{2, Placement::zigzag, Schedule::ring, Moving::key_value, Pass::forward, 3.0},
           WorkCase{4, Placement::contiguous, Schedule::all_gather, Moving::key_value, Pass::forward, 2.5},
           // Three tensors of queries, four of keys: 3 + 8 over 7; moving queries 6 + 4.
           WorkCase{2, Placement::contiguous, Schedule::ring, Moving::key_value, Pass::backward, 11.0 / 7.0},
           WorkCase{2, Placement::zigzag, Schedule::ring, Moving::key_value, Pass::backward, 22.0 / 7.0},
           WorkCase{2, Placement::contiguous, Schedule::ring, Moving::query, Pass::backward, 10.0 / 7.0},
       }) {
    EXPECT_NEAR(own_block_factor(one), 1.0 + 0.3 * std::log(one.data_ratio) / std::log(4.0), 1e-9)
        << one.ring_size << " ranks, data ratio " << one.data_ratio;
  }
}

TEST(MeetingWork, BackwardTilesOfARingTakeTheFittedFactor) {
  machine::Machine machine = calibrated_machine();
  machine.tiles.backward_samples = machine.tiles.samples;
  schedule::RingProblem problem;
  problem.attention.tokens = 512;
  problem.attention.query_heads = problem.attention.kv_heads = 8;
  const auto tile_s = [&] {
    return MeetingWork(machine, problem, "")
        .dense(schedule::queries_of(problem, 0), schedule::keys_of(problem, 0), true)
        .tile_s;
  };
  const double forward_s = tile_s();
  problem.pass = schedule::Pass::backward;
  const double backward_s = tile_s();
  machine.tiles.backward_ring_factor.value = 1.25;
  EXPECT_DOUBLE_EQ(tile_s(), 1.25 * backward_s);
  problem.pass = schedule::Pass::forward;
  EXPECT_EQ(tile_s(), forward_s);
}

} // namespace
} // namespace ringscale::simulator
