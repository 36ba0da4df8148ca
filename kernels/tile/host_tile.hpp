// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/attention_block.hpp"
#include "kernels/tile/host_dropout.hpp"
#include "kernels/tile/host_register_tile.hpp"
#include "kernels/tile/row_state.hpp"

namespace ringscale::kernels::tile {

/// Tile primitives of host back ends: one thread computes a block of query rows with vector registers. Rows go in
/// panels, whose weights stay in the first-level cache, over key blocks, which stay in the second-level cache while
/// all panels of the block read them. HeadDim 0 takes head_dim at run time.
template <int HeadDim> class HostTile {
public:
  static constexpr std::int64_t rows_per_block = 4 * query_tile_tokens;
  static constexpr std::int64_t rows_per_panel = query_tile_tokens;
  static constexpr std::int64_t row_granularity = tile_rows;
  static constexpr std::int64_t key_block_tokens = 256;
  /// Floats from one row of weights to the next: a power of two would put all rows into a few sets of the cache.
  static constexpr std::int64_t weight_stride = key_block_tokens + lanes;
  static constexpr int team_size = 1;
  static_assert(rows_per_panel % tile_rows == 0 && key_block_tokens % key_tile_tokens == 0);
  static_assert(key_tile_tokens % (tile_vectors * lanes) == 0);

  static std::int64_t padded_dim(std::int64_t head_dim) { return (head_dim + lanes - 1) / lanes * lanes; }

  /// Scratch of one block; a tail of values is copied there only when head_dim is no multiple of the lanes.
  static std::size_t scratch_bytes(std::int64_t head_dim) {
    const std::int64_t padded = padded_dim(head_dim);
    const std::int64_t value_copy = padded == head_dim ? 0 : key_block_tokens * padded;
    const std::int64_t floats =
        2 * rows_per_block * padded + rows_per_panel * weight_stride + rows_per_block * (lanes + 2) + value_copy;
    return static_cast<std::size_t>(floats) * sizeof(float) + rows_per_block * sizeof(std::int64_t);
  }

  template <class Member>
  HostTile(const Member &member, std::int64_t head_dim)
      : head_dim_(head_dim), padded_dim_(padded_dim(head_dim)),
        admitted_(static_cast<std::int64_t *>(
            member.team_scratch(1).get_shmem_aligned(static_cast<int>(scratch_bytes(head_dim)), 64))) {
    query_ = reinterpret_cast<float *>(admitted_ + rows_per_block);
    accumulated_ = query_ + rows_per_block * padded_dim_;
    weights_ = accumulated_ + rows_per_block * padded_dim_;
    weight_sum_ = weights_ + rows_per_panel * weight_stride;
    reference_ = weight_sum_ + rows_per_block * lanes;
    limit_ = reference_ + rows_per_block;
    value_copy_ = limit_ + rows_per_block;
  }

  /// Starts a block: `rows` query rows, `row_stride` floats apart, times `factor`. `admitted_keys(row)` must not fall
  /// from one row to the next.
  template <class AdmittedKeys>
  void begin(const float *query, std::int64_t row_stride, std::int64_t rows, float factor,
             const AdmittedKeys &admitted_keys) {
    rows_ = rows;
    padded_rows_ = (rows + tile_rows - 1) / tile_rows * tile_rows;
    for (std::int64_t row = 0; row < padded_rows_; ++row) {
      // Rows that only fill a register tile are zero, and admit what the last real row admits.
      const bool exists = row < rows;
      admitted_[row] = exists ? admitted_keys(row) : admitted_[rows - 1];
      reference_[row] = no_reference;
      limit_[row] = no_reference;
      store(weight_sum_ + row * lanes, Vector{});
      const float *from = query + row * row_stride;
      float *to = query_ + row * query_stride();
      for (std::int64_t dim = 0; dim < padded_dim(); dim += lanes) {
        const Vector elements = exists ? load_part(from + dim, head_dim() - dim) : Vector{};
        store(to + dim, elements * broadcast(factor));
        store(accumulated_ + row * padded_dim() + dim, Vector{});
      }
    }
  }

  std::int64_t most_admitted_keys() const { return rows_ == 0 ? 0 : admitted_[rows_ - 1]; }
  std::int64_t panels() const { return (padded_rows_ + rows_per_panel - 1) / rows_per_panel; }

  /// Points the tile at keys [key_begin, key_end) of a head's packed span.
  void begin_keys(const float *packed_keys, const float *values, std::int64_t key_begin, std::int64_t key_end) {
    begin_key_block(packed_keys + key_begin * head_dim(), values + key_begin * head_dim(), key_begin, key_end);
  }

  /// The same with pointers to the packed keys and values of this key block alone.
  void begin_key_block(const float *keys, const float *values, std::int64_t key_begin, std::int64_t key_end) {
    key_begin_ = key_begin;
    key_end_ = key_end;
    keys_ = keys;
    values_ = values;
    value_stride_ = head_dim();
    if (padded_dim_ != head_dim_) {
      for (std::int64_t key = 0; key < key_end - key_begin; ++key) {
        for (std::int64_t dim = 0; dim < padded_dim_; dim += lanes) {
          store(value_copy_ + key * padded_dim_ + dim, load_part(values_ + key * head_dim_ + dim, head_dim_ - dim));
        }
      }
      values_ = value_copy_;
      value_stride_ = padded_dim_;
    }
  }

  /// Scores and exponentials of a panel of rows against the keys: weights 2^(score - reference), and their sums.
  void weights(std::int64_t panel) { for_each_score_tile<true>(panel); }

  /// Scores alone, into panel_weights().
  void scores(std::int64_t panel) { for_each_score_tile<false>(panel); }

  /// [rows_per_panel][weight_stride]: what `weights` or `scores` left, and what `accumulate` reads.
  float *panel_weights() { return weights_; }

  /// Multiplies a panel's weights by the dropout mask: `row_bits(row)` are a row's random bits, the keys stand at
  /// key_position, key_position + key_stride, ...
  template <class RowBits>
  __attribute__((noinline)) void drop(std::int64_t panel, const Dropout &dropout, const RowBits &row_bits,
                                      std::int64_t key_position, std::int64_t key_stride) {
    const std::int64_t begin = panel * rows_per_panel;
    const auto stride = static_cast<std::uint32_t>(key_stride);
    for (std::int64_t row = begin; row < std::min(begin + rows_per_panel, rows_); ++row) {
      float *weights = weights_ + (row - begin) * weight_stride;
      const std::uint64_t bits = row_bits(row);
      for (std::int64_t key = 0; key < std::min(admitted_[row], key_end_) - key_begin_; key += lanes) {
        const auto position = static_cast<std::uint32_t>(key_position + key * key_stride);
        const IntegerVector kept = kept_lanes(dropout, bits, position, stride);
        store(weights + key, kept ? load(weights + key) * broadcast(dropout.kept_factor()) : Vector{});
      }
    }
  }

  /// accumulated += weights * values for a panel of rows.
  void accumulate(std::int64_t panel) {
    const std::int64_t begin = panel * rows_per_panel;
    const std::int64_t end = std::min(begin + rows_per_panel, padded_rows_);
    for (std::int64_t dim = 0; dim < padded_dim(); dim += tile_vectors * lanes) {
      const std::int64_t vectors = std::min<std::int64_t>(tile_vectors, (padded_dim() - dim) / lanes);
      for (std::int64_t row = begin; row < end; row += tile_rows) {
        const std::int64_t last_key = std::min(admitted_[row + tile_rows - 1], key_end_);
        if (last_key > key_begin_) {
          const float *weights = weights_ + (row - begin) * weight_stride;
          for_rows(rows_ - row, vectors == tile_vectors, [&](auto register_rows) {
            accumulate_columns<tile_vectors, register_rows()>(vectors, weights, dim, last_key - key_begin_, row);
          });
        }
      }
    }
  }

  /// Softmax of whole rows in memory: `row_scores(row)` points to `keys` scores in natural units, -infinity where
  /// masked, and holds the normalised weights afterwards; the rows' sums go where `finish` expects them.
  template <class RowScores> void softmax_rows(const RowScores &row_scores, std::int64_t keys) {
    for (std::int64_t row = 0; row < rows_; ++row) {
      float *scores = row_scores(row);
      float largest = masked_score;
      for (std::int64_t key = 0; key < keys; ++key) {
        largest = scores[key] > largest ? scores[key] : largest;
      }
      // Without an admitted key every weight is 2^-infinity = 0, whatever finite value is subtracted.
      const float reference = largest == masked_score ? 0.0F : largest * log2_e;
      Vector sums{};
      for_each_vector(scores, keys, [&](Vector score, std::int64_t count) {
        const Vector weight = exp2(multiply_add(score, broadcast(log2_e), broadcast(-reference)));
        sums += keep_first(weight, count, 0.0F);
        return weight;
      });
      const float sum = horizontal_sum(sums);
      for_each_vector(scores, keys, [&](Vector weight, std::int64_t) {
        return sum == 0.0F ? weight : weight * broadcast(1.0F / sum);
      });
      set_normalised_row(row, reference, sum);
    }
  }

  /// Writes the finished rows: `output_row(row)` points to head_dim floats, `log_sum_exp(row)` is a reference.
  template <class OutputRow, class LogSumExp>
  void finish(Merge merge, const OutputRow &output_row, const LogSumExp &log_sum_exp) {
    for (std::int64_t row = 0; row < rows_; ++row) {
      const float held = merge == Merge::replace ? 0.0F : log_sum_exp(row);
      const RowJoin join = join_row(reference_[row], horizontal_sum(load(weight_sum_ + row * lanes)), held, merge);
      if (!join.write) {
        continue;
      }
      log_sum_exp(row) = join.log_sum_exp;
      float *output = output_row(row);
      const float *accumulated = accumulated_ + row * padded_dim_;
      for (std::int64_t dim = 0; dim < head_dim(); dim += lanes) {
        Vector joined = load(accumulated + dim) * broadcast(join.fresh);
        if (join.held != 0.0F) {
          joined = multiply_add(load_part(output + dim, head_dim() - dim), broadcast(join.held), joined);
        }
        store_part(output + dim, joined, head_dim() - dim);
      }
    }
  }

private:
  // Where head_dim is known at compile time, so are the strides.
  std::int64_t head_dim() const { return HeadDim > 0 ? HeadDim : head_dim_; }
  std::int64_t padded_dim() const { return HeadDim > 0 && HeadDim % lanes == 0 ? HeadDim : padded_dim_; }
  std::int64_t query_stride() const { return padded_dim(); }

  /// Replaces `count` floats, a vector at a time, by what `function(vector, elements that count)` makes of them.
  template <class Function> static void for_each_vector(float *values, std::int64_t count, const Function &function) {
    for (std::int64_t index = 0; index < count; index += lanes) {
      store_part(values + index, function(load_part(values + index, count - index), count - index), count - index);
    }
  }

  /// Row state under which `finish` takes an accumulated row that is normalised already as it is.
  void set_normalised_row(std::int64_t row, float reference, float sum) {
    const RowSum state = normalised_row(reference, sum);
    reference_[row] = state.reference;
    store(weight_sum_ + row * lanes, Vector{});
    weight_sum_[row * lanes] = state.weight_sum;
  }

  /// Calls `function` with the rows of the register tile that `rows_left` rows need: the last tile of a block may be a
  /// lower one, of which there are two, and only for the common case that `whole` stands for.
  template <class Function>
  static __attribute__((always_inline)) void for_rows(std::int64_t rows_left, bool whole, const Function &function) {
    if (rows_left > 4 || !whole) {
      function(std::integral_constant<int, tile_rows>{});
    } else if (rows_left > 2) {
      function(std::integral_constant<int, 4>{});
    } else {
      function(std::integral_constant<int, 2>{});
    }
  }

  template <bool Exponentials> void for_each_score_tile(std::int64_t panel) {
    constexpr std::int64_t tile_keys = tile_vectors * lanes;
    const std::int64_t begin = panel * rows_per_panel;
    const std::int64_t end = std::min(begin + rows_per_panel, padded_rows_);
    const std::int64_t last_key = std::min(admitted_[end - 1], key_end_);
    for (std::int64_t key = key_begin_; key < last_key; key += tile_keys) {
      const float *keys =
          keys_ + (key - key_begin_) / key_tile_tokens * key_tile_tokens * head_dim() + key % key_tile_tokens;
      for (std::int64_t row = begin; row < end; row += tile_rows) {
        if (admitted_[row] >= key + tile_keys) {
          for_rows(rows_ - row, true, [&](auto register_rows) {
            score_columns<tile_vectors, Exponentials, false, register_rows()>(keys, key, row, begin);
          });
        } else if (admitted_[row + tile_rows - 1] > key) {
          const std::int64_t keys_left = admitted_[row + tile_rows - 1] - key;
          masked_columns<tile_vectors, Exponentials>((keys_left + lanes - 1) / lanes, keys, key, row, begin);
        }
      }
    }
  }

  template <int Vectors, bool Exponentials>
  void masked_columns(std::int64_t vectors, const float *keys, std::int64_t key, std::int64_t row,
                      std::int64_t panel_begin) {
    if constexpr (Vectors > 1) {
      if (vectors < Vectors) {
        masked_columns<Vectors - 1, Exponentials>(vectors, keys, key, row, panel_begin);
        return;
      }
    }
    score_columns<Vectors, Exponentials, true, tile_rows>(keys, key, row, panel_begin);
  }

  template <int Vectors, bool Exponentials, bool Masked, int Rows>
  __attribute__((noinline)) void score_columns(const float *keys, std::int64_t key, std::int64_t first_row,
                                               std::int64_t panel_begin) {
    RegisterTile<Vectors, Rows> tile =
        score_tile<Vectors, Rows>(query_ + first_row * query_stride(), query_stride(), keys, head_dim());
    if constexpr (Masked) {
      for (int row = 0; row < Rows; ++row) {
        for (int vector = 0; vector < Vectors; ++vector) {
          tile.values[row][vector] =
              keep_first(tile.values[row][vector], admitted_[first_row + row] - key - vector * lanes, masked_score);
        }
      }
    }
    float *weights = weights_ + (first_row - panel_begin) * weight_stride + (key - key_begin_);
    if constexpr (!Exponentials) {
#pragma GCC unroll 8
      for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 8
        for (int vector = 0; vector < Vectors; ++vector) {
          store(weights + row * weight_stride + vector * lanes, tile.values[row][vector]);
        }
      }
    } else {
      Vector largest[Rows];
#pragma GCC unroll 8
      for (int row = 0; row < Rows; ++row) {
        largest[row] = tile.values[row][0];
#pragma GCC unroll 8
        for (int vector = 1; vector < Vectors; ++vector) {
          largest[row] = maximum(largest[row], tile.values[row][vector]);
        }
      }
      // Rows are compared one by one: a maximum over rows would let a NaN in one row hide what another one needs.
      Comparison excess = greater(largest[0], broadcast(limit_[first_row]));
#pragma GCC unroll 8
      for (int row = 1; row < Rows; ++row) {
        excess |= greater(largest[row], broadcast(limit_[first_row + row]));
      }
      if (__builtin_expect(any(excess), 0)) {
        // The first keys that a row meets only set its reference: that stays in registers, without a call.
        float before[Rows];
        bool computed = false;
#pragma GCC unroll 8
        for (int row = 0; row < Rows; ++row) {
          const float raised = horizontal_maximum(largest[row]);
          before[row] = reference_[first_row + row];
          if (raised > limit_[first_row + row]) {
            reference_[first_row + row] = raised;
            limit_[first_row + row] = raised + reference_slack;
            computed = computed || before[row] != no_reference;
          }
        }
        if (computed) {
          for (int row = 0; row < Rows; ++row) {
            rescale(first_row + row, before[row], weights + row * weight_stride, key - key_begin_);
          }
        }
      }
#pragma GCC unroll 8
      for (int row = 0; row < Rows; ++row) {
        const Vector reference = broadcast(reference_[first_row + row]);
        Vector sum = load(weight_sum_ + (first_row + row) * lanes);
#pragma GCC unroll 8
        for (int vector = 0; vector < Vectors; ++vector) {
          const Vector weight = exp2(tile.values[row][vector] - reference);
          sum += weight;
          store(weights + row * weight_stride + vector * lanes, weight);
        }
        store(weight_sum_ + (first_row + row) * lanes, sum);
      }
    }
  }

  /// Rescales what was computed of a row under its reference `before` to the present one: the accumulated row, the
  /// sum, and this key block's weights that were not accumulated yet.
  __attribute__((noinline, cold)) void rescale(std::int64_t row, float before, float *weights_end,
                                               std::int64_t weights_before) {
    if (before == reference_[row] || before == no_reference) {
      return; // not moved, or nothing but zeros was computed so far
    }
    const Vector factor = exp2(broadcast(before - reference_[row]));
    store(weight_sum_ + row * lanes, load(weight_sum_ + row * lanes) * factor);
    for (std::int64_t dim = 0; dim < padded_dim_; dim += lanes) {
      float *accumulated = accumulated_ + row * padded_dim_ + dim;
      store(accumulated, load(accumulated) * factor);
    }
    for (std::int64_t key = -weights_before; key < 0; key += lanes) {
      store(weights_end + key, load(weights_end + key) * factor);
    }
  }

  template <int Vectors, int Rows>
  void accumulate_columns(std::int64_t vectors, const float *weights, std::int64_t dim, std::int64_t key_count,
                          std::int64_t row) {
    if constexpr (Vectors > 1 && Rows == tile_rows) {
      if (vectors < Vectors) {
        accumulate_columns<Vectors - 1, Rows>(vectors, weights, dim, key_count, row);
        return;
      }
    }
    accumulate_tile<Vectors, Rows>(weights, weight_stride, values_ + dim,
                                   HeadDim > 0 && HeadDim % lanes == 0 ? HeadDim : value_stride_, key_count,
                                   accumulated_ + row * padded_dim() + dim, padded_dim());
  }

  static constexpr float masked_score = -__builtin_inff();

  std::int64_t head_dim_;
  std::int64_t padded_dim_;
  std::int64_t rows_ = 0;
  std::int64_t padded_rows_ = 0;
  std::int64_t *admitted_;       // [rows_per_block] keys that each row admits
  float *query_ = nullptr;       // [rows_per_block][padded_dim], times scale and log2(e)
  float *accumulated_ = nullptr; // [rows_per_block][padded_dim], not normalised
  float *weights_ = nullptr;     // [rows_per_panel][weight_stride]
  float *weight_sum_ = nullptr;  // [rows_per_block][lanes]
  float *reference_ = nullptr;   // [rows_per_block]
  float *limit_ = nullptr;       // [rows_per_block] reference plus slack
  float *value_copy_ = nullptr;  // [key_block_tokens][padded_dim] where values need padding
  const float *keys_ = nullptr;
  const float *values_ = nullptr;
  std::int64_t value_stride_ = 0;
  std::int64_t key_begin_ = 0;
  std::int64_t key_end_ = 0;
};

} // namespace ringscale::kernels::tile
