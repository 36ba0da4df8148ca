// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/fleet.hpp"
#include "machine/machine.hpp"
#include "memory/closed_form.hpp"
#include "schedule/ring_schedule.hpp"
#include "simulator/failures.hpp"

namespace ringscale::simulator {

/// How the recurrence is advanced. All give the same bits for the same tick: plain goes step by step over all ranks,
/// blocked takes strips of ranks many steps at a time, folded advances one period of equal devices; plan interprets the
/// plans of any schedule, the others know forward rings of key/value blocks alone.
enum class Engine { automatic, plain, blocked, folded, plan };

struct SimulationOptions {
  schedule::RingProblem problem;
  memory::KernelKind kernel = memory::KernelKind::streamed;
  std::string dtype;         ///< arithmetic of a published machine; "": its first, float32 on calibrated ones
  double speed_spread = 0.0; ///< standard deviation of the logarithm of a device's time factor, 0..1
  double jitter = 0.0;       ///< relative standard deviation of one step's work, 0..0.25
  /// One step's work over its median is drawn from the machine's measured quantiles, in place of `jitter`.
  bool measured_jitter = false;
  double straggler_share = 0.0;  ///< of the devices, 0..1
  double straggler_factor = 1.0; ///< on their work, at least 1
  double tile_speedup = 1.0;     ///< what-if: tiles this many times faster than the machine's
  /// Speed of each device relative to the calibrated one, ring_size of them above 0; empty: all 1.
  std::vector<double> device_speeds;
  std::uint64_t seed = 1;
  int threads = 0;                ///< 0: all cores of the affinity mask
  std::int64_t ranks_on_node = 0; ///< ranks that share the machine's cores; 0: every device has a core of its own
  Engine engine = Engine::automatic;
  FailureOptions failures;
  int tick_bits = 0; ///< a tick is the longest step / 2^tick_bits; 0: 19 for blocked, else as fine as 62 bits allow
};

/// Where the time of the slowest device went; the parts add up to `total_s`.
struct Breakdown {
  std::int64_t rank = 0;
  double compute_s = 0.0;               ///< tiles, with the device's speed and jitter
  double merge_s = 0.0;                 ///< merges that are no part of the tile
  double fixed_s = 0.0;                 ///< per-step terms
  double exposed_communication_s = 0.0; ///< its own hops beyond its own work
  double waiting_s = 0.0;               ///< for neighbours that were later
  double total_s = 0.0;
  /// Means over the steps in which it has messages under way (all its steps where none has): its work with the fixed
  /// term, and what of its messages may be under way in the step, those before them on their channel included.
  double step_work_s = 0.0;
  double step_messages_s = 0.0;
};

struct FinishPercentiles {
  double p0_s = 0.0;
  double p5_s = 0.0;
  double p25_s = 0.0;
  double p50_s = 0.0;
  double p75_s = 0.0;
  double p95_s = 0.0;
  double p100_s = 0.0;
};

/// Memory of the devices of one type: what the one with the most holds, in closed form.
struct TypeMemory {
  std::string machine;
  std::string machine_kind;
  std::int64_t devices = 0;
  std::int64_t memory_peak_bytes = 0;
  std::int64_t device_memory_bytes = 0;
  bool fits_memory = false;
};

struct Simulation {
  double time_s = 0.0;     ///< slowest device
  double time_low_s = 0.0; ///< interval from the machine's hold-out errors; equal to time_s without any
  double time_high_s = 0.0;
  double time_confidence = 0.0;
  double tokens_per_s = 0.0;
  double tokens_per_s_per_device = 0.0;
  double efficiency = 0.0; ///< work of all devices at nominal speed / (ring_size x time)
  std::string bound;       ///< memory, compute, bandwidth, latency, or waiting for neighbours
  FinishPercentiles finish;
  Breakdown slowest;
  memory::MemoryByPurpose memory;
  std::int64_t memory_peak_bytes = 0;
  std::int64_t device_memory_bytes = 0;
  bool fits_memory = false;             ///< on every type of device
  std::vector<TypeMemory> memory_types; ///< one entry a type
  double hop_bytes = 0.0;               ///< the largest block message
  double result_hop_bytes = 0.0;        ///< the largest result message, 0 where none travel
  double hop_s = 0.0;                   ///< the slowest message alone
  double work_s = 0.0;                  ///< the longest work of a step
  std::string dtype;
  bool extrapolated = false;
  std::string extrapolation;         ///< what lies outside the calibrated range
  std::string time_source = "tiles"; ///< or what forward tiles were multiplied by for a backward pass
  double hops = 0.0;                 ///< block messages of all devices; a double since it passes 2^63
  double hops_per_device = 0.0;      ///< the most that one device sends
  double result_hops = 0.0;          ///< messages of partial results, of all devices
  double result_hops_per_device = 0.0;
  double steps_computed = 0.0; ///< (rank, step) pairs actually advanced
  std::string engine;
  double tick_s = 0.0; ///< resolution of every time
  double wall_s = 0.0;
  double hops_per_s = 0.0;                 ///< hops / wall_s
  std::optional<FailureEstimate> failures; ///< where machine or options say how often devices fail
  double hold_out_median_relative_error = 0.0;
  std::int64_t hold_out_points = 0;
};

class ProcessGroup;

/// Simulates one pass of the ring on devices of `machine`. Throws InvalidInput for a bad problem or option. With
/// `processes` a large ring is divided among them: rank 0 calls this and the others help_simulate, with the same
/// machine and options but for threads.
Simulation simulate(const machine::Machine &machine, const SimulationOptions &options,
                    ProcessGroup *processes = nullptr);

/// The same on devices of several types; there must be as many as the ring has.
Simulation simulate(const machine::Fleet &fleet, const SimulationOptions &options, ProcessGroup *processes = nullptr);
void help_simulate(const machine::Fleet &fleet, const SimulationOptions &options, ProcessGroup &processes);

/// Whether more ranks run on the calibrated node than it has cores.
bool shares_cores(const machine::Machine &machine, const SimulationOptions &options);

/// Checks the options alone.
void validate(const SimulationOptions &options);

} // namespace ringscale::simulator
