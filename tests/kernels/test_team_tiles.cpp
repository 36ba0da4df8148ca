// SPDX-License-Identifier: Apache-2.0
// Where the tiles of device back ends keep their data: what fits lies in shared memory, and no bit depends on it, nor
// on how many threads a team has.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "gradient_case.hpp"
#include "kernels/dense_gradient_blocks.hpp"
#include "kernels/dense_row_blocks.hpp"
#include "kernels/rounding.hpp"
#include "kernels/tile/converted_tile.hpp"
#include "kernels/tile/team_backward_tile.hpp"
#include "kernels/tile/team_matrix_tile.hpp"
#include "kernels/tile/team_tile.hpp"

namespace ringscale::kernels::test {
namespace {

using tile::ScratchChoice;
using TeamMember = Kokkos::TeamPolicy<ExecutionSpace>::member_type;

template <int HeadDim, ScratchChoice choice> struct Forward {
  template <class Member> struct Of { using Type = tile::TeamTile<Member, HeadDim, choice>; };
};

template <ScratchChoice choice> struct Backward {
  template <class Member> struct Of { using Type = tile::TeamBackwardTile<Member, choice>; };
};

/// Two threads share a block: what one writes and another reads without a barrier between shows.
template <class Tile> struct OfTwo : Tile {
  using Tile::Tile;
  static constexpr int team_size = 2;
};

struct ForwardOfTwo {
  template <class Member> struct Of { using Type = OfTwo<tile::TeamTile<Member>>; };
};

struct BackwardOfTwo {
  template <class Member> struct Of { using Type = OfTwo<tile::TeamBackwardTile<Member>>; };
};

bool same_bits(const Partial &first, const Partial &second) {
  const auto same = [](const auto &one, const auto &other) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, one);
    const auto host_other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, other);
    return std::memcmp(host.data(), host_other.data(), host.size() * sizeof(float)) == 0;
  };
  return same(first.output, second.output) && same(first.log_sum_exp, second.log_sum_exp);
}

template <template <class> class TileOf> Partial forward(const CaseData &data) {
  const Partial partial = data.poisoned_partial();
  const ExecutionSpace space;
  launch_attention_block<TileOf>(space, data.block(partial));
  space.fence();
  return partial;
}

template <template <class> class TileOf> Gradients backward(const GradientData &data) {
  using Tile = typename StreamedBackward<TileOf, DenseGradientBlocks>::Tile;
  const Gradients gradients = data.filled(std::numeric_limits<float>::quiet_NaN());
  const BackwardBlock block = data.block(gradients);
  const GradientCut cut =
      GradientCut::cut(block, Tile::key_block_tokens(block.query.extent_int(3)), Tile::key_granularity, 1);
  const Owned1 workspace("workspace", cut.workspace_elements(block));
  const ExecutionSpace space;
  launch_attention_backward<TileOf>(space, block, workspace.data(), 1);
  space.fence();
  return gradients;
}

template <class Tile> void expect_shared_up_to(std::int64_t last) {
  for (std::int64_t head_dim = 1; head_dim <= 2 * last; ++head_dim) {
    const std::size_t bytes = Tile::scratch_bytes(head_dim);
    EXPECT_EQ(Tile::scratch_level(head_dim), bytes <= tile::shared_memory_bytes ? 0 : 1) << head_dim;
    EXPECT_TRUE(head_dim > last || Tile::scratch_level(head_dim) == 0) << head_dim << ": " << bytes << " bytes";
    EXPECT_EQ(tile::scratch_bytes_at<Tile>(Tile::scratch_level(head_dim), head_dim), bytes);
    EXPECT_EQ(tile::scratch_bytes_at<Tile>(1 - Tile::scratch_level(head_dim), head_dim), 0U);
  }
}

TEST(Scratch, OfEveryTeamTileFitsIntoSharedMemoryUpToHeadDim256) {
  static_assert(tile::shared_memory_bytes < 48 * 1024);
  expect_shared_up_to<tile::TeamTile<TeamMember>>(256);
  expect_shared_up_to<tile::TeamTile<TeamMember, 64>>(64);
  expect_shared_up_to<tile::TeamTile<TeamMember, 128>>(128);
  expect_shared_up_to<tile::TeamBackwardTile<TeamMember>>(256);
  expect_shared_up_to<tile::TeamMatrixTile<bfloat16_format, TeamMember>>(256);
  expect_shared_up_to<tile::TeamMatrixTile<bfloat16_format, TeamMember, 64>>(64);
  expect_shared_up_to<tile::TeamMatrixTile<float16_format, TeamMember, 128>>(128);
}

TEST(Scratch, OfAConvertingTileIsThatOfItsInnerOneAndItsOwnInGlobalMemory) {
  using Inner = tile::TeamTile<TeamMember>;
  using Tile = tile::ConvertedTile<Inner, bfloat16_format, TeamMember>;
  EXPECT_EQ(tile::scratch_bytes_at<Tile>(0, 64), Inner::scratch_bytes(64));
  EXPECT_EQ(tile::scratch_bytes_at<Tile>(1, 64), Tile::scratch_bytes(64) - Inner::scratch_bytes(64));
}

TEST(Scratch, ThatDoesNotFitIsGlobal) {
  using Global = tile::TeamTile<TeamMember, 64, ScratchChoice::global>;
  EXPECT_EQ(Global::scratch_level(64), 1);
  EXPECT_EQ(tile::TeamTile<TeamMember>::scratch_level(600), 1);
  EXPECT_EQ(tile::TeamBackwardTile<TeamMember>::scratch_level(600), 1);
}

TEST(TeamTiles, GiveTheSameBitsInBothScratchLevelsAndInTeamsOfTwo) {
  for (const std::int64_t head_dim : {1, 17, 64, 200, 600}) {
    AttentionCase shape;
    shape.query_tokens = 75;
    shape.key_tokens = 131;
    shape.query_heads = 2;
    shape.head_dim = head_dim;
    shape.admission = {true, 60, 1, 0, 1};
    const CaseData data(shape);
    const Partial fitting = forward<Forward<0, ScratchChoice::fitting>::Of>(data);
    EXPECT_TRUE(data.compare(fitting).valid()) << head_dim;
    EXPECT_TRUE(same_bits(fitting, forward<Forward<0, ScratchChoice::global>::Of>(data))) << head_dim;
    const GradientData gradient(shape);
    const Gradients expected = backward<Backward<ScratchChoice::fitting>::Of>(gradient);
    EXPECT_TRUE(gradient.compare(expected).valid()) << gradient.compare(expected).text();
    EXPECT_TRUE(same_bits(expected, backward<Backward<ScratchChoice::global>::Of>(gradient))) << head_dim;
    if (ExecutionSpace().concurrency() >= 2) { // else no team of two can meet
      EXPECT_TRUE(same_bits(fitting, forward<ForwardOfTwo::Of>(data))) << head_dim;
      EXPECT_TRUE(same_bits(expected, backward<BackwardOfTwo::Of>(gradient))) << head_dim;
    }
  }
}

TEST(TeamTiles, OfAFixedHeadDimGiveTheBitsOfTheGeneralOne) {
  // Other rows in a block and other chunks; a row's sums run in the same order.
  for (const std::int64_t head_dim : {64, 128}) {
    AttentionCase shape;
    shape.query_tokens = 75;
    shape.key_tokens = 131;
    shape.head_dim = head_dim;
    const CaseData data(shape);
    const Partial general = forward<Forward<0, ScratchChoice::fitting>::Of>(data);
    const Partial fixed = head_dim == 64 ? forward<Forward<64, ScratchChoice::fitting>::Of>(data)
                                         : forward<Forward<128, ScratchChoice::fitting>::Of>(data);
    EXPECT_TRUE(data.compare(fixed).valid());
    EXPECT_TRUE(same_bits(general, fixed)) << head_dim;
  }
}

} // namespace
} // namespace ringscale::kernels::test
