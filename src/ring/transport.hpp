// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "ring/mpi_check.hpp"

namespace ringscale::ring {

/// What a message carries; a receive only matches a send of the same kind.
enum class MessageTag : int { key_value_block = 101, returning_block = 102, ping = 103, shift = 104 };

/// How blocks move between ranks. The ring loop knows nothing else about communication, so other libraries, one-sided
/// puts or staging through host memory go behind these four calls. A buffer handed over must stay untouched until
/// progress() was true or wait() returned; `site` names the place for error messages.
class Transport {
public:
  virtual ~Transport() = default;

  virtual void post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) = 0;
  virtual void post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                         const Site &site) = 0;

  /// Moves messages on without blocking; true when everything posted so far has arrived or left.
  virtual bool progress() = 0;

  /// Returns when everything posted has completed. Never waits past the transport's deadline.
  virtual void wait(const Site &site) = 0;
};

} // namespace ringscale::ring
