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

std::int64_t concurrent_flows(const Machine &machine, const Link &link, std::int64_t ring_size) {
  // A group of g devices has g hops of the ring inside or leaving it; those inside a nearer group use that group's
  // own link. Of the last level (no group size) every hop that leaves the nearer groups is concurrent.
  std::int64_t nearer = 1;
  for (const Link &candidate : machine.links) {
    if (&candidate == &link) {
      break;
    }
    nearer = std::max(nearer, candidate.group_devices);
  }
  const std::int64_t group = link.group_devices == 0 ? ring_size : std::min(link.group_devices, ring_size);
  return std::max<std::int64_t>(1, (group + nearer - 1) / nearer);
}

double message_time(const Link &link, double bytes, std::int64_t flows) {
  const double crowd = 1.0 + link.sharing.value * static_cast<double>(flows - 1);
  return link.latency_s.value + link.per_message_overhead_s.value + bytes / link.bandwidth_bytes_per_s.value * crowd;
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
