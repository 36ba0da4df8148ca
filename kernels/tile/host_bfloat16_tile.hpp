// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/attention_block.hpp"
#include "kernels/rounding.hpp"
#include "kernels/storage_row.hpp"
#include "kernels/tile/host_bfloat16_simd.hpp"
#include "kernels/tile/row_state.hpp"

#if defined(RINGSCALE_HOST_BFLOAT16)

namespace ringscale::kernels::tile {

/// HostTile with bfloat16 operands: both products are dot products of pairs, and the weights are rounded to bfloat16
/// in registers. What differs beyond that: the scale is applied to the finished score, since a scaled query would
/// have to be rounded again; and references are whole numbers, so that rescaling a rounded weight rounds nothing.
template <int HeadDim> class HostBfloat16Tile {
public:
  static constexpr std::int64_t rows_per_block = 4 * query_tile_tokens;
  static constexpr std::int64_t rows_per_panel = query_tile_tokens;
  static constexpr std::int64_t row_granularity = tile_rows;
  static constexpr std::int64_t key_block_tokens = 256;
  static constexpr int team_size = 1;

  static std::int64_t padded_dim(std::int64_t head_dim) { return (head_dim + lanes - 1) / lanes * lanes; }

  static std::size_t scratch_bytes(std::int64_t head_dim) {
    const std::int64_t padded = padded_dim(head_dim);
    const std::int64_t value_copy = padded == head_dim ? 0 : key_block_tokens * padded;
    const std::int64_t floats = rows_per_block * padded + rows_per_block * (lanes + 2);
    const std::int64_t patterns = rows_per_block * padded + rows_per_panel * key_block_tokens + value_copy;
    return static_cast<std::size_t>(floats) * sizeof(float) +
           static_cast<std::size_t>(patterns) * sizeof(std::uint16_t) + rows_per_block * sizeof(std::int64_t);
  }

  template <class Member>
  HostBfloat16Tile(const Member &member, std::int64_t head_dim)
      : head_dim_(head_dim), padded_dim_(padded_dim(head_dim)),
        admitted_(static_cast<std::int64_t *>(
            member.team_scratch(1).get_shmem_aligned(static_cast<int>(scratch_bytes(head_dim)), 64))) {
    accumulated_ = reinterpret_cast<float *>(admitted_ + rows_per_block);
    weight_sum_ = accumulated_ + rows_per_block * padded_dim_;
    reference_ = weight_sum_ + rows_per_block * lanes;
    limit_ = reference_ + rows_per_block;
    query_ = reinterpret_cast<std::uint16_t *>(limit_ + rows_per_block);
    weights_ = query_ + rows_per_block * padded_dim_;
    value_copy_ = weights_ + rows_per_panel * key_block_tokens;
  }

  template <class AdmittedKeys>
  void begin(const std::uint16_t *query, std::int64_t row_stride, std::int64_t rows, float factor,
             const AdmittedKeys &admitted_keys) {
    rows_ = rows;
    padded_rows_ = (rows + tile_rows - 1) / tile_rows * tile_rows;
    // The largest dot product of a row must be its largest score: the factor's sign moves into the query, exactly.
    const std::uint16_t sign = factor < 0.0F ? 0x8000 : 0;
    const std::uint16_t kept = factor == 0.0F ? 0 : 0xFFFF;
    factor_ = factor == 0.0F ? 1.0F : std::fabs(factor);
    for (std::int64_t row = 0; row < padded_rows_; ++row) {
      const bool exists = row < rows;
      admitted_[row] = exists ? admitted_keys(row) : admitted_[rows - 1];
      reference_[row] = no_reference;
      limit_[row] = no_reference;
      store(weight_sum_ + row * lanes, Vector{});
      std::uint16_t *to = query_ + row * padded_dim();
      std::fill(to, to + padded_dim(), std::uint16_t{0});
      for (std::int64_t dim = 0; exists && dim < head_dim(); ++dim) {
        to[dim] = static_cast<std::uint16_t>((query[row * row_stride + dim] ^ sign) & kept);
      }
      std::fill(accumulated_ + row * padded_dim(), accumulated_ + (row + 1) * padded_dim(), 0.0F);
    }
  }

  std::int64_t most_admitted_keys() const { return rows_ == 0 ? 0 : admitted_[rows_ - 1]; }
  std::int64_t panels() const { return (padded_rows_ + rows_per_panel - 1) / rows_per_panel; }

  /// Points the tile at keys [key_begin, key_end) of a head's packed span.
  void begin_keys(const std::uint16_t *packed_keys, const std::uint16_t *values, std::int64_t key_begin,
                  std::int64_t key_end) {
    key_begin_ = key_begin;
    key_end_ = key_end;
    keys_ = packed_keys + key_begin * paired_dim(head_dim());
    values_ = values + key_begin * head_dim();
    value_stride_ = head_dim();
    if (padded_dim_ != head_dim_) {
      for (std::int64_t pair = 0; pair < (key_end - key_begin + 1) / 2; ++pair) {
        std::uint16_t *to = value_copy_ + pair * 2 * padded_dim_;
        std::memcpy(to, values_ + pair * 2 * head_dim_, static_cast<std::size_t>(2 * head_dim_) * sizeof(*to));
        std::fill(to + 2 * head_dim_, to + 2 * padded_dim_, std::uint16_t{0});
      }
      values_ = value_copy_;
      value_stride_ = padded_dim_;
    }
  }

  /// Scores and exponentials of a panel of rows against the keys: rounded weights 2^(score - reference), their sums.
  void weights(std::int64_t panel) {
    constexpr std::int64_t tile_keys = tile_vectors * lanes;
    const std::int64_t begin = panel * rows_per_panel;
    const std::int64_t end = std::min(begin + rows_per_panel, padded_rows_);
    const std::int64_t last_key = std::min(admitted_[end - 1], key_end_);
    for (std::int64_t key = key_begin_; key < last_key; key += tile_keys) {
      const std::uint16_t *keys = keys_ + (key - key_begin_) * paired_dim(head_dim());
      for (std::int64_t row = begin; row < end; row += tile_rows) {
        if (admitted_[row] >= key + tile_keys) {
          weight_columns<tile_vectors, false>(keys, key, row, begin);
        } else if (admitted_[row + tile_rows - 1] > key) {
          const std::int64_t keys_left = admitted_[row + tile_rows - 1] - key;
          masked_columns<tile_vectors>((keys_left + lanes - 1) / lanes, keys, key, row, begin);
        }
      }
    }
  }

  /// accumulated += weights * values for a panel of rows. An odd last key is met with the one behind it, whose weight
  /// is 0 for every row of the register tile.
  void accumulate(std::int64_t panel) {
    const std::int64_t begin = panel * rows_per_panel;
    const std::int64_t end = std::min(begin + rows_per_panel, padded_rows_);
    for (std::int64_t dim = 0; dim < padded_dim(); dim += tile_vectors * lanes) {
      const std::int64_t vectors = std::min<std::int64_t>(tile_vectors, (padded_dim() - dim) / lanes);
      for (std::int64_t row = begin; row < end; row += tile_rows) {
        const std::int64_t last_key = std::min(admitted_[row + tile_rows - 1], key_end_);
        if (last_key > key_begin_) {
          accumulate_columns<tile_vectors>(vectors, weights_ + (row - begin) * key_block_tokens, dim,
                                           (last_key - key_begin_ + 1) / 2, row);
        }
      }
    }
  }

  /// Writes the finished rows; `output_row(row)` is a StorageRow, `log_sum_exp(row)` a reference.
  template <class OutputRow, class LogSumExp>
  void finish(Merge merge, const OutputRow &output_row, const LogSumExp &log_sum_exp) {
    for (std::int64_t row = 0; row < rows_; ++row) {
      const float held = merge == Merge::replace ? 0.0F : log_sum_exp(row);
      const RowJoin join = join_row(reference_[row], horizontal_sum(load(weight_sum_ + row * lanes)), held, merge);
      if (!join.write) {
        continue;
      }
      log_sum_exp(row) = join.log_sum_exp;
      const StorageRow output = output_row(row);
      const float *accumulated = accumulated_ + row * padded_dim_;
      for (std::int64_t dim = 0; dim < head_dim(); ++dim) {
        float joined = accumulated[dim] * join.fresh;
        if (join.held != 0.0F) {
          const float before =
              output.packed == nullptr ? output.full[dim] : decode<bfloat16_format>(output.packed[dim]);
          joined = std::fma(before, join.held, joined);
        }
        if (output.packed == nullptr) {
          output.full[dim] = joined;
        } else {
          output.packed[dim] = static_cast<std::uint16_t>(encode<bfloat16_format>(joined));
        }
      }
    }
  }

private:
  std::int64_t head_dim() const { return HeadDim > 0 ? HeadDim : head_dim_; }
  std::int64_t padded_dim() const { return HeadDim > 0 && HeadDim % lanes == 0 ? HeadDim : padded_dim_; }

  template <int Vectors>
  void masked_columns(std::int64_t vectors, const std::uint16_t *keys, std::int64_t key, std::int64_t row,
                      std::int64_t panel_begin) {
    if constexpr (Vectors > 1) {
      if (vectors < Vectors) {
        masked_columns<Vectors - 1>(vectors, keys, key, row, panel_begin);
        return;
      }
    }
    weight_columns<Vectors, true>(keys, key, row, panel_begin);
  }

  template <int Vectors, bool Masked>
  __attribute__((noinline)) void weight_columns(const std::uint16_t *keys, std::int64_t key, std::int64_t first_row,
                                                std::int64_t panel_begin) {
    RegisterTile<Vectors> tile =
        dot_tile<Vectors>(query_ + first_row * padded_dim(), padded_dim(), keys, paired_dim(head_dim()) / 2);
    if constexpr (Masked) {
      for (int row = 0; row < tile_rows; ++row) {
        for (int vector = 0; vector < Vectors; ++vector) {
          tile.values[row][vector] =
              keep_first(tile.values[row][vector], admitted_[first_row + row] - key - vector * lanes, masked_score);
        }
      }
    }
    std::uint16_t *weights = weights_ + (first_row - panel_begin) * key_block_tokens + (key - key_begin_);
    Vector largest[tile_rows];
#pragma GCC unroll 8
    for (int row = 0; row < tile_rows; ++row) {
      largest[row] = tile.values[row][0];
#pragma GCC unroll 8
      for (int vector = 1; vector < Vectors; ++vector) {
        largest[row] = maximum(largest[row], tile.values[row][vector]);
      }
    }
    Comparison excess = greater(largest[0], broadcast(limit_[first_row]));
#pragma GCC unroll 8
    for (int row = 1; row < tile_rows; ++row) {
      excess |= greater(largest[row], broadcast(limit_[first_row + row]));
    }
    if (__builtin_expect(any(excess), 0)) {
      for (int row = 0; row < tile_rows; ++row) {
        raise_reference(first_row + row, horizontal_maximum(largest[row]), weights + row * key_block_tokens,
                        key - key_begin_);
      }
    }
    const PairVector ones = 0x3F803F80 - PairVector{};
    const Vector factor = broadcast(factor_);
#pragma GCC unroll 8
    for (int row = 0; row < tile_rows; ++row) {
      const Vector below = broadcast(-reference_[first_row + row]);
      Vector sum = load(weight_sum_ + (first_row + row) * lanes);
#pragma GCC unroll 8
      for (int vector = 0; vector < Vectors; vector += 2) {
        const Vector first = exp2(multiply_add(tile.values[row][vector], factor, below));
        const bool alone = vector + 1 == Vectors;
        const Vector second =
            alone ? Vector{} : exp2(multiply_add(tile.values[row][alone ? vector : vector + 1], factor, below));
        const PairVector pairs = round_to_pairs(first, second);
        // The sum of what was rounded: an error that all weights share then cancels in the division.
        sum = add_dot(sum, pairs, ones);
        store_pairs(weights + row * key_block_tokens + vector * lanes, pairs);
      }
      store(weight_sum_ + (first_row + row) * lanes, sum);
    }
  }

  /// Moves a row's reference up to `largest` (a dot product) where that exceeds the limit, and rescales what was
  /// computed under the old one, by a power of two: the accumulated row, the sum, and this key block's weights that
  /// were not accumulated yet.
  __attribute__((noinline, cold)) void raise_reference(std::int64_t row, float largest, std::uint16_t *weights_end,
                                                       std::int64_t weights_before) {
    if (!(largest > limit_[row])) {
      return;
    }
    const float before = reference_[row];
    reference_[row] = std::ceil(largest * factor_);
    limit_[row] = (reference_[row] + reference_slack) / factor_;
    if (before == no_reference) {
      return; // nothing but zeros was computed so far
    }
    const float power = std::exp2(before - reference_[row]);
    const Vector factor = broadcast(power);
    store(weight_sum_ + row * lanes, load(weight_sum_ + row * lanes) * factor);
    for (std::int64_t dim = 0; dim < padded_dim_; dim += lanes) {
      float *accumulated = accumulated_ + row * padded_dim_ + dim;
      store(accumulated, load(accumulated) * factor);
    }
    for (std::int64_t key = -weights_before; key < 0; ++key) {
      weights_end[key] =
          static_cast<std::uint16_t>(encode<bfloat16_format>(decode<bfloat16_format>(weights_end[key]) * power));
    }
  }

  template <int Vectors>
  void accumulate_columns(std::int64_t vectors, const std::uint16_t *weights, std::int64_t dim, std::int64_t pairs,
                          std::int64_t row) {
    if constexpr (Vectors > 1) {
      if (vectors < Vectors) {
        accumulate_columns<Vectors - 1>(vectors, weights, dim, pairs, row);
        return;
      }
    }
    accumulate_pairs<Vectors>(weights, key_block_tokens, values_ + 2 * dim,
                              HeadDim > 0 && HeadDim % lanes == 0 ? HeadDim : value_stride_, pairs,
                              accumulated_ + row * padded_dim() + dim, padded_dim());
  }

  static constexpr float masked_score = -__builtin_inff();

  std::int64_t head_dim_;
  std::int64_t padded_dim_;
  std::int64_t rows_ = 0;
  std::int64_t padded_rows_ = 0;
  float factor_ = 1.0F;                 // scores in units of log 2 are dot products times this
  std::int64_t *admitted_;              // [rows_per_block] keys that each row admits
  float *accumulated_ = nullptr;        // [rows_per_block][padded_dim], not normalised
  float *weight_sum_ = nullptr;         // [rows_per_block][lanes]
  float *reference_ = nullptr;          // [rows_per_block] in units of log 2, a whole number
  float *limit_ = nullptr;              // [rows_per_block] reference plus slack, as a dot product
  std::uint16_t *query_ = nullptr;      // [rows_per_block][padded_dim]
  std::uint16_t *weights_ = nullptr;    // [rows_per_panel][key_block_tokens]
  std::uint16_t *value_copy_ = nullptr; // [key_block_tokens / 2][padded_dim][2] where values need padding
  const std::uint16_t *keys_ = nullptr;
  const std::uint16_t *values_ = nullptr;
  std::int64_t value_stride_ = 0;
  std::int64_t key_begin_ = 0;
  std::int64_t key_end_ = 0;
};

} // namespace ringscale::kernels::tile

#endif
