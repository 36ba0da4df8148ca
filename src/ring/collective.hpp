// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <vector>

#include "ring/deadline.hpp"

namespace ringscale::ring {

/// A collective under way, as Communicator::start_sum and start_all_gather give it. Its buffers stay the caller's and
/// untouched until it is done. MPI cannot cancel a collective, so one that is dropped before it is done is waited for
/// where it is dropped, with the communicator's deadline. Throws MpiFailure.
class Collective {
public:
  /// One that is done.
  Collective() = default;
  Collective(Collective &&other) noexcept;
  Collective &operator=(Collective &&other) noexcept;
  Collective(const Collective &) = delete;
  Collective &operator=(const Collective &) = delete;
  ~Collective();

  /// Looks at the network once and says whether it is done; plain MPICH moves nothing while nobody calls this.
  bool progress();
  /// Polls until it is done; ends the job at the communicator's deadline.
  void wait();
  bool done() const { return completed_ == requests_.size(); }

private:
  friend class Communicator;

  const char *call_ = "";
  Site site_;
  int ranks_ = 1;
  double deadline_s_ = 0.0;
  WaitMode wait_mode_ = WaitMode::yield;
  std::vector<MPI_Request> requests_; ///< the pieces of one long collective, in the order of starting
  std::size_t completed_ = 0;         ///< requests before this one are done
};

} // namespace ringscale::ring
