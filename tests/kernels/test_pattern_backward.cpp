// SPDX-License-Identifier: Apache-2.0
// Gradients of dilated and block-sparse attention: against the derivative by the formula in double precision, against
// finite differences, and with mistakes made on purpose.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "pattern_gradient.hpp"

namespace ringscale::kernels::test {
namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr DilationConvention conventions[] = {DilationConvention::split, DilationConvention::longnet,
                                              DilationConvention::longnet_blocked};

void compute_dilated(const PatternData &data, const Dilation &dilation) {
  data.compute_dilated_reference(dilation);
  reference_dilated_gradient(ExecutionSpace(), data.dilated_reference(dilation), data.output_gradient,
                             data.reference_log_sum_exp, data.reference_gradient());
}

void compute_masked(const PatternData &data, const OwnedMask &mask) {
  const ExecutionSpace space;
  reference_masked_attention(space, data.query, data.key, data.value, mask, data.shape.scale(), data.reference_output,
                             data.reference_log_sum_exp);
  reference_masked_gradient(space, data.query, data.key, data.value, data.output_gradient, mask, data.shape.scale(),
                            data.reference_log_sum_exp, data.reference_gradient());
}

void expect_valid(const PatternData &data, const Dilation &dilation) {
  compute_dilated(data, dilation);
  const PatternGradientData gradient(data, dilated_pairs(data.shape, dilation));
  for (const bool team : {false, true}) {
    const PatternGradients found = gradient.filled(not_a_number);
    run_dilated_backward(gradient.dilated(dilation, found), team);
    const PatternGradientComparison comparison =
        gradient.compare(found, static_cast<std::int64_t>(dilation.segment_lengths.size()));
    EXPECT_TRUE(comparison.valid()) << (team ? "team " : "") << data.shape.text() << " convention "
                                    << static_cast<int>(dilation.convention) << ": " << comparison.text();
  }
}

TEST(DilatedBackward, EqualsTheDerivativeOfTheFormula) {
  const std::int64_t heads[][2] = {{1, 1}, {3, 3}, {8, 2}, {6, 1}};
  for (const DilationConvention convention : conventions) {
    for (const auto &pair : heads) {
      for (const bool causal : {false, true}) {
        PatternCase shape;
        shape.batch = pair[1] == 2 ? 2 : 1;
        shape.query_tokens = shape.key_tokens = 110;
        shape.query_heads = pair[0];
        shape.kv_heads = pair[1];
        shape.head_dim = 24;
        shape.causal = causal;
        expect_valid(PatternData(shape), {{16, 40, 1000}, {1, 3, 2}, convention});
      }
    }
  }
}

TEST(DilatedBackward, EqualsTheDerivativeForAnyHeadDimAndLengths) {
  for (const std::int64_t head_dim : {1, 3, 17, 64, 65, 128, 200}) {
    PatternCase shape;
    shape.query_tokens = 70;
    shape.key_tokens = head_dim % 2 == 0 ? 101 : 33;
    shape.query_heads = shape.kv_heads = 2;
    shape.head_dim = head_dim;
    shape.causal = head_dim % 3 == 0;
    expect_valid(PatternData(shape), {{64, 128}, {1, 2}, DilationConvention::longnet});
  }
  PatternCase single;
  single.query_heads = single.kv_heads = 2;
  expect_valid(PatternData(single), {{4}, {1}, DilationConvention::split});
  PatternCase long_run; // several panels of rows and several key blocks in a segment
  long_run.query_tokens = long_run.key_tokens = 900;
  long_run.causal = true;
  expect_valid(PatternData(long_run), {{900}, {2}, DilationConvention::split});
}

TEST(DilatedBackward, ChunksOfKeysWithOriginsAddUpToTheWhole) {
  PatternCase shape;
  shape.query_tokens = 90;
  shape.query_origin = 50;
  shape.key_tokens = 140;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 16;
  shape.causal = true;
  const Dilation dilation{{48, 100}, {1, 3}, DilationConvention::longnet};
  const PatternData data(shape);
  expect_valid(data, dilation);
  const PatternGradientData gradient(data, dilated_pairs(shape, dilation));
  const PatternGradients found = gradient.filled(0.0F);
  const std::int64_t borders[] = {0, 61, 140};
  for (int chunk = 0; chunk < 2; ++chunk) {
    const std::int64_t count = borders[chunk + 1] - borders[chunk];
    const std::int64_t skipped = borders[chunk] * shape.kv_heads * shape.head_dim;
    const auto part = [&](auto *from) { return from + skipped; };
    DilatedBackward backward = gradient.dilated(dilation, found);
    backward.key = ConstTensor4(part(data.key.data()), 1, count, 2, 16);
    backward.value = ConstTensor4(part(data.value.data()), 1, count, 2, 16);
    backward.key_gradient = Tensor4(part(found.key.data()), 1, count, 2, 16);
    backward.value_gradient = Tensor4(part(found.value.data()), 1, count, 2, 16);
    backward.key_origin = borders[chunk];
    backward.accumulate = true;
    run_dilated_backward(backward);
  }
  EXPECT_TRUE(gradient.compare(found, 4).valid());
}

/// Loss sum(output * output_gradient) of the double-precision reference forward.
double loss(const PatternData &data, const Dilation &dilation) {
  data.compute_dilated_reference(dilation);
  const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.reference_output);
  const auto gradient = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.output_gradient);
  double sum = 0.0;
  for (std::size_t index = 0; index < output.size(); ++index) {
    sum += output.data()[index] * static_cast<double>(gradient.data()[index]);
  }
  return sum;
}

double central_difference(const PatternData &data, const Dilation &dilation, const Owned4 &tensor, std::size_t element,
                          float step) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
  const float before = host.data()[element];
  const float at[2] = {before + step, before - step};
  double losses[2] = {};
  for (int side = 0; side < 2; ++side) {
    host.data()[element] = at[side];
    Kokkos::deep_copy(tensor, host);
    losses[side] = loss(data, dilation);
  }
  host.data()[element] = before;
  Kokkos::deep_copy(tensor, host);
  return (losses[0] - losses[1]) / (static_cast<double>(at[0]) - static_cast<double>(at[1]));
}

TEST(DilatedBackward, EqualsCentralDifferencesOfTheForward) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 30;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 5;
  const Dilation dilation{{8, 30}, {1, 3}, DilationConvention::longnet};
  for (const bool causal : {false, true}) {
    shape.causal = causal;
    const PatternData data(shape);
    compute_dilated(data, dilation);
    const PatternGradientData gradient(data, dilated_pairs(shape, dilation));
    const PatternGradients found = gradient.filled(not_a_number);
    run_dilated_backward(gradient.dilated(dilation, found));
    const problem::GradientBound bound = gradient.compare(found, 2).bound;
    const std::pair<const Owned4 *, const Owned4 *> tensors[] = {
        {&data.query, &found.query}, {&data.key, &found.key}, {&data.value, &found.value}};
    const double bounds[] = {bound.query, bound.key, bound.value};
    for (int which = 0; which < 3; ++which) {
      const Owned4 &tensor = *tensors[which].first;
      const auto analytic = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, *tensors[which].second);
      for (std::size_t element = 0; element < tensor.size(); element += tensor.size() / 17) {
        // The error of a central difference is of second order in the step, so that of the half step is less than
        // the change from the whole one; rounding of two sums in double precision comes on top.
        const double coarse = central_difference(data, dilation, tensor, element, 0x1p-8F);
        const double fine = central_difference(data, dilation, tensor, element, 0x1p-9F);
        const double allowed = bounds[which] + std::abs(fine - coarse) + 1e-9;
        const auto exact = static_cast<double>(analytic.data()[element]);
        EXPECT_TRUE(std::abs(fine - exact) <= allowed)
            << "tensor " << which << " element " << element << ": " << fine << " and " << exact;
        EXPECT_FALSE(std::abs(fine - (exact + 0.01)) <= allowed); // the check has teeth
      }
    }
  }
}

TEST(DilatedBackward, MistakesAreRefused) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 90;
  shape.query_heads = shape.kv_heads = 3;
  shape.head_dim = 32;
  const Dilation dilation{{32, 90}, {1, 2}, DilationConvention::longnet};
  const PatternData data(shape);
  compute_dilated(data, dilation);
  const PatternGradientData gradient(data, dilated_pairs(shape, dilation));
  const PatternGradients found = gradient.filled(not_a_number);
  const DilatedBackward right = gradient.dilated(dilation, found);
  const auto refused = [&](const DilatedBackward &backward) {
    run_dilated_backward(backward);
    return !gradient.compare(found, 2).valid();
  };
  EXPECT_FALSE(refused(right));
  DilatedBackward wrong = right;
  wrong.scale *= 1.01F;
  EXPECT_TRUE(refused(wrong));
  wrong = right;
  wrong.causal = true;
  EXPECT_TRUE(refused(wrong));
  wrong = right;
  wrong.dilation.convention = DilationConvention::split;
  EXPECT_TRUE(refused(wrong));
  wrong = right; // one group's own log-sum-exps in place of the joint ones
  const Partial alone = data.poisoned_partial();
  run_dilated(data.dilated({{32}, {1}, DilationConvention::longnet}, alone));
  wrong.log_sum_exp = alone.log_sum_exp;
  EXPECT_TRUE(refused(wrong));
  wrong = right; // what was held is not overwritten
  Kokkos::deep_copy(found.query, 1.0F);
  Kokkos::deep_copy(found.key, 1.0F);
  Kokkos::deep_copy(found.value, 1.0F);
  wrong.accumulate = true;
  EXPECT_TRUE(refused(wrong));
  EXPECT_FALSE(refused(right));
}

TEST(DilatedBackward, WorkIsTenFlopPerAdmittedPairAndDimension) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 10;
  shape.query_heads = shape.kv_heads = 2;
  shape.head_dim = 4;
  const PatternData data(shape);
  const Dilation dilation{{5}, {3}, DilationConvention::split};
  const PatternGradientData gradient(data, dilated_pairs(shape, dilation));
  const KernelWork work = dilated_attention_backward_work(gradient.dilated(dilation, gradient.filled(0.0F)));
  // Two tokens of each of two segments: four rows and keys a head, two pairs each.
  EXPECT_DOUBLE_EQ(work.flop, 10.0 * 2 * (2 * 2 * 2) * 4);
  EXPECT_DOUBLE_EQ(work.read_bytes, 4.0 * (4 * 2) * (3 * 4 + 2 + 4 * 4));
  EXPECT_DOUBLE_EQ(work.written_bytes, 4.0 * (4 * 2 * (4 + 2 * 4) + 3 * 10 * 2 * 4));
}

TEST(DilatedBackward, RefusesShapesThatDoNotFit) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 8;
  const PatternData data(shape);
  const Dilation dilation{{8}, {1}, DilationConvention::split};
  const PatternGradientData gradient(data, dilated_pairs(shape, dilation));
  const PatternGradients found = gradient.filled(0.0F);
  const DilatedBackward good = gradient.dilated(dilation, found);
  EXPECT_NO_THROW(check_dilated_backward(good));
  DilatedBackward bad = good;
  bad.key_gradient = Tensor4(found.key.data(), 1, 7, 1, 64);
  EXPECT_THROW(dilated_attention_backward(ExecutionSpace(), bad), std::invalid_argument);
  bad = good;
  bad.key_origin = -1;
  EXPECT_THROW(dilated_attention_backward(ExecutionSpace(), bad), std::invalid_argument);
  bad = good;
  bad.dilation.segment_lengths = {};
  EXPECT_THROW(dilated_attention_backward(ExecutionSpace(), bad), std::invalid_argument);
}

BlockMaskShape mask_shape(const PatternCase &shape) {
  BlockMaskShape mask;
  mask.query_tokens = shape.query_tokens;
  mask.key_tokens = shape.key_tokens;
  mask.causal = shape.causal;
  mask.query_origin = shape.query_origin;
  mask.key_origin = shape.key_origin;
  return mask;
}

void expect_valid(const PatternData &data, const BlockMask &mask, const OwnedMask &admitted) {
  compute_masked(data, admitted);
  const PatternGradientData gradient(data, masked_pairs(admitted));
  for (const bool team : {false, true}) {
    const PatternGradients found = gradient.filled(not_a_number);
    run_block_sparse_backward(gradient.block(found), mask, team);
    const PatternGradientComparison comparison = gradient.compare(found, 1);
    EXPECT_TRUE(comparison.valid()) << (team ? "team " : "") << data.shape.text() << ": " << comparison.text();
  }
}

TEST(BlockSparseBackward, EqualsTheDerivativeUnderTheMask) {
  for (const std::int64_t head_dim : {3, 40, 64, 128}) {
    for (const bool causal : {false, true}) {
      PatternCase shape;
      shape.query_tokens = 260;
      shape.key_tokens = 330;
      shape.query_heads = 2;
      shape.kv_heads = 1;
      shape.head_dim = head_dim;
      shape.causal = causal;
      shape.query_origin = 64;
      const OwnedMask admitted =
          boolean_mask(shape, [](std::int64_t, std::int64_t, std::int64_t query, std::int64_t key) {
            return std::abs((64 + query) / 64 - key / 64) <= 1 || key / 64 % 3 == 0;
          });
      expect_valid(PatternData(shape), BlockMask(mask_shape(shape), {BlockKind::hierarchical, 64, 3}), admitted);
    }
  }
}

TEST(BlockSparseBackward, MasksOfTheirOwnForEveryBatchEntryAndHead) {
  PatternCase shape;
  shape.batch = 2;
  shape.query_tokens = 200;
  shape.key_tokens = 150;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 16;
  BlockMaskShape own = mask_shape(shape);
  own.batch_masks = 2;
  own.head_masks = 4;
  const auto rule = [](std::int64_t mask, std::int64_t query_block, std::int64_t key_block) {
    return (mask * 7 + query_block * 3 + key_block * 5) % 4 == 0;
  };
  const OwnedMask admitted =
      boolean_mask(shape, [&](std::int64_t batch, std::int64_t head, std::int64_t query, std::int64_t key) {
        return rule(batch * 4 + head, query / 64, key / 64);
      });
  const PatternData data(shape);
  expect_valid(data, BlockMask(own, rule), admitted);
  // A transposed mask, and the mask of the next head, are refused.
  const PatternGradientData gradient(data, masked_pairs(admitted));
  const PatternGradients found = gradient.filled(not_a_number);
  run_block_sparse_backward(gradient.block(found), BlockMask(own, [&](std::int64_t mask, std::int64_t a,
                                                                      std::int64_t b) { return rule(mask, b, a); }));
  EXPECT_FALSE(gradient.compare(found, 1).valid());
  run_block_sparse_backward(
      gradient.block(found),
      BlockMask(own, [&](std::int64_t mask, std::int64_t a, std::int64_t b) { return rule(mask + 1, a, b); }));
  EXPECT_FALSE(gradient.compare(found, 1).valid());
}

TEST(BlockSparseBackward, IsDenseWhenEveryBlockIsMetAlsoWithDropout) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 200;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.causal = true;
  const PatternData data(shape);
  const OwnedMask admitted = boolean_mask(shape, [](auto...) { return true; });
  compute_masked(data, admitted);
  const PatternGradientData gradient(data, masked_pairs(admitted));
  const BlockMask mask(mask_shape(shape), {BlockKind::local_window, 6400, 1});
  const ExecutionSpace space;
  for (const float probability : {0.0F, 0.25F}) {
    const PatternGradients sparse = gradient.filled(not_a_number);
    const PatternGradients dense = gradient.filled(not_a_number);
    BackwardBlock block = gradient.block(sparse);
    block.dropout.probability = probability;
    run_block_sparse_backward(block, mask);
    block.query_gradient = dense.query;
    block.key_gradient = dense.key;
    block.value_gradient = dense.value;
    const Owned1 workspace("workspace", attention_backward_workspace_elements(space, block));
    attention_backward(space, block, workspace.data());
    space.fence();
    // Keys are met in smaller blocks, so sums over keys round otherwise; kept weights are 4/3 larger.
    const problem::GradientBound bound = gradient.compare(sparse, 1).bound;
    const auto close = [](const Owned4 &first, const Owned4 &second, double allowed) {
      const auto one = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, first);
      const auto other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, second);
      bool all = true;
      for (std::size_t index = 0; index < one.size(); ++index) {
        all = all &&
              std::abs(static_cast<double>(one.data()[index]) - static_cast<double>(other.data()[index])) <= allowed;
      }
      return all;
    };
    EXPECT_TRUE(close(sparse.query, dense.query, 2.0 * bound.query));
    EXPECT_TRUE(close(sparse.key, dense.key, 2.0 * bound.key));
    EXPECT_TRUE(close(sparse.value, dense.value, 2.0 * bound.value));
    EXPECT_EQ(gradient.compare(sparse, 1).valid(), probability == 0.0F); // dropout does change the result
  }
}

TEST(BlockSparseBackward, WorkCountsAdmittedPairs) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 128;
  shape.head_dim = 8;
  const PatternData data(shape);
  const OwnedMask admitted = boolean_mask(
      shape, [](std::int64_t, std::int64_t, std::int64_t query, std::int64_t key) { return query / 64 == key / 64; });
  const PatternGradientData gradient(data, masked_pairs(admitted));
  const BackwardBlock block = gradient.block(gradient.filled(0.0F));
  const BlockMask mask(mask_shape(shape), {BlockKind::local_window, 0, 1});
  const KernelWork work = block_sparse_backward_work(block, mask);
  EXPECT_DOUBLE_EQ(work.flop, 10.0 * 2 * 64 * 64 * 8);
  EXPECT_DOUBLE_EQ(work.written_bytes, 4.0 * 2 * 3 * 128 * 8);
  EXPECT_DOUBLE_EQ(work.read_bytes, 4.0 * (4 * 128 * 8 + 2 * 128 + 3 * 128 * 8) + 2 * 8 + 3 * 8);
  BlockMaskShape other = mask_shape(shape);
  other.query_tokens = 64;
  EXPECT_THROW(block_sparse_backward(ExecutionSpace(), block, BlockMask(other, {BlockKind::local_window, 0, 1})),
               std::invalid_argument);
  BackwardBlock overwriting = block;
  overwriting.accumulate = overwriting.overwrite_key_gradients = true;
  EXPECT_THROW(block_sparse_backward(ExecutionSpace(), overwriting, mask), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
