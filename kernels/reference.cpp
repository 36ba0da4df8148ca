// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference.hpp"

#include <stdexcept>

namespace ringscale::kernels {

namespace {

/// One query row of one head; a league rank is (batch, row, query head). All scores of the row are kept in scratch.
struct ReferenceRow {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Dynamic>>;
  using Member = Policy::member_type;

  ConstTensor4 query;
  ConstTensor4 key;
  ConstTensor4 value;
  Admission admission;
  double scale;
  ReferenceTensor4 output;
  ReferenceTensor3 log_sum_exp;

  KOKKOS_FUNCTION double score(const float *query_row, const float *key_row) const {
    // Eight partial sums, so that a compiler may use vector registers without reordering a single sum.
    constexpr int width = 8;
    double sums[width] = {};
    const int head_dim = query.extent_int(3);
    int dim = 0;
    for (; dim + width <= head_dim; dim += width) {
      for (int lane = 0; lane < width; ++lane) {
        sums[lane] += static_cast<double>(query_row[dim + lane]) * static_cast<double>(key_row[dim + lane]);
      }
    }
    double sum = 0.0;
    for (; dim < head_dim; ++dim) {
      sum += static_cast<double>(query_row[dim]) * static_cast<double>(key_row[dim]);
    }
    for (int lane = 0; lane < width; ++lane) {
      sum += sums[lane];
    }
    return sum * scale;
  }

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const int heads = query.extent_int(2);
    const int head = member.league_rank() % heads;
    const int row = member.league_rank() / heads % query.extent_int(1);
    const int batch = member.league_rank() / heads / query.extent_int(1);
    const int kv_head = head / (heads / key.extent_int(2));
    const std::int64_t admitted = admission.admitted_keys(row, key.extent_int(1));
    auto *weights = static_cast<double *>(
        member.team_scratch(1).get_shmem_aligned(static_cast<int>(key.extent(1) * sizeof(double)), 64));

    double largest = -Kokkos::Experimental::infinity_v<double>;
    Kokkos::parallel_reduce(
        Kokkos::TeamThreadRange(member, admitted),
        [&](const std::int64_t token, double &maximum) {
          weights[token] = score(&query(batch, row, head, 0), &key(batch, token, kv_head, 0));
          maximum = weights[token] > maximum ? weights[token] : maximum;
        },
        Kokkos::Max<double>(largest));
    member.team_barrier();
    double sum = 0.0;
    Kokkos::parallel_reduce(
        Kokkos::TeamThreadRange(member, admitted),
        [&](const std::int64_t token, double &total) {
          weights[token] = Kokkos::exp(weights[token] - largest);
          total += weights[token];
        },
        sum);
    member.team_barrier();
    const double inverse = admitted == 0 ? 0.0 : 1.0 / sum;
    // The tokens are the outer loop, so that value rows are read whole; threads share the dimensions.
    constexpr int width = 64;
    const int groups = (query.extent_int(3) + width - 1) / width;
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member, groups), [&](const int group) {
      const int begin = group * width;
      const int count = query.extent_int(3) - begin < width ? query.extent_int(3) - begin : width;
      double sums[width] = {};
      for (std::int64_t token = 0; token < admitted; ++token) {
        const double weight = weights[token];
        const float *values = &value(batch, token, kv_head, begin);
        if (count == width) {
          for (int dim = 0; dim < width; ++dim) {
            sums[dim] += weight * static_cast<double>(values[dim]);
          }
        } else {
          for (int dim = 0; dim < count; ++dim) {
            sums[dim] += weight * static_cast<double>(values[dim]);
          }
        }
      }
      for (int dim = 0; dim < count; ++dim) {
        output(batch, row, head, begin + dim) = sums[dim] * inverse;
      }
    });
    Kokkos::single(Kokkos::PerTeam(member), [&]() {
      log_sum_exp(batch, row, head) =
          admitted == 0 ? -Kokkos::Experimental::infinity_v<double> : largest + Kokkos::log(sum);
    });
  }
};

} // namespace

void reference_attention(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                         const Admission &admission, double scale, ReferenceTensor4 output,
                         ReferenceTensor3 log_sum_exp) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_attention");
  bool fits = key.extent(0) == query.extent(0) && key.extent(3) == query.extent(3) && key.extent(2) > 0 &&
              query.extent(2) % key.extent(2) == 0 && admission.query_stride > 0 && admission.key_stride > 0;
  for (int axis = 0; axis < 4; ++axis) {
    fits = fits && key.extent(axis) == value.extent(axis) && output.extent(axis) == query.extent(axis) &&
           (axis == 3 || log_sum_exp.extent(axis) == query.extent(axis));
  }
  if (!fits) {
    throw std::invalid_argument("reference_attention: the shapes of the tensors do not fit each other");
  }
  const auto league = static_cast<int>(query.extent(0) * query.extent(1) * query.extent(2));
  if (league == 0) {
    return;
  }
  ReferenceRow::Policy policy(space, league, Kokkos::AUTO);
  policy.set_scratch_size(1, Kokkos::PerTeam(static_cast<int>(key.extent(1) * sizeof(double)) + 64));
  Kokkos::parallel_for("ringscale::reference_attention", policy,
                       ReferenceRow{query, key, value, admission, scale, output, log_sum_exp});
}

void reference_attention(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                         bool causal, std::int64_t query_position_begin, double scale, ReferenceTensor4 output,
                         ReferenceTensor3 log_sum_exp) {
  Admission admission;
  admission.causal = causal;
  admission.query_origin = query_position_begin;
  reference_attention(space, query, key, value, admission, scale, output, log_sum_exp);
}

} // namespace ringscale::kernels
