// SPDX-License-Identifier: Apache-2.0
#include "ring/clock_offsets.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ring/mpi_transport.hpp"

namespace ringscale::ring {

namespace {

constexpr auto message_bytes = static_cast<std::int64_t>(sizeof(double));

/// Exchanges of a time between this rank and a peer.
class TimeMessages {
public:
  explicit TimeMessages(const Communicator &communicator)
      : transport_(communicator), site_{"aligning clocks", communicator.rank()} {}

  void send(int peer, double time_s) {
    transport_.post_send(peer, reinterpret_cast<const std::byte *>(&time_s), message_bytes, MessageTag::ping, site_);
    transport_.wait_all(site_);
  }
  double receive(int peer) {
    double time_s = 0.0;
    transport_.post_receive(peer, reinterpret_cast<std::byte *>(&time_s), message_bytes, MessageTag::ping, site_);
    transport_.wait_all(site_);
    return time_s;
  }

private:
  MpiTransport transport_;
  Site site_;
};

ClockOffset offset_of(TimeMessages &messages, int peer, const std::function<double()> &clock, int exchanges) {
  ClockOffset best{0.0, std::numeric_limits<double>::infinity()};
  for (int exchange = 0; exchange < exchanges; ++exchange) {
    const double sent_s = clock();
    messages.send(peer, sent_s);
    const double there_s = messages.receive(peer);
    const double returned_s = clock();
    const double half_s = 0.5 * (returned_s - sent_s);
    if (half_s < best.uncertainty_s) {
      best = {there_s - (sent_s + half_s), half_s};
    }
  }
  return best;
}

} // namespace

std::vector<ClockOffset> clock_offsets(const Communicator &communicator, const std::function<double()> &clock,
                                       int exchanges) {
  TimeMessages messages(communicator);
  std::vector<ClockOffset> offsets;
  if (communicator.rank() == 0) {
    offsets.emplace_back();
    for (int peer = 1; peer < communicator.size(); ++peer) {
      offsets.push_back(offset_of(messages, peer, clock, exchanges));
    }
  } else {
    for (int exchange = 0; exchange < exchanges; ++exchange) {
      messages.receive(0);
      messages.send(0, clock());
    }
  }
  communicator.sleeping_barrier();
  return offsets;
}

std::vector<ClockOffset> between(const std::vector<ClockOffset> &before, const std::vector<ClockOffset> &after) {
  if (before.size() != after.size()) {
    throw std::logic_error("clock offsets of different numbers of ranks");
  }
  std::vector<ClockOffset> middle;
  for (std::size_t rank = 0; rank < before.size(); ++rank) {
    const ClockOffset &one = before[rank];
    const ClockOffset &other = after[rank];
    middle.push_back({0.5 * (one.offset_s + other.offset_s), std::max(one.uncertainty_s, other.uncertainty_s) +
                                                                 0.5 * std::abs(one.offset_s - other.offset_s)});
  }
  return middle;
}

} // namespace ringscale::ring
