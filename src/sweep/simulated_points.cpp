// SPDX-License-Identifier: Apache-2.0
#include "sweep/simulated_points.hpp"

#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"
#include "report/machine_document.hpp"
#include "simulator/device_time.hpp"
#include "simulator/engines.hpp"
#include "simulator/plan_simulation.hpp"
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

Machines machines_of(const report::Json &documents, const std::string &source) {
  Machines machines;
  for (const auto &[name, document] : documents.items()) {
    machines.emplace(name, report::machine_from_json(document, source + ", machine " + name));
  }
  return machines;
}

namespace {

/// What a point asks the simulator.
struct Question {
  machine::Fleet fleet;
  simulator::SimulationOptions options;
};

Question question_of(const Point &point, const Machines &machines, int threads) {
  std::vector<machine::DeviceGroup> groups;
  for (const DeviceGroupFile &group : groups_of(point)) {
    groups.push_back({machines.at(group.file), group.devices});
  }
  Question question{machine::Fleet(std::move(groups)), {}};
  simulator::SimulationOptions &options = question.options;
  options.problem = point.problem();
  options.kernel = point.ring.kernel;
  options.seed = point.ring.seed;
  options.threads = threads;
  // float32 is what a point says that says nothing: then a published machine computes in its own first dtype.
  if (const problem::DType dtype = point.problem().attention.dtype; dtype != problem::DType::float32) {
    options.dtype = problem::name(dtype);
  }
  SimulateSettings settings = point.simulate;
  apply(settings, Spelling::keys, options);
  options.ranks_on_node = point.one_node ? options.problem.ring_size : options.ranks_on_node;
  apply_to_devices(settings, Spelling::keys, question.fleet, options);
  return question;
}

} // namespace

report::Json simulated_row(const Point &point, const Machines &machines, int threads,
                           simulator::ProcessGroup *processes) {
  try {
    const Question question = question_of(point, machines, threads);
    return simulation_row(point.id, question.fleet, question.options,
                          simulator::simulate(question.fleet, question.options, processes));
  } catch (const InvalidInput &error) {
    throw InvalidInput("point " + point.id + ": " + error.what());
  }
}

void help_simulated_row(const Point &point, const Machines &machines, int threads, simulator::ProcessGroup &processes) {
  const Question question = question_of(point, machines, threads);
  simulator::help_simulate(question.fleet, question.options, processes);
}

bool is_divided(const Point &point, int ranks) {
  constexpr double many_steps = 2e8; // a tenth of a second of a core
  simulator::SimulationOptions options;
  options.problem = point.problem();
  apply(point.simulate, Spelling::keys, options);
  const schedule::RingProblem &problem = options.problem;
  const bool balanced =
      problem.attention.mask == problem::Mask::none || problem.placement == schedule::Placement::zigzag;
  const bool differ =
      simulator::devices_differ(options) || simulator::has_jitter(options) || groups_of(point).size() > 1 || !balanced;
  const double steps = static_cast<double>(problem.ring_size) * static_cast<double>(schedule::step_count(problem));
  return differ && steps >= many_steps && problem.ring_size >= ranks * simulator::smallest_blocked_ring &&
         simulator::is_simple_ring(options) && point.simulate.chunk_weights.empty() && !point.simulate.balance_chunks;
}

} // namespace ringscale::sweep
