// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "ring/transport.hpp"

namespace ringscale::ring {

/// Messages between virtual ranks of one process and one thread: a send is copied when the matching receive is
/// posted. Host memory only.
class LoopbackNetwork {
public:
  struct Message {
    int source = 0;
    int destination = 0;
    MessageTag tag = MessageTag::key_value_block;
    std::byte *receive_buffer = nullptr;    ///< of a receive
    const std::byte *send_buffer = nullptr; ///< of a send
    std::int64_t bytes = 0;
    bool done = false;
  };
  using Handle = std::shared_ptr<Message>;

  /// Matches in the order of posting, as MPI does. Throws MpiFailure when the lengths of a pair differ.
  void post(const Handle &message);

private:
  std::list<Handle> waiting_;
};

/// One virtual rank's end of a LoopbackNetwork, which must outlive it.
class LoopbackTransport : public Transport {
public:
  LoopbackTransport(LoopbackNetwork &network, int rank) : network_(network), rank_(rank) {}

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override;
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override;
  bool progress() override;
  /// Throws MpiFailure when something is missing: in one thread nothing more can arrive while one waits.
  void wait(std::span<const Ticket> tickets, const Site &site) override;
  void wait_all(const Site &site) override;

private:
  LoopbackNetwork &network_;
  int rank_;
  Ticket post(LoopbackNetwork::Message message);

  struct Posted {
    Ticket ticket = 0;
    LoopbackNetwork::Handle message;
  };
  Ticket last_ticket_ = 0;
  std::vector<Posted> posted_;
};

} // namespace ringscale::ring
