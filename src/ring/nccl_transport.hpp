// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ring/communicator.hpp"
#include "ring/device_stream.hpp"
#include "ring/transport.hpp"

struct ncclComm;

namespace ringscale::ring {

/// Messages between devices with NCCL's grouped sends and receives on a stream. What is posted between two looks
/// (progress or a wait) forms one group, so a receive and the send that others need before they can answer it must be
/// posted without a look between them: groups of a stream run one after the other. NCCL has no tags and no lengths:
/// messages from one rank to another match in the order of posting, and the two sides must agree on their bytes.
///
/// Errors and the communicator's deadline end in ncclCommAbort and an MpiFailure, not in the end of the job; afterwards
/// every look throws. Ready buffers: the caller has fenced what writes them. Built where nccl.h is found.
class NcclTransport : public Transport {
public:
  /// Collective over `communicator`, which carries NCCL's id to all ranks and must outlive the object; one device for
  /// each rank, chosen before. Throws MpiFailure.
  NcclTransport(const Communicator &communicator, std::unique_ptr<DeviceStream> stream);
  /// Waits (within the deadline) until NCCL has let go of the communicator; aborts it when messages still travel.
  ~NcclTransport() override;
  NcclTransport(const NcclTransport &) = delete;
  NcclTransport &operator=(const NcclTransport &) = delete;

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override;
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override;
  /// As sends and receives between all pairs, whose lengths may differ; no limit of 2^31 bytes.
  Ticket post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                         Gathering gathering, const Site &site) override;
  bool progress() override;
  void wait(std::span<const Ticket> tickets, const Site &site) override;
  void wait_all(const Site &site) override;
  TransportCounters counters() const override { return counters_; }

private:
  /// One send or receive; of the two buffers, one is null.
  struct Message {
    Ticket ticket = 0;
    int peer = -1;
    std::byte *receive_buffer = nullptr;
    const std::byte *send_buffer = nullptr;
    std::int64_t bytes = 0;
    Site site;
  };
  /// Messages that were given to NCCL together; `mark` is 0 until NCCL has put them into the stream.
  struct Group {
    std::vector<Message> messages;
    std::uint64_t mark = 0;
  };

  void connect();
  void poll();
  void launch();
  bool travels(std::span<const Ticket> tickets) const;
  template <class Done> void poll_until(const Done &done, const Site &site);
  void queue(std::vector<Message> &messages, const Message &message);
  void require(int code, const char *call, const Site &site);
  [[noreturn]] void fail(const std::string &reason);
  std::string describe_outstanding() const;

  const Communicator &communicator_;
  std::unique_ptr<DeviceStream> stream_;
  ncclComm *nccl_ = nullptr; ///< null after a failure
  std::string failure_;
  Ticket last_ticket_ = 0;
  std::vector<Message> queued_;
  std::vector<Message> queued_for_wait_; ///< blocking gathers
  std::vector<Group> groups_;            ///< in flight, oldest first
  TransportCounters counters_;
};

} // namespace ringscale::ring
