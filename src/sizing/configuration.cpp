// SPDX-License-Identifier: Apache-2.0
#include "sizing/configuration.hpp"

#include <algorithm>

#include "problem/invalid_input.hpp"

namespace ringscale::sizing {

using schedule::Moving;
using schedule::Placement;
using schedule::Schedule;

namespace {

/// replicated queries are everywhere already: they cannot move.
bool goes_together(Placement placement, Moving moving) {
  return placement != Placement::replicated_queries || moving != Moving::query;
}

} // namespace

schedule::RingProblem ring_problem(const Workload &workload, const Configuration &configuration, schedule::Pass pass,
                                   std::int64_t tokens) {
  schedule::RingProblem problem;
  problem.attention = workload.attention;
  problem.attention.tokens = tokens;
  problem.attention.batch = (workload.attention.batch + configuration.rings - 1) / configuration.rings;
  problem.placement = configuration.placement;
  problem.schedule = configuration.schedule;
  problem.ring_size = configuration.ring_size;
  problem.inner_ring_size = configuration.inner_ring_size;
  problem.moving = configuration.moving;
  problem.pass = pass;
  problem.layout = configuration.layout;
  return problem;
}

std::vector<std::int64_t> inner_ring_sizes(const machine::Machine &machine) {
  std::vector<std::int64_t> sizes;
  for (const machine::Link &link : machine.links) {
    if (link.group_devices > 1) {
      sizes.push_back(link.group_devices);
    }
  }
  return sizes;
}

std::vector<Configuration> ring_templates(const machine::Machine &machine, const Allowed &allowed) {
  std::vector<Configuration> found;
  for (const Schedule schedule : allowed.schedules) {
    const bool inner_rings = schedule == Schedule::double_ring;
    for (const std::int64_t inner : inner_rings ? inner_ring_sizes(machine) : std::vector<std::int64_t>{1}) {
      for (const Placement placement : allowed.placements) {
        for (const Moving moving : allowed.movings) {
          if (goes_together(placement, moving)) {
            Configuration configuration;
            configuration.schedule = schedule;
            configuration.inner_ring_size = inner;
            configuration.placement = placement;
            configuration.moving = moving;
            found.push_back(configuration);
          }
        }
      }
    }
  }
  return found;
}

void require_templates(const machine::Machine &machine, const Allowed &allowed) {
  if (ring_templates(machine, allowed).empty()) {
    throw problem::InvalidInput("nothing is left to weigh: double_ring needs a machine with groups of devices, and " +
                                machine.name + " has none; allow another schedule");
  }
}

std::vector<Configuration> configurations_of_ring(const machine::Machine &machine, const Allowed &allowed,
                                                  std::int64_t ring_size, std::int64_t rings) {
  std::vector<Configuration> found;
  const auto is_double = [](Schedule schedule) { return schedule == Schedule::double_ring; };
  if (ring_size == 1 && std::all_of(allowed.schedules.begin(), allowed.schedules.end(), is_double)) {
    return found; // one device is no ring of rings, and that is what was asked for
  }
  for (Configuration configuration : ring_templates(machine, allowed)) {
    const std::int64_t inner = configuration.inner_ring_size;
    if (ring_size == 1) {
      configuration.inner_ring_size = 1; // alone, every schedule is the same
    } else if (configuration.schedule == Schedule::double_ring && (inner >= ring_size || ring_size % inner != 0)) {
      continue;
    }
    configuration.ring_size = ring_size;
    configuration.rings = rings;
    found.push_back(configuration);
    if (ring_size == 1) {
      break;
    }
  }
  return found;
}

std::vector<Configuration> configurations_using(const machine::Machine &machine, const Allowed &allowed,
                                                std::int64_t devices, std::int64_t batch, std::int64_t tokens) {
  std::vector<Configuration> found;
  for (const std::int64_t rings : divisors(batch)) {
    if (devices % rings == 0 && devices / rings <= tokens) {
      const std::vector<Configuration> of_ring = configurations_of_ring(machine, allowed, devices / rings, rings);
      found.insert(found.end(), of_ring.begin(), of_ring.end());
    }
  }
  return found;
}

std::vector<std::int64_t> divisors(std::int64_t number) {
  std::vector<std::int64_t> small;
  std::vector<std::int64_t> large;
  for (std::int64_t candidate = 1; candidate * candidate <= number; ++candidate) {
    if (number % candidate == 0) {
      small.push_back(candidate);
      if (candidate * candidate != number) {
        large.push_back(number / candidate);
      }
    }
  }
  small.insert(small.end(), large.rbegin(), large.rend());
  return small;
}

std::vector<Configuration> configurations(const machine::Machine &machine, const Allowed &allowed, std::int64_t devices,
                                          std::int64_t batch) {
  const std::vector<std::int64_t> shares = divisors(batch);
  std::vector<Configuration> found;
  for (const std::int64_t ring_size : divisors(devices)) {
    // Shares of the batch are equal, so the number of rings divides it.
    const std::int64_t rings = *(std::upper_bound(shares.begin(), shares.end(), devices / ring_size) - 1);
    const std::vector<Configuration> of_ring = configurations_of_ring(machine, allowed, ring_size, rings);
    found.insert(found.end(), of_ring.begin(), of_ring.end());
  }
  if (found.empty()) {
    throw problem::InvalidInput("nothing is left to weigh: " + std::to_string(devices) +
                                " devices make no double_ring of two or more groups of machine " + machine.name +
                                "; give a larger multiple of a group, or allow another schedule");
  }
  return found;
}

std::string describe(const Configuration &configuration) {
  std::string text = configuration.rings == 1 ? "1 ring" : std::to_string(configuration.rings) + " rings";
  text += " of " + std::to_string(configuration.ring_size);
  if (configuration.ring_size > 1) {
    text += ", " + std::string(schedule::name(configuration.schedule));
    if (configuration.schedule == Schedule::double_ring) {
      text += " (inner " + std::to_string(configuration.inner_ring_size) + ")";
    }
    text += ", " + std::string(schedule::name(configuration.placement)) + ", moving " +
            std::string(schedule::name(configuration.moving));
  }
  return text;
}

} // namespace ringscale::sizing
