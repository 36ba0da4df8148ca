// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>

#include "kernels/gradient_block.hpp"
#include "kernels/tile/row_state.hpp"
#include "kernels/tile/tile_policy.hpp"

namespace ringscale::kernels::tile {

/// Backward primitives of device back ends, in plain Kokkos: a team shares a block of keys and a panel of query rows
/// in its scratch memory, of as many keys as fit into shared memory. Same steps and same interface as HostBackwardTile;
/// it also runs on hosts. Every element of a gradient belongs to one thread, so there are no atomics and one order of
/// sums. fma is written out: where the compiler chooses, each instance of a template has bits of its own.
template <class Member, ScratchChoice choice = ScratchChoice::fitting> class TeamBackwardTile {
public:
  static constexpr std::int64_t rows_per_panel = 8;
  static constexpr std::int64_t key_granularity = 1;
  static constexpr int team_size = on_device<Member> ? device_team_threads : 0; // 0: as the back end recommends

  /// Keys of a block: as many as fit into shared memory, whatever level is chosen, so that no bit depends on it.
  KOKKOS_FUNCTION static constexpr std::int64_t key_block_tokens(std::int64_t head_dim) {
    std::int64_t tokens = most_tokens;
    while (tokens > 4 && block_bytes(head_dim, tokens) > shared_memory_bytes) {
      tokens -= 4;
    }
    return block_bytes(head_dim, tokens) > shared_memory_bytes ? most_tokens : tokens;
  }
  KOKKOS_FUNCTION std::int64_t key_block_tokens() const { return block_tokens_; }

  KOKKOS_FUNCTION static constexpr std::size_t scratch_bytes(std::int64_t head_dim) {
    return block_bytes(head_dim, key_block_tokens(head_dim));
  }

  KOKKOS_FUNCTION static constexpr int scratch_level(std::int64_t head_dim) {
    return fitting_level(choice, scratch_bytes(head_dim));
  }

  KOKKOS_FUNCTION TeamBackwardTile(const Member &member, std::int64_t head_dim, float scale, const Dropout &dropout)
      : member_(member), head_dim_(head_dim), key_stride_(odd(head_dim)), block_tokens_(key_block_tokens(head_dim)),
        scale_(scale), dropout_(dropout) {
    key_ = static_cast<float *>(
        member.team_scratch(scratch_level(head_dim)).get_shmem_aligned(scratch_bytes(head_dim), 8));
    value_ = key_ + block_tokens_ * key_stride_;
    key_gradient_ = value_ + block_tokens_ * key_stride_;
    value_gradient_ = key_gradient_ + block_tokens_ * head_dim;
    query_ = value_gradient_ + block_tokens_ * head_dim;
    output_gradient_ = query_ + rows_per_panel * head_dim;
    weights_ = output_gradient_ + rows_per_panel * head_dim;
    score_gradients_ = weights_ + rows_per_panel * block_tokens_;
  }

  KOKKOS_FUNCTION void begin_keys(const GradientBlock &block, std::int64_t key_begin, std::int64_t key_end) {
    key_begin_ = key_begin;
    key_count_ = key_end - key_begin;
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, key_count_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t from = (key_begin_ + element / head_dim_) * block.key_stride + element % head_dim_;
      const std::int64_t to = element / head_dim_ * key_stride_ + element % head_dim_;
      key_[to] = block.key[from];
      value_[to] = block.value[from];
      key_gradient_[element] = 0.0F;
      value_gradient_[element] = 0.0F;
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION void begin_rows(const GradientBlock &block, std::int64_t head, std::int64_t row_begin,
                                  std::int64_t row_end) {
    row_begin_ = row_begin;
    rows_ = row_end - row_begin;
    block_ = &block;
    head_ = head;
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t from =
          head * block.query_head_stride + (row_begin + element / head_dim_) * block.query_stride + element % head_dim_;
      query_[element] = block.query[from];
      output_gradient_[element] = block.output_gradient[from];
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION void weights() {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_ * key_count_), [&](const std::int64_t pair) {
      const std::int64_t row = pair / key_count_;
      const std::int64_t key = pair % key_count_;
      const float log_sum_exp = block_->log_sum_exp[statistics(row)];
      float &weight = weights_[row * block_tokens_ + key];
      weight = 0.0F;
      if (key_begin_ + key < block_->admission.admitted_keys(row_begin_ + row, block_->key_tokens) &&
          log_sum_exp != -Kokkos::Experimental::infinity_v<float>) {
        weight =
            Kokkos::exp2((dot(query_ + row * head_dim_, key_ + key * key_stride_) * scale_ - log_sum_exp) * log2_e);
      }
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION void score_gradients() {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_ * key_count_), [&](const std::int64_t pair) {
      const std::int64_t row = pair / key_count_;
      const std::int64_t key = pair % key_count_;
      float &weight = weights_[row * block_tokens_ + key];
      const float kept = kept_factor(row_begin_ + row, key_begin_ + key);
      const float gradient = dot(output_gradient_ + row * head_dim_, value_ + key * key_stride_) * kept;
      score_gradients_[row * block_tokens_ + key] = scale_ * weight * (gradient - block_->output_dot[statistics(row)]);
      weight *= kept;
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION float *panel_weights() { return weights_; }
  KOKKOS_FUNCTION float *panel_score_gradients() { return score_gradients_; }
  KOKKOS_FUNCTION std::int64_t panel_stride() const { return block_tokens_; }

  KOKKOS_FUNCTION void accumulate_key_value() {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, key_count_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t key = element / head_dim_;
      const std::int64_t dim = element % head_dim_;
      float value_sum = 0.0F;
      float key_sum = 0.0F;
      for (std::int64_t row = 0; row < rows_; ++row) {
        value_sum =
            Kokkos::fma(weights_[row * block_tokens_ + key], output_gradient_[row * head_dim_ + dim], value_sum);
        key_sum = Kokkos::fma(score_gradients_[row * block_tokens_ + key], query_[row * head_dim_ + dim], key_sum);
      }
      value_gradient_[element] += value_sum;
      key_gradient_[element] += key_sum;
    });
  }

  KOKKOS_FUNCTION void accumulate_query(const GradientBlock &block, std::int64_t head) {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t row = element / head_dim_;
      const std::int64_t dim = element % head_dim_;
      float sum = 0.0F;
      for (std::int64_t key = 0; key < key_count_; ++key) {
        sum = Kokkos::fma(score_gradients_[row * block_tokens_ + key], key_[key * key_stride_ + dim], sum);
      }
      float &gradient = block.query_gradient[head * block.query_gradient_head_stride +
                                             (row_begin_ + row) * block.query_gradient_stride + dim];
      gradient = block.overwrite_query_gradient ? sum : gradient + sum;
    });
    member_.team_barrier();
  }

  KOKKOS_FUNCTION void finish_keys(const GradientBlock &block) {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, key_count_ * head_dim_), [&](const std::int64_t element) {
      const std::int64_t to = (key_begin_ + element / head_dim_) * block.key_gradient_stride + element % head_dim_;
      block.key_gradient[to] = key_gradient_[element] + (block.accumulate ? block.key_gradient[to] : 0.0F);
      block.value_gradient[to] = value_gradient_[element] + (block.accumulate ? block.value_gradient[to] : 0.0F);
    });
    member_.team_barrier();
  }

private:
  static constexpr std::int64_t most_tokens = 32;

  /// Floats from one key to the next: an odd number, so that neighbours lie in different banks of shared memory.
  KOKKOS_FUNCTION static constexpr std::int64_t odd(std::int64_t head_dim) { return head_dim / 2 * 2 + 1; }

  KOKKOS_FUNCTION static constexpr std::size_t block_bytes(std::int64_t head_dim, std::int64_t tokens) {
    const std::int64_t floats = 2 * tokens * (odd(head_dim) + head_dim) + 2 * rows_per_panel * (head_dim + tokens);
    return static_cast<std::size_t>(floats) * sizeof(float);
  }

  KOKKOS_FUNCTION float dot(const float *first, const float *second) const {
    float sum = 0.0F;
    for (std::int64_t dim = 0; dim < head_dim_; ++dim) {
      sum = Kokkos::fma(first[dim], second[dim], sum);
    }
    return sum;
  }

  /// Where the log-sum-exp and output_dot of a row of the panel stand.
  KOKKOS_FUNCTION std::int64_t statistics(std::int64_t row) const {
    return head_ * block_->log_sum_exp_head_stride + (row_begin_ + row) * block_->log_sum_exp_stride;
  }

  /// 1 without dropout, else what the mask multiplies the weight of a row and a key of the step by.
  KOKKOS_FUNCTION float kept_factor(std::int64_t row, std::int64_t key) const {
    if (!dropout_.active()) {
      return 1.0F;
    }
    const Admission &admission = block_->admission;
    const bool kept =
        dropout_.keeps(block_->batch, block_->first_head + head_, admission.query_origin + row * admission.query_stride,
                       admission.key_origin + key * admission.key_stride);
    return kept ? dropout_.kept_factor() : 0.0F;
  }

  const Member &member_;
  std::int64_t head_dim_;
  std::int64_t key_stride_;
  std::int64_t block_tokens_;
  float scale_;
  Dropout dropout_;
  float *key_; // [block_tokens][key_stride]
  float *value_;
  float *key_gradient_; // [block_tokens][head_dim]
  float *value_gradient_;
  float *query_;           // [rows_per_panel][head_dim]
  float *output_gradient_; // the same
  float *weights_;         // [rows_per_panel][block_tokens]
  float *score_gradients_; // the same
  const GradientBlock *block_ = nullptr;
  std::int64_t head_ = 0;
  std::int64_t key_begin_ = 0;
  std::int64_t key_count_ = 0;
  std::int64_t row_begin_ = 0;
  std::int64_t rows_ = 0;
};

} // namespace ringscale::kernels::tile
