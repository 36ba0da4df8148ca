// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <vector>

#include "ring/communicator.hpp"
#include "ring/ring_options.hpp"

namespace ringscale::ring {

class GridRank;

/// How the one repetition of a run is checkpointed.
struct CheckpointOptions {
  std::filesystem::path folder; ///< one that all ranks see
  std::int64_t every_steps = 0; ///< 0: by Daly's interval from mtbf_s and the measured cost of the first checkpoint
  double mtbf_s = 0.0;          ///< mean time between failures of the whole job; 0: not known
  bool resume = false;          ///< goes on from the folder's checkpoint; from the beginning where there is none
  std::int64_t stop_after_step = -1; ///< tests: leaves after the first checkpoint that has this step; -1: never
};

/// What checkpoints did to a run, the same on every rank. Seconds and bytes of this job only.
struct CheckpointReport {
  std::vector<double> write_samples_s; ///< one entry a checkpoint, until all ranks were told that it is complete
  std::vector<std::int64_t> bytes;     ///< of the same checkpoints, all ranks together, without headers
  std::vector<double> step_samples_s;  ///< one entry a step that this job did, the slowest rank's
  std::optional<std::int64_t> resumed_from_step; ///< first step that this job did, where it took a checkpoint
  std::optional<std::int64_t> stopped_after_step;
  double mtbf_s = 0.0;
  double young_interval_s = std::numeric_limits<double>::quiet_NaN(); ///< NaN without mtbf_s or a checkpoint
  double daly_interval_s = std::numeric_limits<double>::quiet_NaN();
  std::int64_t every_steps = 0; ///< steps between checkpoints as used; 0: not known, no checkpoint was written
};

/// One checkpointed repetition as this rank saw it, over all jobs that took part: a checkpoint carries what the jobs
/// before it spent. Checkpoints themselves are not in the seconds.
struct CheckpointedPass {
  CheckpointReport report;
  double time_s = 0.0;
  double exchange_s = 0.0;
  std::int64_t exchanged_bytes = 0;
};

/// Hash of all options that the bytes of a checkpoint depend on. How messages travel (exchange, collective, staging,
/// polling, deadline) is not among them: it changes no bit. `threads` of a rank do in a backward pass, whose sums over
/// slices they cut, and so does the arithmetic of this build on bfloat16.
std::uint64_t options_fingerprint(const RingOptions &options, int threads);

/// Throws InvalidInput naming the first checkpoint option that is out of range or does not go with `options`: a
/// checkpointed run has one repetition, no warm-up and no messages without computing.
void validate_checkpoints(const CheckpointOptions &checkpoint, const RingOptions &options);

/// Steps between checkpoints for `interval_s` of work in steps of `step_s`: at least one, at most `most`.
std::int64_t steps_of_interval(double interval_s, double step_s, std::int64_t most);

/// One repetition of `rank` with a checkpoint after every so many steps, at the next step where nothing travels on any
/// rank; nothing is written any more once a rank complains. Collective. Throws InvalidInput on every rank when the
/// folder has a checkpoint that is not to be resumed, or one that does not fit; CheckpointFailure on every rank when
/// one cannot be written.
CheckpointedPass run_with_checkpoints(const Communicator &communicator, const RingOptions &options,
                                      const CheckpointOptions &checkpoint, GridRank &rank);

} // namespace ringscale::ring
