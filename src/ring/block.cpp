// SPDX-License-Identifier: Apache-2.0
#include "ring/block.hpp"

#include "kernels/packed_key_value.hpp"

namespace ringscale::ring {

namespace {

using HostBytes = Kokkos::View<std::byte *, Kokkos::HostSpace, kernels::Unmanaged>;
using ConstHostBytes = Kokkos::View<const std::byte *, Kokkos::HostSpace, kernels::Unmanaged>;
using BlockBytes = Kokkos::View<std::byte *, kernels::MemorySpace, kernels::Unmanaged>;
using ConstBlockBytes = Kokkos::View<const std::byte *, kernels::MemorySpace, kernels::Unmanaged>;

} // namespace

std::int64_t span_elements(const schedule::RingProblem &problem, std::int64_t owner, int index) {
  const problem::AttentionProblem &attention = problem.attention;
  const problem::TokenSet keys = key_tokens(problem.placement, attention.tokens, problem.ring_size, owner);
  return kernels::packed_elements(attention.batch, keys.span(index).count, attention.kv_heads, attention.head_dim);
}

std::int64_t span_offset(const schedule::RingProblem &problem, std::int64_t owner, int index) {
  return index == 0 ? 0 : span_elements(problem, owner, 0);
}

std::int64_t block_bytes(const schedule::RingProblem &problem, std::int64_t owner) {
  const std::int64_t elements = span_elements(problem, owner, 0) + span_elements(problem, owner, 1);
  return memory::block_header_bytes + elements * static_cast<std::int64_t>(sizeof(float));
}

BlockHeader read_header(const std::byte *block) {
  BlockHeader header;
  Kokkos::deep_copy(HostBytes(reinterpret_cast<std::byte *>(&header), sizeof(header)),
                    ConstBlockBytes(block, sizeof(header)));
  return header;
}

void write_header(std::byte *block, const BlockHeader &header) {
  Kokkos::deep_copy(BlockBytes(block, sizeof(header)),
                    ConstHostBytes(reinterpret_cast<const std::byte *>(&header), sizeof(header)));
}

} // namespace ringscale::ring
