// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ring/communicator.hpp"
#include "ring/measurements.hpp"

namespace ringscale::ring {

/// Takes a value into a maximum that a NaN never leaves again.
inline void raise_to(double &maximum, double value) {
  if (!(value <= maximum)) {
    maximum = std::isnan(maximum) ? maximum : value;
  }
}

/// How many equal working sets of `bytes` each to take in turn so that together they are cold_bytes (two at least, 32
/// at most), which the caches of a core do not hold.
inline std::size_t benches_in_turn(std::int64_t bytes) {
  constexpr std::int64_t cold_bytes = std::int64_t{32} << 20;
  const std::int64_t wanted = (cold_bytes + bytes - 1) / std::max<std::int64_t>(bytes, 1);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(wanted, 2, 32));
}

/// Seconds of one call of `work`, which must wait for its own completion.
template <class Work> double time_once(const Work &work) {
  const double begin_s = now_s();
  work();
  return now_s() - begin_s;
}

/// Samples of `work` on this rank alone. Work that is short against the clock is called several times a sample, the
/// number being found in the warm-up, and the time divided.
template <class Work> std::vector<double> sample_local(const Repetitions &repetitions, const Work &work) {
  constexpr double shortest_sample_s = 1e-3;
  constexpr double most_calls = 1e5;
  double warm_s = time_once(work);
  for (int call = 1; call < repetitions.warmup; ++call) {
    warm_s = std::min(warm_s, time_once(work));
  }
  const int calls =
      static_cast<int>(std::clamp(std::ceil(shortest_sample_s / std::max(warm_s, 1e-9)), 1.0, most_calls));
  std::vector<double> samples;
  for (int sample = 0; sample < repetitions.samples; ++sample) {
    const double begin_s = now_s();
    for (int call = 0; call < calls; ++call) {
      work();
    }
    samples.push_back((now_s() - begin_s) / calls);
  }
  return samples;
}

/// Samples of collective `work`: every call after a barrier, the slowest rank's time, the same on every rank.
template <class Work>
std::vector<double> sample_collective(const Communicator &communicator, const Repetitions &repetitions,
                                      const Work &work) {
  std::vector<double> samples;
  for (int call = -repetitions.warmup; call < repetitions.samples; ++call) {
    communicator.barrier("before a measurement");
    const double slowest_s = communicator.max(time_once(work));
    if (call >= 0) {
      samples.push_back(slowest_s);
    }
  }
  return samples;
}

} // namespace ringscale::ring
