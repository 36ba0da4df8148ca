// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference_backward.hpp"

#include <stdexcept>

namespace ringscale::kernels {

namespace {

using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
using Matrix = Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace>; // [batch, query_heads, rows, keys]

/// Everything of one problem; places are numbered in row-major order.
struct Reference {
  ReferenceProblem problem;
  ConstTensor4 output_gradient;
  ReferenceGradients gradients;
  Matrix weights;         // P
  Matrix score_gradients; // dS

  KOKKOS_FUNCTION std::int64_t heads() const { return problem.query.extent_int(2); }
  KOKKOS_FUNCTION std::int64_t rows() const { return problem.query.extent_int(1); }
  KOKKOS_FUNCTION std::int64_t keys() const { return problem.key.extent_int(1); }
  KOKKOS_FUNCTION std::int64_t head_dim() const { return problem.query.extent_int(3); }
  KOKKOS_FUNCTION std::int64_t group() const { return heads() / problem.key.extent_int(2); }

  KOKKOS_FUNCTION bool admits(std::int64_t row, std::int64_t key) const {
    return key < problem.admission.admitted_keys(row, keys()) &&
           (problem.mask == nullptr || problem.mask[row * keys() + key] != 0);
  }

  /// What dropout multiplies a weight by: 0 or 1 / (1 - p).
  KOKKOS_FUNCTION double kept(std::int64_t batch, std::int64_t head, std::int64_t row, std::int64_t key) const {
    if (!problem.dropout.active()) {
      return 1.0;
    }
    const Admission &at = problem.admission;
    const bool keeps = problem.dropout.keeps(batch, head, at.query_origin + row * at.query_stride,
                                             at.key_origin + key * at.key_stride);
    return keeps ? 1.0 / (1.0 - static_cast<double>(problem.dropout.probability)) : 0.0;
  }

  KOKKOS_FUNCTION double dot(const float *first, const float *second, bool absolute) const {
    double sum = 0.0;
    for (std::int64_t dim = 0; dim < head_dim(); ++dim) {
      const double product = static_cast<double>(first[dim]) * static_cast<double>(second[dim]);
      sum += absolute ? Kokkos::fabs(product) : product;
    }
    return sum;
  }

  KOKKOS_FUNCTION static void raise(double &largest, double value) {
    // A NaN once met stays: it must not be lost in a bound.
    if (!(value <= largest) && largest == largest) {
      largest = value;
    }
  }

  KOKKOS_FUNCTION void forward_row(std::int64_t batch, std::int64_t row, std::int64_t head,
                                   ReferenceMagnitudes &magnitudes) const {
    const std::int64_t kv_head = head / group();
    double *weight = &weights(batch, head, row, 0);
    const float *query = &problem.query(batch, row, head, 0);
    double largest = -Kokkos::Experimental::infinity_v<double>;
    for (std::int64_t key = 0; key < keys(); ++key) {
      weight[key] = -Kokkos::Experimental::infinity_v<double>;
      if (admits(row, key)) {
        weight[key] = problem.scale * dot(query, &problem.key(batch, key, kv_head, 0), false);
        raise(magnitudes.score, Kokkos::fabs(problem.scale) * dot(query, &problem.key(batch, key, kv_head, 0), true));
        raise(largest, weight[key]);
      }
    }
    double sum = 0.0;
    for (std::int64_t key = 0; key < keys(); ++key) {
      weight[key] = admits(row, key) ? Kokkos::exp(weight[key] - largest) : 0.0;
      sum += weight[key];
    }
    for (std::int64_t key = 0; key < keys(); ++key) {
      weight[key] = sum == 0.0 ? 0.0 : weight[key] / sum;
    }
    const double log_sum_exp = sum == 0.0 ? -Kokkos::Experimental::infinity_v<double> : largest + Kokkos::log(sum);
    if (sum != 0.0) {
      raise(magnitudes.log_sum_exp, Kokkos::fabs(log_sum_exp));
    }
    if (gradients.log_sum_exp.size() > 0) {
      gradients.log_sum_exp(batch, row, head) = log_sum_exp;
    }
    for (std::int64_t dim = 0; gradients.output.size() > 0 && dim < head_dim(); ++dim) {
      double element = 0.0;
      for (std::int64_t key = 0; key < keys(); ++key) {
        element +=
            weight[key] * kept(batch, head, row, key) * static_cast<double>(problem.value(batch, key, kv_head, dim));
      }
      gradients.output(batch, row, head, dim) = element;
    }
  }

  KOKKOS_FUNCTION void backward_row(std::int64_t batch, std::int64_t row, std::int64_t head,
                                    ReferenceMagnitudes &magnitudes) const {
    const std::int64_t kv_head = head / group();
    const double *weight = &weights(batch, head, row, 0);
    double *score_gradient = &score_gradients(batch, head, row, 0);
    const float *upstream = &output_gradient(batch, row, head, 0);
    double output_dot = 0.0;
    for (std::int64_t key = 0; key < keys(); ++key) {
      const float *value = &problem.value(batch, key, kv_head, 0);
      const double factor = admits(row, key) ? kept(batch, head, row, key) : 0.0;
      score_gradient[key] = factor * dot(upstream, value, false);
      raise(magnitudes.weight_gradient, factor * dot(upstream, value, true));
      output_dot += weight[key] * score_gradient[key];
    }
    raise(magnitudes.output_dot, Kokkos::fabs(output_dot));
    for (std::int64_t key = 0; key < keys(); ++key) {
      score_gradient[key] = weight[key] * (score_gradient[key] - output_dot);
    }
    for (std::int64_t dim = 0; dim < head_dim(); ++dim) {
      double gradient = 0.0;
      double absolute = 0.0;
      double weight_sum = 0.0;
      for (std::int64_t key = 0; key < keys(); ++key) {
        const auto element = static_cast<double>(problem.key(batch, key, kv_head, dim));
        gradient += problem.scale * score_gradient[key] * element;
        absolute += Kokkos::fabs(problem.scale * score_gradient[key] * element);
        weight_sum += Kokkos::fabs(problem.scale * weight[key] * element);
      }
      raise(magnitudes.query_sum, absolute);
      raise(magnitudes.query_weight, weight_sum);
      if (gradients.query_gradient.size() > 0) {
        gradients.query_gradient(batch, row, head, dim) = gradient;
      }
    }
  }

  KOKKOS_FUNCTION void backward_key(std::int64_t batch, std::int64_t key, std::int64_t kv_head,
                                    ReferenceMagnitudes &magnitudes) const {
    for (std::int64_t dim = 0; dim < head_dim(); ++dim) {
      double key_gradient = 0.0;
      double value_gradient = 0.0;
      double key_sum = 0.0;
      double key_weight = 0.0;
      double value_sum = 0.0;
      for (std::int64_t head = kv_head * group(); head < (kv_head + 1) * group(); ++head) {
        for (std::int64_t row = 0; row < rows(); ++row) {
          const double weight = weights(batch, head, row, key);
          const double dropped = weight * kept(batch, head, row, key);
          const double score_gradient = problem.scale * score_gradients(batch, head, row, key);
          const auto query = static_cast<double>(problem.query(batch, row, head, dim));
          const auto upstream = static_cast<double>(output_gradient(batch, row, head, dim));
          key_gradient += score_gradient * query;
          value_gradient += dropped * upstream;
          key_sum += Kokkos::fabs(score_gradient * query);
          key_weight += Kokkos::fabs(problem.scale * weight * query);
          value_sum += Kokkos::fabs(dropped * upstream);
        }
      }
      raise(magnitudes.key_sum, key_sum);
      raise(magnitudes.key_weight, key_weight);
      raise(magnitudes.value_sum, value_sum);
      if (gradients.key_gradient.size() > 0) {
        gradients.key_gradient(batch, key, kv_head, dim) = key_gradient;
      }
      if (gradients.value_gradient.size() > 0) {
        gradients.value_gradient(batch, key, kv_head, dim) = value_gradient;
      }
    }
  }
};

/// Largest magnitudes of two places.
struct Join {
  KOKKOS_FUNCTION static void join(ReferenceMagnitudes &into, const ReferenceMagnitudes &from) {
    Reference::raise(into.score, from.score);
    Reference::raise(into.log_sum_exp, from.log_sum_exp);
    Reference::raise(into.weight_gradient, from.weight_gradient);
    Reference::raise(into.output_dot, from.output_dot);
    Reference::raise(into.query_sum, from.query_sum);
    Reference::raise(into.query_weight, from.query_weight);
    Reference::raise(into.key_sum, from.key_sum);
    Reference::raise(into.key_weight, from.key_weight);
    Reference::raise(into.value_sum, from.value_sum);
  }
};

/// A pass over places; `Step` calls one of Reference's functions.
template <class Step> struct Pass {
  using value_type = ReferenceMagnitudes;
  Reference reference;
  std::int64_t tokens;
  std::int64_t heads;
  Step step;

  KOKKOS_FUNCTION void operator()(const std::int64_t place, value_type &magnitudes) const {
    step(reference, place / heads / tokens, place / heads % tokens, place % heads, magnitudes);
  }
  KOKKOS_FUNCTION void init(value_type &magnitudes) const { magnitudes = {}; }
  KOKKOS_FUNCTION void join(value_type &into, const value_type &from) const { Join::join(into, from); }
};

struct RowStep {
  KOKKOS_FUNCTION void operator()(const Reference &reference, std::int64_t batch, std::int64_t row, std::int64_t head,
                                  ReferenceMagnitudes &magnitudes) const {
    reference.forward_row(batch, row, head, magnitudes);
    reference.backward_row(batch, row, head, magnitudes);
  }
};

struct KeyStep {
  KOKKOS_FUNCTION void operator()(const Reference &reference, std::int64_t batch, std::int64_t key,
                                  std::int64_t kv_head, ReferenceMagnitudes &magnitudes) const {
    reference.backward_key(batch, key, kv_head, magnitudes);
  }
};

template <class View, class Shape> bool fits(const View &view, const Shape &shape, int axes) {
  bool same = true;
  for (int axis = 0; axis < axes; ++axis) {
    same = same && view.extent(axis) == shape.extent(axis);
  }
  return same || view.size() == 0;
}

} // namespace

ReferenceMagnitudes reference_attention_backward(const ExecutionSpace &space, const ReferenceProblem &problem,
                                                 ConstTensor4 output_gradient, const ReferenceGradients &gradients) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_attention_backward");
  const ConstTensor4 &query = problem.query;
  const ConstTensor4 &key = problem.key;
  if (key.extent(0) != query.extent(0) || key.extent(3) != query.extent(3) || key.extent(2) == 0 ||
      query.extent(2) % key.extent(2) != 0 || problem.admission.query_stride <= 0 ||
      problem.admission.key_stride <= 0 || !fits(problem.value, key, 4) || !fits(output_gradient, query, 4) ||
      !fits(gradients.output, query, 4) || !fits(gradients.log_sum_exp, query, 3) ||
      !fits(gradients.query_gradient, query, 4) || !fits(gradients.key_gradient, key, 4) ||
      !fits(gradients.value_gradient, key, 4)) {
    throw std::invalid_argument("reference_attention_backward: the shapes of the tensors do not fit each other");
  }
  const Matrix weights("reference_weights", query.extent(0), query.extent(2), query.extent(1), key.extent(1));
  const Matrix score_gradients("reference_score_gradients", query.extent(0), query.extent(2), query.extent(1),
                               key.extent(1));
  const Reference reference{problem, output_gradient, gradients, weights, score_gradients};
  const auto places = [](const ConstTensor4 &tensor) {
    return static_cast<std::int64_t>(tensor.extent(0) * tensor.extent(1) * tensor.extent(2));
  };
  ReferenceMagnitudes of_rows;
  ReferenceMagnitudes of_keys;
  Kokkos::parallel_reduce("ringscale::reference_rows", Policy(space, 0, places(query)),
                          Pass<RowStep>{reference, query.extent_int(1), query.extent_int(2), {}}, of_rows);
  Kokkos::parallel_reduce("ringscale::reference_keys", Policy(space, 0, places(key)),
                          Pass<KeyStep>{reference, key.extent_int(1), key.extent_int(2), {}}, of_keys);
  space.fence();
  Join::join(of_rows, of_keys);
  return of_rows;
}

} // namespace ringscale::kernels
