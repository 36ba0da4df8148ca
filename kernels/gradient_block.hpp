// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/admission.hpp"

namespace ringscale::kernels {

/// Query rows [begin, end) of a GradientBlock.
struct RowRange {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

/// One step of the backward kernel: a run of keys against rows of all the query heads that read it. Every attention
/// pattern is a way to cut a problem into such steps; the kernel only ever sees these. Row r of head h of a tensor
/// starts at `tensor + h * tensor_head_stride + r * tensor_stride`, key j at `key + j * key_stride`; strides are in
/// floats, head_dim floats are contiguous. A run that is dilated by a rate r has strides r times those of the tensor
/// and a pointer moved by its phase. Heads whose phases differ are not one run: give them steps of their own.
struct GradientBlock {
  const float *key = nullptr;
  const float *value = nullptr; ///< same stride as key
  std::int64_t key_stride = 0;
  float *key_gradient = nullptr;
  float *value_gradient = nullptr; ///< same stride as key_gradient
  std::int64_t key_gradient_stride = 0;
  std::int64_t key_tokens = 0;
  bool accumulate = false; ///< adds to the key and value gradients that are held, else overwrites them

  const float *query = nullptr;
  const float *output_gradient = nullptr; ///< same strides as query
  std::int64_t query_stride = 0;
  std::int64_t query_head_stride = 0;
  const float *log_sum_exp = nullptr; ///< natural logarithm, over ALL keys of the row, not only those of this step
  const float *output_dot = nullptr;  ///< rowsum(output * output_gradient) of the whole row; strides as log_sum_exp
  std::int64_t log_sum_exp_stride = 0;
  std::int64_t log_sum_exp_head_stride = 0;
  float *query_gradient = nullptr;
  std::int64_t query_gradient_stride = 0;
  std::int64_t query_gradient_head_stride = 0;
  bool overwrite_query_gradient = false; ///< stores where it would add; only when no step meets a row twice and
                                         ///< key_tokens is at most one key block of the tile
  std::int64_t rows = 0;
  std::int64_t query_heads = 1;

  Admission admission; ///< with query_origin at row 0 and key_origin at key 0; positions also choose the dropout mask
  const RowRange *row_ranges = nullptr; ///< the rows that meet these keys, ascending and apart; null: all rows
  std::int32_t row_range_count = 0;

  std::int64_t batch = 0;      ///< for the dropout mask
  std::int64_t first_head = 0; ///< query head of h = 0, for the dropout mask

  /// First row of [0, rows) that admits key `key_index`; `rows` when none does.
  KOKKOS_INLINE_FUNCTION std::int64_t first_row_admitting(std::int64_t key_index) const {
    std::int64_t low = 0;
    std::int64_t high = rows;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (admission.admitted_keys(middle, key_tokens) > key_index) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
};

} // namespace ringscale::kernels
