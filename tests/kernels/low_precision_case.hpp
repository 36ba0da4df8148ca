// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "attention_case.hpp"
#include "kernels/attention_low_precision.hpp"
#include "kernels/rounding.hpp"

namespace ringscale::kernels::test {

using Patterns4 = Kokkos::View<std::uint16_t ****, Kokkos::LayoutRight, MemorySpace>;
using Patterns1 = Kokkos::View<std::uint16_t *, MemorySpace>;

problem::DType dtype_of(NumberFormat format);

/// One way to compute on two-byte storage: the public call on a host, or the tiles of device back ends.
struct LowPrecisionKernel {
  const char *name;
  NumberFormat format;
  bool rounds_weights;
  void (*launch)(const ExecutionSpace &space, LowPrecisionBlock block);

  void run(const LowPrecisionBlock &block) const;
};

/// All that this build has: bfloat16 native (where the host has it), converted and by teams; float16 both ways.
std::vector<LowPrecisionKernel> low_precision_kernels();

void launch_on(const ExecutionSpace &space, const LowPrecisionKernel &kernel, const LowPrecisionBlock &block);

/// A case, the same case with inputs rounded to a format, and those as two-byte patterns.
class LowPrecisionCase {
public:
  LowPrecisionCase(const AttentionCase &shape, NumberFormat format);

  LowPrecisionBlock block(const Partial &partial) const;
  LowPrecisionBlock span_block(const Partial &partial, std::int64_t key_begin, std::int64_t key_count,
                               Patterns1 &packed) const;
  /// Against the reference of the rounded inputs; weights count as rounded to the format where asked.
  Comparison compare_with_rounded(const Partial &partial, bool rounds_weights, std::int64_t merges = 1) const;
  /// Against the reference of the original inputs, under the bound of the dtype.
  Comparison compare_with_original(const Partial &partial) const;

  NumberFormat format;
  CaseData original;
  CaseData rounded;
  Patterns4 query, key, value;

private:
  problem::DataMagnitude magnitude() const;
  Patterns1 packed_;
};

} // namespace ringscale::kernels::test
