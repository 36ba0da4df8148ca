// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "memory/purpose.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::memory {

/// What a device's kernel adds to the plain tensors: packed keys and values are padded to whole key tiles.
struct KernelFootprint {
  std::int64_t key_tile_tokens = 1;
  std::int64_t workspace_bytes = 0;
};

/// streamed keeps no scores (online softmax); materialised keeps the score matrix of one span pair.
enum class KernelKind { streamed, materialised };

std::string_view name(KernelKind kernel);
KernelKind parse_kernel(std::string_view word);

/// Bytes of the header that travels in front of every block (owner, hop, tokens, checksum).
inline constexpr std::int64_t block_header_bytes = 64;

/// Bytes of the packed keys and values of `tokens`, without header: every span is padded to whole tiles by itself, and
/// keys of two bytes an element to an even head_dim.
std::int64_t packed_bytes(const problem::AttentionProblem &attention, const problem::TokenSet &tokens,
                          const KernelFootprint &footprint);

/// Bytes of the tensors that travel as the block of `owner`, without header: packed keys and values; plain ones where
/// the kernels of the pass or pattern read these (dilated, backward); the query rows where queries move, and with them
/// the output gradient, log-sum-exps and row dots of a backward pass.
std::int64_t block_payload_bytes(const schedule::RingProblem &problem, std::int64_t owner,
                                 const KernelFootprint &footprint);

/// Bytes of the partial results that follow the block of `owner`, without header: output and log-sum-exps, both float32
/// whatever the dtype, or the gradients of what moves. 0 where there are none.
std::int64_t result_payload_bytes(const schedule::RingProblem &problem, std::int64_t owner);
/// Bytes of a buffer that holds any rank's result, header included.
std::int64_t result_buffer_bytes(const schedule::RingProblem &problem);

/// Message buffers beside those of blocks and results: one a channel for blocks that are copied before a hop.
std::int64_t copy_buffer_count(const schedule::RingProblem &problem);

/// Bytes of a buffer that holds any rank's block, header included: what is sent in a hop at most, and the size of
/// every block buffer.
std::int64_t block_buffer_bytes(const schedule::RingProblem &problem, const KernelFootprint &footprint);

/// Score elements the materialised kernel keeps on `rank`: batch x query_heads x rows of its longest query span x
/// keys of the longest key span of any rank.
std::int64_t score_elements(const schedule::RingProblem &problem, std::int64_t rank);

/// Bytes `rank` holds at the executor's high-water mark, by purpose, in constant time; equals the ledger to the
/// byte. Throws InvalidInput for a bad problem or rank.
MemoryByPurpose closed_form(const schedule::RingProblem &problem, std::int64_t rank, const KernelFootprint &footprint,
                            KernelKind kernel);

/// A rank whose closed form no other rank exceeds.
std::int64_t rank_with_most_memory(const schedule::RingProblem &problem);

} // namespace ringscale::memory
