// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "kernels/packed_key_value.hpp"
#include "problem/invalid_input.hpp"
#include "ring/checksum.hpp"
#include "ring/reference_rows.hpp"
#include "ring/slice.hpp"
#include "tests/ring/loopback_ring.hpp"

namespace ringscale::ring {
namespace {

using problem::Mask;
using schedule::Placement;

std::uint64_t checksum_of(const std::vector<float> &values) {
  return checksum(kernels::ExecutionSpace(), values.data(), static_cast<std::int64_t>(values.size()));
}

using Shape = SliceShape (*)(const problem::AttentionProblem &, std::int64_t, std::int64_t, int, const SliceBudget &);

problem::AttentionProblem grouped_heads() {
  problem::AttentionProblem attention;
  attention.batch = 2;
  attention.query_heads = 12;
  attention.kv_heads = 4;
  return attention;
}

TEST(Slices, MeetEveryRowOfEveryHeadOnce) {
  const problem::AttentionProblem attention = grouped_heads();
  for (const auto &[shape_of, heads] : {std::pair<Shape, std::int64_t>(forward_slice, 12), {backward_slice, 4}}) {
    for (const std::int64_t rows : {1, 47, 100, 1000, 5000}) {
      for (const std::int64_t keys : {0, 1, 100, 4096, 1 << 17}) {
        for (const int threads : {1, 2, 8}) {
          const SliceShape shape = shape_of(attention, rows, keys, threads, {});
          std::vector<int> met(static_cast<std::size_t>(rows * heads));
          each_slice(shape, rows, heads, [&](const Slice &slice) {
            for (std::int64_t place = 0; place < slice.head_count * slice.row_count; ++place) {
              const std::int64_t head = slice.head_begin + place / slice.row_count;
              const std::int64_t row = slice.row_begin + place % slice.row_count;
              ++met.at(static_cast<std::size_t>(head * rows + row));
            }
          });
          EXPECT_THAT(met, ::testing::Each(1)) << rows << " rows, " << keys << " keys, " << threads << " threads";
        }
      }
    }
  }
}

TEST(Slices, AreWholeTilesOfAboutTheSaidWork) {
  constexpr std::int64_t tile = kernels::query_tile_tokens;
  const problem::AttentionProblem attention = grouped_heads();
  for (const std::int64_t rows : {std::int64_t{40}, std::int64_t{1000}, std::int64_t{1} << 20}) {
    for (const std::int64_t keys : {0, 1, 100, 4096, 1 << 20}) {
      for (const int threads : {1, 2, 8}) {
        const SliceShape forward = forward_slice(attention, rows, keys, threads);
        EXPECT_TRUE(forward.rows == rows || forward.rows % tile == 0);
        const double pairs = static_cast<double>(forward.rows) * static_cast<double>(std::max<std::int64_t>(keys, 1));
        const double flop = problem::forward_flop(attention, pairs) * static_cast<double>(forward.heads) / 12.0;
        const std::int64_t teams = (forward.rows + tile - 1) / tile * forward.heads;
        // One tile of one head, or four a thread, are computed however long they take.
        const std::int64_t least = threads == 1 ? 1 : 4 * threads;
        EXPECT_TRUE(flop <= SliceBudget().forward_flop * threads || teams <= 2 * least) << flop << " " << teams;
        EXPECT_TRUE(2 * teams >= least || (forward.heads == 12 && forward.rows == rows)); // equal parts again
        const SliceShape backward = backward_slice(attention, rows, keys, threads);
        EXPECT_TRUE(backward.rows == rows || backward.rows % tile == 0);
        EXPECT_EQ(backward.heads, threads == 1 ? 1 : 4);
        // Equal parts may be up to half shorter than the longest allowed.
        EXPECT_GE(backward.rows, std::min(rows, SliceBudget().least_backward_rows / 2));
      }
    }
  }
  // A slice has one head where its rows are many, and many heads where they are few.
  EXPECT_EQ(forward_slice(attention, 4096, 4096, 1).heads, 1);
  EXPECT_EQ(forward_slice(attention, 16, 16, 1).heads, 12);
}

TEST(Checksum, SeesAChangedAMovedAndASwappedElement) {
  std::vector<float> values(1001);
  for (std::size_t index = 0; index < values.size(); ++index) {
    values[index] = 0.001F * static_cast<float>(index);
  }
  const std::uint64_t whole = checksum_of(values);
  for (const std::size_t place : {std::size_t{0}, std::size_t{500}, std::size_t{1000}}) {
    std::vector<float> changed = values;
    changed[place] = std::nextafter(changed[place], 10.0F);
    EXPECT_NE(checksum_of(changed), whole);
  }
  std::vector<float> swapped = values;
  std::swap(swapped[3], swapped[4]);
  EXPECT_NE(checksum_of(swapped), whole);
  std::vector<float> moved(values.begin() + 1, values.end());
  moved.push_back(values.front());
  EXPECT_NE(checksum_of(moved), whole);
  std::vector<float> sign = values;
  sign[0] = -0.0F;
  EXPECT_NE(checksum_of(sign), whole);
}

TEST(Checksum, PiecesAddUp) {
  const std::vector<float> values(777, 1.5F);
  const kernels::ExecutionSpace space;
  EXPECT_EQ(checksum(space, values.data(), 300) + checksum(space, values.data() + 300, 477, 300), checksum_of(values));
}

TEST(Block, AccountantAndKernelAgreeOnThePackedLayout) {
  for (const Placement placement : every_placement) {
    for (const std::int64_t ring_size : {1, 3, 8}) {
      for (const std::int64_t tokens : {8, 63, 64, 65, 1000}) {
        const schedule::RingProblem problem = small_options(ring_size, tokens, placement, Mask::none).problem;
        for (std::int64_t owner = 0; owner < ring_size; ++owner) {
          const problem::TokenSet keys = key_tokens(placement, tokens, ring_size, owner);
          EXPECT_EQ(block_bytes(problem, owner),
                    memory::block_header_bytes +
                        memory::packed_bytes(problem.attention, keys, {kernels::key_tile_tokens, 0}));
        }
      }
    }
  }
}

TEST(Block, HeaderSurvivesTheWayThroughABuffer) {
  const Kokkos::View<std::byte *, kernels::MemorySpace> buffer("ringscale::test::header", 64);
  BlockHeader header;
  header.owner = 7;
  header.checksum = 0xABCDEF;
  write_header(buffer.data(), header);
  const BlockHeader back = read_header(buffer.data());
  EXPECT_EQ(back.owner, 7);
  EXPECT_EQ(back.checksum, 0xABCDEFU);
  EXPECT_EQ(back.magic, BlockHeader::expected_magic);
}

TEST(Loopback, AMessageWithoutAPartnerIsAnErrorNotAHang) {
  LoopbackNetwork network;
  LoopbackTransport left(network, 0);
  LoopbackTransport right(network, 1);
  std::vector<std::byte> from(8, std::byte{5});
  std::vector<std::byte> to(8);
  left.post_receive(1, to.data(), 8, MessageTag::key_value_block, {"test"});
  EXPECT_THROW(left.wait_all({"test"}), MpiFailure);
  right.post_send(0, from.data(), 8, MessageTag::returning_block, {"test"});
  EXPECT_FALSE(left.progress()) << "another tag must not match";
  right.post_send(0, from.data(), 8, MessageTag::key_value_block, {"test"});
  EXPECT_TRUE(left.progress());
  EXPECT_EQ(to, from);
}

TEST(Loopback, LengthsOfAPairMustAgree) {
  LoopbackNetwork network;
  LoopbackTransport left(network, 0);
  LoopbackTransport right(network, 1);
  std::vector<std::byte> buffer(8);
  left.post_receive(1, buffer.data(), 8, MessageTag::key_value_block, {"test"});
  EXPECT_THROW(right.post_send(0, buffer.data(), 7, MessageTag::key_value_block, {"test"}), MpiFailure);
}

TEST(RowsToCheck, AreAllRowsWhileTheWorkIsSmallAndAStatedSampleAbove) {
  RingOptions options = small_options(2, 200, Placement::zigzag, Mask::causal);
  EXPECT_EQ(rows_to_check(options, 1, queries_of(options.problem, 1)).size(), 100U);
  options.problem.attention.tokens = 1 << 20;
  const std::vector<std::int64_t> rows = rows_to_check(options, 1, queries_of(options.problem, 1));
  const problem::TokenSet queries = query_tokens(Placement::zigzag, 1 << 20, 2, 1);
  EXPECT_LT(rows.size(), 1000U);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  EXPECT_EQ(std::set<std::int64_t>(rows.begin(), rows.end()).size(), rows.size());
  for (const std::int64_t must : {std::int64_t{0}, queries.first.count - 1, queries.first.count, queries.count() - 1}) {
    EXPECT_TRUE(std::binary_search(rows.begin(), rows.end(), must)) << must;
  }
  EXPECT_EQ(rows, rows_to_check(options, 1, queries_of(options.problem, 1))) << "the sample is a function of the seed";
  options.seed = 9;
  EXPECT_NE(rows, rows_to_check(options, 1, queries_of(options.problem, 1)));
}

TEST(ReferenceRows, PiecesOfKeysGiveTheSameAsAllAtOnce) {
  for (const Mask mask : every_mask) {
    const problem::AttentionProblem attention = small_options(1, 143, Placement::contiguous, mask).problem.attention;
    const std::vector<std::int64_t> positions{0, 1, 2, 17, 60, 61, 142};
    const ReferenceRows whole = reference_rows(attention, 5, positions);
    const ReferenceRows pieces = reference_rows(attention, 5, positions, 20);
    ASSERT_EQ(whole.outputs.size(), pieces.outputs.size());
    for (std::size_t index = 0; index < whole.outputs.size(); ++index) {
      EXPECT_NEAR(whole.outputs[index], pieces.outputs[index], 1e-13);
    }
    for (std::size_t index = 0; index < whole.log_sum_exps.size(); ++index) {
      EXPECT_NEAR(whole.log_sum_exps[index], pieces.log_sum_exps[index], 1e-13);
    }
  }
}

TEST(Fault, ParsesWhatItPrintsAndRefusesTheRest) {
  const Fault fault = parse_fault("late_rank:2:3:1.5");
  EXPECT_EQ(fault.kind, FaultKind::late_rank);
  EXPECT_EQ(fault.rank, 2);
  EXPECT_EQ(fault.step, 3);
  EXPECT_EQ(fault.sleep_s, 1.5);
  for (const char *bad : {"", "skip_hop", "skip_hop:1", "skip_hop:x:1", "explode:0:0", "skip_hop:0:0:1:2"}) {
    EXPECT_THROW(parse_fault(bad), problem::InvalidInput) << bad;
  }
}

TEST(Softmax, WordsGoBothWays) {
  for (const SoftmaxRule rule : {SoftmaxRule::online, SoftmaxRule::per_chunk}) {
    EXPECT_EQ(parse_softmax(name(rule)), rule);
  }
}

} // namespace
} // namespace ringscale::ring
