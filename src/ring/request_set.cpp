// SPDX-License-Identifier: Apache-2.0
#include "ring/request_set.hpp"

#include <algorithm>
#include <exception>
#include <functional>

namespace ringscale::ring {

namespace {

const char *call_of(RequestSet::Kind kind) {
  switch (kind) {
  case RequestSet::Kind::send:
    return "MPI send";
  case RequestSet::Kind::receive:
    return "MPI receive";
  case RequestSet::Kind::gather:
    return "MPI_Iallgatherv";
  }
  return "MPI operation";
}

std::string text_of(const RequestSet::Operation &operation) {
  const std::string size = " (" + std::to_string(operation.bytes) + " bytes)";
  switch (operation.kind) {
  case RequestSet::Kind::send:
    return "send to rank " + std::to_string(operation.peer) + size;
  case RequestSet::Kind::receive:
    return "receive from rank " + std::to_string(operation.peer) + size;
  case RequestSet::Kind::gather:
    return "all-gather" + size;
  }
  return "operation";
}

} // namespace

void RequestSet::add(MPI_Request request, const Operation &operation) {
  requests_.push_back(request);
  operations_.push_back(operation);
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
    check_mpi(code, "MPI_Testsome", operations_.front().site);
  }
  if (count <= 0) { // none, or MPI_UNDEFINED: no active request
    return;
  }
  std::exception_ptr failure;
  for (std::size_t index = 0; index < static_cast<std::size_t>(count); ++index) {
    Operation &operation = operations_[static_cast<std::size_t>(completed_[index])];
    if (operation.active != nullptr) {
      *operation.active = false;
    }
    try {
      // MPI only fills in the status' error when it says so.
      check(operation, code == MPI_ERR_IN_STATUS ? statuses_[index].MPI_ERROR : MPI_SUCCESS, statuses_[index]);
    } catch (const MpiFailure &) {
      failure = failure ? failure : std::current_exception();
    }
  }
  remove_completed(count);
  if (failure) {
    std::rethrow_exception(failure);
  }
}

void RequestSet::remove_completed(int count) {
  // From behind, so that the places of the others stay; the order of posting stays too.
  std::sort(completed_.begin(), completed_.begin() + count, std::greater<>());
  for (std::size_t index = 0; index < static_cast<std::size_t>(count); ++index) {
    const std::ptrdiff_t place = completed_[index];
    requests_.erase(requests_.begin() + place);
    operations_.erase(operations_.begin() + place);
  }
}

void RequestSet::check(const Operation &operation, int code, const MPI_Status &status) {
  check_mpi(code, call_of(operation.kind), operation.site);
  if (operation.kind != Kind::receive) {
    return;
  }
  int received = 0;
  check_mpi(MPI_Get_count(&status, MPI_BYTE, &received), "MPI_Get_count", operation.site);
  if (received != operation.bytes) {
    throw_wrong_length(received, operation.bytes, operation.site);
  }
}

bool RequestSet::holds_any(std::span<const Ticket> tickets) const {
  return std::any_of(operations_.begin(), operations_.end(), [&](const Operation &operation) {
    return std::find(tickets.begin(), tickets.end(), operation.ticket) != tickets.end();
  });
}

std::string RequestSet::describe_outstanding() const {
  std::string text;
  for (const Operation &operation : operations_) {
    text += (text.empty() ? "" : ", ") + text_of(operation);
  }
  return text;
}

void throw_wrong_length(std::int64_t received_bytes, std::int64_t posted_bytes, const Site &site) {
  throw MpiFailure("message of " + std::to_string(received_bytes) + " bytes instead of " +
                   std::to_string(posted_bytes) + " at " + describe(site));
}

} // namespace ringscale::ring
