// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>

#include "kernels/attention_block.hpp"
#include "kernels/tile/row_state.hpp"
#include "kernels/tile/row_step.hpp"
#include "kernels/tile/tile_policy.hpp"

namespace ringscale::kernels::tile {

/// Tile primitives of device back ends, in plain Kokkos: a team shares a block of query rows in its scratch memory,
/// which is shared memory where it fits, and stages keys and values there, chunk by chunk of contiguous memory. A
/// thread computes 4 rows at a time, so that what it reads of a chunk serves 4 products; a warp reads neighbours.
/// Same steps and same interface as HostTile, so that one kernel source serves both; it also runs on hosts.
template <class Member, int HeadDim = 0, ScratchChoice choice = ScratchChoice::fitting> class TeamTile {
public:
  static constexpr std::int64_t rows_per_block = HeadDim > 0 && HeadDim <= 128 ? 32 : 16;
  static constexpr std::int64_t rows_per_panel = rows_per_block;
  static constexpr std::int64_t row_granularity = rows_per_block; // fewer rows would not make a team faster
  static constexpr std::int64_t key_block_tokens = key_tile_tokens;
  static constexpr std::int64_t weight_stride = key_block_tokens;
  static constexpr int team_size = on_device<Member> ? device_team_threads : 0; // 0: as the back end recommends
  static constexpr int vector_length = on_device<Member> ? device_vector_length : 1;

  KOKKOS_FUNCTION static constexpr std::size_t scratch_bytes(std::int64_t head_dim) {
    const std::int64_t floats = rows_per_block * (2 * head_dim + key_block_tokens + 3) + staged_elements(head_dim);
    return static_cast<std::size_t>(floats) * sizeof(float) +
           static_cast<std::size_t>(rows_per_block) * sizeof(std::int64_t);
  }

  KOKKOS_FUNCTION static constexpr int scratch_level(std::int64_t head_dim) {
    return fitting_level(choice, scratch_bytes(head_dim));
  }

  KOKKOS_FUNCTION TeamTile(const Member &member, std::int64_t head_dim) : member_(member), head_dim_(head_dim) {
    admitted_ = static_cast<std::int64_t *>(
        member.team_scratch(scratch_level(head_dim)).get_shmem_aligned(scratch_bytes(head_dim), 8));
    query_ = reinterpret_cast<float *>(admitted_ + rows_per_block);
    accumulated_ = query_ + rows_per_block * head_dim;
    weights_ = accumulated_ + rows_per_block * head_dim;
    weight_sum_ = weights_ + rows_per_block * key_block_tokens;
    reference_ = weight_sum_ + rows_per_block;
    factor_ = reference_ + rows_per_block;
    staged_ = factor_ + rows_per_block;
  }

  template <class AdmittedKeys>
  KOKKOS_FUNCTION void begin(const float *query, std::int64_t row_stride, std::int64_t rows, float factor,
                             const AdmittedKeys &admitted_keys) {
    rows_ = rows;
    padded_rows_ = (rows + rows_each - 1) / rows_each * rows_each;
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, padded_rows_), [&](const std::int64_t row) {
      admitted_[row] = row < rows_ ? admitted_keys(row) : 0;
      reference_[row] = no_reference;
      weight_sum_[row] = 0.0F;
    });
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, padded_rows_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t row = element / head_dim_;
      query_[element] = row < rows_ ? query[row * row_stride + element % head_dim_] * factor : 0.0F;
      accumulated_[element] = 0.0F;
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION std::int64_t most_admitted_keys() const { return rows_ == 0 ? 0 : admitted_[rows_ - 1]; }
  KOKKOS_FUNCTION std::int64_t panels() const { return 1; }

  KOKKOS_FUNCTION void begin_keys(const float *packed_keys, const float *values, std::int64_t key_begin,
                                  std::int64_t key_end) {
    begin_key_block(packed_keys + key_begin * head_dim_, values + key_begin * head_dim_, key_begin, key_end);
  }

  /// The same with pointers to the packed keys and values of this key block alone.
  KOKKOS_FUNCTION void begin_key_block(const float *keys, const float *values, std::int64_t key_begin,
                                       std::int64_t key_end) {
    key_begin_ = key_begin;
    key_count_ = key_end - key_begin;
    keys_ = keys;
    values_ = values;
  }

  KOKKOS_FUNCTION void scores(std::int64_t /*panel*/) {
    const std::int64_t most_dims = staged_elements(head_dim_) / key_tile_tokens;
    for (std::int64_t first = 0; first < head_dim_; first += most_dims) {
      const std::int64_t dims = head_dim_ - first < most_dims ? head_dim_ - first : most_dims;
      stage(keys_ + first * key_tile_tokens, dims * key_tile_tokens); // one key block is one packed tile
      Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, padded_rows_ / rows_each * key_block_tokens),
                           [&](const std::int64_t item) {
                             const std::int64_t row = item / key_block_tokens * rows_each;
                             const std::int64_t key = item % key_block_tokens;
                             score_chunk(row, key, first, dims);
                           });
      member_.team_barrier();
    }
  }

  KOKKOS_FUNCTION void weights(std::int64_t panel) {
    scores(panel);
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
      // All lanes read the row's state before the first reduction, in which they meet; one writes it after the last.
      const float before = reference_[row];
      const float held = weight_sum_[row];
      float *weights = weights_ + row * key_block_tokens;
      const RowStep step = row_step(member_, weights, key_count_, before);
      float sum = 0.0F;
      Kokkos::parallel_reduce(
          Kokkos::ThreadVectorRange(member_, key_count_),
          [&](const std::int64_t key, float &part) {
            weights[key] = Kokkos::exp2(weights[key] - step.reference);
            part += weights[key];
          },
          sum);
      Kokkos::single(Kokkos::PerThread(member_), [&]() {
        reference_[row] = step.reference;
        factor_[row] = step.factor;
        weight_sum_[row] = held * step.factor + sum;
      });
    });
    member_.team_barrier();
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, rows_ * head_dim_),
                         [&](const std::int64_t element) { accumulated_[element] *= factor_[element / head_dim_]; });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION float *panel_weights() { return weights_; }

  template <class RowBits>
  KOKKOS_FUNCTION void drop(std::int64_t /*panel*/, const Dropout &dropout, const RowBits &row_bits,
                            std::int64_t key_position, std::int64_t key_stride) {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
      const std::uint64_t bits = row_bits(row);
      Kokkos::parallel_for(Kokkos::ThreadVectorRange(member_, key_count_), [&](const std::int64_t key) {
        const bool kept = dropout.keeps(bits, key_position + key * key_stride);
        weights_[row * key_block_tokens + key] *= kept ? dropout.kept_factor() : 0.0F;
      });
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION void accumulate(std::int64_t /*panel*/) {
    const std::int64_t most_tokens = staged_elements(head_dim_) / head_dim_;
    for (std::int64_t first = 0; first < key_count_; first += most_tokens) {
      const std::int64_t tokens = key_count_ - first < most_tokens ? key_count_ - first : most_tokens;
      stage(values_ + first * head_dim_, tokens * head_dim_);
      Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, padded_rows_ / rows_each * head_dim_),
                           [&](const std::int64_t item) {
                             const std::int64_t row = item / head_dim_ * rows_each;
                             const std::int64_t dim = item % head_dim_;
                             accumulate_chunk(row, dim, first, tokens);
                           });
      member_.team_barrier();
    }
  }

  template <class RowScores> KOKKOS_FUNCTION void softmax_rows(const RowScores &row_scores, std::int64_t keys) {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
      const float none = -Kokkos::Experimental::infinity_v<float>;
      float *scores = row_scores(row);
      float largest = none;
      for (std::int64_t key = 0; key < keys; ++key) {
        largest = Kokkos::fmax(largest, scores[key]);
      }
      const float reference = largest == none ? 0.0F : largest * log2_e;
      float sum = 0.0F;
      for (std::int64_t key = 0; key < keys; ++key) {
        scores[key] = Kokkos::exp2(Kokkos::fma(scores[key], log2_e, -reference));
        sum += scores[key];
      }
      for (std::int64_t key = 0; key < keys; ++key) {
        scores[key] = sum == 0.0F ? scores[key] : scores[key] * (1.0F / sum);
      }
      const RowSum state = normalised_row(reference, sum);
      reference_[row] = state.reference;
      weight_sum_[row] = state.weight_sum;
    });
    member_.team_barrier();
  }

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
      factor_[row] = join.fresh;
    });
    member_.team_barrier();
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, rows_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t row = element / head_dim_;
      if (admitted_[row] == 0) {
        return;
      }
      float &output = output_row(row)[element % head_dim_];
      const float fresh = accumulated_[element] * factor_[row];
      output = reference_[row] == 0.0F ? fresh : output * reference_[row] + fresh;
    });
    member_.team_barrier();
  }

private:
  static constexpr std::int64_t rows_each = 4; // of one thread

  /// Floats of a chunk of keys or values: what shared memory has left, and a token at least.
  KOKKOS_FUNCTION static constexpr std::int64_t staged_elements(std::int64_t head_dim) {
    const std::int64_t elements = (HeadDim == 64 ? 64 : HeadDim == 128 ? 16 : 32) * key_tile_tokens;
    return elements > head_dim ? elements : head_dim;
  }

  KOKKOS_FUNCTION void stage(const float *from, std::int64_t elements) {
    Kokkos::parallel_for(Kokkos::TeamVectorRange(member_, elements),
                         [&](const std::int64_t element) { staged_[element] = from[element]; });
    member_.team_barrier();
  }

  /// Adds dimensions [first, first + dims) to the scores of 4 rows and a key; the last chunk applies the mask.
  KOKKOS_FUNCTION void score_chunk(std::int64_t row, std::int64_t key, std::int64_t first, std::int64_t dims) const {
    float sums[rows_each];
    float *scores = weights_ + row * key_block_tokens + key;
    for (std::int64_t index = 0; index < rows_each; ++index) {
      sums[index] = first == 0 ? 0.0F : scores[index * key_block_tokens];
    }
    const float *query = query_ + row * head_dim_ + first;
    for (std::int64_t dim = 0; dim < dims; ++dim) {
      const float component = staged_[dim * key_tile_tokens + key];
      for (std::int64_t index = 0; index < rows_each; ++index) {
        sums[index] = Kokkos::fma(query[index * head_dim_ + dim], component, sums[index]);
      }
    }
    const bool last = first + dims == head_dim_;
    for (std::int64_t index = 0; index < rows_each; ++index) {
      const bool masked = last && (key >= key_count_ || key_begin_ + key >= admitted_[row + index]);
      scores[index * key_block_tokens] = masked ? -Kokkos::Experimental::infinity_v<float> : sums[index];
    }
  }

  /// Adds the values of tokens [first, first + tokens) to one dimension of 4 rows. What is not admitted is not
  /// multiplied either: its value may be no number.
  KOKKOS_FUNCTION void accumulate_chunk(std::int64_t row, std::int64_t dim, std::int64_t first,
                                        std::int64_t tokens) const {
    float sums[rows_each];
    std::int64_t left[rows_each];
    for (std::int64_t index = 0; index < rows_each; ++index) {
      sums[index] = accumulated_[(row + index) * head_dim_ + dim];
      left[index] = admitted_[row + index] - key_begin_ - first;
    }
    const float *weights = weights_ + row * key_block_tokens + first;
    for (std::int64_t token = 0; token < tokens; ++token) {
      const float value = staged_[token * head_dim_ + dim];
      for (std::int64_t index = 0; index < rows_each; ++index) {
        if (token < left[index]) {
          sums[index] = Kokkos::fma(weights[index * key_block_tokens + token], value, sums[index]);
        }
      }
    }
    for (std::int64_t index = 0; index < rows_each; ++index) {
      accumulated_[(row + index) * head_dim_ + dim] = sums[index];
    }
  }

  const Member &member_;
  std::int64_t head_dim_;
  std::int64_t rows_ = 0;
  std::int64_t padded_rows_ = 0; // to whole groups of rows_each
  std::int64_t *admitted_;
  float *query_ = nullptr;       // [rows_per_block][head_dim], times scale and log2(e)
  float *accumulated_ = nullptr; // [rows_per_block][head_dim], not normalised
  float *weights_ = nullptr;     // [rows_per_block][key_block_tokens]
  float *weight_sum_ = nullptr;
  float *reference_ = nullptr;
  float *factor_ = nullptr;
  float *staged_ = nullptr; // [staged_elements]: dimensions of the key block, or values of some of its tokens
  const float *keys_ = nullptr;
  const float *values_ = nullptr;
  std::int64_t key_begin_ = 0;
  std::int64_t key_count_ = 0;
};

} // namespace ringscale::kernels::tile
