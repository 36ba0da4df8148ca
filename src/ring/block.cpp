// SPDX-License-Identifier: Apache-2.0
#include "ring/block.hpp"

#include "kernels/packed_low_precision.hpp"

namespace ringscale::ring {

namespace {

using HostBytes = Kokkos::View<std::byte *, Kokkos::HostSpace, kernels::Unmanaged>;
using ConstHostBytes = Kokkos::View<const std::byte *, Kokkos::HostSpace, kernels::Unmanaged>;
using BlockBytes = Kokkos::View<std::byte *, kernels::MemorySpace, kernels::Unmanaged>;
using ConstBlockBytes = Kokkos::View<const std::byte *, kernels::MemorySpace, kernels::Unmanaged>;

} // namespace

bool stores_bfloat16(const schedule::RingProblem &problem) {
  return problem.attention.dtype == problem::DType::bfloat16;
}

std::int64_t span_elements(const schedule::RingProblem &problem, std::int64_t owner, int index) {
  const problem::AttentionProblem &attention = problem.attention;
  const std::int64_t tokens = keys_of(problem, owner).span(index).count;
  return stores_bfloat16(problem)
             ? kernels::packed_low_precision_elements(attention.batch, tokens, attention.kv_heads, attention.head_dim)
             : kernels::packed_elements(attention.batch, tokens, attention.kv_heads, attention.head_dim);
}

std::int64_t span_offset(const schedule::RingProblem &problem, std::int64_t owner, int index) {
  return index == 0 ? 0 : span_elements(problem, owner, 0);
}

std::int64_t block_elements(const schedule::RingProblem &problem, std::int64_t owner) {
  constexpr memory::KernelFootprint footprint{kernels::key_tile_tokens, 0};
  return memory::block_payload_bytes(problem, owner, footprint) / problem::storage_bytes(problem.attention.dtype);
}

std::int64_t result_elements(const schedule::RingProblem &problem, std::int64_t owner) {
  return memory::result_payload_bytes(problem, owner) / static_cast<std::int64_t>(sizeof(float));
}

std::int64_t block_bytes(const schedule::RingProblem &problem, std::int64_t owner) {
  return memory::block_header_bytes + block_elements(problem, owner) * problem::storage_bytes(problem.attention.dtype);
}

std::int64_t result_bytes(const schedule::RingProblem &problem, std::int64_t owner) {
  return memory::block_header_bytes + memory::result_payload_bytes(problem, owner);
}

std::vector<MessagePart> block_messages(const schedule::RingProblem &problem, std::int64_t owner) {
  const std::int64_t whole = block_bytes(problem, owner);
  if (problem.layout != schedule::MessageLayout::separate) {
    return {{0, whole}};
  }
  const std::int64_t first = memory::block_header_bytes + (whole - memory::block_header_bytes) / 2;
  return {{0, first}, {first, whole - first}};
}

std::int64_t hops_made(const schedule::RingProblem &problem, std::int64_t step) {
  switch (problem.schedule) {
  case schedule::Schedule::all_gather:
    return step == 0 ? 0 : 1;
  case schedule::Schedule::double_ring:
    return step / problem.inner_ring_size + step % problem.inner_ring_size;
  default:
    return step;
  }
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
