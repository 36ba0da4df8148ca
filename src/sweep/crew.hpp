// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "report/json.hpp"
#include "ring/communicator.hpp"
#include "ring/ring_run.hpp"
#include "sweep/point.hpp"
#include "sweep/simulated_points.hpp"

namespace ringscale::sweep {

/// The ranks of a job in a sweep: rank 0 decides what is next, the others sleep until they are called, so that they
/// take no core from a smaller ring. A ring of P ranks runs on the first P; simulated points are shared by all ranks.
class Crew {
public:
  explicit Crew(ring::Communicator &world) : world_(world) {}

  /// Rank 0: measures a point together with the ranks it needs. Throws problem::InvalidInput when there are too few.
  ring::RingRun measure(const Point &point);
  /// Rank 0: rows of simulated points, in their order, made by all ranks; `machines` is an object of machine documents
  /// by the names that points have for them, the same in each call. Rows end before the first point that is refused;
  /// throws problem::InvalidInput when that is the first of all.
  std::vector<report::Json> simulate(std::span<const Point *const> points, const report::Json &machines);
  /// Rank 0, once, at the end: lets the others go. `code` becomes their exit code.
  void dismiss(int code);
  /// Other ranks: takes part in what rank 0 measures and simulates until it lets them go; the exit code it gave.
  int serve();

private:
  ring::RingRun take_part(const Point &point);
  /// Every rank's rows as text, by rank: objects of rows and refusals by their place among `points`.
  std::vector<std::string> simulate_share(const std::vector<Point> &points);

  ring::Communicator &world_;
  Machines machines_; ///< known to this rank, once the first points are simulated
};

/// Which of `ranks` ranks simulates each of the points: the longest first, each on the rank that has least to do. -1
/// for a point whose ring all of them divide.
std::vector<int> shared_out(const std::vector<Point> &points, int ranks);

/// Throws problem::InvalidInput naming the mpiexec -n that is needed when a measured point needs more than `ranks`.
void require_ranks(std::int64_t largest_ring, int ranks);

} // namespace ringscale::sweep
