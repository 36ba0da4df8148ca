// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "memory/closed_form.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::sizing {

/// What every configuration that is weighed has to compute, and in what memory.
struct Workload {
  /// The layer; batch is that of all rings together, tokens are set by whoever asks. dtype is what tensors are stored
  /// in: set by adopt_machine.
  problem::AttentionProblem attention;
  /// One after the other on the same devices: memory is that of the pass with most, time the sum.
  std::vector<schedule::Pass> passes{schedule::Pass::forward};
  std::int64_t reserve_bytes = 0; ///< of each device, for all that is not this layer's attention
  std::string dtype;              ///< arithmetic of a published machine; "": its first
  std::int64_t ranks_on_node = 0; ///< as in simulator::SimulationOptions
  double most_steps = 2.0e6;      ///< cost beyond which a pass is not simulated; see simulation_cost
};

/// Devices times tokens that a question may be about.
inline constexpr std::int64_t most_devices = std::int64_t{1} << 40;
inline constexpr std::int64_t most_tokens = std::int64_t{1} << 50;
/// A device with more memory does not exist; closed forms of less cannot leave 63 bits.
inline constexpr std::int64_t most_device_bytes = std::int64_t{1} << 56;

/// Sets attention.dtype to what the machine computes in, and checks all but the tokens. Throws InvalidInput naming the
/// field, also for a dtype whose storage this program does not know.
void adopt_machine(const machine::Machine &machine, Workload &workload);

/// Bytes of a device that are left for attention: device.memory_bytes - reserve_bytes. Throws InvalidInput when none
/// are.
std::int64_t budget_bytes(const machine::Machine &machine, const Workload &workload);

/// Throws InvalidInput unless between 1 and the most that a question may be about.
void require_devices(std::int64_t devices);
void require_tokens(std::int64_t tokens);

memory::KernelFootprint footprint_of(const machine::Machine &machine);

} // namespace ringscale::sizing
