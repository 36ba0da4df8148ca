// SPDX-License-Identifier: Apache-2.0
#include "ring/mpi_transport.hpp"

#include <algorithm>

namespace ringscale::ring {

MpiTransport::MpiTransport(const Communicator &communicator, std::int64_t piece_bytes)
    : communicator_(communicator), piece_bytes_(piece_bytes) {}

void MpiTransport::post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) {
  site_ = site;
  for (std::int64_t done = 0; done < bytes; done += piece_bytes_) {
    const int piece = static_cast<int>(std::min(piece_bytes_, bytes - done));
    requests_.push_back(MPI_REQUEST_NULL);
    posted_.push_back({true, source, piece});
    check_mpi(MPI_Irecv(buffer + done, piece, MPI_BYTE, source, static_cast<int>(tag), communicator_.handle(),
                        &requests_.back()),
              "MPI_Irecv", site);
  }
}

void MpiTransport::post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                             const Site &site) {
  site_ = site;
  for (std::int64_t done = 0; done < bytes; done += piece_bytes_) {
    const int piece = static_cast<int>(std::min(piece_bytes_, bytes - done));
    requests_.push_back(MPI_REQUEST_NULL);
    posted_.push_back({false, destination, piece});
    check_mpi(MPI_Isend(buffer + done, piece, MPI_BYTE, destination, static_cast<int>(tag), communicator_.handle(),
                        &requests_.back()),
              "MPI_Isend", site);
  }
}

bool MpiTransport::progress() {
  // In the order of posting, up to the first that is not done: one look at the network a call.
  for (; completed_ < requests_.size(); ++completed_) {
    const Posted &posted = posted_[completed_];
    MPI_Status status;
    int done = 0;
    check_mpi(MPI_Test(&requests_[completed_], &done, &status), posted.receive ? "MPI_Irecv" : "MPI_Isend", site_);
    if (done == 0) {
      return false;
    }
    int received = posted.bytes;
    if (posted.receive) {
      check_mpi(MPI_Get_count(&status, MPI_BYTE, &received), "MPI_Get_count", site_);
    }
    if (received != posted.bytes) {
      throw MpiFailure("message of " + std::to_string(received) + " bytes instead of " + std::to_string(posted.bytes) +
                       " at " + describe(site_));
    }
  }
  requests_.clear();
  posted_.clear();
  completed_ = 0;
  return true;
}

void MpiTransport::wait(const Site &site) {
  wait_until([this] { return progress(); }, communicator_.deadline_s(), communicator_.wait_mode(), site,
             [this] { return outstanding(); });
}

std::string MpiTransport::outstanding() const {
  std::string text;
  for (std::size_t index = 0; index < requests_.size(); ++index) {
    int done = 0;
    const bool tested = requests_[index] != MPI_REQUEST_NULL &&
                        MPI_Request_get_status(requests_[index], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS;
    if (tested && done == 0) {
      text += (text.empty() ? "" : ", ") +
              std::string(posted_[index].receive ? "receive from rank " : "send to rank ") +
              std::to_string(posted_[index].peer) + " (" + std::to_string(posted_[index].bytes) + " bytes)";
    }
  }
  return text;
}

} // namespace ringscale::ring
