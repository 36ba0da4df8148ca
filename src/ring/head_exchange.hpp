// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"
#include "memory/ledger.hpp"
#include "memory/tracked_buffer.hpp"
#include "ring/transport.hpp"
#include "schedule/process_grid.hpp"

namespace ringscale::ring {

/// The all-to-all of sequence parallelism (Jacobs et al. 2023, DeepSpeed Ulysses): the ranks of a sequence group, each
/// with some tokens of all heads, swap these for all tokens of some heads, and back. Messages go between pairs of
/// ranks, so that any transport carries them. Tensors are [batch, tokens, heads, head_dim].
class HeadExchange {
public:
  /// `whole` is the problem of the process grid and `share` this rank's part. `transport` joins the ranks of the
  /// sequence group by their place in it; transport and ledger must outlive the object.
  HeadExchange(const schedule::ProcessGrid &grid, const schedule::RingProblem &whole, const schedule::GridShare &share,
               Transport &transport, memory::Ledger &ledger);

  /// own: [batch, own tokens, heads of the model share]; ring: [batch, tokens of the ring rank, heads of the ring].
  void to_ring(bool of_query, const float *own, float *ring);
  void to_own(bool of_query, const float *ring, float *own);
  /// The same of elements of two bytes, which travel in pairs: head_dim must be even, pointers aligned to four bytes.
  void to_ring(bool of_query, const std::uint16_t *own, std::uint16_t *ring);

  /// Bytes sent to other ranks so far.
  std::int64_t sent_bytes() const { return sent_bytes_; }

private:
  /// Tokens and heads that this rank swaps with `peer` of its group.
  struct Swap {
    schedule::Share own_tokens, peer_tokens, own_heads, peer_heads;
  };
  Swap swap_with(bool of_query, std::int64_t peer) const;
  /// `row_elements`: floats, or pairs of two-byte elements, of a head.
  void swap(bool of_query, const float *from, float *to, bool to_ring, std::int64_t row_elements);

  schedule::ProcessGrid grid_;
  schedule::RingProblem whole_;
  schedule::GridShare share_;
  Transport &transport_;
  memory::TrackedBuffer<kernels::MemorySpace> outgoing_;
  memory::TrackedBuffer<kernels::MemorySpace> incoming_;
  std::int64_t sent_bytes_ = 0;
};

} // namespace ringscale::ring
