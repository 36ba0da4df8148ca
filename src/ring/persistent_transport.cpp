// SPDX-License-Identifier: Apache-2.0
#include "ring/persistent_transport.hpp"

#include <algorithm>
#include <iterator>

namespace ringscale::ring {

void PersistentTransport::post(const Piece &piece) {
  // Requests still travelling with the same buffer (one block sent to two neighbours' same tag) are not started twice.
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept &kept) {
    const Piece &other = kept.made_for;
    return !kept.active && other.peer == piece.peer && other.receive_buffer == piece.receive_buffer &&
           other.send_buffer == piece.send_buffer && other.bytes == piece.bytes && other.tag == piece.tag;
  });
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
  } else {
    drop_idle();
    make(piece);
  }
  Kept &kept = kept_.front();
  check_mpi(MPI_Start(&kept.request), "MPI_Start", piece.site);
  kept.active = true;
  ++counters_.requests_started;
  RequestSet::Operation operation = piece.operation();
  operation.active = &kept.active;
  requests_.add(kept.request, operation);
}

void PersistentTransport::make(const Piece &piece) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int tag = static_cast<int>(piece.tag);
  if (piece.is_receive()) {
    check_mpi(
        MPI_Recv_init(piece.receive_buffer, piece.bytes, MPI_BYTE, piece.peer, tag, communicator_.handle(), &request),
        "MPI_Recv_init", piece.site);
  } else {
    check_mpi(
        MPI_Send_init(piece.send_buffer, piece.bytes, MPI_BYTE, piece.peer, tag, communicator_.handle(), &request),
        "MPI_Send_init", piece.site);
  }
  ++counters_.requests_created;
  kept_.push_front({request, piece, false});
}

void PersistentTransport::drop_idle() {
  std::size_t idle = static_cast<std::size_t>(
      std::count_if(kept_.begin(), kept_.end(), [](const Kept &kept) { return !kept.active; }));
  for (auto kept = kept_.end(); idle > 0 && idle >= most_idle_requests_ && kept != kept_.begin();) {
    --kept;
    if (!kept->active) {
      check_mpi(MPI_Request_free(&kept->request), "MPI_Request_free", kept->made_for.site);
      kept = kept_.erase(kept);
      --idle;
    }
  }
}

PersistentTransport::~PersistentTransport() {
  int finalized = 0;
  if (MPI_Finalized(&finalized) != MPI_SUCCESS || finalized != 0) {
    return;
  }
  for (Kept &kept : kept_) {
    if (!kept.active) { // one that still travels is left to MPI: its buffer may be in use
      MPI_Request_free(&kept.request);
    }
  }
}

} // namespace ringscale::ring
