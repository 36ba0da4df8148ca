// SPDX-License-Identifier: Apache-2.0
#include "ring/mpi_transport.hpp"

#include <algorithm>

namespace ringscale::ring {

Ticket MpiTransport::post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) {
  const Ticket ticket = next_ticket();
  count_receive(bytes);
  for (std::int64_t done = 0; done < bytes; done += piece_bytes_) {
    const int piece_bytes = static_cast<int>(std::min(piece_bytes_, bytes - done));
    post({ticket, source, buffer + done, nullptr, piece_bytes, tag, site});
  }
  return ticket;
}

Ticket MpiTransport::post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                               const Site &site) {
  const Ticket ticket = next_ticket();
  count_send(bytes);
  for (std::int64_t done = 0; done < bytes; done += piece_bytes_) {
    const int piece_bytes = static_cast<int>(std::min(piece_bytes_, bytes - done));
    post({ticket, destination, nullptr, buffer + done, piece_bytes, tag, site});
  }
  return ticket;
}

void MpiTransport::start(const Piece &piece) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int tag = static_cast<int>(piece.tag);
  if (piece.is_receive()) {
    check_mpi(MPI_Irecv(piece.receive_buffer, piece.bytes, MPI_BYTE, piece.peer, tag, communicator_.handle(), &request),
              "MPI_Irecv", piece.site);
  } else {
    check_mpi(MPI_Isend(piece.send_buffer, piece.bytes, MPI_BYTE, piece.peer, tag, communicator_.handle(), &request),
              "MPI_Isend", piece.site);
  }
  count_request();
  requests_.add(request, piece.operation());
}

RequestSet::Operation MpiTransport::Piece::operation() const {
  return {ticket, is_receive() ? RequestSet::Kind::receive : RequestSet::Kind::send, peer, bytes, site, nullptr, {}};
}

} // namespace ringscale::ring
