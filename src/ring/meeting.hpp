// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <tuple>

#include "kernels/attention_block.hpp"
#include "kernels/block_mask.hpp"
#include "kernels/dilation.hpp"
#include "memory/ledger.hpp"
#include "memory/tracked_buffer.hpp"
#include "ring/ring_options.hpp"

namespace ringscale::ring {

/// The queries of one rank against the keys and values of another, forward. Pointers lie in the kernels' memory; query
/// and key_value have elements of the problem's dtype.
struct ForwardMeeting {
  std::int64_t query_rank = 0;
  std::int64_t key_rank = 0;
  const std::byte *query = nullptr;     ///< [batch, query tokens, query_heads, head_dim]
  const std::byte *key_value = nullptr; ///< tensors of a block, without header
  float *output = nullptr;              ///< as query
  float *log_sum_exp = nullptr;         ///< [batch, query tokens, query_heads]
  bool replace = false;                 ///< writes the partial, else joins it with the one held
  float scale = 1.0F;                   ///< factor on the scores

  const float *float_query() const { return reinterpret_cast<const float *>(query); }
  const float *float_key_value() const { return reinterpret_cast<const float *>(key_value); }
};

/// The same backward: adds to the gradients. log_sum_exp and output_dot are those of the joint attention.
struct BackwardMeeting {
  std::int64_t query_rank = 0;
  std::int64_t key_rank = 0;
  const float *query = nullptr;
  const float *output_gradient = nullptr;
  const float *log_sum_exp = nullptr;
  const float *output_dot = nullptr;
  const float *key = nullptr; ///< [batch, key tokens, kv_heads, head_dim]
  const float *value = nullptr;
  float *query_gradient = nullptr;
  float *key_gradient = nullptr;
  float *value_gradient = nullptr;
  bool replace_key_gradients = false; ///< writes dK and dV of all keys instead; dense pattern only
  float scale = 1.0F;
};

/// The kernels that compute meetings of one rank: dense, dilated or block-sparse, span by span, with their workspace
/// and the lists of sparse blocks, which are made at the first meeting that needs them and kept.
class MeetingKernels {
public:
  /// Work between two calls of `poll`: slices of query rows of dense attention, spans of the other patterns.
  using Poll = std::function<void()>;

  MeetingKernels(const RingOptions &options, std::int64_t rank, memory::Ledger &ledger);

  void forward(const ForwardMeeting &meeting, const Poll &poll);
  void backward(const BackwardMeeting &meeting, const Poll &poll);

  /// Bytes of the lists of sparse blocks so far; not in the ledger, whose closed form knows no lists.
  std::int64_t index_list_bytes() const { return index_list_bytes_; }

  /// What the kernels of a run add to plain tensors, the same for all its ranks: their key tile, and the scratch or
  /// workspace of the largest meeting.
  static memory::KernelFootprint footprint(const RingOptions &options);

private:
  /// Spans of both sides of a meeting, and what stands before them in the buffers.
  struct SpanPair {
    problem::TokenSpan queries, keys;
    std::int64_t first_query = 0;
    std::int64_t first_key = 0;
    int key_span = 0;
    bool first = false; ///< of this query span
  };
  template <class Do> void each_span_pair(std::int64_t query_rank, std::int64_t key_rank, const Do &act) const;

  void dense_forward(const ForwardMeeting &meeting, const SpanPair &pair, const Poll &poll);
  void bfloat16_forward(const ForwardMeeting &meeting, const SpanPair &pair, const Poll &poll);
  void dilated_forward(const ForwardMeeting &meeting, const SpanPair &pair, const Poll &poll);
  void sparse_forward(const ForwardMeeting &meeting, const SpanPair &pair, const Poll &poll);
  /// Says whether any row of the pair was admitted; with `replace_keys` the first that is writes dK and dV anew.
  bool dense_backward(const BackwardMeeting &meeting, const SpanPair &pair, bool replace_keys, const Poll &poll);
  void dense_backward(const BackwardMeeting &meeting, const Poll &poll);
  /// dK and dV of keys that no query of the meeting admits.
  void clear_key_gradients(const BackwardMeeting &meeting, std::int64_t first, std::int64_t count);
  void dilated_backward(const BackwardMeeting &meeting, const SpanPair &pair, const Poll &poll);
  void sparse_backward(const BackwardMeeting &meeting, const SpanPair &pair, const Poll &poll);
  /// Takes the rows and heads of a pair of spans slice by slice; what the mask keeps out is left out unless `replace`
  /// wants every row written. Polls after each.
  template <class Do> void each_slice(const SpanPair &pair, bool replace, const Poll &poll, const Do &compute) const;
  kernels::Admission admission_of(const SpanPair &pair) const;
  kernels::Merge merge_of(bool replace) const;
  const kernels::BlockMask &mask_of(const SpanPair &pair);
  kernels::AttentionBlock block_of(const ForwardMeeting &meeting, const SpanPair &pair) const;

  RingOptions options_;
  kernels::ExecutionSpace space_;
  kernels::Dilation dilation_;
  memory::TrackedBuffer<kernels::MemorySpace> workspace_;
  memory::LedgerEntry kernel_scratch_;
  memory::TrackedBuffer<kernels::MemorySpace> scores_;
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>, kernels::BlockMask> masks_;
  std::int64_t index_list_bytes_ = 0;
};

/// The dilation of a run's heads, which may be some of the layer's.
kernels::Dilation dilation_of(const schedule::RingProblem &problem);

} // namespace ringscale::ring
