// SPDX-License-Identifier: Apache-2.0
#include "kernels/work.hpp"

namespace ringscale::kernels {

namespace {

constexpr double float_bytes = sizeof(float);

double batch_of(const AttentionBlock &block) { return static_cast<double>(block.query.extent(0)); }
double query_heads_of(const AttentionBlock &block) {
  return static_cast<double>(block.heads.count_of(block.query.extent_int(2)));
}
double head_dim_of(const AttentionBlock &block) { return static_cast<double>(block.query.extent(3)); }
double rows_of(const AttentionBlock &block) { return static_cast<double>(block.query_end - block.query_begin); }

} // namespace

KernelWork attention_block_work(const AttentionBlock &block) {
  const auto pairs =
      static_cast<double>(admitted_pairs(block.admission, block.query_begin, block.query_end, block.key_tokens));
  const double rows = batch_of(block) * query_heads_of(block) * rows_of(block);
  const double row_bytes = float_bytes * (head_dim_of(block) + 1.0); // an output row and its log-sum-exp
  const std::int64_t kv_heads =
      block.heads.groups_met(block.query.extent_int(2), block.query.extent_int(2) / block.kv_heads);
  const double key_value = static_cast<double>(packed_elements(1, block.key_tokens, kv_heads, 1));
  KernelWork work;
  work.flop = 4.0 * pairs * batch_of(block) * query_heads_of(block) * head_dim_of(block);
  work.read_bytes = float_bytes * head_dim_of(block) * (rows + batch_of(block) * key_value);
  work.read_bytes += block.merge == Merge::replace ? 0.0 : rows * row_bytes;
  work.written_bytes = rows * row_bytes;
  return work;
}

KernelWork attention_materialised_work(const AttentionBlock &block) {
  const double scores =
      batch_of(block) * query_heads_of(block) * rows_of(block) * static_cast<double>(block.key_tokens);
  KernelWork work = attention_block_work(block);
  // Written as scores; read for the maximum, read and written as exponentials, read and written normalised; read
  // for the weighted sum.
  work.written_bytes += 3.0 * float_bytes * scores;
  work.read_bytes += 4.0 * float_bytes * scores;
  return work;
}

KernelWork pack_key_value_work(std::int64_t batch, std::int64_t token_count, std::int64_t kv_heads,
                               std::int64_t head_dim) {
  KernelWork work;
  work.read_bytes = 2.0 * float_bytes * static_cast<double>(batch * token_count * kv_heads * head_dim);
  work.written_bytes = float_bytes * static_cast<double>(packed_elements(batch, token_count, kv_heads, head_dim));
  return work;
}

KernelWork merge_partials_work(std::int64_t batch, std::int64_t tokens, std::int64_t query_heads,
                               std::int64_t head_dim) {
  const double rows = static_cast<double>(batch * tokens * query_heads);
  const double row_bytes = float_bytes * (static_cast<double>(head_dim) + 1.0);
  KernelWork work;
  work.flop = 3.0 * rows * static_cast<double>(head_dim);
  work.read_bytes = 2.0 * rows * row_bytes;
  work.written_bytes = rows * row_bytes;
  return work;
}

} // namespace ringscale::kernels
