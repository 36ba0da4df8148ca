// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/admission.hpp"

namespace ringscale::kernels {

/// Keys [begin, end) of a span, in tokens; begin is a multiple of key_tile_tokens.
struct KeyRange {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

/// What one team computes: query rows of one head against the packed keys of one span. Every attention pattern is a
/// way to cut a problem into row blocks; the streamed kernel only ever sees these. Strides are in elements.
template <class Element> struct RowBlock {
  const Element *query = nullptr; ///< row r at query + r * query_stride
  std::int64_t query_stride = 0;
  std::int64_t rows = 0;
  const Element *keys = nullptr;        ///< packed, see packed_key_value.hpp
  const Element *values = nullptr;      ///< packed
  std::int64_t key_tokens = 0;          ///< tokens of the span, without padding
  Admission admission;                  ///< with query_origin at row 0 of this block; must not fall from row to row
  const KeyRange *key_ranges = nullptr; ///< the ranges met, ascending and apart; null: all keys
  std::int32_t key_range_count = 0;
  float *output = nullptr; ///< row r at output + r * output_stride
  std::int64_t output_stride = 0;
  float *log_sum_exp = nullptr; ///< row r at log_sum_exp + r * log_sum_exp_stride
  std::int64_t log_sum_exp_stride = 0;
  std::int64_t batch = 0; ///< for the dropout mask, as is the next
  std::int64_t head = 0;

  KOKKOS_INLINE_FUNCTION float *output_row(std::int64_t row) const { return output + row * output_stride; }
  KOKKOS_INLINE_FUNCTION float &log_sum_exp_of(std::int64_t row) const { return log_sum_exp[row * log_sum_exp_stride]; }
};

} // namespace ringscale::kernels
