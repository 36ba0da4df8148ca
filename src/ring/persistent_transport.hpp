// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>

#include "ring/mpi_transport.hpp"

namespace ringscale::ring {

/// Exchange::persistent: a request is made once for a peer, buffer, length and tag (MPI_Send_init, MPI_Recv_init) and
/// started again (MPI_Start) whenever the same message is posted, as double-buffered rings do. At most
/// `most_idle_requests` requests that do not travel are kept; the one unused for longest goes first.
class PersistentTransport : public MpiTransport {
public:
  explicit PersistentTransport(const Communicator &communicator, std::int64_t piece_bytes = default_piece_bytes,
                               std::size_t most_idle_requests = 64)
      : MpiTransport(communicator, piece_bytes), most_idle_requests_(most_idle_requests) {}
  ~PersistentTransport() override;
  PersistentTransport(const PersistentTransport &) = delete;
  PersistentTransport &operator=(const PersistentTransport &) = delete;

protected:
  void post(const Piece &piece) override;

private:
  struct Kept {
    MPI_Request request = MPI_REQUEST_NULL;
    Piece made_for;
    bool active = false;
  };

  void make(const Piece &piece);
  void drop_idle();

  std::size_t most_idle_requests_;
  std::list<Kept> kept_; ///< most recently used first; a list, so that `active` stays where it is
};

} // namespace ringscale::ring
