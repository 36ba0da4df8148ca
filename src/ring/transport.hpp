// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

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

/// How blocks move between ranks. The ring loop knows nothing else about communication, so other libraries, one-sided
/// puts or staging through host memory go behind these calls. A buffer handed over must stay untouched until its ticket
/// was waited for, progress() was true or wait_all() returned; `site` names the place for error messages.
class Transport {
public:
  virtual ~Transport() = default;

  virtual Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) = 0;
  virtual Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                           const Site &site) = 0;

  /// Moves messages on without blocking; true when everything posted so far has arrived or left.
  virtual bool progress() = 0;

  /// Returns when the messages of `tickets` have completed; others may still travel, and move on meanwhile. Tickets
  /// completed before cost nothing. Never waits past the transport's deadline.
  virtual void wait(std::span<const Ticket> tickets, const Site &site) = 0;

  /// Returns when everything posted has completed. Never waits past the transport's deadline.
  virtual void wait_all(const Site &site) = 0;
};

} // namespace ringscale::ring
