// SPDX-License-Identifier: Apache-2.0
#include "ring/nccl_transport.hpp"

#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringscale::ring {

NcclTransport::NcclTransport(const Communicator &communicator, std::unique_ptr<DeviceStream> stream)
    : communicator_(communicator), stream_(std::move(stream)) {
  connect();
}

void NcclTransport::connect() {
  const Site site{"joining the ranks with NCCL", communicator_.rank()};
  ncclUniqueId id;
  std::string bytes;
  ncclResult_t made = ncclSuccess;
  if (communicator_.rank() == 0) {
    made = ncclGetUniqueId(&id);
    bytes.assign(id.internal, made == ncclSuccess ? sizeof(id.internal) : 0);
  }
  communicator_.broadcast(bytes, 0); // empty where it failed, so that nobody waits for rank 0
  require(made, "ncclGetUniqueId", site);
  if (bytes.size() != sizeof(id.internal)) {
    fail("rank 0 got no id from NCCL");
  }
  std::memcpy(id.internal, bytes.data(), bytes.size());
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0; // so that a lost rank is seen by polling
  require(ncclCommInitRankConfig(&nccl_, communicator_.size(), id, communicator_.rank(), &config),
          "ncclCommInitRankConfig", site);
  poll_until(
      [&] {
        ncclResult_t state = ncclSuccess;
        require(ncclCommGetAsyncError(nccl_, &state), "ncclCommGetAsyncError", site);
        require(state, "ncclCommInitRankConfig", site);
        return state == ncclSuccess;
      },
      site);
}

NcclTransport::~NcclTransport() {
  if (nccl_ == nullptr) {
    return;
  }
  if (!groups_.empty() || !queued_.empty() || !queued_for_wait_.empty()) {
    ncclCommAbort(nccl_);
    return;
  }
  const Site site{"leaving NCCL", communicator_.rank()};
  try {
    require(ncclCommFinalize(nccl_), "ncclCommFinalize", site);
    poll_until(
        [&] {
          ncclResult_t state = ncclSuccess;
          require(ncclCommGetAsyncError(nccl_, &state), "ncclCommGetAsyncError", site);
          require(state, "ncclCommFinalize", site);
          return state == ncclSuccess;
        },
        site);
    ncclCommDestroy(nccl_);
  } catch (const MpiFailure &) {
    // Aborted; a destructor has nobody to tell.
  }
}

void NcclTransport::require(int code, const char *call, const Site &site) {
  const auto result = static_cast<ncclResult_t>(code);
  if (result != ncclSuccess && result != ncclInProgress) {
    fail(std::string(call) + " failed at " + describe(site) + ": " + ncclGetErrorString(result));
  }
}

void NcclTransport::fail(const std::string &reason) {
  failure_ = reason;
  if (nccl_ != nullptr) {
    ncclCommAbort(std::exchange(nccl_, nullptr));
  }
  throw MpiFailure("NCCL: " + failure_);
}

void NcclTransport::queue(std::vector<Message> &messages, const Message &message) {
  if (message.bytes > 0) { // nothing travels for nothing, as with the other transports
    messages.push_back(message);
  }
}

Ticket NcclTransport::post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag, const Site &site) {
  ++counters_.messages_received;
  counters_.bytes_received += bytes;
  queue(queued_, {++last_ticket_, source, buffer, nullptr, bytes, site});
  return last_ticket_;
}

Ticket NcclTransport::post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag,
                                const Site &site) {
  ++counters_.messages_sent;
  counters_.bytes_sent += bytes;
  queue(queued_, {++last_ticket_, destination, nullptr, buffer, bytes, site});
  return last_ticket_;
}

Ticket NcclTransport::post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                                      Gathering gathering, const Site &site) {
  require_parts(parts, communicator_.size());
  const Ticket ticket = ++last_ticket_;
  ++counters_.gathers;
  std::vector<Message> &messages = gathering == Gathering::blocking ? queued_for_wait_ : queued_;
  const int rank = communicator_.rank();
  const GatheredPart own_part = parts[static_cast<std::size_t>(rank)];
  const bool in_place = own == gathered + own_part.offset_bytes;
  for (int other = 0; other < communicator_.size(); ++other) {
    const GatheredPart part = parts[static_cast<std::size_t>(other)];
    counters_.gathered_bytes += part.bytes;
    if (other == rank && in_place) {
      continue;
    }
    queue(messages, {ticket, other, nullptr, own, own_part.bytes, site});
    queue(messages, {ticket, other, gathered + part.offset_bytes, nullptr, part.bytes, site});
  }
  return ticket;
}

void NcclTransport::launch() {
  Group group;
  group.messages = std::exchange(queued_, {});
  const Site site = group.messages.front().site;
  require(ncclGroupStart(), "ncclGroupStart", site);
  for (const Message &message : group.messages) {
    const auto bytes = static_cast<std::size_t>(message.bytes);
    if (message.receive_buffer != nullptr) {
      require(ncclRecv(message.receive_buffer, bytes, ncclUint8, message.peer, nccl_, stream_->handle()), "ncclRecv",
              message.site);
    } else {
      require(ncclSend(message.send_buffer, bytes, ncclUint8, message.peer, nccl_, stream_->handle()), "ncclSend",
              message.site);
    }
    ++counters_.requests_created;
    ++counters_.requests_started;
  }
  require(ncclGroupEnd(), "ncclGroupEnd", site);
  groups_.push_back(std::move(group));
}

void NcclTransport::poll() {
  if (nccl_ == nullptr) {
    throw MpiFailure("NCCL: given up before: " + failure_);
  }
  const Site idle{"looking for messages", communicator_.rank()};
  const Site site = groups_.empty() ? idle : groups_.front().messages.front().site;
  ncclResult_t state = ncclSuccess;
  require(ncclCommGetAsyncError(nccl_, &state), "ncclCommGetAsyncError", site);
  require(state, "a message", site);
  if (state == ncclInProgress) {
    return; // a group is not yet in the stream: no mark can follow it, and no other call is allowed
  }
  for (Group &group : groups_) {
    if (group.mark == 0) {
      group.mark = stream_->mark();
    }
  }
  while (!groups_.empty() && stream_->passed(groups_.front().mark)) {
    groups_.erase(groups_.begin());
  }
  if (!queued_.empty()) {
    launch();
  }
}

bool NcclTransport::progress() {
  poll();
  return queued_.empty() && queued_for_wait_.empty() && groups_.empty();
}

bool NcclTransport::travels(std::span<const Ticket> tickets) const {
  const auto named = [&](const Message &message) {
    return std::find(tickets.begin(), tickets.end(), message.ticket) != tickets.end();
  };
  return std::any_of(queued_.begin(), queued_.end(), named) ||
         std::any_of(groups_.begin(), groups_.end(), [&](const Group &group) {
           return std::any_of(group.messages.begin(), group.messages.end(), named);
         });
}

template <class Done> void NcclTransport::poll_until(const Done &done, const Site &site) {
  const double begin_s = now_s();
  const double deadline_s = communicator_.deadline_s();
  // wait_until would end the job at its deadline; here the communicator is aborted first and the caller decides.
  wait_until(
      [&] {
        if (done()) {
          return true;
        }
        if (deadline_s > 0.0 && !(now_s() - begin_s <= deadline_s)) {
          const std::string missing = describe_outstanding();
          fail("nothing within " + std::to_string(deadline_s) + " s: " + describe(site) +
               (missing.empty() ? "" : "; outstanding: " + missing));
        }
        return false;
      },
      0.0, communicator_.wait_mode(), site, {});
}

void NcclTransport::wait(std::span<const Ticket> tickets, const Site &site) {
  queued_.insert(queued_.end(), queued_for_wait_.begin(), queued_for_wait_.end());
  queued_for_wait_.clear();
  if (nccl_ == nullptr || travels(tickets)) {
    poll_until(
        [&] {
          poll();
          return !travels(tickets);
        },
        site);
  }
}

void NcclTransport::wait_all(const Site &site) {
  queued_.insert(queued_.end(), queued_for_wait_.begin(), queued_for_wait_.end());
  queued_for_wait_.clear();
  poll_until([this] { return progress(); }, site);
}

std::string NcclTransport::describe_outstanding() const {
  std::string text;
  const auto append = [&](const Message &message) {
    text += (text.empty() ? "" : ", ") +
            std::string(message.receive_buffer != nullptr ? "receive from rank " : "send to rank ") +
            std::to_string(message.peer) + " (" + std::to_string(message.bytes) + " bytes)";
  };
  for (const Group &group : groups_) {
    std::for_each(group.messages.begin(), group.messages.end(), append);
  }
  std::for_each(queued_.begin(), queued_.end(), append);
  return text;
}

} // namespace ringscale::ring
