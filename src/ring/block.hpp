// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/types.hpp"
#include "memory/closed_form.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::ring {

/// Travels in front of a block's or a result's tensors, in the same message. The checksum of a block is computed once,
/// by the owner.
struct BlockHeader {
  static constexpr std::uint64_t expected_magic = 0x72696E677363616CULL;
  std::uint64_t magic = expected_magic;
  std::int64_t owner = -1;
  std::int64_t hop = 0; ///< hops travelled since the block left its owner
  std::int64_t tokens = 0;
  std::int64_t payload_bytes = 0;
  std::uint64_t checksum = 0;
  std::int64_t contributions = 0; ///< of a result: ranks that computed a part of it
  std::uint64_t reserved = 0;
};
static_assert(sizeof(BlockHeader) == memory::block_header_bytes);

/// Whether tensors are stored and sent as bfloat16 patterns of two bytes, rather than as floats.
bool stores_bfloat16(const schedule::RingProblem &problem);

/// Elements, floats or patterns, of the packed span `index` of the block of `owner`, and of the spans before it.
std::int64_t span_elements(const schedule::RingProblem &problem, std::int64_t owner, int index);
std::int64_t span_offset(const schedule::RingProblem &problem, std::int64_t owner, int index);

/// Elements of the tensors of a block of `owner`, as the kernels of this build pack them, and floats of its result.
std::int64_t block_elements(const schedule::RingProblem &problem, std::int64_t owner);
std::int64_t result_elements(const schedule::RingProblem &problem, std::int64_t owner);

/// A part of a buffer that travels in one message.
struct MessagePart {
  std::int64_t offset_bytes = 0;
  std::int64_t bytes = 0;
};

/// The messages that carry the block of `owner`: header and tensors in one, or the header with the keys, and the
/// values.
std::vector<MessagePart> block_messages(const schedule::RingProblem &problem, std::int64_t owner);
std::int64_t block_bytes(const schedule::RingProblem &problem, std::int64_t owner);
std::int64_t result_bytes(const schedule::RingProblem &problem, std::int64_t owner);

/// Hops that the block met in `step` has made.
std::int64_t hops_made(const schedule::RingProblem &problem, std::int64_t step);

/// Reads and writes the header at the front of a block buffer, which may lie in device memory.
BlockHeader read_header(const std::byte *block);
void write_header(std::byte *block, const BlockHeader &header);

} // namespace ringscale::ring
