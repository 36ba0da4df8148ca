// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

#include "ring/communicator.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// Nonblocking MPI messages, completed by polling MPI_Test (plain MPICH moves nothing while nobody calls it). Buffers
/// may lie in any memory the MPI library can read. The communicator must outlive it.
class MpiTransport : public Transport {
public:
  /// Messages longer than `piece_bytes` travel as several, since MPI counts are 31-bit.
  explicit MpiTransport(const Communicator &communicator, std::int64_t piece_bytes = std::int64_t{1} << 30);

  void post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override;
  void post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                 const Site &site) override;
  bool progress() override;
  void wait(const Site &site) override;

private:
  struct Posted {
    bool receive = false;
    int peer = -1;
    int bytes = 0;
  };

  std::string outstanding() const;

  const Communicator &communicator_;
  std::int64_t piece_bytes_;
  Site site_;
  std::vector<MPI_Request> requests_;
  std::vector<Posted> posted_;
  std::size_t completed_ = 0; ///< requests before this one are done
};

} // namespace ringscale::ring
