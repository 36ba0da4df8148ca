// SPDX-License-Identifier: Apache-2.0
#include "drivers/ring/checkpoint_flags.hpp"

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

#include "drivers/flag_checks.hpp"
#include "problem/invalid_input.hpp"
#include "statistics/summary.hpp"

namespace ringscale::drivers {

namespace {

std::string with_digits(const char *format, double value) {
  char text[96];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

} // namespace

void add_checkpoint_flags(CLI::App &verb, CheckpointFlags &flags) {
  const std::string group = "Checkpoints";
  verb.add_option("--checkpoint", flags.options.folder,
                  "Write what the remaining steps need into this folder, which all ranks see; one repetition")
      ->group(group);
  verb.add_option("--checkpoint-every", flags.options.every_steps, "Steps between checkpoints")
      ->check(at_least_one)
      ->each([&flags](const std::string &) { flags.every_given = true; })
      ->group(group);
  verb.add_option("--mtbf", flags.options.mtbf_s,
                  "Mean seconds between failures of the whole job: gives the steps between checkpoints by Daly's "
                  "formula and the first one's measured seconds, unless --checkpoint-every does")
      ->each([&flags](const std::string &) { flags.mtbf_given = true; })
      ->group(group);
  verb.add_flag("--resume", flags.options.resume,
                "Go on from the checkpoint in the folder; from the beginning where there is none yet")
      ->group(group);
}

void resolve(const CheckpointFlags &flags, bool repeats, ring::RingOptions &options) {
  if (!flags.asked_for()) {
    if (flags.every_given || flags.mtbf_given || flags.options.resume) {
      const char *alone = flags.every_given ? "--checkpoint-every" : flags.mtbf_given ? "--mtbf" : "--resume";
      throw problem::InvalidInput(std::string(alone) + " has no effect without --checkpoint FOLDER");
    }
    return;
  }
  if (!flags.every_given && !flags.mtbf_given) {
    throw problem::InvalidInput("--checkpoint needs --checkpoint-every STEPS, or --mtbf SECONDS to find them");
  }
  constexpr double longest_s = 1e12;
  if (flags.mtbf_given && !(flags.options.mtbf_s > 0.0 && flags.options.mtbf_s <= longest_s)) {
    throw problem::InvalidInput(
        with_digits("--mtbf is %g; it must be greater than 0 and at most 1e+12 s", flags.options.mtbf_s));
  }
  if (repeats) {
    throw problem::InvalidInput("--checkpoint runs one repetition without warm-up; leave --repetitions and --warmup "
                                "out, or say 1 and 0");
  }
  options.repetitions = 1;
  options.warmup = 0;
  options.messages_only = false;
  options.checkpoint = &flags.options;
}

std::string planned_text(const CheckpointFlags &flags) {
  return "  checkpoints in " + flags.options.folder.string() +
         (flags.every_given ? ", every " + std::to_string(flags.options.every_steps) + " steps"
                            : with_digits(", by %g s between failures", flags.options.mtbf_s)) +
         (flags.options.resume ? ", going on from the last one" : "");
}

std::string outcome_text(const ring::CheckpointReport &report) {
  constexpr double mebibyte = 1024.0 * 1024.0;
  std::string text =
      report.resumed_from_step ? "went on from step " + std::to_string(*report.resumed_from_step) + "; " : "";
  const std::size_t written = report.write_samples_s.size();
  text += std::to_string(written) + (written == 1 ? " checkpoint written" : " checkpoints written");
  if (written > 0) {
    text += with_digits(written == 1 ? ", of %.2f MiB" : ", the last of %.2f MiB",
                        static_cast<double>(report.bytes.back()) / mebibyte) +
            with_digits(", in %.6f s (median)", statistics::median(report.write_samples_s)) + ", every " +
            std::to_string(report.every_steps) + " steps";
  }
  if (std::isfinite(report.daly_interval_s)) {
    text += with_digits("; best interval %.3f s (Daly)", report.daly_interval_s) +
            with_digits(", %.3f s (Young)", report.young_interval_s);
  }
  return text;
}

} // namespace ringscale::drivers
