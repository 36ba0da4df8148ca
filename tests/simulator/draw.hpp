// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "problem/counter_random.hpp"

namespace ringscale::simulator_tests {

/// Numbers of one random case, from a counter-based generator; `stream` keeps programs apart.
class Draw {
public:
  Draw(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(problem::random_bits(seed_, stream_, counter_++) %
                                     static_cast<std::uint64_t>(bound));
  }
  double between(double low, double high) { return low + (high - low) * static_cast<double>(below(1000)) / 1000.0; }
  bool coin() { return below(2) == 1; }

private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t counter_ = 0;
};

} // namespace ringscale::simulator_tests
