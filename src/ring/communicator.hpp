// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ring/collective.hpp"
#include "ring/deadline.hpp"

namespace ringscale::ring {

/// Starts MPI (funneled: only the main thread calls it) and ends it; at most one in a program. Without a launcher
/// the world is this one process. Lets MPI_COMM_WORLD and MPI_COMM_SELF return errors; a program that starts MPI itself
/// keeps its handlers, and its Communicators then end as these say when a message fails.
class MpiEnvironment {
public:
  MpiEnvironment();
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment &) = delete;
  MpiEnvironment &operator=(const MpiEnvironment &) = delete;

  static std::string library_version();
};

/// A group of ranks of its own: a duplicate of a communicator with errors returned and checked, so the user's
/// communicator and its error handler stay as they are. Every wait ends at the deadline. All members are collective
/// over the group unless they say otherwise; they throw MpiFailure.
class Communicator {
public:
  /// Duplicate of MPI_COMM_WORLD, or of any other communicator.
  static Communicator world();
  static Communicator duplicate(MPI_Comm communicator);

  Communicator(Communicator &&other) noexcept;
  Communicator &operator=(Communicator &&other) noexcept;
  ~Communicator();

  /// The first `size` ranks as a group; the others get one with is_member() false, on which only is_member may be
  /// called. Throws InvalidInput when size is not in 1..size().
  Communicator split_first(int size) const;

  /// The same ranks with messages of their own, and with the same deadline.
  Communicator copy() const;

  /// The same ranks in the same order as a grid, the last axis varying fastest, with no axis periodic. Inherits the
  /// deadline. Throws InvalidInput unless the product of `sizes`, each 1 or more, is size().
  Communicator cartesian(std::span<const int> sizes) const;
  /// Of a grid, the ranks that share this rank's coordinates on the axes not kept: a grid of the kept axes, or this
  /// rank alone and no grid when none is kept. Inherits the deadline. Throws InvalidInput unless `kept` has an entry an
  /// axis.
  Communicator sub_grid(std::span<const bool> kept) const;
  /// Axes of the grid, and this rank's place on each; none when this is no grid. Not collective.
  int grid_axes() const;
  std::vector<int> coordinates() const;

  bool is_member() const { return handle_ != MPI_COMM_NULL; }
  int rank() const { return rank_; }
  int size() const { return size_; }
  MPI_Comm handle() const { return handle_; }

  /// Longest wait for any peer in seconds; 0 waits for ever. 300 s unless set. Not collective.
  void set_deadline(double seconds) { deadline_s_ = seconds; }
  double deadline_s() const { return deadline_s_; }
  /// yield when ranks share cores, else spin. Not collective.
  WaitMode wait_mode() const { return wait_mode_; }

  void barrier(const char *what = "barrier") const;
  /// For ranks that have nothing to do while others measure: sleeps between looks and has no deadline.
  void sleeping_barrier() const;

  /// The bytes of `text` on `root` become those of every rank.
  void broadcast(std::string &text, int root) const;

  double max(double value) const;
  std::int64_t max(std::int64_t value) const;
  double sum(double value) const;
  std::int64_t sum(std::int64_t value) const;
  std::uint64_t sum(std::uint64_t value) const; ///< modulo 2^64
  bool all(bool value) const;

  /// Every rank's `values` (the same number on each) one after the other, by rank.
  std::vector<double> all_gather(std::span<const double> values) const;
  /// Every rank's text, by rank; lengths may differ.
  std::vector<std::string> all_gather(const std::string &text) const;

  /// Starts replacing `values`, as many on every rank, by their sums over the ranks: the same bits on every rank
  /// with MPICH, as MPI recommends and does not promise.
  Collective start_sum(std::span<float> values) const;
  /// Starts gathering every rank's bytes, as many on each, one after the other by rank. Throws std::invalid_argument
  /// when `everyones` has not size() times the room of `mine`, or a rank sends more than 2^31 - 1 bytes.
  Collective start_all_gather(std::span<const std::byte> mine, std::span<std::byte> everyones) const;

  /// Ranks of this group on this node, and cores their affinity masks cover together.
  int ranks_on_node() const { return ranks_on_node_; }
  int cores_on_node() const { return cores_on_node_; }
  /// ranks_on_node / cores_on_node rounded up: 1 when every rank has a core of its own.
  int ranks_per_core() const;

private:
  Communicator() = default;
  void adopt(MPI_Comm handle);
  void find_neighbours();
  Collective pending(const char *call, const char *what) const;
  void wait(MPI_Request &request, const char *call, const char *what) const;
  void reduce(const void *value, void *result, MPI_Datatype type, MPI_Op operation) const;

  MPI_Comm handle_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 0;
  int ranks_on_node_ = 1;
  int cores_on_node_ = 1;
  double deadline_s_ = 300.0;
  WaitMode wait_mode_ = WaitMode::spin;
};

} // namespace ringscale::ring
