// SPDX-License-Identifier: Apache-2.0
#include "ring/collective.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "ring/communicator.hpp"

namespace ringscale::ring {

namespace {
constexpr std::size_t piece_elements = std::size_t{1} << 28; // 1 GiB of float: MPI counts are 31-bit
} // namespace

Collective::Collective(Collective &&other) noexcept { *this = std::move(other); }

Collective &Collective::operator=(Collective &&other) noexcept {
  std::swap(call_, other.call_);
  std::swap(site_, other.site_);
  std::swap(ranks_, other.ranks_);
  std::swap(deadline_s_, other.deadline_s_);
  std::swap(wait_mode_, other.wait_mode_);
  std::swap(requests_, other.requests_);
  std::swap(completed_, other.completed_);
  return *this;
}

Collective::~Collective() {
  try {
    wait();
  } catch (const std::exception &failure) {
    std::fprintf(stderr, "a collective that was dropped failed: %s\n", failure.what());
  }
}

bool Collective::progress() {
  for (; completed_ < requests_.size(); ++completed_) {
    int done = 0;
    const int code = MPI_Test(&requests_[completed_], &done, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS) {
      completed_ = requests_.size(); // failed: nothing is left to wait for
    }
    check_mpi(code, call_, site_);
    if (done == 0) {
      return false;
    }
  }
  return true;
}

void Collective::wait() {
  wait_until([this] { return progress(); }, deadline_s_, wait_mode_, site_,
             [this] { return std::string(call_) + " over " + std::to_string(ranks_) + " ranks"; });
}

Collective Communicator::pending(const char *call, const char *what) const {
  Collective result;
  result.call_ = call;
  result.site_ = {what, rank_};
  result.ranks_ = size_;
  result.deadline_s_ = deadline_s_;
  result.wait_mode_ = wait_mode_;
  return result;
}

Collective Communicator::start_sum(std::span<float> values) const {
  Collective result = pending("MPI_Iallreduce", "summing over all ranks");
  for (std::size_t begin = 0; begin < values.size(); begin += piece_elements) {
    const std::span<float> piece = values.subspan(begin, std::min(piece_elements, values.size() - begin));
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, piece.data(), static_cast<int>(piece.size()), MPI_FLOAT, MPI_SUM, handle_,
                             &request),
              "MPI_Iallreduce", result.site_);
    result.requests_.push_back(request);
  }
  return result;
}

Collective Communicator::start_all_gather(std::span<const std::byte> mine, std::span<std::byte> everyones) const {
  if (mine.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw std::invalid_argument("all-gather: " + std::to_string(mine.size()) + " bytes a rank are over 2^31 - 1");
  }
  if (everyones.size() != mine.size() * static_cast<std::size_t>(size_)) {
    throw std::invalid_argument("all-gather: room for " + std::to_string(everyones.size()) + " bytes; " +
                                std::to_string(size_) + " ranks send " + std::to_string(mine.size()) + " each");
  }
  Collective result = pending("MPI_Iallgather", "gathering bytes of all ranks");
  const int count = static_cast<int>(mine.size());
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallgather(mine.data(), count, MPI_BYTE, everyones.data(), count, MPI_BYTE, handle_, &request),
            "MPI_Iallgather", result.site_);
  result.requests_.push_back(request);
  return result;
}

} // namespace ringscale::ring
