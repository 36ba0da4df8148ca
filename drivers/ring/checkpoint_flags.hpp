// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ring/checkpointed_run.hpp"
#include "ring/ring_options.hpp"
#include "ring/ring_run.hpp"

namespace CLI {
class App;
}

namespace ringscale::drivers {

/// Flags of a run that can be gone on with after it was killed.
struct CheckpointFlags {
  ring::CheckpointOptions options;
  bool every_given = false;
  bool mtbf_given = false;

  bool asked_for() const { return !options.folder.empty(); }
};

/// Declares --checkpoint, --checkpoint-every, --mtbf and --resume; `flags` must live as long as `verb`.
void add_checkpoint_flags(CLI::App &verb, CheckpointFlags &flags);

/// Points `options` at the flags where they ask for checkpoints: one repetition, no warm-up, nothing else timed.
/// `repeats` says whether more than that was typed. Throws InvalidInput with one line for flags that do not go
/// together.
void resolve(const CheckpointFlags &flags, bool repeats, ring::RingOptions &options);

/// Lines for people: what is going to be done, and what was.
std::string planned_text(const CheckpointFlags &flags);
std::string outcome_text(const ring::CheckpointReport &report);

} // namespace ringscale::drivers
