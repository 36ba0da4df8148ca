// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <map>
#include <memory>
#include <vector>

#include "ring/transport.hpp"

namespace ringscale::ring {

/// Messages between virtual ranks of one process and one thread: a send is copied when the matching receive is
/// posted, an all-gather when the last rank has posted its own. Host memory only.
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

  /// One rank's part of an all-gather, named by its message: own bytes in the send buffer, all bytes to the receive
  /// buffer. A rank's n-th belongs to every other's n-th. Throws MpiFailure when the lengths differ between ranks.
  void post_all_gather(const Handle &own, std::span<const GatheredPart> parts);

private:
  struct Contribution {
    Handle message;
    std::vector<GatheredPart> parts;
  };
  using Gather = std::map<int, Contribution>; ///< by rank
  static void complete(const Gather &gather);

  std::list<Handle> waiting_;
  std::vector<Gather> gathers_; ///< begun and not complete, oldest first
};

/// One virtual rank's end of a LoopbackNetwork, which must outlive it.
class LoopbackTransport : public Transport {
public:
  LoopbackTransport(LoopbackNetwork &network, int rank) : network_(network), rank_(rank) {}

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override;
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override;
  Ticket post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                         Gathering gathering, const Site &site) override;
  bool progress() override;
  /// The waits throw MpiFailure when something is missing: in one thread nothing more can arrive while one waits.
  void wait(std::span<const Ticket> tickets, const Site &site) override;
  void wait_all(const Site &site) override;
  TransportCounters counters() const override { return counters_; }

private:
  /// Takes a ticket for the message and lets go of what is done.
  LoopbackNetwork::Handle take(const LoopbackNetwork::Message &message);

  struct Posted {
    Ticket ticket = 0;
    LoopbackNetwork::Handle message;
  };

  LoopbackNetwork &network_;
  int rank_;
  Ticket last_ticket_ = 0;
  std::vector<Posted> posted_;
  TransportCounters counters_;
};

} // namespace ringscale::ring
