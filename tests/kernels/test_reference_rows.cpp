// SPDX-License-Identifier: Apache-2.0
// The reference of chosen rows against the references of whole problems, which share no code with it.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "gradient_case.hpp"
#include "kernels/reference_rows.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::kernels::test {
namespace {

using Times = Kokkos::View<std::uint8_t ****, Kokkos::LayoutRight, MemorySpace>;
using Owned1D = Kokkos::View<double *, MemorySpace>;

// Both sides are in double precision on results of magnitude 10 at most.
constexpr double rounding = 1e-12;

AttentionCase grouped_case() {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = 37;
  shape.key_tokens = 53;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 19;
  shape.admission.causal = true;
  shape.admission.query_origin = -3; // the first three rows admit nothing
  return shape;
}

Times times_of(const AttentionCase &shape) {
  const Times times("times", 1, shape.query_heads, shape.query_tokens, shape.key_tokens);
  for (std::int64_t head = 0; head < shape.query_heads; ++head) {
    for (std::int64_t query = 0; query < shape.query_tokens; ++query) {
      for (std::int64_t key = 0; key < shape.key_tokens; ++key) {
        times(0, head, query, key) = key < shape.admission.admitted_keys(query, shape.key_tokens) ? 1 : 0;
      }
    }
  }
  return times;
}

std::vector<std::uint8_t> kept_pairs(const GradientData &data) {
  const AttentionCase &shape = data.data.shape;
  std::vector<std::uint8_t> kept;
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      for (std::int64_t query = 0; query < shape.query_tokens; ++query) {
        for (std::int64_t key = 0; key < shape.key_tokens; ++key) {
          const bool keeps = data.dropout.keeps(batch, head, shape.admission.query_origin + query, key);
          kept.push_back(keeps ? 1 : 0);
        }
      }
    }
  }
  return kept;
}

/// Everything the two functions compute, for all rows and keys of a case.
struct Computed {
  OwnedReference4 output, query_gradient, key_gradient, value_gradient;
  OwnedReference3 log_sum_exp, output_dot;
  Owned1D magnitudes;
};

Computed compute(const GradientData &data, const Times &times, const std::vector<std::uint8_t> &kept) {
  const AttentionCase &shape = data.data.shape;
  Computed computed;
  const auto like_query = [&](const char *label) {
    return OwnedReference4(label, shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim);
  };
  const auto like_key = [&](const char *label) {
    return OwnedReference4(label, shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim);
  };
  computed.output = like_query("output");
  computed.query_gradient = like_query("query gradient");
  computed.key_gradient = like_key("key gradient");
  computed.value_gradient = like_key("value gradient");
  computed.log_sum_exp = OwnedReference3("lse", shape.batch, shape.query_tokens, shape.query_heads);
  computed.output_dot = OwnedReference3("dot", shape.batch, shape.query_tokens, shape.query_heads);
  computed.magnitudes = Owned1D("magnitudes", magnitude_count);
  ReferenceRows rows;
  rows.query = data.data.query;
  rows.key = data.data.key;
  rows.value = data.data.value;
  rows.multiplicity = times;
  rows.kept = kept.empty() ? nullptr : kept.data();
  rows.kept_factor = 1.0 / (1.0 - static_cast<double>(data.dropout.probability));
  rows.scale = problem::softmax_scale(shape.head_dim);
  rows.output = computed.output;
  rows.log_sum_exp = computed.log_sum_exp;
  rows.output_gradient = data.output_gradient;
  rows.query_gradient = computed.query_gradient;
  rows.output_dot = computed.output_dot;
  rows.magnitudes = computed.magnitudes;
  const ExecutionSpace space;
  reference_rows(space, rows);
  ReferenceKeyRows keys;
  keys.query = data.data.query;
  keys.output_gradient = data.output_gradient;
  keys.key = data.data.key;
  keys.value = data.data.value;
  keys.multiplicity = times;
  keys.kept = rows.kept;
  keys.kept_factor = rows.kept_factor;
  keys.scale = rows.scale;
  keys.log_sum_exp = computed.log_sum_exp;
  keys.output_dot = computed.output_dot;
  keys.key_gradient = computed.key_gradient;
  keys.value_gradient = computed.value_gradient;
  keys.magnitudes = computed.magnitudes;
  reference_key_rows(space, keys);
  space.fence();
  return computed;
}

template <class First, class Second> double largest_difference(const First &first, const Second &second) {
  double largest = 0.0;
  for (std::size_t index = 0; index < first.size(); ++index) {
    const double one = first.data()[index];
    const double other = second.data()[index];
    const double difference = std::isinf(one) && one == other ? 0.0 : std::abs(one - other);
    largest = difference <= largest ? largest : difference;
  }
  return largest;
}

void expect_equal(const GradientData &data, const Computed &computed) {
  EXPECT_TRUE(largest_difference(computed.output, data.output) <= rounding);
  EXPECT_TRUE(largest_difference(computed.log_sum_exp, data.log_sum_exp) <= rounding);
  EXPECT_TRUE(largest_difference(computed.query_gradient, data.query_gradient) <= rounding);
  EXPECT_TRUE(largest_difference(computed.key_gradient, data.key_gradient) <= rounding);
  EXPECT_TRUE(largest_difference(computed.value_gradient, data.value_gradient) <= rounding);
}

TEST(ReferenceRows, EqualTheReferenceOfTheWholeProblem) {
  const GradientData data(grouped_case());
  expect_equal(data, compute(data, times_of(data.data.shape), {}));
}

TEST(ReferenceRows, EqualItWithDropout) {
  const GradientData data(grouped_case(), Dropout{0.3F, 5});
  expect_equal(data, compute(data, times_of(data.data.shape), kept_pairs(data)));
}

TEST(ReferenceRows, MagnitudesAreThoseOfTheWholeProblem) {
  const GradientData data(grouped_case(), Dropout{0.3F, 5});
  const Computed computed = compute(data, times_of(data.data.shape), kept_pairs(data));
  const ReferenceMagnitudes &expected = data.magnitudes;
  const double values[] = {expected.score,      expected.log_sum_exp, expected.weight_gradient,
                           expected.output_dot, expected.query_sum,   expected.query_weight,
                           expected.key_sum,    expected.key_weight,  expected.value_sum};
  for (int index = 0; index < magnitude_count; ++index) {
    EXPECT_NEAR(computed.magnitudes(index), values[index], 1e-9 * values[index]) << index;
  }
}

TEST(ReferenceRows, RowsThatAdmitNothingAreZero) {
  const GradientData data(grouped_case());
  const Computed computed = compute(data, times_of(data.data.shape), {});
  EXPECT_EQ(computed.log_sum_exp(0, 2, 0), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(computed.output(0, 2, 0, 0), 0.0);
  EXPECT_EQ(computed.query_gradient(1, 0, 3, 5), 0.0);
  EXPECT_TRUE(std::isfinite(computed.log_sum_exp(0, 3, 0)));
}

TEST(ReferenceRows, APairThatCountsTwiceWeighsTwice) {
  AttentionCase shape;
  shape.query_tokens = 1;
  shape.key_tokens = 2;
  shape.head_dim = 4;
  const GradientData data(shape);
  const Times times("times", 1, 1, 1, 2);
  times(0, 0, 0, 0) = 2;
  times(0, 0, 0, 1) = 1;
  const Computed computed = compute(data, times, {});
  double scores[2] = {};
  for (int key = 0; key < 2; ++key) {
    for (int dim = 0; dim < 4; ++dim) {
      scores[key] +=
          0.5 * static_cast<double>(data.data.query(0, 0, 0, dim)) * static_cast<double>(data.data.key(0, key, 0, dim));
    }
  }
  const double first = 2.0 * std::exp(scores[0]);
  const double second = std::exp(scores[1]);
  EXPECT_NEAR(computed.log_sum_exp(0, 0, 0), std::log(first + second), rounding);
  EXPECT_NEAR(computed.output(0, 0, 0, 1),
              (first * static_cast<double>(data.data.value(0, 0, 0, 1)) +
               second * static_cast<double>(data.data.value(0, 1, 0, 1))) /
                  (first + second),
              rounding);
}

TEST(ReferenceRows, ALostPairIsSeenInEveryResult) {
  const GradientData data(grouped_case());
  const Times times = times_of(data.data.shape);
  times(0, 1, 30, 7) = 0;
  const Computed computed = compute(data, times, {});
  EXPECT_FALSE(largest_difference(computed.output, data.output) <= rounding);
  EXPECT_FALSE(largest_difference(computed.log_sum_exp, data.log_sum_exp) <= rounding);
  EXPECT_FALSE(largest_difference(computed.query_gradient, data.query_gradient) <= rounding);
  EXPECT_FALSE(largest_difference(computed.key_gradient, data.key_gradient) <= rounding);
  EXPECT_FALSE(largest_difference(computed.value_gradient, data.value_gradient) <= rounding);
}

TEST(ReferenceRows, AnotherDropoutMaskIsSeen) {
  const GradientData data(grouped_case(), Dropout{0.3F, 5});
  const GradientData other(grouped_case(), Dropout{0.3F, 6});
  const Computed computed = compute(data, times_of(data.data.shape), kept_pairs(other));
  EXPECT_FALSE(largest_difference(computed.output, data.output) <= rounding);
}

TEST(ReferenceRows, ShapesThatDoNotFitAreRefused) {
  const GradientData data(grouped_case());
  const Times short_times("times", 1, 4, 37, 52);
  EXPECT_THROW(compute(data, short_times, {}), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
