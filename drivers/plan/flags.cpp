// SPDX-License-Identifier: Apache-2.0
#include "drivers/plan/flags.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>

#include "drivers/flag_checks.hpp"
#include "drivers/list_flags.hpp"
#include "memory/limits.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

using problem::InvalidInput;

namespace {

constexpr const char *any = "any";
constexpr double most_hours = 1e9;

bool is_given(const PlanFlags &flags, const std::string &flag) {
  return std::find(flags.given.begin(), flags.given.end(), flag) != flags.given.end();
}

/// Refuses the first of `names` that was given.
void refuse(const PlanFlags &flags, std::initializer_list<const char *> names, const std::string &reason) {
  for (const char *flag : names) {
    if (is_given(flags, flag)) {
      throw InvalidInput(std::string(flag) + " has no effect " + reason);
    }
  }
}

schedule::Schedule parse_right_schedule(const std::string &word) {
  const schedule::Schedule schedule = schedule::parse_schedule(word);
  if (schedule == schedule::Schedule::local_only) {
    throw InvalidInput("schedule local_only never rotates and gives wrong numbers; plan weighs: any, ring, "
                       "bidirectional_ring, double_ring, all_gather");
  }
  return schedule;
}

void check_numbers(const PlanFlags &flags) {
  if (is_given(flags, "--devices")) {
    sizing::require_devices(flags.devices);
  }
  if (is_given(flags, "--tokens")) {
    sizing::require_tokens(flags.tokens);
  }
  if (is_given(flags, "--hours") && !(flags.hours > 0.0 && flags.hours <= most_hours)) {
    throw InvalidInput("--hours is " + std::to_string(flags.hours) + "; it must be above 0 and at most 1e9");
  }
  if (flags.most_devices < 1 || flags.most_devices > sizing::most_devices) {
    throw InvalidInput("--most-devices is " + std::to_string(flags.most_devices) + "; it must be between 1 and 2^40");
  }
  if (flags.top < 1) {
    throw InvalidInput("--top is " + std::to_string(flags.top) + "; it must be at least 1");
  }
}

Question question_without_checks(const PlanFlags &flags) {
  const bool devices = is_given(flags, "--devices");
  const bool tokens = is_given(flags, "--tokens");
  if (is_given(flags, "--calculator")) {
    return Question::calculators;
  }
  if (flags.diagnose) {
    if (!devices || !tokens) {
      throw InvalidInput("--diagnose needs --devices and --tokens: the configuration that does not fit");
    }
    return Question::diagnosis;
  }
  if (!devices && !tokens) {
    throw InvalidInput(
        "plan needs --devices (largest context), --tokens (fewest devices), both (best configuration) or "
        "--calculator");
  }
  return devices && tokens ? Question::best_configuration
         : devices         ? Question::largest_context
                           : Question::fewest_devices;
}

} // namespace

std::string name(Question question) {
  switch (question) {
  case Question::largest_context:
    return "largest_context";
  case Question::fewest_devices:
    return "fewest_devices";
  case Question::best_configuration:
    return "best_configuration";
  case Question::diagnosis:
    return "diagnosis";
  case Question::calculators:
    return "calculators";
  }
  throw InvalidInput("question without a name");
}

void add_plan_flags(CLI::App &verb, PlanFlags &flags) {
  verb.add_option("--machine", flags.machine, "Machine file: written by calibrate, or one of experiments/machines");
  verb.add_option("--devices", flags.devices, "Devices there are: alone it asks for the largest context");
  verb.add_option("--tokens", flags.tokens,
                  "Context: alone it asks for the fewest devices, with --devices for the best "
                  "ring, chunk and schedule");
  verb.add_option("--hours", flags.hours, "Most hours, with --tokens alone: the fewest devices that are as fast");
  verb.add_option("--batch", flags.batch, "Batch entries of all rings together")->capture_default_str();
  verb.add_option("--query-heads", flags.query_heads, "Query heads")->capture_default_str();
  verb.add_option("--kv-heads", flags.kv_heads, "Key/value heads; default: as many as query heads")
      ->check(at_least_one);
  verb.add_option("--head-dim", flags.head_dim, "Width of a head")->capture_default_str();
  verb.add_option("--mask", flags.mask, "none or causal")->capture_default_str();
  verb.add_option("--pass", flags.pass, "forward, backward, or both: memory of the larger, time of the two")
      ->capture_default_str();
  verb.add_option("--dtype", flags.dtype, "Element type of a published machine; default: its first");
  verb.add_option("--reserve-bytes", flags.reserve_bytes,
                  "Memory of a device for all that is not this attention, such as 30GB");
  verb.add_option("--ranks-on-node", flags.ranks_on_node,
                  "Ranks that share the calibrated node's cores; 0: a core for every device")
      ->capture_default_str();
  verb.add_option("--schedule", flags.schedule, "any, ring, bidirectional_ring, double_ring or all_gather")
      ->capture_default_str();
  verb.add_option("--placement", flags.placement, "any, contiguous, zigzag, striped or replicated_queries")
      ->capture_default_str();
  verb.add_option("--moving", flags.moving, "any, key_value or query")->capture_default_str();
  verb.add_option("--most-devices", flags.most_devices, "Most devices that the fewest are looked for among")
      ->capture_default_str();
  verb.add_option("--most-steps", flags.most_steps,
                  "Steps of devices beyond which a pass is not simulated, up to 1e9; forward rings count 1/256 or fold")
      ->capture_default_str();
  verb.add_option("--top", flags.top, "Rows of the ranking that are shown and written")->capture_default_str();
  verb.add_flag("--diagnose", flags.diagnose, "Rank single settings by the bytes they save, by closed forms alone");
  verb.add_option("--kernel", flags.kernel, "With --diagnose: streamed or materialised (keeps the scores)")
      ->capture_default_str();
  verb.add_option("--message-layout", flags.message_layout, "With --diagnose: stored_packed, separate or copied")
      ->capture_default_str();
  verb.add_option("--calculator", flags.calculator,
                  "A sizing function of the documents, as printed and corrected; all: their own calls");
  add_list_option(verb, "--arguments", flags.arguments, "Of the calculator: name=value,name=value");
}

void note_given_flags(const CLI::App &verb, PlanFlags &flags) {
  for (const CLI::Option *option : verb.get_options()) {
    if (option->count() > 0) {
      flags.given.push_back(option->get_name());
    }
  }
}

Question question_of(const PlanFlags &flags) {
  const Question question = question_without_checks(flags);
  if (question == Question::calculators) {
    refuse(flags, {"--machine",     "--devices",       "--tokens",        "--hours",    "--batch",
                   "--query-heads", "--kv-heads",      "--head-dim",      "--mask",     "--pass",
                   "--dtype",       "--reserve-bytes", "--ranks-on-node", "--schedule", "--placement",
                   "--moving",      "--most-devices",  "--most-steps",    "--top",      "--diagnose"},
           "with --calculator; its arguments come after --arguments");
  } else {
    refuse(flags, {"--arguments"}, "without --calculator");
    if (flags.machine.empty()) {
      throw InvalidInput("--machine is required: a machine file, or one of experiments/machines");
    }
  }
  if (question != Question::diagnosis) {
    refuse(flags, {"--kernel", "--message-layout"}, "without --diagnose: times are of the streamed kernel");
  } else {
    refuse(flags, {"--top", "--most-steps", "--ranks-on-node"}, "with --diagnose, which simulates nothing");
  }
  if (question != Question::fewest_devices) {
    refuse(flags, {"--hours", "--most-devices"}, "unless the fewest devices are asked for: --tokens without --devices");
  }
  check_numbers(flags);
  return question;
}

sizing::Workload workload_of(const PlanFlags &flags, const machine::Machine &machine) {
  sizing::Workload workload;
  workload.attention.batch = flags.batch;
  workload.attention.query_heads = flags.query_heads;
  workload.attention.kv_heads = flags.kv_heads == 0 ? flags.query_heads : flags.kv_heads;
  workload.attention.head_dim = flags.head_dim;
  workload.attention.mask = problem::parse_mask(flags.mask);
  if (flags.pass == "both") {
    workload.passes = {schedule::Pass::forward, schedule::Pass::backward};
  } else if (flags.pass == "forward" || flags.pass == "backward") {
    workload.passes = {schedule::parse_pass(flags.pass)};
  } else {
    throw InvalidInput("pass '" + flags.pass + "' is unknown; one of: forward, backward, both");
  }
  workload.reserve_bytes =
      flags.reserve_bytes.empty() ? 0 : memory::parse_bytes("--reserve-bytes", flags.reserve_bytes);
  if (flags.ranks_on_node > 0 && machine.core_sharing.cores == 0) {
    throw InvalidInput("--ranks-on-node has no effect: " + machine.name +
                       " does not say what ranks that share cores take (core_sharing, which calibrate measures)");
  }
  workload.dtype = flags.dtype;
  workload.ranks_on_node = flags.ranks_on_node;
  workload.most_steps = flags.most_steps;
  sizing::adopt_machine(machine, workload);
  return workload;
}

sizing::Allowed allowed_of(const PlanFlags &flags) {
  sizing::Allowed allowed;
  if (flags.schedule != any) {
    allowed.schedules = {parse_right_schedule(flags.schedule)};
  }
  if (flags.placement != any) {
    allowed.placements = {schedule::parse_placement(flags.placement)};
  }
  if (flags.moving != any) {
    allowed.movings = {schedule::parse_moving(flags.moving)};
  }
  if (flags.placement == "replicated_queries" && flags.moving == "query") {
    throw InvalidInput(
        "--moving query needs queries divided among the ranks; placement replicated_queries gives all to "
        "each");
  }
  return allowed;
}

sizing::Configuration diagnosed_configuration(const PlanFlags &flags, const machine::Machine &machine) {
  sizing::Configuration configuration;
  configuration.ring_size = flags.devices;
  if (flags.schedule != any) {
    configuration.schedule = parse_right_schedule(flags.schedule);
  }
  if (configuration.schedule == schedule::Schedule::double_ring) {
    for (const std::int64_t inner : sizing::inner_ring_sizes(machine)) {
      configuration.inner_ring_size = flags.devices % inner == 0 ? inner : configuration.inner_ring_size;
    }
    if (configuration.inner_ring_size == 1 && flags.devices > 1) {
      throw InvalidInput("schedule double_ring needs groups of devices that divide --devices; machine " + machine.name +
                         " has none for " + std::to_string(flags.devices));
    }
  }
  configuration.placement =
      flags.placement == any ? configuration.placement : schedule::parse_placement(flags.placement);
  configuration.moving = flags.moving == any ? configuration.moving : schedule::parse_moving(flags.moving);
  configuration.kernel = memory::parse_kernel(flags.kernel);
  configuration.layout = schedule::parse_message_layout(flags.message_layout);
  return configuration;
}

} // namespace ringscale::drivers
