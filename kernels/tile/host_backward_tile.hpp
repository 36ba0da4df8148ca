// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/gradient_block.hpp"
#include "kernels/tile/host_backward_operands.hpp"
#include "kernels/tile/host_dropout.hpp"
#include "kernels/tile/host_product_tile.hpp"

namespace ringscale::kernels::tile {

/// Backward primitives of host back ends, one thread: panels of query rows pass by a block of keys in cache, in
/// register tiles of tile_rows rows (or keys) by tile_vectors vectors. HeadDim 0 takes head_dim at run time.
template <int HeadDim> class HostBackwardTile : public HostBackwardOperands {
public:
  using HostBackwardOperands::HostBackwardOperands;

  std::int64_t key_block_tokens() const { return HostBackwardOperands::key_block_tokens(head_dim()); }
  using HostBackwardOperands::key_block_tokens;
  using HostBackwardOperands::panel_stride;
  std::int64_t panel_stride() const {
    return HeadDim > 0 ? panel_stride(HostBackwardOperands::key_block_tokens(HeadDim)) : panel_stride_;
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

private:
  static constexpr std::int64_t tile_keys = tile_vectors * lanes;

  // Where head_dim is known at compile time, so are the strides.
  std::int64_t head_dim() const { return HeadDim > 0 ? HeadDim : head_dim_; }
  std::int64_t padded_dim() const { return HeadDim > 0 && HeadDim % lanes == 0 ? HeadDim : padded_dim_; }

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
};

} // namespace ringscale::kernels::tile
