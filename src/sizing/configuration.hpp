// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sizing/workload.hpp"

namespace ringscale::sizing {

/// One way to lay a workload on devices: `rings` rings beside one another, each with an equal share of the batch, all
/// with the same schedule.
struct Configuration {
  std::int64_t rings = 1;
  std::int64_t ring_size = 1;
  schedule::Schedule schedule = schedule::Schedule::ring;
  std::int64_t inner_ring_size = 1; ///< double_ring only
  schedule::Placement placement = schedule::Placement::contiguous;
  schedule::Moving moving = schedule::Moving::key_value;
  schedule::MessageLayout layout = schedule::MessageLayout::stored_packed;
  memory::KernelKind kernel = memory::KernelKind::streamed;

  std::int64_t devices() const { return rings * ring_size; }
  bool operator==(const Configuration &) const = default;
};

/// What may be chosen from; never local_only, whose answer is wrong.
struct Allowed {
  std::vector<schedule::Schedule> schedules{schedule::Schedule::ring, schedule::Schedule::bidirectional_ring,
                                            schedule::Schedule::double_ring, schedule::Schedule::all_gather};
  std::vector<schedule::Placement> placements{schedule::Placement::contiguous, schedule::Placement::zigzag,
                                              schedule::Placement::striped, schedule::Placement::replicated_queries};
  std::vector<schedule::Moving> movings{schedule::Moving::key_value, schedule::Moving::query};
};

/// Problem of one of the rings in one pass over `tokens` tokens.
schedule::RingProblem ring_problem(const Workload &workload, const Configuration &configuration, schedule::Pass pass,
                                   std::int64_t tokens);

/// Ranks of an inner ring: the groups of the machine's links (a node, a rack), as far as they are more than one device.
std::vector<std::int64_t> inner_ring_sizes(const machine::Machine &machine);

/// Every schedule that is allowed, with ring_size and rings left at 1; double_ring once for each inner ring size.
std::vector<Configuration> ring_templates(const machine::Machine &machine, const Allowed &allowed);

/// Throws InvalidInput when nothing is left of what is allowed: a double_ring alone on a machine without groups.
void require_templates(const machine::Machine &machine, const Allowed &allowed);

/// All that is allowed for rings of one size; inner rings are those of inner_ring_sizes that divide it and are smaller.
/// For one device everything is the same, so one configuration.
std::vector<Configuration> configurations_of_ring(const machine::Machine &machine, const Allowed &allowed,
                                                  std::int64_t ring_size, std::int64_t rings);

/// All that is allowed on at most `devices` devices: ring sizes are the divisors of `devices`, and beside one another
/// stand as many rings as there are devices for, if the batch can be divided among them; with fewer, devices stay idle.
std::vector<Configuration> configurations(const machine::Machine &machine, const Allowed &allowed, std::int64_t devices,
                                          std::int64_t batch);

/// All that is allowed on exactly `devices` devices, none idle: rings that divide the batch, of at most `tokens` ranks.
std::vector<Configuration> configurations_using(const machine::Machine &machine, const Allowed &allowed,
                                                std::int64_t devices, std::int64_t batch, std::int64_t tokens);

/// Divisors in rising order; in time of the square root, up to 2^40.
std::vector<std::int64_t> divisors(std::int64_t number);

/// "2 rings of 8, double_ring (inner 4), zigzag, moving key_value".
std::string describe(const Configuration &configuration);

} // namespace ringscale::sizing
