// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ring/exchange.hpp"
#include "ring/gathered_part.hpp"
#include "ring/mpi_check.hpp"

namespace ringscale::ring {

/// What a message carries; a receive only matches a send of the same kind and lane. The values leave room for the lanes
/// of tagged() and stay below 32,767, which is all that MPI promises.
enum class MessageTag : int {
  key_value_block = 0x100,
  returning_block = 0x110,
  query_block = 0x120,
  result_block = 0x130,
  gathered_block = 0x140,
  gradient_block = 0x150,
  ping = 0x160,
  shift = 0x170,
  control = 0x180 ///< a transport's own messages
};

inline constexpr int tag_lanes = 16;

/// `base` on one of tag_lanes lanes that do not match each other, as two directions of a ring need; lane 0 is `base`
/// itself. Throws MpiFailure for a lane outside 0..15.
inline MessageTag tagged(MessageTag base, int lane) {
  if (lane < 0 || lane >= tag_lanes) {
    throw MpiFailure("message lane " + std::to_string(lane) + " is not in 0.." + std::to_string(tag_lanes - 1));
  }
  return static_cast<MessageTag>(static_cast<int>(base) + lane);
}

/// Names one posted message of a transport; later messages have larger tickets.
using Ticket = std::uint64_t;

/// What a transport did since it was made. Messages are counted when they are posted, requests when they start.
struct TransportCounters {
  std::int64_t messages_sent = 0;
  std::int64_t bytes_sent = 0;
  std::int64_t messages_received = 0;
  std::int64_t bytes_received = 0;
  std::int64_t gathers = 0;            ///< all-gathers posted
  std::int64_t gathered_bytes = 0;     ///< of all ranks together
  std::int64_t requests_created = 0;   ///< allocated in the library below
  std::int64_t requests_started = 0;   ///< more than created where requests are used again
  std::int64_t staged_bytes = 0;       ///< copied to or from a staging buffer
  std::int64_t staging_pool_bytes = 0; ///< held in staging buffers
};

/// How blocks move between ranks. The ring loop knows nothing else about communication, so other libraries, one-sided
/// puts or staging through host memory go behind these calls. A buffer handed over must stay untouched until its ticket
/// was waited for, progress() was true or wait_all() returned; `site` names the place for error messages.
class Transport {
public:
  virtual ~Transport() = default;

  virtual Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) = 0;
  virtual Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                           const Site &site) = 0;

  /// Every rank's bytes to every rank: `own` (parts[own rank].bytes long, or that place of `gathered` itself) appears
  /// at parts[r].offset_bytes of every `gathered`. Collective: every rank posts its all-gathers in the same order with
  /// the same lengths. Throws InvalidInput where the parts do not fit the library (MPI: 2^31 bytes together).
  virtual Ticket post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                                 Gathering gathering, const Site &site) = 0;

  /// Moves messages on without blocking; true when everything posted so far has arrived or left. What is posted to be
  /// blocking only moves in a wait, so polling alone does not complete it.
  virtual bool progress() = 0;

  /// Returns when the messages of `tickets` have completed; others may still travel, and move on meanwhile. Tickets
  /// completed before cost nothing. Never waits past the transport's deadline.
  virtual void wait(std::span<const Ticket> tickets, const Site &site) = 0;

  /// Returns when everything posted has completed. Never waits past the transport's deadline.
  virtual void wait_all(const Site &site) = 0;

  virtual TransportCounters counters() const = 0;
};

} // namespace ringscale::ring
