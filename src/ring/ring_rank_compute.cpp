// SPDX-License-Identifier: Apache-2.0
#include <csignal>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "kernels/attention_materialised.hpp"
#include "ring/checksum.hpp"
#include "ring/ring_rank.hpp"
#include "ring/slice.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;
using problem::TokenSet;
using problem::TokenSpan;
using schedule::RingProblem;

namespace {

/// Positions are counted from row 0 of the whole query buffer, where the span begins at row `first_row`.
kernels::Admission admission_of(const TokenSpan &queries, std::int64_t first_row, const TokenSpan &keys,
                                problem::Mask mask) {
  return {mask == problem::Mask::causal, queries.begin - first_row * queries.stride, queries.stride, keys.begin,
          keys.stride};
}

} // namespace

void RingRank::inspect_block(std::int64_t step) {
  const RingProblem &problem = options_.problem;
  const BlockHeader header = read_header(held_block_.data());
  const std::int64_t expected = step_of(problem, rank_, step).block_owner;
  const std::string when = " in step " + std::to_string(step);
  if (header.magic != BlockHeader::expected_magic || header.owner < 0 || header.owner >= problem.ring_size) {
    complain("met a block without a readable header" + when);
    return;
  }
  times_met_[static_cast<std::size_t>(header.owner)] += 1;
  if (header.owner != expected) {
    complain("met the block of rank " + std::to_string(header.owner) + " instead of rank " + std::to_string(expected) +
             "'s" + when);
  }
  if (header.hop != step) {
    complain("met a block that made " + std::to_string(header.hop) + " hops" + when);
  }
  const std::int64_t payload_bytes = block_bytes(problem, header.owner) - memory::block_header_bytes;
  if (header.tokens != block_tokens(problem, header.owner) || header.payload_bytes != payload_bytes) {
    complain("met a block of " + std::to_string(header.tokens) + " tokens of the wrong size" + when);
    return;
  }
  if (check_payloads_ && checksum(space_, held_block_.as<float>(memory::block_header_bytes),
                                  payload_bytes / static_cast<std::int64_t>(sizeof(float))) != header.checksum) {
    complain("checksum of the block of rank " + std::to_string(header.owner) + " is wrong" + when);
  }
}

void RingRank::compute_span_pair(std::int64_t step, int query_span, int key_span, bool replace) {
  const RingProblem &problem = options_.problem;
  const AttentionProblem &attention = problem.attention;
  const std::int64_t owner = step_of(problem, rank_, step).block_owner;
  const TokenSpan keys = key_tokens(problem.placement, attention.tokens, problem.ring_size, owner).span(key_span);
  const TokenSpan queries = queries_.span(query_span);
  if (!replace && problem::admitted_pairs(queries, keys, attention.mask) == 0) {
    return;
  }
  const std::int64_t first_row = query_span == 0 ? 0 : queries_.first.count;
  kernels::AttentionBlock block;
  block.query = query_;
  block.packed_key_value = held_block_.as<float>(memory::block_header_bytes) + span_offset(problem, owner, key_span);
  block.key_tokens = keys.count;
  block.kv_heads = attention.kv_heads;
  block.admission = admission_of(queries, first_row, keys, attention.mask);
  block.scale = options_.fault.strikes(FaultKind::wrong_scale, rank_, step) ? 1.01F * scale_ : scale_;
  block.output = output_;
  block.log_sum_exp = log_sum_exp_;
  block.merge = replace                                      ? kernels::Merge::replace
                : options_.softmax == SoftmaxRule::per_chunk ? kernels::Merge::per_chunk
                                                             : kernels::Merge::online;
  const std::int64_t rows_at_once = slice_rows(attention, keys.count, space_.concurrency());
  for (std::int64_t begin = 0; begin < queries.count; begin += rows_at_once) {
    const std::int64_t count = std::min(rows_at_once, queries.count - begin);
    const TokenSpan slice{queries.position(begin), count, queries.stride};
    if (!replace && problem::admitted_pairs(slice, keys, attention.mask) == 0) {
      continue;
    }
    block.query_begin = first_row + begin;
    block.query_end = block.query_begin + count;
    if (options_.kernel == memory::KernelKind::materialised) {
      // Slices write next to each other, so that all scores of the span pair are kept.
      float *scores = score_buffer_.as<float>() + attention.batch * attention.query_heads * begin * keys.count;
      kernels::attention_block_materialised(space_, block, scores);
    } else {
      kernels::attention_block(space_, block);
    }
    space_.fence("ringscale::ring: slice computed");
    if (options_.poll_progress) {
      const double begin_s = now_s();
      transport_.progress();
      polling_s_ += now_s() - begin_s;
    }
  }
}

void RingRank::strike_before(std::int64_t step) {
  const Fault &fault = options_.fault;
  if (fault.kind == FaultKind::none || fault.rank != rank_ || fault.step != step) {
    return;
  }
  const std::int64_t owner = step_of(options_.problem, rank_, step).block_owner;
  const std::int64_t elements =
      (block_bytes(options_.problem, owner) - memory::block_header_bytes) / static_cast<std::int64_t>(sizeof(float));
  const Kokkos::View<float *, kernels::MemorySpace, kernels::Unmanaged> payload(
      held_block_.as<float>(memory::block_header_bytes), static_cast<std::size_t>(elements));
  const auto half = static_cast<std::size_t>(elements / 2);
  switch (fault.kind) {
  case FaultKind::late_rank:
    std::this_thread::sleep_for(std::chrono::duration<double>(fault.sleep_s));
    break;
  case FaultKind::dead_rank:
    std::raise(SIGKILL);
    break;
  case FaultKind::corrupt_element:
    // The first element of the block is a key's, and never padding.
    Kokkos::deep_copy(Kokkos::subview(payload, std::size_t{0}), 30.0F);
    break;
  case FaultKind::swap_halves: {
    Kokkos::View<float *, kernels::MemorySpace> left("ringscale::fault", half);
    const auto front = Kokkos::subview(payload, std::pair<std::size_t, std::size_t>(0, half));
    const auto back = Kokkos::subview(payload, std::pair<std::size_t, std::size_t>(half, 2 * half));
    Kokkos::deep_copy(left, front);
    Kokkos::deep_copy(front, back);
    Kokkos::deep_copy(back, left);
    break;
  }
  default:
    break; // skip_hop and wrong_scale strike elsewhere
  }
}

} // namespace ringscale::ring
