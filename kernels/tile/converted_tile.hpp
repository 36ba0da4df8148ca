// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>

#include "kernels/attention_block.hpp"
#include "kernels/packed_low_precision.hpp"
#include "kernels/rounding.hpp"
#include "kernels/storage_row.hpp"
#include "kernels/tile/tile_policy.hpp"

namespace ringscale::kernels::tile {

/// Two-byte storage on top of a float32 tile: queries and every key block become float32, exactly, when they are
/// loaded into scratch; all arithmetic is then the inner tile's. The block's rows share one conversion, so that it
/// costs about one instruction in a hundred. Plain Kokkos: the same source serves hosts and devices.
template <class Inner, FloatFormat format, class Member> class ConvertedTile {
public:
  static constexpr std::int64_t rows_per_block = Inner::rows_per_block;
  static constexpr std::int64_t row_granularity = Inner::row_granularity;
  static constexpr std::int64_t key_block_tokens = Inner::key_block_tokens;
  static constexpr int team_size = Inner::team_size;

  KOKKOS_FUNCTION static std::size_t scratch_bytes(std::int64_t head_dim) {
    return Inner::scratch_bytes(head_dim) + own_bytes(head_dim) + 64; // the second allocation is aligned anew
  }

  /// The inner tile keeps to its level; the converted blocks are too large for shared memory.
  KOKKOS_FUNCTION static std::size_t scratch_bytes_at(int level, std::int64_t head_dim) {
    return tile::scratch_bytes_at<Inner>(level, head_dim) + (level == 1 ? own_bytes(head_dim) + 64 : 0);
  }

  KOKKOS_FUNCTION ConvertedTile(const Member &member, std::int64_t head_dim)
      : member_(member), head_dim_(head_dim), inner_(member, head_dim) {
    rows_of_query_ =
        static_cast<float *>(member.team_scratch(1).get_shmem_aligned(static_cast<int>(own_bytes(head_dim)), 64));
    keys_ = rows_of_query_ + rows_per_block * head_dim;
    values_ = keys_ + key_block_tokens * head_dim;
  }

  template <class AdmittedKeys>
  KOKKOS_FUNCTION void begin(const std::uint16_t *query, std::int64_t row_stride, std::int64_t rows, float factor,
                             const AdmittedKeys &admitted_keys) {
    rows_ = rows;
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows), [&](const std::int64_t row) {
      const std::uint16_t *from = query + row * row_stride;
      float *to = rows_of_query_ + row * head_dim_;
      for (std::int64_t dim = 0; dim < head_dim_; ++dim) {
        to[dim] = decode<format>(from[dim]);
      }
    });
    member_.team_barrier();
    inner_.begin(rows_of_query_, head_dim_, rows, factor, admitted_keys);
  }

  KOKKOS_FUNCTION std::int64_t most_admitted_keys() const { return inner_.most_admitted_keys(); }
  KOKKOS_FUNCTION std::int64_t panels() const { return inner_.panels(); }

  KOKKOS_FUNCTION void begin_keys(const std::uint16_t *packed_keys, const std::uint16_t *packed_values,
                                  std::int64_t key_begin, std::int64_t key_end) {
    const std::int64_t pairs = paired_dim(head_dim_) / 2;
    const std::int64_t tiles = (key_end - key_begin + key_tile_tokens - 1) / key_tile_tokens;
    const std::uint16_t *from_keys = packed_keys + key_begin * paired_dim(head_dim_);
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, tiles * pairs), [&](const std::int64_t index) {
      const std::int64_t dim = index % pairs * 2;
      const std::uint16_t *from = from_keys + index * 2 * key_tile_tokens;
      float *to = keys_ + (index / pairs * head_dim_ + dim) * key_tile_tokens;
      if (dim + 1 < head_dim_) {
        split_pairs(from, key_tile_tokens, to, to + key_tile_tokens);
      } else {
        for (std::int64_t key = 0; key < key_tile_tokens; ++key) {
          to[key] = decode<format>(from[2 * key]);
        }
      }
    });
    // The pair that holds the last key is whole, since tokens are padded to whole tiles.
    const std::uint16_t *from_values = packed_values + key_begin * head_dim_;
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, (key_end - key_begin + 1) / 2), [&](const std::int64_t pair) {
      float *to = values_ + pair * 2 * head_dim_;
      split_pairs(from_values + pair * 2 * head_dim_, head_dim_, to, to + head_dim_);
    });
    member_.team_barrier();
    inner_.begin_key_block(keys_, values_, key_begin, key_end);
  }

  KOKKOS_FUNCTION void weights(std::int64_t panel) { inner_.weights(panel); }
  KOKKOS_FUNCTION void accumulate(std::int64_t panel) { inner_.accumulate(panel); }

  /// Writes the finished rows; `output_row(row)` is a StorageRow. Rows in the storage format pass through the scratch
  /// of the queries: what was held is read before, and the result is rounded once.
  template <class OutputRow, class LogSumExp>
  KOKKOS_FUNCTION void finish(Merge merge, const OutputRow &output_row, const LogSumExp &log_sum_exp) {
    if (rows_ == 0 || output_row(0).packed == nullptr) {
      inner_.finish(
          merge, [&](std::int64_t row) { return output_row(row).full; }, log_sum_exp);
      return;
    }
    if (merge != Merge::replace) {
      Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
        for (std::int64_t dim = 0; dim < head_dim_; ++dim) {
          rows_of_query_[row * head_dim_ + dim] = decode<format>(output_row(row).packed[dim]);
        }
      });
      member_.team_barrier();
    }
    inner_.finish(
        merge, [&](std::int64_t row) { return rows_of_query_ + row * head_dim_; }, log_sum_exp);
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
      for (std::int64_t dim = 0; dim < head_dim_; ++dim) {
        output_row(row).packed[dim] = static_cast<std::uint16_t>(encode<format>(rows_of_query_[row * head_dim_ + dim]));
      }
    });
    member_.team_barrier();
  }

private:
  KOKKOS_FUNCTION static std::size_t own_bytes(std::int64_t head_dim) {
    // Values of an odd number of keys are written as whole pairs; a key block is an even number of tokens.
    return static_cast<std::size_t>((rows_per_block + 2 * key_block_tokens) * head_dim) * sizeof(float);
  }

  /// `count` pairs of patterns: the first ones of each to `first`, the others to `second`.
  KOKKOS_FUNCTION static void split_pairs(const std::uint16_t *pairs, std::int64_t count, float *first, float *second) {
    for (std::int64_t index = 0; index < count; ++index) {
      first[index] = decode<format>(pairs[2 * index]);
      second[index] = decode<format>(pairs[2 * index + 1]);
    }
  }

  const Member &member_;
  std::int64_t head_dim_;
  std::int64_t rows_ = 0;
  Inner inner_;
  float *rows_of_query_ = nullptr; // [rows_per_block][head_dim]; at the end rows of the output
  float *keys_ = nullptr;          // [key_block_tokens / key_tile_tokens][head_dim][key_tile_tokens]
  float *values_ = nullptr;        // [key_block_tokens][head_dim]
};

} // namespace ringscale::kernels::tile
