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
        member.team_scratch(1).get_shmem_aligned(static_cast<std::size_t>(keys) * sizeof(double), 64));
    const double none = -Kokkos::Experimental::infinity_v<double>;
    double largest = none;
    Kokkos::parallel_reduce(
        Kokkos::TeamThreadRange(member, keys),
        [&](const int key, double &maximum) {
          const int times = rows.multiplicity(head, row, key);
          weights[key] = times == 0 ? none
                                    : rows.scale * dot(&rows.query(batch, row, head, 0),
                                                       &rows.key(batch, key, kv_head, 0), head_dim);
          // A NaN is kept, so that it reaches the result.
          maximum = weights[key] <= maximum ? maximum : weights[key];
        },
        Kokkos::Max<double>(largest));
    member.team_barrier();
    double sum = 0.0;
    Kokkos::parallel_reduce(
        Kokkos::TeamThreadRange(member, keys),
        [&](const int key, double &total) {
          const int times = rows.multiplicity(head, row, key);
          weights[key] = times == 0 ? 0.0 : times * Kokkos::exp(weights[key] - largest);
          total += weights[key];
        },
        sum);
    member.team_barrier();
    Kokkos::single(Kokkos::PerTeam(member), [&]() { finish(batch, row, head, kv_head, weights, largest, sum); });
  }

private:
  KOKKOS_FUNCTION double factor(int batch, int head, int row, int key) const {
    if (rows.dropout_factor == nullptr) {
      return 1.0;
    }
    const std::int64_t line =
        (static_cast<std::int64_t>(batch) * rows.query.extent_int(2) + head) * rows.query.extent_int(1) + row;
    return static_cast<double>(rows.dropout_factor[line * rows.key.extent_int(1) + key]);
  }

  KOKKOS_FUNCTION void finish(int batch, int row, int head, int kv_head, const double *weights, double largest,
                              double sum) const {
    const int keys = rows.key.extent_int(1);
    const int head_dim = rows.query.extent_int(3);
    const bool empty = largest == -Kokkos::Experimental::infinity_v<double>;
    const double inverse = empty ? 0.0 : 1.0 / sum;
    double *output = &rows.output(batch, row, head, 0);
    for (int dim = 0; dim < head_dim; ++dim) {
      output[dim] = 0.0;
    }
    for (int key = 0; key < keys; ++key) {
      if (weights[key] != 0.0) {
        add_scaled(output, weights[key] * inverse * factor(batch, head, row, key), &rows.value(batch, key, kv_head, 0),
                   head_dim);
      }
    }
    rows.log_sum_exp(batch, row, head) = empty ? largest : largest + Kokkos::log(sum);
    if (rows.output_gradient.size() == 0) {
      return;
    }
    const float *gradient = &rows.output_gradient(batch, row, head, 0);
    double output_dot = 0.0;
    for (int dim = 0; dim < head_dim; ++dim) {
      output_dot += output[dim] * static_cast<double>(gradient[dim]);
    }
    rows.output_dot(batch, row, head) = output_dot;
    double *query_gradient = &rows.query_gradient(batch, row, head, 0);
    for (int dim = 0; dim < head_dim; ++dim) {
      query_gradient[dim] = 0.0;
    }
    for (int key = 0; key < keys; ++key) {
      if (weights[key] != 0.0) {
        const double weight_gradient =
            factor(batch, head, row, key) * dot(gradient, &rows.value(batch, key, kv_head, 0), head_dim);
        add_scaled(query_gradient, rows.scale * weights[key] * inverse * (weight_gradient - output_dot),
                   &rows.key(batch, key, kv_head, 0), head_dim);
      }
    }
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
    Kokkos::single(Kokkos::PerTeam(member), [&]() { compute(batch, row, kv_head); });
  }

private:
  KOKKOS_FUNCTION void compute(int batch, int row, int kv_head) const {
    const int head_dim = rows.key.extent_int(3);
    const int heads = rows.query.extent_int(2);
    const int queries = rows.query.extent_int(1);
    const int group = heads / rows.key.extent_int(2);
    double *key_gradient = &rows.key_gradient(batch, row, kv_head, 0);
    double *value_gradient = &rows.value_gradient(batch, row, kv_head, 0);
    for (int dim = 0; dim < head_dim; ++dim) {
      key_gradient[dim] = 0.0;
      value_gradient[dim] = 0.0;
    }
    const float *key = &rows.key(batch, row, kv_head, 0);
    const float *value = &rows.value(batch, row, kv_head, 0);
    for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (int query = 0; query < queries; ++query) {
        const int times = rows.multiplicity(head, query, row);
        if (times == 0) {
          continue;
        }
        const float *query_row = &rows.query(batch, query, head, 0);
        const float *gradient = &rows.output_gradient(batch, query, head, 0);
        const double weight =
            times * Kokkos::exp(rows.scale * dot(query_row, key, head_dim) - rows.log_sum_exp(batch, query, head));
        double factor = 1.0;
        if (rows.dropout_factor != nullptr) {
          const std::int64_t line = (static_cast<std::int64_t>(batch) * heads + head) * queries + query;
          factor = static_cast<double>(rows.dropout_factor[line * rows.key.extent_int(1) + row]);
        }
        add_scaled(value_gradient, weight * factor, gradient, head_dim);
        const double weight_gradient = factor * dot(gradient, value, head_dim);
        add_scaled(key_gradient, rows.scale * weight * (weight_gradient - rows.output_dot(batch, query, head)),
                   query_row, head_dim);
      }
    }
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
  return multiplicity.extent(0) == query.extent(2) && multiplicity.extent(1) == query.extent(1) &&
         multiplicity.extent(2) == key.extent(1);
}

} // namespace

void reference_rows(const ExecutionSpace &space, const ReferenceRows &rows) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_rows");
  require(heads_fit(rows.query, rows.key) && same_extents(rows.key, rows.value, 4) &&
          multiplicity_fits(rows.multiplicity, rows.query, rows.key) && same_extents(rows.output, rows.query, 4) &&
          same_extents(rows.log_sum_exp, rows.query, 3));
  require(rows.output_gradient.size() == 0 ||
          (same_extents(rows.output_gradient, rows.query, 4) && same_extents(rows.query_gradient, rows.query, 4) &&
           same_extents(rows.output_dot, rows.query, 3)));
  const auto league = static_cast<int>(rows.query.extent(0) * rows.query.extent(1) * rows.query.extent(2));
  if (league == 0) {
    return;
  }
  Policy policy(space, league, Kokkos::AUTO);
  policy.set_scratch_size(1, Kokkos::PerTeam(static_cast<int>(rows.key.extent(1) * sizeof(double)) + 64));
  Kokkos::parallel_for("ringscale::reference_rows", policy, QueryRow{rows});
}

void reference_key_rows(const ExecutionSpace &space, const ReferenceKeyRows &rows) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_key_rows");
  require(heads_fit(rows.query, rows.key) && same_extents(rows.key, rows.value, 4) &&
          same_extents(rows.query, rows.output_gradient, 4) &&
          multiplicity_fits(rows.multiplicity, rows.query, rows.key) && same_extents(rows.log_sum_exp, rows.query, 3) &&
          same_extents(rows.output_dot, rows.query, 3) && same_extents(rows.key_gradient, rows.key, 4) &&
          same_extents(rows.value_gradient, rows.value, 4));
  const auto league = static_cast<int>(rows.key.extent(0) * rows.key.extent(1) * rows.key.extent(2));
  if (league > 0) {
    Kokkos::parallel_for("ringscale::reference_key_rows", Policy(space, league, Kokkos::AUTO), KeyRow{rows});
  }
}

} // namespace ringscale::kernels
