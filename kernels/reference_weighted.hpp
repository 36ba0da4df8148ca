// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Gradients of the loss sum(output * output_gradient), in double precision; shapes as query, key and value.
struct ReferenceGradient {
  ReferenceTensor4 query;
  ReferenceTensor4 key;
  ReferenceTensor4 value;
};

namespace reference {

using Rows = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;

KOKKOS_INLINE_FUNCTION double dot(const float *first, const float *second, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t index = 0; index < count; ++index) {
    sum += static_cast<double>(first[index]) * static_cast<double>(second[index]);
  }
  return sum;
}

/// Attention with multiplicities m(batch, head, query row, key row) >= 0 by its definition, a row at a time: output =
/// V weighted by m exp(s) / sum m exp(s), log-sum-exp = log sum m exp(s); nothing admitted: 0 and -infinity.
template <class Multiplicity> struct WeightedRow {
  ConstTensor4 query, key, value;
  Multiplicity multiplicity;
  double scale;
  ReferenceTensor4 output;
  ReferenceTensor3 log_sum_exp;

  KOKKOS_FUNCTION void operator()(const std::int64_t index) const {
    const int heads = query.extent_int(2);
    const int head = static_cast<int>(index % heads);
    const int row = static_cast<int>(index / heads % query.extent_int(1));
    const int batch = static_cast<int>(index / heads / query.extent_int(1));
    const int kv_head = head / (heads / key.extent_int(2));
    const int head_dim = query.extent_int(3);
    double largest = -Kokkos::Experimental::infinity_v<double>;
    for (int token = 0; token < key.extent_int(1); ++token) {
      if (multiplicity(batch, head, row, token) > 0) {
        const double score = scale * dot(&query(batch, row, head, 0), &key(batch, token, kv_head, 0), head_dim);
        largest = score > largest || score != score ? score : largest;
      }
    }
    for (int dim = 0; dim < head_dim; ++dim) {
      output(batch, row, head, dim) = 0.0;
    }
    double sum = 0.0;
    for (int token = 0; token < key.extent_int(1); ++token) {
      const auto times = static_cast<double>(multiplicity(batch, head, row, token));
      if (times > 0.0) {
        const double score = scale * dot(&query(batch, row, head, 0), &key(batch, token, kv_head, 0), head_dim);
        const double weight = times * Kokkos::exp(score - largest);
        sum += weight;
        for (int dim = 0; dim < head_dim; ++dim) {
          output(batch, row, head, dim) += weight * static_cast<double>(value(batch, token, kv_head, dim));
        }
      }
    }
    log_sum_exp(batch, row, head) = sum == 0.0 ? -Kokkos::Experimental::infinity_v<double> : largest + Kokkos::log(sum);
    for (int dim = 0; sum != 0.0 && dim < head_dim; ++dim) {
      output(batch, row, head, dim) /= sum;
    }
  }
};

/// Gradient of a query row, and the row's sum over keys of p dP, which the key rows need.
template <class Multiplicity> struct WeightedQueryGradient {
  ConstTensor4 query, key, value, output_gradient;
  Multiplicity multiplicity;
  double scale;
  ReferenceTensor3 log_sum_exp;
  ReferenceTensor4 query_gradient;
  ReferenceTensor3 row_dot;

  KOKKOS_FUNCTION void operator()(const std::int64_t index) const {
    const int heads = query.extent_int(2);
    const int head = static_cast<int>(index % heads);
    const int row = static_cast<int>(index / heads % query.extent_int(1));
    const int batch = static_cast<int>(index / heads / query.extent_int(1));
    const int kv_head = head / (heads / key.extent_int(2));
    const int head_dim = query.extent_int(3);
    for (int dim = 0; dim < head_dim; ++dim) {
      query_gradient(batch, row, head, dim) = 0.0;
    }
    row_dot(batch, row, head) = 0.0;
    for (const bool second_pass : {false, true}) {
      for (int token = 0; token < key.extent_int(1); ++token) {
        const auto times = static_cast<double>(multiplicity(batch, head, row, token));
        if (times == 0.0) {
          continue;
        }
        const double score = scale * dot(&query(batch, row, head, 0), &key(batch, token, kv_head, 0), head_dim);
        const double weight = times * Kokkos::exp(score - log_sum_exp(batch, row, head));
        const double weight_gradient =
            dot(&output_gradient(batch, row, head, 0), &value(batch, token, kv_head, 0), head_dim);
        if (!second_pass) {
          row_dot(batch, row, head) += weight * weight_gradient;
          continue;
        }
        const double score_gradient = weight * (weight_gradient - row_dot(batch, row, head));
        for (int dim = 0; dim < head_dim; ++dim) {
          query_gradient(batch, row, head, dim) +=
              scale * score_gradient * static_cast<double>(key(batch, token, kv_head, dim));
        }
      }
    }
  }
};

/// Gradients of a key and its value: sums over all rows of all query heads that read them.
template <class Multiplicity> struct WeightedKeyValueGradient {
  ConstTensor4 query, key, value, output_gradient;
  Multiplicity multiplicity;
  double scale;
  ReferenceTensor3 log_sum_exp;
  ReferenceTensor3 row_dot;
  ReferenceTensor4 key_gradient, value_gradient;

  KOKKOS_FUNCTION void operator()(const std::int64_t index) const {
    const int kv_heads = key.extent_int(2);
    const int kv_head = static_cast<int>(index % kv_heads);
    const int token = static_cast<int>(index / kv_heads % key.extent_int(1));
    const int batch = static_cast<int>(index / kv_heads / key.extent_int(1));
    const int heads = query.extent_int(2) / kv_heads;
    const int head_dim = query.extent_int(3);
    for (int dim = 0; dim < head_dim; ++dim) {
      key_gradient(batch, token, kv_head, dim) = 0.0;
      value_gradient(batch, token, kv_head, dim) = 0.0;
    }
    for (int head = kv_head * heads; head < (kv_head + 1) * heads; ++head) {
      for (int row = 0; row < query.extent_int(1); ++row) {
        const auto times = static_cast<double>(multiplicity(batch, head, row, token));
        if (times == 0.0) {
          continue;
        }
        const double score = scale * dot(&query(batch, row, head, 0), &key(batch, token, kv_head, 0), head_dim);
        const double weight = times * Kokkos::exp(score - log_sum_exp(batch, row, head));
        const double weight_gradient =
            dot(&output_gradient(batch, row, head, 0), &value(batch, token, kv_head, 0), head_dim);
        const double score_gradient = weight * (weight_gradient - row_dot(batch, row, head));
        for (int dim = 0; dim < head_dim; ++dim) {
          key_gradient(batch, token, kv_head, dim) +=
              scale * score_gradient * static_cast<double>(query(batch, row, head, dim));
          value_gradient(batch, token, kv_head, dim) +=
              weight * static_cast<double>(output_gradient(batch, row, head, dim));
        }
      }
    }
  }
};

inline void require_shapes(bool fits, const char *what) {
  if (!fits) {
    throw std::invalid_argument(std::string(what) + ": the shapes of the tensors do not fit each other");
  }
}

template <class First, class Second> bool same_shape(const First &first, const Second &second, int axes = 4) {
  bool same = true;
  for (int axis = 0; axis < axes; ++axis) {
    same = same && first.extent(axis) == second.extent(axis);
  }
  return same;
}

/// Forward over all rows. Multiplicity is copied into device code: (batch, head, row, key) -> number.
template <class Multiplicity>
void weighted_attention(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                        const Multiplicity &multiplicity, double scale, ReferenceTensor4 output,
                        ReferenceTensor3 log_sum_exp) {
  require_shapes(same_shape(key, value) && same_shape(query, output) && same_shape(query, log_sum_exp, 3) &&
                     key.extent(0) == query.extent(0) && key.extent(3) == query.extent(3) && key.extent(2) > 0 &&
                     query.extent(2) % key.extent(2) == 0,
                 "reference attention with multiplicities");
  Kokkos::parallel_for("ringscale::reference_weighted", Rows(space, 0, static_cast<std::int64_t>(log_sum_exp.size())),
                       WeightedRow<Multiplicity>{query, key, value, multiplicity, scale, output, log_sum_exp});
}

/// Gradients, with the log-sum-exps of the forward.
template <class Multiplicity>
void weighted_attention_gradient(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                                 ConstTensor4 output_gradient, const Multiplicity &multiplicity, double scale,
                                 ReferenceTensor3 log_sum_exp, const ReferenceGradient &gradient) {
  require_shapes(same_shape(key, value) && same_shape(query, output_gradient) && same_shape(query, gradient.query) &&
                     same_shape(key, gradient.key) && same_shape(key, gradient.value) &&
                     same_shape(query, log_sum_exp, 3),
                 "reference gradient with multiplicities");
  const Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace> row_dot("row dot", query.extent(0), query.extent(1),
                                                                           query.extent(2));
  const auto key_rows = static_cast<std::int64_t>(key.extent(0) * key.extent(1) * key.extent(2));
  Kokkos::parallel_for("ringscale::reference_query_gradient",
                       Rows(space, 0, static_cast<std::int64_t>(log_sum_exp.size())),
                       WeightedQueryGradient<Multiplicity>{query, key, value, output_gradient, multiplicity, scale,
                                                           log_sum_exp, gradient.query, row_dot});
  Kokkos::parallel_for("ringscale::reference_key_value_gradient", Rows(space, 0, key_rows),
                       WeightedKeyValueGradient<Multiplicity>{query, key, value, output_gradient, multiplicity, scale,
                                                              log_sum_exp, row_dot, gradient.key, gradient.value});
  space.fence(); // row_dot ends here
}

} // namespace reference
} // namespace ringscale::kernels
