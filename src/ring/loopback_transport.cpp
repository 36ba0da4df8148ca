// SPDX-License-Identifier: Apache-2.0
#include "ring/loopback_transport.hpp"

#include <algorithm>
#include <cstring>

namespace ringscale::ring {

void LoopbackNetwork::post(const Handle &message) {
  const bool is_receive = message->receive_buffer != nullptr;
  const auto match = std::find_if(waiting_.begin(), waiting_.end(), [&](const Handle &other) {
    return (other->receive_buffer != nullptr) != is_receive && other->source == message->source &&
           other->destination == message->destination && other->tag == message->tag;
  });
  if (match == waiting_.end()) {
    waiting_.push_back(message);
    return;
  }
  const Handle other = *match;
  waiting_.erase(match);
  if (other->bytes != message->bytes) {
    throw MpiFailure("loopback message from rank " + std::to_string(message->source) + " to rank " +
                     std::to_string(message->destination) + ": lengths " + std::to_string(other->bytes) + " and " +
                     std::to_string(message->bytes) + " differ");
  }
  std::byte *destination = is_receive ? message->receive_buffer : other->receive_buffer;
  const std::byte *source = is_receive ? other->send_buffer : message->send_buffer;
  std::memcpy(destination, source, static_cast<std::size_t>(message->bytes));
  message->done = true;
  other->done = true;
}

Ticket LoopbackTransport::post(LoopbackNetwork::Message message) {
  progress(); // what is done leaves, also where nobody polls
  const Ticket ticket = ++last_ticket_;
  posted_.push_back({ticket, std::make_shared<LoopbackNetwork::Message>(message)});
  network_.post(posted_.back().message);
  return ticket;
}

Ticket LoopbackTransport::post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag,
                                       const Site &) {
  return post({source, rank_, tag, buffer, nullptr, bytes, false});
}

Ticket LoopbackTransport::post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                                    const Site &) {
  return post({rank_, destination, tag, nullptr, buffer, bytes, false});
}

bool LoopbackTransport::progress() {
  std::erase_if(posted_, [](const Posted &posted) { return posted.message->done; });
  return posted_.empty();
}

void LoopbackTransport::wait(std::span<const Ticket> tickets, const Site &site) {
  progress();
  const auto missing = std::count_if(posted_.begin(), posted_.end(), [&](const Posted &posted) {
    return std::find(tickets.begin(), tickets.end(), posted.ticket) != tickets.end();
  });
  if (missing > 0) {
    throw MpiFailure("loopback: " + std::to_string(missing) + " messages never complete at " + describe(site));
  }
}

void LoopbackTransport::wait_all(const Site &site) {
  if (!progress()) {
    throw MpiFailure("loopback: " + std::to_string(posted_.size()) + " messages never complete at " + describe(site));
  }
}

} // namespace ringscale::ring
