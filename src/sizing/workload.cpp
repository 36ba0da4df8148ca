// SPDX-License-Identifier: Apache-2.0
#include "sizing/workload.hpp"

#include <algorithm>
#include <cmath>

#include "machine/tile_time.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::sizing {

using problem::InvalidInput;

namespace {

void require_between(const char *field, std::int64_t value, std::int64_t high, const char *shown_high) {
  if (value < 1 || value > high) {
    throw InvalidInput(std::string(field) + " is " + std::to_string(value) + "; it must be between 1 and " +
                       shown_high);
  }
}

} // namespace

void require_devices(std::int64_t devices) { require_between("devices", devices, most_devices, "2^40"); }
void require_tokens(std::int64_t tokens) { require_between("tokens", tokens, most_tokens, "2^50"); }

memory::KernelFootprint footprint_of(const machine::Machine &machine) {
  return {machine.footprint.key_tile_tokens, machine.footprint.workspace_bytes};
}

void adopt_machine(const machine::Machine &machine, Workload &workload) {
  const machine::TileTime tile(machine, workload.dtype);
  workload.attention.dtype = problem::parse_dtype(tile.dtype());
  if (problem::storage_bytes(workload.attention.dtype) != tile.element_bytes()) {
    throw InvalidInput("machine " + machine.name + " stores " + tile.dtype() + " in " +
                       std::to_string(tile.element_bytes()) + " bytes; closed forms of memory know " +
                       std::to_string(problem::storage_bytes(workload.attention.dtype)));
  }
  problem::AttentionProblem shape = workload.attention;
  shape.tokens = 1;
  problem::validate(shape);
  if (workload.passes.empty()) {
    throw InvalidInput("no pass is asked for; one of: forward, backward, both");
  }
  if (workload.ranks_on_node < 0) {
    throw InvalidInput("ranks_on_node is " + std::to_string(workload.ranks_on_node) + "; it must not be negative");
  }
  if (!(workload.most_steps >= 1.0 && workload.most_steps <= 1.0e9)) {
    throw InvalidInput("most_steps is " + std::to_string(workload.most_steps) + "; it must be between 1 and 1e9");
  }
  (void)budget_bytes(machine, workload);
}

std::int64_t budget_bytes(const machine::Machine &machine, const Workload &workload) {
  const double memory_bytes = machine.device.memory_bytes.value;
  if (!(memory_bytes >= 1.0 && memory_bytes <= static_cast<double>(most_device_bytes))) {
    throw InvalidInput("machine " + machine.name + " has " + std::to_string(memory_bytes) +
                       " bytes of memory; it must be between 1 and 2^56");
  }
  if (workload.reserve_bytes < 0) {
    throw InvalidInput("reserve_bytes is " + std::to_string(workload.reserve_bytes) + "; it must not be negative");
  }
  const std::int64_t budget = static_cast<std::int64_t>(memory_bytes) - workload.reserve_bytes;
  if (budget < 1) {
    throw InvalidInput("reserve_bytes is " + std::to_string(workload.reserve_bytes) + " of the " +
                       std::to_string(static_cast<std::int64_t>(memory_bytes)) +
                       " bytes of a device; nothing is left for attention");
  }
  return budget;
}

} // namespace ringscale::sizing
