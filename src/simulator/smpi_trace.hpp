// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "machine/machine.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// Largest ring that is traced: beyond it SimGrid's replay runs out of memory.
inline constexpr std::int64_t most_traced_ranks = 4096;

/// Throws InvalidInput for more than that.
void require_smpi_ring_size(std::int64_t ring_size);

/// What the sizes of messages in the traces mean. times: units of which a link of platform.xml carries as many a second
/// as the longest message has, so that the replay knows levels, sharing and layouts without a model of them. bytes: the
/// executor's messages as they are; no platform.xml is written, the caller describes a real network (hosts h0, h1, ...)
/// and SMPI's own model decides what latency, routes and sharing make of it; layout separate has no bytes form.
enum class TraceSizes { times, bytes };

/// Writes what every rank does as SimGrid time-independent traces into the new folder `folder`: rank-<r>.txt, their
/// list traces.txt, platform.xml with one link per hop, hosts.txt. SMPI then computes the ring's time by its own
/// network model; nothing of the recurrence is in the files. Returns the command that replays them. Throws InvalidInput
/// when the ring is larger than most_traced_ranks or the folder exists.
std::string write_smpi_trace(const machine::Fleet &fleet, const SimulationOptions &options,
                             const std::filesystem::path &folder, TraceSizes sizes = TraceSizes::times);
inline std::string write_smpi_trace(const machine::Machine &machine, const SimulationOptions &options,
                                    const std::filesystem::path &folder, TraceSizes sizes = TraceSizes::times) {
  return write_smpi_trace(machine::Fleet(machine, options.problem.ring_size), options, folder, sizes);
}

/// smpirun's settings under which a message takes latency + bytes / bandwidth exactly (SimGrid 3.32): no TCP terms, no
/// cross traffic, no factors, and a send that ends when its message has arrived. Of computation only the traces' own
/// lines count, not what the replay itself takes.
std::string exact_smpi_settings();

} // namespace ringscale::simulator
