// SPDX-License-Identifier: Apache-2.0
#include "ring/communicator.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::ring {

namespace {

constexpr std::size_t mask_words = CPU_SETSIZE / 64;
constexpr std::size_t most_broadcast_bytes = std::size_t{1} << 30;

/// Bits of the cores this process may run on; the first core alone when the system does not say.
std::array<std::uint64_t, mask_words> affinity_mask() {
  std::array<std::uint64_t, mask_words> words{};
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) {
    words[0] = 1;
    return words;
  }
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) {
      words[core / 64] |= std::uint64_t{1} << (core % 64);
    }
  }
  return words;
}

} // namespace

MpiEnvironment::MpiEnvironment() {
  int provided = 0;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread", {"start"});
  if (provided < MPI_THREAD_FUNNELED) {
    throw MpiFailure("MPI_Init_thread: this MPI library does not support MPI_THREAD_FUNNELED, which Kokkos' threads "
                     "beside MPI need");
  }
  // MPICH reports a failed message of a completed request to MPI_COMM_WORLD's or MPI_COMM_SELF's handler, not to that
  // of the communicator it came over. This program started MPI, so these two are its own to set.
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", {"start"});
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", {"start"});
}

MpiEnvironment::~MpiEnvironment() { MPI_Finalize(); }

std::string MpiEnvironment::library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  check_mpi(MPI_Get_library_version(text.data(), &length), "MPI_Get_library_version", {"library version"});
  const std::string whole(text.data(), static_cast<std::size_t>(length));
  return whole.substr(0, whole.find('\n'));
}

Communicator Communicator::world() { return duplicate(MPI_COMM_WORLD); }

Communicator Communicator::duplicate(MPI_Comm communicator) {
  MPI_Comm handle = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(communicator, &handle), "MPI_Comm_dup", {"duplicating a communicator"});
  Communicator result;
  result.adopt(handle);
  return result;
}

void Communicator::adopt(MPI_Comm handle) {
  handle_ = handle;
  check_mpi(MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", {"new communicator"});
  check_mpi(MPI_Comm_rank(handle_, &rank_), "MPI_Comm_rank", {"new communicator"});
  check_mpi(MPI_Comm_size(handle_, &size_), "MPI_Comm_size", {"new communicator"});
  find_neighbours();
}

void Communicator::find_neighbours() {
  const Site site{"counting ranks of this node", rank_};
  MPI_Comm node = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(handle_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node), "MPI_Comm_split_type",
            site);
  check_mpi(MPI_Comm_size(node, &ranks_on_node_), "MPI_Comm_size", site);
  std::array<std::uint64_t, mask_words> mask = affinity_mask();
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, mask.data(), static_cast<int>(mask.size()), MPI_UINT64_T, MPI_BOR, node),
            "MPI_Allreduce", site);
  check_mpi(MPI_Comm_free(&node), "MPI_Comm_free", site);
  cores_on_node_ = 0;
  for (const std::uint64_t word : mask) {
    cores_on_node_ += std::popcount(word);
  }
  cores_on_node_ = std::max(cores_on_node_, 1);
  wait_mode_ = ranks_on_node_ > cores_on_node_ ? WaitMode::yield : WaitMode::spin;
}

Communicator::Communicator(Communicator &&other) noexcept { *this = std::move(other); }

Communicator &Communicator::operator=(Communicator &&other) noexcept {
  std::swap(handle_, other.handle_);
  rank_ = other.rank_;
  size_ = other.size_;
  ranks_on_node_ = other.ranks_on_node_;
  cores_on_node_ = other.cores_on_node_;
  deadline_s_ = other.deadline_s_;
  wait_mode_ = other.wait_mode_;
  return *this;
}

Communicator::~Communicator() {
  int finalized = 0;
  if (handle_ != MPI_COMM_NULL && MPI_Finalized(&finalized) == MPI_SUCCESS && finalized == 0) {
    MPI_Comm_free(&handle_);
  }
}

Communicator Communicator::split_first(int size) const {
  if (size < 1 || size > size_) {
    throw problem::InvalidInput("ring_size is " + std::to_string(size) + "; this job has " + std::to_string(size_) +
                                " ranks, start it with mpiexec -n " + std::to_string(std::max(size, 1)) + " or more");
  }
  MPI_Comm handle = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(handle_, rank_ < size ? 0 : MPI_UNDEFINED, rank_, &handle), "MPI_Comm_split",
            {"forming a smaller ring", rank_});
  Communicator result;
  if (handle != MPI_COMM_NULL) {
    result.adopt(handle);
    result.deadline_s_ = deadline_s_;
  }
  return result;
}

int Communicator::ranks_per_core() const { return (ranks_on_node_ + cores_on_node_ - 1) / cores_on_node_; }

void Communicator::wait(MPI_Request &request, const char *call, const char *what) const {
  const Site site{what, rank_};
  wait_until(
      [&] {
        int done = 0;
        check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test", site);
        return done != 0;
      },
      deadline_s_, wait_mode_, site, [&] { return std::string(call) + " over " + std::to_string(size_) + " ranks"; });
}

void Communicator::barrier(const char *what) const {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(handle_, &request), "MPI_Ibarrier", {what, rank_});
  wait(request, "MPI_Ibarrier", what);
}

void Communicator::sleeping_barrier() const {
  const Site site{"waiting while other ranks measure", rank_};
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(handle_, &request), "MPI_Ibarrier", site);
  wait_until(
      [&] {
        int done = 0;
        check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test", site);
        return done != 0;
      },
      0.0, WaitMode::sleep, site, {});
}

void Communicator::broadcast(std::string &text, int root) const {
  const char *what = "broadcasting bytes";
  std::uint64_t length = text.size();
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibcast(&length, 1, MPI_UINT64_T, root, handle_, &request), "MPI_Ibcast", {what, rank_});
  wait(request, "MPI_Ibcast", what);
  if (length > most_broadcast_bytes) {
    throw MpiFailure("broadcast of " + std::to_string(length) + " bytes is over the limit of 2^30");
  }
  text.resize(length);
  check_mpi(MPI_Ibcast(text.data(), static_cast<int>(length), MPI_BYTE, root, handle_, &request), "MPI_Ibcast",
            {what, rank_});
  wait(request, "MPI_Ibcast", what);
}

void Communicator::reduce(const void *value, void *result, MPI_Datatype type, MPI_Op operation) const {
  const char *what = "reducing over all ranks";
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallreduce(value, result, 1, type, operation, handle_, &request), "MPI_Iallreduce", {what, rank_});
  wait(request, "MPI_Iallreduce", what);
}

double Communicator::max(double value) const {
  double result = 0.0;
  reduce(&value, &result, MPI_DOUBLE, MPI_MAX);
  return result;
}

std::int64_t Communicator::max(std::int64_t value) const {
  std::int64_t result = 0;
  reduce(&value, &result, MPI_INT64_T, MPI_MAX);
  return result;
}

double Communicator::sum(double value) const {
  double result = 0.0;
  reduce(&value, &result, MPI_DOUBLE, MPI_SUM);
  return result;
}

std::int64_t Communicator::sum(std::int64_t value) const {
  std::int64_t result = 0;
  reduce(&value, &result, MPI_INT64_T, MPI_SUM);
  return result;
}

std::uint64_t Communicator::sum(std::uint64_t value) const {
  std::uint64_t result = 0;
  reduce(&value, &result, MPI_UINT64_T, MPI_SUM);
  return result;
}

bool Communicator::all(bool value) const { return sum(std::int64_t{value ? 1 : 0}) == size_; }

std::vector<double> Communicator::all_gather(std::span<const double> values) const {
  const char *what = "gathering numbers of all ranks";
  std::vector<double> result(values.size() * static_cast<std::size_t>(size_));
  const int count = static_cast<int>(values.size());
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallgather(values.data(), count, MPI_DOUBLE, result.data(), count, MPI_DOUBLE, handle_, &request),
            "MPI_Iallgather", {what, rank_});
  wait(request, "MPI_Iallgather", what);
  return result;
}

std::vector<std::string> Communicator::all_gather(const std::string &text) const {
  const char *what = "gathering text of all ranks";
  const std::int64_t longest = max(static_cast<std::int64_t>(text.size()));
  if (longest * size_ > std::numeric_limits<int>::max()) {
    throw MpiFailure("gathering " + std::to_string(longest) + " bytes a rank over " + std::to_string(size_) +
                     " ranks is over the limit of 2^31");
  }
  const auto width = static_cast<std::size_t>(longest);
  std::string mine = text;
  mine.resize(width, '\0');
  std::string whole(width * static_cast<std::size_t>(size_), '\0');
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallgather(mine.data(), static_cast<int>(width), MPI_BYTE, whole.data(), static_cast<int>(width),
                           MPI_BYTE, handle_, &request),
            "MPI_Iallgather", {what, rank_});
  wait(request, "MPI_Iallgather", what);
  std::vector<std::string> result;
  for (int rank = 0; rank < size_; ++rank) {
    const std::string part = whole.substr(static_cast<std::size_t>(rank) * width, width);
    result.push_back(part.substr(0, part.find('\0')));
  }
  return result;
}

} // namespace ringscale::ring
