// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ringscale::schedule {

/// Seconds of work between two checkpoints that make a run shortest, when failures are exponential with `mtbf_s`
/// seconds between them for the whole job and a checkpoint takes `checkpoint_s`: sqrt(2 C M) to first order (Young
/// 1974, doi 10.1145/361147.361115). For C much smaller than M: its run time is 0.5 % above the best at C = M / 10, 5.1
/// % at M / 2. Throws InvalidInput unless both are finite and > 0.
double young_interval_s(double checkpoint_s, double mtbf_s);

/// The same to higher order (Daly 2006, doi 10.1016/j.future.2004.11.016): sqrt(2 C M) (1 + sqrt(C / 2M) / 3 + C / 18M)
/// - C for C < 2M, and M from there on. Its run time is within 0.002 % of the best for C <= M / 2 and 0.2 % for any C.
double daly_interval_s(double checkpoint_s, double mtbf_s);

/// What a run is made of; all in seconds.
struct CheckpointCosts {
  double checkpoint_s = 0.0; ///< to write one
  double restart_s = 0.0;    ///< from a failure to working again
  double mtbf_s = 0.0;
};

/// Expected seconds of a run of `work_s` with a checkpoint after each `interval_s` of work, when failures also strike
/// while a checkpoint is written or a restart is under way: M e^(R/M) (e^((interval + C)/M) - 1) work / interval (Daly
/// 2006, section 3). The number of intervals is not rounded. Throws InvalidInput for costs that are negative or not
/// finite, and for times that are not > 0.
double expected_run_time_s(double work_s, double interval_s, const CheckpointCosts &costs);

} // namespace ringscale::schedule
