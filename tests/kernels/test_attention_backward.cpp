// SPDX-License-Identifier: Apache-2.0
// The streamed backward kernel, with host and with team primitives, against the double-precision reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "gradient_case.hpp"
#include "problem/synthetic.hpp"

namespace ringscale::kernels::test {
namespace {

constexpr float poison = std::numeric_limits<float>::quiet_NaN();

Admission causal(std::int64_t query_origin, std::int64_t query_stride, std::int64_t key_origin,
                 std::int64_t key_stride) {
  return {true, query_origin, query_stride, key_origin, key_stride};
}

void expect_valid(const GradientData &data) {
  using Kernel = void (*)(const BackwardBlock &);
  const std::pair<const char *, Kernel> kernels[] = {{"streamed", run_backward}, {"team", run_team_backward}};
  for (const auto &[name, kernel] : kernels) {
    const Gradients gradients = data.filled(poison);
    kernel(data.block(gradients));
    const GradientComparison comparison = data.compare(gradients);
    EXPECT_TRUE(comparison.valid()) << name << " " << data.data.shape.text() << comparison.text();
  }
}

class HeadDimTest : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(HeadDimTest, EqualsReferenceForAnyTokenCounts) {
  const std::int64_t token_counts[][2] = {{1, 1},  {1, 200}, {5, 63},    {7, 65},
                                          {49, 1}, {97, 70}, {100, 257}, {193, 129}};
  for (const auto &tokens : token_counts) {
    for (const bool mask : {false, true}) {
      AttentionCase shape;
      shape.query_tokens = tokens[0];
      shape.key_tokens = tokens[1];
      shape.head_dim = GetParam();
      shape.admission.causal = mask;
      expect_valid(GradientData(shape));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dims, HeadDimTest, ::testing::Values(1, 3, 17, 40, 64, 65, 80, 128, 200, 300));

TEST(AttentionBackward, EqualsReferenceOverSeveralKeyBlocks) {
  // The host keeps up to 512 keys in its cache: three blocks here or more, each with panels before and on the diagonal.
  for (const std::int64_t head_dim : {64, 128, 36}) {
    for (const bool mask : {false, true}) {
      AttentionCase shape;
      shape.query_tokens = 310;
      shape.key_tokens = 1103;
      shape.head_dim = head_dim;
      shape.admission = mask ? causal(600, 1, 0, 1) : Admission{};
      expect_valid(GradientData(shape));
    }
  }
}

TEST(AttentionBackward, EqualsReferenceForGroupedHeadsAndBatches) {
  const std::int64_t heads[][2] = {{1, 1}, {4, 4}, {8, 2}, {6, 1}, {9, 3}};
  for (const auto &pair : heads) {
    for (const std::int64_t batch : {1, 3}) {
      for (const bool mask : {false, true}) {
        AttentionCase shape;
        shape.batch = batch;
        shape.query_tokens = 75;
        shape.key_tokens = 130;
        shape.query_heads = pair[0];
        shape.kv_heads = pair[1];
        shape.head_dim = 32;
        shape.admission = mask ? causal(55, 1, 0, 1) : Admission{};
        expect_valid(GradientData(shape));
      }
    }
  }
}

TEST(AttentionBackward, EqualsReferenceForCausalOffsetsAndStrides) {
  const Admission admissions[] = {
      causal(0, 1, 0, 1), causal(300, 1, 0, 1), causal(37, 1, 101, 1), causal(0, 1, 1000, 1), causal(3, 4, 1, 4),
      causal(1, 4, 3, 4), causal(0, 7, 2, 3),   causal(200, 1, 0, 3),  causal(-5, 1, 0, 1),   causal(64, 1, 0, 2),
  };
  for (const Admission &admission : admissions) {
    for (const std::int64_t keys : {1, 150, 450}) {
      AttentionCase shape;
      shape.query_tokens = 211;
      shape.key_tokens = keys;
      shape.query_heads = 2;
      shape.kv_heads = 1;
      shape.admission = admission;
      expect_valid(GradientData(shape));
    }
  }
}

TEST(AttentionBackward, RowsAndKeysThatMeetNothingHaveNoGradient) {
  AttentionCase shape;
  shape.query_tokens = 60;
  shape.key_tokens = 90;
  shape.admission = causal(0, 1, 10, 1); // rows 0-9 admit no key, keys 50-89 are admitted by no row
  const GradientData data(shape);
  for (const auto kernel : {run_backward, run_team_backward}) {
    const Gradients gradients = data.filled(poison);
    kernel(data.block(gradients));
    EXPECT_TRUE(data.compare(gradients).valid());
    const auto query = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, gradients.query);
    const auto key = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, gradients.key);
    const auto value = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, gradients.value);
    for (int dim = 0; dim < 64; ++dim) {
      for (int row = 0; row < 10; ++row) {
        EXPECT_EQ(query(0, row, 0, dim), 0.0F);
      }
      for (int token = 50; token < 90; ++token) {
        EXPECT_EQ(key(0, token, 0, dim), 0.0F);
        EXPECT_EQ(value(0, token, 0, dim), 0.0F);
      }
    }
  }
}

TEST(AttentionBackward, NoQueriesOrNoKeysAtAll) {
  for (const std::int64_t query_tokens : {0, 5}) {
    const std::int64_t key_tokens = 5 - query_tokens;
    AttentionCase shape;
    shape.query_tokens = query_tokens;
    shape.key_tokens = key_tokens;
    const GradientData data(shape);
    const Gradients gradients = data.filled(poison);
    run_backward(data.block(gradients));
    EXPECT_TRUE(same_bits(gradients, data.filled(0.0F)));
  }
}

TEST(AttentionBackward, FromTheForwardPassOnItsOwnResults) {
  for (const std::int64_t head_dim : {64, 128, 20}) {
    AttentionCase shape;
    shape.query_tokens = 200;
    shape.key_tokens = 330;
    shape.query_heads = 4;
    shape.kv_heads = 2;
    shape.head_dim = head_dim;
    shape.admission = causal(130, 1, 0, 1);
    const GradientData data(shape);
    const Partial forward = data.data.poisoned_partial();
    run_streamed(data.data.block(forward));
    const Owned3 dot("dot", 1, shape.query_tokens, shape.query_heads);
    output_gradient_dot(ExecutionSpace(), forward.output, data.output_gradient, dot);
    const Gradients gradients = data.filled(poison);
    BackwardBlock block = data.block(gradients);
    block.log_sum_exp = forward.log_sum_exp;
    block.output_dot = dot;
    run_backward(block);
    // D = sum_d O dO: the error of the output reaches it head_dim times, with |dO| < sqrt(3).
    const problem::ErrorBound bound = data.data.compare(forward).bound;
    const double dim = static_cast<double>(head_dim);
    const GradientComparison comparison =
        data.compare(gradients, {bound.log_sum_exp, bound.output * problem::synthetic_max_magnitude() * dim});
    EXPECT_TRUE(comparison.valid()) << comparison.text();
  }
}

TEST(AttentionBackward, SpansOfKeysAddUpAsInARing) {
  for (const bool mask : {false, true}) {
    AttentionCase shape;
    shape.query_tokens = 150;
    shape.key_tokens = 400;
    shape.query_heads = 2;
    shape.head_dim = 48;
    shape.admission = mask ? causal(250, 1, 0, 1) : Admission{};
    const GradientData data(shape);
    const Gradients gradients = data.filled(0.0F);
    for (const std::int64_t begin : {0, 130, 131, 390}) {
      const std::int64_t end = begin == 0 ? 130 : begin == 130 ? 131 : begin == 131 ? 390 : 400;
      // The keys of a span and their gradients in tensors of their own, as they come and go in a ring.
      const auto span = [&](const Owned4 &tensor) {
        const Owned4 copy("span", 1, end - begin, shape.kv_heads, 48);
        Kokkos::deep_copy(copy, Kokkos::subview(tensor, Kokkos::ALL, std::pair(begin, end), Kokkos::ALL, Kokkos::ALL));
        return copy;
      };
      const Owned4 key = span(data.data.key);
      const Owned4 value = span(data.data.value);
      const Owned4 key_gradient = span(gradients.key);
      const Owned4 value_gradient = span(gradients.value);
      BackwardBlock block = data.block(gradients);
      block.key = key;
      block.value = value;
      block.key_gradient = key_gradient;
      block.value_gradient = value_gradient;
      block.admission.key_origin += begin;
      block.accumulate = true;
      run_backward(block);
      const auto put = [&](const Owned4 &tensor, const Owned4 &part) {
        Kokkos::deep_copy(Kokkos::subview(tensor, Kokkos::ALL, std::pair(begin, end), Kokkos::ALL, Kokkos::ALL), part);
      };
      put(gradients.key, key_gradient);
      put(gradients.value, value_gradient);
    }
    const GradientComparison comparison = data.compare(gradients, {}, 4);
    EXPECT_TRUE(comparison.valid()) << comparison.text();
  }
}

TEST(AttentionBackward, AccumulateAddsToWhatIsHeld) {
  AttentionCase shape;
  shape.query_tokens = 101;
  shape.key_tokens = 23; // one key block, so that doubling is exact
  const GradientData data(shape);
  for (const auto kernel : {run_backward, run_team_backward}) {
    const Gradients gradients = data.filled(0.0F);
    BackwardBlock block = data.block(gradients);
    kernel(block);
    const Gradients twice = data.filled(0.0F);
    block = data.block(twice);
    block.accumulate = true;
    kernel(block);
    kernel(block);
    for (const auto &[one, two] :
         {std::pair(gradients.query, twice.query), {gradients.key, twice.key}, {gradients.value, twice.value}}) {
      const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, one);
      const auto host_twice = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, two);
      for (std::size_t index = 0; index < host.size(); ++index) {
        ASSERT_EQ(host_twice.data()[index], 2.0F * host.data()[index]);
      }
    }
  }
}

TEST(AttentionBackward, OverwritesKeyGradientsWhileQueryGradientsAddUp) {
  AttentionCase shape;
  shape.query_tokens = 101;
  shape.key_tokens = 23;                  // one key block, so that doubling is exact
  shape.admission = causal(-40, 1, 0, 1); // 40 rows and some keys meet nothing
  const GradientData data(shape);
  for (const auto kernel : {run_backward, run_team_backward}) {
    const Gradients once = data.filled(poison);
    kernel(data.block(once));
    const Gradients twice = data.filled(0.0F);
    for (int call = 0; call < 2; ++call) {
      Kokkos::deep_copy(twice.key, poison);
      Kokkos::deep_copy(twice.value, poison);
      BackwardBlock block = data.block(twice);
      block.accumulate = true;
      block.overwrite_key_gradients = true;
      kernel(block);
    }
    const auto query = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, once.query);
    const auto query_twice = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, twice.query);
    for (std::size_t index = 0; index < query.size(); ++index) {
      ASSERT_EQ(query_twice.data()[index], 2.0F * query.data()[index]);
    }
    Kokkos::deep_copy(twice.query, once.query);
    EXPECT_TRUE(same_bits(once, twice));
  }
}

TEST(AttentionBackward, HeadsOneByOneEqualTheWholeCallBitForBit) {
  AttentionCase shape;
  shape.query_tokens = 110;
  shape.key_tokens = 1300;
  shape.query_heads = 6;
  shape.kv_heads = 3;
  shape.admission = causal(1190, 1, 0, 1);
  const GradientData data(shape);
  const Gradients whole = data.filled(poison);
  run_backward(data.block(whole));
  for (const std::int64_t threads : {1, 2, 5}) {
    const Gradients apart = data.filled(0.0F);
    for (std::int64_t head = 0; head < 3; ++head) {
      BackwardBlock block = data.block(apart);
      block.accumulate = true;
      block.kv_heads = {head, 1};
      run_backward_cut_for(block, threads);
    }
    EXPECT_TRUE(same_bits(whole, apart)) << threads;
  }
  const Gradients lacking = data.filled(0.0F);
  BackwardBlock block = data.block(lacking);
  block.accumulate = true;
  block.kv_heads = {0, 2};
  run_backward(block);
  EXPECT_FALSE(same_bits(whole, lacking));
  block.kv_heads = {2, 2};
  EXPECT_THROW(run_backward(block), std::invalid_argument);
  block.kv_heads = {0, 2};
  block.accumulate = false; // would clear the query gradients of the other heads
  EXPECT_THROW(run_backward(block), std::invalid_argument);
}

TEST(AttentionBackward, SameBitsForAnyNumberOfThreads) {
  AttentionCase shape;
  shape.query_tokens = 110;
  shape.key_tokens = 1300;
  shape.query_heads = 4;
  shape.head_dim = 64;
  for (const std::int64_t kv_heads : {1, 2, 4}) {
    for (const bool mask : {false, true}) {
      shape.kv_heads = kv_heads;
      shape.admission = mask ? causal(1200, 1, 0, 1) : Admission{};
      const GradientData data(shape);
      const Gradients one = data.filled(poison);
      run_backward_cut_for(data.block(one), 1);
      EXPECT_TRUE(data.compare(one).valid());
      for (const std::int64_t threads : {2, 3, 5, 64}) {
        const Gradients many = data.filled(poison);
        run_backward_cut_for(data.block(many), threads);
        EXPECT_TRUE(same_bits(one, many)) << "kv_heads " << kv_heads << " threads " << threads;
      }
    }
  }
}

} // namespace
} // namespace ringscale::kernels::test
