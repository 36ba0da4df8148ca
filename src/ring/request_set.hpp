// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <span>
#include <string>
#include <vector>

#include "ring/transport.hpp"

namespace ringscale::ring {

/// The MPI requests that a transport has under way. Completed ones leave it at once, so that its size is what
/// travels now however long a run lasts. Several requests may share a ticket.
class RequestSet {
public:
  struct Message {
    Ticket ticket = 0;
    bool receive = false;
    int peer = -1;
    int bytes = 0;
    Site site;
  };

  /// An active request, not yet completed.
  void add(MPI_Request request, const Message &message);

  /// One look at the network (MPI_Testsome): takes out what has completed. Throws MpiFailure, naming the site of the
  /// message, when one failed or had another length than was posted.
  void poll();

  bool empty() const { return requests_.empty(); }
  bool holds_any(std::span<const Ticket> tickets) const;
  /// "receive from rank 1 (64 bytes), ..." of what has not completed.
  std::string describe_outstanding() const;

private:
  void check(const Message &message, int code, MPI_Status &status) const;

  std::vector<MPI_Request> requests_;
  std::vector<Message> messages_;
  std::vector<int> completed_;
  std::vector<MPI_Status> statuses_;
};

} // namespace ringscale::ring
