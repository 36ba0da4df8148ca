// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>

#include "kernels/attention_block.hpp"
#include "kernels/tile/row_state.hpp"

namespace ringscale::kernels::tile {

/// Tile primitives of device back ends, in plain Kokkos: a team shares a block of query rows in its scratch memory.
/// Same steps and same interface as HostTile, so that one kernel source serves both; it also runs on hosts.
template <class Member> class TeamTile {
public:
  static constexpr std::int64_t rows_per_block = 16;
  static constexpr std::int64_t rows_per_panel = rows_per_block;
  static constexpr std::int64_t row_granularity = 1;
  static constexpr std::int64_t key_block_tokens = key_tile_tokens;
  static constexpr std::int64_t weight_stride = key_block_tokens;
  static constexpr int team_size = 0; // as many threads as the back end recommends

  KOKKOS_FUNCTION static std::size_t scratch_bytes(std::int64_t head_dim) {
    const std::int64_t floats = rows_per_block * (2 * head_dim + key_block_tokens + 3);
    return static_cast<std::size_t>(floats) * sizeof(float) +
           static_cast<std::size_t>(rows_per_block) * sizeof(std::int64_t);
  }

  KOKKOS_FUNCTION TeamTile(const Member &member, std::int64_t head_dim) : member_(member), head_dim_(head_dim) {
    admitted_ = static_cast<std::int64_t *>(
        member.team_scratch(1).get_shmem_aligned(static_cast<int>(scratch_bytes(head_dim)), 8));
    query_ = reinterpret_cast<float *>(admitted_ + rows_per_block);
    accumulated_ = query_ + rows_per_block * head_dim;
    weights_ = accumulated_ + rows_per_block * head_dim;
    weight_sum_ = weights_ + rows_per_block * key_block_tokens;
    reference_ = weight_sum_ + rows_per_block;
    factor_ = reference_ + rows_per_block;
  }

  template <class AdmittedKeys>
  KOKKOS_FUNCTION void begin(const float *query, std::int64_t row_stride, std::int64_t rows, float factor,
                             const AdmittedKeys &admitted_keys) {
    rows_ = rows;
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows), [&](const std::int64_t row) {
      admitted_[row] = admitted_keys(row);
      reference_[row] = no_reference;
      weight_sum_[row] = 0.0F;
    });
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows * head_dim_), [&](const std::int64_t element) {
      query_[element] = query[element / head_dim_ * row_stride + element % head_dim_] * factor;
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
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_ * key_count_), [&](const std::int64_t pair) {
      const std::int64_t row = pair / key_count_;
      const std::int64_t key = pair % key_count_;
      const float *query = query_ + row * head_dim_;
      const float *keys = keys_ + key; // one key block is one packed tile
      float score = 0.0F;
      for (std::int64_t dim = 0; dim < head_dim_; ++dim) {
        score += query[dim] * keys[dim * key_tile_tokens];
      }
      weights_[row * key_block_tokens + key] =
          key_begin_ + key < admitted_[row] ? score : -Kokkos::Experimental::infinity_v<float>;
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION void weights(std::int64_t panel) {
    scores(panel);
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
      float *weights = weights_ + row * key_block_tokens;
      float largest = weights[0];
      for (std::int64_t key = 1; key < key_count_; ++key) {
        largest = Kokkos::fmax(largest, weights[key]);
      }
      factor_[row] = 1.0F;
      if (largest > reference_[row] + reference_slack || (reference_[row] == no_reference && largest > no_reference)) {
        factor_[row] = Kokkos::exp2(reference_[row] - largest);
        reference_[row] = largest;
      }
      float sum = weight_sum_[row] * factor_[row];
      for (std::int64_t key = 0; key < key_count_; ++key) {
        weights[key] = Kokkos::exp2(weights[key] - reference_[row]);
        sum += weights[key];
      }
      weight_sum_[row] = sum;
    });
    member_.team_barrier();
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_ * head_dim_),
                         [&](const std::int64_t element) { accumulated_[element] *= factor_[element / head_dim_]; });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION float *panel_weights() { return weights_; }

  template <class RowBits>
  KOKKOS_FUNCTION void drop(std::int64_t /*panel*/, const Dropout &dropout, const RowBits &row_bits,
                            std::int64_t key_position, std::int64_t key_stride) {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
      const std::uint64_t bits = row_bits(row);
      for (std::int64_t key = 0; key < key_count_; ++key) {
        const bool kept = dropout.keeps(bits, key_position + key * key_stride);
        weights_[row * key_block_tokens + key] *= kept ? dropout.kept_factor() : 0.0F;
      }
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION void accumulate(std::int64_t /*panel*/) {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t row = element / head_dim_;
      const float *weights = weights_ + row * key_block_tokens;
      const float *values = values_ + element % head_dim_;
      const std::int64_t left = admitted_[row] - key_begin_;
      const std::int64_t count = left < key_count_ ? left : key_count_;
      float sum = accumulated_[element];
      for (std::int64_t key = 0; key < count; ++key) {
        sum += weights[key] * values[key * head_dim_];
      }
      accumulated_[element] = sum;
    });
    member_.team_barrier();
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
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_), [&](const std::int64_t row) {
      const float held = merge == Merge::replace ? 0.0F : log_sum_exp(row);
      const RowJoin join = join_row(reference_[row], weight_sum_[row], held, merge);
      if (!join.write) {
        return;
      }
      log_sum_exp(row) = join.log_sum_exp;
      float *output = output_row(row);
      for (std::int64_t dim = 0; dim < head_dim_; ++dim) {
        const float fresh = accumulated_[row * head_dim_ + dim] * join.fresh;
        output[dim] = join.held == 0.0F ? fresh : output[dim] * join.held + fresh;
      }
    });
    member_.team_barrier();
  }

private:
  const Member &member_;
  std::int64_t head_dim_;
  std::int64_t rows_ = 0;
  std::int64_t *admitted_;
  float *query_ = nullptr;       // [rows_per_block][head_dim], times scale and log2(e)
  float *accumulated_ = nullptr; // [rows_per_block][head_dim], not normalised
  float *weights_ = nullptr;     // [rows_per_block][key_block_tokens]
  float *weight_sum_ = nullptr;
  float *reference_ = nullptr;
  float *factor_ = nullptr;
  const float *keys_ = nullptr;
  const float *values_ = nullptr;
  std::int64_t key_begin_ = 0;
  std::int64_t key_count_ = 0;
};

} // namespace ringscale::kernels::tile
