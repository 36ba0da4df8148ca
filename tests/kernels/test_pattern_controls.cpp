// SPDX-License-Identifier: Apache-2.0
// Slips that public codes of dilated and block-sparse attention are known for, made on purpose: the comparison with
// the reference must refuse each of them, and the kernel itself must pass the very same case.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/sparse_quality.hpp"
#include "pattern_case.hpp"

namespace ringscale::kernels::test {
namespace {

PatternCase small_case() {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 90;
  shape.query_heads = shape.kv_heads = 5;
  shape.head_dim = 32;
  return shape;
}

const Dilation uneven{{32, 64}, {1, 2}, DilationConvention::split}; // five heads in runs of three and two

/// Runs the kernel on the case; it must pass.
Partial right_result(const PatternData &data, const Dilation &dilation) {
  data.compute_dilated_reference(dilation);
  const Partial partial = data.poisoned_partial();
  run_dilated(data.dilated(dilation, partial));
  EXPECT_TRUE(data.compare(partial, 2).valid());
  return partial;
}

/// Runs groups of heads and phases as they are given, right or not.
void run_groups(const DilatedAttention &attention, const std::vector<DilatedGroup> &groups) {
  const ExecutionSpace space;
  clear_partial(space, attention.output, attention.log_sum_exp);
  const TokenWindow queries{0, attention.query.extent_int(1)};
  const TokenWindow keys{0, attention.key.extent_int(1)};
  for (const DilatedGroup &group : groups) {
    const DilatedLayout layout =
        DilatedLayout::of(group, queries, keys, attention.query.extent_int(0), attention.query.extent_int(2),
                          attention.key.extent_int(2), attention.query.extent_int(3));
    const Owned1 packed("packed", layout.packed_elements());
    pack_dilated_group(space, attention, layout, packed.data());
    join_dilated_group(space, attention, layout, packed.data());
    space.fence();
  }
}

TEST(DilatedNegativeControl, DivisionByTheSignedSumOverTokensIsRefused) {
  const PatternData data(small_case());
  const Partial partial = right_result(data, uneven);
  std::vector<double> sums(5 * 32, 0.0);
  edit_tensor(partial.output, [&](std::int64_t, std::int64_t, std::int64_t head, std::int64_t dim, float &element) {
    sums[static_cast<std::size_t>(head * 32 + dim)] += static_cast<double>(element);
  });
  edit_tensor(partial.output, [&](std::int64_t, std::int64_t, std::int64_t head, std::int64_t dim, float &element) {
    element = static_cast<float>(static_cast<double>(element) / sums[static_cast<std::size_t>(head * 32 + dim)]);
  });
  EXPECT_FALSE(data.compare(partial, 2).valid());
}

TEST(DilatedNegativeControl, DivisionByTheNumberOfGroupsIsRefused) {
  const PatternData data(small_case());
  const Partial partial = right_result(data, uneven);
  edit_tensor(partial.output,
              [](std::int64_t, std::int64_t, std::int64_t, std::int64_t, float &element) { element /= 2.0F; });
  EXPECT_FALSE(data.compare(partial, 2).valid());
}

TEST(DilatedNegativeControl, AFirstHeadOfGroupTimesSizeIsRefused) {
  const PatternData data(small_case());
  right_result(data, uneven);
  const Partial partial = data.poisoned_partial();
  const DilatedAttention attention = data.dilated(uneven, partial);
  std::vector<DilatedGroup> groups = dilated_groups(uneven, 5);
  run_groups(attention, groups);
  EXPECT_TRUE(data.compare(partial, 2).valid());
  ASSERT_EQ(groups[1].head_begin, 3);
  const std::int64_t size = groups[1].head_end - groups[1].head_begin;
  groups[1].head_begin = 1 * size;
  groups[1].head_end = 2 * size;
  run_groups(attention, groups);
  EXPECT_FALSE(data.compare(partial, 2).valid());
}

TEST(DilatedNegativeControl, AWrongPhaseIsRefused) {
  const PatternData data(small_case());
  right_result(data, uneven);
  const Partial partial = data.poisoned_partial();
  std::vector<DilatedGroup> groups = dilated_groups(uneven, 5);
  groups[1].first_phase = 0;
  run_groups(data.dilated(uneven, partial), groups);
  EXPECT_FALSE(data.compare(partial, 2).valid());
}

TEST(DilatedNegativeControl, PaddingKeysAttendedWithLogitZeroAreRefused) {
  const PatternData data(small_case());
  right_result(data, uneven);
  // 90 tokens padded with zeros to 96, three segments of 32: six keys that do not exist get weight exp(0).
  const Owned4 padded_key("key", 1, 96, 5, 32);
  const Owned4 padded_value("value", 1, 96, 5, 32);
  const auto real = std::make_pair(0, 90);
  Kokkos::deep_copy(Kokkos::subview(padded_key, Kokkos::ALL, real, Kokkos::ALL, Kokkos::ALL), data.key);
  Kokkos::deep_copy(Kokkos::subview(padded_value, Kokkos::ALL, real, Kokkos::ALL, Kokkos::ALL), data.value);
  const Partial partial = data.poisoned_partial();
  DilatedAttention attention = data.dilated(uneven, partial);
  attention.key = padded_key;
  attention.value = padded_value;
  run_dilated(attention);
  EXPECT_FALSE(data.compare(partial, 2).valid());
}

TEST(DilatedNegativeControl, ALogSumExpOfExactlyZeroIsNotAnUncoveredRow) {
  PatternCase shape = small_case();
  shape.query_heads = shape.kv_heads = 1;
  const PatternData data(shape);
  Kokkos::deep_copy(data.query, 0.0F); // every score is 0, so a row with one key has log-sum-exp log(1) = 0
  const Dilation both{{1, 4}, {1, 1}, DilationConvention::longnet};
  right_result(data, both);
  // The first group alone, its log-sum-exps set to the 0 that exact arithmetic gives, then the second one joins.
  const Partial joined = data.poisoned_partial();
  run_dilated(data.dilated({{1}, {1}, DilationConvention::longnet}, joined));
  const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, joined.log_sum_exp);
  EXPECT_TRUE(std::abs(lse(0, 17, 0)) <= 0x1p-23F);
  Kokkos::deep_copy(joined.log_sum_exp, 0.0F);
  DilatedAttention second = data.dilated({{4}, {1}, DilationConvention::longnet}, joined);
  second.accumulate = true;
  run_dilated(second);
  EXPECT_TRUE(data.compare(joined, 2).valid());
  // The slip: rows whose log-sum-exp is 0 count as empty, so the second group overwrites what the first one gave.
  const Partial slipped = data.poisoned_partial();
  run_dilated(data.dilated({{4}, {1}, DilationConvention::longnet}, slipped));
  EXPECT_FALSE(data.compare(slipped, 2).valid());
}

TEST(DilatedNegativeControl, HeadsAndTokensSwappedAreRefused) {
  const PatternData data(small_case());
  right_result(data, uneven);
  const Partial partial = data.poisoned_partial();
  DilatedAttention attention = data.dilated(uneven, partial);
  attention.query = ConstTensor4(data.query.data(), 1, 5, 90, 32);
  attention.key = ConstTensor4(data.key.data(), 1, 5, 90, 32);
  attention.value = ConstTensor4(data.value.data(), 1, 5, 90, 32);
  attention.output = Tensor4(partial.output.data(), 1, 5, 90, 32);
  attention.log_sum_exp = Tensor3(partial.log_sum_exp.data(), 1, 5, 90);
  run_dilated(attention);
  EXPECT_FALSE(data.compare(partial, 2).valid());
}

TEST(DilatedNegativeControl, AGroupJoinedTwiceIsRefused) {
  PatternCase shape = small_case();
  const PatternData data(shape);
  const Dilation longnet{{32, 90}, {1, 2}, DilationConvention::longnet};
  right_result(data, longnet);
  const Partial partial = data.poisoned_partial();
  std::vector<DilatedGroup> groups = dilated_groups(longnet, 5);
  groups.push_back(groups[1]);
  run_groups(data.dilated(longnet, partial), groups);
  EXPECT_FALSE(data.compare(partial, 3).valid());
}

/// A case of block-sparse attention, a window of one block to either side, and its reference.
struct WindowCase {
  explicit WindowCase(bool causal) : shape(make_shape(causal)), data(shape) {
    const OwnedMask admitted =
        boolean_mask(shape, [](std::int64_t, std::int64_t, std::int64_t query, std::int64_t key) {
          return std::abs(query / 64 - key / 64) <= 1;
        });
    const ExecutionSpace space;
    reference_masked_attention(space, data.query, data.key, data.value, admitted, shape.scale(), data.reference_output,
                               data.reference_log_sum_exp);
    space.fence();
  }
  static PatternCase make_shape(bool causal) {
    PatternCase shape;
    shape.query_tokens = shape.key_tokens = 400;
    shape.head_dim = 32;
    shape.causal = causal;
    return shape;
  }
  BlockMaskShape mask_shape() const {
    BlockMaskShape mask;
    mask.query_tokens = mask.key_tokens = 400;
    mask.causal = shape.causal;
    return mask;
  }
  bool passes(const BlockMask::Meets &meets) const {
    const Partial partial = data.poisoned_partial();
    Owned1 packed;
    run_block_sparse(whole_block(data, partial, packed), BlockMask(mask_shape(), meets));
    return data.compare(partial, 1).valid();
  }
  PatternCase shape;
  PatternData data;
};

TEST(BlockSparseNegativeControl, AShiftedBlockALostBlockAndAnExtraOneAreRefused) {
  for (const bool causal : {false, true}) {
    const WindowCase window(causal);
    EXPECT_TRUE(window.passes([](std::int64_t, std::int64_t a, std::int64_t b) { return std::abs(a - b) <= 1; }));
    EXPECT_FALSE(window.passes( // shifted by one block
        [](std::int64_t, std::int64_t a, std::int64_t b) { return std::abs(a - b - 1) <= 1; }));
    EXPECT_FALSE(window.passes( // one of nineteen lost
        [](std::int64_t, std::int64_t a, std::int64_t b) { return std::abs(a - b) <= 1 && !(a == 4 && b == 3); }));
    EXPECT_FALSE(window.passes( // one too many
        [](std::int64_t, std::int64_t a, std::int64_t b) { return std::abs(a - b) <= 1 || (a == 4 && b == 1); }));
  }
}

TEST(BlockSparseNegativeControl, ATransposedMaskIsRefused) {
  PatternCase shape = WindowCase::make_shape(false);
  const PatternData data(shape);
  const auto shared = [](std::int64_t, std::int64_t a, std::int64_t b) { return a == b || b % 3 == 0; };
  const auto transposed = [&](std::int64_t mask, std::int64_t a, std::int64_t b) { return shared(mask, b, a); };
  const OwnedMask admitted = boolean_mask(
      shape, [&](std::int64_t, std::int64_t, std::int64_t q, std::int64_t k) { return shared(0, q / 64, k / 64); });
  const ExecutionSpace space;
  reference_masked_attention(space, data.query, data.key, data.value, admitted, shape.scale(), data.reference_output,
                             data.reference_log_sum_exp);
  space.fence();
  BlockMaskShape mask_shape;
  mask_shape.query_tokens = mask_shape.key_tokens = 400;
  for (const bool wrong : {false, true}) {
    const Partial partial = data.poisoned_partial();
    Owned1 packed;
    const BlockMask mask = wrong ? BlockMask(mask_shape, transposed) : BlockMask(mask_shape, shared);
    run_block_sparse(whole_block(data, partial, packed), mask);
    EXPECT_EQ(data.compare(partial, 1).valid(), !wrong);
  }
}

/// Captured mass of the window by definition: dense weights of a row, summed over what the window admits.
std::vector<double> masses_by_definition(const WindowCase &window) {
  const auto query = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, window.data.query);
  const auto key = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, window.data.key);
  std::vector<double> masses;
  for (int i = 0; i < 400; ++i) {
    double all = 0.0;
    double kept = 0.0;
    for (int j = 0; j < (window.shape.causal ? i + 1 : 400); ++j) {
      double score = 0.0;
      for (int dim = 0; dim < 32; ++dim) {
        score += static_cast<double>(query(0, i, 0, dim)) * static_cast<double>(key(0, j, 0, dim));
      }
      const double weight = std::exp(score * window.shape.scale());
      all += weight;
      kept += std::abs(i / 64 - j / 64) <= 1 ? weight : 0.0;
    }
    masses.push_back(kept / all);
  }
  return masses;
}

TEST(CapturedMass, IsTheShareOfTheDenseWeightsThatTheMaskKeeps) {
  for (const bool causal : {false, true}) {
    const WindowCase window(causal);
    const ExecutionSpace space;
    const Partial sparse = window.data.poisoned_partial();
    const Partial dense = window.data.poisoned_partial();
    Owned1 packed;
    run_block_sparse(whole_block(window.data, sparse, packed),
                     BlockMask(window.mask_shape(), {BlockKind::local_window, 64, 1}));
    AttentionBlock all = whole_block(window.data, dense, packed);
    run_streamed(all);
    const std::vector<double> expected = masses_by_definition(window);
    double mean = 0.0;
    double minimum = 1.0;
    for (const double mass : expected) {
      mean += mass / 400.0;
      minimum = std::min(minimum, mass);
    }
    const CapturedMass found = captured_mass(space, sparse.log_sum_exp, dense.log_sum_exp);
    // Relative error of exp(a - b) is the absolute error of both log-sum-exps.
    const double bound = 2.0 * window.data.compare(sparse, 1).bound.log_sum_exp;
    EXPECT_EQ(found.rows, 400);
    EXPECT_TRUE(std::abs(found.mean - mean) <= bound * mean);
    EXPECT_TRUE(std::abs(found.minimum - minimum) <= bound * minimum);
    EXPECT_LT(minimum, 0.5); // the case is not one where everything is kept
    const OutputDifference difference = output_difference(space, sparse.output, dense.output);
    EXPECT_GT(difference.relative, 0.01);
    EXPECT_EQ(output_difference(space, dense.output, dense.output).largest, 0.0);
    if (causal) { // the slip: the dense log-sum-exps without the causal mask
      all.admission.causal = false;
      run_streamed(all);
      const CapturedMass slipped = captured_mass(space, sparse.log_sum_exp, dense.log_sum_exp);
      EXPECT_FALSE(std::abs(slipped.mean - mean) <= bound * mean);
      EXPECT_FALSE(std::abs(slipped.minimum - minimum) <= bound * minimum);
    }
  }
}

TEST(CapturedMass, CountsRowsWithoutAKeptKeyAsZeroAndKeepsNotANumber) {
  const Owned3 sparse("sparse", 1, 4, 1);
  const Owned3 dense("dense", 1, 4, 1);
  const float none = -std::numeric_limits<float>::infinity();
  const float sparse_values[] = {0.0F, none, none, std::log(0.5F)};
  const float dense_values[] = {0.0F, 1.0F, none, 0.0F}; // the third row has no key at all
  Kokkos::deep_copy(sparse,
                    Kokkos::View<const float ***, Kokkos::LayoutRight, Kokkos::HostSpace>(sparse_values, 1, 4, 1));
  Kokkos::deep_copy(dense,
                    Kokkos::View<const float ***, Kokkos::LayoutRight, Kokkos::HostSpace>(dense_values, 1, 4, 1));
  const ExecutionSpace space;
  const CapturedMass mass = captured_mass(space, sparse, dense);
  EXPECT_EQ(mass.rows, 3);
  EXPECT_EQ(mass.minimum, 0.0);
  EXPECT_TRUE(std::abs(mass.mean - 0.5) <= 1e-7);
  EXPECT_EQ(captured_mass(space, Owned3("none", 0, 0, 0), Owned3("none", 0, 0, 0)).mean, 1.0);
  Kokkos::deep_copy(sparse, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(captured_mass(space, sparse, dense).mean));
  EXPECT_TRUE(std::isnan(captured_mass(space, sparse, dense).minimum));
  EXPECT_THROW(captured_mass(space, sparse, Owned3("other", 1, 5, 1)), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
