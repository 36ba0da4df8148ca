// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "machine/fleet.hpp"
#include "report/json.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::sweep {

/// What a simulation is told beside shape, schedule and machine, as typed: the flags of `simulate` and the settings of
/// a sweep's simulated point are this one list, which visit_settings names.
struct SimulateSettings {
  std::vector<double> chunk_weights;
  std::vector<double> device_speeds;
  bool balance_chunks = false;
  double speed_spread = 0.0;
  std::string jitter = "0";
  std::string stragglers;
  double tile_speedup = 1.0;
  std::int64_t ranks_on_node = 0;
  std::string engine = "automatic";
  std::int64_t tick_bits = 0;
  std::optional<double> device_mtbf;
  std::optional<double> failure_detection;
  std::optional<double> restart_time;
  std::int64_t passes = 1;
  std::string checkpoint_interval = "none";
  std::optional<double> checkpoint_time;
  std::string checkpoint_bytes;
  std::string checkpoint_bandwidth;
  std::optional<std::int64_t> failure_trials;
};

/// One setting: its key in a document and its flag, the flag's help, and the range of a number.
struct SettingName {
  const char *key;
  const char *flag;
  const char *help;
  const char *group = ""; ///< of flags
  double low = std::numeric_limits<double>::lowest();
  double high = std::numeric_limits<double>::max();
};

/// Calls `visit(name, member)` for every setting in the order of the help.
template <class Settings, class Visitor> void visit_settings(Settings &settings, const Visitor &visit) {
  constexpr const char *failures = "Failures";
  visit(SettingName{"chunk_weights", "--chunk-weights", "Tokens of devices in proportion, one number a device"},
        settings.chunk_weights);
  visit(SettingName{"device_speeds", "--device-speeds",
                    "Speeds of devices relative to the machine's, one number a device"},
        settings.device_speeds);
  visit(SettingName{"balance_chunks", "--balance-chunks", "Tokens of devices in proportion to their types' speeds"},
        settings.balance_chunks);
  visit(SettingName{"speed_spread", "--speed-spread", "Standard deviation of the logarithm of a device's time factor",
                    "", 0.0, 1.0},
        settings.speed_spread);
  visit(SettingName{"jitter", "--jitter",
                    "Relative standard deviation of one step's work, or measured: drawn from the machine's quantiles",
                    "", 0.0, 0.25},
        settings.jitter);
  visit(SettingName{"stragglers", "--stragglers",
                    "SHARE:FACTOR, such as 0.01:1.5: that share of devices is so much slower"},
        settings.stragglers);
  visit(SettingName{"tile_speedup", "--tile-speedup", "What-if: tiles this many times faster than the machine's"},
        settings.tile_speedup);
  visit(SettingName{"ranks_on_node", "--ranks-on-node",
                    "Ranks that share the calibrated node's cores; 0: a core for every device"},
        settings.ranks_on_node);
  visit(SettingName{"engine", "--engine", "automatic, plain, blocked, folded (forward rings) or plan (any schedule)"},
        settings.engine);
  visit(SettingName{"tick_bits", "--tick-bits", "A tick is the longest step / 2^N; 0 chooses", "", 0.0, 40.0},
        settings.tick_bits);
  visit(SettingName{"device_mtbf_s", "--device-mtbf",
                    "Mean seconds between failures of one device; default: the machine file's, or no failures",
                    failures},
        settings.device_mtbf);
  visit(SettingName{"failure_detection_s", "--failure-detection",
                    "Seconds from a failure until the others stop waiting", failures},
        settings.failure_detection);
  visit(SettingName{"restart_time_s", "--restart-time", "Seconds from there to working again, the checkpoint read",
                    failures},
        settings.restart_time);
  visit(SettingName{"passes", "--passes", "Passes of the ring in the run, one after the other", failures, 1.0},
        settings.passes);
  visit(SettingName{"checkpoint_interval", "--checkpoint-interval",
                    "Work between checkpoints: none, young, daly or seconds", failures},
        settings.checkpoint_interval);
  visit(SettingName{"checkpoint_time_s", "--checkpoint-time",
                    "Seconds to write a checkpoint; default: its bytes over the bandwidth", failures},
        settings.checkpoint_time);
  visit(SettingName{"checkpoint_bytes", "--checkpoint-bytes",
                    "Bytes of a device in a checkpoint, such as 40GB; default: the tensors it holds", failures},
        settings.checkpoint_bytes);
  visit(SettingName{"checkpoint_bandwidth", "--checkpoint-bandwidth",
                    "Bytes a second of one device to storage, such as 2GB; default: the machine file's", failures},
        settings.checkpoint_bandwidth);
  visit(SettingName{"failure_trials", "--failure-trials",
                    "Runs played event by event for the percentiles; 0: none; default: 1000", failures, 0.0},
        settings.failure_trials);
}

/// How messages call a setting: as a flag or as a key of a document.
enum class Spelling { flags, keys };

/// Fills everything of `options` that devices have no say in; throws InvalidInput for a word or number that is none.
void apply(const SimulateSettings &settings, Spelling spelling, simulator::SimulationOptions &options);

/// Then, on these devices: chunks in proportion to weights or speeds (`settings` keeps the weights). Throws
/// InvalidInput for settings that would change nothing. `options` has its problem.
void apply_to_devices(SimulateSettings &settings, Spelling spelling, const machine::Fleet &fleet,
                      simulator::SimulationOptions &options);

/// Keys in the order of visit_settings.
std::vector<std::string> simulate_keys();
/// The settings of a point. Lists are texts of numbers with commas; texts may be numbers.
SimulateSettings read_simulate_settings(const report::ObjectReader &reader);

} // namespace ringscale::sweep
