// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "simulator/hold_out.hpp"
#include "statistics/summary.hpp"

namespace ringscale::simulator {

/// A real ring beside its simulation by a machine in whose fit it took no part.
struct HeldOutRing {
  MeasuredRing measured;
  double measured_s = 0.0; ///< typical of the samples, NaN when one of them is no number
  statistics::Interval measured_interval;
  Simulation predicted;
  double relative_error = 0.0; ///< predicted / measured - 1
  bool covered = false;        ///< the measured time lies within the prediction's interval
  bool shares_cores = false;
};

/// Simulates every ring. Throws InvalidInput for a ring without samples, or one that the machine cannot answer for.
std::vector<HeldOutRing> predict_held_out(const machine::Machine &machine, const std::vector<MeasuredRing> &rings);

/// Errors of the rings of one kind. Quantiles are of |relative error|; all NaN when one error is no number or there is
/// none, so that comparisons with a goal fail.
struct HeldOutErrors {
  std::int64_t rings = 0;
  double median = 0.0;
  double percentile_90 = 0.0;
  double worst = 0.0;
  double median_signed = 0.0; ///< of the relative errors: the bias
  double covered_share = 0.0; ///< of rings whose measured time the interval holds
  double confidence = 0.0;    ///< what the share should be: mean over the rings
};

HeldOutErrors summarise_errors(const std::vector<HeldOutRing> &rings);

/// Those of `rings` whose ranks share cores, or those that do not.
std::vector<HeldOutRing> of_kind(const std::vector<HeldOutRing> &rings, bool shares_cores);

} // namespace ringscale::simulator
