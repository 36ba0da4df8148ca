// SPDX-License-Identifier: Apache-2.0
#include "sizing/fewest_devices.hpp"

#include <algorithm>
#include <cmath>

#include "problem/invalid_input.hpp"

namespace ringscale::sizing {

namespace {

/// A double ring grows by whole inner rings, from two on; the others rank by rank.
std::int64_t unit_of(const Configuration &ring) {
  return ring.schedule == schedule::Schedule::double_ring ? ring.inner_ring_size : 1;
}

class SmallestRing {
public:
  SmallestRing(const machine::Machine &machine, const Workload &workload, const Configuration &ring,
               std::int64_t tokens, std::int64_t budget)
      : machine_(machine), workload_(workload), ring_(ring), tokens_(tokens), budget_(budget) {}

  /// Smallest multiple in [low, high] of the unit that fits, 0 for none.
  std::int64_t between(std::int64_t low, std::int64_t high) const {
    if (low > high) {
      return 0;
    }
    const std::int64_t unit = unit_of(ring_);
    const double least = least_bytes_between(machine_, workload_, ring_, low * unit, high * unit, tokens_);
    if (!(least <= static_cast<double>(budget_))) {
      return 0;
    }
    if (low == high) {
      Configuration ring = ring_;
      ring.ring_size = low * unit;
      return fits(machine_, workload_, ring, tokens_, budget_) ? low : 0;
    }
    const std::int64_t middle = low + (high - low) / 2;
    const std::int64_t below = between(low, middle);
    return below > 0 ? below : between(middle + 1, high);
  }

private:
  const machine::Machine &machine_;
  const Workload &workload_;
  const Configuration &ring_;
  std::int64_t tokens_;
  std::int64_t budget_;
};

/// Everything on exactly `devices` devices that fits and meets the limit (0: none), fastest first. With `any` the
/// first one found ends it. `fastest` keeps the best time seen.
std::vector<Evaluation> meeting(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                                std::int64_t tokens, double time_limit_s, std::int64_t devices, bool any,
                                std::optional<Evaluation> &fastest) {
  std::vector<Evaluation> found;
  for (const Configuration &configuration :
       configurations_using(machine, allowed, devices, workload.attention.batch, tokens)) {
    Evaluation evaluation = evaluate(machine, workload, configuration, tokens, devices);
    if (evaluation.simulated && (!fastest || evaluation.time_s < fastest->time_s)) {
      fastest = evaluation;
    }
    const bool in_time = time_limit_s == 0.0 || (evaluation.simulated && evaluation.time_s <= time_limit_s);
    if (evaluation.fits && in_time) {
      found.push_back(std::move(evaluation));
      if (any) {
        break;
      }
    }
  }
  rank(found);
  return found;
}

std::int64_t fewest_by_memory(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                              std::int64_t tokens, std::int64_t budget, std::int64_t devices_limit) {
  std::int64_t fewest = 0;
  for (const std::int64_t rings : divisors(workload.attention.batch)) {
    for (Configuration ring : ring_templates(machine, allowed)) {
      ring.rings = rings;
      const std::int64_t devices = fewest == 0 ? devices_limit : fewest - 1;
      const std::int64_t ranks =
          smallest_ring(machine, workload, ring, tokens, budget, std::min(tokens, devices / rings));
      fewest = ranks > 0 ? ranks * rings : fewest;
    }
  }
  return fewest;
}

} // namespace

std::int64_t smallest_ring(const machine::Machine &machine, const Workload &workload, const Configuration &ring,
                           std::int64_t tokens, std::int64_t budget, std::int64_t most_ranks) {
  if (most_ranks < 1) {
    return 0;
  }
  Configuration alone = ring;
  alone.ring_size = 1;
  alone.inner_ring_size = 1;
  if (fits(machine, workload, alone, tokens, budget)) {
    return 1;
  }
  const std::int64_t unit = unit_of(ring);
  return unit * SmallestRing(machine, workload, ring, tokens, budget).between(2, most_ranks / unit);
}

FewestDevices find_fewest_devices(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                                  std::int64_t tokens, double time_limit_s, std::int64_t devices_limit) {
  require_tokens(tokens);
  require_devices(devices_limit);
  if (!(time_limit_s >= 0.0 && std::isfinite(time_limit_s))) {
    throw problem::InvalidInput("the time limit is " + std::to_string(time_limit_s) + " s; it must be above 0");
  }
  FewestDevices result;
  result.budget_bytes = budget_bytes(machine, workload);
  result.time_limit_s = time_limit_s;
  result.memory_devices = fewest_by_memory(machine, workload, allowed, tokens, result.budget_bytes, devices_limit);
  if (result.memory_devices == 0) {
    return result;
  }
  const auto in_time = [&](std::int64_t devices) {
    return !meeting(machine, workload, allowed, tokens, time_limit_s, devices, true, result.fastest).empty();
  };
  std::int64_t answer = result.memory_devices;
  if (time_limit_s > 0.0) {
    std::int64_t below = result.memory_devices - 1; // does not do
    while (!in_time(answer)) {
      below = answer;
      if (answer == devices_limit || answer >= tokens * workload.attention.batch) {
        return result;
      }
      answer = std::min({devices_limit, 2 * answer, tokens * workload.attention.batch});
    }
    while (answer - below > 1) {
      const std::int64_t middle = below + (answer - below) / 2;
      (in_time(middle) ? answer : below) = middle;
    }
    // A smaller number may do where a larger one did not: uneven chunks, or a ring that just fills its nodes.
    const std::int64_t first = std::max(result.memory_devices, answer - most_walked);
    result.all_smaller = first == result.memory_devices;
    for (std::int64_t devices = first; devices < answer; ++devices) {
      if (in_time(devices)) {
        answer = devices;
      }
    }
    result.smaller_checked = answer - first;
  }
  result.devices = answer;
  result.limited_by_time = answer > result.memory_devices;
  result.ranked = meeting(machine, workload, allowed, tokens, time_limit_s, answer, false, result.fastest);
  return result;
}

} // namespace ringscale::sizing
