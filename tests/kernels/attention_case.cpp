// SPDX-License-Identifier: Apache-2.0
#include "attention_case.hpp"

#include <cmath>

#include "problem/synthetic.hpp"

namespace ringscale::kernels::test {

std::string AttentionCase::text() const {
  return "batch " + std::to_string(batch) + " query_tokens " + std::to_string(query_tokens) + " key_tokens " +
         std::to_string(key_tokens) + " heads " + std::to_string(query_heads) + "/" + std::to_string(kv_heads) +
         " head_dim " + std::to_string(head_dim) +
         (admission.causal ? " causal, queries " + std::to_string(admission.query_origin) + "+" +
                                 std::to_string(admission.query_stride) + "i, keys " +
                                 std::to_string(admission.key_origin) + "+" + std::to_string(admission.key_stride) + "j"
                           : "");
}

namespace {

void fill(const Owned4 &tensor, std::uint64_t seed, problem::Tensor kind, double factor) {
  const auto host = Kokkos::create_mirror_view(tensor);
  for (std::size_t batch = 0; batch < host.extent(0); ++batch) {
    for (std::size_t token = 0; token < host.extent(1); ++token) {
      for (std::size_t head = 0; head < host.extent(2); ++head) {
        for (std::size_t dim = 0; dim < host.extent(3); ++dim) {
          host(batch, token, head, dim) = static_cast<float>(
              factor * static_cast<double>(problem::synthetic_value(
                           seed, kind, static_cast<std::int64_t>(batch), static_cast<std::int64_t>(token),
                           static_cast<std::int64_t>(head), static_cast<std::int64_t>(dim))));
        }
      }
    }
  }
  Kokkos::deep_copy(tensor, host);
}

} // namespace

CaseData::CaseData(const AttentionCase &attention_case)
    : shape(attention_case), query("query", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      key("key", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      value("value", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      reference_output("reference output", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      reference_log_sum_exp("reference lse", shape.batch, shape.query_tokens, shape.query_heads),
      packed_("packed", packed_elements(shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim)) {
  fill(query, shape.seed, problem::Tensor::query, shape.query_factor);
  fill(key, shape.seed, problem::Tensor::key, 1.0);
  fill(value, shape.seed, problem::Tensor::value, 1.0);
  compute_reference();
}

void CaseData::compute_reference() {
  const ExecutionSpace space;
  pack_key_value(space, key, value, 0, shape.key_tokens, packed_.data());
  reference_attention(space, query, key, value, shape.admission, problem::softmax_scale(shape.head_dim),
                      reference_output, reference_log_sum_exp);
  space.fence();
}

AttentionBlock CaseData::block(const Partial &partial) const {
  AttentionBlock block;
  block.query = query;
  block.packed_key_value = packed_.data();
  block.key_tokens = shape.key_tokens;
  block.kv_heads = shape.kv_heads;
  block.query_begin = 0;
  block.query_end = shape.query_tokens;
  block.admission = shape.admission;
  block.scale = static_cast<float>(problem::softmax_scale(shape.head_dim));
  block.output = partial.output;
  block.log_sum_exp = partial.log_sum_exp;
  return block;
}

AttentionBlock CaseData::span_block(const Partial &partial, std::int64_t key_begin, std::int64_t key_count,
                                    Owned1 &packed) const {
  packed = Owned1("span", packed_elements(shape.batch, key_count, shape.kv_heads, shape.head_dim));
  const ExecutionSpace space;
  pack_key_value(space, key, value, key_begin, key_count, packed.data());
  space.fence();
  AttentionBlock span = block(partial);
  span.packed_key_value = packed.data();
  span.key_tokens = key_count;
  span.admission.key_origin += key_begin * span.admission.key_stride;
  return span;
}

Partial CaseData::empty_partial() const {
  Partial partial{Owned4("output", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
                  Owned3("log-sum-exp", shape.batch, shape.query_tokens, shape.query_heads)};
  Kokkos::deep_copy(partial.log_sum_exp, -std::numeric_limits<float>::infinity());
  return partial;
}

Partial CaseData::poisoned_partial() const {
  const Partial partial = empty_partial();
  Kokkos::deep_copy(partial.output, std::numeric_limits<float>::quiet_NaN());
  Kokkos::deep_copy(partial.log_sum_exp, std::numeric_limits<float>::quiet_NaN());
  return partial;
}

Comparison CaseData::compare(const Partial &partial, std::int64_t merges) const {
  const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
  const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.log_sum_exp);
  const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, reference_output);
  const auto expected_lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, reference_log_sum_exp);
  Comparison comparison;
  // A NaN once met stays: nothing is larger than it.
  const auto keep_larger = [](double &largest, double error) {
    if (std::isnan(error) || error > largest) {
      largest = error;
    }
  };
  for (std::size_t index = 0; index < output.size(); ++index) {
    keep_larger(comparison.max_error, std::abs(static_cast<double>(output.data()[index]) - expected.data()[index]));
  }
  for (std::size_t index = 0; index < lse.size(); ++index) {
    const auto found = static_cast<double>(lse.data()[index]);
    const bool same_infinity = std::isinf(found) && found == expected_lse.data()[index];
    keep_larger(comparison.max_lse_error, same_infinity ? 0.0 : std::abs(found - expected_lse.data()[index]));
  }
  problem::DataMagnitude magnitude = problem::synthetic_magnitude(shape.head_dim);
  magnitude.max_query_norm *= shape.query_factor;
  comparison.bound =
      problem::attention_error_bound(problem::DType::float32, shape.key_tokens, shape.head_dim, merges, magnitude);
  return comparison;
}

void run_streamed(const AttentionBlock &block) {
  const ExecutionSpace space;
  attention_block(space, block);
  space.fence();
}

void run_materialised(const AttentionBlock &block) {
  const ExecutionSpace space;
  const Owned1 scores("scores", materialised_score_elements(block));
  attention_block_materialised(space, block, scores.data());
  space.fence();
}

} // namespace ringscale::kernels::test
