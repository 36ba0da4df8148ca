// SPDX-License-Identifier: Apache-2.0
#include "ring/head_exchange.hpp"

#include <stdexcept>
#include <vector>

#include "kernels/copy_heads.hpp"
#include "memory/grid_memory.hpp"

namespace ringscale::ring {

using kernels::HeadRegion;
using schedule::Share;

HeadExchange::HeadExchange(const schedule::ProcessGrid &grid, const schedule::RingProblem &whole,
                           const schedule::GridShare &share, Transport &transport, memory::Ledger &ledger)
    : grid_(grid), whole_(whole), share_(share), transport_(transport) {
  const std::int64_t bytes = memory::exchange_buffer_bytes(share);
  outgoing_ = {ledger, memory::Purpose::communication, "exchanged_heads_out", bytes};
  incoming_ = {ledger, memory::Purpose::communication, "exchanged_heads_in", bytes};
}

HeadExchange::Swap HeadExchange::swap_with(bool of_query, std::int64_t peer) const {
  const std::int64_t tokens =
      of_query ? queries_of(whole_, share_.place.ring).count() : keys_of(whole_, share_.place.ring).count();
  const std::int64_t heads = of_query ? share_.model_query_heads.count : share_.model_kv_heads.count;
  const auto part = [&](std::int64_t whole, std::int64_t place) {
    return schedule::equal_share(whole, grid_.sequence, place);
  };
  const std::int64_t mine = share_.place.sequence;
  return {part(tokens, mine), part(tokens, peer), part(heads, mine), part(heads, peer)};
}

void HeadExchange::to_ring(bool of_query, const float *own, float *ring) {
  swap(of_query, own, ring, true, share_.ring.attention.head_dim);
}
void HeadExchange::to_own(bool of_query, const float *ring, float *own) {
  swap(of_query, ring, own, false, share_.ring.attention.head_dim);
}

void HeadExchange::to_ring(bool of_query, const std::uint16_t *own, std::uint16_t *ring) {
  const std::int64_t head_dim = share_.ring.attention.head_dim;
  if (head_dim % 2 != 0) {
    throw std::invalid_argument("head exchange: elements of two bytes travel in pairs, so head_dim must be even");
  }
  swap(of_query, reinterpret_cast<const float *>(own), reinterpret_cast<float *>(ring), true, head_dim / 2);
}

void HeadExchange::swap(bool of_query, const float *from, float *to, bool to_ring, std::int64_t row_elements) {
  const kernels::ExecutionSpace space;
  const auto batch = static_cast<std::size_t>(share_.ring.attention.batch);
  const auto head_dim = static_cast<std::size_t>(row_elements);
  const Swap self = swap_with(of_query, share_.place.sequence);
  const std::int64_t ring_tokens =
      of_query ? queries_of(whole_, share_.place.ring).count() : keys_of(whole_, share_.place.ring).count();
  const std::int64_t model_heads = of_query ? share_.model_query_heads.count : share_.model_kv_heads.count;
  const auto extent = [](std::int64_t value) { return static_cast<std::size_t>(value); };
  // One side has own tokens of all heads, the other all tokens of own heads.
  const std::int64_t own_tokens = self.own_tokens.count;
  const std::int64_t own_heads = self.own_heads.count;
  const kernels::ConstTensor4 source(from, batch, extent(to_ring ? own_tokens : ring_tokens),
                                     extent(to_ring ? model_heads : own_heads), head_dim);
  const kernels::Tensor4 destination(to, batch, extent(to_ring ? ring_tokens : own_tokens),
                                     extent(to_ring ? own_heads : model_heads), head_dim);
  const Site site{"exchanging heads for tokens", static_cast<int>(share_.place.sequence)};

  std::vector<Ticket> tickets;
  std::vector<std::int64_t> offsets;
  std::int64_t out = 0;
  std::int64_t in = 0;
  for (std::int64_t peer = 0; peer < grid_.sequence; ++peer) {
    const Swap one = swap_with(of_query, peer);
    const Share in_tokens = to_ring ? one.peer_tokens : one.own_tokens;
    const Share in_heads = to_ring ? one.own_heads : one.peer_heads;
    const HeadRegion target{to_ring ? in_tokens.begin : 0, to_ring ? 0 : in_heads.begin};
    const Share out_tokens = to_ring ? one.own_tokens : one.peer_tokens;
    const Share out_heads = to_ring ? one.peer_heads : one.own_heads;
    const HeadRegion origin{to_ring ? 0 : out_tokens.begin, to_ring ? out_heads.begin : 0};
    offsets.push_back(in);
    if (peer == share_.place.sequence) {
      kernels::copy_heads(space, source, origin, destination, target, out_tokens.count, out_heads.count);
      continue;
    }
    const kernels::Tensor4 packed(outgoing_.as<float>() + out, batch, extent(out_tokens.count), extent(out_heads.count),
                                  head_dim);
    kernels::copy_heads(space, source, origin, packed, {}, out_tokens.count, out_heads.count);
    space.fence("ringscale::ring: heads packed");
    const auto float_bytes = static_cast<std::int64_t>(sizeof(float));
    const std::int64_t in_elements = static_cast<std::int64_t>(batch * head_dim) * in_tokens.count * in_heads.count;
    tickets.push_back(transport_.post_receive(static_cast<int>(peer),
                                              reinterpret_cast<std::byte *>(incoming_.as<float>() + in),
                                              in_elements * float_bytes, MessageTag::gathered_block, site));
    tickets.push_back(transport_.post_send(static_cast<int>(peer), reinterpret_cast<std::byte *>(packed.data()),
                                           static_cast<std::int64_t>(packed.size()) * float_bytes,
                                           MessageTag::gathered_block, site));
    sent_bytes_ += static_cast<std::int64_t>(packed.size()) * float_bytes;
    out += static_cast<std::int64_t>(packed.size());
    in += in_elements;
  }
  transport_.wait(tickets, site);
  for (std::int64_t peer = 0; peer < grid_.sequence; ++peer) {
    if (peer == share_.place.sequence) {
      continue;
    }
    const Swap one = swap_with(of_query, peer);
    const Share tokens = to_ring ? one.peer_tokens : one.own_tokens;
    const Share heads = to_ring ? one.own_heads : one.peer_heads;
    const kernels::ConstTensor4 packed(incoming_.as<const float>() + offsets[static_cast<std::size_t>(peer)], batch,
                                       extent(tokens.count), extent(heads.count), head_dim);
    kernels::copy_heads(space, packed, {}, destination, {to_ring ? tokens.begin : 0, to_ring ? 0 : heads.begin},
                        tokens.count, heads.count);
  }
  space.fence("ringscale::ring: heads exchanged");
}

} // namespace ringscale::ring
