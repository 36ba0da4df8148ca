// SPDX-License-Identifier: Apache-2.0
#include "ring/request_set.hpp"

#include <algorithm>
#include <functional>

namespace ringscale::ring {

void RequestSet::add(MPI_Request request, const Message &message) {
  requests_.push_back(request);
  messages_.push_back(message);
}

void RequestSet::poll() {
  if (requests_.empty()) {
    return;
  }
  completed_.resize(requests_.size());
  statuses_.resize(requests_.size());
  int count = 0;
  const int code =
      MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count, completed_.data(), statuses_.data());
  if (code != MPI_ERR_IN_STATUS) {
    check_mpi(code, "MPI_Testsome", messages_.front().site);
  }
  if (count <= 0) { // none, or MPI_UNDEFINED: no active request
    return;
  }
  for (int index = 0; index < count; ++index) {
    MPI_Status &status = statuses_[static_cast<std::size_t>(index)];
    const Message &message = messages_[static_cast<std::size_t>(completed_[static_cast<std::size_t>(index)])];
    // MPI only fills in the status' error when it says so.
    check(message, code == MPI_ERR_IN_STATUS ? status.MPI_ERROR : MPI_SUCCESS, status);
  }
  // From behind, so that the places of the others stay; the order of posting stays too.
  std::sort(completed_.begin(), completed_.begin() + count, std::greater<>());
  for (int index = 0; index < count; ++index) {
    const std::ptrdiff_t place = completed_[static_cast<std::size_t>(index)];
    requests_.erase(requests_.begin() + place);
    messages_.erase(messages_.begin() + place);
  }
}

void RequestSet::check(const Message &message, int code, MPI_Status &status) const {
  check_mpi(code, message.receive ? "MPI receive" : "MPI send", message.site);
  if (!message.receive) {
    return;
  }
  int received = 0;
  check_mpi(MPI_Get_count(&status, MPI_BYTE, &received), "MPI_Get_count", message.site);
  if (received != message.bytes) {
    throw MpiFailure("message of " + std::to_string(received) + " bytes instead of " + std::to_string(message.bytes) +
                     " at " + describe(message.site));
  }
}

bool RequestSet::holds_any(std::span<const Ticket> tickets) const {
  return std::any_of(messages_.begin(), messages_.end(), [&](const Message &message) {
    return std::find(tickets.begin(), tickets.end(), message.ticket) != tickets.end();
  });
}

std::string RequestSet::describe_outstanding() const {
  std::string text;
  for (std::size_t index = 0; index < requests_.size(); ++index) {
    int done = 0;
    const bool tested = requests_[index] != MPI_REQUEST_NULL &&
                        MPI_Request_get_status(requests_[index], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS;
    if (tested && done == 0) {
      text += (text.empty() ? "" : ", ") +
              std::string(messages_[index].receive ? "receive from rank " : "send to rank ") +
              std::to_string(messages_[index].peer) + " (" + std::to_string(messages_[index].bytes) + " bytes)";
    }
  }
  return text;
}

} // namespace ringscale::ring
