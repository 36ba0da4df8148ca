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

void LoopbackNetwork::post_all_gather(const Handle &own, std::span<const GatheredPart> parts) {
  const int rank = own->source;
  auto gather = std::find_if(gathers_.begin(), gathers_.end(),
                             [&](const Gather &candidate) { return !candidate.contains(rank); });
  if (gather == gathers_.end()) {
    gather = gathers_.emplace(gathers_.end());
  }
  (*gather)[rank] = {own, {parts.begin(), parts.end()}};
  const bool last_of_its_size = gather->size() == parts.size();
  if (last_of_its_size) {
    const Gather whole = std::move(*gather);
    gathers_.erase(gather);
    complete(whole);
  }
}

void LoopbackNetwork::complete(const Gather &gather) {
  for (const auto &[destination, to] : gather) {
    for (const auto &[source, from] : gather) {
      const auto place = static_cast<std::size_t>(source);
      if (place >= from.parts.size() || from.parts.size() != to.parts.size() ||
          from.parts[place].bytes != to.parts[place].bytes) {
        throw MpiFailure("loopback all-gather: ranks " + std::to_string(source) + " and " +
                         std::to_string(destination) + " do not agree on the lengths");
      }
      if (from.parts[place].bytes == 0) {
        continue;
      }
      // In place where a rank's own bytes lie in its gathered buffer already.
      std::memmove(to.message->receive_buffer + to.parts[place].offset_bytes, from.message->send_buffer,
                   static_cast<std::size_t>(from.parts[place].bytes));
    }
  }
  for (const auto &[rank, contribution] : gather) {
    contribution.message->done = true;
  }
}

LoopbackNetwork::Handle LoopbackTransport::take(const LoopbackNetwork::Message &message) {
  progress(); // what is done leaves, also where nobody polls
  posted_.push_back({++last_ticket_, std::make_shared<LoopbackNetwork::Message>(message)});
  ++counters_.requests_created;
  ++counters_.requests_started;
  return posted_.back().message;
}

Ticket LoopbackTransport::post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag,
                                       const Site &) {
  ++counters_.messages_received;
  counters_.bytes_received += bytes;
  network_.post(take({source, rank_, tag, buffer, nullptr, bytes, false}));
  return last_ticket_;
}

Ticket LoopbackTransport::post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                                    const Site &) {
  ++counters_.messages_sent;
  counters_.bytes_sent += bytes;
  network_.post(take({rank_, destination, tag, nullptr, buffer, bytes, false}));
  return last_ticket_;
}

Ticket LoopbackTransport::post_all_gather(const std::byte *own, std::byte *gathered,
                                          std::span<const GatheredPart> parts, Gathering, const Site &) {
  require_parts(parts, static_cast<int>(parts.size()));
  ++counters_.gathers;
  for (const GatheredPart &part : parts) {
    counters_.gathered_bytes += part.bytes;
  }
  network_.post_all_gather(take({rank_, rank_, MessageTag::gathered_block, gathered, own, 0, false}), parts);
  return last_ticket_;
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
