// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference_rows.hpp"

#include <stdexcept>

namespace ringscale::kernels {

namespace {

using Policy = Kokkos::TeamPolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Dynamic>>;
using Member = Policy::member_type;

/// Eight partial sums, so that a compiler may use vector registers without reordering a single sum.
KOKKOS_INLINE_FUNCTION double dot(const float *first, const float *second, int count) {
  constexpr int width = 8;
  double sums[width] = {};
  int index = 0;
  for (; index + width <= count; index += width) {
    for (int lane = 0; lane < width; ++lane) {
      sums[lane] += static_cast<double>(first[index + lane]) * static_cast<double>(second[index + lane]);
    }
  }
  double sum = 0.0;
  for (; index < count; ++index) {
    sum += static_cast<double>(first[index]) * static_cast<double>(second[index]);
  }
  for (int lane = 0; lane < width; ++lane) {
    sum += sums[lane];
  }
  return sum;
}

/// Sum of the absolute products.
KOKKOS_INLINE_FUNCTION double absolute_dot(const float *first, const float *second, int count) {
  double sum = 0.0;
  for (int index = 0; index < count; ++index) {
    sum += Kokkos::abs(static_cast<double>(first[index]) * static_cast<double>(second[index]));
  }
  return sum;
}

KOKKOS_INLINE_FUNCTION void add_absolute(double *into, double factor, const float *row, int count) {
  for (int index = 0; index < count; ++index) {
    into[index] += Kokkos::abs(factor * static_cast<double>(row[index]));
  }
}

/// Places in Magnitudes.
enum : int { score, log_sum_exp, weight_gradient, output_dot, query_sum, query_weight, key_sum, key_weight, value_sum };

KOKKOS_INLINE_FUNCTION void raise(const Magnitudes &magnitudes, int which, double value) {
  Kokkos::atomic_max(&magnitudes(which), value);
}

KOKKOS_INLINE_FUNCTION void raise_to_largest(const Magnitudes &magnitudes, int which, const double *values, int count) {
  double largest = 0.0;
  for (int index = 0; index < count; ++index) {
    largest = values[index] > largest ? values[index] : largest;
  }
  raise(magnitudes, which, largest);
}

KOKKOS_INLINE_FUNCTION void clear(double *values, int count) {
  for (int index = 0; index < count; ++index) {
    values[index] = 0.0;
  }
}

KOKKOS_INLINE_FUNCTION void add_scaled(double *into, double factor, const float *row, int count) {
  for (int index = 0; index < count; ++index) {
    into[index] += factor * static_cast<double>(row[index]);
  }
}

/// A league rank is (batch, row, query head); the row's weights are kept in scratch.
struct QueryRow {
  ReferenceRows rows;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const int heads = rows.query.extent_int(2);
    const int head = member.league_rank() % heads;
    const int row = member.league_rank() / heads % rows.query.extent_int(1);
    const int batch = member.league_rank() / heads / rows.query.extent_int(1);
    const int kv_head = head / (heads / rows.key.extent_int(2));
    const int keys = rows.key.extent_int(1);
    const int head_dim = rows.query.extent_int(3);
    auto *weights = static_cast<double *>(
        member.team_scratch(1).get_shmem_aligned(static_cast<std::size_t>(keys + 2 * head_dim) * sizeof(double), 64));
    const double none = -Kokkos::Experimental::infinity_v<double>;
    double largest = none;
    Kokkos::parallel_reduce(
        Kokkos::TeamThreadRange(member, keys),
        [&](const int key, double &maximum) {
          const int times = rows.multiplicity(batch % rows.multiplicity.extent_int(0), head, row, key);
          weights[key] = times == 0 ? none
                                    : rows.scale * dot(&rows.query(batch, row, head, 0),
                                                       &rows.key(batch, key, kv_head, 0), head_dim);
          // Whatever a NaN does to the maximum, it reaches the result through its weight.
          maximum = weights[key] <= maximum ? maximum : weights[key];
        },
        Kokkos::Max<double>(largest));
    member.team_barrier();
    double sum = 0.0;
    Kokkos::parallel_reduce(
        Kokkos::TeamThreadRange(member, keys),
        [&](const int key, double &total) {
          const int times = rows.multiplicity(batch % rows.multiplicity.extent_int(0), head, row, key);
          weights[key] = times == 0 ? 0.0 : times * Kokkos::exp(weights[key] - largest);
          total += weights[key];
        },
        sum);
    member.team_barrier();
    Kokkos::single(Kokkos::PerTeam(member), [&]() { finish(batch, row, head, kv_head, weights, largest, sum); });
    member.team_barrier();
  }

private:
  KOKKOS_FUNCTION double factor(int batch, int head, int row, int key) const {
    if (rows.kept == nullptr) {
      return rows.kept_factor;
    }
    const std::int64_t line =
        (static_cast<std::int64_t>(batch) * rows.query.extent_int(2) + head) * rows.query.extent_int(1) + row;
    return rows.kept[line * rows.key.extent_int(1) + key] == 0 ? 0.0 : rows.kept_factor;
  }

  KOKKOS_FUNCTION void finish(int batch, int row, int head, int kv_head, double *weights, double largest,
                              double sum) const {
    const int keys = rows.key.extent_int(1);
    const int head_dim = rows.query.extent_int(3);
    // The largest weight is 1, so that only a row that admits nothing sums to 0.
    const bool empty = sum == 0.0;
    const double inverse = empty ? 0.0 : 1.0 / sum;
    double *output = &rows.output(batch, row, head, 0);
    clear(output, head_dim);
    for (int key = 0; key < keys; ++key) {
      if (weights[key] != 0.0) {
        add_scaled(output, weights[key] * inverse * factor(batch, head, row, key), &rows.value(batch, key, kv_head, 0),
                   head_dim);
      }
    }
    rows.log_sum_exp(batch, row, head) = empty ? -Kokkos::Experimental::infinity_v<double> : largest + Kokkos::log(sum);
    if (rows.output_gradient.size() == 0) {
      return;
    }
    const float *gradient = &rows.output_gradient(batch, row, head, 0);
    double dot_of_row = 0.0;
    for (int dim = 0; dim < head_dim; ++dim) {
      dot_of_row += output[dim] * static_cast<double>(gradient[dim]);
    }
    rows.output_dot(batch, row, head) = dot_of_row;
    double *query_gradient = &rows.query_gradient(batch, row, head, 0);
    double *sum_of_absolutes = weights + keys;
    double *weight_of_absolutes = sum_of_absolutes + head_dim;
    clear(query_gradient, head_dim);
    clear(sum_of_absolutes, 2 * head_dim);
    double largest_score = 0.0;
    double largest_gradient = 0.0;
    for (int key = 0; key < keys; ++key) {
      if (weights[key] != 0.0) {
        const float *key_row = &rows.key(batch, key, kv_head, 0);
        const float *value_row = &rows.value(batch, key, kv_head, 0);
        const double kept = factor(batch, head, row, key);
        const double weight = rows.scale * weights[key] * inverse;
        const double score_gradient = weight * (kept * dot(gradient, value_row, head_dim) - dot_of_row);
        add_scaled(query_gradient, score_gradient, key_row, head_dim);
        add_absolute(sum_of_absolutes, score_gradient, key_row, head_dim);
        add_absolute(weight_of_absolutes, weight, key_row, head_dim);
        largest_score = Kokkos::fmax(largest_score, absolute_dot(&rows.query(batch, row, head, 0), key_row, head_dim));
        largest_gradient = Kokkos::fmax(largest_gradient, kept * absolute_dot(gradient, value_row, head_dim));
      }
    }
    raise(rows.magnitudes, score, rows.scale * largest_score);
    raise(rows.magnitudes, log_sum_exp, empty ? 0.0 : Kokkos::abs(rows.log_sum_exp(batch, row, head)));
    raise(rows.magnitudes, weight_gradient, largest_gradient);
    raise(rows.magnitudes, output_dot, Kokkos::abs(dot_of_row));
    raise_to_largest(rows.magnitudes, query_sum, sum_of_absolutes, head_dim);
    raise_to_largest(rows.magnitudes, query_weight, weight_of_absolutes, head_dim);
  }
};

/// A league rank is (batch, key row, key/value head), one thread of it: a reference has to be simple.
struct KeyRow {
  ReferenceKeyRows rows;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const int kv_heads = rows.key.extent_int(2);
    const int kv_head = member.league_rank() % kv_heads;
    const int row = member.league_rank() / kv_heads % rows.key.extent_int(1);
    const int batch = member.league_rank() / kv_heads / rows.key.extent_int(1);
    const std::size_t scratch_bytes = 3 * static_cast<std::size_t>(rows.key.extent_int(3)) * sizeof(double);
    auto *scratch = static_cast<double *>(member.team_scratch(1).get_shmem_aligned(scratch_bytes, 64));
    Kokkos::single(Kokkos::PerTeam(member), [&]() { compute(batch, row, kv_head, scratch); });
    member.team_barrier();
  }

private:
  KOKKOS_FUNCTION void compute(int batch, int row, int kv_head, double *absolutes) const {
    const int head_dim = rows.key.extent_int(3);
    const int heads = rows.query.extent_int(2);
    const int queries = rows.query.extent_int(1);
    const int group = heads / rows.key.extent_int(2);
    double *key_gradient = &rows.key_gradient(batch, row, kv_head, 0);
    double *value_gradient = &rows.value_gradient(batch, row, kv_head, 0);
    clear(key_gradient, head_dim);
    clear(value_gradient, head_dim);
    clear(absolutes, 3 * head_dim);
    const float *key = &rows.key(batch, row, kv_head, 0);
    const float *value = &rows.value(batch, row, kv_head, 0);
    for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (int query = 0; query < queries; ++query) {
        const int times = rows.multiplicity(batch % rows.multiplicity.extent_int(0), head, query, row);
        if (times == 0) {
          continue;
        }
        const float *query_row = &rows.query(batch, query, head, 0);
        const float *gradient = &rows.output_gradient(batch, query, head, 0);
        const double weight =
            times * Kokkos::exp(rows.scale * dot(query_row, key, head_dim) - rows.log_sum_exp(batch, query, head));
        double factor = rows.kept_factor;
        if (rows.kept != nullptr) {
          const std::int64_t line = (static_cast<std::int64_t>(batch) * heads + head) * queries + query;
          factor = rows.kept[line * rows.key.extent_int(1) + row] == 0 ? 0.0 : factor;
        }
        const double score_gradient =
            rows.scale * weight * (factor * dot(gradient, value, head_dim) - rows.output_dot(batch, query, head));
        add_scaled(value_gradient, weight * factor, gradient, head_dim);
        add_scaled(key_gradient, score_gradient, query_row, head_dim);
        add_absolute(absolutes, score_gradient, query_row, head_dim);
        add_absolute(absolutes + head_dim, rows.scale * weight, query_row, head_dim);
        add_absolute(absolutes + 2 * head_dim, weight * factor, gradient, head_dim);
      }
    }
    raise_to_largest(rows.magnitudes, key_sum, absolutes, head_dim);
    raise_to_largest(rows.magnitudes, key_weight, absolutes + head_dim, head_dim);
    raise_to_largest(rows.magnitudes, value_sum, absolutes + 2 * head_dim, head_dim);
  }
};

void require(bool fits) {
  if (!fits) {
    throw std::invalid_argument("reference rows: the shapes of the tensors do not fit each other");
  }
}

template <class First, class Second> bool same_extents(const First &first, const Second &second, int axes) {
  for (int axis = 0; axis < axes; ++axis) {
    if (first.extent(axis) != second.extent(axis)) {
      return false;
    }
  }
  return true;
}

bool heads_fit(const ConstTensor4 &query, const ConstTensor4 &key) {
  return query.extent(0) == key.extent(0) && query.extent(3) == key.extent(3) && key.extent(2) > 0 &&
         query.extent(2) % key.extent(2) == 0;
}

bool multiplicity_fits(const Multiplicity &multiplicity, const ConstTensor4 &query, const ConstTensor4 &key) {
  return (multiplicity.extent(0) == 1 || multiplicity.extent(0) == query.extent(0)) &&
         multiplicity.extent(1) == query.extent(2) && multiplicity.extent(2) == query.extent(1) &&
         multiplicity.extent(3) == key.extent(1);
}

} // namespace

void reference_rows(const ExecutionSpace &space, const ReferenceRows &rows) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_rows");
  require(heads_fit(rows.query, rows.key) && same_extents(rows.key, rows.value, 4) &&
          multiplicity_fits(rows.multiplicity, rows.query, rows.key) && same_extents(rows.output, rows.query, 4) &&
          same_extents(rows.log_sum_exp, rows.query, 3));
  require(rows.output_gradient.size() == 0 ||
          (same_extents(rows.output_gradient, rows.query, 4) && same_extents(rows.query_gradient, rows.query, 4) &&
           same_extents(rows.output_dot, rows.query, 3) && rows.magnitudes.extent(0) == magnitude_count));
  const auto league = static_cast<int>(rows.query.extent(0) * rows.query.extent(1) * rows.query.extent(2));
  if (league == 0) {
    return;
  }
  Policy policy(space, league, Kokkos::AUTO);
  const std::size_t scratch_elements = rows.key.extent(1) + 2 * rows.key.extent(3);
  policy.set_scratch_size(1, Kokkos::PerTeam(static_cast<int>(scratch_elements * sizeof(double)) + 64));
  Kokkos::parallel_for("ringscale::reference_rows", policy, QueryRow{rows});
}

void reference_key_rows(const ExecutionSpace &space, const ReferenceKeyRows &rows) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_key_rows");
  require(heads_fit(rows.query, rows.key) && same_extents(rows.key, rows.value, 4) &&
          same_extents(rows.query, rows.output_gradient, 4) &&
          multiplicity_fits(rows.multiplicity, rows.query, rows.key) && same_extents(rows.log_sum_exp, rows.query, 3) &&
          same_extents(rows.output_dot, rows.query, 3) && same_extents(rows.key_gradient, rows.key, 4) &&
          same_extents(rows.value_gradient, rows.value, 4) && rows.magnitudes.extent(0) == magnitude_count);
  const auto league = static_cast<int>(rows.key.extent(0) * rows.key.extent(1) * rows.key.extent(2));
  if (league == 0) {
    return;
  }
  Policy policy(space, league, Kokkos::AUTO);
  policy.set_scratch_size(1, Kokkos::PerTeam(static_cast<int>(3 * rows.key.extent(3) * sizeof(double)) + 64));
  Kokkos::parallel_for("ringscale::reference_key_rows", policy, KeyRow{rows});
}

} // namespace ringscale::kernels
