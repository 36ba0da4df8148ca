// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ring/transport.hpp"

namespace ringscale::ring {

/// The MPI requests that a transport has under way. Completed ones leave it at once, so that its size is what
/// travels now however long a run lasts. Several requests may share a ticket.
class RequestSet {
public:
  enum class Kind { send, receive, gather };
  struct Operation {
    Ticket ticket = 0;
    Kind kind = Kind::send;
    int peer = -1;
    int bytes = 0;
    Site site;
    bool *active = nullptr;                ///< of a persistent request: becomes false when it has completed
    std::shared_ptr<const void> arguments; ///< arrays that MPI reads until the operation has completed
  };

  /// An active request, not yet completed.
  void add(MPI_Request request, const Operation &operation);

  /// One look at the network (MPI_Testsome): takes out what has completed. Throws MpiFailure, naming the site of the
  /// message, when one failed or had another length than was posted.
  void poll();

  bool empty() const { return requests_.empty(); }
  bool holds_any(std::span<const Ticket> tickets) const;
  /// "receive from rank 1 (64 bytes), ..." of what has not completed.
  std::string describe_outstanding() const;

private:
  void remove_completed(int count);
  static void check(const Operation &operation, int code, const MPI_Status &status);

  std::vector<MPI_Request> requests_;
  std::vector<Operation> operations_;
  std::vector<int> completed_;
  std::vector<MPI_Status> statuses_;
};

/// Throws MpiFailure: a message of another length than was posted.
[[noreturn]] void throw_wrong_length(std::int64_t received_bytes, std::int64_t posted_bytes, const Site &site);

} // namespace ringscale::ring
