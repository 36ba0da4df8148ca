// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ring/communicator.hpp"
#include "ring/ring_run.hpp"
#include "sweep/point.hpp"

namespace ringscale::sweep {

/// The ranks of a job in a sweep: rank 0 decides what to measure next, the others sleep until they are called, so that
/// they take no core from a smaller ring or from a simulation on rank 0. A ring of P ranks runs on the first P.
class Crew {
public:
  explicit Crew(ring::Communicator &world) : world_(world) {}

  /// Rank 0: measures a point together with the ranks it needs. Throws problem::InvalidInput when there are too few.
  ring::RingRun measure(const Point &point);
  /// Rank 0, once, at the end: lets the others go. `code` becomes their exit code.
  void dismiss(int code);
  /// Other ranks: takes part in what rank 0 measures until it lets them go; the exit code it gave.
  int serve();

private:
  ring::RingRun take_part(const Point &point);

  ring::Communicator &world_;
};

/// Throws problem::InvalidInput naming the mpiexec -n that is needed when a measured point needs more than `ranks`.
void require_ranks(std::int64_t largest_ring, int ranks);

} // namespace ringscale::sweep
