// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/gradient_block.hpp"
#include "kernels/tile/host_dropout.hpp"
#include "kernels/tile/host_product_tile.hpp"
#include "kernels/tile/row_state.hpp"

namespace ringscale::kernels::tile {

/// Backward primitives of host back ends, one thread. A block of keys lives in the second-level cache five times: K
/// and V transposed (for scores and for dP = dO V^T), K by rows (for dQ), and the accumulators of dK and dV. Panels of
/// query rows pass by; their weights P and score gradients dS are all that is kept of the score matrix. The scale is
/// folded into the transposed copies. HeadDim 0 takes head_dim at run time.
template <int HeadDim> class HostBackwardTile {
public:
  static constexpr std::int64_t rows_per_panel = 96;
  static constexpr std::int64_t key_granularity = key_tile_tokens;
  static constexpr int team_size = 1;
  static_assert(rows_per_panel % tile_rows == 0 && key_tile_tokens % (tile_vectors * lanes) == 0);

  static std::int64_t padded_dim(std::int64_t head_dim) { return (head_dim + lanes - 1) / lanes * lanes; }

  /// As many keys as leave the five copies and the panels in a second-level cache of 1 MiB.
  static constexpr std::int64_t key_block_tokens(std::int64_t head_dim) {
    return head_dim <= 64 ? 384 : head_dim <= 128 ? 192 : head_dim <= 256 ? 128 : 64;
  }
  std::int64_t key_block_tokens() const { return key_block_tokens(head_dim()); }

  static std::size_t scratch_bytes(std::int64_t head_dim) {
    const std::int64_t keys = key_block_tokens(head_dim);
    const std::int64_t padded = padded_dim(head_dim);
    const std::int64_t floats = 2 * keys * head_dim + keys * padded + 2 * (keys + tile_rows) * padded +
                                2 * rows_per_panel * padded + 2 * rows_per_panel * panel_stride(keys) +
                                2 * rows_per_panel;
    return static_cast<std::size_t>(floats) * sizeof(float) + 2 * rows_per_panel * sizeof(std::int64_t);
  }

  template <class Member>
  HostBackwardTile(const Member &member, std::int64_t head_dim, float scale, const Dropout &dropout)
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
    const std::int64_t padded_count = (count + key_tile_tokens - 1) / key_tile_tokens * key_tile_tokens;
    for (std::int64_t index = 0; index < padded_count; ++index) {
      const bool exists = index < count;
      const float *key = exists ? block.key + (key_begin + index) * block.key_stride : nullptr;
      const float *value = exists ? block.value + (key_begin + index) * block.key_stride : nullptr;
      const std::int64_t place = index / key_tile_tokens * key_tile_tokens * head_dim() + index % key_tile_tokens;
      for (std::int64_t dim = 0; dim < head_dim(); ++dim) {
        keys_transposed_[place + dim * key_tile_tokens] = exists ? key[dim] * key_factor_ : 0.0F;
        values_transposed_[place + dim * key_tile_tokens] = exists ? value[dim] * value_factor_ : 0.0F;
      }
      for (std::int64_t dim = 0; exists && dim < head_dim(); dim += lanes) {
        store(keys_ + index * padded_dim() + dim, load_part(key + dim, head_dim() - dim));
      }
    }
    std::fill_n(key_gradient_, (count + tile_rows) * padded_dim(), 0.0F);
    std::fill_n(value_gradient_, (count + tile_rows) * padded_dim(), 0.0F);
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
      for (std::int64_t dim = 0; dim < head_dim(); dim += lanes) {
        const std::int64_t left = head_dim() - dim;
        store(query_ + row * padded_dim() + dim, load_part(query + row * block.query_stride + dim, left));
        store(output_gradient_ + row * padded_dim() + dim,
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
      std::fill_n(query_ + row * padded_dim(), padded_dim(), 0.0F);
      std::fill_n(output_gradient_ + row * padded_dim(), padded_dim(), 0.0F);
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

  /// The panel's weights P = 2^(score - reference), 0 where masked.
  void weights() {
    for_each_tile([&](auto vectors, auto masked, std::int64_t key, std::int64_t row) {
      weight_tile<vectors(), masked()>(key, row);
    });
  }

  /// The panel's score gradients dS = scale P (dP - output_dot); then, with dropout, P is multiplied by the mask.
  void score_gradients() {
    if (dropout_.active()) {
      for_each_tile([&](auto vectors, auto, std::int64_t key, std::int64_t row) {
        score_gradient_tile<vectors(), true>(key, row);
      });
    } else {
      for_each_tile([&](auto vectors, auto, std::int64_t key, std::int64_t row) {
        score_gradient_tile<vectors(), false>(key, row);
      });
    }
  }

  /// [row][panel_stride()]: what the two steps above leave, and what those below read.
  float *panel_weights() { return weights_; }
  float *panel_score_gradients() { return score_gradients_; }
  std::int64_t panel_stride() const { return HeadDim > 0 ? panel_stride(key_block_tokens(HeadDim)) : panel_stride_; }

  /// dV += P^T dO and dK += dS^T Q.
  void accumulate_key_value() {
    accumulate_keys(weights_, output_gradient_, value_gradient_);
    accumulate_keys(score_gradients_, query_, key_gradient_);
  }

  /// dQ += dS K, into the rows of the block.
  void accumulate_query(const GradientBlock &block, std::int64_t head) {
    float *gradient =
        block.query_gradient + head * block.query_gradient_head_stride + row_begin_ * block.query_gradient_stride;
    for (std::int64_t dim = 0; dim < padded_dim(); dim += tile_vectors * lanes) {
      const std::int64_t vectors = std::min<std::int64_t>(tile_vectors, (padded_dim() - dim) / lanes);
      for (std::int64_t row = 0; row < rows_; row += tile_rows) {
        query_columns<tile_vectors>(vectors, row, dim, admitted_[row + tile_rows - 1] - key_begin_,
                                    gradient + row * block.query_gradient_stride + dim, block.query_gradient_stride,
                                    block.overwrite_query_gradient);
      }
    }
  }

  /// Writes or adds the gradients of the keys and values.
  void finish_keys(const GradientBlock &block) {
    for (std::int64_t key = key_begin_; key < key_end_; ++key) {
      const std::int64_t from = (key - key_begin_) * padded_dim();
      const std::int64_t to = key * block.key_gradient_stride;
      for (std::int64_t dim = 0; dim < head_dim(); dim += lanes) {
        put(block.key_gradient + to + dim, load(key_gradient_ + from + dim), head_dim() - dim, block.accumulate);
        put(block.value_gradient + to + dim, load(value_gradient_ + from + dim), head_dim() - dim, block.accumulate);
      }
    }
  }

private:
  static constexpr std::int64_t tile_keys = tile_vectors * lanes;

  // Where head_dim is known at compile time, so are the strides.
  std::int64_t head_dim() const { return HeadDim > 0 ? HeadDim : head_dim_; }
  std::int64_t padded_dim() const { return HeadDim > 0 && HeadDim % lanes == 0 ? HeadDim : padded_dim_; }

  /// One cache line more than the keys: rows of a panel, read down a column, must not fall into the same cache sets.
  static constexpr std::int64_t panel_stride(std::int64_t keys) { return keys + 16; }
  static void put(float *address, Vector value, std::int64_t count, bool add) {
    store_part(address, add ? load_part(address, count) + value : value, count);
  }

  /// Calls function(vectors, masked, key, row) for the register tiles of a panel that admit a key, and clears the
  /// others. The first calls for the same tile and the later ones see the same cut.
  template <class Function> void for_each_tile(const Function &function) {
    for (std::int64_t key = 0; key < key_end_ - key_begin_; key += tile_keys) {
      for (std::int64_t row = 0; row < rows_; row += tile_rows) {
        const std::int64_t first = admitted_[row] - key_begin_ - key;
        const std::int64_t last = admitted_[row + tile_rows - 1] - key_begin_ - key;
        if (first >= tile_keys) {
          function(std::integral_constant<int, tile_vectors>(), std::false_type(), key, row);
        } else {
          masked_tile<tile_vectors>(function, last <= 0 ? 0 : (std::min(last, tile_keys) + lanes - 1) / lanes, key,
                                    row);
        }
      }
    }
  }

  template <int Vectors, class Function>
  void masked_tile(const Function &function, std::int64_t vectors, std::int64_t key, std::int64_t row) {
    if (vectors == Vectors) {
      if constexpr (Vectors > 0) {
        function(std::integral_constant<int, Vectors>(), std::true_type(), key, row);
      }
      for (int index = 0; index < tile_rows; ++index) {
        for (int vector = Vectors; vector < tile_vectors; ++vector) {
          const std::int64_t place = (row + index) * panel_stride() + key + vector * lanes;
          store(weights_ + place, Vector{});
          store(score_gradients_ + place, Vector{});
        }
      }
    } else if constexpr (Vectors > 0) {
      masked_tile<Vectors - 1>(function, vectors, key, row);
    }
  }

  const float *transposed(const float *packed, std::int64_t key) const {
    return packed + key / key_tile_tokens * key_tile_tokens * head_dim() + key % key_tile_tokens;
  }

  template <int Vectors, bool Masked>
  __attribute__((noinline)) void weight_tile(std::int64_t key, std::int64_t first_row) {
    RegisterTile<Vectors> tile = product_tile<Vectors>(query_ + first_row * padded_dim(), padded_dim(), 1,
                                                       transposed(keys_transposed_, key), key_tile_tokens, head_dim());
    float *weights = weights_ + first_row * panel_stride() + key;
#pragma GCC unroll 8
    for (int row = 0; row < tile_rows; ++row) {
      const Vector reference = broadcast(reference_[first_row + row]);
#pragma GCC unroll 8
      for (int vector = 0; vector < Vectors; ++vector) {
        Vector weight = exp2(tile.values[row][vector] - reference);
        if constexpr (Masked) {
          weight = keep_first(weight, admitted_[first_row + row] - key_begin_ - key - vector * lanes, 0.0F);
        }
        store(weights + row * panel_stride() + vector * lanes, weight);
      }
    }
  }

  template <int Vectors, bool Dropped>
  __attribute__((noinline)) void score_gradient_tile(std::int64_t key, std::int64_t first_row) {
    RegisterTile<Vectors> tile =
        product_tile<Vectors>(output_gradient_ + first_row * padded_dim(), padded_dim(), 1,
                              transposed(values_transposed_, key), key_tile_tokens, head_dim());
    float *weights = weights_ + first_row * panel_stride() + key;
    float *score_gradients = score_gradients_ + first_row * panel_stride() + key;
#pragma GCC unroll 8
    for (int row = 0; row < tile_rows; ++row) {
      const Vector output_dot = broadcast(output_dot_[first_row + row]);
#pragma GCC unroll 8
      for (int vector = 0; vector < Vectors; ++vector) {
        const std::int64_t place = row * panel_stride() + vector * lanes;
        const Vector weight = load(weights + place);
        Vector weight_gradient = tile.values[row][vector];
        if constexpr (Dropped) {
          const std::uint32_t position =
              key_position_ + static_cast<std::uint32_t>(key + vector * lanes) * key_position_stride_;
          const IntegerVector kept =
              kept_lanes(dropout_, dropout_rows_[first_row + row], position, key_position_stride_);
          weight_gradient = kept ? weight_gradient : Vector{};
          store(weights + place, kept ? weight * broadcast(dropout_.kept_factor()) : Vector{});
        }
        store(score_gradients + place, weight * (weight_gradient - output_dot));
      }
    }
  }

  /// gradient[key] += sum over rows of panel[row][key] * rows[row], for the keys of the block. The last register tile
  /// may reach past them: it then reads columns that an earlier block left, and adds them to rows that nobody reads.
  void accumulate_keys(const float *panel, const float *rows, float *gradient) {
    for (std::int64_t dim = 0; dim < padded_dim(); dim += tile_vectors * lanes) {
      const std::int64_t vectors = std::min<std::int64_t>(tile_vectors, (padded_dim() - dim) / lanes);
      std::int64_t first_row = 0;
      for (std::int64_t key = 0; key < key_end_ - key_begin_; key += tile_rows) {
        while (first_row < rows_ && admitted_[first_row] - key_begin_ <= key) {
          ++first_row;
        }
        key_columns<tile_vectors>(vectors, panel + first_row * panel_stride() + key,
                                  rows + first_row * padded_dim() + dim, rows_ - first_row,
                                  gradient + key * padded_dim() + dim);
      }
    }
  }

  template <int Vectors>
  void key_columns(std::int64_t vectors, const float *panel, const float *rows, std::int64_t row_count,
                   float *gradient) {
    if constexpr (Vectors > 1) {
      if (vectors < Vectors) {
        key_columns<Vectors - 1>(vectors, panel, rows, row_count, gradient);
        return;
      }
    }
    key_tile<Vectors>(panel, rows, row_count, gradient);
  }

  template <int Vectors>
  __attribute__((noinline)) void key_tile(const float *panel, const float *rows, std::int64_t row_count,
                                          float *gradient) {
    add_tile(product_tile<Vectors>(panel, 1, panel_stride(), rows, padded_dim(), row_count), gradient, padded_dim());
  }

  template <int Vectors>
  void query_columns(std::int64_t vectors, std::int64_t row, std::int64_t dim, std::int64_t key_count, float *gradient,
                     std::int64_t gradient_stride, bool overwrite) {
    if constexpr (Vectors > 1) {
      if (vectors < Vectors) {
        query_columns<Vectors - 1>(vectors, row, dim, key_count, gradient, gradient_stride, overwrite);
        return;
      }
    }
    query_tile<Vectors>(row, dim, key_count, gradient, gradient_stride, overwrite);
  }

  template <int Vectors>
  __attribute__((noinline)) void query_tile(std::int64_t first_row, std::int64_t dim, std::int64_t key_count,
                                            float *gradient, std::int64_t gradient_stride, bool overwrite) {
    const RegisterTile<Vectors> tile = product_tile<Vectors>(score_gradients_ + first_row * panel_stride(),
                                                             panel_stride(), 1, keys_ + dim, padded_dim(), key_count);
    if (!overwrite && first_row + tile_rows <= rows_ && dim + Vectors * lanes <= head_dim()) {
      add_tile(tile, gradient, gradient_stride);
      return;
    }
    for (std::int64_t row = 0; row < std::min<std::int64_t>(tile_rows, rows_ - first_row); ++row) {
      for (int vector = 0; vector < Vectors; ++vector) {
        put(gradient + row * gradient_stride + vector * lanes, tile.values[row][vector],
            head_dim() - dim - vector * lanes, !overwrite);
      }
    }
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
