// SPDX-License-Identifier: Apache-2.0
#include "machine/links.hpp"

#include <algorithm>
#include <cmath>

namespace ringscale::machine {

const Link &link_between(const Machine &machine, std::int64_t rank, std::int64_t other) {
  for (const Link &link : machine.links) {
    if (link.group_devices == 0 || rank / link.group_devices == other / link.group_devices) {
      return link;
    }
  }
  return machine.links.back();
}

std::int64_t nearer_group(const Machine &machine, const Link &link) {
  std::int64_t nearer = 1;
  for (const Link &candidate : machine.links) {
    if (&candidate == &link) {
      break;
    }
    nearer = std::max(nearer, candidate.group_devices);
  }
  return nearer;
}

std::int64_t concurrent_flows(const Machine &machine, const Link &link, std::int64_t ring_size) {
  // A group of g devices has g hops of the ring inside or leaving it; those inside a nearer group use that group's
  // own link. Of the last level (no group size) every hop that leaves the nearer groups is concurrent.
  const std::int64_t nearer = nearer_group(machine, link);
  const std::int64_t group = link.group_devices == 0 ? ring_size : std::min(link.group_devices, ring_size);
  return std::max<std::int64_t>(1, (group + nearer - 1) / nearer);
}

namespace {

/// Messages on the busiest card of `card` devices when those whose neighbour lies outside their group of `nearer` send
/// to it: the last `distance` devices of a group do, and the first ones receive.
std::int64_t card_messages(const Link &link, std::int64_t nearer, const Traffic &traffic) {
  const std::int64_t card = std::clamp<std::int64_t>(link.devices_per_card, 1, traffic.ring_size);
  const std::int64_t leaving = std::min(traffic.distance, nearer);
  std::int64_t most = 0;
  // A card of whole groups is like all others; within a group the first and the last cards are the busiest.
  const std::int64_t groups = (card + nearer - 1) / nearer;
  const std::int64_t cards = std::max<std::int64_t>(1, nearer / card);
  for (std::int64_t place = 0; place < cards; ++place) {
    const std::int64_t share = std::min(card, nearer);
    const std::int64_t forwards = groups * std::clamp<std::int64_t>(leaving - (cards - 1 - place) * share, 0, share);
    const std::int64_t arriving = groups * std::clamp<std::int64_t>(leaving - place * share, 0, share);
    // The other direction is the mirror image: who receives from before sends back to before.
    const std::int64_t out = traffic.directions == 2 ? forwards + arriving : forwards;
    const std::int64_t in = traffic.directions == 2 ? forwards + arriving : arriving;
    most = std::max(most, link.duplex == Duplex::half ? out + in : std::max(out, in));
  }
  return std::max<std::int64_t>(1, most);
}

} // namespace

double crowd_factor(const Link &link, std::int64_t nearer, const Traffic &traffic) {
  double crowd = 1.0 + link.sharing.value * static_cast<double>(traffic.flows - 1);
  if (link.devices_per_card > 0 || link.duplex == Duplex::half) {
    crowd = std::max(crowd, static_cast<double>(card_messages(link, std::min(nearer, traffic.ring_size), traffic)));
  }
  if (link.oversubscription) {
    const std::int64_t cards = std::max<std::int64_t>(1, nearer / std::max<std::int64_t>(1, link.devices_per_card));
    const std::int64_t leaving = std::min(traffic.distance, nearer) * traffic.directions;
    crowd = std::max(crowd, static_cast<double>(leaving) * link.oversubscription->value / static_cast<double>(cards));
  }
  return crowd;
}

namespace {

/// What a message of `bytes` takes on a free link beyond latency and overhead.
double transfer_time(const Link &link, double bytes) {
  const std::vector<MessageTime> &times = link.message_times;
  if (times.size() < 2) {
    return bytes / link.bandwidth_bytes_per_s.value;
  }
  const auto above = std::find_if(times.begin() + 1, times.end() - 1,
                                  [&](const MessageTime &measured) { return bytes <= measured.bytes; });
  const MessageTime &high = *above;
  const MessageTime &low = *(above - 1);
  const double slope = (high.time_s - low.time_s) / (high.bytes - low.bytes);
  const double whole_s = low.time_s + std::max(0.0, bytes - low.bytes) * slope;
  return std::max(0.0, whole_s - link.latency_s.value - link.per_message_overhead_s.value);
}

} // namespace

double message_time(const Link &link, double bytes, double crowd) {
  double seconds = link.latency_s.value + link.per_message_overhead_s.value + transfer_time(link, bytes) * crowd;
  if (link.rendezvous && bytes > static_cast<double>(link.rendezvous->threshold_bytes)) {
    seconds += link.rendezvous->handshake_s.value;
  }
  if (link.receive_buffer_bytes > 0) {
    const double pieces = std::max(1.0, std::ceil(bytes / static_cast<double>(link.receive_buffer_bytes)));
    seconds += 2.0 * (pieces - 1.0) * link.latency_s.value;
  }
  return seconds;
}

std::int64_t link_period(const Machine &machine, std::int64_t ring_size) {
  std::int64_t period = 1;
  for (const Link &link : machine.links) {
    if (link.group_devices != 0 && link.group_devices < ring_size) {
      period = link.group_devices;
    }
  }
  return period;
}

namespace {

double crowding_at(const std::vector<Crowding> &crowding, double ranks) {
  if (crowding.empty()) {
    return 1.0;
  }
  double before_ranks = static_cast<double>(crowding.front().ranks);
  double before = crowding.front().factor.value;
  for (const Crowding &entry : crowding) {
    const auto entry_ranks = static_cast<double>(entry.ranks);
    if (ranks <= entry_ranks) {
      const double span = entry_ranks - before_ranks;
      const double weight = span > 0.0 ? std::max(0.0, (ranks - before_ranks) / span) : 1.0;
      return before + weight * (entry.factor.value - before);
    }
    before_ranks = entry_ranks;
    before = entry.factor.value;
  }
  return before;
}

} // namespace

double core_sharing_factor(const CoreSharing &sharing, double ranks, double active) {
  if (sharing.cores == 0 || !(ranks > 1.0)) {
    return 1.0;
  }
  const auto cores = static_cast<double>(sharing.cores);
  const double busy = active + sharing.spin_share.value * (ranks - active);
  const double busy_neighbours = cores > 1.0 ? (std::min(busy, cores) - 1.0) / (cores - 1.0) : 0.0;
  const double factor = 1.0 + (sharing.neighbour_factor.value - 1.0) * std::max(0.0, busy_neighbours);
  if (!(ranks > cores)) {
    return factor;
  }
  // A rank stays on its core for the length of a step, so the fullest core decides: three ranks on two take twice as
  // long as one, not one and a half times.
  const double fullest = std::ceil(ranks / cores);
  const double busy_share = (active + sharing.idle_share.value * (ranks - active)) / ranks;
  return factor * std::max(1.0, fullest * busy_share) * crowding_at(sharing.crowding, ranks);
}

} // namespace ringscale::machine
