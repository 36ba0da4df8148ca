// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "attention_case.hpp"
#include "kernels/block_sparse_attention.hpp"
#include "kernels/dilated_attention.hpp"
#include "kernels/reference_dilated.hpp"
#include "kernels/reference_masked.hpp"
#include "problem/synthetic.hpp"

namespace ringscale::kernels::test {

using OwnedDouble4 = Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace>;
using OwnedDouble3 = Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace>;

/// Shape, mask and data of a comparison of patterns.
struct PatternCase {
  std::int64_t batch = 1;
  std::int64_t query_tokens = 1;
  std::int64_t key_tokens = 1;
  std::int64_t query_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 64;
  bool causal = false;
  std::int64_t query_origin = 0;
  std::int64_t key_origin = 0;
  std::uint64_t seed = 11;

  std::string text() const;
  double scale() const;
};

/// Synthetic tensors of a case, its output gradient, and room for results and for a double-precision reference.
struct PatternData {
  explicit PatternData(const PatternCase &pattern_case);

  PatternCase shape;
  Owned4 query, key, value, output_gradient;
  OwnedDouble4 reference_output;
  OwnedDouble3 reference_log_sum_exp;
  OwnedDouble4 reference_query_gradient, reference_key_gradient, reference_value_gradient;

  ReferenceGradient reference_gradient() const {
    return {reference_query_gradient, reference_key_gradient, reference_value_gradient};
  }
  /// Output and log-sum-exp full of NaN: what a kernel that does not accumulate has to overwrite.
  Partial poisoned_partial() const;
  /// Compares with the reference under the bound of results merged from `merges` groups.
  Comparison compare(const Partial &partial, std::int64_t merges) const;

  DilatedAttention dilated(const Dilation &dilation, const Partial &partial) const;
  DilatedReference dilated_reference(const Dilation &dilation) const;
  /// Fills the reference output and log-sum-exp.
  void compute_dilated_reference(const Dilation &dilation) const;
};

/// A boolean mask written pair by pair: admits(batch, head, query, key), [batch, query_heads, queries, keys].
using OwnedMask = Kokkos::View<std::uint8_t ****, Kokkos::LayoutRight, MemorySpace>;
OwnedMask boolean_mask(const PatternCase &shape,
                       const std::function<bool(std::int64_t, std::int64_t, std::int64_t, std::int64_t)> &admits);

/// A block of the streamed kernel over whole tensors, with keys and values packed into `packed`.
AttentionBlock whole_block(const PatternData &data, const Partial &partial, Owned1 &packed);

/// Runs block-sparse attention and waits; `team` takes the primitives of device back ends.
void run_block_sparse(const AttentionBlock &block, const BlockMask &mask, bool team = false);

/// Fills a tensor with synthetic values of one kind.
void fill_tensor(const Owned4 &tensor, std::uint64_t seed, problem::Tensor kind);

/// Changes a tensor's elements on the host: function(batch, token, head, dim, element).
void edit_tensor(const Owned4 &tensor,
                 const std::function<void(std::int64_t, std::int64_t, std::int64_t, std::int64_t, float &)> &function);

/// Runs the kernel with its own workspace and waits; `team` takes the primitives of device back ends.
void run_dilated(const DilatedAttention &attention, bool team = false);

/// Whether two tensors hold the same bits.
bool same_bits(const Owned4 &first, const Owned4 &second);

} // namespace ringscale::kernels::test
