// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/types.hpp"
#include "memory/closed_form.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::ring {

/// Travels in front of a block's packed spans, in the same message. The checksum is computed once, by the owner.
struct BlockHeader {
  static constexpr std::uint64_t expected_magic = 0x72696E677363616CULL;
  std::uint64_t magic = expected_magic;
  std::int64_t owner = -1;
  std::int64_t hop = 0; ///< hops travelled since the block left its owner
  std::int64_t tokens = 0;
  std::int64_t payload_bytes = 0;
  std::uint64_t checksum = 0;
  std::uint64_t reserved[2] = {0, 0};
};
static_assert(sizeof(BlockHeader) == memory::block_header_bytes);

/// Floats of the packed span `index` of the block of `owner`, and floats of the spans before it.
std::int64_t span_elements(const schedule::RingProblem &problem, std::int64_t owner, int index);
std::int64_t span_offset(const schedule::RingProblem &problem, std::int64_t owner, int index);

/// Bytes of the message that carries the block of `owner`: header and packed spans, without slack.
std::int64_t block_bytes(const schedule::RingProblem &problem, std::int64_t owner);

/// Reads and writes the header at the front of a block buffer, which may lie in device memory.
BlockHeader read_header(const std::byte *block);
void write_header(std::byte *block, const BlockHeader &header);

} // namespace ringscale::ring
