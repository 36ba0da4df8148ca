// SPDX-License-Identifier: Apache-2.0
#include "drivers/simulate/failure_flags.hpp"

#include <CLI/CLI.hpp>

#include "drivers/flag_checks.hpp"
#include "memory/limits.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

void add_failure_flags(CLI::App &verb, FailureFlags &flags) {
  const std::string group = "Failures";
  simulator::FailureOptions &options = flags.options;
  verb.add_option("--device-mtbf", options.device_mtbf_s,
                  "Mean seconds between failures of one device; default: the machine file's, or no failures")
      ->group(group);
  verb.add_option("--failure-detection", options.detection_s, "Seconds from a failure until the others stop waiting")
      ->group(group);
  verb.add_option("--restart-time", options.restart_s, "Seconds from there to working again, the checkpoint read")
      ->group(group);
  verb.add_option("--passes", options.passes, "Passes of the ring in the run, one after the other")
      ->capture_default_str()
      ->check(at_least_one)
      ->group(group);
  verb.add_option("--checkpoint-interval", flags.checkpoint_interval,
                  "Work between checkpoints: none, young, daly or seconds")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--checkpoint-time", options.checkpoint_s,
                  "Seconds to write a checkpoint; default: its bytes over the bandwidth")
      ->group(group);
  verb.add_option("--checkpoint-bytes", flags.checkpoint_bytes,
                  "Bytes of a device in a checkpoint, such as 40GB; default: the tensors it holds")
      ->group(group);
  verb.add_option("--checkpoint-bandwidth", flags.checkpoint_bandwidth,
                  "Bytes a second of one device to storage, such as 2GB; default: the machine file's")
      ->group(group);
  verb.add_option("--failure-trials", options.trials, "Runs played event by event for the percentiles; 0: none")
      ->capture_default_str()
      ->each([&flags](const std::string &) { flags.trials_given = true; })
      ->group(group);
}

simulator::FailureOptions failure_options(const FailureFlags &flags) {
  simulator::FailureOptions options = flags.options;
  const std::string &word = flags.checkpoint_interval;
  if (word == "none") {
    options.rule = simulator::CheckpointRule::none;
  } else if (word == "young") {
    options.rule = simulator::CheckpointRule::young;
  } else if (word == "daly") {
    options.rule = simulator::CheckpointRule::daly;
  } else {
    options.rule = simulator::CheckpointRule::given;
    if (!CLI::detail::lexical_cast(word, options.interval_s)) {
      throw problem::InvalidInput("--checkpoint-interval is '" + word +
                                  "'; it must be none, young, daly or a number of seconds");
    }
  }
  if (options.rule == simulator::CheckpointRule::none &&
      (options.checkpoint_s || !flags.checkpoint_bytes.empty() || !flags.checkpoint_bandwidth.empty())) {
    throw problem::InvalidInput("the cost of a checkpoint has no effect without --checkpoint-interval");
  }
  if (options.checkpoint_s && (!flags.checkpoint_bytes.empty() || !flags.checkpoint_bandwidth.empty())) {
    throw problem::InvalidInput(
        "--checkpoint-time excludes --checkpoint-bytes and --checkpoint-bandwidth, which it would be computed from");
  }
  if (!flags.checkpoint_bytes.empty()) {
    options.checkpoint_bytes = static_cast<double>(memory::parse_bytes("--checkpoint-bytes", flags.checkpoint_bytes));
  }
  if (!flags.checkpoint_bandwidth.empty()) {
    options.checkpoint_bandwidth_bytes_per_s =
        static_cast<double>(memory::parse_bytes("--checkpoint-bandwidth", flags.checkpoint_bandwidth));
  }
  return options;
}

} // namespace ringscale::drivers
