// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/pattern_flags.hpp"
#include "drivers/trace_flags.hpp"
#include "machine/fleet.hpp"
#include "simulator/simulation.hpp"
#include "sweep/simulate_settings.hpp"

namespace CLI {
class App;
}

namespace ringscale::drivers {

/// Flags of `simulate` as typed; resolve() fills `options` from them.
struct SimulateFlags {
  std::vector<std::string> machines; ///< FILE or FILE:COUNT
  std::int64_t ring_size = 0;
  bool ring_size_given = false; ///< else as many as the machines have
  std::int64_t chunk_tokens = 0;
  std::int64_t tokens = 0;
  std::int64_t kv_heads = 0;
  std::string mask = "none";
  std::string placement = "contiguous";
  std::string schedule = "ring";
  std::int64_t inner_ring_size = 0; ///< 0: not given
  std::string moving = "key_value";
  std::string pass = "forward";
  std::string hops = "all";
  std::string message_layout = "stored_packed";
  PatternFlags pattern;
  sweep::SimulateSettings settings;
  std::string trace_folder;
  std::string goal_file;
  TraceFlags trace;
  bool explain = false;
  simulator::SimulationOptions options;
};

/// Adds the flags of the ring, the machine and the engine.
void add_simulate_flags(CLI::App &verb, SimulateFlags &flags);

/// Reads machine files, words and numbers into flags.options and returns the devices; throws InvalidInput naming the
/// flag or the file.
machine::Fleet resolve(SimulateFlags &flags, std::uint64_t seed);

} // namespace ringscale::drivers
