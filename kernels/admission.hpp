// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Macros.hpp>

#include <cstdint>

namespace ringscale::kernels {

/// Which keys of a span a query row admits. Row r of the query buffer stands at query_origin + r * query_stride, key
/// j of the span at key_origin + j * key_stride (strides are positive); causal admits key position <= query position,
/// so the admitted keys are always the first ones of the span.
struct Admission {
  bool causal = false;
  std::int64_t query_origin = 0;
  std::int64_t query_stride = 1;
  std::int64_t key_origin = 0;
  std::int64_t key_stride = 1;

  /// Number of keys row `row` admits, out of the span's `key_tokens`: 0 .. key_tokens.
  KOKKOS_INLINE_FUNCTION std::int64_t admitted_keys(std::int64_t row, std::int64_t key_tokens) const {
    if (!causal) {
      return key_tokens;
    }
    const std::int64_t gap = query_origin + row * query_stride - key_origin;
    if (gap < 0) {
      return 0;
    }
    const std::int64_t admitted = gap / key_stride + 1;
    return admitted < key_tokens ? admitted : key_tokens;
  }
};

/// Exact number of (query, key) pairs that rows query_begin .. query_end - 1 admit, for one head of one batch entry.
inline std::int64_t admitted_pairs(const Admission &admission, std::int64_t query_begin, std::int64_t query_end,
                                   std::int64_t key_tokens) {
  if (!admission.causal) {
    return (query_end - query_begin) * key_tokens;
  }
  std::int64_t pairs = 0;
  for (std::int64_t row = query_begin; row < query_end; ++row) {
    pairs += admission.admitted_keys(row, key_tokens);
  }
  return pairs;
}

} // namespace ringscale::kernels
