// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>

#include "kernels/attention_block.hpp"
#include "kernels/packed_low_precision.hpp"
#include "kernels/rounding.hpp"
#include "kernels/storage_row.hpp"
#include "kernels/tile/matrix_product.hpp"
#include "kernels/tile/row_step.hpp"
#include "kernels/tile/tile_policy.hpp"

namespace ringscale::kernels::tile {

/// Two-byte storage on tensor cores: both products are products of 16 x 16 blocks with float32 sums, and the weights
/// are rounded to `format` for the second one. Queries stay as they are stored, so the scale is applied to the
/// finished score. The pairs of the packed layout are neighbours in a block's columns too, so that staging moves whole
/// pairs. A product multiplies whole blocks: a value that is no number reaches the rows of its block of 16 that do not
/// admit its key as well. `Product` computes a BlockProduct; tests put broken ones there.
template <FloatFormat format, class Member, int HeadDim = 0, ScratchChoice choice = ScratchChoice::fitting,
          class Product = MatrixProduct>
class TeamMatrixTile {
public:
  static constexpr std::int64_t rows_per_block = HeadDim > 0 && HeadDim <= 128 ? 32 : 16;
  static constexpr std::int64_t row_granularity = rows_per_block;
  static constexpr std::int64_t key_block_tokens = key_tile_tokens;
  static constexpr int team_size = on_device<Member> ? device_team_threads : 0; // 0: as the back end recommends
  static constexpr int vector_length = on_device<Member> ? device_vector_length : 1;

  KOKKOS_FUNCTION static constexpr std::size_t scratch_bytes(std::int64_t head_dim) {
    const std::int64_t floats = rows_per_block * (padded_dim(head_dim) + key_block_tokens + 3);
    const std::int64_t patterns =
        rows_per_block * (padded_dim(head_dim) + key_block_tokens) + staged_elements(head_dim);
    return static_cast<std::size_t>(floats) * sizeof(float) +
           static_cast<std::size_t>(patterns) * sizeof(std::uint16_t) + rows_per_block * sizeof(std::int64_t);
  }

  KOKKOS_FUNCTION static constexpr int scratch_level(std::int64_t head_dim) {
    return fitting_level(choice, scratch_bytes(head_dim));
  }

  /// Everything that is multiplied in blocks comes first: it is aligned to 32 bytes as long as all sizes are.
  KOKKOS_FUNCTION TeamMatrixTile(const Member &member, std::int64_t head_dim)
      : member_(member), head_dim_(head_dim), padded_dim_(padded_dim(head_dim)) {
    accumulated_ = static_cast<float *>(
        member.team_scratch(scratch_level(head_dim)).get_shmem_aligned(scratch_bytes(head_dim), 64));
    scores_ = accumulated_ + rows_per_block * padded_dim_;
    query_ = reinterpret_cast<std::uint16_t *>(scores_ + rows_per_block * key_block_tokens);
    weights_ = query_ + rows_per_block * padded_dim_;
    staged_ = weights_ + rows_per_block * key_block_tokens;
    admitted_ = reinterpret_cast<std::int64_t *>(staged_ + staged_elements(head_dim));
    weight_sum_ = reinterpret_cast<float *>(admitted_ + rows_per_block);
    reference_ = weight_sum_ + rows_per_block;
    factor_ = reference_ + rows_per_block;
  }

  template <class AdmittedKeys>
  KOKKOS_FUNCTION void begin(const std::uint16_t *query, std::int64_t row_stride, std::int64_t rows, float factor,
                             const AdmittedKeys &admitted_keys) {
    rows_ = rows;
    row_blocks_ = (rows + matrix_edge - 1) / matrix_edge;
    scale_ = factor;
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, rows), [&](const std::int64_t row) {
      admitted_[row] = admitted_keys(row);
      reference_[row] = no_reference;
      weight_sum_[row] = 0.0F;
    });
    const std::int64_t padded_rows = row_blocks_ * matrix_edge;
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, padded_rows * padded_dim_), [&](const std::int64_t element) {
      const std::int64_t row = element / padded_dim_;
      const std::int64_t dim = element % padded_dim_;
      query_[element] = row < rows_ && dim < head_dim_ ? query[row * row_stride + dim] : std::uint16_t{0};
      accumulated_[element] = 0.0F;
    });
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, padded_rows * key_block_tokens),
                         [&](const std::int64_t element) { weights_[element] = 0; });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION std::int64_t most_admitted_keys() const { return rows_ == 0 ? 0 : admitted_[rows_ - 1]; }
  KOKKOS_FUNCTION std::int64_t panels() const { return 1; }

  KOKKOS_FUNCTION void begin_keys(const std::uint16_t *packed_keys, const std::uint16_t *packed_values,
                                  std::int64_t key_begin, std::int64_t key_end) {
    key_begin_ = key_begin;
    key_count_ = key_end - key_begin;
    keys_ = packed_keys + key_begin * paired_dim(head_dim_);
    values_ = packed_values + key_begin * head_dim_;
  }

  KOKKOS_FUNCTION void weights(std::int64_t /*panel*/) {
    multiply_keys();
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
      // All lanes read the row's state before the first reduction, in which they meet; one writes it after the last.
      const float before = reference_[row];
      const float held = weight_sum_[row];
      float *scores = scores_ + row * key_block_tokens;
      const std::int64_t left = admitted_[row] - key_begin_;
      const std::int64_t admitted = left < key_count_ ? left : key_count_;
      Kokkos::parallel_for(Kokkos::ThreadVectorRange(member_, key_block_tokens), [&](const std::int64_t key) {
        scores[key] = key < admitted ? scores[key] * scale_ : -Kokkos::Experimental::infinity_v<float>;
      });
      const RowStep step = row_step(member_, scores, key_block_tokens, before);
      float sum = 0.0F;
      Kokkos::parallel_reduce(
          Kokkos::ThreadVectorRange(member_, key_block_tokens),
          [&](const std::int64_t key, float &part) {
            const float weight = Kokkos::exp2(scores[key] - step.reference);
            weights_[row * key_block_tokens + key] = static_cast<std::uint16_t>(encode<format>(weight * weight_unit));
            part += weight;
          },
          sum);
      Kokkos::single(Kokkos::PerThread(member_), [&]() {
        reference_[row] = step.reference;
        factor_[row] = step.factor;
        weight_sum_[row] = held * step.factor + sum;
      });
    });
    member_.team_barrier();
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, rows_ * padded_dim_),
                         [&](const std::int64_t element) { accumulated_[element] *= factor_[element / padded_dim_]; });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION void accumulate(std::int64_t /*panel*/) {
    const std::int64_t dim_blocks = padded_dim_ / matrix_edge;
    const std::int64_t tokens = (key_count_ + matrix_edge - 1) / matrix_edge * matrix_edge;
    const std::int64_t most_tokens = staged_elements(head_dim_) / padded_dim_ / matrix_edge * matrix_edge;
    for (std::int64_t first = 0; first < tokens; first += most_tokens) {
      const std::int64_t count = tokens - first < most_tokens ? tokens - first : most_tokens;
      stage(count / 2, padded_dim_, [&](std::int64_t pair, std::int64_t dim, std::uint16_t *to) {
        const std::int64_t token = first + 2 * pair;
        const std::uint16_t *from = values_ + (token / 2 * head_dim_ + dim) * 2;
        to[0] = dim < head_dim_ && token < key_count_ ? from[0] : std::uint16_t{0};
        to[1] = dim < head_dim_ && token + 1 < key_count_ ? from[1] : std::uint16_t{0};
      });
      Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, row_blocks_ * dim_blocks), [&](const std::int64_t block) {
        const std::int64_t row = block / dim_blocks * matrix_edge;
        const std::int64_t dim_block = block % dim_blocks;
        Product::template compute<format>(
            member_, {weights_ + row * key_block_tokens + first, key_block_tokens,
                      staged_ + dim_block * matrix_elements, dim_blocks * matrix_elements, count / matrix_edge,
                      accumulated_ + row * padded_dim_ + dim_block * matrix_edge, padded_dim_, false});
      });
      member_.team_barrier();
    }
  }

  /// Writes the finished rows; `output_row(row)` is a StorageRow. A row in storage format is rounded once.
  template <class OutputRow, class LogSumExp>
  KOKKOS_FUNCTION void finish(Merge merge, const OutputRow &output_row, const LogSumExp &log_sum_exp) {
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, rows_), [&](const std::int64_t row) {
      const float held = merge == Merge::replace ? 0.0F : log_sum_exp(row);
      const RowJoin join = join_row(reference_[row], weight_sum_[row], held, merge);
      if (join.write) {
        log_sum_exp(row) = join.log_sum_exp;
      }
      admitted_[row] = join.write ? 1 : 0; // the row's state has been used up: its memory serves the join
      reference_[row] = join.held;
      factor_[row] = join.fresh / weight_unit;
    });
    member_.team_barrier();
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, rows_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t row = element / head_dim_;
      const std::int64_t dim = element % head_dim_;
      if (admitted_[row] == 0) {
        return;
      }
      const StorageRow output = output_row(row);
      const float fresh = accumulated_[row * padded_dim_ + dim] * factor_[row];
      const bool joined = reference_[row] != 0.0F;
      if (output.packed == nullptr) {
        output.full[dim] = joined ? output.full[dim] * reference_[row] + fresh : fresh;
      } else {
        const float sum = joined ? decode<format>(output.packed[dim]) * reference_[row] + fresh : fresh;
        output.packed[dim] = static_cast<std::uint16_t>(encode<format>(sum));
      }
    });
    member_.team_barrier();
  }

private:
  /// Weights are stored in units of its inverse, a power of two: float16 would lose those below 2^-25 of the largest,
  /// of which a long row has many. A weight is at most 2^8 (row_state.hpp), and float16 ends at 2^16.
  static constexpr float weight_unit = format.exponent_bits == 5 ? 128.0F : 1.0F;

  KOKKOS_FUNCTION static constexpr std::int64_t padded_dim(std::int64_t head_dim) {
    return (head_dim + matrix_edge - 1) / matrix_edge * matrix_edge;
  }

  /// Patterns of a chunk: 16 dimensions of the key block or the values of 16 tokens at least, more where memory is.
  KOKKOS_FUNCTION static constexpr std::int64_t staged_elements(std::int64_t head_dim) {
    const std::int64_t elements = HeadDim > 0 && HeadDim <= 128 ? 4096 : 8192;
    const std::int64_t least = matrix_edge * padded_dim(head_dim);
    return elements > least ? elements : least;
  }

  /// scores = query x keys, not scaled: dimensions beyond head_dim count as 0 on both sides.
  KOKKOS_FUNCTION void multiply_keys() {
    constexpr std::int64_t key_blocks = key_block_tokens / matrix_edge;
    const std::int64_t most_dims = staged_elements(head_dim_) / key_block_tokens / matrix_edge * matrix_edge;
    for (std::int64_t first = 0; first < padded_dim_; first += most_dims) {
      const std::int64_t dims = padded_dim_ - first < most_dims ? padded_dim_ - first : most_dims;
      stage(dims / 2, key_block_tokens, [&](std::int64_t pair, std::int64_t key, std::uint16_t *to) {
        const bool exists = first + 2 * pair < head_dim_; // an odd head_dim ends with a stored zero
        const std::uint16_t *from = keys_ + ((first / 2 + pair) * key_tile_tokens + key) * 2;
        to[0] = exists ? from[0] : std::uint16_t{0};
        to[1] = exists ? from[1] : std::uint16_t{0};
      });
      Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, row_blocks_ * key_blocks), [&](const std::int64_t block) {
        const std::int64_t row = block / key_blocks * matrix_edge;
        const std::int64_t key_block = block % key_blocks;
        Product::template compute<format>(
            member_, {query_ + row * padded_dim_ + first, padded_dim_, staged_ + key_block * matrix_elements,
                      key_blocks * matrix_elements, dims / matrix_edge,
                      scores_ + row * key_block_tokens + key_block * matrix_edge, key_block_tokens, first == 0});
      });
      member_.team_barrier();
    }
  }

  /// Stages pairs of what a product sums over, for `columns` columns, as blocks of 16 x 16: [16 of the sum][16 columns]
  /// [column][16], see BlockProduct. `read(pair, column, to)` writes the two patterns of a pair.
  template <class Read> KOKKOS_FUNCTION void stage(std::int64_t pairs, std::int64_t columns, const Read &read) {
    constexpr std::int64_t block_pairs = matrix_edge / 2;
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, pairs * columns), [&](const std::int64_t item) {
      const std::int64_t pair = item / columns;
      const std::int64_t column = item % columns;
      const std::int64_t block = pair / block_pairs * (columns / matrix_edge) + column / matrix_edge;
      read(pair, column,
           staged_ + block * matrix_elements + column % matrix_edge * matrix_edge + pair % block_pairs * 2);
    });
    member_.team_barrier();
  }

  const Member &member_;
  std::int64_t head_dim_;
  std::int64_t padded_dim_; // to whole blocks
  std::int64_t rows_ = 0;
  std::int64_t row_blocks_ = 0;
  float scale_ = 0.0F;
  float *accumulated_ = nullptr;     // [rows_per_block][padded_dim], not normalised, times weight_unit
  float *scores_ = nullptr;          // [rows_per_block][key_block_tokens]
  std::uint16_t *query_ = nullptr;   // [rows_per_block][padded_dim]
  std::uint16_t *weights_ = nullptr; // [rows_per_block][key_block_tokens], times weight_unit
  std::uint16_t *staged_ = nullptr;  // [staged_elements]
  std::int64_t *admitted_ = nullptr;
  float *weight_sum_ = nullptr;
  float *reference_ = nullptr;
  float *factor_ = nullptr;
  const std::uint16_t *keys_ = nullptr;
  const std::uint16_t *values_ = nullptr;
  std::int64_t key_begin_ = 0;
  std::int64_t key_count_ = 0;
};

} // namespace ringscale::kernels::tile
