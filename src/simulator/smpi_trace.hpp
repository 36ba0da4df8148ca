// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "machine/machine.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// Largest ring that is traced: beyond it SimGrid's replay runs out of memory.
inline constexpr std::int64_t most_traced_ranks = 4096;

/// Writes what every rank does as SimGrid time-independent traces into the new folder `folder`: rank-<r>.txt, their
/// list traces.txt, platform.xml with one link per hop, hosts.txt. SMPI then computes the ring's time by its own
/// network model; nothing of the recurrence is in the files. Returns the command that replays them. Throws InvalidInput
/// when the ring is larger than most_traced_ranks or the folder exists.
std::string write_smpi_trace(const machine::Fleet &fleet, const SimulationOptions &options,
                             const std::filesystem::path &folder);
inline std::string write_smpi_trace(const machine::Machine &machine, const SimulationOptions &options,
                                    const std::filesystem::path &folder) {
  return write_smpi_trace(machine::Fleet(machine, options.problem.ring_size), options, folder);
}

/// smpirun's settings under which a message takes latency + bytes / bandwidth exactly (SimGrid 3.32): no TCP terms, no
/// cross traffic, no factors, and a send that ends when its message has arrived. Of computation only the traces' own
/// lines count, not what the replay itself takes.
std::string exact_smpi_settings();

} // namespace ringscale::simulator
