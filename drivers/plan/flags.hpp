// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/session.hpp"
#include "machine/machine.hpp"
#include "sizing/configuration.hpp"

namespace ringscale::drivers {

/// The flags of `plan` as typed.
struct PlanFlags {
  std::string machine;
  std::int64_t devices = 0; ///< 0: not given
  std::int64_t tokens = 0;  ///< 0: not given
  double hours = 0.0;       ///< 0: not given
  std::int64_t batch = 1;
  std::int64_t query_heads = 8;
  std::int64_t kv_heads = 0; ///< 0: as many as query heads
  std::int64_t head_dim = 64;
  std::string mask = "none";
  std::string pass = "forward";
  std::string dtype;
  std::string reserve_bytes;
  std::int64_t ranks_on_node = 0;
  std::string schedule = "any";
  std::string placement = "any";
  std::string moving = "any";
  double most_steps = sizing::Workload().most_steps;
  std::int64_t most_devices = std::int64_t{1} << 20;
  std::int64_t top = 8;
  bool diagnose = false;
  std::string kernel = "streamed";
  std::string message_layout = "stored_packed";
  std::string calculator;
  std::vector<std::string> arguments;
  std::vector<std::string> given; ///< names of the flags on the command line, set by the parse callback
};

enum class Question { largest_context, fewest_devices, best_configuration, diagnosis, calculators };
std::string name(Question question);

/// Declares the flags; `flags` must live as long as `verb`.
void add_plan_flags(CLI::App &verb, PlanFlags &flags);

/// Fills `given`.
void note_given_flags(const CLI::App &verb, PlanFlags &flags);

/// What the flags ask. Throws InvalidInput for flags that are missing, exclude each other, have no effect on that
/// question or are out of range.
Question question_of(const PlanFlags &flags);

/// The workload on `machine`; throws InvalidInput for what the machine cannot answer.
sizing::Workload workload_of(const PlanFlags &flags, const machine::Machine &machine);

sizing::Allowed allowed_of(const PlanFlags &flags);

/// The one configuration that --diagnose is about: one ring of all devices, "any" read as the plain ring.
sizing::Configuration diagnosed_configuration(const PlanFlags &flags, const machine::Machine &machine);

} // namespace ringscale::drivers
