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

/// Asks of numbers of devices whether anything on them fits and is in time; spends no more on it than the search may.
class TimeSearch {
public:
  TimeSearch(const machine::Machine &machine, const Workload &workload, const Allowed &allowed, std::int64_t tokens,
             double time_limit_s)
      : machine_(machine), workload_(workload), allowed_(allowed), tokens_(tokens), time_limit_s_(time_limit_s),
        memory_budget_(budget_bytes(machine, workload)), budget_(search_cost * workload.most_steps) {}

  bool in_time(std::int64_t devices) {
    struct Asked {
      Configuration configuration;
      double cost;
    };
    std::vector<Asked> all;
    for (const Configuration &one :
         configurations_using(machine_, allowed_, devices, workload_.attention.batch, tokens_)) {
      all.push_back({one, simulation_cost(workload_, one, tokens_)});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Asked &left, const Asked &right) { return left.cost < right.cost; });
    // What did for another number likely does for this one: then one simulation is enough.
    std::stable_partition(all.begin(), all.end(), [&](const Asked &one) { return like_last(one.configuration); });
    std::vector<Evaluation> seen;
    for (const auto &[configuration, cost] : all) {
      if (works_too_long(configuration, seen)) {
        continue;
      }
      if (!fits(machine_, workload_, configuration, tokens_, memory_budget_)) {
        continue;
      }
      if (cost > budget_ || !simulation_obstacle(workload_, configuration, tokens_).empty()) {
        left_out_ = true;
        continue;
      }
      Evaluation evaluation = evaluate(machine_, workload_, configuration, tokens_, devices);
      budget_ -= cost;
      if (!fastest_ || evaluation.time_s < fastest_->time_s) {
        fastest_ = evaluation;
      }
      if (evaluation.time_s <= time_limit_s_) {
        last_ = configuration;
        return true;
      }
      seen.push_back(std::move(evaluation));
    }
    return false;
  }

  /// Whether something was left out that might have been in time.
  bool left_out() const { return left_out_; }
  bool exhausted() const { return budget_ < workload_.most_steps; }
  const std::optional<Evaluation> &fastest() const { return fastest_; }

private:
  bool like_last(const Configuration &one) const {
    return last_ && one.schedule == last_->schedule && one.placement == last_->placement &&
           one.moving == last_->moving && one.inner_ring_size == last_->inner_ring_size;
  }

  /// The same ring in another schedule has shown work that alone exceeds the limit.
  bool works_too_long(const Configuration &configuration, const std::vector<Evaluation> &seen) const {
    if (workload_.ranks_on_node > 0) {
      return false; // ranks that share cores slow one another down by as many as compute at once
    }
    constexpr double rounding = 1.0 - 1e-6;
    return std::any_of(seen.begin(), seen.end(), [&](const Evaluation &one) {
      // Of rounded tokens: work shrinks with their square at most, since longer tiles are no slower a pair.
      const double share = static_cast<double>(tokens_) / static_cast<double>(one.simulated_tokens);
      return one.configuration.rings == configuration.rings && one.configuration.placement == configuration.placement &&
             one.configuration.moving == configuration.moving &&
             rounding * share * share * work_of_a_device_s(one) > time_limit_s_;
    });
  }

  const machine::Machine &machine_;
  const Workload &workload_;
  const Allowed &allowed_;
  std::int64_t tokens_;
  double time_limit_s_;
  std::int64_t memory_budget_;
  double budget_; ///< of simulation_cost
  bool left_out_ = false;
  std::optional<Evaluation> fastest_;
  std::optional<Configuration> last_; ///< that was in time
};

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

/// Everything on exactly `devices` devices that fits and meets the limit (0: none), fastest first.
std::vector<Evaluation> in_time_on(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                                   std::int64_t tokens, double time_limit_s, std::int64_t devices) {
  std::vector<Evaluation> found;
  for (const Configuration &one : configurations_using(machine, allowed, devices, workload.attention.batch, tokens)) {
    Evaluation evaluation = evaluate(machine, workload, one, tokens, devices);
    if (evaluation.fits && (time_limit_s == 0.0 || (evaluation.simulated && evaluation.time_s <= time_limit_s))) {
      found.push_back(std::move(evaluation));
    }
  }
  rank(found);
  return found;
}

/// One device a token and batch entry.
std::int64_t most_devices_of(const Workload &workload, std::int64_t tokens) {
  return std::min(most_devices, tokens * workload.attention.batch);
}

/// Sets devices (0 when none is in time) and how it is known, from memory_devices up to `devices_limit`.
void find_by_time(TimeSearch &search, std::int64_t devices_limit, FewestDevices &result) {
  std::int64_t answer = result.memory_devices;
  std::int64_t below = answer - 1; // does not do
  while (!search.in_time(answer)) {
    if (answer >= devices_limit) {
      result.devices = 0;
      result.all_smaller = false;
      result.left_out = search.left_out();
      return;
    }
    below = answer;
    answer = std::min(devices_limit, 2 * answer);
  }
  while (answer - below > 1) {
    const std::int64_t middle = below + (answer - below) / 2;
    (search.in_time(middle) ? answer : below) = middle;
  }
  // A smaller number may do where a larger one did not: uneven chunks, or a ring that just fills its nodes.
  std::int64_t checked = 0;
  while (answer - checked > result.memory_devices && checked < most_walked && !search.exhausted()) {
    const std::int64_t next = answer - checked - 1;
    if (search.in_time(next)) {
      answer = next;
      checked = 0;
    } else {
      ++checked;
    }
  }
  result.devices = answer;
  result.smaller_checked = checked;
  result.all_smaller = answer - checked == result.memory_devices && !search.left_out();
  result.limited_by_time = answer > result.memory_devices;
  result.left_out = search.left_out();
}

} // namespace

std::int64_t smallest_ring(const machine::Machine &machine, const Workload &workload, const Configuration &ring,
                           std::int64_t tokens, std::int64_t budget, std::int64_t most_ranks) {
  if (most_ranks < 1) {
    return 0;
  }
  if (ring.schedule != schedule::Schedule::double_ring) { // one device is no ring of rings
    Configuration alone = ring;
    alone.ring_size = 1;
    if (fits(machine, workload, alone, tokens, budget)) {
      return 1;
    }
  }
  const std::int64_t unit = unit_of(ring);
  return unit * SmallestRing(machine, workload, ring, tokens, budget).between(2, most_ranks / unit);
}

FewestDevices find_fewest_devices(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                                  std::int64_t tokens, double time_limit_s, std::int64_t devices_limit) {
  require_tokens(tokens);
  require_devices(devices_limit);
  require_templates(machine, allowed);
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
  result.devices = result.memory_devices;
  if (time_limit_s > 0.0) {
    TimeSearch search(machine, workload, allowed, tokens, time_limit_s);
    find_by_time(search, std::min(devices_limit, most_devices_of(workload, tokens)), result);
    result.fastest = search.fastest();
  }
  if (result.devices > 0) {
    result.ranked = in_time_on(machine, workload, allowed, tokens, time_limit_s, result.devices);
  }
  return result;
}

} // namespace ringscale::sizing
