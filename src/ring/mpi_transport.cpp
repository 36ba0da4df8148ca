// SPDX-License-Identifier: Apache-2.0
#include "ring/mpi_transport.hpp"

#include <algorithm>

namespace ringscale::ring {

MpiTransport::MpiTransport(const Communicator &communicator, std::int64_t piece_bytes)
    : communicator_(communicator), piece_bytes_(piece_bytes) {}

Ticket MpiTransport::post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) {
  const Ticket ticket = ++last_ticket_;
  for (std::int64_t done = 0; done < bytes; done += piece_bytes_) {
    const int piece = static_cast<int>(std::min(piece_bytes_, bytes - done));
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(
        MPI_Irecv(buffer + done, piece, MPI_BYTE, source, static_cast<int>(tag), communicator_.handle(), &request),
        "MPI_Irecv", site);
    requests_.add(request, {ticket, true, source, piece, site});
  }
  return ticket;
}

Ticket MpiTransport::post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                               const Site &site) {
  const Ticket ticket = ++last_ticket_;
  for (std::int64_t done = 0; done < bytes; done += piece_bytes_) {
    const int piece = static_cast<int>(std::min(piece_bytes_, bytes - done));
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(
        MPI_Isend(buffer + done, piece, MPI_BYTE, destination, static_cast<int>(tag), communicator_.handle(), &request),
        "MPI_Isend", site);
    requests_.add(request, {ticket, false, destination, piece, site});
  }
  return ticket;
}

bool MpiTransport::progress() {
  requests_.poll();
  return requests_.empty();
}

void MpiTransport::wait(std::span<const Ticket> tickets, const Site &site) {
  if (!requests_.holds_any(tickets)) {
    return;
  }
  wait_until(
      [&] {
        requests_.poll();
        return !requests_.holds_any(tickets);
      },
      communicator_.deadline_s(), communicator_.wait_mode(), site, [this] { return requests_.describe_outstanding(); });
}

void MpiTransport::wait_all(const Site &site) {
  wait_until([this] { return progress(); }, communicator_.deadline_s(), communicator_.wait_mode(), site,
             [this] { return requests_.describe_outstanding(); });
}

} // namespace ringscale::ring
