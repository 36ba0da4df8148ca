// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// How often a pattern admits (batch entry, query head, chosen row, key): [batch or 1, query_heads, rows, key_tokens].
/// 0 masks the pair; dense attention has ones; groups of dilated attention that overlap count twice.
using Multiplicity = Kokkos::View<const std::uint8_t ****, Kokkos::LayoutRight, MemorySpace, Unmanaged>;

/// Sums of absolute values that rounding errors of gradients scale with, each the largest over what was computed; the
/// members of ReferenceMagnitudes (reference_backward.hpp), in its order.
using Magnitudes = Kokkos::View<double *, MemorySpace, Unmanaged>;
inline constexpr int magnitude_count = 9;

/// Chosen query rows of attention under any pattern, by definition in double precision:
/// output_i = sum_j w_ij f_ij v_j, w_ij = m_ij exp(scale q_i k_j - lse_i), lse_i = log sum_j m_ij exp(scale q_i k_j).
struct ReferenceRows {
  ConstTensor4 query; ///< [batch, rows, query_heads, head_dim]: the chosen rows only
  ConstTensor4 key;   ///< [batch, key_tokens, kv_heads, head_dim]
  ConstTensor4 value;
  Multiplicity multiplicity;
  const std::uint8_t *kept = nullptr; ///< [batch, query_heads, rows, key_tokens]: 0 where dropout leaves f = 0
  double kept_factor = 1.0;           ///< f of the others; `kept` null: of all
  double scale = 1.0;
  ReferenceTensor4 output;      ///< [batch, rows, query_heads, head_dim]; 0 where nothing is admitted
  ReferenceTensor3 log_sum_exp; ///< [batch, rows, query_heads]; -infinity there
  // Of the gradient, where output_gradient is not empty:
  ConstTensor4 output_gradient;    ///< as query
  ReferenceTensor4 query_gradient; ///< sum_j scale w_ij (f_ij dO_i v_j - D_i) k_j
  ReferenceTensor3 output_dot;     ///< D_i = output_i dO_i
  Magnitudes magnitudes;           ///< [magnitude_count], raised to what these rows have; start it with zeros
};

/// Computes the rows; asynchronous on `space`. Throws std::invalid_argument on shapes that do not fit.
void reference_rows(const ExecutionSpace &space, const ReferenceRows &rows);

/// Gradients of chosen key and value rows, from every query row's log-sum-exp and D:
/// dV_j = sum_i w_ij f_ij dO_i, dK_j = sum_i scale w_ij (f_ij dO_i v_j - D_i) q_i, over the heads of the group.
struct ReferenceKeyRows {
  ConstTensor4 query; ///< [batch, query_tokens, query_heads, head_dim]
  ConstTensor4 output_gradient;
  ConstTensor4 key; ///< [batch, rows, kv_heads, head_dim]: the chosen rows only
  ConstTensor4 value;
  Multiplicity multiplicity;          ///< [batch or 1, query_heads, query_tokens, rows]
  const std::uint8_t *kept = nullptr; ///< [batch, query_heads, query_tokens, rows]
  double kept_factor = 1.0;
  double scale = 1.0;
  ReferenceTensor3 log_sum_exp; ///< [batch, query_tokens, query_heads]
  ReferenceTensor3 output_dot;  ///< [batch, query_tokens, query_heads]
  ReferenceTensor4 key_gradient;
  ReferenceTensor4 value_gradient;
  Magnitudes magnitudes;
};

void reference_key_rows(const ExecutionSpace &space, const ReferenceKeyRows &rows);

} // namespace ringscale::kernels
