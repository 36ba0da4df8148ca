// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "machine/fleet.hpp"
#include "simulator/noise.hpp"

namespace ringscale::simulator {

/// Jitter drawn from what was measured: the inverse of each machine's empirical distribution of time / median, whose
/// quantiles are equally far apart and between which the distribution is taken to be uniform. A 16-bit uniform number u
/// stands for the probability u / 2^16. In coarse ticks, those of vectors, a deviation is worked out in single
/// precision by every engine: the same operations in the same order, the same bits.
class MeasuredJitter {
public:
  /// One table for all devices of a machine: relative deviation from the median at cell c and place w in it (of 2^16)
  /// is base[first_cell + c] + slope[first_cell + c] x w. `cells` of them are equally likely.
  struct Table {
    std::uint32_t first_cell = 0;
    std::uint32_t cells = 0;
    bool operator==(const Table &) const = default;
  };

  MeasuredJitter() = default; ///< no jitter
  /// Throws InvalidInput naming the machine that has no rising quantiles between 0 and 100.
  MeasuredJitter(const machine::Fleet &fleet, std::uint64_t seed);

  bool present() const { return !tables_.empty(); }
  /// Of the device of a rank; equal quantiles are one table.
  const Table &table(std::int64_t rank) const {
    return tables_[table_of_rank_.empty() ? 0 : table_of_rank_[static_cast<std::size_t>(rank)]];
  }
  /// Of all tables, in single precision.
  const std::vector<float> &base() const { return single_base_; }
  const std::vector<float> &slope() const { return single_slope_; }
  /// At least what work grows by, relative to its median; may be below 0.
  double largest() const { return largest_; }

  /// Relative deviation of a uniform 16-bit number.
  double deviation(const Table &table, std::uint32_t uniform) const;
  /// The number of `rank` in `step`.
  std::uint32_t uniform(std::int64_t rank, std::int64_t step) const {
    return half_of(mix_keys(noise_rank_key(seed_, rank), noise_pair_key(seed_, step)), step);
  }
  /// That deviation of `work` in ticks, cut off towards 0. `single_precision`: as in vectors; for work below 2^24.
  std::int64_t ticks(const Table &table, std::uint32_t uniform, std::int64_t work, bool single_precision) const;

private:
  std::uint64_t seed_ = 0;
  std::vector<Table> tables_;
  std::vector<std::uint16_t> table_of_rank_; ///< empty for one table
  std::vector<double> base_, slope_;
  std::vector<float> single_base_, single_slope_;
  double largest_ = 0.0;
};

} // namespace ringscale::simulator
