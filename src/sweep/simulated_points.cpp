// SPDX-License-Identifier: Apache-2.0
#include "sweep/simulated_points.hpp"

#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"
#include "sweep/rows.hpp"

namespace ringscale::sweep {

using problem::InvalidInput;

std::vector<DeviceGroupFile> groups_of(const Point &point) {
  const std::int64_t ring_size = point.problem().ring_size;
  if (point.machine.empty()) {
    return {{"", ring_size}};
  }
  return device_groups(machine_entries({point.machine}), ring_size, "machine", "ring_size");
}

report::Json simulated_row(const Point &point, const Machines &machines, int threads) {
  simulator::SimulationOptions options;
  options.problem = point.problem();
  options.kernel = point.ring.kernel;
  options.seed = point.ring.seed;
  options.threads = threads;
  // float32 is what a point says that says nothing: then a published machine computes in its own first dtype.
  if (const problem::DType dtype = point.problem().attention.dtype; dtype != problem::DType::float32) {
    options.dtype = problem::name(dtype);
  }
  std::vector<machine::DeviceGroup> groups;
  for (const DeviceGroupFile &group : groups_of(point)) {
    groups.push_back({machines.at(group.file), group.devices});
  }
  const machine::Fleet fleet(std::move(groups));
  SimulateSettings settings = point.simulate;
  try {
    apply(settings, Spelling::keys, options);
    options.ranks_on_node = point.one_node ? options.problem.ring_size : options.ranks_on_node;
    apply_to_devices(settings, Spelling::keys, fleet, options);
    return simulation_row(point.id, fleet, options, simulator::simulate(fleet, options));
  } catch (const InvalidInput &error) {
    throw InvalidInput("point " + point.id + ": " + error.what());
  }
}

} // namespace ringscale::sweep
