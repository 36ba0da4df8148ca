// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/gradient_block.hpp"
#include "kernels/packed_key_value.hpp"
#include "kernels/tile/host_simd.hpp"
#include "kernels/tile/host_transpose.hpp"
#include "kernels/tile/row_state.hpp"

namespace ringscale::kernels::tile {

/// What HostBackwardTile multiplies, in the scratch of one team. A block of keys lives in the second-level cache five
/// times: K and V transposed (for scores and for dP = dO V^T), K by rows (for dQ), and the accumulators of dK and dV;
/// beside it stand a panel of query rows and its weights P and score gradients dS. The scale is folded into the
/// transposed copies.
class HostBackwardOperands {
public:
  static constexpr std::int64_t rows_per_panel = 96;
  static constexpr std::int64_t key_granularity = key_tile_tokens;
  static constexpr int team_size = 1;
  static_assert(rows_per_panel % tile_rows == 0 && key_tile_tokens % (tile_vectors * lanes) == 0);

  static std::int64_t padded_dim(std::int64_t head_dim) { return (head_dim + lanes - 1) / lanes * lanes; }

  /// As many keys as leave the five copies and the panels in a second-level cache of 1 MiB.
  static constexpr std::int64_t key_block_tokens(std::int64_t head_dim) {
    return head_dim <= 64 ? 512 : head_dim <= 128 ? 256 : head_dim <= 256 ? 128 : 64;
  }
  /// One cache line more than the keys: rows of a panel, read down a column, must not fall into the same cache sets.
  static constexpr std::int64_t panel_stride(std::int64_t keys) { return keys + 16; }

  static std::size_t scratch_bytes(std::int64_t head_dim) {
    const std::int64_t keys = key_block_tokens(head_dim);
    const std::int64_t padded = padded_dim(head_dim);
    const std::int64_t floats = 2 * keys * head_dim + keys * padded + 2 * (keys + tile_rows) * padded +
                                2 * rows_per_panel * padded + 2 * rows_per_panel * panel_stride(keys) +
                                2 * rows_per_panel;
    return static_cast<std::size_t>(floats) * sizeof(float) + 2 * rows_per_panel * sizeof(std::int64_t);
  }

  template <class Member>
  HostBackwardOperands(const Member &member, std::int64_t head_dim, float scale, const Dropout &dropout)
      : head_dim_(head_dim), padded_dim_(padded_dim(head_dim)), scale_(scale), dropout_(dropout),
        key_factor_(scale * log2_e), value_factor_(dropout.active() ? scale * dropout.kept_factor() : scale),
        panel_stride_(panel_stride(key_block_tokens(head_dim))) {
    const std::int64_t keys = key_block_tokens(head_dim);
    float *next =
        static_cast<float *>(member.team_scratch(1).get_shmem_aligned(static_cast<int>(scratch_bytes(head_dim)), 64));
    const auto take = [&next](std::int64_t floats) {
      float *taken = next;
      next += floats;
      return taken;
    };
    keys_transposed_ = take(keys * head_dim);
    values_transposed_ = take(keys * head_dim);
    keys_ = take(keys * padded_dim_);
    key_gradient_ = take((keys + tile_rows) * padded_dim_);
    value_gradient_ = take((keys + tile_rows) * padded_dim_);
    query_ = take(rows_per_panel * padded_dim_);
    output_gradient_ = take(rows_per_panel * padded_dim_);
    weights_ = take(rows_per_panel * panel_stride_);
    score_gradients_ = take(rows_per_panel * panel_stride_);
    reference_ = take(rows_per_panel);
    output_dot_ = take(rows_per_panel);
    admitted_ = reinterpret_cast<std::int64_t *>(next);
    dropout_rows_ = reinterpret_cast<std::uint64_t *>(admitted_ + rows_per_panel);
  }

  /// Packs keys [key_begin, key_end) of the block and clears their gradients.
  void begin_keys(const GradientBlock &block, std::int64_t key_begin, std::int64_t key_end) {
    key_begin_ = key_begin;
    key_end_ = key_end;
    const std::int64_t count = key_end - key_begin;
    const std::int64_t stride = block.key_stride;
    for (std::int64_t first = 0; first < count; first += key_tile_tokens) {
      const std::int64_t from = (key_begin + first) * stride;
      const std::int64_t rows = std::min(count - first, static_cast<std::int64_t>(key_tile_tokens));
      pack_transposed({block.key + from, stride, rows}, head_dim_, key_factor_, keys_transposed_ + first * head_dim_);
      pack_transposed({block.value + from, stride, rows}, head_dim_, value_factor_,
                      values_transposed_ + first * head_dim_);
    }
    for (std::int64_t index = 0; index < count; ++index) {
      const float *key = block.key + (key_begin + index) * stride;
      for (std::int64_t dim = 0; dim < head_dim_; dim += lanes) {
        store(keys_ + index * padded_dim_ + dim, load_part(key + dim, head_dim_ - dim));
      }
    }
    std::fill_n(key_gradient_, (count + tile_rows) * padded_dim_, 0.0F);
    std::fill_n(value_gradient_, (count + tile_rows) * padded_dim_, 0.0F);
  }

  /// Copies rows [row_begin, row_end) of a head, at most rows_per_panel.
  void begin_rows(const GradientBlock &block, std::int64_t head, std::int64_t row_begin, std::int64_t row_end) {
    row_begin_ = row_begin;
    rows_ = row_end - row_begin;
    padded_rows_ = (rows_ + tile_rows - 1) / tile_rows * tile_rows;
    const float *query = block.query + head * block.query_head_stride + row_begin * block.query_stride;
    const float *output_gradient =
        block.output_gradient + head * block.query_head_stride + row_begin * block.query_stride;
    const std::int64_t first = head * block.log_sum_exp_head_stride + row_begin * block.log_sum_exp_stride;
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (std::int64_t dim = 0; dim < head_dim_; dim += lanes) {
        const std::int64_t left = head_dim_ - dim;
        store(query_ + row * padded_dim_ + dim, load_part(query + row * block.query_stride + dim, left));
        store(output_gradient_ + row * padded_dim_ + dim,
              load_part(output_gradient + row * block.query_stride + dim, left));
      }
      const float log_sum_exp = block.log_sum_exp[first + row * block.log_sum_exp_stride];
      // A row that admits no key at all has weights 2^(score - infinity) = 0.
      reference_[row] = log_sum_exp == -__builtin_inff()
                            ? __builtin_inff()
                            : static_cast<float>(static_cast<double>(log_sum_exp) * 1.44269504088896340736);
      output_dot_[row] = block.output_dot[first + row * block.log_sum_exp_stride] * scale_;
      admitted_[row] = std::min(block.admission.admitted_keys(row_begin + row, block.key_tokens), key_end_);
    }
    for (std::int64_t row = rows_; row < padded_rows_; ++row) {
      // Rows that only fill a register tile have weights 0.
      std::fill_n(query_ + row * padded_dim_, padded_dim_, 0.0F);
      std::fill_n(output_gradient_ + row * padded_dim_, padded_dim_, 0.0F);
      reference_[row] = __builtin_inff();
      output_dot_[row] = 0.0F;
      admitted_[row] = admitted_[rows_ - 1];
    }
    if (dropout_.active()) {
      key_position_ = static_cast<std::uint32_t>(block.admission.key_origin + key_begin_ * block.admission.key_stride);
      key_position_stride_ = static_cast<std::uint32_t>(block.admission.key_stride);
      for (std::int64_t row = 0; row < padded_rows_; ++row) {
        dropout_rows_[row] =
            dropout_.row_bits(block.batch, block.first_head + head,
                              block.admission.query_origin + (row_begin + row) * block.admission.query_stride);
      }
    }
  }

  /// [row][panel stride]: weights P and score gradients dS of a panel.
  float *panel_weights() { return weights_; }
  float *panel_score_gradients() { return score_gradients_; }

  /// Writes or adds the gradients of the keys and values.
  void finish_keys(const GradientBlock &block) {
    for (std::int64_t key = key_begin_; key < key_end_; ++key) {
      const std::int64_t from = (key - key_begin_) * padded_dim_;
      const std::int64_t to = key * block.key_gradient_stride;
      for (std::int64_t dim = 0; dim < head_dim_; dim += lanes) {
        put(block.key_gradient + to + dim, load(key_gradient_ + from + dim), head_dim_ - dim, block.accumulate);
        put(block.value_gradient + to + dim, load(value_gradient_ + from + dim), head_dim_ - dim, block.accumulate);
      }
    }
  }

protected:
  static void put(float *address, Vector value, std::int64_t count, bool add) {
    store_part(address, add ? load_part(address, count) + value : value, count);
  }

  std::int64_t head_dim_;
  std::int64_t padded_dim_;
  float scale_;
  Dropout dropout_;
  float key_factor_;
  float value_factor_;
  std::int64_t panel_stride_;
  float *keys_transposed_;   // [key tile][head_dim][key_tile_tokens], times scale and log2(e)
  float *values_transposed_; // the same of the values, times scale (and the factor of kept weights)
  float *keys_;              // [key][padded_dim]
  float *key_gradient_;      // [key][padded_dim], and tile_rows more that fill the last register tile
  float *value_gradient_;    // the same
  float *query_;             // [row][padded_dim]
  float *output_gradient_;   // [row][padded_dim]
  float *weights_;           // [row][panel_stride]
  float *score_gradients_;   // [row][panel_stride]
  float *reference_;         // [row] log-sum-exp in units of log 2
  float *output_dot_;        // [row] times scale
  std::int64_t *admitted_;   // [row] keys of the step that the row admits, none beyond this key block
  std::uint64_t *dropout_rows_;
  std::uint32_t key_position_ = 0;
  std::uint32_t key_position_stride_ = 1;
  std::int64_t key_begin_ = 0;
  std::int64_t key_end_ = 0;
  std::int64_t row_begin_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t padded_rows_ = 0;
};

} // namespace ringscale::kernels::tile
