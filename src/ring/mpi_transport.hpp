// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ring/communicator.hpp"
#include "ring/request_set.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// Nonblocking MPI messages, completed by polling MPI_Testsome (plain MPICH moves nothing while nobody calls it).
/// Buffers may lie in any memory the MPI library can read. The communicator must outlive it.
class MpiTransport : public Transport {
public:
  /// Messages longer than `piece_bytes` travel as several, since MPI counts are 31-bit.
  explicit MpiTransport(const Communicator &communicator, std::int64_t piece_bytes = std::int64_t{1} << 30);

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override;
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override;
  bool progress() override;
  void wait(std::span<const Ticket> tickets, const Site &site) override;
  void wait_all(const Site &site) override;

private:
  const Communicator &communicator_;
  std::int64_t piece_bytes_;
  Ticket last_ticket_ = 0;
  RequestSet requests_;
};

} // namespace ringscale::ring
