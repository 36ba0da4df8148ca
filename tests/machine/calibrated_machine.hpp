// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

#include "machine/calibration.hpp"
#include "machine/tile_time.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::machine_tests {

/// The law behind the made-up calibration: a launch, a per-row and a per-pair term, in seconds, for eight heads.
inline double measured_tile_s(std::int64_t query_tokens, std::int64_t key_tokens, std::int64_t head_dim) {
  const auto queries = static_cast<double>(query_tokens);
  const auto keys = static_cast<double>(key_tokens);
  const auto width = static_cast<double>(head_dim) / 64.0;
  return 2e-6 + 1e-7 * queries + 1.2e-8 * width * queries * keys;
}

/// Raw samples of that law without noise, of links with 2 us and 5 GB/s, of steps of 3 us.
inline machine::RawCalibration raw_calibration() {
  machine::RawCalibration raw;
  raw.name = "made-up";
  raw.description = "a law, not a machine";
  raw.where = "a test";
  raw.memory_bytes = 8e9;
  raw.peak_flop_per_s = 1e11;
  raw.tiles.query_heads = raw.tiles.kv_heads = 8;
  for (const std::int64_t head_dim : {64, 128}) {
    for (const std::int64_t queries : {64, 256, 1024, 4096}) {
      for (const std::int64_t keys : {64, 256, 1024, 4096}) {
        const double time_s = measured_tile_s(queries, keys, head_dim);
        raw.tiles.samples.push_back({queries, keys, head_dim, problem::Mask::none, 0.0, {time_s, time_s, time_s}});
      }
      const double time_s = 0.55 * measured_tile_s(queries, queries, head_dim);
      raw.tiles.samples.push_back({queries, queries, head_dim, problem::Mask::causal, 0.0, {time_s, time_s, time_s}});
    }
  }
  for (const double elements : {1e4, 1e5, 1e6}) {
    raw.merges.push_back({elements, {1e-6 + 2e-10 * elements}});
  }
  for (std::int64_t bytes = 64; bytes <= 1 << 24; bytes *= 16) {
    for (const std::int64_t ranks : {2, 4}) {
      const double crowd = 1.0 + 0.25 * static_cast<double>(ranks - 1);
      raw.messages.push_back({"shift", ranks, 1, bytes, 0.0, {2e-6 + static_cast<double>(bytes) / 5e9 * crowd}});
    }
  }
  raw.step_fixed_s = {3e-6, 3e-6, 3e-6};
  raw.hidden_fractions = {0.5, 0.6, 0.7};
  for (int sample = 0; sample < 100; ++sample) {
    raw.repeated_tile_s.push_back(1e-3 * (1.0 + 0.02 * std::sin(1.7 * sample)));
  }
  raw.neighbour_tile_s = {1.1e-3, 1.1e-3, 1.1e-3};
  raw.cores = 4;
  raw.footprint = {64, 1000};
  return raw;
}

inline machine::Machine calibrated_machine() { return machine::assemble(raw_calibration()); }

} // namespace ringscale::machine_tests
