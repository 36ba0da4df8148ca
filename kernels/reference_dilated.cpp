// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference_dilated.hpp"

namespace ringscale::kernels {

namespace {

/// m[h,i,j], written from the definition and sharing nothing with the kernels but the description of the pattern.
struct GroupsThatAdmit {
  Kokkos::View<const std::int64_t *, MemorySpace> segment_lengths;
  Kokkos::View<const std::int64_t *, MemorySpace> dilation_rates;
  DilationConvention convention;
  std::int64_t query_heads;
  bool causal;
  std::int64_t query_origin;
  std::int64_t key_origin;

  KOKKOS_FUNCTION int operator()(int /*batch*/, std::int64_t head, std::int64_t row, std::int64_t token) const {
    const std::int64_t i = query_origin + row;
    const std::int64_t j = key_origin + token;
    if (causal && j > i) {
      return 0;
    }
    const std::int64_t groups = segment_lengths.extent_int(0);
    int admitting = 0;
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t w = segment_lengths(g);
      const std::int64_t r = dilation_rates(g);
      bool belongs = true;
      std::int64_t phase = 0;
      if (convention == DilationConvention::split) {
        // The first H mod G groups have ceil(H / G) heads, the others floor(H / G).
        const std::int64_t longer_groups = query_heads % groups;
        const std::int64_t heads_of_longer = longer_groups * (query_heads / groups + 1);
        const std::int64_t group_of_head = head < heads_of_longer
                                               ? head / (query_heads / groups + 1)
                                               : longer_groups + (head - heads_of_longer) / (query_heads / groups);
        belongs = group_of_head == g;
        phase = g % r;
      } else if (convention == DilationConvention::longnet) {
        phase = head % r;
      } else {
        phase = head / ((query_heads + r - 1) / r);
      }
      if (belongs && i / w == j / w && (i % w) % r == phase && (j % w) % r == phase) {
        ++admitting;
      }
    }
    return admitting;
  }
};

Kokkos::View<const std::int64_t *, MemorySpace> on_device(const std::vector<std::int64_t> &values) {
  const Kokkos::View<std::int64_t *, MemorySpace> device("dilation", values.size());
  const Kokkos::View<const std::int64_t *, Kokkos::HostSpace, Unmanaged> host(values.data(), values.size());
  Kokkos::deep_copy(device, host);
  return device;
}

GroupsThatAdmit multiplicity_of(const DilatedReference &problem) {
  reference::require_shapes(problem.dilation.segment_lengths.size() == problem.dilation.dilation_rates.size(),
                            "reference dilated attention");
  return {on_device(problem.dilation.segment_lengths),
          on_device(problem.dilation.dilation_rates),
          problem.dilation.convention,
          problem.query.extent_int(2),
          problem.causal,
          problem.query_origin,
          problem.key_origin};
}

} // namespace

void reference_dilated_attention(const ExecutionSpace &space, const DilatedReference &problem, ReferenceTensor4 output,
                                 ReferenceTensor3 log_sum_exp) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_dilated_attention");
  reference::weighted_attention(space, problem.query, problem.key, problem.value, multiplicity_of(problem),
                                problem.scale, output, log_sum_exp);
}

void reference_dilated_gradient(const ExecutionSpace &space, const DilatedReference &problem,
                                ConstTensor4 output_gradient, ReferenceTensor3 log_sum_exp,
                                const ReferenceGradient &gradient) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_dilated_gradient");
  reference::weighted_attention_gradient(space, problem.query, problem.key, problem.value, output_gradient,
                                         multiplicity_of(problem), problem.scale, log_sum_exp, gradient);
}

} // namespace ringscale::kernels
